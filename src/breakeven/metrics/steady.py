"""Where the warm-up ends, found from the data: MSER-5, and a guard that keeps noise from cutting windows.

MSER takes off the start of a series so much that the mean of the rest is best known: the d that minimises
S(d) / (n - d)^2, with S(d) the sum of squares of the rest about its mean (White 1997, Simulation 69:323). MSER-5 does
so on means of five observations (White, Cobb and Spratt 2000, Winter Simulation Conference). A d past the middle means
that the series is too short to tell (Hoad, Robinson and Davies 2010, J. Oper. Res. Soc. 61:1389). docs/STEADY.md has
the figures behind the guard.
"""

import math
from typing import Final

import numpy as np

from breakeven.metrics.statistics import (
    BATCH_COUNTS,
    SHORTEST_BATCH_S,
    Cumulative,
    Floats,
    batch_half_width,
    t_quantile,
)

OBSERVATION_S: Final = 0.1
PER_BATCH: Final = 5
LEAST_BATCHES: Final = 10
LEAST_CHANGE: Final = 0.05
SURE: Final = 4.0
"""Standard errors between the part before and the part after that noise is not believed to make."""
MOST_FALL: Final = 0.5
"""A throughput that falls below this part of what it was has met a fault: that is no warm-up."""
_ROUNDING: Final = 1e-12
_LEAST_STAYS_S: Final = BATCH_COUNTS[0] * SHORTEST_BATCH_S


def mser5(series: Floats) -> int | None:
    """Observations to take off the start, a multiple of five; None where the series is too short to tell."""
    count = len(series) // PER_BATCH
    if count < LEAST_BATCHES:
        return None
    means = series[: count * PER_BATCH].reshape(count, PER_BATCH).mean(axis=1)
    left = np.arange(count, 0, -1)
    sums, squares = (np.cumsum(part[::-1])[::-1] for part in (means, means**2))
    spread = squares - sums**2 / left
    errors = np.where(spread > _ROUNDING * squares[0], spread, 0.0) / left.astype(np.float64) ** 2
    best = int(np.argmin(errors[: count - LEAST_BATCHES // 2]))
    return best * PER_BATCH if best <= count // 2 else None


def warm_up_end_s(by: Cumulative, *, start_s: float, close_s: float) -> float | None:
    """When the throughput since `start_s` has settled by MSER-5; None where it cannot be told."""
    count = max(0, int((close_s - start_s) / OBSERVATION_S))
    cut = mser5(np.diff(by(start_s + OBSERVATION_S * np.arange(count + 1.0))))
    return None if cut is None else start_s + cut * OBSERVATION_S


def steady_from_s(by: Cumulative, *, start_s: float, open_s: float, close_s: float) -> float:
    """When the window should begin: where MSER-5 says, if that is later than `open_s` for a good reason; else `open_s`.

    A good reason is a throughput that differs by more than 5 %, and by more than four standard errors, between the
    part that would go and the part that would stay; and the part that stays is half of the window or more. A fall to
    less than half is a fault of the server, not a warm-up.
    """
    end_s = warm_up_end_s(by, start_s=start_s, close_s=close_s)
    if end_s is None or not open_s < end_s <= (open_s + close_s) / 2 or close_s - end_s < _LEAST_STAYS_S:
        return open_s
    first, middle, last = by(np.array([open_s, end_s, close_s]))
    before, after = (middle - first) / (end_s - open_s), (last - middle) / (close_s - end_s)
    half = batch_half_width(by, open_s=end_s, close_s=close_s)
    if half is None or abs(before - after) <= LEAST_CHANGE * after or after < before * MOST_FALL:
        return open_s
    error = half / t_quantile(BATCH_COUNTS[0] - 1)  # the widest of three half-widths: rather too large than too small
    both = error * math.sqrt(1 + (close_s - end_s) / (end_s - open_s))
    return end_s if abs(before - after) > SURE * both else open_s
