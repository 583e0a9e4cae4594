"""The model: inputs in, every figure out, for one set of numbers or for columns of draws alike."""

from collections.abc import Container, Mapping
from typing import Final

import numpy as np
from msgspec import Struct, field

from breakeven.cost import formula
from breakeven.cost.figures import (
    ASSUMED_EQUAL,
    COMPARISON,
    ELSE,
    FROM_RENTERS,
    OWN_USE,
    RENTED,
    RENTED_ONLY,
    ROWS,
    SAME_WORK_ONLY,
    SIDE,
    Else,
    Row,
)
from breakeven.cost.inputs import Market, Question, Scenario, inputs
from breakeven.cost.limits import RULES
from breakeven.cost.primitives import Array
from breakeven.cost.uncertain import nominal

PLACES: Final[dict[str, str]] = {
    "input_gpu_s_ratio": "tokens.input_gpu_s_ratio",
    "api_usd_per_mtok_input": "api.usd_per_mtok_input",
    "api_usd_per_mtok_output": "api.usd_per_mtok_output",
    **{
        name: f"market.{name}"
        for name in Market.__struct_fields__
        if name in RULES and not name.startswith(("rent_", "fee_"))
    },
}
"""Where an input that is not the side's own is given."""

SECTIONS: Final = (("market", ""), ("tokens", ""), ("api", "api_"))
"""Tables whose numbers both sides take, and what stands before their names; a side's own go first."""

RENAMED: Final = {"market.rent_usd_per_h_set": "rent_usd_per_h_of_set"}
"""Inputs whose name is that of a figure."""

TWINS: Final = {"fee_share": "fee_markup", "fee_markup": "fee_share"}
"""Two ways to give one thing: the later one counts."""

SAME: Final = 0.01
"""Two sets whose work differs by less than this share do the same work."""


class Sheet(Struct, frozen=True, kw_only=True):
    """Everything worked out about one side, or about both together: columns by name."""

    values: dict[str, Array]
    rows: dict[str, Row]
    missing: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Figure -> inputs that would have to be given."""
    taken: tuple[Else, ...] = ()
    """What stands for inputs that were not given."""


class Worked(Struct, frozen=True, kw_only=True):
    """The whole scenario worked out."""

    candidate: Sheet
    reference: Sheet | None = None
    comparison: Sheet | None = None

    def column(self, path: str) -> Array | None:
        """Column of `candidate.break_even_h`, or of `ratio` for the comparison; None where it was not worked out."""
        part, dot, name = path.rpartition(".")
        sheet: Sheet | None = getattr(self, part) if dot else self.comparison
        return None if sheet is None else sheet.values.get(name)

    def first(self, path: str) -> float | None:
        """Its first number; None also where that is never or undefined."""
        column = self.column(path)
        return None if column is None or not np.isfinite(column[0]) else float(column[0])


def figure(name: str, **given: float) -> float | None:
    """One figure of a side alone, by its row, from what goes in; None where it is not defined, or never reached."""
    value = float(formula.work_out(SIDE[name].text, {key: np.array([one]) for key, one in given.items()})[0])
    return value if np.isfinite(value) else None


def row_of(path: str) -> Row:
    """The row of `candidate.break_even_h` or of `ratio`."""
    return ROWS[path.rpartition(".")[2]]


def columns(scenario: Scenario) -> dict[str, Array]:
    """The scenario's own numbers, as columns of one: what an uncertain input is in the middle."""
    return {place: np.array([nominal(value)]) for place, value in inputs(scenario).items()}


def replaced(given: Mapping[str, Array], changes: Mapping[str, Array]) -> dict[str, Array]:
    """The columns with others in their place; a fee given one way goes before a fee that stood there the other way."""
    parts = [place.partition(".") for place in changes]
    gone = {f"{section}.{TWINS[name]}" for section, _, name in parts if name in TWINS}
    return {place: column for place, column in given.items() if place not in gone} | dict(changes)


def question_of(scenario: Scenario) -> Question:
    """What the scenario asks: as it says, else by whether its sets do the same work."""
    if scenario.question is not None or scenario.reference is None:
        return scenario.question or "own budgets"
    a, b = scenario.reference, scenario.candidate
    if a.tok_per_s is None or b.tok_per_s is None:
        return "same work"
    works = [nominal(side.tok_per_s or 0.0) * nominal(side.count) for side in (a, b)]
    return "same work" if abs(works[1] / works[0] - 1) <= SAME else "own budgets"


def work_out(scenario: Scenario, given: Mapping[str, Array], *, wanted: Container[str] | None = None) -> Worked:
    """Every figure that the inputs allow, or only those `wanted` by name with what they rest on.

    `given` holds columns by place; they may differ in length (1 or n).
    """
    asked = None if wanted is None else _with_needs(wanted)
    if scenario.reference is None:
        return Worked(candidate=_side(scenario, "candidate", given, reference={}, asked=asked))
    reference = _side(scenario, "reference", given, reference={}, asked=asked)
    of_reference = {f"reference_{name}": value for name, value in reference.values.items()}
    candidate = _side(scenario, "candidate", given, reference=of_reference, asked=asked)
    comparison = _comparison(scenario, reference, candidate, asked=asked)
    return Worked(candidate=candidate, reference=reference, comparison=comparison)


def _with_needs(wanted: Container[str]) -> set[str]:
    """The names with all that they rest on, of either side."""
    tables = (SIDE, RENTED, OWN_USE, COMPARISON, ASSUMED_EQUAL)
    todo = [name for table in tables for name in table if name in wanted]
    found: set[str] = set()
    while todo:
        name = todo.pop()
        if name not in found:
            found.add(name)
            needs = [need for table in tables if name in table for need in table[name].needs]
            todo += [need.removeprefix("reference_").removeprefix("candidate_") for need in needs]
    return found


def rows_of(scenario: Scenario, side: str) -> dict[str, Row]:
    """The rows of one side: by what it pays, who uses it, and whether there is an API to hold it against."""
    part = getattr(scenario, side)
    rows = SIDE | (RENTED if part.charged == "rent" else {}) | ({} if part.is_rented_out else OWN_USE)
    left_out = {*(() if part.is_rented_out else FROM_RENTERS), *(() if scenario.api is not None else ("api",))}
    not_owned = RENTED_ONLY if part.charged == "purchase" else ()
    return {name: row for name, row in rows.items() if row.group not in left_out and name not in not_owned}


def comparison_rows(scenario: Scenario, *, both_serve: bool) -> dict[str, Row]:
    """The rows of both together; `both_serve`: a throughput is known of either."""
    if question_of(scenario) == "same work":
        return COMPARISON if both_serve else COMPARISON | ASSUMED_EQUAL
    return {name: row for name, row in COMPARISON.items() if name not in SAME_WORK_ONLY}


def _side(
    scenario: Scenario, side: str, given: Mapping[str, Array], *, reference: Mapping[str, Array], asked: set[str] | None
) -> Sheet:
    values = _own(side, given)
    taken = _fill(values, reference, question=question_of(scenario))
    rows = rows_of(scenario, side)
    missing = _walk(rows, values, asked=asked)
    used = {name for figure, row in rows.items() if figure not in missing for name in row.needs}
    return Sheet(
        values=values,
        rows=rows,
        missing={figure: tuple(_place(side, name) for name in names) for figure, names in missing.items()},
        taken=tuple(one for one in taken if one.name in used),
    )


def _own(side: str, given: Mapping[str, Array]) -> dict[str, Array]:
    """Inputs of one side: the market's, overlaid with its own."""
    values: dict[str, Array] = {}
    for section, prefix in (*SECTIONS, (side, "")):
        for place, value in given.items():
            part, _, name = place.partition(".")
            if part == section:
                values.pop(TWINS.get(name, ""), None)
                values[RENAMED.get(place, prefix + name)] = value
    return values


def _fill(values: dict[str, Array], reference: Mapping[str, Array], *, question: Question) -> list[Else]:
    """What stands for inputs that are not given, added to `values`."""
    taken = []
    known = {**reference, **values}
    for one in ELSE:
        needs = formula.needs(one.text)
        if one.name not in values and all(need in known for need in needs) and one.question in (None, question):
            values[one.name] = known[one.name] = formula.work_out(one.text, known)
            taken.append(one)
    return taken


def _comparison(scenario: Scenario, reference: Sheet, candidate: Sheet, *, asked: set[str] | None) -> Sheet:
    values = {f"reference_{name}": value for name, value in reference.values.items()}
    values |= {f"candidate_{name}": value for name, value in candidate.values.items()}
    both = "tok_per_s" in reference.values and "tok_per_s" in candidate.values
    rows = comparison_rows(scenario, both_serve=both)
    missing = _walk(rows, values, asked=asked)
    inherited = {f"reference_{name}": places for name, places in reference.missing.items()}
    inherited |= {f"candidate_{name}": places for name, places in candidate.missing.items()}
    return Sheet(values=values, rows=rows, missing={name: _roots(needs, inherited) for name, needs in missing.items()})


def _roots(needs: tuple[str, ...], inherited: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    places = [place for need in needs for place in inherited.get(need, (_both_sides(need),))]
    return tuple(dict.fromkeys(places))


def _both_sides(need: str) -> str:
    side, _, name = need.partition("_")
    return _place(side, name)


def _walk(rows: Mapping[str, Row], values: dict[str, Array], *, asked: set[str] | None) -> dict[str, tuple[str, ...]]:
    """Work out row after row, adding to `values`; figure -> missing inputs for those that cannot be."""
    missing: dict[str, tuple[str, ...]] = {}
    for name, row in rows.items():
        lacking = [root for need in row.needs if need not in values for root in missing.get(need, (need,))]
        if lacking:
            missing[name] = tuple(dict.fromkeys(lacking))
        elif asked is None or name in asked:
            values[name] = formula.work_out(row.text, values)
    return missing


def _place(side: str, name: str) -> str:
    return PLACES.get(name, f"{side}.{name}")
