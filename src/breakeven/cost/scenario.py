"""Scenario files: TOML text with --set changes, read into a Scenario; every error names the place."""

import tomllib
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct

from breakeven.cost.inputs import SECTIONS, Correlation, Scenario, Spread, Variant
from breakeven.cost.limits import check
from breakeven.errors import UsageError, unknown

_LISTS: Final[dict[str, type[Struct]]] = {"variants": Variant, "correlations": Correlation}


def read_scenario(text: str, *, where: str) -> Scenario:
    """Read a scenario from TOML; UsageError with file and place for what is not known or cannot be."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{where}: {error}") from None
    check_keys(table, where=where)
    return build(table, where=where)


def overridden(scenario: Scenario, overrides: Sequence[str]) -> Scenario:
    """The scenario after `--set place=value` changes, in order; the value is TOML, so ranges work."""
    if not overrides:
        return scenario
    table = msgspec.to_builtins(scenario)
    for override in overrides:
        set_value(table, override)
    return build(table, where="--set")


def build(table: Mapping[str, Any], *, where: str) -> Scenario:
    """A checked Scenario from a table whose keys are known."""
    try:
        scenario = msgspec.convert(table, Scenario)
    except msgspec.ValidationError as error:
        raise UsageError(f"{where}: {_plainly(str(error))}") from None
    check(scenario, where=where)
    for variant in scenario.variants:
        for place in variant.set:
            check_place(place, where=f"{where}: variants: {variant.label}")
    return scenario


def _plainly(message: str) -> str:
    """The reading library's message in the words of this file format."""
    if "`float | object`" in message or "`float | object | null`" in message:
        expected, _, place = message.partition(" - at ")
        got = expected.rpartition("got ")[2].strip("`")
        return (
            f"{place.strip('`').removeprefix('$.')}: give a number or a range such as {{low = 1, high = 2}}, not {got}"
        )
    return message.replace("$.", "")


def check_keys(table: Mapping[str, Any], *, where: str) -> None:
    """UsageError for the first key that is not known, with its place and the nearest known name."""
    _check_names(table, Scenario, where=where)
    for section, of in SECTIONS.items():
        if isinstance(table.get(section), dict):
            _check_section(table[section], of, where=f"{where}: {section}")
    for name, of in _LISTS.items():
        for index, item in enumerate(table.get(name) or ()):
            if isinstance(item, dict):
                _check_names(item, of, where=f"{where}: {name}[{index}]")


def _check_section(part: Mapping[str, Any], of: type[Struct], *, where: str) -> None:
    _check_names(part, of, where=where)
    for name, value in part.items():
        if isinstance(value, dict):
            _check_names(value, Spread, where=f"{where}.{name}")


def _check_names(part: Mapping[str, Any], of: type[Struct], *, where: str) -> None:
    for name in part:
        if name not in of.__struct_fields__:
            raise UsageError(f"{where}: {unknown('key', name, of.__struct_fields__)}")


def check_place(place: str, *, where: str) -> tuple[str, str]:
    """Section and name of `candidate.count`; UsageError names the nearest known one."""
    section, _, name = place.partition(".")
    if section not in SECTIONS:
        raise UsageError(f"{where}: {unknown('section', section, SECTIONS)} (a place looks like candidate.count)")
    if name not in SECTIONS[section].__struct_fields__:
        raise UsageError(f"{where}: {section}: {unknown('key', name, SECTIONS[section].__struct_fields__)}")
    return section, name


def set_value(table: dict[str, Any], override: str) -> None:
    """Apply one `place=value` to a table: `candidate.count={low=1.5,high=2}`."""
    where = "--set"
    place, equals, text = override.partition("=")
    if not equals:
        raise UsageError(f"{where} {override}: write place=value, such as candidate.count=1.54")
    section, name = check_place(place.strip(), where=f"{where} {override}")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text.strip()
    if isinstance(value, dict):
        _check_names(value, Spread, where=f"{where} {override}")
    table.setdefault(section, {})[name] = value


def with_numbers(scenario: Scenario, numbers: Mapping[str, Any]) -> Scenario:
    """The scenario with other inputs, by place; a section that it lacks is added."""
    changed = scenario
    for place, value in numbers.items():
        section, _, name = place.partition(".")
        part = getattr(changed, section) or SECTIONS[section]()
        changed = msgspec.structs.replace(changed, **{section: msgspec.structs.replace(part, **{name: value})})
    return changed
