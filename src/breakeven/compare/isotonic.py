"""Isotonic regression: the nearest curve that never turns back."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def non_increasing(values: Array) -> Array:
    """Least-squares non-increasing fit along the last axis, all points with equal weight.

    Min-max formula, the same answer as pooling adjacent violators but for many rows at once:
    fit_i = min over a <= i of max over b >= i of mean(values[a..b]).
    See Robertson, Wright and Dykstra, Order Restricted Statistical Inference, 1988, chapter 1.
    """
    return -non_decreasing(-values)


def non_decreasing(values: Array) -> Array:
    """Least-squares non-decreasing fit along the last axis: max over a <= i of min over b >= i of mean(a..b)."""
    fit = values.copy()
    turning = (np.diff(values) < 0).any(axis=-1)
    means = _block_means(values[turning])
    for i in range(values.shape[-1]):
        fit[turning, i] = means[..., : i + 1, i:].min(axis=-1).max(axis=-1)
    return fit


def _block_means(values: Array) -> Array:
    """Mean of values[a..b] at [..., a, b]; entries with b < a hold nothing that is used."""
    count = values.shape[-1]
    means = np.zeros((*values.shape, count))
    for a in range(count):
        lengths = np.arange(1, count - a + 1)
        means[..., a, a:] = np.cumsum(values[..., a:], axis=-1) / lengths
    return means
