"""The users of one client process: each asks, waits for its answer, thinks, and asks again."""

import asyncio
import functools
import gc
import random
import statistics
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from msgspec import Struct

from breakeven.client.answer import Meter
from breakeven.client.ask import Asker, Route, to_record
from breakeven.client.heartbeat import Heartbeat
from breakeven.client.request import RequestMaker
from breakeven.client.routing import RoutedAsker, Routes
from breakeven.client.target import Target
from breakeven.client.wire import read_arrived
from breakeven.clock import cpu_s, now_s
from breakeven.record import ClientFacts, Record, id_text
from breakeven.workload.base import Ask, Workload

_PAUSE_AFTER_ERROR_S: Final = (0.1, 0.2, 0.5, 1.0, 2.0)
"""Pause of a user after one, two, … failed requests in a row, so that a dead server is not hammered."""

_E2E_KEPT: Final = 10_000
"""Latencies that a client keeps for the stop rule, which wants their median."""
_TURNS_KEPT: Final = 1_000
"""Of a warm-up, the latest: so many tell how long a turn takes."""


class LevelSpec(Struct, frozen=True, kw_only=True):
    """What a worker needs to know of a level."""

    users: int
    """Users of the whole level, over all workers; 0 in an open loop."""
    req_per_s: float | None = None
    """Rate of an open loop; None in a closed one."""
    variation: float = 1.0
    """Coefficient of variation of the gaps of an open loop."""
    times_s: list[float] | None = None
    """Due times of an open loop that follows a trace, or when its sessions begin, since the level's start."""
    plays_whole: bool = False
    """Every request of the recording counts that is sent while the window is open, and it is played once."""
    repeat: int
    seed: int
    salt: int
    request_ids: str | None = None
    """What the ids of its requests begin with; None: they are sent without."""
    ramp_s: float
    think_s: float
    zero_s: float
    """Start of the run on the monotonic clock."""
    start_s: float
    """Start of the level on the monotonic clock."""


class Counts(Struct, frozen=True, kw_only=True):
    """What a worker has seen so far in this level."""

    at_s: float
    chunks: int
    users_begun: int
    """Users that have had a first token."""
    users_failed: int
    """Users whose every request so far failed."""
    in_flight: int
    done: int
    errors: int
    tokens_per_chunk: float
    e2e_s: list[float]
    """Latencies of the first 10,000 answers that ended since the window opened, first answers of users excluded."""
    measured_started: int = 0
    measured_ended: int = 0
    exhausted: bool = False
    """An open loop has no more requests to send."""
    measured_due_s: tuple[float, float] | None = None
    """When the first and the last of the measured requests so far were due."""
    own_pauses: bool = False
    """The workload has said how long a user thinks."""
    turns: int = 0
    """Answers that ended before the window opened, first answers of users excluded."""
    turn_s: float | None = None
    """Of these, the median time from when it was due until the next request of its user; in an open loop, its own."""
    oldest_due_s: float | None = None
    """Open loop: when the oldest request in flight was due."""
    waiting: int = 0
    """Requests that have had no first token yet."""


class Made(NamedTuple):
    """A request before it is sent."""

    ask: Ask
    body: bytes
    model: str | None
    """The model that it asks for, where there are several."""


class User:
    """One user: who asks, and how it went so far."""

    __slots__ = ("asker", "errors_in_a_row", "had_token", "made", "number", "task")

    def __init__(self, number: int, asker: Asker | RoutedAsker) -> None:
        self.number = number
        self.asker = asker
        self.had_token = False
        self.errors_in_a_row = 0
        self.made: Made | None = None
        """The next request, once there was time to make it."""
        self.task: asyncio.Task[None] | None = None

    def has_begun(self) -> bool:
        self.had_token = self.had_token or self.asker.has_output()
        return self.had_token


class Worker:
    """Runs the users of a level, one after the other level. Records go to `emit` as they end."""

    def __init__(self, *, target: Target, maker: RequestMaker, workload: Workload, client: int = 0) -> None:
        self._meter = Meter()
        routes = [Route(one, maker.path, meter=self._meter) for one in target.replicas]
        self._routes = Routes(routes, routing=target.access.routing, first=client)
        self._maker = maker
        self._workload = workload
        self._client = client
        self._beat = Heartbeat()
        self._users: list[User] = []
        self._emit: Callable[[Record], None] = _drop
        self._fault: BaseException | None = None

    def hush(self) -> None:
        """Collect garbage now and not again before `cut`: it takes tens of milliseconds, so it comes before `start`."""
        gc.collect()
        gc.freeze()
        gc.disable()

    def start(self, spec: LevelSpec, users: Sequence[int], emit: Callable[[Record], None]) -> None:
        """Start these users of the level, spread over its ramp."""
        self._spec, self._emit = spec, emit
        self._workload.use_salt(mix(spec.salt, spec.users, round((spec.req_per_s or 0.0) * 1e6), spec.repeat))
        self._stopping = self._exhausted = self._own_pauses = False
        self._open_s: float | None = None
        self._measured: int | None = None
        self._measured_started = self._measured_ended = 0
        self._measured_due_s: tuple[float, float] | None = None
        self._done = self._errors = self._done_chunks = self._done_tokens = 0
        self._e2e_s: list[float] = []
        self._turns, self._turns_s = 0, deque[float](maxlen=_TURNS_KEPT)
        self._chunks_before = self._meter.chunks
        self._beat.start()
        self._users = [User(number, self._routes.asker()) for number in users]
        for user in self._users:
            user.task = asyncio.create_task(self._live(user))
            user.task.add_done_callback(self._watch)

    def _another(self, number: int) -> User:
        """One more who asks."""
        user = User(number, self._routes.asker())
        self._users.append(user)
        return user

    def _watch(self, task: "asyncio.Task[None]") -> None:
        if not task.cancelled() and (fault := task.exception()) is not None:
            self._fault = self._fault or fault

    async def _live(self, user: User) -> None:
        """One user's life: its first answer has a random length, so that users do not march in step."""
        spec = self._spec
        chance = random.Random(f"{spec.seed}/{spec.users}/{spec.repeat}/{user.number}")
        try:
            await sleep_until(spec.start_s + spec.ramp_s * user.number / spec.users)
            k = 0
            due_s = now_s()
            made = self._next(user, k, cap=chance.random())
            while not self._stopping:
                make_next = functools.partial(self._make_ahead, user, k + 1)
                record = await self._ask(user, k, made, due_s=due_s, meanwhile=make_next)
                pause_s = self._after(user, record)
                k += 1
                made, user.made = user.made or self._next(user, k), None
                asked_s, due_s = due_s, spec.zero_s + record.end_s
                self._own_pauses = self._own_pauses or made.ask.think_s is not None
                think_s = spec.think_s if made.ask.think_s is None else made.ask.think_s
                self._note_turn(record, took_s=due_s + think_s - asked_s)
                if pause_s + think_s > 0 and not self._stopping:
                    due_s += pause_s + think_s
                    await sleep_until(due_s)
        except asyncio.CancelledError:
            if not self._stopping:
                raise

    def _make_ahead(self, user: User, k: int) -> None:
        """Make a user's next request while its answer is awaited: a long prompt takes a millisecond, which is ours."""
        if user.made is None and not self._stopping:
            try:
                user.made = self._next(user, k)
            except Exception as fault:  # noqa: BLE001  (whatever it is, it stops the run)
                self._fault = self._fault or fault

    def _next(self, user: User, k: int, *, cap: float | None = None) -> Made:
        """A request of this user, as it goes out."""
        spec = self._spec
        place = spec.users, spec.repeat, user.number, k
        ask = self._workload.make(nonce=mix(spec.salt, *place), user=user.number, k=k)
        return self._made_of(ask, most=None if cap is None else 1 + int(cap * ask.output_tokens), place=place)

    def _made_of(self, ask: Ask, *, most: int | None, place: Sequence[int]) -> Made:
        """The bytes of a request. Which of several models it asks for follows the seed and its place in the load."""
        model = self._maker.model_of(mix(self._spec.seed, *place)) if self._maker.shares else None
        return Made(ask, self._maker.encode(ask, output_tokens=most, model=model), model)

    async def _ask(
        self,
        user: User,
        k: int,
        made: Made,
        *,
        due_s: float,
        meanwhile: Callable[[], None] | None = None,
    ) -> Record:
        measured = self._counts_as_measured(k)
        if measured:
            self._measured_started += 1
            self._measured_due_s = (self._measured_due_s or (due_s, due_s))[0], due_s
        ask = made.ask
        ids = self._spec.request_ids
        named = None if ids is None else id_text(ids, user=user.number, k=k)
        seen = await user.asker.ask(made.body, due_s=due_s, named=named, meanwhile=meanwhile)
        if measured:
            self._measured_ended += 1
        record = to_record(
            seen,
            zero_s=self._spec.zero_s,
            user=user.number,
            k=k,
            due_s=due_s,
            asked_input_tokens=ask.input_tokens,
            asked_shared_tokens=ask.shared_tokens,
            asked_output_tokens=ask.output_tokens if ask.exact_length and k else None,
            prompt=ask.name,
            model=made.model,
            measured=measured,
            client=self._client,
        )
        self._emit(record)
        return record

    def _counts_as_measured(self, k: int) -> bool:
        """Of what is played from end to end every request counts that is sent while the window is open."""
        if self._spec.plays_whole:
            return self._open_s is not None
        return (
            self._measured is not None
            and self._open_s is not None
            and k > 0
            and self._measured_started < self._measured
        )

    def _after(self, user: User, record: Record) -> float:
        """Count an answer; the pause that an error earns."""
        if record.status == "error":
            self._errors += 1
            user.errors_in_a_row += 1
            return _PAUSE_AFTER_ERROR_S[min(user.errors_in_a_row, len(_PAUSE_AFTER_ERROR_S)) - 1]
        user.errors_in_a_row = 0
        if record.status == "done":
            user.had_token = True
            self._done += 1
            if record.output_tokens is not None and record.chunk_us:
                self._done_tokens += record.output_tokens
                self._done_chunks += len(record.chunk_us) // 4
            if record.k and self._open_s is not None and len(self._e2e_s) < _E2E_KEPT:
                self._e2e_s.append(record.end_s - record.due_s)
        return 0.0

    def _note_turn(self, record: Record, *, took_s: float) -> None:
        """While the level warms up: how long a whole answer took, with the pause after it."""
        if self._open_s is None and record.k and record.status == "done":
            self._turns += 1
            self._turns_s.append(took_s)

    def counts(self, *, e2e_from: int = 0) -> Counts:
        """What was seen so far, latencies from the `e2e_from`-th on; raises a fault of ours that stopped a user."""
        if self._fault is not None:
            raise self._fault
        begun = sum(user.has_begun() for user in self._users)
        in_flight = [user.asker for user in self._users if user.asker.answer is not None]
        return Counts(
            at_s=now_s(),
            chunks=self._meter.chunks - self._chunks_before,
            users_begun=begun,
            users_failed=sum(user.errors_in_a_row > 0 and not user.had_token for user in self._users),
            in_flight=len(in_flight),
            waiting=sum(not asker.has_output() for asker in in_flight),
            done=self._done,
            errors=self._errors,
            tokens_per_chunk=self._done_tokens / self._done_chunks if self._done_chunks else 1.0,
            e2e_s=self._e2e_s[e2e_from:] if e2e_from else self._e2e_s,
            turns=self._turns,
            turn_s=statistics.median(self._turns_s) if self._turns_s and self._open_s is None else None,
            measured_started=self._measured_started,
            measured_ended=self._measured_ended,
            exhausted=self._exhausted,
            measured_due_s=self._measured_due_s,
            own_pauses=self._own_pauses,
        )

    def open(self, *, measured: int | None = None, at_s: float | None = None) -> float:
        """The window opens now (or opened a moment ago, at `at_s`); `measured` requests count from here on."""
        read_arrived()
        self._open_s = now_s() if at_s is None else at_s
        self._measured = measured
        self._cpu_before_s, self._reads_before = cpu_s(), self._meter.reads
        self._own_stamps_before = self._meter.own_stamps
        return self._open_s

    async def cut(self) -> float:
        """End the level: whatever is in flight is cut. Returns the stamp, which closes a window bounded by time."""
        self._stopping = True
        read_arrived()
        await asyncio.sleep(0)  # answers that are complete now end as such
        at_s = self._cut_s = now_s()
        self._cpu_after_s, self._reads_after = cpu_s(), self._meter.reads
        self._own_stamps_after = self._meter.own_stamps
        tasks = [user.task for user in self._users if user.task is not None]
        try:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        finally:
            self._beat.stop()
            for user in self._users:
                user.asker.drop()
            gc.enable()
            gc.unfreeze()
        if self._fault is not None:
            raise self._fault
        return at_s

    def facts(self, *, close_s: float) -> ClientFacts | None:
        """How this client did in its window; None where there was no window."""
        if self._open_s is None:
            return None
        p50, p99, most = self._beat.lags_s(open_s=self._open_s, close_s=close_s)
        return ClientFacts(
            cpu_s=self._cpu_after_s - self._cpu_before_s,
            window_s=max(self._cut_s - self._open_s, 1e-9),
            lag_p50_s=p50,
            lag_p99_s=p99,
            lag_max_s=most,
            reads=self._reads_after - self._reads_before,
            own_stamps=self._own_stamps_after - self._own_stamps_before,
            client=self._client,
        )


def _drop(record: Record) -> None:
    """Nobody wants records before a level has started."""


async def sleep_until(at_s: float) -> None:
    """Wait for a stamp of the monotonic clock."""
    while (left_s := at_s - now_s()) > 0:  # noqa: ASYNC110  (a timer may fire a millisecond early)
        await asyncio.sleep(left_s)


def mix(*parts: int) -> int:
    """64 bits out of some integers (splitmix64's finalizer after each), for nonces; no cryptography."""
    mixed = 0
    for part in parts:
        mixed = (mixed + part + 0x9E3779B97F4A7C15) & 0xFFFFFFFFFFFFFFFF
        mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
        mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & 0xFFFFFFFFFFFFFFFF
        mixed ^= mixed >> 31
    return mixed
