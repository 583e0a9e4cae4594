"""How far single answers stray from the middle one: percentiles of a level that is let run on the simulated engine.

The middle of a predicted level comes from the balance of `closed`, which was fitted to measurements; the scheduler says
how many times as large the 90th, 95th and 99th percentile is. Measured answers stray further than simulated ones:
`reference/tails.csv` has how much, and how unlike rounds and engines are in it (benchmarks/predict_tails.py).
"""

import functools
import math
from collections.abc import Mapping
from typing import Final, Literal, NamedTuple

import numpy as np

from breakeven.metrics.definitions import METRICS
from breakeven.metrics.statistics import QUANTILES
from breakeven.predict.closed import Closed
from breakeven.predict.replica import Engine, StepTime
from breakeven.predict.requests import Requests
from breakeven.predict.scheduler import Load, simulate
from breakeven.reference.fleet import read_rows

Strayed = Literal["ttft_s", "tpot_s", "e2e_s"]
Percentile = Literal["p90", "p95", "p99"]
STRAYED: Final[tuple[Strayed, ...]] = ("ttft_s", "tpot_s", "e2e_s")
PERCENTILES: Final[tuple[Percentile, ...]] = ("p90", "p95", "p99")
LEAST_ANSWERS: Final = 100
"""From which on there is a p99."""
DRAWN_ANSWERS: Final = 400
"""The same where lengths differ, whose mean few answers tell badly."""
MANY_ANSWERS: Final = 200
"""From which on one of each user will do; of fewer users each has two."""
STEP_TOKENS: Final = 2048
"""Tokens that a step takes on, where users are no more than that: vLLM's default of chunked prefill."""
_SETTLING: Final = 1.5
"""Answers of every user that are over before the window opens, the first of them cut short."""

Ratios = Mapping[Strayed, Mapping[str, float]]
"""Of each figure `mean`, `p50` and PERCENTILES: by what its middle is to be multiplied."""


class Routed(NamedTuple):
    """Replicas, and which of them gets the next request."""

    replicas: int = 1
    routing: str = "round-robin"


ONE: Final = Routed()
BALANCED: Final = "least-loaded"


def ratios(
    step_s: StepTime,
    closed: Closed,
    requests: Requests,
    *,
    users: int,
    kv_tokens: int | None,
    max_batch: int | None = None,
    behind: Routed = ONE,
) -> Ratios:
    """Mean and percentiles of TTFT, TPOT and E2E of `users` in a closed loop, each replica's middle being `closed`.

    Where requests are alike the middle is the median, else the mean, since a balance of means told it; and that of
    replicas which all have their share. Of the requests that are due while each user has two answers (one from 200
    users on), and 100 in all, after one and a half of each; the level runs on until nearly all of them are over, and
    those that are not are left out. A figure that no answer has, such as the TPOT of answers of one token, is missing.
    """
    slots = users if max_batch is None else min(users, max_batch)
    engine = Engine(step_s, slots=slots, step_tokens=max(STEP_TOKENS, slots), kv_tokens=kv_tokens)
    seen = _seen(engine, closed, requests, users=users, behind=behind)
    fair = seen
    if behind.replicas > 1 and behind.routing != BALANCED:
        fair = _seen(engine, closed, requests, users=users, behind=behind._replace(routing=BALANCED))
    found: dict[Strayed, Mapping[str, float]] = {}
    for name in STRAYED:
        if seen[name] and fair[name]:
            middle = float(np.mean(fair[name]) if requests.drawn else np.median(fair[name]))
            at = ("p50", *PERCENTILES)
            told = np.quantile(seen[name], [0.5, *(QUANTILES[one] for one in PERCENTILES)]).tolist()
            found[name] = {"mean": float(np.mean(seen[name]) / np.mean(fair[name]))} | {
                one: value / middle for one, value in zip(at, told, strict=True)
            }
    return found


def _seen(
    engine: Engine, closed: Closed, requests: Requests, *, users: int, behind: Routed
) -> Mapping[Strayed, list[float]]:
    """The figures of single answers."""
    e2e_s = closed.ttft_s + (requests.output_tokens - 1) * closed.tpot_s
    least = DRAWN_ANSWERS if requests.drawn else LEAST_ANSWERS
    answers = max(1.0, min(2.0, MANY_ANSWERS / users), least / users)
    open_s, due_s = _SETTLING * e2e_s, e2e_s * answers
    load = Load(requests.lengths, users=users, warm_up_s=open_s, window_s=due_s + _SETTLING * e2e_s)
    records = simulate(engine, load, replicas=behind.replicas, routing=behind.routing).records
    over = [one for one in records if one.k and open_s <= one.due_s < open_s + due_s and one.status == "done"]
    return {name: [value for one in over if (value := METRICS[name].of(one)) is not None] for name in STRAYED}


class Stray(NamedTuple):
    """How far measured answers strayed from the middle, beside simulated ones."""

    more: float
    """Median of measured ratio / simulated ratio: an engine has hiccups that no scheduler knows of."""
    factor: float
    """Half-width of the 90 % interval of a single ratio around that, as a factor; of an engine that is not among
    them."""


def stray(figure: Strayed, at: Percentile) -> Stray:
    """What the engines said whose percentiles were measured beside their step times."""
    return _strays()[figure, at]


def wider(middle: float | None, tail: float) -> float | None:
    """exp(sqrt(log^2 middle + log^2 tail)): the middle and its ratio go wrong each for itself."""
    return None if middle is None else math.exp(math.hypot(math.log(middle), math.log(tail)))


@functools.cache
def _strays() -> Mapping[tuple[str, str], Stray]:
    return {
        (row["figure"], row["percentile"]): Stray(float(row["more"]), float(row["factor"]))
        for row in read_rows("tails.csv")
    }
