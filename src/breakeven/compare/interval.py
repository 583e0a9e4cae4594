"""Intervals of a figure that may be open: from draws, over every way to read between the levels."""

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from breakeven.compare.interpolate import Method
from breakeven.compare.types import NO_INTERVAL, Holds

Array = NDArray[np.float64]


class Draws(NamedTuple):
    """What each draw says of a figure: at least `low`, at most `high`; 0 and inf where it says nothing.

    Where low == high the draw gives the figure itself. Row 0 is what was measured.
    """

    low: Array
    high: Array


class Interval(NamedTuple):
    """`ci95` over all ways; `method_log` and `sampling_log` are the two parts as widths on the log scale."""

    ci95: tuple[float | None, float | None]
    method_log: float
    sampling_log: float
    holds: Holds
    """What is in it: without an interval of any throughput only the ways, and where they agree nothing (then open)."""

    def dominated_by_method(self) -> bool:
        return self.method_log > self.sampling_log


def interval(by_method: Mapping[Method, Draws], *, sampled: bool) -> Interval:
    """The union, over the ways, of each one's 2.5 % and 97.5 % quantiles and its point.

    `sampled`: throughput is drawn from an interval; the draws of a bound may agree all the same.
    """
    ends = [_ends(draws) for draws in by_method.values()]
    low, high = min(end[0] for end in ends), max(end[1] for end in ends)
    points = [float(draws.low[0]) for draws in by_method.values()]
    holds = "sampling" if sampled else _seen_in(by_method)
    return Interval(
        NO_INTERVAL if holds == "nothing" else _closed(low, high),
        log_width(min(points), max(points)),
        log_width(*_ends(by_method["loglog"])),
        holds,
    )


def _seen_in(by_method: Mapping[Method, Draws]) -> Holds:
    if any((values != values[0]).any() for draws in by_method.values() for values in draws):
        return "sampling"
    measured = {(float(draws.low[0]), float(draws.high[0])) for draws in by_method.values()}
    return "method" if len(measured) > 1 else "nothing"


def _ends(draws: Draws) -> tuple[float, float]:
    count = draws.low.size
    low = float(np.sort(draws.low)[math.floor(0.025 * (count - 1))])
    high = float(np.sort(draws.high)[math.ceil(0.975 * (count - 1))])
    return min(low, float(draws.low[0])), max(high, float(draws.high[0]))


def _closed(low: float, high: float) -> tuple[float | None, float | None]:
    return (low if low > 0 else None, high if math.isfinite(high) else None)


def log_width(low: float, high: float) -> float:
    """log(high / low); infinite where an end is open."""
    return math.log(high / low) if low > 0 and math.isfinite(high) else math.inf
