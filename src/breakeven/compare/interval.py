"""Intervals of a figure that may be open: what the levels allow between them, and draws of what was measured."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from breakeven.compare.types import NO_INTERVAL, Holds

Array = NDArray[np.float64]
_HAIR = 1e-9
"""Relative width below which two ends are one number."""


class Draws(NamedTuple):
    """What each draw says of a figure: at least `low`, at most `high`; 0 and inf where it says nothing.

    Where low == high the draw gives the figure itself. Row 0 is what was measured.
    """

    low: Array
    high: Array


class Bounds(NamedTuple):
    """The least and the greatest that a figure may be by what lies between the levels; 0 and inf are open ends."""

    low: float
    high: float

    def over(self, other: "Bounds") -> "Bounds":
        """Of a quotient."""
        low = self.low / other.high if other.high > 0 else 0.0
        return Bounds(low, self.high / other.low if other.low > 0 else math.inf)


class Interval(NamedTuple):
    """`ci95`; `between_log` and `sampling_log` are its two parts as widths on the log scale."""

    ci95: tuple[float | None, float | None]
    between_log: float
    sampling_log: float
    holds: Holds

    @property
    def width_log(self) -> float:
        """log(high / low); infinite where an end is open."""
        low, high = self.ci95
        return math.inf if low is None or high is None else log_width(low, high)

    def dominated_by_levels(self) -> bool:
        return self.between_log > self.sampling_log


def interval(draws: Draws, between: Bounds, *, sampled: bool) -> Interval:
    """The bounds between the levels, each moved by as much as a 2.5 % or 97.5 % quantile of the draws moves the value.

    `sampled`: throughput is drawn from an interval; the draws of a bound may agree all the same.
    """
    (low0, high0), (low, high) = (float(draws.low[0]), float(draws.high[0])), _quantiles(draws)
    by_levels = Bounds(min(between.low, low0), max(between.high, high0))
    widened = Bounds(
        by_levels.low * low / low0 if low0 > 0 else 0.0,
        by_levels.high * high / high0 if math.isfinite(high0) else math.inf,
    )
    holds = "sampling" if sampled else _seen_in(draws, by_levels)
    return Interval(
        NO_INTERVAL if holds == "nothing" else _closed(widened),
        log_width(*by_levels),
        log_width(low, high),
        holds,
    )


def of_brackets(draws: Draws, *, sampled: bool) -> Interval:
    """Of figures that each draw leaves within a bracket: row 0 is the one measured, with no more than that between."""
    between_log = log_width(float(draws.low[0]), float(draws.high[0]))
    ends = Bounds(*_quantiles(draws))
    sampling_log = max(log_width(*ends) - between_log, 0.0) if math.isfinite(between_log) else 0.0
    varies = sampled or any((values != values[0]).any() for values in draws)
    holds: Holds = "sampling" if varies else "levels" if between_log > _HAIR else "nothing"
    return Interval(NO_INTERVAL if holds == "nothing" else _closed(ends), between_log, sampling_log, holds)


def _seen_in(draws: Draws, between: Bounds) -> Holds:
    if any((values != values[0]).any() for values in draws):
        return "sampling"
    measured = Bounds(float(draws.low[0]), float(draws.high[0]))
    return (
        "levels"
        if between.low < measured.low * (1 - _HAIR) or between.high > measured.high * (1 + _HAIR)
        else "nothing"
    )


def _quantiles(draws: Draws) -> tuple[float, float]:
    """2.5 % of the least values, 97.5 % of the greatest, with the measured ones in between."""
    count = draws.low.size
    low = float(np.sort(draws.low)[math.floor(0.025 * (count - 1))])
    high = float(np.sort(draws.high)[math.ceil(0.975 * (count - 1))])
    return min(low, float(draws.low[0])), max(high, float(draws.high[0]))


def _closed(ends: Bounds) -> tuple[float | None, float | None]:
    return (ends.low if ends.low > 0 else None, ends.high if math.isfinite(ends.high) else None)


def log_width(low: float, high: float) -> float:
    """log(high / low); infinite where an end is open."""
    return math.log(high / low) if low > 0 and math.isfinite(high) else math.inf
