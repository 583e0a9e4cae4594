"""The facts of a stored run as they may stand in a file: what any code reads of them has the type that it expects.

`host.json` and `summary.json` may come from anybody. Fields that nobody reads are kept as they are.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

import msgspec
from msgspec import Meta, Struct, field

from breakeven.client.openai import BAD_JSON
from breakeven.errors import LONGEST_NAME, RunFailedError, UsageError, one_line
from breakeven.hidden import hidden
from breakeven.metrics.bracket import Bracket
from breakeven.metrics.goodput import Verdict
from breakeven.metrics.stored import decode_summary
from breakeven.metrics.summary import LevelSummary, RunSummary
from breakeven.units import moment

T = TypeVar("T")

MOST: Final = 1e15
"""A measured number is none beyond it."""
LONGEST_TEXT: Final = 2000
_NAMES: Final = frozenset({"id", "model", "name", "version", "gpu", "gpu_name", "cpu"})
DEEPEST: Final = 40
_Count = Annotated[int, Meta(ge=0, le=100_000)]
_Number = Annotated[float, Meta(ge=-MOST, le=MOST)]


class _Declared(Struct):
    gpu: str | None = None
    count: _Count = 1
    rent_usd_per_h: Annotated[float, Meta(ge=0, lt=1e12)] | None = None
    rent_source: str | None = None


class _Gpu(Struct):
    name: str | None = None


class _Host(Struct):
    gpus: list[dict[str, Any] | str | None] | None = None
    gpu: _Gpu | str | None = None
    gpu_name: str | None = None
    gpu_count: Annotated[float, Meta(ge=0, le=100_000)] | None = None
    declared: _Declared | None = None
    cpu: str | None = None
    cpu_cores: _Number | None = None


class _Start(Struct):
    started: str | None = None
    start_s: _Number | None = None


class _Engine(Struct):
    name: str | None = None
    version: str | None = None
    argv: list[str] | str | None = None
    starts: list[_Start] = []


class _Workload(Struct):
    name: str | None = None


class _Imported(Struct):
    notes: list[str] | None = None


class _Settings(Struct):
    unit: str | None = None
    notes: list[str] | None = None
    source: str | None = None
    imported: _Imported | None = None
    options: dict[str, Any] | None = None
    found: Bracket | None = None


class _Run(Struct):
    started: str | None = None
    model: str | None = None
    workload: _Workload = field(default_factory=_Workload)
    settings: _Settings = field(default_factory=_Settings)
    resumed: list[str] = []

    def __post_init__(self) -> None:
        if self.started is not None and moment(self.started) is None:
            raise ValueError(f"started: '{self.started}' is no date and time, such as 2026-11-23T02:10:00+00:00")


class HostFile(Struct):
    """What host.json may hold."""

    run: _Run = field(default_factory=_Run)
    engine: _Engine = field(default_factory=_Engine)
    host: _Host = field(default_factory=_Host)


class _RunFacts(_Run):
    engine: _Engine = field(default_factory=_Engine)
    host: _Host = field(default_factory=_Host)


class _Played(Struct, kw_only=True):
    sessions: _Count | None = None
    sessions_failed: _Count | None = None
    shared_input_share: _Number | None = None
    cached_input_share: _Number | None = None
    goodput_sessions_per_s: _Number | None = None
    good_session_share: _Number | None = None


class _Extra(_Played):
    clients_lost: _Count | None = None
    client_nodes: _Number | None = None
    clock_offset_s: _Number | None = None
    clock_doubt_s: _Number | None = None
    clock_drift_s: _Number | None = None
    backlog_growth_req_per_s: _Number | None = None
    failed_share: _Number | None = None
    between_node_sd_log: _Number | None = None


class _Judged(_Played, kw_only=True):
    slo: str
    verdict: Verdict
    good_share: _Number | None
    goodput_req_per_s: _Number
    goodput_tok_per_s: _Number
    missed: list[str]
    met: list[str] = []


def decoded(data: bytes, kind: type[T], *, where: Path) -> T:
    """A JSON document of this kind; RunFailedError in one line for anything else."""
    try:
        return msgspec.json.decode(data, type=kind)
    except BAD_JSON as error:
        raise _no_good(where, error) from None


def host_facts(data: bytes, *, where: Path) -> dict[str, Any]:
    """What host.json holds, its texts made safe to print."""
    found = decoded(data, dict[str, Any], where=where)
    _check(found, HostFile, where=where)
    clean: dict[str, Any] = _clean(found, where=where)
    return clean


def run_summary(data: bytes, *, where: Path) -> RunSummary:
    """A summary of ours, its texts made safe to print; RunFailedError where it can be none."""
    try:
        found = decode_summary(data)
    except UsageError as error:
        raise UsageError(f"{where}: {error}") from None
    except (*BAD_JSON, AttributeError, KeyError, TypeError) as error:  # format 1 of any shape is upgraded
        raise _no_good(where, error) from None
    _check(msgspec.to_builtins(found.run), _RunFacts, where=where)
    for level in found.levels:
        _check(level.extra, _Judged if "verdict" in level.extra else _Extra, where=where)
        _check_numbers(level, where=where)
    return msgspec.convert(_clean(msgspec.to_builtins(found), where=where), RunSummary)


def _check(value: object, kind: type[Struct], *, where: Path) -> None:
    try:
        msgspec.convert(value, kind)
    except BAD_JSON as error:
        raise _no_good(where, error) from None


def _check_numbers(level: LevelSummary, *, where: Path) -> None:
    """No figure of a level is negative or beyond what can be measured; further facts and changes may be negative."""
    figures = msgspec.to_builtins(level)
    bounds = *((figures.pop(name), -MOST) for name in ("extra", "cautions")), (figures, 0.0)
    for value, least in bounds:
        wrong = next((number for number in _numbers(value) if not least <= number <= MOST), None)
        if wrong is not None:
            raise RunFailedError(f"{where}: the number {wrong:g} is no figure that can be measured")


def _numbers(value: object) -> list[float]:
    if isinstance(value, Mapping):
        return [number for item in value.values() for number in _numbers(item)]
    if isinstance(value, list | tuple):
        return [number for item in value for number in _numbers(item)]
    return [value] if isinstance(value, int | float) else []


def _clean(value: Any, *, where: Path, depth: int = 0, key: str = "") -> Any:
    """The same with every text in one line and of a bounded length."""
    if depth > DEEPEST:
        raise RunFailedError(f"{where}: nested too deeply")
    if isinstance(value, str):
        return one_line(hidden(value), limit=LONGEST_NAME if key in _NAMES else LONGEST_TEXT)
    if isinstance(value, Mapping):
        known = {one_line(str(name), limit=LONGEST_NAME): item for name, item in value.items()}
        return {name: _clean(item, where=where, depth=depth + 1, key=name) for name, item in known.items()}
    if isinstance(value, list | tuple):
        return [_clean(item, where=where, depth=depth + 1, key=key) for item in value]
    return value


def _no_good(where: Path, error: Exception) -> RunFailedError:
    return RunFailedError(f"{where}: {one_line(str(error) or 'nested too deeply')}; it is broken, or not of breakeven")
