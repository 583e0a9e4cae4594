"""What each command does once its words are understood: measure or read, then print and write."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final, TextIO

from rich.console import Console

from breakeven.app.runs import read_run, readable, write_json
from breakeven.errors import INTERRUPTED, LIMIT_MISSED, UsageError, one_line, printable
from breakeven.metrics.failures import has_mostly_failed
from breakeven.metrics.summary import LevelSummary, RunSummary
from breakeven.plan import Plan
from breakeven.report.forms import screen
from breakeven.report.live import Live
from breakeven.report.terminal import print_run
from breakeven.say import WIDTH, room
from breakeven.session.run import resume_run, run_plan
from breakeven.session.summary import fresh_summary, summarise
from breakeven.store.folder import RunFolder
from breakeven.store.study import StudyFolder, StudyState, find_studies, is_study, runs_outside_studies
from breakeven.table import Column, Table

WIDE: Final = 180
"""Columns of a list of runs where it goes to no terminal: names are whole there."""


_RUN_COLUMNS: Final = (
    Column("run", align="left"),
    Column("model", align="left", goes=1),
    Column("engine", align="left", goes=2),
    Column("levels", align="left"),
    Column("best tok/s"),
)


def run(plan: Plan, *, out: Path, json_to: str | None) -> int:
    """Measure a new run."""
    return _finish(*run_plan(plan, out=out, live=Live()), json_to=json_to)


def resume(
    path: Path,
    *,
    auto: bool = False,
    floors: tuple[float, ...] = (),
    is_trusted: bool = False,
    json_to: str | None,
) -> int:
    """Measure what a run lacks; with `auto` also the levels whose absence leaves most doubt, at `floors`."""
    resumed = resume_run(path, live=Live(), auto=auto, floors=floors, is_trusted=is_trusted)
    return _finish(*resumed, json_to=json_to)


def show(path: Path, *, json_to: str | None) -> int:
    """Print a stored run, or a study."""
    if is_study(path):
        from breakeven.app.study import show_study

        return show_study(path, json_to=json_to)
    output(read_run(path), where=str(path), json_to=json_to)
    return 0


def runs(out: Path) -> int:
    """List the runs and studies in a folder."""
    found = runs_outside_studies(out)
    studies = find_studies(out)
    if not found and not studies:
        raise UsageError(f"{out} holds no runs yet; `breakeven run` makes one")
    read = [(folder.id, readable(folder, summarise)) for folder in found]
    rows = [(name, "unreadable") if isinstance(summary, str) else _row(summary) for name, summary in read]
    states = [readable(folder, StudyFolder.state) for folder in studies]
    rows += [_study_row(folder, state) for folder, state in zip(studies, states, strict=True)]
    to = console(sys.stdout, width=WIDE)
    to.print(screen(Table(_RUN_COLUMNS, rows), width=room()), soft_wrap=True)
    for why in (*(told for _, told in read), *states):
        if isinstance(why, str):
            to.print(f"unreadable: {one_line(why)}", soft_wrap=True)
    return 0


def _row(summary: RunSummary) -> list[str]:
    kind = "" if summary.run.kind == "measured" else summary.run.kind
    engine = ", ".join(filter(None, (summary.run.engine.get("name"), kind))) or "–"
    return [summary.run.id, summary.run.model or "–", engine, *_done_and_best(summary.levels)]


def _study_row(folder: StudyFolder, state: StudyState | str) -> list[str]:
    """What can be said of a study without reading its plan: its cells that were begun, and what they reached."""
    told = [readable(cell, fresh_summary) for cell in folder.begun()]
    runs = [one for one in told if not isinstance(one, str)]
    failed = 0 if isinstance(state, str) else len(state.failures)
    counts = (failed, "failed"), (len(told) - len(runs), "unreadable")
    cells = ", ".join([f"{len(told)} cells", *(f"{count} {what}" for count, what in counts if count)])
    return [folder.path.name, "study", cells, *_done_and_best([level for run in runs for level in run.levels])]


def _done_and_best(levels: Sequence[LevelSummary]) -> tuple[str, str]:
    """How many levels are done, and their best throughput."""
    best = max((level.output_tok_per_s.value or 0.0 for level in levels), default=0.0)
    return str(sum(level.status == "done" for level in levels)), f"{best:.0f}" if best else "–"


def _finish(folder: RunFolder, summary: RunSummary, interrupted: bool, *, json_to: str | None) -> int:
    output(summary, where=str(folder.path), json_to=json_to)
    if interrupted:
        return INTERRUPTED
    if any(map(has_mostly_failed, summary.levels)):
        return 1
    return slo_code(summary)


def slo_code(summary: RunSummary) -> int:
    """LIMIT_MISSED where a level missed the SLO or cannot show that it met it, or a search found no load that does."""
    found = summary.run.settings.get("found")
    if found is not None:
        return LIMIT_MISSED if found["met"] is None else 0
    missed = any(level.extra.get("verdict") in ("missed", "unknown") for level in summary.levels)
    return LIMIT_MISSED if missed else 0


class _Screen(Console):
    def on_broken_pipe(self) -> None:
        """A reader that has seen enough, as `head`, is no failure; the command line ends quietly."""
        raise BrokenPipeError


def console(stream: TextIO, *, width: int = WIDTH) -> Console:
    """As wide as the terminal, else `width`. A text is shown as it is: `[/y]` is no markup."""
    return _Screen(file=stream, highlight=False, markup=False, emoji=False, width=None if stream.isatty() else width)


def output(summary: RunSummary, *, where: str, json_to: str | None) -> None:
    """Print the table, and write JSON where it was asked for."""
    print_run(console(sys.stderr if json_to == "-" else sys.stdout), summary, where=printable(where))
    if json_to is not None:
        write_json(summary, json_to)
