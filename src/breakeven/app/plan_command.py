"""What the commands about plan files print: `run PLAN`, `run --dry-run`, `plan check`, `plan init`."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from breakeven.app.commands import console, run, slo_code
from breakeven.app.dry_run import dry_run_text, run_text
from breakeven.app.given import plan_given
from breakeven.app.runs import write_json
from breakeven.errors import INTERRUPTED, LIMIT_MISSED, RunFailedError, UsageError
from breakeven.metrics.summary import RunSummary
from breakeven.report.forms import screen
from breakeven.report.live import Live
from breakeven.report.studywords import cause
from breakeven.session.asks import workload_of
from breakeven.session.defaults import level_plans
from breakeven.session.plan_file import PlanFile, read_file, understood
from breakeven.session.run import check_plan
from breakeven.session.study import StudyRun, cell_summary, resume_study, start_study
from breakeven.store.log import cannot_write
from breakeven.study.cells import Cell
from breakeven.table import Table, heads
from breakeven.units import counted, load_text, short_count

Wanted = Mapping[str, Sequence[str]]


def run_file(path: Path, *, out: Path, wanted: Wanted, json_to: str | None) -> int:
    """Measure what a plan file says."""
    plan = understood(read_file(path), where=str(path), wanted=wanted)
    if plan.head is None:
        return run(plan.cells[0].plan, out=out, json_to=json_to)
    return _finish(start_study(plan, out=out, live=Live()), json_to=json_to)


def resume_file(path: Path, *, wanted: Wanted, is_trusted: bool, json_to: str | None) -> int:
    """Measure what a study lacks."""
    return _finish(resume_study(path, wanted=wanted, live=Live(), is_trusted=is_trusted), json_to=json_to)


def dry_run(path: Path, *, wanted: Wanted) -> int:
    """Print what a plan file would do."""
    print(dry_run_text(understood(read_file(path), where=str(path), wanted=wanted)))
    return 0


def dry_run_plan(given: dict[str, Any]) -> int:
    """Print what a single run by these options would do."""
    plan = plan_given(given)
    check_plan(plan)
    workload_of(plan)
    print(dry_run_text(PlanFile("", None, (Cell(name=plan.name or "run", names={}, plan=plan),))))
    return 0


def check(path: Path) -> int:
    """Read a plan file and say that it can be run, or what is wrong with it."""
    plan = understood(read_file(path), where=str(path))
    if plan.head is None:
        print(f"{path}: {run_text(plan.cells[0].plan)}; nothing is wrong with it")
        return 0
    levels = sum(len(level_plans(cell.plan, salt=0)) for cell in plan.cells)
    what = ", ".join((counted(len(plan.cells), "cell"), counted(levels, "level")))
    print(f"{path}: {what} in {counted(plan.head.repeats, 'round')}; nothing is wrong with it")
    return 0


def init(path: Path) -> int:
    """Write a plan to begin with; never over a file that is there."""
    text = resources.files("breakeven.study").joinpath("begin.toml").read_text(encoding="utf-8")
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise UsageError(f"{path} is there already; give another name") from None
    except OSError as error:
        raise RunFailedError(cannot_write(path, error)) from None
    print(f"{path} is written; look at it, then: breakeven run {path} --dry-run")
    return 0


def _finish(study: StudyRun, *, json_to: str | None) -> int:
    if study.plan.tune is not None:
        from breakeven.app.tune import finish

        return finish(study, json_to=json_to)
    found = {cell.name: cell_summary(study.folder, cell) for cell in study.plan.cells}
    summaries = {name: None if one is None else one[1] for name, one in found.items()}
    _print(study, summaries, to_stderr=json_to == "-")
    _write_json(study, summaries, json_to)
    return _code(study, [one for one in summaries.values() if one is not None])


def _code(study: StudyRun, summaries: Sequence[RunSummary]) -> int:
    if study.is_interrupted:
        return INTERRUPTED
    if study.failures:
        return 1
    for summary in summaries:
        for line in missed_lines(summary):
            print(f"breakeven: {line}", file=sys.stderr)
    return LIMIT_MISSED if study.is_out_of_budget else max(map(slo_code, summaries), default=0)


def missed_lines(summary: RunSummary) -> Iterator[str]:
    """Each level that missed a limit, or cannot show that it met it: the limits, cell, load, and what was seen."""
    for level in summary.levels:
        if level.extra.get("verdict") in ("missed", "unknown"):
            load = load_text(level.users, level.req_per_s_offered, repeat=level.repeat or None)
            seen = "; ".join((level.extra["verdict"], *map(str, level.extra.get("missed") or ())))
            yield f"{level.extra['slo']}: {summary.run.id}, {load}: {seen}"


def _print(study: StudyRun, summaries: Mapping[str, RunSummary | None], *, to_stderr: bool) -> None:
    rows = [_row(study, cell, summaries[cell.name]) for cell in study.plan.cells]
    stream = sys.stderr if to_stderr else sys.stdout
    to = console(stream)
    to.print(screen(Table(heads("cell", "levels", "best tok/s", "start", "state", left=(0, 4)), rows), width=to.width))
    if sum(summary is not None for summary in summaries.values()) > 1:
        to.print(f"see:     breakeven show {study.folder.path}", soft_wrap=True)
    if study.is_interrupted or study.is_out_of_budget or study.failures:
        to.print(f"go on:   breakeven run --resume {study.folder.path}", soft_wrap=True)


def _row(study: StudyRun, cell: Cell, summary: RunSummary | None) -> list[str]:
    wanted = len(level_plans(cell.plan, salt=0))
    levels = () if summary is None else summary.levels
    done = sum(level.status == "done" for level in levels)
    speeds = [level.output_tok_per_s.value for level in levels if level.output_tok_per_s.value]
    start_s = study.folder.state().start_s.get(cell.name)
    failure = study.failures.get(cell.name)
    state = cause(failure) if failure else ("complete" if done >= wanted else "not finished")
    return [
        cell.name,
        f"{done}/{wanted}",
        short_count(max(speeds)) if speeds else "–",
        "–" if start_s is None else f"{start_s:.1f} s",
        state,
    ]


def _write_json(study: StudyRun, summaries: Mapping[str, RunSummary | None], json_to: str | None) -> None:
    if json_to is None:
        return
    state = study.folder.state()
    told = {
        "format": 1,
        "study": str(study.folder.path),
        "used_s": state.used_s,
        "used_usd": state.used_usd,
        "cells": [
            {
                "name": cell.name,
                "names": cell.names,
                "failure": study.failures.get(cell.name),
                "summary": summaries[cell.name],
            }
            for cell in study.plan.cells
        ],
    }
    write_json(told, json_to)
