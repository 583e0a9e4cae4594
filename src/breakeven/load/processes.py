"""Several client processes on this machine: the users are split among them, and one coordinator owns the borders."""

import asyncio
import contextlib
import pickle
import sys
from collections.abc import Callable, Sequence

from breakeven.caution import Caution
from breakeven.clock import now_s
from breakeven.environment import bare_environment
from breakeven.errors import RunFailedError
from breakeven.load.merge import Tally, merged, shares
from breakeven.load.open_loop import Asking
from breakeven.load.wire import (
    Cut,
    Fault,
    Finish,
    Open,
    Order,
    Ready,
    Report,
    Setup,
    Start,
    decode_word,
    frame,
    read_frame,
)
from breakeven.load.worker import Counts, LevelSpec
from breakeven.record import ClientFacts, Record

_AHEAD_S = 0.05
"""Borders are set this far ahead, so that every process has heard of them in time."""
_START_S = 60.0
_LOOK_S = 0.02
_LAST_WORDS_S = 1.0
_LOST_S = 10.0
"""A client that has told nothing for so long is taken for dead."""


class _Client:
    """One process, as the coordinator sees it."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.tally = Tally(0)
        self.finish: Finish | None = None
        self.fault: str | None = None
        self.is_given_up = self.is_buried = False
        self.finished = asyncio.Event()
        self.process: asyncio.subprocess.Process | None = None
        self.reading: asyncio.Task[None] | None = None
        self._is_ready = False

    @property
    def is_alive(self) -> bool:
        return self.process is not None and self.process.returncode is None and not self.tally.is_dead

    async def launch(self, setup: Setup) -> None:
        """Start the process; `ready` waits for it."""
        self.tally, self.fault, self._is_ready = Tally(0), None, False
        self.process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "breakeven.load.client_process"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=2**26,
            env=bare_environment(),
            start_new_session=True,  # a Ctrl-C is the coordinator's to answer
        )
        self.tell(setup)

    async def ready(self) -> None:
        """Wait until the process has been set up; RunFailedError where that does not come about."""
        if self._is_ready:
            return
        with contextlib.suppress(TimeoutError):
            word = await asyncio.wait_for(self._word(), _START_S)
            self._is_ready = isinstance(word, Ready)
            self.fault = word.text if isinstance(word, Fault) else None
        if not self._is_ready:
            code = await self.end()
            why = self.fault or f"it ended with exit code {code}; what it said stands above"
            raise RunFailedError(f"client process {self.number + 1} could not start: {why}")

    def tell(self, order: Order) -> None:
        assert self.process is not None
        assert self.process.stdin is not None
        with contextlib.suppress(ConnectionError, RuntimeError):
            self.process.stdin.write(frame(order))

    async def _word(self) -> Ready | Report | Finish | Fault | None:
        assert self.process is not None
        assert self.process.stdout is not None
        payload = await read_frame(self.process.stdout)
        return None if payload is None else decode_word(payload)

    async def listen(self, emit: Callable[[Record], None]) -> None:
        """Take in reports until the level's last word, or the process's end."""
        word = await self._word()
        while isinstance(word, Report | Finish):
            for record in word.records:
                emit(record)
            if isinstance(word, Finish):
                self.finish = word
                self.finished.set()
                return
            self.tally.take(word.counts)
            word = await self._word()
        self.fault = word.text if isinstance(word, Fault) else None
        self.tally.is_dead = True
        self.finished.set()

    def give_up_if_lost(self) -> None:
        """End a process that lives but has told nothing for long: it would hold up all the others."""
        if self.is_alive and not self.finished.is_set() and now_s() - self.tally.told_s > _LOST_S:
            assert self.process is not None
            self.tally.is_dead = self.is_given_up = True
            self.process.kill()

    async def end(self) -> int | None:
        """Close its pipe and wait for its end."""
        if self.process is None:
            return None
        if self.process.stdin is not None:
            self.process.stdin.close()
        try:
            return await asyncio.wait_for(self.process.wait(), 5.0)
        except TimeoutError:
            self.process.kill()
            return await self.process.wait()


class ProcessCrew:
    """`--clients N`: user i belongs to process i mod N. A dead process's users are not replaced; the level says so."""

    def __init__(self, asking: Asking, *, clients: int) -> None:
        self._asking = pickle.dumps(asking)
        self._clients = [_Client(number) for number in range(clients)]
        self._active: list[_Client] = []
        self._notes: list[Caution] = []

    async def launch(self) -> None:
        """Start the processes that are not there, or not any more, and wait until all are ready."""
        for client in self._clients:
            if not client.is_alive:
                await client.launch(Setup(client=client.number, asking=self._asking))
        await asyncio.gather(*(client.ready() for client in self._clients))

    async def make_ready(self) -> None:
        """Replace the processes that are gone; each sees to its garbage as it starts its users."""
        await self.launch()

    async def start(self, spec: LevelSpec, emit: Callable[[Record], None]) -> None:
        """Start the users, each in its process."""
        self._notes = []
        self._active = self._clients[: spec.users] if spec.users else self._clients
        for client, users in zip(self._active, split(spec, len(self._active)), strict=True):
            client.tally = Tally(len(users) if spec.users else 0, start_s=now_s())
            client.finish, client.finished = None, asyncio.Event()
            client.is_given_up = client.is_buried = False
            client.tell(Start(spec=spec, users=users))
            client.reading = asyncio.create_task(client.listen(emit))

    async def counts(self) -> Counts:
        """All that the clients have told; RunFailedError when none is left, or one reports a fault."""
        for client in self._active:
            client.give_up_if_lost()
            _raise_fault(client)
            if client.tally.is_dead:
                await self._bury(client)
            _raise_problem(client.reading)
        if all(client.tally.is_dead for client in self._active):
            raise RunFailedError("every client process ended in mid-level; what they had told is kept")
        return merged([client.tally for client in self._active], now_s=now_s())

    async def open(self, *, measured: int | None) -> float:
        """All open at one stamp; measured requests are shared out by users."""
        at_s = now_s() + _AHEAD_S
        for client, quota in zip(self._active, quotas(measured, [c.tally for c in self._active]), strict=True):
            client.tally.quota = quota
            client.tell(Open(at_s=at_s, measured=quota))
        await asyncio.sleep(at_s - now_s())
        return at_s

    async def cut(self) -> float:
        """All cut at one stamp; waits for each one's last word."""
        at_s = now_s() + _AHEAD_S
        for client in self._active:
            client.tell(Cut(at_s=at_s))
        while any(not client.finished.is_set() for client in self._active):
            await asyncio.sleep(_LOOK_S)
            for client in self._active:
                client.give_up_if_lost()
        dead = [client for client in self._active if client.finish is None]
        for client in dead:
            await self._bury(client)
        for client in dead:
            _raise_fault(client)
        if len(dead) < len(self._active):
            for client in dead:  # now, so that the next level need not wait
                await client.launch(Setup(client=client.number, asking=self._asking))
        return at_s

    async def _bury(self, client: _Client) -> None:
        """Note that a client is gone, once."""
        if client.is_buried:
            return
        client.tally.is_dead = client.is_buried = True
        code = await client.end()
        if client.reading is not None:
            await asyncio.wait({client.reading}, timeout=_LAST_WORDS_S)
            client.reading.cancel()
        who = f"client process {client.number + 1} of {len(self._active)}"
        how = given_up(_LOST_S) if client.is_given_up else f"ended in mid-level (exit code {code})"
        self._notes.append(lost_note(who, how=how, users=client.tally.users))

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
        """End all processes."""
        await asyncio.gather(*(client.end() for client in self._clients))


def _raise_fault(client: _Client) -> None:
    if client.fault is not None:
        raise RunFailedError(f"client process {client.number + 1} failed: {client.fault}")


def _raise_problem(task: "asyncio.Task[None] | None") -> None:
    if task is not None and task.done() and not task.cancelled() and (problem := task.exception()) is not None:
        raise problem


def given_up(silent_s: float) -> str:
    """How a client was lost that did not end by itself."""
    return f"told nothing for {silent_s:g} s and was given up"


def lost_note(who: str, *, how: str, users: int) -> Caution:
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
