"""The command compare: how many of B do the work of one A.

What reads run folders is imported only where one is read: it takes longer than comparing two runs of a data set.
"""

from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct

from breakeven.app.level import Level
from breakeven.app.printed import put_out
from breakeven.compare.gate import gate
from breakeven.compare.runs import compare_runs
from breakeven.compare.text import render, render_gate, to_json
from breakeven.compare.types import Comparison
from breakeven.errors import LIMIT_MISSED
from breakeven.metrics.summary import RunSummary
from breakeven.reference import find_run, in_tokens


class DataRuns(Struct, frozen=True, kw_only=True):
    """Runs out of a shipped data set, by GPU."""

    data: str
    reference: str
    candidates: tuple[str, ...]
    workload: str | None = None
    tokens_per_word: float | None = None

    def read(self) -> tuple[RunSummary, list[RunSummary]]:
        """The reference and the candidates."""
        reference, *candidates = (self._run(gpu) for gpu in (self.reference, *self.candidates))
        return reference, candidates

    def _run(self, gpu: str) -> RunSummary:
        run = find_run(gpu, data=self.data, workload=self.workload)
        return run if self.tokens_per_word is None else in_tokens(run, tokens_per_word=self.tokens_per_word)


def compare(
    runs: Sequence[Path] | DataRuns, level: Level, *, gates: Sequence[str], strict: bool, json_to: str | None
) -> int:
    """Print the comparison and the gates; exit code 3 where a gate failed, with `strict` where one did not pass."""
    if isinstance(runs, DataRuns):
        reference, candidates = runs.read()
    else:
        from breakeven.app.runs import read_run

        reference, *candidates = (read_run(path) for path in runs)
    found = compared(reference, candidates, level)
    results = [gate(expression, reference, candidate) for expression in gates for candidate in candidates]
    text = "\n".join([render(found), *(render_gate(result) for result in results)])
    put_out(text, told=to_json(found), json_to=json_to)
    missed = {"failed", "undecided"} if strict else {"failed"}
    return LIMIT_MISSED if any(result.verdict in missed for result in results) else 0


def compared(reference: RunSummary, candidates: Sequence[RunSummary], level: Level) -> tuple[Comparison, ...]:
    """Hold the candidates against the reference at the wanted service."""
    return compare_runs(
        reference,
        candidates,
        floors=level.floors,
        slo=level.limits(),
        users=level.users,
        scope=level.scope,
        between_node_sd_log=level.between_node_sd_log,
        seed=level.seed,
    )
