"""What an import gives: a run, the tool it came from, the definition of each number, and what was left out."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePath
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from msgspec import Struct

from breakeven.caution import Caution
from breakeven.errors import UsageError, one_line
from breakeven.hardware import gpu_key
from breakeven.metrics.summary import LevelSummary, RunFacts, RunSummary
from breakeven.units import moment

DEFINITIONS: Final = {
    "output_tok_per_s": "output tokens of answers that succeeded / the whole run, its start and its end included",
    "ttft_s": "request sent -> first token",
    "tpot_s": "(last token - first token) / (output tokens - 1), one value a request",
    "e2e_s": "request sent -> last token",
}
"""Where a tool's definition differs, its importer says so in its own words."""

OF_WHOLE_RUN: Final = (
    "Throughput is that of the whole run, its start and its end included; ours is that of the steady window."
)
NO_INTERVALS: Final = "Percentiles are the tool's own, without intervals."
"""Notes of many tools."""

WHOLE_RUN: Final = Caution(
    id="imported",
    seen="measured by another tool over a whole run, its start and its end included; throughput has no interval",
    advice="measure with `breakeven run` where the difference matters",
)


class Imported(Struct, frozen=True, kw_only=True):
    """One run of another tool; `notes` say what differs and what was left out, one line each."""

    tool: str
    run: RunSummary
    notes: tuple[str, ...]


class Importer(NamedTuple):
    """A format that can be read: whether a document is of it, and its runs."""

    recognise: Callable[[Any], bool]
    read: Callable[..., list[Imported]]
    """Called as `read(document, where=...)`."""


class Origin(Struct, frozen=True, kw_only=True):
    """Where a run came from and how its tool defines its numbers."""

    tool: str
    where: str
    version: str | None = None
    definitions: Mapping[str, str]
    notes: Sequence[str] = ()


def imported(
    levels: Sequence[LevelSummary],
    *,
    origin: Origin,
    model: str | None = None,
    started: str | None = None,
    engine: Mapping[str, Any] | None = None,
    host: Mapping[str, Any] | None = None,
    workload: Mapping[str, Any] | None = None,
    name: str = "",
) -> Imported:
    """The run, its definitions and notes in `settings`; what is None, empty or no date is left out."""
    settings = {
        "unit": "tokens",
        "imported": {
            "tool": origin.tool,
            "version": origin.version,
            "file": PurePath(origin.where).name,
            "definitions": dict(origin.definitions),
            "notes": list(origin.notes),
        },
    }
    facts = RunFacts(
        id=f"import-{origin.tool}-{PurePath(origin.where).stem}{name}",
        started=None if moment(started) is None else started,
        host=_known(host),
        engine=_known(engine),
        model=model,
        workload=_known(workload),
        settings=settings,
    )
    return Imported(tool=origin.tool, run=RunSummary(run=facts, levels=tuple(levels)), notes=tuple(origin.notes))


def gpu_of(name: str) -> tuple[str | None, list[str]]:
    """Key of the GPU table; a runner such as `h200-dgxc` is named after its GPU. None and a note where unknown."""
    for part in (name, name.partition("-")[0], name.partition("_")[0]):
        try:
            return gpu_key(part), []
        except UsageError:
            continue
    return None, [f"The GPU '{name}' is not in the table: no price or fact can be looked up for it."]


def safe_url(url: str | None) -> str | None:
    """The address without user, password and query, which may be secret; None for what is no address."""
    try:
        parts = urlsplit(url or "")
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return None
    return one_line(f"{parts.scheme}://{parts.hostname}{port}{parts.path}") if parts.scheme and parts.hostname else None


def _known(facts: Mapping[str, Any] | None) -> dict[str, Any]:
    return {name: value for name, value in (facts or {}).items() if value is not None}
