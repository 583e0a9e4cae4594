"""Percentiles with the intervals of order statistics, for values that another tool measured."""

import math
from collections.abc import Sequence

from breakeven.metrics.summary import Distribution, Quantile

_TAIL = 0.025
_Z = 1.959964
_MANY = 2000
_TINY = 1e-300


def distribution(values: Sequence[float]) -> Distribution:
    """Mean and percentiles of per-request values; each percentile by `quantile`."""
    if not values:
        return Distribution()
    ordered = sorted(values)
    p50, p90, p95, p99 = (quantile(ordered, q) for q in (0.5, 0.9, 0.95, 0.99))
    return Distribution(n=len(ordered), mean=math.fsum(ordered) / len(ordered), p50=p50, p90=p90, p95=p95, p99=p99)


def quantile(ordered: Sequence[float], q: float) -> Quantile:
    """The ceil(q n)-th smallest of ascending values, with the 95 % interval of its rank.

    The value is None below n = 1/(1-q). An end of the interval is None where n is too small for it: the upper end of
    p50 needs 6 values, of p90 36, of p95 72, of p99 368.
    """
    n = len(ordered)
    if n * (1 - q) < 1 - 1e-9:
        return Quantile(value=None, ci95=(None, None))
    lower, upper = _ranks(n, q)
    value = ordered[max(1, math.ceil(q * n - 1e-9)) - 1]
    return Quantile(
        value=value,
        ci95=(ordered[lower - 1] if lower >= 1 else None, ordered[upper - 1] if upper <= n else None),
    )


def _ranks(n: int, q: float) -> tuple[int, int]:
    """Ranks l and u (from 1) with P(B < l) <= 2.5 % and P(B >= u) <= 2.5 % for B binomial(n, q); 0 and n+1: none.

    Above 2000 values by the normal approximation: the ranks then differ by one at most, and summing takes long.
    """
    if n > _MANY:
        half = _Z * math.sqrt(n * q * (1 - q))
        return max(0, math.floor(n * q - half)), min(n + 1, math.ceil(n * q + half) + 1)
    below = 0.0
    lower, upper = 0, n + 1
    for k in range(n + 1):
        if below <= _TAIL:
            lower = k
        below += _binomial(n, k, q=q)
        if below >= 1 - _TAIL:
            upper = k + 1
            break
    return lower, upper


def _binomial(n: int, k: int, *, q: float) -> float:
    ways = math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
    return math.exp(ways + k * math.log(q) + (n - k) * math.log1p(-q))


def quoted(n: int, **figures: float | None) -> Distribution:
    """Figures that another tool calculated, `mean p50 p90 p95 p99`, as they are: without intervals.

    A percentile of fewer than 1/(1-q) requests is left out: it is the largest value under another name.
    """
    p50, p90, p95, p99 = (_as_quoted(n, q, figures.get(f"p{round(100 * q)}")) for q in (0.5, 0.9, 0.95, 0.99))
    return Distribution(n=n, mean=figures.get("mean"), p50=p50, p90=p90, p95=p95, p99=p99)


def _as_quoted(n: int, q: float, value: float | None) -> Quantile:
    return Quantile(value=value if n * (1 - q) >= 1 - 1e-9 else None, ci95=(None, None))


def speeds(tpot: Distribution, *, mean: float | None = None) -> Distribution:
    """1 / TPOT; its p95 is the speed that 95 % of answers reach, which is 1 / (p95 of TPOT). `mean` is not 1 / mean."""
    p50, p90, p95, p99 = (_inverse(one) for one in (tpot.p50, tpot.p90, tpot.p95, tpot.p99))
    return Distribution(n=tpot.n, mean=mean, p50=p50, p90=p90, p95=p95, p99=p99)


def mean_speed(tpot_s: Sequence[float]) -> float | None:
    """Mean of 1 / TPOT over requests; None for none, and where a TPOT is 0."""
    known = [speed for value in tpot_s if (speed := _reciprocal(value)) is not None]
    return math.fsum(known) / len(known) if known and len(known) == len(tpot_s) else None


def _inverse(one: Quantile) -> Quantile:
    low, high = one.ci95
    return Quantile(value=_reciprocal(one.value), ci95=(_reciprocal(high), _reciprocal(low)))


def _reciprocal(value: float | None) -> float | None:
    """1 / value; None for None, for 0 and where it would not be finite."""
    return 1 / value if value is not None and value > _TINY else None
