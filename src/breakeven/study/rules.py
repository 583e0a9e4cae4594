"""What can be wrong between the tables of a study, and which cells its excludes and includes mean."""

import re
from collections.abc import Mapping, Sequence
from typing import Final

from breakeven.errors import UsageError, unknown
from breakeven.study.types import AXES, Head, Names, Rule, Study

TABLES: Final = {
    "hardware": "hardware",
    "model": "models",
    "engine": "engines",
    "settings": "settings",
    "workload": "workloads",
}
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*", re.ASCII)


def check_tables(study: Study) -> None:
    """UsageError for a table that cannot be."""
    if not study.engines:
        raise UsageError("engines: give at least one [[engines]] table")
    _check_head(study.study)
    _check_tune(study)
    for axis, table in TABLES.items():
        _check_names([row.name for row in getattr(study, table)], axis=axis, table=table)
    engines = [row.name for row in study.engines]
    for model in study.models:
        for name in model.by_engine:
            if name not in engines:
                raise UsageError(f"by_engine of model '{model.name}': {unknown('row of [[engines]]', name, engines)}")


def _check_tune(study: Study) -> None:
    """What a search cannot do without."""
    if study.tune is None:
        return
    if study.levels.rate is not None:
        raise UsageError("rate: a search goes through numbers of users; give users in [levels]")
    if any(row.url is not None for row in study.engines):
        raise UsageError("url: an engine that runs already has settings of its own; a search starts its engines")
    rents = [row.rent_usd_per_h for row in study.hardware] or [None]
    if study.tune.goal == "usd_per_mtok" and None in rents:
        raise UsageError("goal: usd_per_mtok needs rent_usd_per_h in [[hardware]]")
    if not 0 < study.tune.margin < 1:
        raise UsageError(f"margin: {study.tune.margin:g} is not between 0 and 1; 0.05 stands for 5 %")
    if study.tune.floor is not None and not study.tune.floor > 0:
        raise UsageError(f"floor: {study.tune.floor:g} is no speed; give tok/s a user above 0")


def _check_head(head: Head) -> None:
    if head.repeats < 1:
        raise UsageError(f"repeats: {head.repeats} is too few; give at least 1")
    for key in ("max_hours", "max_usd"):
        value = getattr(head, key)
        if value is not None and not value > 0:
            raise UsageError(f"{key}: {value:g} holds nothing; give more than 0, or leave it out")


def _check_names(names: Sequence[str], *, axis: str, table: str) -> None:
    for name in names:
        if not _NAME.fullmatch(name):
            raise UsageError(f"[[{table}]]: '{name}' is no name; use letters, digits, dot, dash and underscore")
        if names.count(name) > 1:
            raise UsageError(f"[[{table}]]: the name '{name}' stands twice; each {axis} needs its own")


def check_rules(study: Study, combined: Sequence[Mapping[str, str]]) -> None:
    """A rule that fits no cell is a slip of the pen."""
    for kind, rules in (("exclude", study.exclude), ("include", study.include)):
        for number, rule in enumerate(rules, 1):
            _check_rule(study, rule, where=f"[[{kind}]] {number}")
            if kind == "exclude" and not wanted(rule):
                raise UsageError(f"[[exclude]] {number}: it names nothing, so it would leave out every cell")
            if not any(matches(rule, names) for names in combined):
                raise UsageError(f"[[{kind}]] {number}: no cell has all of these names")


def _check_rule(study: Study, rule: Rule, *, where: str) -> None:
    for axis, names in wanted(rule).items():
        known = [row.name for row in getattr(study, TABLES[axis])]
        for name in names:
            if name not in known:
                raise UsageError(f"{where}: {unknown(axis, name, known)}")


def wanted(rule: Rule) -> dict[str, tuple[str, ...]]:
    """The names that a rule asks for, by axis."""
    given: dict[str, Names | None] = {axis: getattr(rule, axis) for axis in AXES}
    return {axis: (names,) if isinstance(names, str) else names for axis, names in given.items() if names is not None}


def matches(rule: Rule, names: Mapping[str, str]) -> bool:
    """The cell has one of the wanted names on every axis that the rule names."""
    return all(names.get(axis) in chosen for axis, chosen in wanted(rule).items())
