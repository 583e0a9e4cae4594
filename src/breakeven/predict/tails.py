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
from breakeven.predict.scheduler import LengthsOf, Load, simulate
from breakeven.reference.fleet import read_rows

Strayed = Literal["ttft_s", "tpot_s", "e2e_s"]
Percentile = Literal["p90", "p95", "p99"]
STRAYED: Final[tuple[Strayed, ...]] = ("ttft_s", "tpot_s", "e2e_s")
PERCENTILES: Final[tuple[Percentile, ...]] = ("p90", "p95", "p99")
LEAST_ANSWERS: Final = 100
"""From which on there is a p99."""
MANY_ANSWERS: Final = 200
"""From which on one of each user will do; of fewer users each has two."""
STEP_TOKENS: Final = 2048
"""Tokens that a step takes on, where users are no more than that: vLLM's default of chunked prefill."""
_SETTLING: Final = 1.5
"""Answers of every user that are over before the window opens, the first of them cut short."""

Ratios = Mapping[Strayed, Mapping[Percentile, float]]
"""Percentile / median of each figure."""


def ratios(
    step_s: StepTime, closed: Closed, lengths: LengthsOf, *, users: int, output_tokens: float, kv_tokens: int | None
) -> Ratios:
    """Percentile / median of TTFT, TPOT and E2E of `users` in a closed loop whose middle is `closed`.

    Of the requests that are due while each user has two answers (one from 200 users on), and 100 in all, after one and
    a half of each; the level runs on until nearly all of them are over, and those that are not are left out. A figure
    that no answer has, such as the TPOT of answers of one token, is missing.
    """
    e2e_s = closed.ttft_s + (output_tokens - 1) * closed.tpot_s
    answers = max(1.0, min(2.0, MANY_ANSWERS / users), LEAST_ANSWERS / users)
    open_s, due_s = _SETTLING * e2e_s, e2e_s * answers
    load = Load(lengths, users=users, warm_up_s=open_s, window_s=due_s + _SETTLING * e2e_s)
    engine = Engine(step_s, slots=users, step_tokens=max(STEP_TOKENS, users), kv_tokens=kv_tokens)
    seen = [one for one in simulate(engine, load).records if one.k and open_s <= one.due_s < open_s + due_s]
    found: dict[Strayed, Mapping[Percentile, float]] = {}
    for name in STRAYED:
        values = [value for one in seen if (value := METRICS[name].of(one)) is not None and one.status == "done"]
        if values:
            middle, *far = np.quantile(values, [0.5, *(QUANTILES[at] for at in PERCENTILES)]).tolist()
            found[name] = {at: value / middle for at, value in zip(PERCENTILES, far, strict=True)}
    return found


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
