"""Repeats of a level put together: the mean of the logs, and the wider of the intervals between and within them.

The one way: `show`, `compare` and the pages say the same figure of the same repeats.
"""

import math
from collections.abc import Sequence
from statistics import NormalDist, fmean, stdev
from typing import Final, NamedTuple

from breakeven.metrics.statistics import SECTIONS, t_quantile
from breakeven.metrics.summary import Estimate, Quantile

Z95: Final = NormalDist().inv_cdf(0.975)


_FAR_APART: Final = 4.0
"""High / low of an interval of two repeats from which on they tell nothing."""


class Measured(NamedTuple):
    """One figure of one level. `log_half` is half its 95 % interval on the log scale; None where it has none."""

    value: float | None = None
    log_half: float | None = None
    ci95: tuple[float | None, float | None] = (None, None)
    more_than: float | None = None
    """The percentile fell on an answer that never ended: it is more than this, and `value` is None."""
    df: int = SECTIONS - 1
    """Degrees of freedom of the Student's t in its interval, at least."""

    def estimate(self) -> Estimate:
        return Estimate(value=self.value, ci95=self.ci95)


def of_estimate(estimate: Estimate) -> Measured:
    """A rate, as it is put together."""
    return _measured(estimate.value, estimate.ci95)


def of_quantile(quantile: Quantile) -> Measured:
    """A percentile, as it is put together."""
    if quantile.value is None and quantile.more_than is not None:
        return Measured(more_than=quantile.more_than)
    return _measured(quantile.value, quantile.ci95)


def _measured(value: float | None, ci95: tuple[float | None, float | None]) -> Measured:
    if value is None or value <= 0:
        return Measured()
    return Measured(value, _log_half(value, ci95), ci95)


def _log_half(value: float, ci95: tuple[float | None, float | None]) -> float | None:
    """The wider side of an interval on the log scale; a lower end at 0 or less counts as its distance / value."""
    low, high = ci95
    sides = []
    if low is not None:
        sides.append(math.log(value / low) if low > 0 else (value - low) / value)
    if high:
        sides.append(math.log(high / value))
    return max(0.0, *sides) if sides else None


class Halves(NamedTuple):
    """The middle of repeats and both half-widths of its 95 % interval, on the log scale."""

    middle: float
    between: float
    """t(n - 1) x sd of the logs / root(n)."""
    within: float | None
    """From the repeats' own intervals, root(sum of squares) / n; None where one has none."""


def halves(repeats: Sequence[Measured]) -> Halves | None:
    """Of two or more repeats; None where one lacks the figure."""
    values = [one.value for one in repeats if one.value is not None]
    if len(values) < max(len(repeats), 2):
        return None
    logs = [math.log(value) for value in values]
    own = [one.log_half for one in repeats if one.log_half is not None]
    within = math.sqrt(sum(half * half for half in own)) / len(own) if len(own) == len(repeats) else None
    return Halves(fmean(logs), t_quantile(len(logs) - 1) * stdev(logs) / math.sqrt(len(logs)), within)


def pool_figure(repeats: Sequence[Measured]) -> Measured:
    """One figure from repeats of a level: the mean of the logs with the wider interval.

    A repeat without the figure leaves the level without it.
    """
    if len(repeats) == 1:
        return repeats[0]
    found = halves(repeats)
    if found is None:
        over = [one.more_than for one in repeats if one.more_than is not None]
        return Measured(more_than=max(over)) if over else Measured()
    is_between = found.within is None or found.between >= found.within
    pooled = from_log(found.middle, max(found.between, found.within or 0.0))
    return pooled._replace(df=len(repeats) - 1) if is_between else pooled


def cannot_tell(repeats: int, ci95: tuple[float | None, float | None]) -> bool:
    """Two repeats whose interval reaches twofold either way: with one degree of freedom Student's t is 12.7."""
    low, high = ci95
    return repeats == 2 and low is not None and high is not None and high > _FAR_APART * low


def from_log(log_value: float, half: float) -> Measured:
    """A figure and its interval from the log scale."""
    return Measured(math.exp(log_value), half, (math.exp(log_value - half), math.exp(log_value + half)))
