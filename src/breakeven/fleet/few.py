"""Three or four nodes: each is held against what the others leave open, since their median would be its own doing."""

import math
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from breakeven.fleet.spread import t_quantiles
from breakeven.metrics.pooling import Z95

Figures = NDArray[np.float64]

FEWEST: Final = 3
"""Of two nodes either may be the odd one."""


class Few(NamedTuple):
    """For each of n nodes, by the n - 1 others; n - 2 degrees of freedom."""

    t: Figures
    """(limit + mean of the others - score) / sd of a prediction from them."""
    half: Figures
    """Half-width of the 95 % interval of its speed beside them."""


def by_the_others(score: Figures, *, told: Figures, repeated: Figures, limit: float) -> Few:
    """Each node's test against exp(`limit`) x the others, and its interval.

    The variance of the others is at least their mean error, a node's own variance in the test at least that of the
    others and its own error: fellows that are alike by chance accuse nobody. Errors are variances of log speeds:
    `told` by a node's jobs of themselves, `repeated` by its repeats; 0 is not known, and without repeats the spread of
    the others counts as a node's own error.
    """
    error, t, half = np.maximum(told, repeated), np.zeros(len(score)), np.zeros(len(score))
    quantile = float(t_quantiles(np.array([len(score) - 2.0]))[0])
    for i in range(len(score)):
        rest = np.arange(len(score)) != i
        others = max(float(np.var(score[rest], ddof=1)), float(error[rest].mean()))
        doubt, own = others / int(rest.sum()), max(others, float(error[i]))
        sd = math.sqrt(own + doubt)
        t[i] = (limit + float(score[rest].mean()) - float(score[i])) / sd if sd > 0 else 0.0
        half[i] = quantile * math.sqrt((float(error[i]) if repeated[i] > 0 else own) + doubt)
    return Few(t, half)


def told_variance(low: Figures, high: Figures) -> Figures:
    """Variance of the log speed of each job by the 95 % intervals of its levels: their mean, as levels err alike.

    0 where a job told no interval.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        of_level = (np.log(high / low) / (2 * Z95)) ** 2
    known = np.isfinite(of_level)
    found: Figures = np.where(known, of_level, 0.0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    return found
