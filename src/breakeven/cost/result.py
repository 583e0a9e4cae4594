"""What comes out: figures that carry their formula with the numbers put in, and the report that holds them all."""

import math
from typing import Any, Literal

from msgspec import Struct, field

from breakeven import say
from breakeven.cost import formula
from breakeven.cost.figures import Group, Row
from breakeven.cost.inputs import Question
from breakeven.cost.model import Sheet

NoteKind = Literal[
    "said",
    "k_measured",
    "k_undefined",
    "k_bound",
    "power_measured",
    "power_declared",
    "one_card",
    "operating_points",
    "own_quote",
    "no_quote",
    "other_kinds",
    "other_work",
]
"""What a note is about; `words.NOTES` has a line for each."""


class Reason(Struct, frozen=True, kw_only=True):
    """Why a figure has no value: inputs are missing, it is never reached, or it is not defined."""

    kind: Literal["missing", "never", "undefined"]
    why: str = ""
    """As the row has it."""
    missing: tuple[str, ...] = ()
    """Inputs that would have to be given."""


class Figure(Struct, frozen=True, kw_only=True):
    """One result. `value` is None where it has none, and `reason` says why."""

    name: str
    label: str
    value: float | None
    unit: str
    formula: str
    numbers: str | None = None
    """The formula with the numbers put in; None where an input is missing."""
    reason: Reason | None = None
    group: Group = "owner"
    shown: bool = True

    @property
    def is_missing(self) -> bool:
        """An input that it needs was not given."""
        return self.reason is not None and self.reason.kind == "missing"


class Source(Struct, frozen=True, kw_only=True):
    """Where a number comes from."""

    what: Literal["purchase", "rent", "power", "throughput", "energy price", "API price", "input against output"]
    text: str


class Note(Struct, frozen=True, kw_only=True):
    """Something that a reader of the figures must know; `words.note_text` says it."""

    kind: NoteKind
    facts: dict[str, Any] = field(default_factory=dict)


class Taken(Struct, frozen=True, kw_only=True):
    """What stands for an input that was not given: a neutral value, or what follows from others."""

    name: str
    value: float
    is_neutral: bool
    why: str = ""


class Side(Struct, frozen=True, kw_only=True):
    """One deployment: its inputs, where they come from, and its figures."""

    gpu: str
    name: str
    """What to call it: its card, or the scenario's own label."""
    count: float
    pays: Literal["purchase", "rent"]
    rented_out: bool
    figures: dict[str, Figure]
    inputs: dict[str, float]
    rent_kind: str | None = None
    sources: tuple[Source, ...] = ()

    def source(self, what: str) -> str | None:
        """Where one of its numbers comes from."""
        return next((one.text for one in self.sources if one.what == what), None)


AnswerKind = Literal["tokens", "return", "pays back", "open"]


class Option(Struct, frozen=True, kw_only=True):
    """One way to be served, with what a million output tokens cost in it."""

    side: Literal["reference", "candidate", "api"]
    how: Literal["owned", "rented", "rented around the clock", "rented for the hours used", "API"]
    path: str
    """Of its figure."""
    usd_per_mtok: float


class Lever(Struct, frozen=True, kw_only=True):
    """The input that a result hangs on most: between its P10 and P90, or a tenth more of it where it has no range."""

    place: str
    is_ranged: bool
    path: str
    """Of the figure that it moves."""
    ends: tuple[float | None, float | None]
    """The figure at P10 and P90, or as it stands and with a tenth more."""


class Answer(Struct, frozen=True, kw_only=True):
    """What the scenario comes to; `words` says it in two lines."""

    kind: AnswerKind
    question: Question
    options: tuple[Option, ...] = ()
    """The cheapest first."""
    sure: tuple[str, float] | None = None
    """Statement that the draws decide (`cheapest`: of the first option), and the share in which it holds."""
    lever: Lever | None = None
    warnings: int = 0
    """What may make the measured runs unlike."""


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
    cheapest: dict[str, float] = field(default_factory=dict)
    """Path of a way to be served -> share of the draws in which its output tokens are the cheapest."""
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
    """With `{tokens}` for what is counted."""
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
    counted: Literal["tokens", "words"]
    answer: Answer
    candidate: Side
    reference: Side | None = None
    comparison: dict[str, Figure] = field(default_factory=dict)
    variants: tuple[VariantResult, ...] = ()
    uncertainty: Uncertainty | None = None
    tornado: Tornado | None = None
    sweep: Sweep | None = None
    sources: tuple[Source, ...] = ()
    """Where the numbers of no one side come from."""
    taken: tuple[Taken, ...] = ()
    notes: tuple[Note, ...] = ()

    def all_figures(self) -> dict[str, Figure]:
        """Every figure by its path: `reference.npv_usd`, `candidate.npv_usd`, `comparison.ratio`."""
        parts = {"candidate": self.candidate.figures, "comparison": self.comparison}
        if self.reference is not None:
            parts = {"reference": self.reference.figures, **parts}
        return {f"{part}.{name}": figure for part, figures in parts.items() for name, figure in figures.items()}


def one(value: float) -> float | None:
    """A number as it leaves this room: never (infinite) and undefined (NaN) are None."""
    return float(value) if math.isfinite(value) else None


def figures_of(sheet: Sheet) -> dict[str, Figure]:
    """A Figure for each row of a sheet that was worked out for one set of numbers."""
    return {name: _figure(name, row, sheet) for name, row in sheet.rows.items()}


def _figure(name: str, row: Row, sheet: Sheet) -> Figure:
    missing = sheet.missing.get(name, ())
    value = None if missing else float(sheet.values[name][0])
    return Figure(
        name=name,
        label=row.label,
        value=None if value is None else one(value),
        unit=row.unit,
        formula=formula.readable(row.text),
        numbers=None if missing else formula.put_in(row.text, sheet.values, show=say.plain),
        reason=_reason(row, value, missing),
        group=row.group,
        shown=row.shown,
    )


def _reason(row: Row, value: float | None, missing: tuple[str, ...]) -> Reason | None:
    if value is None:
        return Reason(kind="missing", missing=missing)
    if math.isfinite(value):
        return None
    if math.isinf(value) and row.never:
        return Reason(kind="never", why=row.never)
    beyond = row.at_no_price if math.isinf(value) else ""
    return Reason(kind="undefined", why=beyond or row.undefined or row.never)
