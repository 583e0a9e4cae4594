"""Whose column is which of ours: a map for reading a CSV of jobs, from a file, from words, or found by the columns."""

import functools
import re
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct, field

from breakeven.errors import UsageError, one_line, unknown
from breakeven.fleet.rows import FIGURES, LEVELS, TEXTS

SHIPPED: Final = {"nosana-2024": "nosana_2024.toml"}
"""Maps that are found by the columns of a file."""
USERS: Final = "{n}"
"""Stands for the number of users in the name of a column."""
_READ: Final = ("id", "started", "submitted", "ended", *(name for name in TEXTS if name != "marks"), *FIGURES)
"""What a column of a CSV may be, beside the levels. `started`, `submitted` and `ended` are ISO 8601 with a zone."""


class Column(Struct, frozen=True, forbid_unknown_fields=True):
    """A column, and what turns its figures into our unit."""

    column: str
    times: float = 1.0


class Map(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a CSV is read; a TOML file of these keys."""

    name: str = "map"
    columns: dict[str, str | Column] = {}
    """Our name = their column."""
    levels: dict[str, str | Column] = {}
    """Our name = their column, in which `{n}` stands for the number of users."""
    constants: dict[str, str] = {}
    """Our name = what every job has."""
    busy_share: Annotated[float, Meta(ge=0, le=1)] = 0.0
    """Watts and clocks of a level count where its cards were at least so busy."""
    users: tuple[Annotated[int, Meta(ge=1, le=10**6)], ...] = field(default=())
    """The numbers of users; none: all that the columns have."""


class Plan(Struct, frozen=True):
    """A map laid over the columns of one file."""

    map: Map
    columns: dict[str, Column]
    levels: dict[int, dict[str, Column]]
    unread: tuple[str, ...]
    """Columns of the file that nothing reads."""


def plan(header: Sequence[str], given: Sequence[str] = ()) -> Plan:
    """The map for a file with these columns: what is given (a TOML file, or `ours=theirs` words), else the shipped one
    whose columns are all there, else columns that are called as ours. UsageError names what does not fit.
    """
    if given:
        chosen = _given(given)
        _laid(chosen, header, must_be_there=True)
    else:
        found = [one for one in map(shipped, SHIPPED) if _fits(one, header)]
        chosen = found[0] if found else _own_names(header)
    laid = _laid(chosen, header)
    if not laid.levels:
        raise UsageError(
            "no column holds the throughput at a number of users: say which with "
            "--map 'output_tok_per_s=users{n}_tok_per_s', where {n} stands for the number"
        )
    return laid


@functools.cache
def shipped(name: str) -> Map:
    """A map that comes with breakeven."""
    text = resources.files("breakeven.fleet").joinpath(SHIPPED[name]).read_text(encoding="utf-8")
    return _checked(msgspec.toml.decode(text, type=Map), where=name)


def _given(words: Sequence[str]) -> Map:
    """One TOML file, or pairs of ours and theirs."""
    if len(words) == 1 and "=" not in words[0]:
        path = Path(words[0])
        if words[0] in SHIPPED and not path.exists():
            return shipped(words[0])
        try:
            return _checked(msgspec.toml.decode(path.read_bytes(), type=Map), where=words[0])
        except OSError as error:
            raise UsageError(f"{words[0]}: {error.strerror}; give a TOML file, or OURS=THEIRS") from None
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise UsageError(f"{words[0]}: {one_line(str(error))}") from None
    pairs = dict(_pair(word) for word in words)
    levels = {ours: theirs for ours, theirs in pairs.items() if USERS in theirs}
    columns = {ours: theirs for ours, theirs in pairs.items() if ours not in levels}
    return _checked(Map(columns=dict(columns), levels=dict(levels)), where="--map")


def _pair(word: str) -> tuple[str, str]:
    ours, equals, theirs = word.partition("=")
    if not (ours.strip() and equals and theirs.strip()):
        raise UsageError(f"--map {one_line(word)}: write OURS=THEIRS, or give one TOML file")
    return ours.strip(), theirs.strip()


def _checked(found: Map, *, where: str) -> Map:
    for names, known in ((found.columns, _READ), (found.levels, LEVELS), (found.constants, TEXTS)):
        for name in names:
            if name not in known:
                raise UsageError(f"{where}: {unknown('column of ours', name, known)}")
    for ours, column in found.levels.items():
        if _column(column).column.count(USERS) != 1:
            raise UsageError(
                f"{where}: {ours} needs one {USERS} for the number of users, such as users{USERS}_tok_per_s"
            )
    return found


def _column(told: str | Column) -> Column:
    return told if isinstance(told, Column) else Column(told)


def _fits(one: Map, header: Sequence[str]) -> bool:
    laid = _laid(one, header)
    return len(laid.columns) == len(one.columns) and any(
        len(level) == len(one.levels) for level in laid.levels.values()
    )


def _own_names(header: Sequence[str]) -> Map:
    return Map(
        name="columns with our names",
        columns={name: name for name in _READ if name in header},
        levels={name: f"users{USERS}_{name}" for name in LEVELS},
    )


def _laid(chosen: Map, header: Sequence[str], *, must_be_there: bool = False) -> Plan:
    columns = {ours: _column(told) for ours, told in chosen.columns.items()}
    missing = [one.column for one in columns.values() if one.column not in header]
    if missing and must_be_there:
        raise UsageError(unknown("column of the file", missing[0], header))
    levels: dict[int, dict[str, Column]] = {}
    for ours, told in chosen.levels.items():
        found = {n: name for name in header if (n := _users_of(name, _column(told).column)) is not None}
        if not found and must_be_there:
            raise UsageError(f"{chosen.name}: no column of the file is like {one_line(_column(told).column)}")
        for n, name in found.items():
            if not chosen.users or n in chosen.users:
                levels.setdefault(n, {})[ours] = Column(name, _column(told).times)
    levels = {n: level for n, level in sorted(levels.items()) if "output_tok_per_s" in level}
    read = {one.column for one in columns.values()} | {
        one.column for level in levels.values() for one in level.values()
    }
    return Plan(
        chosen,
        {ours: one for ours, one in columns.items() if one.column in header},
        levels,
        tuple(name for name in header if name not in read),
    )


def _users_of(name: str, pattern: str) -> int | None:
    before, _, after = pattern.partition(USERS)
    match = re.fullmatch(rf"{re.escape(before)}([1-9]\d{{0,5}}){re.escape(after)}", name, re.ASCII)
    return int(match[1]) if match else None
