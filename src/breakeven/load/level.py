"""One level: start, warm up, measure, stop, cut. METHOD's section on a level, step by step."""

import asyncio
import contextlib
import math
import secrets
from collections.abc import Callable
from typing import Final, Literal

from msgspec import Struct
from msgspec.structs import replace

from breakeven.caution import Caution
from breakeven.clock import now_s
from breakeven.load.arrivals import parse_arrivals
from breakeven.load.crew import Crew
from breakeven.load.stop import Series, StopRule
from breakeven.load.warmup import Least, least_warmup
from breakeven.load.worker import Counts, LevelSpec
from breakeven.metrics.foregone import Foregone
from breakeven.metrics.goodput import Counted
from breakeven.metrics.slo import Slo
from breakeven.record import LevelFacts, Record, Stopped, WarmUpBy

TICK_S: Final = 0.1
TRACE_LEAD_S: Final = 0.5
"""A trace begins so long after its level, so that the window is open when its first request is due."""
_RATE_NOW_S: Final = 2.0

Phase = Literal["ramp", "warm-up", "measuring", "settling"]


class LevelPlan(Struct, frozen=True, kw_only=True):
    """One level with every default filled in. Times are seconds."""

    users: int | None
    """None in an open loop."""
    req_per_s: float | None = None
    arrivals: str = "poisson"
    times_s: tuple[float, ...] | None = None
    """Due times since the level's start, of a trace that is replayed, or when its sessions begin."""
    plays_whole: bool = False
    """From the first request of a recording to its last, without a warm-up unless one was asked for."""
    repeat: int = 0
    ramp_s: float
    warmup_s: float
    longest_warmup_s: float = 0.0
    """Wait so long, at most, for three turns of the users; 0: `warmup_s` was asked for."""
    longest_fill_s: float = 0.0
    """Open loop: wait so much longer than the least warm-up, at most, for what was due in it to be over."""
    duration_s: float | None = None
    requests: int | None = None
    max_duration_s: float
    precision: float
    least_answers: int = 0
    """Answers that an interval that is narrow enough does not do without: what the percentiles of an SLO need."""
    most_waiting_share: float = 1.0
    """Of the requests so far, at most so many may still wait for a first token when such an interval ends the level."""
    think_s: float = 0.0
    seed: int = 0
    salt: int = 0


class Progress(Struct, frozen=True, kw_only=True):
    """What the live line shows."""

    plan: LevelPlan
    phase: Phase
    phase_s: float
    """Time in this phase."""
    phase_of_s: float | None
    """How long this phase may take; None where it cannot be said."""
    tok_per_s: float | None
    """Over the last two seconds, an estimate."""
    half_width: float | None
    """Relative half-width of the interval at the last look."""
    done: int
    errors: int
    notes: tuple[Caution, ...] = ()
    """Cautions of the crew so far, as `id: text | remedy`."""


class Level:
    """Runs one level on a crew. `run` gives the facts; the records have gone to `emit` by then."""

    def __init__(
        self,
        plan: LevelPlan,
        *,
        crew: Crew,
        zero_s: float,
        stop: asyncio.Event,
        progress: Callable[[Progress], None],
        check: Callable[[], None],
        same_host: bool,
        slo: Slo | None = None,
        names_requests: bool = False,
        session_turns: tuple[int, ...] = (),
    ) -> None:
        self._plan = plan
        self._crew = crew
        self._zero_s = zero_s
        self._stop = stop
        self._progress = progress
        self._check = check
        """Called at every tick; raises what must end the run (a full disk, a dead engine of ours)."""
        self._series = Series()
        self._rule = StopRule(precision=plan.precision)
        self._least = self._least_warmup()
        self._is_precise = False
        self._foregone = None if slo is None else Foregone(slo, measured_only=plan.requests is not None)
        self.missed: Counted | None = None
        """The limit that ended the level, since it is missed whatever comes."""
        self._done_at_open = 0
        self._start_s = now_s()
        self._open_s: float | None = None
        self._sent_s: float | None = None
        """When a trace had sent its last request, which closes its window; the answers are waited for."""
        self._counts: Counts | None = None
        self.facts = LevelFacts(
            users=plan.users,
            req_per_s_offered=plan.req_per_s,
            arrivals=None if plan.users is not None else plan.arrivals,
            repeat=plan.repeat,
            start_s=self._start_s - zero_s,
            measured_requests=plan.requests,
            think_s=plan.think_s,
            same_host=same_host,
            request_ids=f"breakeven-{secrets.token_hex(6)}" if names_requests else None,
            session_turns=session_turns,
        )

    async def run(self, emit: Callable[[Record], None], note: Callable[[LevelFacts], None]) -> LevelFacts:
        """Measure the level. Whatever ends it early, what was in flight is cut and the facts say so."""
        plan = self._plan
        await self._crew.make_ready()
        self._start_s = now_s()
        self.facts = replace(self.facts, start_s=self._start_s - self._zero_s)
        note(self.facts)
        spec = LevelSpec(
            users=plan.users or 0,
            req_per_s=plan.req_per_s,
            variation=1.0 if plan.times_s is not None else parse_arrivals(plan.arrivals),
            times_s=None if plan.times_s is None else list(plan.times_s),
            repeat=plan.repeat,
            seed=plan.seed,
            salt=plan.salt,
            request_ids=self.facts.request_ids,
            ramp_s=plan.ramp_s,
            think_s=plan.think_s,
            zero_s=self._zero_s,
            start_s=self._start_s + (TRACE_LEAD_S if plan.plays_whole else 0.0),
            plays_whole=plan.plays_whole,
        )
        await self._crew.start(spec, _counted(emit, self._foregone))
        stopped: Stopped = "interrupted"
        try:
            stopped = await self._warm_up()
            if self._open_s is not None:
                note(self.facts)
                stopped = await self._measure()
        finally:
            cut_s = await self._crew.cut()
            self._end(stopped, cut_s=cut_s)
        return self.facts

    async def _warm_up(self) -> Stopped:
        """Wait for the least warm-up and every user's first token; opens the window unless there is nothing to see."""
        plan = self._plan
        waited_for: WarmUpBy | None = None
        while not plan.plays_whole or plan.warmup_s > 0:
            counts = await self._tick("ramp" if now_s() < self._start_s + plan.ramp_s else "warm-up")
            if self._stop.is_set():
                return "interrupted"
            self._least = self._least_warmup(counts)
            least_s = self._start_s + self._least.s
            if now_s() < least_s:
                continue
            if (counts.oldest_due_s or math.inf) < least_s and now_s() < least_s + plan.longest_fill_s:
                waited_for = "filling"
                continue
            if not counts.users_begun and not counts.done and counts.users_failed and not counts.in_flight:
                return "failed"
            if counts.users_begun and counts.users_begun + counts.users_failed >= (plan.users or 1):
                waited_for = waited_for or self._least.by
                break
            if counts.exhausted:
                return "failed"
            waited_for = "first_tokens"
        self._open_s = await self._crew.open(measured=plan.requests)
        if self._foregone is not None:
            self._foregone.open_s = self._open_s - self._zero_s
        self._done_at_open = 0 if self._counts is None else self._counts.done
        self.facts = replace(self.facts, open_s=self._open_s - self._zero_s, warm_up_by=waited_for)
        return "failed"

    def _least_warmup(self, counts: Counts | None = None) -> Least:
        plan = self._plan
        return least_warmup(
            ramp_s=plan.ramp_s,
            warmup_s=plan.warmup_s,
            longest_s=plan.longest_warmup_s,
            users=plan.users,
            turns=0 if counts is None else counts.turns,
            turn_s=None if counts is None else counts.turn_s,
        )

    async def _measure(self) -> Stopped:
        """Hold the load until the stop rule, the clock, the count, the trace or the user ends it."""
        while True:
            counts = await self._tick("measuring")
            if self._stop.is_set():
                return "interrupted"
            stopped = self._trace_is_over(counts) if counts.exhausted else self._is_over(counts)
            if stopped is not None:
                return stopped

    def _is_over(self, counts: Counts) -> Stopped | None:
        assert self._open_s is not None
        plan = self._plan
        window_s = now_s() - self._open_s
        if plan.requests is not None and counts.measured_ended >= plan.requests:
            return "requests"
        if self._is_missed(counts, window_s=window_s):
            return "slo"
        if plan.requests is not None:
            return None
        if plan.duration_s is not None:
            return "duration" if window_s >= plan.duration_s else None
        self._is_precise = self._is_precise or self._rule.should_stop(
            self._series, open_s=self._open_s, now_s=counts.at_s, e2e_s=counts.e2e_s
        )
        if self._is_precise and self._can_be_judged(counts):
            return "precision"
        return "max" if window_s >= plan.max_duration_s else None

    def _is_missed(self, counts: Counts, *, window_s: float) -> bool:
        """The limits that would end the level are missed, whatever comes until its end."""
        plan = self._plan
        if self._foregone is not None:
            share = window_s / (plan.duration_s or plan.max_duration_s)
            self.missed = self._foregone.missed(share=share, in_flight=counts.in_flight, requests=plan.requests)
        return self.missed is not None

    def _can_be_judged(self, counts: Counts) -> bool:
        """Enough answers came, and few enough are awaited, for the percentiles that an SLO limits."""
        answers = counts.done - self._done_at_open
        return answers >= self._plan.least_answers and counts.waiting <= self._plan.most_waiting_share * answers

    def _trace_is_over(self, counts: Counts) -> Stopped | None:
        """All is sent; the level ends when all is answered too: every request of the trace has been measured."""
        self._sent_s = self._sent_s or now_s()
        return None if counts.in_flight else "requests"

    async def _tick(self, phase: Phase) -> Counts:
        """Wait for the next tick, or for the end of the window where that is sooner."""
        ends_s = (self._open_s or 0.0) + (self._plan.duration_s or self._plan.max_duration_s)
        wait_s = TICK_S if self._open_s is None or self._plan.requests else min(TICK_S, max(0.0, ends_s - now_s()))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stop.wait(), wait_s)
        self._check()
        self._counts = counts = await self._crew.counts()
        self._series.add(counts.at_s, counts.chunks)
        self._progress(self._show(counts, phase))
        return counts

    def _show(self, counts: Counts, phase: Phase) -> Progress:
        plan = self._plan
        start_s = max(self._start_s, counts.at_s - _RATE_NOW_S)
        rate = self._series.rate(start_s=start_s, end_s=counts.at_s)
        limits = {"ramp": plan.ramp_s, "warm-up": self._least.s}
        measured_s = None if plan.requests else plan.duration_s or plan.max_duration_s
        if plan.times_s and measured_s and not self.facts.session_turns:
            measured_s = min(measured_s, plan.times_s[-1] + TRACE_LEAD_S)
        return Progress(
            plan=plan,
            phase=phase,
            phase_s=counts.at_s - (self._open_s if self._open_s is not None else self._start_s),
            phase_of_s=limits.get(phase, None if measured_s == math.inf else measured_s),
            tok_per_s=None if rate is None else rate * counts.tokens_per_chunk,
            half_width=self._rule.half_width,
            done=counts.done,
            errors=counts.errors,
            notes=self._crew.notes(),
        )

    def _end(self, stopped: Stopped, *, cut_s: float) -> None:
        """Close the window where the level's way of ending says."""
        open_s, close_s = self._open_s, cut_s
        measured = self._plan.requests
        if stopped in ("requests", "slo") and self._counts is not None and self._counts.measured_due_s is not None:
            open_s, last_s = self._counts.measured_due_s
            measured = self._counts.measured_started
            close_s = last_s if last_s > open_s else cut_s  # a trace may ask everything at one moment
        elif self._sent_s is not None:
            close_s = self._sent_s
        self.facts = replace(
            self.facts,
            open_s=None if open_s is None else open_s - self._zero_s,
            close_s=None if open_s is None else close_s - self._zero_s,
            end_s=cut_s - self._zero_s,
            status="interrupted" if stopped == "interrupted" else "failed" if stopped == "failed" else "done",
            stopped=stopped,
            measured_requests=measured,
            own_pauses=self._counts is not None and self._counts.own_pauses,
            clients=self._crew.facts(close_s=close_s),
            notes=self._crew.notes(),
        )


def _counted(emit: Callable[[Record], None], foregone: Foregone | None) -> Callable[[Record], None]:
    """`emit`, and counting for a search. It must not know the level, which would then be part of a reference cycle."""

    def both(record: Record) -> None:
        emit(record)
        if foregone is not None:
            foregone.add(record)

    return both
