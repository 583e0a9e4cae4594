"""When requests are due in an open loop, whatever the engine does."""

import math
import random
from collections.abc import Iterator

from breakeven.errors import UsageError


def parse_arrivals(text: str) -> float:
    """Coefficient of variation of the gaps: constant is 0, poisson 1, `gamma:CV` its own. UsageError for others."""
    name, _, value = text.partition(":")
    if name in ("constant", "poisson") and not value:
        return 0.0 if name == "constant" else 1.0
    try:
        variation = float(value) if name == "gamma" else math.nan
    except ValueError:
        variation = math.nan
    if not 0 < variation < 100:
        raise UsageError(f"--arrivals '{text}' is unknown; write constant, poisson, or gamma:CV such as gamma:2.5")
    return variation


def arrival_times_s(*, req_per_s: float, variation: float, ramp_s: float, seed: str) -> Iterator[float]:
    """Due times since the level's start, for ever. Gaps are gamma with that coefficient of variation.

    Over the ramp the rate rises from nought in a straight line: the gaps run on the clock L(t) = t^2 / (2 ramp), and
    on t - ramp / 2 after it, so that the same draws serve.
    """
    chance = random.Random(seed)
    shape = 1 / variation**2 if variation else 0.0
    at_s = 0.0 if variation else 0.5 / req_per_s
    while True:
        at_s += chance.gammavariate(shape, 1 / (shape * req_per_s)) if variation else 0.0
        yield at_s + ramp_s / 2 if at_s >= ramp_s / 2 else math.sqrt(2 * ramp_s * at_s)
        at_s += 0.0 if variation else 1 / req_per_s
