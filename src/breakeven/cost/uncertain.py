"""Uncertain numbers: the middle, a quantile and draws of a range or distribution, and rank correlation between them."""

import math
from collections.abc import Callable, Mapping, Sequence
from statistics import NormalDist
from typing import Final

import numpy as np
from numpy.typing import NDArray

from breakeven.cost.inputs import Input, Spread
from breakeven.errors import UsageError

Array = NDArray[np.float64]
Limits = tuple[float, float]

_NORMAL: Final = NormalDist()
_Z90: Final = _NORMAL.inv_cdf(0.90)
_Z975: Final = _NORMAL.inv_cdf(0.975)
ANYTHING: Final[Limits] = (-math.inf, math.inf)

FORMS: Final[dict[frozenset[str], str]] = {
    frozenset({"low", "high"}): "uniform",
    frozenset({"low", "mode", "high"}): "triangular",
    frozenset({"mean", "sd"}): "normal",
    frozenset({"median", "p10", "p90"}): "log-normal",
    frozenset({"value", "ci95"}): "interval",
}
"""The keys that a spread may have together, and the name of what they make."""


def form(spread: Spread) -> str | None:
    """Name of the distribution; None when the keys given do not make one."""
    return FORMS.get(frozenset(name for name in spread.__struct_fields__ if getattr(spread, name) is not None))


def problem(spread: Spread) -> str | None:
    """What is wrong with a spread, in words; None when nothing is."""
    kind = form(spread)
    if kind is None:
        return "is no range; give low+high, low+mode+high, mean+sd, median+p10+p90 or value+ci95"
    if kind == "normal":
        return None if _get(spread, "sd") > 0 else "needs an sd above 0"
    low, middle, high = edges(spread)
    if not low <= middle <= high or low == high:
        return f"is out of order: {low:g}, {middle:g}, {high:g} must rise"
    if kind in ("log-normal", "interval") and low <= 0:
        return f"needs quantiles above 0, not {low:g}"
    return None


def edges(spread: Spread) -> tuple[float, float, float]:
    """The lower number, the middle and the upper number that were given."""
    kind = form(spread)
    if kind in ("uniform", "triangular"):
        return _get(spread, "low"), nominal(spread), _get(spread, "high")
    if kind == "log-normal":
        return _get(spread, "p10"), _get(spread, "median"), _get(spread, "p90")
    if kind == "interval" and spread.ci95 is not None:
        return spread.ci95[0], _get(spread, "value"), spread.ci95[1]
    mean, sd = _get(spread, "mean"), _get(spread, "sd")
    return mean - _Z90 * sd, mean, mean + _Z90 * sd


def nominal(value: Input) -> float:
    """The number used where one number is wanted: the value, mode, median or mean; the middle of a plain range."""
    if not isinstance(value, Spread):
        return float(value)
    for name in ("value", "mode", "median", "mean"):
        middle = getattr(value, name)
        if middle is not None:
            return float(middle)
    return (_get(value, "low") + _get(value, "high")) / 2


def quantile(value: Input, p: float, *, limits: Limits = ANYTHING) -> float:
    """The p-quantile of an input, exactly; a plain number is its own quantile."""
    if not isinstance(value, Spread):
        return float(value)
    kind = form(value)
    low, middle, high = edges(value)
    if kind == "uniform":
        return low + p * (high - low)
    if kind == "triangular":
        return _triangular_quantile(p, low=low, mode=middle, high=high)
    if kind == "normal":
        return _cut_normal_quantile(p, _get(value, "mean"), sd=_get(value, "sd"), limits=limits)
    z = _NORMAL.inv_cdf(p) / (_Z90 if kind == "log-normal" else _Z975)
    edge = low if z < 0 else high
    return min(max(middle * math.pow(edge / middle, abs(z)), limits[0]), limits[1])


def _triangular_quantile(p: float, *, low: float, mode: float, high: float) -> float:
    split = (mode - low) / (high - low)
    if p < split:
        return low + math.sqrt(p * (high - low) * (mode - low))
    return high - math.sqrt((1 - p) * (high - low) * (high - mode))


def _cut_normal_quantile(p: float, mean: float, *, sd: float, limits: Limits) -> float:
    bell = NormalDist(mean, sd)
    below, above = bell.cdf(limits[0]), bell.cdf(limits[1])
    return min(max(bell.inv_cdf(below + p * (above - below)), limits[0]), limits[1])


def draw(spread: Spread, n: int, *, rng: np.random.Generator, limits: Limits = ANYTHING) -> Array:
    """`n` independent draws; a normal distribution is cut at `limits`, never piled up on them."""
    kind = form(spread)
    low, middle, high = edges(spread)
    if kind == "uniform":
        return rng.uniform(low, high, n)
    if kind == "triangular":
        return rng.triangular(low, middle, high, n)
    if kind == "normal":
        return _draw_cut_normal(spread, n, rng=rng, limits=limits)
    z = rng.standard_normal(n) / (_Z90 if kind == "log-normal" else _Z975)
    drawn = middle * (np.where(z < 0, low, high) / middle) ** np.abs(z)
    return np.clip(drawn, *limits)


def _draw_cut_normal(spread: Spread, n: int, *, rng: np.random.Generator, limits: Limits) -> Array:
    mean, sd = _get(spread, "mean"), _get(spread, "sd")
    kept: Array = rng.normal(mean, sd, n)
    for _ in range(1000):
        outside = (kept < limits[0]) | (kept > limits[1])
        if not outside.any():
            return kept
        kept[outside] = rng.normal(mean, sd, int(outside.sum()))
    raise UsageError(f"a normal distribution of mean {mean:g} and sd {sd:g} hardly ever lies between {limits}")


def correlate(draws: Mapping[str, Array], pairs: Sequence[tuple[str, str, float]], *, rng: np.random.Generator) -> None:
    """Reorder draws in place so that pairs have the rank correlation asked for (Gaussian copula).

    Spearman's rho_s of two normals is reached with Pearson's 2 sin(pi rho_s / 6). Each margin keeps exactly the
    values that it had. UsageError when no set of numbers can have all the correlations at once.
    """
    names = list(dict.fromkeys(name for a, b, _ in pairs for name in (a, b)))
    if not names:
        return
    matrix = np.eye(len(names))
    for a, b, rank in pairs:
        i, j = names.index(a), names.index(b)
        matrix[i, j] = matrix[j, i] = 2 * math.sin(math.pi * rank / 6)
    root = _root(matrix, names)
    normals = root @ rng.standard_normal((len(names), len(draws[names[0]])))
    for name, column in zip(names, normals, strict=True):
        draws[name][np.argsort(column)] = np.sort(draws[name])


def _root(matrix: Array, names: Sequence[str]) -> Array:
    try:
        return np.asarray(np.linalg.cholesky(matrix + 1e-12 * np.eye(len(matrix))), dtype=np.float64)
    except np.linalg.LinAlgError:
        raise UsageError(f"correlations: no numbers can have all of these at once: {', '.join(names)}") from None


def mapped(value: Input, change: Callable[[float], float]) -> Input:
    """The same input with each of its numbers changed, a plain number or every edge of a spread."""
    if not isinstance(value, Spread):
        return change(value)
    changed = {name: change(getattr(value, name)) for name in FIELDS if getattr(value, name) is not None}
    ends = None if value.ci95 is None else (change(value.ci95[0]), change(value.ci95[1]))
    return Spread(**changed, ci95=ends)


FIELDS: Final = ("low", "mode", "high", "mean", "sd", "median", "p10", "p90", "value")


def _get(spread: Spread, name: str) -> float:
    value = getattr(spread, name)
    assert isinstance(value, (int, float)), name
    return float(value)
