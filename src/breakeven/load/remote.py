"""Several clients elsewhere: the users are split among them, and one coordinator owns the borders."""

import asyncio
import pickle
from collections.abc import Callable, Sequence

from breakeven.caution import Caution
from breakeven.clock import now_s
from breakeven.errors import RunFailedError
from breakeven.load.link import Link, name_of
from breakeven.load.merge import Tally, merged, shares
from breakeven.load.open_loop import Asking
from breakeven.load.wire import Cut, Fault, Finish, Open, Report, Setup, Start
from breakeven.load.worker import Counts, LevelSpec
from breakeven.record import ClientFacts, Record

_LOOK_S = 0.02
_LAST_WORDS_S = 1.0
_LOST_S = 10.0
"""A client that has told nothing for so long is taken for dead."""


class _Client:
    """One client in a level, as the coordinator sees it."""

    def __init__(self, link: Link) -> None:
        self.link = link
        self.reading: asyncio.Task[None] | None = None
        self.begin(0)

    def begin(self, users: int) -> None:
        """Nothing is known of a new level."""
        self.tally = Tally(users, start_s=now_s())
        self.finish: Finish | None = None
        self.fault: str | None = None
        self.is_given_up = self.is_buried = False

    def start(self, order: Start, emit: Callable[[Record], None]) -> None:
        """Start its users, and listen."""
        self.begin(len(order.users) if order.spec.users else 0)
        self.link.tell(order)
        self.reading = asyncio.create_task(self._listen(emit))

    async def _listen(self, emit: Callable[[Record], None]) -> None:
        """Take in reports until the level's last word, or the client's end."""
        while isinstance(word := await self.link.word(), Report | Finish):
            for record in word.records:
                emit(record)
            if isinstance(word, Finish):
                self.finish = word
                return
            self.tally.take(word.counts)
        self.fault = word.text if isinstance(word, Fault) else None
        self.tally.is_dead = True

    @property
    def is_over(self) -> bool:
        """It has said all that it will say in this level."""
        return self.finish is not None or self.tally.is_dead

    def look(self) -> None:
        """Give up a client that tells nothing for long, which would hold up all the others; raise a fault of ours."""
        if not self.is_over and now_s() - self.tally.told_s > _LOST_S:
            self.tally.is_dead = self.is_given_up = True
            self.link.kill()
        if self.fault is not None:
            raise RunFailedError(f"{name_of(self.link)} failed: {self.fault}")
        task = self.reading
        if task is not None and task.done() and not task.cancelled() and (problem := task.exception()) is not None:
            raise problem

    async def bury(self, *, of: int) -> Caution | None:
        """End a client that is gone, one of so many; a note of it, once."""
        if self.is_buried or not self.tally.is_dead:
            return None
        self.is_buried = True
        who = f"{name_of(self.link)} of {of}" + (f" on {self.link.node}" if self.link.node else "")
        code = await self.link.end()
        if self.reading is not None:
            await asyncio.wait({self.reading}, timeout=_LAST_WORDS_S)
            self.reading.cancel()
        how = "ended in mid-level" + ("" if code is None else f" (exit code {code})")
        if self.is_given_up:
            how = f"told nothing for {_LOST_S:g} s and was given up"
        return _lost_note(who, how=how, users=self.tally.users)


class RemoteCrew:
    """User i belongs to client i mod clients. A dead one's users are not replaced in its level, which says so."""

    def __init__(self, links: Sequence[Link], asking: Asking) -> None:
        self._asking = pickle.dumps(asking)
        self._clients = [_Client(link) for link in links]
        self._active: list[_Client] = []
        self._notes: list[Caution] = []

    async def make_ready(self) -> None:
        """Have every client, and wait until all are set up; each sees to its garbage as it starts its users."""
        ups = [one.link.bring_up(Setup(client=one.link.number, asking=self._asking)) for one in self._clients]
        for outcome in await asyncio.gather(*ups, return_exceptions=True):
            if outcome is not None:
                raise outcome

    async def start(self, spec: LevelSpec, emit: Callable[[Record], None]) -> None:
        """Start the users, each in its client."""
        self._notes = []
        self._active = self._clients[: spec.users] if spec.users else self._clients
        for client, users in zip(self._active, split(spec, len(self._active)), strict=True):
            client.start(Start(spec=spec, users=users), emit)

    async def counts(self) -> Counts:
        """All that the clients have told; RunFailedError when none is left, or one reports a fault."""
        await self._look()
        if all(client.tally.is_dead for client in self._active):
            kind = self._active[0].link.kind
            raise RunFailedError(f"every {kind} ended in mid-level; what they had told is kept")
        return merged([client.tally for client in self._active], now_s=now_s())

    async def _look(self) -> None:
        """See how every client is, and note which are gone."""
        for client in self._active:
            client.look()
            if (note := await client.bury(of=len(self._active))) is not None:
                self._notes.append(note)

    async def open(self, *, measured: int | None) -> float:
        """All open at one stamp; measured requests are shared out by users."""
        at_s = self._border_s()
        for client, quota in zip(self._active, quotas(measured, [c.tally for c in self._active]), strict=True):
            client.tally.quota = quota
            client.link.tell(Open(at_s=at_s, measured=quota))
        await asyncio.sleep(at_s - now_s())
        return at_s

    def _border_s(self) -> float:
        return now_s() + max(client.link.ahead_s for client in self._active)

    async def cut(self) -> float:
        """All cut at one stamp; waits for each one's last word."""
        at_s = self._border_s()
        for client in self._active:
            client.link.tell(Cut(at_s=at_s))
        while not all(client.is_over for client in self._active):
            await asyncio.sleep(_LOOK_S)
            for client in self._active:
                client.look()
        await self._look()
        return at_s

    def facts(self, *, close_s: float) -> tuple[ClientFacts, ...]:
        """How each client that lived did."""
        del close_s
        return tuple(
            client.finish.facts for client in self._active if client.finish and client.finish.facts is not None
        )

    def notes(self) -> tuple[Caution, ...]:
        """Which clients died."""
        return tuple(self._notes)

    async def close(self) -> None:
        """End all clients."""
        await asyncio.gather(*(client.link.end() for client in self._clients))
        for client in self._clients:
            if client.reading is not None:
                client.reading.cancel()


def _lost_note(who: str, *, how: str, users: int) -> Caution:
    """The caution of a level that lost a client; in an open loop `users` is 0."""
    lacks = "its share of the requests was" if not users else f"its {{users}} user{'s were' if users > 1 else ' was'}"
    return Caution(
        id="client_died",
        seen=f"{{who}} {{how}}; {lacks} not replaced",
        advice="measure this level again with --resume",
        values={"who": who, "how": how, "users": users},
    )


def split(spec: LevelSpec, clients: int) -> list[list[int]]:
    """User i belongs to client i mod clients, so that each starts its share over the whole ramp.

    In an open loop a share is the client's number and the number of clients.
    """
    if not spec.users:
        return [[number, clients] for number in range(clients)]
    return [list(range(number, spec.users, clients)) for number in range(clients)]


def quotas(measured: int | None, tallies: Sequence[Tally]) -> Sequence[int | None]:
    """How many of the measured requests each client counts; None where a level is not ended by their number."""
    return [None] * len(tallies) if measured is None else shares(measured, [tally.users or 1 for tally in tallies])
