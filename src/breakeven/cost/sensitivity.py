"""Sensitivity: a tornado of one input at a time, a sweep of one input over a line, and where curves cross."""

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np

from breakeven.cost.inputs import Scenario, Spread, inputs
from breakeven.cost.limits import RULES, limits
from breakeven.cost.model import Worked, replaced, row_of, work_out
from breakeven.cost.primitives import Array
from breakeven.cost.result import Crossing, Sweep, Swing, Tornado, one
from breakeven.cost.scenario import check_place
from breakeven.cost.uncertain import quantile
from breakeven.errors import UsageError

MOST_POINTS: Final = 10_000
SWEPT: Final = (
    "reference.break_even_h",
    "candidate.break_even_h",
    "k",
    "parity_usd_per_h_set",
    "parity_usd_per_h_card",
    "ratio",
    "reference.usd_per_mtok_output",
    "candidate.usd_per_mtok_output",
    "candidate.npv_usd",
    "candidate.api_flip_load_factor",
)
CROSSINGS: Final[tuple[tuple[str, str, str | float], ...]] = (
    ("both break even at the same time (ROI parity)", "candidate.break_even_h", "reference.break_even_h"),
    ("output {tokens} cost the same", "candidate.usd_per_mtok_output", "reference.usd_per_mtok_output"),
    (
        "the sets rent for the same (cost parity, renter)",
        "candidate.rent_usd_per_h_set",
        "reference.rent_usd_per_h_set",
    ),
    ("the candidate's profit is 0", "candidate.profit_usd_per_h", 0.0),
    ("the reference's profit is 0", "reference.profit_usd_per_h", 0.0),
    ("the candidate's NPV is 0", "candidate.npv_usd", 0.0),
    ("the reference's NPV is 0", "reference.npv_usd", 0.0),
    ("the candidate's {tokens} cost what the API charges", "candidate.serving_usd_per_h", "candidate.api_usd_per_h"),
    ("ROI parity rent equals the reference's rent (ratio 1)", "ratio", 1.0),
)
TARGETS: Final = ("ratio", "usd_per_mtok_ratio", "candidate.npv_usd", "candidate.api_flip_load_factor")
"""What a tornado looks at when nobody says: the first of these that there is, else the candidate's break-even."""


def tornado(scenario: Scenario, middle: Mapping[str, Array], *, target: str | None = None) -> Tornado | None:
    """Each uncertain input alone at its P10 and P90; None when there is none or the target was not worked out."""
    spreads = {place: value for place, value in inputs(scenario).items() if isinstance(value, Spread)}
    at_middle = work_out(scenario, middle)
    path = target or next((path for path in TARGETS if at_middle.column(path) is not None), "candidate.break_even_h")
    if not spreads or at_middle.column(path) is None:
        return None
    ends = {
        place: (quantile(value, 0.1, limits=limits(place)), quantile(value, 0.9, limits=limits(place)))
        for place, value in spreads.items()
    }
    swings = [_swing(scenario, middle, path, place, *ends[place]) for place in ends]
    row = row_of(path)
    return Tornado(
        target=path,
        label=row.label,
        unit=row.unit,
        middle=at_middle.first(path),
        swings=tuple(sorted(swings, key=_length, reverse=True)),
    )


def _swing(scenario: Scenario, middle: Mapping[str, Array], path: str, place: str, p10: float, p90: float) -> Swing:
    column = work_out(scenario, replaced(middle, {place: np.array([p10, p90])})).column(path)
    values = np.broadcast_to(column if column is not None else np.array([np.nan]), (2,))
    return Swing(place=place, p10=p10, p90=p90, at_p10=one(values[0]), at_p90=one(values[1]))


def _length(swing: Swing) -> float:
    """Length of a bar; one that ends at never is the longest."""
    if swing.at_p10 is None or swing.at_p90 is None:
        return float("inf")
    return abs(swing.at_p90 - swing.at_p10)


def read_sweep(text: str) -> tuple[str, Array]:
    """Place and values of `candidate.rent_usd_per_h=0.1:2:0.05`, both ends in; UsageError says what is wrong."""
    place, equals, line = text.partition("=")
    section, name = check_place(place.strip(), where=f"--sweep {text}")
    try:
        start, stop, step = (float(part) for part in line.split(":"))
    except ValueError:
        equals = ""
        start = stop = step = 0.0
    if not equals or not step > 0 or stop < start or name not in RULES:
        raise UsageError(f"--sweep {text}: write place=from:to:step, such as candidate.rent_usd_per_h=0.1:2:0.05")
    points = int(np.floor((stop - start) / step + 1e-9)) + 1
    if points > MOST_POINTS:
        raise UsageError(f"--sweep {text}: {points:,} points are too many; take a larger step")
    values: Array = start + step * np.arange(points, dtype=np.float64)
    _check_values(f"{section}.{name}", values, text=text)
    return f"{section}.{name}", values


def _check_values(place: str, values: Array, *, text: str) -> None:
    rule = RULES[place.partition(".")[2]]
    for value in (float(values[0]), float(values[-1])):
        if not rule.limits[0] <= value <= rule.limits[1] or (rule.above and value <= rule.limits[0]):
            raise UsageError(f"--sweep {text}: {place}: {value:g} {rule.says}")


def sweep(scenario: Scenario, middle: Mapping[str, Array], *, place: str, values: Array) -> Sweep:
    """Figures along a line of values of one input, all others in their middle, and where curves cross.

    UsageError where the scenario has no such side.
    """
    if place.startswith("reference.") and scenario.reference is None:
        raise UsageError(f"--sweep {place}: this scenario has no reference, only a candidate")
    worked = work_out(scenario, replaced(middle, {place: values}))
    found = {path: worked.column(path) for path in SWEPT}
    return Sweep(
        place=place,
        values=[float(value) for value in values],
        figures={
            path: [one(float(value)) for value in np.broadcast_to(column, values.shape)]
            for path, column in found.items()
            if column is not None
        },
        crossings=crossings_along(scenario, middle, place, values),
    )


_CROSSED: Final = {
    side.rpartition(".")[2] for _, left, right in CROSSINGS for side in (left, right) if isinstance(side, str)
}


def crossings_along(scenario: Scenario, middle: Mapping[str, Array], place: str, values: Array) -> tuple[Crossing, ...]:
    """Where curves meet along a line of values of one input."""

    def at(points: Array) -> Worked:
        return work_out(scenario, replaced(middle, {place: points}), wanted=_CROSSED)

    worked = at(values)
    found: list[Crossing] = []
    for what, left, right in CROSSINGS:
        gaps = _gap(worked, left, right)
        if gaps is None or gaps.size == 1:
            continue
        found += [Crossing(what=what, at=point) for point in _zeros(at, values, gaps, left=left, right=right)]
    return tuple(sorted(found, key=lambda crossing: crossing.at))


def _gap(worked: Worked, left: str, right: str | float) -> Array | None:
    a = worked.column(left)
    b = np.array([right]) if isinstance(right, float) else worked.column(right)
    if a is None or b is None:
        return None
    with np.errstate(invalid="ignore"):
        return np.asarray(a - b, dtype=np.float64)


def _zeros(at: Callable[[Array], Worked], values: Array, gaps: Array, *, left: str, right: str | float) -> list[float]:
    zeros = [float(value) for value in values[gaps == 0]]
    signs = np.sign(gaps)
    for index in np.flatnonzero(signs[:-1] * signs[1:] < 0):
        low, high = float(values[index]), float(values[index + 1])
        for _ in range(6):
            low, high = _closer(at, low, high, left=left, right=right)
        zeros.append((low + high) / 2)
    return zeros


def _closer(
    at: Callable[[Array], Worked], low: float, high: float, *, left: str, right: str | float
) -> tuple[float, float]:
    """A hundredth of the interval, the one in which the sign changes."""
    points = np.linspace(low, high, 101)
    gaps = _gap(at(points), left, right)
    if gaps is None:
        return low, high
    changes = np.flatnonzero(np.sign(gaps) != np.sign(gaps[0]))
    index = int(changes[0]) if changes.size else 100
    return float(points[index - 1]), float(points[index])
