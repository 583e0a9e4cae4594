"""Finds a reference run by GPU and workload, and turns its words into tokens where the user says how many."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, cast

import msgspec

from breakeven.errors import UsageError, one_line, unknown
from breakeven.hardware import same_gpu
from breakeven.metrics.summary import Estimate, LevelSummary, RunSummary
from breakeven.registry import load

DATA_SETS: Final = {
    "nosana-2024": "breakeven.reference.fleet:runs",
    "nosana-2024-sweep": "breakeven.reference.sweep:runs",
}
DEFAULT_WORKLOADS: Final = {"nosana-2024": "llama3.1-8b-4bit", "nosana-2024-sweep": "llama3.1-8b/lmdeploy"}


def reference_runs(data: str) -> tuple[RunSummary, ...]:
    """All runs of a data set; UsageError for an unknown one."""
    return cast("Callable[[], tuple[RunSummary, ...]]", load("data set", DATA_SETS, data))()


def find_run(gpu: str, *, data: str, workload: str | None = None, cards: int = 1) -> RunSummary:
    """The run of `gpu`; without `workload` the data set's most common one.

    Where the name stands for several cards (`a100-80`), the one with the most nodes is taken and a note says so.
    UsageError says what there is when there is no such run. Workloads are never mixed: 4-bit and 16-bit are two.
    """
    known = reference_runs(data)
    wanted = workload or DEFAULT_WORKLOADS[data]
    of_workload = [run for run in known if run.run.workload["name"] == wanted]
    if not of_workload:
        raise UsageError(unknown(f"workload of {data}", wanted, _names(known, "workload")))
    found = [run for run in of_workload if same_gpu(gpu, run.run.host["gpu"]) and run.run.host["gpu_count"] == cards]
    if not found:
        has = ", ".join(run.run.host["gpu"] for run in of_workload)
        times = f"{cards} x " if cards > 1 else ""
        raise UsageError(f"{data} has no {times}{one_line(gpu, limit=60)} for {wanted}; it has {has}")
    best = max(found, key=nodes)
    return best if len(found) == 1 else _with_note(best, note=_choice_note(gpu, found))


def in_tokens(run: RunSummary, *, tokens_per_word: float) -> RunSummary:
    """The run in tokens per second: words per second x `tokens_per_word`, which the user declares.

    The data does not hold the ratio: it depends on model and text. UsageError unless the run is in words.
    """
    if run.run.settings.get("unit") != "words":
        raise UsageError(f"{run.run.id} is in tokens already; tokens per word is for runs in words")
    if not 0 < tokens_per_word < 100:
        raise UsageError(f"tokens per word: {tokens_per_word:g} is no ratio; English text has between 1 and 2")
    settings = run.run.settings | {"unit": "tokens", "tokens_per_word_declared": tokens_per_word}
    return msgspec.structs.replace(
        run,
        run=msgspec.structs.replace(run.run, settings=settings),
        levels=tuple(_level_in_tokens(level, tokens_per_word) for level in run.levels),
    )


def nodes(run: RunSummary) -> int:
    """How many nodes the run is the median of."""
    return max(int(level.extra["nodes"]) for level in run.levels)


def _names(runs: Sequence[RunSummary], fact: str) -> list[str]:
    facts: list[Mapping[str, Any]] = [getattr(run.run, fact) for run in runs]
    return list(dict.fromkeys(str(entry["name"]) for entry in facts))


def _choice_note(gpu: str, found: Sequence[RunSummary]) -> str:
    most_first = sorted(found, key=nodes, reverse=True)
    each = ", ".join(f"{run.run.host['gpu']} (nodes: {nodes(run)})" for run in most_first)
    return f"{one_line(gpu, limit=60)} may mean {each}: the first was taken, as it has the most nodes."


def _with_note(run: RunSummary, *, note: str) -> RunSummary:
    settings = run.run.settings | {"notes": [*run.run.settings["notes"], note]}
    return msgspec.structs.replace(run, run=msgspec.structs.replace(run.run, settings=settings))


def _level_in_tokens(level: LevelSummary, factor: float) -> LevelSummary:
    rate = level.output_tok_per_s
    low, high = (None if end is None else end * factor for end in rate.ci95)
    value = None if rate.value is None else rate.value * factor
    kept = tuple(caution for caution in level.cautions if caution.id != "words_not_tokens")
    return msgspec.structs.replace(level, output_tok_per_s=Estimate(value=value, ci95=(low, high)), cautions=kept)
