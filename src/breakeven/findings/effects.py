"""What each setting does alone, and which pairs do more or less together, from the cells that were measured.

The log of each cell's figure is read as a sum of one part a factor (least squares, every cell the same weight). An
interval is the wider of two: from the cells' own intervals, and from how far the sum misses the cells.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import combinations, product
from typing import Final, NamedTuple

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from breakeven.metrics.pooling import Measured, from_log
from breakeven.metrics.statistics import t_quantile
from breakeven.metrics.summary import Estimate

Array = NDArray[np.float64]
_HAIR: Final = 1e-9
_LEAST_LEFT: Final = 4
"""Degrees of freedom from which on what is left tells an interval where the cells have none."""


class Row(NamedTuple):
    """A measured cell."""

    factors: Mapping[str, str]
    figure: Measured


class Effect(Struct, frozen=True, kw_only=True):
    """One value of a factor against the factor's first, all else alike."""

    factor: str
    value: str
    against: str
    ratio: Estimate
    cells: int
    """That have this value."""


class Interaction(Struct, frozen=True, kw_only=True):
    """Two factors, and the pair of their values that is furthest from what the two alone would give."""

    factors: tuple[str, str]
    values: tuple[str, str]
    ratio: Estimate
    """Of the cells with this pair to what the parts say; its interval holds for all pairs together."""
    is_sure: bool


class _Fit(NamedTuple):
    """Least squares of the logs: `inverse` makes the parts of them, `misses` what is left."""

    columns: tuple[tuple[str, str], ...]
    y: Array
    inverse: Array
    misses: Array
    known: Array
    """1 for a part that the cells can tell from the others."""
    sd: Array
    """Of each log by the cell's own interval; NaN where it has none."""
    df: int
    left: int
    """Degrees of freedom of what is left."""


def effects(
    rows: Sequence[Row], values: Mapping[str, Sequence[str]]
) -> tuple[tuple[Effect, ...], tuple[Interaction, ...]]:
    """Every value of every factor against the factor's first, and each pair of factors with its most surprising pair
    of values, strongest first. What the cells cannot tell apart is left out.
    """
    fit = _fit(rows, values)
    return ((), ()) if fit is None else (_alone(fit, rows, values), _together(fit, rows, values))


def _alone(fit: _Fit, rows: Sequence[Row], values: Mapping[str, Sequence[str]]) -> tuple[Effect, ...]:
    found = []
    for number, (factor, value) in enumerate(fit.columns, 1):
        if fit.known[number] > 1 - _HAIR:
            ratio = _estimate(fit, fit.inverse[number])
            count = sum(row.factors[factor] == value for row in rows)
            first = values[factor][0]
            found.append(Effect(factor=factor, value=value, against=first, ratio=ratio, cells=count))
    return tuple(found)


def _together(fit: _Fit, rows: Sequence[Row], values: Mapping[str, Sequence[str]]) -> tuple[Interaction, ...]:
    """None where nothing is left, or where a cell has no interval."""
    if not fit.left or np.isnan(fit.sd).any():
        return ()
    seen = [one for one in _pairs(rows, values) if np.abs(one.mask @ fit.misses).max() > _HAIR]
    found = [_interaction(fit, one, tests=len(seen)) for one in seen]
    by_pair: dict[tuple[str, str], Interaction] = {}
    # of pairs that mirror one another, the one that is furthest from the first values
    for one in sorted(found, key=lambda one: (round(_surprise(one), 6), round(_size(one), 6))):
        by_pair[one.factors] = one
    return tuple(reversed(by_pair.values()))


def _surprise(one: Interaction) -> float:
    """How many half-widths it is from 1; infinite where the figures are exact."""
    low, high = one.ratio.ci95
    half = math.log((high or 1.0) / (low or 1.0)) / 2
    return _size(one) / half if half else math.inf


def _size(one: Interaction) -> float:
    return abs(math.log(one.ratio.value or 1.0))


class _Pair(NamedTuple):
    factors: tuple[str, str]
    values: tuple[str, str]
    mask: Array


def _pairs(rows: Sequence[Row], values: Mapping[str, Sequence[str]]) -> list[_Pair]:
    found = []
    for a, b in combinations(values, 2):
        for pair in product(values[a], values[b]):
            mask = np.array([(row.factors[a], row.factors[b]) == pair for row in rows], dtype=float)
            if mask.any():
                found.append(_Pair((a, b), pair, mask / mask.sum()))
    return found


def _interaction(fit: _Fit, one: _Pair, *, tests: int) -> Interaction:
    weights = one.mask @ fit.misses
    middle = float(weights @ fit.y)
    half = t_quantile(fit.df, tests) * float(np.sqrt((weights**2) @ (fit.sd**2)))
    ratio = from_log(middle, half).estimate()
    return Interaction(factors=one.factors, values=one.values, ratio=ratio, is_sure=abs(middle) > max(half, _HAIR))


def _fit(rows: Sequence[Row], values: Mapping[str, Sequence[str]]) -> _Fit | None:
    if len(rows) < 2:
        return None
    columns = tuple((factor, value) for factor, each in values.items() for value in each[1:])
    x = np.array([[1.0, *(float(row.factors[f] == v) for f, v in columns)] for row in rows])
    inverse = np.linalg.pinv(x)
    sd = [math.nan if one.log_half is None else one.log_half / t_quantile(one.df) for one in (r.figure for r in rows)]
    return _Fit(
        columns=columns,
        y=np.array([math.log(row.figure.value or math.nan) for row in rows]),
        inverse=inverse,
        misses=np.eye(len(rows)) - x @ inverse,
        known=np.diag(inverse @ x),
        sd=np.array(sd),
        df=min(row.figure.df for row in rows),
        left=len(rows) - int(np.linalg.matrix_rank(x)),
    )


def _estimate(fit: _Fit, weights: Array) -> Estimate:
    middle, halves = float(weights @ fit.y), []
    if not np.isnan(fit.sd).any():
        halves.append(t_quantile(fit.df) * float(np.sqrt((weights**2) @ (fit.sd**2))))
    if fit.left >= (1 if halves else _LEAST_LEFT):
        left = fit.misses @ fit.y
        halves.append(t_quantile(fit.left) * float(np.sqrt(left @ left / fit.left * (weights @ weights))))
    return from_log(middle, max(halves)).estimate() if halves else Estimate(value=math.exp(middle))
