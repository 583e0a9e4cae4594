"""The tables of formats, how a file's format is told by its content, and how files of one sweep become one run."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, cast

import msgspec

from breakeven.errors import RunFailedError, UsageError
from breakeven.exchange.document import parse
from breakeven.exchange.exported import Measured, Sender
from breakeven.exchange.imported import Imported, Importer
from breakeven.metrics.repeats import repeats
from breakeven.metrics.summary import LevelSummary, RunSummary
from breakeven.registry import load
from breakeven.units import rate_text

IMPORTERS: Final = {
    "vllm": "breakeven.exchange.vllm:IMPORTER",
    "vllm-multi-turn": "breakeven.exchange.vllm_multi_turn:IMPORTER",
    "sglang": "breakeven.exchange.sglang:IMPORTER",
    "guidellm": "breakeven.exchange.guidellm:IMPORTER",
    "aiperf": "breakeven.exchange.aiperf:IMPORTER",
    "genai-bench": "breakeven.exchange.genai_bench:IMPORTER",
    "inference-perf": "breakeven.exchange.inference_perf:IMPORTER",
    "inferencex": "breakeven.exchange.inferencex:IMPORTER",
    "llmperf": "breakeven.exchange.llmperf:IMPORTER",
    "llmd-report": "breakeven.exchange.llmd:IMPORTER",
}
"""Tool -> how its files are told and read."""

_ALIKE: Final = 1.1
"""Mean lengths of one load's repeats may differ by this factor: random prompts do, other workloads differ by more."""

EXPORTERS: Final = {
    "vllm-json": "breakeven.exchange.vllm_json:write",
    "llmd-report": "breakeven.exchange.llmd_report:write",
    "openmetrics": "breakeven.exchange.openmetrics:write",
    "sessions": "breakeven.exchange.sessions:write",
}
"""Format -> function of a run that gives file name -> content; those of OF_RECORDS take its records too."""
OF_RECORDS: Final = frozenset({"sessions"})
"""Formats that are written from what was asked and seen, not from figures."""

SENDERS: Final = {
    "mlflow": "breakeven.exchange.to_mlflow:send",
    "otlp": "breakeven.exchange.to_otlp:send",
}
"""Protocol -> its Sender."""


def import_file(data: bytes, *, where: str) -> list[Imported]:
    """The runs in a result file of another tool: one, but for InferenceX lists, which hold one a configuration.

    The format is told by the content; lines of JSON or a list, one a result, are one sweep. UsageError in one line for
    what is no JSON, no known format, or not of the type that the format promises, and where the lines are not one
    sweep; RunFailedError where no request of the file was answered.
    """
    found = _runs(parse(data, where=where), where=where)
    levels = [level for one in found for level in one.run.levels]
    errors = sum(level.errors for level in levels)
    if errors and not any(level.requests for level in levels):
        raise RunFailedError(f"{where}: all {errors} requests failed, so that there is nothing to import")
    return found


def _runs(documents: Sequence[Any], *, where: str) -> list[Imported]:
    if len(documents) == 1 and (importer := _importer(documents[0])) is not None:
        return importer.read(documents[0], where=where)
    if len(documents) == 1 and isinstance(documents[0], list) and documents[0]:
        documents = documents[0]
    if len(documents) == 1:
        return _read(documents[0], where=where)
    found: list[Imported] = []
    for number, document in enumerate(documents, start=1):
        try:
            found += _read(document, where=where)
        except UsageError as error:
            raise UsageError(f"result {number} of {error}") from None
    return [merge(found)]


def _read(document: Any, *, where: str) -> list[Imported]:
    importer = _importer(document)
    if importer is None:
        raise UsageError(f"{where}: no known result file; known are those of {', '.join(IMPORTERS)}")
    return importer.read(document, where=where)


def _importer(document: Any) -> Importer | None:
    for tool in IMPORTERS:
        importer = cast("Importer", load("result file", IMPORTERS, tool))
        if importer.recognise(document):
            return importer
    return None


def export_run(run: RunSummary, *, form: str, levels: Measured = ()) -> dict[str, bytes]:
    """The run in another format: file name -> content. UsageError for an unknown format, or one that lacks records."""
    write = cast("Callable[..., dict[str, bytes]]", load("format", EXPORTERS, form))
    return write(run, levels) if form in OF_RECORDS else write(run)


def send_run(run: RunSummary, measured: Measured, *, form: str, to: str) -> str:
    """Send the run, with its records where it has any, to a server, and say what was sent."""
    return cast("Sender", load("format", SENDERS, form))(run, measured, to)


def merge(runs: Sequence[Imported]) -> Imported:
    """Results of one sweep, one level each, as one run with its levels in order; one load measured again is a repeat.

    UsageError where the tools or the models differ, a result stands twice, or the prompts or answers of one load differ
    in length by more than a tenth: such results are not one sweep.
    """
    first = runs[0]
    for other in runs[1:]:
        for what, one, two in (("tool", first.tool, other.tool), ("model", first.run.run.model, other.run.run.model)):
            if one != two:
                raise UsageError(f"these files are not one sweep: the {what} is {one} in one and {two} in another")
    placed = [(_load(level), level, one.run.run.workload) for one in runs for level in one.run.levels]
    placed.sort(key=lambda it: it[0])
    levels = [level for _, same in itertools.groupby(placed, key=lambda it: it[0]) for level in _repeats(list(same))]
    notes = tuple(dict.fromkeys(note for one in runs for note in one.notes))
    run = msgspec.structs.replace(first.run, levels=tuple(levels), repeats=repeats(levels))
    return Imported(tool=first.tool, run=run, notes=notes)


def _repeats(same: Sequence[tuple[tuple[float, float], LevelSummary, Mapping[str, Any]]]) -> list[LevelSummary]:
    """Levels of one load, numbered from 0."""
    levels = [level for _, level, _ in same]
    if len(levels) > 1 and levels[0].users is None and levels[0].req_per_s_offered is None:
        raise UsageError(f"these files are not one sweep: the level {_words(levels[0])} stands twice")
    numbers = [workload["run_number"] for _, _, workload in same if "run_number" in workload]
    if len(set(numbers)) < len(numbers):
        raise UsageError(
            f"these files are not one sweep: the level {_words(levels[0])} has a run {numbers[0]} in two of them, so "
            "that they are of other settings of the server; import each alone"
        )
    if any(one == other for one, other in itertools.combinations(levels, 2)):
        raise UsageError(f"these files are not one sweep: the level {_words(levels[0])} stands twice")
    for name, what in (("input_tokens", "prompts"), ("output_tokens", "answers")):
        lengths = [float(workload[name]) for _, _, workload in same if workload.get(name)]
        if lengths and max(lengths) > _ALIKE * min(lengths):
            raise UsageError(
                f"these files are not one sweep: the level {_words(levels[0])} stands there with {what} of "
                f"{min(lengths):.0f} and of {max(lengths):.0f} tokens"
            )
    return [msgspec.structs.replace(level, repeat=number) for number, level in enumerate(levels)]


def _load(level: LevelSummary) -> tuple[float, float]:
    return (level.users or 0, level.req_per_s_offered or 0.0)


def _words(level: LevelSummary) -> str:
    if level.users is not None:
        return f"of {level.users} users"
    return (
        "without users or rate" if level.req_per_s_offered is None else f"of {rate_text(level.req_per_s_offered)} req/s"
    )
