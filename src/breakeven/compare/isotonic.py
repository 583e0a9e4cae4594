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
    """Least-squares non-decreasing fit along the last axis: max over a <= i of min over b >= i of mean(a..b).

    Rows lie last while it is worked out, so that each step runs over all of them at once.
    """
    fit = values.copy()
    turning = (np.diff(values) < 0).any(axis=-1)
    points = np.moveaxis(values[turning], -1, 0).copy()
    best = np.full_like(points, -np.inf)
    for a in range(len(points)):
        lengths = np.arange(1, len(points) - a + 1).reshape(-1, *(1,) * (points.ndim - 1))
        means = np.cumsum(points[a:], axis=0) / lengths
        np.maximum(best[a:], np.minimum.accumulate(means[::-1], axis=0)[::-1], out=best[a:])
    fit[turning] = np.moveaxis(best, 0, -1)
    return fit
