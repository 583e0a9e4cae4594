"""An open loop: requests are sent when they are due, whether or not earlier ones have ended."""

import asyncio
import itertools
import math
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from breakeven.client.alarm import Sleeper
from breakeven.client.request import RequestMaker
from breakeven.client.target import Access, Target
from breakeven.clock import now_s
from breakeven.load.arrivals import arrival_times_s
from breakeven.load.session_worker import SessionWorker
from breakeven.load.worker import Counts, LevelSpec, Made, User, Worker, mix
from breakeven.record import ClientFacts, Record
from breakeven.workload.base import Workload

MOST_UNSENT: Final = 100_000
"""Records of requests that were due and never sent: enough to show that a client was too slow."""


class OpenWorker(Worker):
    """Sends this client's share of the arrivals: the i-th arrival belongs to client i mod clients."""

    def start(self, spec: LevelSpec, users: Sequence[int], emit: Callable[[Record], None]) -> None:
        """`users` names the share: this client's number first, then the number of clients."""
        self._share = users[0], users[1]
        self._free: list[User] = []
        self._asking: set[asyncio.Task[None]] = set()
        self._dues_s: dict[int, float] = {}
        """When each request in flight was due, the oldest first."""
        self._late_at, self._late = array("d"), array("d")
        self._awaited: tuple[int, float] | None = None
        """Number of the request that is sent next, and when it is due."""
        self._schedule = self._dues(spec)
        super().start(spec, (), emit)
        self._dispatcher = asyncio.create_task(self._dispatch())
        self._dispatcher.add_done_callback(self._watch)

    def _dues(self, spec: LevelSpec) -> Iterator[tuple[int, float]]:
        """Number and due time of every request of this client's share."""
        first, step = self._share
        for index, at_s in itertools.islice(enumerate(_times_s(spec)), first, None, step):
            yield index, spec.start_s + at_s

    async def _dispatch(self) -> None:
        """Send each request when it is due. The loop's own timers would make it a millisecond late."""
        sleeper = Sleeper(asyncio.get_running_loop())
        try:
            for index, due_s in self._schedule:
                self._awaited = index, due_s
                made = self._made(index)
                await sleeper.until(due_s)
                await asyncio.sleep(0)  # a schedule that runs behind must leave time for the answers
                if self._stopping:
                    return
                self._late_at.append(due_s)
                self._late.append(now_s() - due_s)
                self._awaited = None
                self._send(index, due_s, made)
            self._exhausted = True
        except asyncio.CancelledError:
            if not self._stopping:
                raise
        finally:
            sleeper.close()

    def _made(self, index: int) -> Made:
        """A request, made before it is due."""
        spec = self._spec
        place = round((spec.req_per_s or 0.0) * 1e6), spec.repeat, 0, index
        ask = self._workload.make(nonce=mix(spec.salt, *place), user=0, k=index)
        return self._made_of(ask, most=None, place=place)

    def _send(self, index: int, due_s: float, made: Made) -> None:
        first, step = self._share
        user = self._free.pop() if self._free else self._another(len(self._users) * step + first)
        task = asyncio.create_task(self._once(user, index, due_s, made))
        user.task = task
        self._asking.add(task)
        task.add_done_callback(self._asking.discard)
        task.add_done_callback(self._watch)

    async def _once(self, user: User, index: int, due_s: float, made: Made) -> None:
        self._dues_s[index] = due_s
        record = await self._ask(user, index + 1, made, due_s=due_s)
        del self._dues_s[index]
        self._note_turn(record, took_s=self._spec.zero_s + record.end_s - due_s)
        self._after(user, record)
        self._free.append(user)

    def counts(self, *, e2e_from: int = 0) -> Counts:
        """As for a closed loop, but a request is in flight from when it was sent, connected or not."""
        found = super().counts(e2e_from=e2e_from)
        connecting = len(self._asking) - found.in_flight
        return replace(
            found,
            in_flight=len(self._asking),
            waiting=found.waiting + connecting,
            oldest_due_s=next(iter(self._dues_s.values()), None),
        )

    async def cut(self) -> float:
        """Stop sending, cut what is in flight, and tell of what was due by then and never sent."""
        self._stopping = True
        self._dispatcher.cancel()
        at_s = await super().cut()
        for index, due_s in itertools.islice(self._overdue(at_s), MOST_UNSENT):
            self._emit(self._unsent(index, due_s, end_s=at_s))
        return at_s

    def _overdue(self, at_s: float) -> Iterator[tuple[int, float]]:
        waiting = itertools.chain([] if self._awaited is None else [self._awaited], self._schedule)
        return itertools.takewhile(lambda one: one[1] <= at_s, waiting)

    def _unsent(self, index: int, due_s: float, *, end_s: float) -> Record:
        """A request that its schedule was too fast for: it waited from when it was due, like any other."""
        zero_s = self._spec.zero_s
        return Record(
            user=self._share[0],
            k=index + 1,
            due_s=due_s - zero_s,
            end_s=end_s - zero_s,
            status="cut",
            client=self._client,
        )

    def facts(self, *, close_s: float) -> ClientFacts | None:
        """As for a closed loop, with the lateness of the sending itself."""
        facts = super().facts(close_s=close_s)
        if facts is None or self._open_s is None:
            return None
        at = np.frombuffer(self._late_at, dtype=np.float64)
        late = np.frombuffer(self._late, dtype=np.float64)[(at >= self._open_s) & (at < close_s)]
        awaited_s = math.inf if self._awaited is None else self._awaited[1]
        if awaited_s < close_s:  # due in the window, or before, and never sent
            late = np.append(late, close_s - max(awaited_s, self._open_s))
        if not len(late):
            return facts
        p50, p99 = np.quantile(late, [0.5, 0.99], method="higher")
        return replace(facts, schedule_lag_p50_s=float(p50), schedule_lag_p99_s=float(p99))


class Asking(Struct, frozen=True, kw_only=True):
    """Whom all clients ask, how and what; the workload has been prepared."""

    access: Access
    maker: RequestMaker
    workload: Workload
    is_open: bool
    """An open loop."""

    def worker(self, target: Target, *, client: int = 0) -> Worker:
        """The worker of a client, which asks `target`: what `access` stands for where the client runs."""
        kind = SessionWorker if self.workload.turn_counts() else OpenWorker if self.is_open else Worker
        return kind(target=target, maker=self.maker, workload=self.workload, client=client)


def _times_s(spec: LevelSpec) -> Iterable[float]:
    """Due times of all clients together, since the level's start."""
    if spec.times_s is not None:
        return spec.times_s
    assert spec.req_per_s is not None
    seed = f"{spec.seed}/{spec.req_per_s}/{spec.repeat}"
    return arrival_times_s(req_per_s=spec.req_per_s, variation=spec.variation, ramp_s=spec.ramp_s, seed=seed)
