"""A level of load on simulated engines: the records that a client would have kept, for the one summary of a level.

Discrete events: an engine's steps are jumped over together where nothing changes in them, so that ten minutes of a
hundred users take a second or two. The same seed gives the same records.
"""

import heapq
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from breakeven.errors import UsageError, unknown
from breakeven.predict.replica import Engine, Job, Replica
from breakeven.record import LevelFacts, Record
from breakeven.units import US_PER_S
from breakeven.workload.draw import Draws

LengthsOf = Callable[[int, int], tuple[int, int]]
"""Input and output tokens of a user's k-th request: `Lengths.lengths` of room `workload`, or `Requests.lengths`."""

RAMP_S_PER_USER: Final = 0.05
LONGEST_RAMP_S: Final = 5.0
LEAST_ANSWERS: Final = 200
ANSWERS_A_USER: Final = 10
_SETTLED: Final = 2
"""Answers that every user has had when the window opens."""
_PAST_S: Final = 2e-6
"""A window's border lies so long past a step, whose tokens have stamps in whole microseconds."""
_ARRIVAL, _STEP = 0, 1


class Load(NamedTuple):
    """Who asks: `users` in a closed loop, or requests due at `arrivals_s`. Times are since the level's start."""

    lengths: LengthsOf
    users: int | None = None
    think_s: float = 0.0
    travel_s: float = 0.001
    """From when a request is due until the engine knows of it: by then the step after an answer has begun."""
    arrivals_s: Sequence[float] = ()
    """Rising; `load.arrivals` draws them."""
    arrivals: str = "poisson"
    """How they were drawn."""
    req_per_s: float | None = None
    """What an open loop calls itself; where it is not given, requests a second from the first to the last."""
    warm_up_s: float | None = None
    """When the window opens. None: when every user has had two answers; in an open loop after a tenth of it."""
    window_s: float | None = None
    """How long it stays open. None: for ten answers a user and 200 at least; in an open loop to the last arrival."""


class Simulated(NamedTuple):
    """What was seen, as of a level that was measured: `summarise_level(facts, records)` tells the figures."""

    facts: LevelFacts
    """`extra` has `engine_preemptions` of the level, and the share of the cache that was ever in use at most."""
    records: list[Record]


Router = Callable[[Sequence[Replica], int], int]

ROUTERS: Final[dict[str, Router]] = {
    "round-robin": lambda replicas, number: number % len(replicas),
    "least-loaded": lambda replicas, number: min(
        range(len(replicas)), key=lambda i: (replicas[(number + i) % len(replicas)].in_flight, i)
    ),
}
"""Which replica gets the n-th request. Of several that are least loaded: the next in turn."""


def simulate(
    engine: Engine, load: Load, *, replicas: int = 1, routing: str = "round-robin", seed: int = 0
) -> Simulated:
    """Let the load run until its window closes, and cut what is then in flight, as a measured level does.

    UsageError where a request cannot fit in the key-value cache, and for settings that make no sense.
    """
    if routing not in ROUTERS:
        raise UsageError(unknown("routing", routing, ROUTERS))
    if not 1 <= engine.slots <= engine.step_tokens:
        raise UsageError(f"slots: {engine.slots} must be from 1 to the {engine.step_tokens} tokens of a step")
    if (load.users is None) == (not load.arrivals_s):
        raise UsageError("a load is either users or arrivals")
    return _Level(engine, load, replicas=replicas, route=ROUTERS[routing], seed=seed).run()


class _Level:
    """The events of one level."""

    def __init__(self, engine: Engine, load: Load, *, replicas: int, route: Router, seed: int) -> None:
        self._engine, self._load, self._route = engine, load, route
        self._replicas = [Replica(engine) for _ in range(replicas)]
        self._on: list[list[Job]] = [[] for _ in self._replicas]
        """Requests that are over, by replica."""
        self._caps = Draws(seed, purpose="cap")
        self._events: list[tuple[float, int, int, Job | int]] = []
        self._order = itertools.count()
        self._woken_by = [-1] * replicas
        """The event that ends each replica's planned steps; others were overtaken."""
        self._asked = 0
        self._settled = 0
        self._answers = 0
        self._open_s = load.warm_up_s
        self._least_answers = max(LEAST_ANSWERS, ANSWERS_A_USER * (load.users or 0))
        if load.users is None and load.warm_up_s is None:
            self._open_s = load.arrivals_s[0] + (load.arrivals_s[-1] - load.arrivals_s[0]) / 10
        for user in range(load.users or 0):
            ramp_s = min(LONGEST_RAMP_S, RAMP_S_PER_USER * (load.users or 0))
            self._ask(user, 0, ramp_s * user / (load.users or 1))
        for user, due_s in enumerate(load.arrivals_s):
            self._ask(user, 1, due_s)

    def run(self) -> Simulated:
        now_s = 0.0
        while (close_s := self._close_s(now_s)) is None or (self._events and self._events[0][0] <= close_s):
            now_s, _, number, what = heapq.heappop(self._events)
            if isinstance(what, Job):
                self._arrive(what, now_s)
            elif self._woken_by[what] == number:
                self._step(what, now_s)
        return self._simulated(close_s)

    def _close_s(self, now_s: float) -> float | None:
        """When the window closes, as soon as that is known."""
        load = self._load
        if self._open_s is None:
            return None
        if load.window_s is not None:
            return self._open_s + load.window_s
        if load.users is None:
            return load.arrivals_s[-1]
        return now_s + _PAST_S if self._answers >= self._least_answers else None

    def _ask(self, user: int, k: int, due_s: float) -> None:
        """A request that will be due; a user's first answer is cut to a random length, so that none march in step."""
        prompt, output = self._load.lengths(user, k)
        if self._engine.kv_tokens is not None and prompt + output - 1 > self._engine.kv_tokens:
            raise UsageError(
                f"a request of {prompt} + {output} tokens does not fit in a key-value cache of {self._engine.kv_tokens}"
            )
        if not k:
            output = 1 + int(self._caps.unit(user, 0) * output)
        job = Job(user=user, k=k, due_s=due_s, prompt_tokens=max(1, prompt), output_tokens=output)
        heapq.heappush(self._events, (due_s + self._load.travel_s, _ARRIVAL, next(self._order), job))

    def _arrive(self, job: Job, now_s: float) -> None:
        number = self._route(self._replicas, self._asked)
        self._asked += 1
        replica = self._replicas[number]
        if replica.add(job, now_s) or replica.is_idle:
            self._wake(number, now_s if replica.is_idle else replica.ends_s)

    def _wake(self, number: int, at_s: float) -> None:
        """Look at a replica again at this time, and not when it was to be looked at so far."""
        self._woken_by[number] = next(self._order)
        heapq.heappush(self._events, (at_s, _STEP, self._woken_by[number], number))

    def _step(self, number: int, now_s: float) -> None:
        """The planned steps of a replica are over: who has an answer asks again, and the next ones are planned."""
        replica = self._replicas[number]
        over = replica.finish()
        self._on[number] += over
        for job in over:
            self._answered(job, now_s)
        if self._events and self._events[0][:2] == (now_s, _ARRIVAL):
            self._wake(number, now_s)  # whoever asks at this very moment is in time
            return
        replica.plan(now_s)
        if not replica.is_idle:
            self._wake(number, replica.ends_s)

    def _answered(self, job: Job, now_s: float) -> None:
        if self._open_s is not None:
            self._answers += 1
        if self._load.users is None:
            return
        self._settled += job.k == _SETTLED - 1
        if self._open_s is None and self._settled == self._load.users:
            self._open_s = now_s + _PAST_S
        self._ask(job.user, job.k + 1, now_s + self._load.think_s)

    def _simulated(self, close_s: float) -> Simulated:
        load = self._load
        records = [
            record
            for replica, over in zip(self._replicas, self._on, strict=True)
            for record in _records(replica, over, close_s=close_s)
        ]
        records.sort(key=lambda record: (record.end_s, record.user))
        facts = LevelFacts(
            users=load.users,
            req_per_s_offered=None if load.users is not None else _rate(load),
            arrivals=None if load.users is not None else load.arrivals,
            start_s=0.0,
            open_s=self._open_s,
            close_s=close_s,
            end_s=close_s,
            stopped="duration",
            think_s=load.think_s,
            extra={
                "engine_preemptions": float(sum(replica.preemptions for replica in self._replicas)),
                "engine_kv_use_max_share": _kv_use(self._engine, self._replicas),
            },
        )
        return Simulated(facts, records)


def _rate(load: Load) -> float:
    """Requests a second: as the load calls itself, else as counted."""
    spent_s = load.arrivals_s[-1] - load.arrivals_s[0]
    return load.req_per_s or (len(load.arrivals_s) - 1) / spent_s if spent_s else float(len(load.arrivals_s))


def _kv_use(engine: Engine, replicas: Sequence[Replica]) -> float | None:
    return max(replica.most_cached for replica in replicas) / engine.kv_tokens if engine.kv_tokens else None


class _Steps(NamedTuple):
    """When the steps of a replica ended, in whole microseconds."""

    ends_us: npt.NDArray[np.int64]
    gaps_us: npt.NDArray[np.uint32]
    """From the step before to each."""


def _records(replica: Replica, over: Sequence[Job], *, close_s: float) -> Iterator[Record]:
    """What the client kept of each request of a replica: a chunk a token."""
    in_flight = replica.stop(close_s)
    ends_us = np.rint(replica.times_s() * US_PER_S).astype(np.int64)
    steps = _Steps(ends_us, np.diff(ends_us, prepend=0).astype("<u4"))
    for job in over:
        yield _record(job, steps, end_s=float(ends_us[job.spans[-1][1]]) / US_PER_S, is_cut=False)
    for job in in_flight:
        if job.due_s < close_s:
            yield _record(job, steps, end_s=close_s, is_cut=True)


def _record(job: Job, steps: _Steps, *, end_s: float, is_cut: bool) -> Record:
    return Record(
        user=job.user,
        k=job.k,
        due_s=job.due_s,
        sent_s=job.due_s,
        chunk_us=_chunks(job, steps),
        end_s=end_s,
        status="cut" if is_cut else "done",
        finish_reason=None if is_cut else "length",
        asked_input_tokens=job.prompt_tokens,
        asked_output_tokens=job.output_tokens if job.k else None,
        input_tokens=None if is_cut else job.prompt_tokens,
        output_tokens=None if is_cut else job.output_tokens,
    )


def _chunks(job: Job, steps: _Steps) -> bytes:
    """Microseconds from the request to its first token and from each to the next, over the steps that gave one."""
    before_us, parts = round(job.due_s * US_PER_S), []
    for first, last in job.spans:
        parts.append((int(steps.ends_us[first]) - before_us).to_bytes(4, "little"))
        parts.append(steps.gaps_us[first + 1 : last + 1].tobytes())
        before_us = int(steps.ends_us[last])
    return b"".join(parts)
