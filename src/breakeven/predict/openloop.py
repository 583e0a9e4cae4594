"""A predicted level of an open loop: requests that come whatever the engines do, let run on simulated ones.

The engines' steps, and so how sure they are, are those of the closed loop. An end of an interval is the load on engines
whose steps take that much longer or shorter: near the capacity a little slower is a long queue, and beyond it the queue
grows as long as requests come, so that no latency is steady.
"""

import itertools
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final, NamedTuple

import numpy as np
from msgspec.structs import replace

from breakeven.caution import Caution
from breakeven.load.arrivals import arrival_times_s, parse_arrivals
from breakeven.metrics.definitions import METRICS
from breakeven.metrics.statistics import QUANTILES, inverted
from breakeven.metrics.summary import Distribution, Estimate, LevelSummary, Quantile
from breakeven.predict.calibrations import Chosen, Figure
from breakeven.predict.closed import Bound, Closed, closed_loop
from breakeven.predict.memory import memory, sequences
from breakeven.predict.replica import Engine
from breakeven.predict.requests import Requests
from breakeven.predict.scheduler import Load, simulate
from breakeven.predict.steptime import StepTime, step_time
from breakeven.predict.tails import ONE, PERCENTILES, STEP_TOKENS, STRAYED, Routed, Strayed, stray, wider
from breakeven.predict.told import FIGURES, WIDER, of_both
from breakeven.predict.wanted import PLAIN, Wanted, best_of, cache_of, caution_of, closed_of, factor_of

LEAST_ANSWERS: Final = 400
MOST_ARRIVALS: Final = 12_000
SETTLED: Final = 3
"""Times E2E / (1 - load / capacity) after which a queue is as long as it will be, on average."""
_ROUNDS: Final = 40
_BEGIN: Final = "predicted"


class Opened(NamedTuple):
    """A level, and what holds it back."""

    level: LevelSummary
    bound: Bound


class Served(NamedTuple):
    """Engines, and what is asked of them."""

    steps: StepTime
    slots: int
    """Of one engine."""
    kv_tokens: int | None
    """That its cache holds; None: it is never full."""
    requests: Requests
    request_s: float
    """Of a TTFT what no scheduler knows of: HTTP and tokenizer."""
    prompts: float
    """`Waiting.prompts`."""
    factor: Callable[[Figure, Closed, float], float | None]
    """The half-width of a figure's 90 % interval where so many users of an engine are in flight."""
    best: Callable[[float, Closed], Closed]
    """What the hardware allows at most."""
    caution: Callable[[str, float], Caution]
    """That nobody measured a level, by what holds it back and its rate."""
    arrivals: str = "poisson"
    behind: Routed = ONE

    def at(self, users: float) -> Closed:
        """One engine with nothing to wait for but what the scheduler lets wait."""
        asked = self.requests
        return closed_loop(
            self.steps,
            users=max(1.0, users),
            input_tokens=asked.input_tokens,
            output_tokens=asked.output_tokens,
            context_tokens=asked.context_tokens,
            slots=self.slots,
            waiting=PLAIN,
            request_s=0.0,
        )

    @property
    def most_req_per_s(self) -> float:
        """Of a replica whose places are all taken, with a line before them or without one."""
        full = (self.at(lined * self.slots).output_tok_per_s for lined in (1, 3))
        return max(full) / self.requests.output_tokens

    def in_flight(self, req_per_s: float) -> float:
        """Little: requests a second x E2E."""
        users = 1.0
        for _ in range(_ROUNDS):
            users = min(req_per_s * self.e2e_s(users), float(self.slots))
        return users

    def e2e_s(self, users: float) -> float:
        """From a request to its last token."""
        found = self.at(users)
        return found.ttft_s + (self.requests.output_tokens - 1) * found.tpot_s


def served_by_cards(wanted: Wanted, chosen: Chosen) -> Served:
    """A model on cards of the table; UsageError where not one context fits on them."""
    closed_of(wanted, chosen, 1)
    held = memory(wanted.model, wanted.gpu, tp=wanted.cards)
    places = sequences(wanted.model, held, context_tokens=wanted.requests.context_tokens)
    return Served(
        steps=step_time(wanted.model, wanted.gpu, chosen.efficiency, tp=wanted.cards),
        slots=places if wanted.max_batch is None else min(places, wanted.max_batch),
        kv_tokens=cache_of(wanted),
        requests=wanted.requests,
        request_s=chosen.efficiency.request_s,
        prompts=chosen.waiting.prompts,
        factor=lambda figure, closed, users: factor_of(wanted, chosen, figure, bound=closed.bound, users=round(users)),
        best=partial(best_of, wanted),
        caution=lambda bound, rate: caution_of(wanted, chosen, bound, load=rate, option="rate"),
        arrivals=wanted.arrivals,
        behind=Routed(wanted.replicas, wanted.routing),
    )


def open_level(served: Served, req_per_s: float) -> Opened:
    """What requests see that come at a rate; above the capacity only that the queue grows."""
    users = served.in_flight(req_per_s / served.behind.replicas)
    closed = served.at(users)
    factor = {name: served.factor(name, closed, max(1.0, users)) for name in FIGURES}
    wide = {name: None if value is None else value**WIDER for name, value in factor.items()}
    most = served.most_req_per_s * served.behind.replicas
    bound = "queue" if req_per_s >= most else closed.bound
    caution = served.caution(bound, req_per_s)
    if req_per_s >= most:
        return Opened(_overrun(served.requests, req_per_s, most, wide["tpot_s"], caution), bound)
    times = _times(served, req_per_s, users=users, factor=wide)
    return Opened(_steady(served.requests, req_per_s, most, wide["tpot_s"], times, caution), bound)


def _steady(
    requests: Requests,
    req_per_s: float,
    most: float,
    factor: float | None,
    times: Mapping[str, Distribution],
    caution: Caution,
) -> LevelSummary:
    """Answers leave as requests come; fewer where the engines may be too slow for them."""
    least = None if factor is None else min(1.0, most / factor / req_per_s)
    return _level(requests, req_per_s, (req_per_s, least and req_per_s * least, req_per_s), times, (caution,))


def _overrun(requests: Requests, req_per_s: float, most: float, factor: float | None, caution: Caution) -> LevelSummary:
    """More come than can be served."""
    ends = (None, None) if factor is None else (most / factor, min(most * factor, req_per_s))
    grows = Caution(
        id="saturated",
        seen="{rate:plain} requests a second come and {most:two} can be served at most: the queue grows as long as "
        "they come",
        advice="no latency is steady there: ask for less, or for more --replicas",
        values={"rate": req_per_s, "most": most},
    )
    return _level(requests, req_per_s, (most, *ends), {}, (grows, caution))


def _level(
    requests: Requests,
    req_per_s: float,
    served: tuple[float, float | None, float | None],
    times: Mapping[str, Distribution],
    cautions: tuple[Caution, ...],
) -> LevelSummary:
    def rate(tokens: float) -> Estimate:
        value, low, high = (None if one is None else one * tokens for one in served)
        return Estimate(value=value, ci95=(low, high))

    return LevelSummary(
        users=None,
        req_per_s_offered=req_per_s,
        status="done",
        steady=bool(times),
        output_tok_per_s=rate(requests.output_tokens),
        total_tok_per_s=rate(requests.input_tokens + requests.output_tokens),
        req_per_s=rate(1.0),
        distributions=dict(times),
        cautions=cautions,
        extra={} if times else {"saturated": True},
    )


def _times(
    served: Served, req_per_s: float, *, users: float, factor: Mapping[Figure, float | None]
) -> dict[str, Distribution]:
    """TTFT, TPOT and E2E on engines as they are, and on slower and faster ones."""
    each = factor["tpot_s"]
    seen = _seen(served, req_per_s, users=users)
    slow, fast = (
        ({}, {})
        if each is None
        else (_seen(served, req_per_s, users=users, longer=longer) for longer in (each, 1 / each))
    )
    closed, output_tokens = served.at(users), served.requests.output_tokens
    best = served.best(max(1.0, users), closed)
    far: Mapping[Strayed, float | None] = {
        "ttft_s": factor["ttft_s"],
        "tpot_s": each,
        "e2e_s": of_both(closed, output_tokens, factor),
    }
    least = {"ttft_s": best.ttft_s, "tpot_s": best.tpot_s}
    least["e2e_s"] = best.ttft_s + (output_tokens - 1) * best.tpot_s
    times: dict[str, Distribution] = {
        name: _distribution(name, seen[name], slow.get(name), fast.get(name), factor=far[name], least=least[name])
        for name in STRAYED
        if seen.get(name)
    }
    if "tpot_s" in times:
        mean = float(np.mean([1 / one for one in seen["tpot_s"] if one]))
        times["tok_per_s_per_user"] = inverted(times["tpot_s"], mean=mean)
    return times


def _distribution(
    name: Strayed,
    seen: list[float],
    slow: list[float] | None,
    fast: list[float] | None,
    *,
    factor: float | None,
    least: float,
) -> Distribution:
    def at(statistic: str) -> Quantile:
        share = QUANTILES[statistic]
        value = float(np.quantile(seen, share))
        tail = next((stray(name, one) for one in PERCENTILES if one == statistic), None)
        more, unsure = (1.0, 1.0) if tail is None else (tail.more, tail.factor**WIDER)
        if factor is None:
            return Quantile(value=value * more, ci95=(None, None))
        high = max(float(np.quantile(slow, share)) / value, factor) if slow else None
        low = max(value / float(np.quantile(fast, share)), factor) if fast else factor
        up, down = wider(high, unsure), wider(low, unsure) or 1.0
        at_least = max(value * more / down, min(value, least))
        return Quantile(value=value * more, ci95=(at_least, None if up is None else value * more * up))

    return replace(Distribution(mean=float(np.mean(seen))), **{one: at(one) for one in ("p50", *PERCENTILES)})


def _seen(served: Served, req_per_s: float, *, users: float, longer: float = 1.0) -> dict[Strayed, list[float]]:
    """The figures of single answers where steps take `longer` times as long; nothing where a queue would grow."""
    load = req_per_s * longer / (served.most_req_per_s * served.behind.replicas)
    if load >= 1:
        return {}
    settled_s = SETTLED * longer * served.e2e_s(users) / (1 - load)
    due_s = max(settled_s, LEAST_ANSWERS / req_per_s)
    shorter = min(1.0, MOST_ARRIVALS / (req_per_s * (2 * settled_s + due_s)))
    settled_s, due_s = settled_s * shorter, due_s * shorter
    end_s = 2 * settled_s + due_s
    drawn = arrival_times_s(req_per_s=req_per_s, variation=parse_arrivals(served.arrivals), ramp_s=0.0, seed=_BEGIN)
    arrivals = list(itertools.takewhile(lambda at_s: at_s < end_s, drawn))
    slots = min(served.slots, MOST_ARRIVALS)
    engine = Engine(
        lambda *step: longer * served.steps.step_s(*step),
        slots=slots,
        step_tokens=max(STEP_TOKENS, slots),
        kv_tokens=served.kv_tokens,
    )
    asked = Load(
        served.requests.lengths, travel_s=0.0, arrivals_s=arrivals, warm_up_s=settled_s, window_s=settled_s + due_s
    )
    records = simulate(engine, asked, **served.behind._asdict()).records
    over = [one for one in records if settled_s <= one.due_s < settled_s + due_s and one.status == "done"]
    first_s = _before(served, users, longer=longer)
    added: Mapping[Strayed, float] = {"ttft_s": first_s, "tpot_s": 0.0, "e2e_s": first_s}
    return {
        name: [value + added[name] for one in over if (value := METRICS[name].of(one)) is not None] for name in STRAYED
    }


def _before(served: Served, users: float, *, longer: float) -> float:
    """Of a TTFT what no scheduler knows of: HTTP and tokenizer, and prompts that are read in threes and fours."""
    asked = served.requests
    context = users * asked.context_tokens
    step_s = served.steps.step_s(0, 0, users, context)
    prompt_s = served.steps.step_s(asked.input_tokens, 0, users, context) - step_s
    extra = max(0.0, served.prompts - 1)
    return served.request_s + longer * extra * (prompt_s + step_s / 2)
