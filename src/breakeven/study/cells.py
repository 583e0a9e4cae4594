"""The cells of a study: every combination of its tables, less what is excluded, each as a plan of its own."""

import itertools
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct
from msgspec.structs import asdict, replace

from breakeven.engine.detect import adapter
from breakeven.errors import UsageError, unknown
from breakeven.plan import Plan
from breakeven.serving import EngineSettings, Hardware, Launch
from breakeven.study.rules import TABLES, check_rules, check_tables, matches
from breakeven.study.types import AXES, EngineRow, HardwareRow, Include, ModelRow, SettingsRow, Study, WorkloadRow

_LAUNCH_KEYS: Final = ("via", "image", "docker_args", "mounts", "env", "pass_env", "start_timeout_s")

EMBEDDED: Final = "embedded"
"""What a row of `[[engines]]` is called that is the embedded engine also where it is given a model."""
_ACCESS_KEYS: Final = ("api_key_env", "headers", "headers_env", "proxy")


class Cell(Struct, frozen=True, kw_only=True):
    """One combination: a run folder of its own, whose repeats are the rounds of the study."""

    name: str
    names: dict[str, str]
    """Its row in every table that the plan has."""
    plan: Plan

    @property
    def rent_usd_per_h(self) -> float | None:
        """Rent of all its GPUs together, where the plan states one."""
        return None if self.plan.hardware is None else self.plan.hardware.rent_usd_per_h


class _Rows(Struct, frozen=True, kw_only=True):
    """One row of every table; None where the plan has no such table."""

    hardware: HardwareRow | None
    model: ModelRow | None
    engine: EngineRow
    settings: SettingsRow | None
    workload: WorkloadRow | None


def cells(study: Study) -> tuple[Cell, ...]:
    """All cells, in the order of the tables; UsageError names the table, the row or the cell that cannot be."""
    check_tables(study)
    combined = list(_combined(study))
    kept = []
    for rows in combined:
        names = _names(rows)
        includes = [one for one in study.include if matches(one, names)]
        if not includes and any(matches(rule, names) for rule in study.exclude):
            continue
        kept.append(_cell(study, rows, names=names, includes=includes))
    check_rules(study, [_names(rows) for rows in combined])
    if not kept:
        raise UsageError("exclude: nothing is left to measure; exclude less, or include something")
    _check_alike(kept)
    return tuple(kept)


def only(found: Sequence[Cell], wanted: Mapping[str, Sequence[str]]) -> tuple[Cell, ...]:
    """The cells that have one of the wanted names in each table; UsageError for names that none has."""
    for axis, names in wanted.items():
        if axis not in AXES:
            raise UsageError(f"--only: {unknown('table', axis, AXES)}")
        known = list(dict.fromkeys(cell.names[axis] for cell in found if axis in cell.names))
        for name in names:
            if name not in known:
                raise UsageError(f"--only: {unknown(axis, name, known)}")
    return tuple(cell for cell in found if all(cell.names.get(axis) in names for axis, names in wanted.items()))


def _check_alike(found: Sequence[Cell]) -> None:
    """Where the embedded engine and another are compared, both must be asked for answers of the same length."""
    open_ended = [cell for cell in found if cell.plan.output_tokens is None and not cell.plan.file_says_lengths]
    if len({cell.plan.is_embedded for cell in open_ended}) > 1:
        raise UsageError(
            "output_tokens: the embedded engine and the others have different defaults; give it in [[workloads]]"
        )


def _combined(study: Study) -> Iterator[_Rows]:
    tables = [getattr(study, table) or (None,) for table in TABLES.values()]
    for rows in itertools.product(*tables):
        yield _Rows(**dict(zip(AXES, rows, strict=True)))


def _names(rows: _Rows) -> dict[str, str]:
    found = {axis: getattr(rows, axis) for axis in AXES}
    return {axis: row.name for axis, row in found.items() if row is not None}


def _cell(study: Study, rows: _Rows, *, names: dict[str, str], includes: Sequence[Include]) -> Cell:
    name = "-".join(names.values())
    try:
        return Cell(name=name, names=names, plan=_plan(study, rows, includes))
    except UsageError as error:
        raise UsageError(f"cell {name}: {error}") from None


def _plan(study: Study, rows: _Rows, includes: Sequence[Include]) -> Plan:
    engine, workload = rows.engine, rows.workload or WorkloadRow(name="chat")
    given: dict[str, Any] = asdict(study.levels) | asdict(workload) | {"repeats": study.study.repeats}
    given |= {"engine": None if _is_embedded(engine) else engine.engine or engine.name} | {
        key: getattr(engine, key) for key in _ACCESS_KEYS
    }
    given |= {"url": engine.url, "hardware": _hardware(rows.hardware, _cards(rows))}
    for include in includes:
        given |= {key: getattr(include, key) for key in ("url", "users", "rate") if getattr(include, key) is not None}
    given |= _whom(rows, url=given["url"])
    return Plan(**given | {"name": "-".join(_names(rows).values())})


def _cards(rows: _Rows) -> int:
    """Cards that the cell's settings take: replicas x tensor_parallel."""
    settings = merged(rows.engine.settings, rows.settings)
    return adapter(_adapter_name(rows.engine)).gpus_in_all(settings)


def _is_embedded(engine: EngineRow) -> bool:
    return (engine.engine or engine.name) == EMBEDDED


def _adapter_name(engine: EngineRow) -> str:
    return "llamacpp" if _is_embedded(engine) else engine.engine or engine.name


def _hardware(row: HardwareRow | None, cards: int) -> Hardware | None:
    """What the cell runs on: of a row per card as many cards as its settings take, and what all of them cost."""
    if row is None:
        return None
    told = Hardware(**{key: value for key, value in asdict(row).items() if key not in ("name", "per_card")})
    if not row.per_card:
        if told.gpu is not None and told.count < cards:
            raise UsageError(
                f"count: hardware '{row.name}' is {told.count} x {told.gpu}, and this cell's settings (replicas x "
                f"tensor_parallel) take {cards}; give count = {cards}, or what one card costs with per_card = true"
            )
        return told
    if told.count != 1:
        raise UsageError("count: with per_card a cell takes as many cards as its settings say; leave count out")
    of_all = {key: getattr(told, key) for key in ("power_w", "rent_usd_per_h", "price_usd")}
    return replace(told, count=cards, **{key: None if one is None else one * cards for key, one in of_all.items()})


def _whom(rows: _Rows, *, url: str | None) -> dict[str, Any]:
    """Model and launch of a cell."""
    engine, row = rows.engine, rows.model or ModelRow(name="model")
    name = _adapter_name(engine)
    model = row.by_engine.get(engine.name, row.model)
    settings, launch = merged(engine.settings, rows.settings), _launch(engine)
    if url is not None:
        if settings != EngineSettings() or launch != Launch():
            raise UsageError(
                f"engine '{engine.name}' runs at a URL already, so it cannot be told settings or a command"
            )
        return {"model": row.served_name or model}
    if _is_embedded(engine) and launch != Launch():
        raise UsageError(
            f"engine '{engine.name}': the embedded engine is told settings and a model; leave the rest out"
        )
    if _is_embedded(engine) or (model is None and name == "llamacpp" and launch == Launch()):
        return {"model": model, "launch": None if settings == EngineSettings() else Launch(settings=settings)}
    if model is None:
        raise UsageError(f"engine '{engine.name}' has no model to load; give [[models]] with model, or by_engine")
    if settings.served_name is None and adapter(name).options.served_name is not None:
        settings = replace(settings, served_name=row.served_name)
    return {"model": model, "launch": replace(launch, settings=settings)}


def _launch(engine: EngineRow) -> Launch:
    command = tuple(shlex.split(engine.command)) if isinstance(engine.command, str) else engine.command
    return Launch(command=command, **{key: getattr(engine, key) for key in _LAUNCH_KEYS})


def merged(own: EngineSettings, row: SettingsRow | None) -> EngineSettings:
    """The engine's own settings, with those of the row before them; further options and words of both."""
    if row is None:
        return own
    given = {key: value for key, value in msgspec.to_builtins(row).items() if key not in ("name", "extra", "options")}
    return replace(own, **given, extra=(*own.extra, *row.extra), options=own.options | row.options)
