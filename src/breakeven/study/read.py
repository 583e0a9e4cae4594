"""Reads a plan file, a single run's or a study's, and says in which line something is wrong."""

import difflib
import re
import tomllib
import types
import typing
from collections.abc import Sequence
from typing import Any, Final, TypeVar

import msgspec

from breakeven.errors import FieldError, UsageError
from breakeven.plan import Plan, check_given
from breakeven.study.lines import Path, line_of
from breakeven.study.types import Study

T = TypeVar("T")
_STUDY_ONLY: Final = frozenset(
    {"study", "tune", "engines", "models", "settings", "workloads", "levels", "exclude", "include"}
)
_AT: Final = re.compile(r"(.*?)(?: - at `\$(.*)`)?", re.DOTALL)
_STEP: Final = re.compile(r"\.([^.\[\]]+)|\[(\d+|\.\.\.)\]")
_UNKNOWN: Final = re.compile(r"Object contains unknown field `(.+)`")
_MISSING: Final = re.compile(r"Object missing required field `(.+)`")


def read_plan_file(text: str, *, where: str) -> Plan | Study:
    """A study where the file has any table of one, else a single run; UsageError with file, line and key."""
    table = parsed(text, where=where)
    if _STUDY_ONLY & table.keys() or isinstance(table.get("hardware"), list):
        return converted(table, Study, text=text, where=where)
    plan = converted(table, Plan, text=text, where=where)
    try:
        check_given(table)
    except UsageError as error:
        raise UsageError(f"{where}: {error}") from None
    return plan


def parsed(text: str, *, where: str) -> dict[str, Any]:
    """The table of a TOML text; UsageError with file and line."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = re.fullmatch(r"(.*) \(at line (\d+), column (\d+)\)", str(error))
        said = f"line {found[2]}: {found[1]} (column {found[3]})" if found else str(error)
        raise UsageError(f"{where}: {said}") from None


def converted(table: dict[str, Any], kind: type[T], *, text: str, where: str) -> T:
    """The table as a `kind` of plan; UsageError with file, line and key of what cannot be."""
    try:
        return msgspec.convert(table, kind)
    except msgspec.ValidationError as error:
        said, place, key = _explained(str(error), kind)
    except FieldError as error:
        said, place, key = str(error), (), error.fields[0]
    line = line_of(text, table=place, key=key)
    raise UsageError(f"{where}: line {line}: {said}" if line else f"{where}: {said}")


def _explained(error: str, kind: type) -> tuple[str, Path, str]:
    """What to say, the table and the key that it is about."""
    match = _AT.fullmatch(error)
    assert match is not None
    said, place = match[1], _path(match[2] or "")
    if (unknown := _UNKNOWN.fullmatch(said)) is not None:
        return _unknown_text(unknown[1], place, kind), place, unknown[1]
    if (missing := _MISSING.fullmatch(said)) is not None:
        return f"{_table_text(place)} lacks the key '{missing[1]}'", place, missing[1]
    names = [i for i, part in enumerate(place) if isinstance(part, str)]
    if not names:
        return said, (), ""
    key = str(place[names[-1]])
    return f"{key}: {said[0].lower()}{said[1:]}".replace("`", ""), place[: names[-1]], key


def _unknown_text(key: str, place: Path, kind: type) -> str:
    known = _keys_at(kind, place)
    near = difflib.get_close_matches(key.lower(), known, n=1, cutoff=0.5)
    hint = f"did you mean '{near[0]}'?" if near else f"known: {', '.join(known)}"
    return f"unknown key '{key}'{f' in {_table_text(place)}' if place else ''}; {hint}"


def _table_text(place: Path) -> str:
    """`[levels]`, `[[engines]]`, `settings of [[engines]]`."""
    if not place:
        return "the plan"
    outer = f"[[{place[0]}]]" if len(place) > 1 and isinstance(place[1], int) else f"[{place[0]}]"
    inner = [str(part) for part in place[1:] if isinstance(part, str)]
    return f"{'.'.join(inner)} of {outer}" if inner else outer


def _path(text: str) -> Path:
    return tuple(name or (int(number) if number.isdigit() else 0) for name, number in _STEP.findall(text))


def _keys_at(kind: Any, place: Sequence[str | int]) -> list[str]:
    """The keys that the table at `place` may have."""
    for part in place:
        kind = _inside(kind, part)
    struct = _struct_in(kind)
    return [] if struct is None else [field.encode_name for field in msgspec.structs.fields(struct)]


def _inside(kind: Any, part: str | int) -> Any:
    if isinstance(part, int):
        return typing.get_args(kind)[0]
    struct = _struct_in(kind)
    if struct is None:
        return typing.get_args(kind)[-1]
    return next(field.type for field in msgspec.structs.fields(struct) if field.encode_name == part)


def _struct_in(kind: Any) -> type[msgspec.Struct] | None:
    """The struct in `S` or `S | None`."""
    options = typing.get_args(kind) if isinstance(kind, types.UnionType) else (kind,)
    return next((one for one in options if isinstance(one, type) and issubclass(one, msgspec.Struct)), None)
