"""What tells the cells of a study apart: its tables' rows, and in place of a row of settings each setting by itself."""

from collections.abc import Mapping, Sequence
from typing import Final

from breakeven.serving import settings_table
from breakeven.study.cells import Cell
from breakeven.study.types import AXES

DEFAULT: Final = "default"
"""Value of a setting that a cell does not say."""
Factors = dict[str, str]
"""A cell's value of every factor."""


def factors(cells: Sequence[Cell]) -> dict[str, Factors]:
    """By cell: the factors that differ among the cells, hardware first. One that says what another says is left out."""
    told = {cell.name: _told(cell) for cell in cells}
    names = list(dict.fromkeys(name for one in told.values() for name in one))
    whole = {cell: {name: one.get(name, DEFAULT) for name in names} for cell, one in told.items()}
    if len({tuple(one.values()) for one in whole.values()}) < len(cells):  # rows that differ in words of `extra`
        whole = {cell.name: dict(cell.names) for cell in cells}
    kept: dict[str, tuple[int, ...]] = {}
    for name in dict.fromkeys(name for one in whole.values() for name in one):
        parted = _numbered([one.get(name, DEFAULT) for one in whole.values()])
        if max(parted) and parted not in kept.values():
            kept[name] = parted
    return {cell: {name: one.get(name, DEFAULT) for name in kept} for cell, one in whole.items()}


def values(of: Mapping[str, Factors]) -> dict[str, tuple[str, ...]]:
    """The values of each factor: numbers rising, others as they come."""
    names = next(iter(of.values()), {})
    return {name: _in_order(dict.fromkeys(one[name] for one in of.values())) for name in names}


def _told(cell: Cell) -> Factors:
    launch = cell.plan.launch
    settings = {} if launch is None else settings_table(launch.settings)
    named = {axis: cell.names[axis] for axis in AXES if axis in cell.names and axis != "settings"}
    return named | {name: _text(value) for name, value in settings.items()}


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _numbered(found: Sequence[str]) -> tuple[int, ...]:
    """The same numbers for the same texts, so that two factors that part the cells alike are seen."""
    seen = list(dict.fromkeys(found))
    return tuple(seen.index(one) for one in found)


def _in_order(found: Mapping[str, None]) -> tuple[str, ...]:
    try:
        return tuple(sorted(found, key=lambda one: (one != DEFAULT, float("-inf") if one == DEFAULT else float(one))))
    except ValueError:
        return tuple(found)
