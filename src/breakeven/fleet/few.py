"""Three or four nodes: each is held against what the others leave open, since their median would be its own doing."""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from breakeven.fleet.spread import t_quantiles, upper_tails
from breakeven.metrics.pooling import Z95

Figures = NDArray[np.float64]

FEWEST: Final = 3
"""Of two nodes either may be the odd one."""


SECTIONS_DF: Final = 9.0
"""Degrees of freedom of what a job tells of its own error: its levels' intervals are of ten sections at least."""


class Few(NamedTuple):
    """For each of n nodes, by the n - 1 others."""

    t: Figures
    """(limit + mean of the others - score) / sd of a prediction from them."""
    df: Figures
    half: Figures
    """Half-width of the 95 % interval of its speed beside them."""


def by_the_others(score: Figures, *, told: Figures, repeated: Figures, repeated_df: Figures, limit: float) -> Few:
    """Each node's test against exp(`limit`) x the others, and its interval.

    Two tests, and the less sure one counts: by the spread of the others with its n - 2 degrees of freedom, and by the
    errors that are known, with theirs: fellows that are alike by chance accuse nobody. Errors are variances of log
    speeds: `told` by a node's jobs of themselves, `repeated` by its repeats with their degrees of freedom; 0 is not
    known. Without repeats the spread of the others counts in a node's interval too.
    """
    error, ahead = np.maximum(told, repeated), np.zeros(len(score))
    seen, known, half_seen = np.zeros(len(score)), np.zeros(len(score)), np.zeros(len(score))
    for i in range(len(score)):
        rest = np.arange(len(score)) != i
        spread, usual, fellows = float(np.var(score[rest], ddof=1)), float(error[rest].mean()), int(rest.sum())
        own = spread + max(0.0, float(error[i]) - usual)
        ahead[i] = limit + float(score[rest].mean()) - float(score[i])
        seen[i] = own + spread / fellows
        known[i] = max(float(error[i]), usual) + usual / fellows
        half_seen[i] = (float(error[i]) if repeated[i] > 0 else own) + spread / fellows
    df_seen = np.full(len(score), len(score) - 2.0)
    df_known = np.where(repeated > told, repeated_df, SECTIONS_DF)
    t_seen, t_known = _t(ahead, seen), _t(ahead, known)
    t_seen[(seen <= 0) & (known <= 0)] = 0.0
    is_seen = upper_tails(t_seen, df_seen) >= upper_tails(t_known, df_known)
    half = np.maximum(t_quantiles(df_seen) * np.sqrt(half_seen), t_quantiles(df_known) * np.sqrt(known))
    return Few(np.where(is_seen, t_seen, t_known), np.where(is_seen, df_seen, df_known), half)


def _t(ahead: Figures, variance: Figures) -> Figures:
    """Without a variance nothing is in the way: the other test counts."""
    found: Figures = np.divide(ahead, np.sqrt(variance), out=np.full(len(ahead), np.inf), where=variance > 0)
    return found


def told_variance(low: Figures, high: Figures) -> Figures:
    """Variance of the log speed of each job by the 95 % intervals of its levels: their mean, as levels err alike.

    0 where a job told no interval.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        of_level = (np.log(high / low) / (2 * Z95)) ** 2
    known = np.isfinite(of_level)
    found: Figures = np.where(known, of_level, 0.0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    return found
