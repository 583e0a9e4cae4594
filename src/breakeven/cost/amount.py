"""Numbers that a formula takes: one float, or a NumPy column of draws; and division that may come out as never."""

import math
from typing import TypeVar, overload

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Amount = TypeVar("Amount", float, Array)


@overload
def over(numerator: float, denominator: float) -> float: ...
@overload
def over(numerator: Array, denominator: Array) -> Array: ...
def over(numerator: float | Array, denominator: float | Array) -> float | Array:
    """Numerator / denominator where the denominator is above 0, else +inf: never, at no price, at no load.

    What is undefined (NaN) stays so.
    """
    if isinstance(numerator, np.ndarray) or isinstance(denominator, np.ndarray):
        top, bottom = np.broadcast_arrays(numerator, denominator)
        never = np.where(np.isnan(top) | np.isnan(bottom), np.nan, np.inf)
        return np.asarray(np.divide(top, bottom, out=never, where=bottom > 0), dtype=np.float64)
    if math.isnan(numerator) or math.isnan(denominator):
        return math.nan
    return float(numerator) / float(denominator) if denominator > 0 else math.inf


@overload
def at_most_all(share: float) -> float: ...
@overload
def at_most_all(share: Array) -> Array: ...
def at_most_all(share: float | Array) -> float | Array:
    """A share of the time needed; above 1 there is not enough time, so never: +inf."""
    if isinstance(share, np.ndarray):
        return np.where(share > 1, np.inf, share)
    return math.inf if share > 1 else share


@overload
def known_if_finite(value: float, condition: float) -> float: ...
@overload
def known_if_finite(value: Array, condition: Array) -> Array: ...
def known_if_finite(value: float | Array, condition: float | Array) -> float | Array:
    """The value where `condition` is finite, else NaN: undefined, not never. NaN does not leave this room."""
    if isinstance(value, np.ndarray) or isinstance(condition, np.ndarray):
        return np.where(np.isfinite(condition), value, np.nan)
    return value if math.isfinite(condition) else math.nan
