"""A study in words and tables, the same for the terminal, Markdown and the page."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final, NamedTuple

from breakeven import say
from breakeven.compare.words import reason_text
from breakeven.errors import one_line
from breakeven.findings.effects import Effect, Interaction
from breakeven.findings.study import Of, StudyCell, StudyFindings
from breakeven.metrics.summary import Estimate
from breakeven.table import heads
from breakeven.units import short_count, short_s

DASH: Final = "–"
MOST_NAMES: Final = 6
"""Cells that a sentence names."""
UNITS: Final[Mapping[Of, str]] = MappingProxyType(
    {"usd_per_mtok": "USD per Mtok", "tok_per_s": "tok/s", "users": "users"}
)
_MOST_COLUMNS: Final = 10
EFFECTS: Final = heads("setting", "against", "alone", "cells", left=(0, 1))
_LONGEST_CAUSE: Final = 140
_HARDLY: Final = 100.0
"""High / low of an interval that says no more than that: two starts far apart."""


class Matrix(NamedTuple):
    """The cells as a table: heads of the factors that go down, heads of the cells, and rows."""

    down: tuple[str, ...]
    columns: tuple[str, ...]
    rows: tuple[tuple[tuple[str, ...], tuple[StudyCell | None, ...]], ...]
    """Values of the factors that go down, and the cells."""


def matrix(found: StudyFindings) -> Matrix:
    """Across goes the factor with the most values that fit; the others go down."""
    fit = {name: each for name, each in found.factors.items() if len(each) <= _MOST_COLUMNS}
    across = max(fit, key=lambda name: len(fit[name]), default=None)
    down = tuple(name for name in found.factors if name != across)
    columns = () if across is None else found.factors[across]
    if not found.factors:
        return Matrix(("cell",), (unit(found),), tuple(((cell.name,), (cell,)) for cell in found.cells))
    by_place = {(_place(cell, down), cell.factors.get(across or "")): cell for cell in found.cells}
    places = list(dict.fromkeys(_place(cell, down) for cell in found.cells))
    places.sort(key=lambda place: [found.factors[name].index(value) for name, value in zip(down, place, strict=True)])
    wide = columns or (None,)
    named = tuple(f"{across} {one}" for one in columns) or (unit(found),)
    rows = ((place or ("all",), tuple(by_place.get((place, one)) for one in wide)) for place in places)
    return Matrix(down or ("cell",), named, tuple(rows))


def _place(cell: StudyCell, down: Sequence[str]) -> tuple[str, ...]:
    return tuple(cell.factors[name] for name in down)


def unit(found: StudyFindings) -> str:
    """What the figures are in."""
    return UNITS[found.of]


def at(found: StudyFindings) -> str:
    """At which service."""
    return "at its best level" if found.service_level is None else f"at {found.service_level.text()}"


def figure(found: StudyFindings, value: float | None) -> str:
    """A value of the matrix."""
    return DASH if value is None else written(value, of=found.of)


def written(value: float, *, of: Of) -> str:
    """A figure in what is looked for."""
    return f"{value:.3g}" if of == "usd_per_mtok" else short_count(value)


def ends(found: StudyFindings, of: Estimate) -> str:
    """`118–126`, `118, no bound above`, `hardly known` beyond a factor of _HARDLY; empty where there is no interval."""
    low, high = of.ci95
    if low is None and high is None:
        return ""
    if low is not None and high is not None and high > _HARDLY * low:
        return "hardly known"
    return say.interval(low, high, lambda value: figure(found, value))


def cell_text(found: StudyFindings, cell: StudyCell | None) -> str:
    """What stands in the matrix where there is no figure."""
    if cell is None:
        return ""
    return figure(found, cell.figure.value) if cell.figure.value is not None else cell.state


def named(cell: StudyCell) -> str:
    """`threads 2, slots 8`; a study without factors has names alone."""
    return ", ".join(f"{name} {value}" for name, value in cell.factors.items()) or cell.name


def best_text(found: StudyFindings) -> str:
    """The answer in one sentence."""
    best = found.cell(found.best)
    if best is None:
        return f"Of {len(found.cells)} cells none has a figure {at(found)}."
    inside = ends(found, best.figure)
    at_users = None if found.of == "users" else best.users_at.value
    users = "" if at_users is None else f" with {say.number(at_users)} users"
    return (
        f"Best {at(found)}: {named(best)}, {figure(found, best.figure.value)} {unit(found)}"
        f"{f' ({inside})' if inside else ''}{users}."
    )


def counted_text(found: StudyFindings) -> str:
    """How many of its cells have a figure."""
    known = sum(cell.figure.value is not None for cell in found.cells)
    return f"{known} of {len(found.cells)} cells have a figure"


def runs_text(shown: int) -> str:
    """What the runs are that stand below a study."""
    return f"The best {shown} of its cells, held against each other" if shown > 1 else "The best of its cells"


def ties_text(found: StudyFindings) -> str:
    """Which cells cannot be told from the best."""
    others = [named(cell) for cell in found.cells if cell.ties and cell.name != found.best]
    known = sum(cell.figure.value is not None for cell in found.cells)
    if found.best is None or known < 2:
        return ""
    if known == 2:
        verb = "cannot be told from" if others else "is surely worse than"
        return f"The only other cell that has a figure {verb} it."
    if not others:
        return f"It is surely better than each of the {known - 1} other cells that have a figure."
    if len(others) == known - 1 > MOST_NAMES:
        return f"None of the {known - 1} other cells that have a figure can be told from it."
    more = len(others) - MOST_NAMES
    told = "; ".join(others[:MOST_NAMES]) + (f"; and {more} more" if more > 0 else "")
    return f"{len(others)} of {known - 1} others cannot be told from it: {told}."


def effect_row(one: Effect) -> tuple[str, str, str, str]:
    """Setting, against, what it does, cells."""
    return f"{one.factor} {one.value}", one.against, _change_text(one.ratio), str(one.cells)


def interaction_text(one: Interaction) -> str:
    """One pair that is surely more, or less, than its two settings alone."""
    (a, b), (x, y) = one.factors, one.values
    return f"{a} × {b}: {a} {x} with {b} {y} is {_change_text(one.ratio)} off what the two alone would give"


def _change_text(ratio: Estimate) -> str:
    inside = say.closed(ratio.ci95, _change)
    return f"{_change(ratio.value)}{f' ({inside})' if inside else ''}"


def _change(ratio: float | None) -> str:
    return say.more(None if ratio is None else ratio - 1)


def interaction_lines(found: StudyFindings) -> list[str]:
    """The pairs that surely interact; where none does, that."""
    sure = [interaction_text(one) for one in found.interactions if one.is_sure]
    if sure or not found.interactions:
        return sure
    return ["No pair of settings is surely more or less than its two settings alone."]


def trouble_lines(found: StudyFindings) -> list[str]:
    """A line for each cell that failed or gives nothing at the service level, with its cause."""
    lines = []
    for cell in found.cells:
        if cell.failure is not None:
            lines.append(f"{cell.name}: {cause(cell.failure)}")
        elif cell.state == "missed":
            why = "" if cell.reason is None else f": {reason_text(cell.reason)}"
            lines.append(f"{cell.name}: gives nothing {at(found)}{why}")
    return lines


def cause(text: str) -> str:
    """One line of why a cell failed."""
    return one_line(text, limit=_LONGEST_CAUSE)


def used_text(found: StudyFindings) -> str:
    """How long engines were held for it, and what that cost."""
    if not found.used_s:
        return ""
    cost = "" if found.used_usd is None else f" and ${found.used_usd:.2f} of rent"
    return f"Engines were held for {short_s(found.used_s)}{cost}."


def caveat_lines(found: StudyFindings) -> list[str]:
    """What the figures rest on."""
    first = f"Figures in {unit(found)} {at(found)}, in brackets 95 % intervals; a cell ties with the best where their"
    lines = [f"{first} quotient may be 1, with an interval that holds for all cells together."]
    if found.effects:
        lines.append("What a setting does alone is its mean over the cells that were measured, all else alike.")
    return lines
