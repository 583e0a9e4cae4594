"""What comes out: figures that carry their formula with the numbers put in, and the report that holds them all."""

import math
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from msgspec import Struct, field, to_builtins

from breakeven.cost.model import Sheet
from breakeven.cost.row import Row

FORMAT: Final = 1
"""Version of the JSON that `CostReport.to_json` gives."""

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Figure(Struct, frozen=True, kw_only=True):
    """One result. `value` is None where it is undefined, and `reason` says why."""

    name: str
    label: str
    value: float | None
    unit: str
    formula: str
    numbers: str | None = None
    """The formula with the numbers put in; None where an input is missing."""
    reason: str | None = None
    missing: tuple[str, ...] = ()
    """Inputs that would have to be given."""
    group: str = "owner"
    shown: bool = True


class Side(Struct, frozen=True, kw_only=True):
    """One deployment: its inputs, where they come from, and its figures."""

    gpu: str
    count: float
    pays: str
    figures: dict[str, Figure]
    inputs: dict[str, float]
    sources: tuple[str, ...] = ()


class VariantResult(Struct, frozen=True, kw_only=True):
    """The headline with other numbers; two values where an interval went in, its ends in that order."""

    label: str
    group: str
    source: str | None
    figures: dict[str, list[float | None]]


class Outcome(Struct, frozen=True, kw_only=True):
    """One figure over all draws. Draws that never pay rank last; a quantile that falls on them is None."""

    name: str
    label: str
    unit: str
    quantiles: dict[str, float | None]
    p_never: float
    p_undefined: float


class Uncertainty(Struct, frozen=True, kw_only=True):
    """What the draws say."""

    draws: int
    seed: int
    ranges: dict[str, str]
    outcomes: tuple[Outcome, ...]
    probabilities: dict[str, float]
    shared: tuple[str, ...] = ()
    """Uncertain inputs of the market: one draw serves both sides."""


class Swing(Struct, frozen=True, kw_only=True):
    """One bar of the tornado: the target with one input at its P10 and P90, all others in their middle."""

    place: str
    p10: float
    p90: float
    at_p10: float | None
    at_p90: float | None


class Tornado(Struct, frozen=True, kw_only=True):
    """Which input moves the target most, the longest bar first."""

    target: str
    label: str
    unit: str
    middle: float | None
    swings: tuple[Swing, ...]


class Crossing(Struct, frozen=True, kw_only=True):
    """Where two curves of a sweep meet."""

    what: str
    at: float


class Sweep(Struct, frozen=True, kw_only=True):
    """Figures over a line of values of one input."""

    place: str
    values: list[float]
    figures: dict[str, list[float | None]]
    crossings: tuple[Crossing, ...]


class CostReport(Struct, frozen=True, kw_only=True):
    """The answer to a scenario."""

    name: str
    title: str | None
    source: str | None
    counted: str
    candidate: Side
    reference: Side | None = None
    comparison: dict[str, Figure] = field(default_factory=dict)
    variants: tuple[VariantResult, ...] = ()
    uncertainty: Uncertainty | None = None
    tornado: Tornado | None = None
    sweep: Sweep | None = None
    sources: tuple[str, ...] = ()
    """Where the numbers of no one side come from."""
    taken: tuple[str, ...] = ()
    """Inputs that were not given, and what was taken instead."""
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Builtins for JSON: the headline on top, plain values by side, then reasons, formulas and the rest."""
        return {
            "format": FORMAT,
            "scenario": self.name,
            "title": self.title,
            "source": self.source,
            "counted": self.counted,
            "break_even_h": {
                "reference": None if self.reference is None else self.reference.figures["break_even_h"].value,
                "candidate": self.candidate.figures["break_even_h"].value,
            },
            **{name: self._compared(name) for name in ("parity_usd_per_h_set", "parity_usd_per_h_card", "ratio")},
            "reference": None if self.reference is None else _side_json(self.reference),
            "candidate": _side_json(self.candidate),
            "comparison": {name: figure.value for name, figure in self.comparison.items()} or None,
            "reasons": {path: f.reason for path, f in self.all_figures().items() if f.reason is not None},
            "formulas": {path: _formula_json(f) for path, f in self.all_figures().items()},
            "variants": to_builtins(self.variants),
            "uncertainty": to_builtins(self.uncertainty),
            "tornado": to_builtins(self.tornado),
            "sweep": to_builtins(self.sweep),
            "sources": list(self.sources),
            "taken": list(self.taken),
            "notes": list(self.notes),
        }

    def _compared(self, name: str) -> float | None:
        figure = self.comparison.get(name)
        return None if figure is None else figure.value

    def all_figures(self) -> dict[str, Figure]:
        """Every figure by its path: `reference.npv_usd`, `candidate.npv_usd`, `comparison.ratio`."""
        parts = {"candidate": self.candidate.figures, "comparison": self.comparison}
        if self.reference is not None:
            parts = {"reference": self.reference.figures, **parts}
        return {f"{part}.{name}": figure for part, figures in parts.items() for name, figure in figures.items()}


def _side_json(side: Side) -> dict[str, Any]:
    plain = {name: figure.value for name, figure in side.figures.items()}
    about = {"gpu": side.gpu, "count": side.count, "pays": side.pays, "sources": list(side.sources)}
    return {**about, **plain, "inputs": dict(side.inputs)}


def _formula_json(figure: Figure) -> dict[str, str | None]:
    return {"formula": figure.formula, "numbers": figure.numbers, "unit": figure.unit}


def one(value: float) -> float | None:
    """A number as it leaves this room: never (infinite) and undefined (NaN) are None."""
    return float(value) if math.isfinite(value) else None


def plain(value: float) -> str:
    """Six significant digits, thousands apart, never an exponent for large numbers."""
    if not math.isfinite(value):
        return "never"
    return f"{value:,.0f}" if abs(value) >= 1e6 else f"{value:,.6g}"


def put_in(formula: str, values: Mapping[str, float], *, show: Callable[[float], str] = plain) -> str:
    """The formula with each known name replaced by its number."""
    return _NAME.sub(lambda match: show(values[match[0]]) if match[0] in values else match[0], formula)


def figures_of(sheet: Sheet) -> dict[str, Figure]:
    """A Figure for each row of a sheet that was worked out for one set of numbers."""
    return {name: _figure(name, row, sheet) for name, row in sheet.rows.items()}


def _figure(name: str, row: Row, sheet: Sheet) -> Figure:
    missing = sheet.missing.get(name, ())
    value = None if missing else float(sheet.values[name][0])
    undefined = None if value is None or math.isfinite(value) else row.undefined
    return Figure(
        name=name,
        label=row.label,
        value=None if value is None else one(value),
        unit=row.unit,
        formula=row.formula,
        numbers=None if missing else put_in(row.formula, {need: float(sheet.values[need][0]) for need in row.needs()}),
        reason=f"not given: {', '.join(missing)}" if missing else undefined,
        missing=missing,
        group=row.group,
        shown=row.shown,
    )
