"""PCHIP: a smooth curve through points that rises only where the points rise."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def pchip_slopes(x: Array, y: Array) -> Array:
    """Slope at each of the points x (n), for every row of y (..., n).

    Inside: the weighted harmonic mean of the neighbouring secants, 0 where they differ in sign. At the ends: the
    three-point slope, kept to the secant's sign and to three times its size. Fritsch and Butland,
    SIAM J. Sci. Stat. Comput. 5 (1984) 300.
    """
    if x.size == 1:
        return np.zeros_like(y)
    step, secant = np.diff(x), np.diff(y, axis=-1) / np.diff(x)
    if x.size == 2:
        return np.repeat(secant, 2, axis=-1)
    slopes = np.empty_like(y)
    slopes[..., 1:-1] = _inner(step, secant)
    slopes[..., 0] = _end(step[0], step[1], secant[..., 0], secant[..., 1])
    slopes[..., -1] = _end(step[-1], step[-2], secant[..., -1], secant[..., -2])
    return slopes


def _inner(step: Array, secant: Array) -> Array:
    left, right = secant[..., :-1], secant[..., 1:]
    w_left, w_right = 2 * step[1:] + step[:-1], step[1:] + 2 * step[:-1]
    same_way = left * right > 0
    left, right = np.where(same_way, left, 1.0), np.where(same_way, right, 1.0)
    return np.where(same_way, (w_left + w_right) / (w_left / left + w_right / right), 0.0)


def _end(near: np.float64, far: np.float64, secant: Array, next_secant: Array) -> Array:
    slope = ((2 * near + far) * secant - near * next_secant) / (near + far)
    slope = np.where(slope * secant <= 0, 0.0, slope)
    overshoots = (secant * next_secant <= 0) & (np.abs(slope) > 3 * np.abs(secant))
    return np.where(overshoots, 3 * secant, slope)


def hermite(w: Array, *, step: Array, y: tuple[Array, Array], slope: tuple[Array, Array]) -> Array:
    """Cubic through two points with given slopes, at the share `w` (0…1) of the way from the first to the second."""
    v = 1 - w
    bend = w * v * step * (v * slope[0] - w * slope[1])
    return v * v * (1 + 2 * w) * y[0] + w * w * (1 + 2 * v) * y[1] + bend
