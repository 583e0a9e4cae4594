"""Percentiles as another tool worked them out, and the mean speed of requests."""

import math
from collections.abc import Sequence

from breakeven.metrics.statistics import QUANTILES, reciprocal
from breakeven.metrics.summary import Distribution, Quantile


def quoted(n: int, **figures: float | None) -> Distribution:
    """Figures that another tool calculated, `mean p50 p90 p95 p99`, as they are: without intervals.

    A percentile of fewer than 1/(1-q) requests is left out: it is the largest value under another name.
    """
    quantiles = {name: _as_quoted(n, q, figures.get(name)) for name, q in QUANTILES.items()}
    return Distribution(n=n, censored=0, mean=figures.get("mean"), **quantiles)


def _as_quoted(n: int, q: float, value: float | None) -> Quantile:
    return Quantile(value=value if n * (1 - q) >= 1 - 1e-9 else None, ci95=(None, None))


def as_told(n: int, **figures: float | None) -> Distribution:
    """The same, none left out: for a file that does not say of how many requests, or one that left out itself."""
    quantiles = {name: Quantile(value=figures.get(name), ci95=(None, None)) for name in QUANTILES}
    return Distribution(n=n, censored=0, mean=figures.get("mean"), **quantiles)


def mean_speed(tpot_s: Sequence[float]) -> float | None:
    """Mean of 1 / TPOT over requests; None for none, and where a TPOT is 0."""
    known = [speed for value in tpot_s if (speed := reciprocal(value)) is not None]
    return math.fsum(known) / len(known) if known and len(known) == len(tpot_s) else None
