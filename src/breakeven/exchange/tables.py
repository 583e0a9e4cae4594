"""The tables of formats, how a file's format is told by its content, and how files of one sweep become one run."""

import itertools
from collections.abc import Callable, Sequence
from typing import Final, cast

import msgspec

from breakeven.errors import UsageError
from breakeven.exchange.document import parse_json
from breakeven.exchange.imported import Imported, Importer
from breakeven.metrics.summary import LevelSummary, RunSummary
from breakeven.registry import load

IMPORTERS: Final = {
    "vllm": "breakeven.exchange.vllm:IMPORTER",
    "guidellm": "breakeven.exchange.guidellm:IMPORTER",
    "aiperf": "breakeven.exchange.aiperf:IMPORTER",
    "genai-bench": "breakeven.exchange.genai_bench:IMPORTER",
    "inference-perf": "breakeven.exchange.inference_perf:IMPORTER",
    "inferencex": "breakeven.exchange.inferencex:IMPORTER",
}
"""Tool -> how its files are told and read."""

EXPORTERS: Final = {"vllm-json": "breakeven.exchange.vllm_json:write"}
"""Format -> function of a run that gives file name -> content."""


def import_file(data: bytes, *, where: str) -> list[Imported]:
    """The runs in a result file of another tool: one, but for InferenceX lists, which hold one a configuration.

    The format is told by the content. UsageError in one line for what is no JSON, no known format, or not of the
    type that the format promises.
    """
    document = parse_json(data, where=where)
    for tool in IMPORTERS:
        importer = cast("Importer", load("result file", IMPORTERS, tool))
        if importer.recognise(document):
            return importer.read(document, where=where)
    raise UsageError(f"{where}: no known result file; known are those of {', '.join(IMPORTERS)}")


def export_run(run: RunSummary, *, form: str) -> dict[str, bytes]:
    """The run in another tool's format: file name -> content. UsageError for an unknown format."""
    return cast("Callable[[RunSummary], dict[str, bytes]]", load("format", EXPORTERS, form))(run)


def merge(runs: Sequence[Imported]) -> Imported:
    """Files of one sweep, one level each, as one run with its levels in order.

    UsageError where the tools or the models differ, or one level stands twice: such files are not one sweep.
    """
    first = runs[0]
    for other in runs[1:]:
        for what, one, two in (("tool", first.tool, other.tool), ("model", first.run.run.model, other.run.run.model)):
            if one != two:
                raise UsageError(f"these files are not one sweep: the {what} is {one} in one and {two} in another")
    levels = sorted((level for one in runs for level in one.run.levels), key=_load)
    for lower, upper in itertools.pairwise(levels):
        if _load(lower) == _load(upper):
            raise UsageError(f"these files are not one sweep: the level {_words(upper)} stands twice")
    notes = tuple(dict.fromkeys(note for one in runs for note in one.notes))
    run = msgspec.structs.replace(first.run, levels=tuple(levels))
    return Imported(tool=first.tool, run=run, notes=notes)


def _load(level: LevelSummary) -> tuple[float, float]:
    return (level.users or 0, level.req_per_s_offered or 0.0)


def _words(level: LevelSummary) -> str:
    if level.users is not None:
        return f"of {level.users} users"
    return "without users or rate" if level.req_per_s_offered is None else f"of {level.req_per_s_offered:g} req/s"
