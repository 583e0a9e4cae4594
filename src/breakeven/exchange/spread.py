"""Percentiles and speeds as another tool worked them out."""

import math
from collections.abc import Sequence

from breakeven.metrics.summary import Distribution, Quantile

_TINY = 1e-300


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
