"""How much nodes of one stratum differ and how much one node wavers: robust variances, ICC, tests, in plain arrays."""

import math
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from breakeven.metrics.statistics import f_quantile, t_quantile, t_tail

Figures = NDArray[np.float64]

MAD_TO_SD: Final = 1.4826
MAD_OF_FEW: Final = (1.0, 1.0, 1.196, 1.495, 1.363, 1.206, 1.200, 1.140, 1.129, 1.107)
"""What makes the MAD of n normal values right, by n; from ten on n / (n - 0.8) (Croux and Rousseeuw, COMPSTAT 1992)."""
CUT_SD: Final = 3.0
"""Further out than this many robust sd is not of the bulk."""
CUT_BIAS: Final = 0.98658
"""Variance of a normal that was cut at 3 sd: 1 - 2·3·φ(3) / (1 - 2·Φ(-3)), for its own to be 1 again."""
ENOUGH: Final = 6
"""From here on a robust spread is that of most values; of fewer the plain sd (MONEY: three A100 at 310, 524, 529)."""
EFFICIENCY: Final = 0.7
MODES_APART: Final = 6.0
MODES_APART_LOG: Final = math.log(1.1)
FAST_APART, FAST_APART_LOG = 4.0, math.log(1.4)
"""The same of a lesser heap that is the faster one: trouble makes nodes slower, so that these are of another kind."""
MODE_SHARE: Final = 0.15


class Bulk(NamedTuple):
    """Centre and spread of most of some values."""

    centre: float
    variance: float | None
    """None for fewer than two values."""
    inside: int
    """Values within 3 robust sd of the median; of fewer than six all of them."""

    @property
    def sd(self) -> float | None:
        return None if self.variance is None else math.sqrt(self.variance)


def bulk(values: Figures, weights: Figures | None = None) -> Bulk:
    """Median, and variance of those within 3 x 1.4826 MAD of it about it, made right for what a cut normal loses.

    `weights` are degrees of freedom a value, at most 1: their sum divides the sum of squares, where the values are
    deviations from their own group's mean and the centre is 0.
    """
    if not len(values):
        return Bulk(math.nan, None, 0)
    centre = 0.0 if weights is not None else float(np.median(values))
    far = np.abs(values - centre)
    keep = np.ones(len(values), dtype=bool)
    if len(values) >= ENOUGH:
        scale = MAD_TO_SD * _right(len(values)) * float(np.median(far))
        keep = far <= CUT_SD * scale if scale > 0 else keep
    kept, inside = values[keep], int(np.count_nonzero(keep))
    bias = CUT_BIAS if len(values) >= ENOUGH else 1.0
    if weights is not None:
        df = float(weights[keep].sum())
        return Bulk(centre, float((weights[keep] * kept**2).sum()) / df / bias if df > 0 else None, inside)
    return Bulk(centre, float(np.var(kept, ddof=1)) / bias if inside > 1 else None, inside)


def _right(count: int) -> float:
    return MAD_OF_FEW[count] if count < len(MAD_OF_FEW) else count / (count - 0.8)


def median_penalty(count: NDArray[np.int64]) -> Figures:
    """How much more a median wavers than a mean: 1 for one and two values, else its limit for many, pi / 2."""
    return np.where(count > 2, math.pi / 2, 1.0)


class Icc(NamedTuple):
    """Share of the variance of one job that is between nodes, with its 95 % interval; None where it is not known."""

    value: float | None = None
    low: float | None = None
    high: float | None = None


def mean_jobs(jobs: NDArray[np.int64]) -> float | None:
    """n0: the mean number of jobs that counts for nodes with unequal numbers; None for a single node."""
    total = float(jobs.sum())
    return (total - float((jobs.astype(float) ** 2).sum()) / total) / (len(jobs) - 1) if len(jobs) > 1 else None


def icc(*, between: float | None, within: float | None, nodes: int, mean_jobs: float | None, within_df: float) -> Icc:
    """between / (between + within), with the F interval of one-way components (Searle, Variance Components, 1992, 3.6).

    F = 1 + n0·between / within at 0.7 (N - 1) and `within_df` degrees of freedom, n0 as in `mean_jobs`: a cut spread
    tells less than a plain one.
    """
    n0 = mean_jobs
    if between is None or within is None or within <= 0 or n0 is None or within_df < 1:
        return Icc()
    ratio = 1 + n0 * between / within
    d1, d2 = max(1, round(EFFICIENCY * (nodes - 1))), max(1, round(within_df))
    ends = [ratio / f_quantile(d1, d2, 0.975), ratio / f_quantile(d1, d2, 0.025)]
    low, high = (min(1.0, max(0.0, (end - 1) / (n0 + end - 1))) for end in ends)
    return Icc(between / (between + within), low, high)


def has_two_modes(values: Figures) -> bool:
    """Whether the values stand in two heaps: the best split in two has at least two values and 15 % of them on the
    lesser side, centres 10 % apart, and 6 (1 + 4 / n) times the spread within a heap between them; or, where the lesser
    heap is the faster one, centres 40 % and 4 times that spread apart.
    """
    count = len(values)
    least = max(2, math.ceil(MODE_SHARE * count))
    if count < 2 * least:
        return False
    ordered = np.sort(values)
    sums, squares = np.cumsum(ordered), np.cumsum(ordered**2)
    n = np.arange(least, count - least + 1)
    left, right = sums[n - 1] / n, (sums[-1] - sums[n - 1]) / (count - n)
    inside = squares[-1] - n * left**2 - (count - n) * right**2
    best = int(np.argmin(inside))
    apart = float(right[best] - left[best])
    sd = math.sqrt(max(0.0, float(inside[best])) / max(1, count - 2))
    is_fast = n[best] > count / 2 and apart > FAST_APART_LOG and apart > FAST_APART * sd
    return bool(is_fast or (apart > MODES_APART_LOG and apart > MODES_APART * (1 + 4 / count) * sd))


def t_quantiles(df: Figures) -> Figures:
    """Two-sided 95 % quantile of Student's t for each of these degrees of freedom, at least 1, rounded down."""
    whole = np.clip(np.floor(df), 1, 200).astype(int)
    table = {one: t_quantile(int(one)) for one in np.unique(whole)}
    return np.array([table[one] for one in whole], dtype=np.float64)


def upper_tails(t: Figures, df: Figures) -> Figures:
    """P(T >= t) for each, df at least 1, rounded down."""
    whole = np.clip(np.floor(df), 1, 200).astype(int)
    return np.array([t_tail(float(one), int(d)) for one, d in zip(t, whole, strict=True)], dtype=np.float64)


def false_discovery(p: Figures, share: float = 0.05) -> NDArray[np.bool_]:
    """Benjamini and Hochberg: which of these tests may be called, so that on average `share` of the calls is wrong.

    J. R. Stat. Soc. B 57, 1995. Undefined ones were not tested and do not count.
    """
    called = np.zeros(len(p), dtype=bool)
    tested = np.flatnonzero(np.isfinite(p))
    order = tested[np.argsort(p[tested], kind="stable")]
    passed = np.flatnonzero(p[order] <= share * np.arange(1, len(order) + 1) / max(1, len(order)))
    if len(passed):
        called[order[: passed[-1] + 1]] = True
    return called
