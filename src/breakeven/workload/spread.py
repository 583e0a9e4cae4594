"""Distributions written as text, `normal:512,128`: how input lengths, answer lengths and think times are drawn."""

import math
from collections.abc import Callable
from statistics import NormalDist
from typing import Final, NamedTuple

from breakeven.errors import UsageError
from breakeven.units import exact

_NORMAL: Final = NormalDist()
FORMS: Final = "N, uniform:LOW,HIGH, normal:MEAN,SD, lognormal:MEDIAN,SIGMA"
_PARAMETERS: Final = {"constant": 1, "uniform": 2, "normal": 2, "lognormal": 2}


class Spread(NamedTuple):
    """A distribution that is read at a uniform number by its inverse: one draw, one value."""

    kind: str
    first: float
    second: float

    def at(self, unit: float) -> float:
        """The value below which the share `unit` of all draws lies (0 < unit < 1)."""
        return _INVERSE[self.kind](self.first, self.second, unit)

    def count_at(self, unit: float) -> int:
        """`at`, as a whole number of tokens; at least 1, so that the lower tail of a wide normal is cut there."""
        if self.kind == "uniform":
            return int(self.first) + int(unit * (int(self.second) - int(self.first) + 1))
        return max(1, round(self.at(unit)))

    def text(self) -> str:
        """As it was written."""
        if self.kind == "constant":
            return exact(self.first)
        return f"{self.kind}:{exact(self.first)},{exact(self.second)}"


_INVERSE: Final[dict[str, Callable[[float, float, float], float]]] = {
    "constant": lambda value, _, __: value,
    "uniform": lambda low, high, unit: low + unit * (high - low),
    "normal": lambda mean, deviation, unit: mean + deviation * _NORMAL.inv_cdf(unit),
    "lognormal": lambda median, sigma, unit: median * math.exp(sigma * _NORMAL.inv_cdf(unit)),
}


def parse_spread(text: str | float, *, name: str) -> Spread:
    """Read a distribution; UsageError names the setting `name` and the forms that are known."""
    kind, colon, rest = str(text).strip().partition(":")
    if not colon:
        kind, rest = "constant", kind
    values = _numbers(rest)
    if kind not in _PARAMETERS or values is None or len(values) != _PARAMETERS[kind]:
        raise UsageError(f"{name}: '{text}' is no distribution; write one of {FORMS}")
    spread = Spread(kind, values[0], values[-1] if len(values) > 1 else 0.0)
    problem = _problem(spread)
    if problem is not None:
        raise UsageError(f"{name}: '{text}': {problem}")
    return spread


def parse_lengths(text: str | float, *, name: str) -> Spread:
    """`parse_spread` for a number of tokens: at least 1, whole where it is constant or uniform."""
    spread = parse_spread(text, name=name)
    whole = spread.kind in ("normal", "lognormal") or (spread.first.is_integer() and spread.second.is_integer())
    if spread.first < 1 or not whole:
        raise UsageError(f"{name}: '{text}' is no length in tokens; give whole numbers of at least 1")
    return spread


def _numbers(text: str) -> list[float] | None:
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        return None
    return values if all(math.isfinite(value) and abs(value) <= 1e9 for value in values) else None


def _problem(spread: Spread) -> str | None:
    if spread.first < 0 or spread.second < 0:
        return "none of its numbers can be negative"
    if spread.kind == "uniform" and spread.second < spread.first:
        return "the second number is the highest and cannot be below the first"
    if spread.kind == "lognormal" and spread.first == 0:
        return "the median must be above 0"
    if spread.kind == "lognormal" and spread.second > 5:
        return "sigma is the spread of the logarithm and must be at most 5; 0.5 to 1 is usual"
    return None
