"""`breakeven tune`: the plan file of a search, the search, and what it says of its own cost."""

import os
import sys
from pathlib import Path
from typing import Any, Final

import msgspec
import tomli_w
from msgspec import Struct
from msgspec.structs import replace

from breakeven.app.given import plan_given
from breakeven.app.study import StoredStudy, show_study
from breakeven.errors import INTERRUPTED, LIMIT_MISSED, UsageError
from breakeven.findings.race import contenders, known, spread
from breakeven.findings.search import AsPredicted, Matrix, Repeat, Searched
from breakeven.launch.start import Line, start_lines
from breakeven.plan import Plan, plan_table
from breakeven.report.live import Live
from breakeven.report.searchtext import foreseen_lines, repeat_lines, search_lines
from breakeven.serving import Launch, engine_settings, settings_table
from breakeven.session.plan_file import PlanFile, understood
from breakeven.session.run import check_plan
from breakeven.session.study import start_study
from breakeven.session.tune import TuneRun
from breakeven.store.folder import RunFolder
from breakeven.store.log import write_atomically
from breakeven.study.cells import Cell
from breakeven.study.space import Vary
from breakeven.study.tuned import tuned_table
from breakeven.study.types import Goal, Tune

BEST: Final = "best.toml"
"""The plan of the best setting, in the study's folder."""
ROUNDS: Final = 3
"""Of the full matrix that a search is held against."""


class Asked(Struct, frozen=True, kw_only=True):
    """What the options say."""

    given: dict[str, Any]
    """Fields of the plan that every setting shares."""
    varied: tuple[tuple[str, Vary], ...]
    """As it was written, and as it was read."""
    goal: Goal
    floor: float | None
    max_hours: float | None
    max_usd: float | None
    rent_usd_per_h: float | None
    is_predicted_first: bool = False
    """Every setting is foretold, and only those that may be best are measured."""


def tune(asked: Asked, *, out: Path, is_dry: bool, json_to: str | None) -> int:
    """Search, or print the plan file of the search."""
    plan = plan_given(asked.given)
    launch = plan.launch or Launch()
    told = settings_table(launch.settings)
    for _, vary in asked.varied:
        if vary.name in told:
            raise UsageError(f"--vary {vary.name}: --set says it already; give one of the two")
    first = {vary.name: vary.values[0] for _, vary in asked.varied if vary.needs is None}
    check_plan(replace(plan, launch=replace(launch, settings=engine_settings(told | first))))
    table = tuned_table(
        plan,
        [vary for _, vary in asked.varied],
        tune=Tune(goal=asked.goal, floor=asked.floor, vary=tuple(text for text, _ in asked.varied)),
        max_hours=asked.max_hours,
        max_usd=asked.max_usd,
        rent_usd_per_h=asked.rent_usd_per_h,
    )
    found = understood(tomli_w.dumps(table), where="--vary")
    if asked.is_predicted_first:
        found = _among_predicted(table, found, asked)
    if is_dry:
        print(found.text, end="")
        return 0
    return finish(start_study(found, out=out, live=Live()), json_to=json_to)


def _among_predicted(table: dict[str, Any], found: PlanFile, asked: Asked) -> PlanFile:
    """The plan of the settings that are foretold to be among the best."""
    from breakeven.app.foretold import finals

    chosen = finals(found, varied=[vary.name for _, vary in asked.varied])
    for line in foreseen_lines(chosen.foreseen):
        print(line, file=sys.stderr)
    rows = [row for row in table["settings"] if row["name"] in chosen.told.figures]
    told = table["tune"] | {"predicted": msgspec.to_builtins(chosen.told)}
    return understood(tomli_w.dumps(table | {"tune": told, "settings": rows}), where="--vary")


def finish(run: object, *, json_to: str | None) -> int:
    """Print what the study says and what the search took; exit code 3 where the budget ended it."""
    assert isinstance(run, TuneRun)
    path = run.folder.path
    best = StoredStudy(path).findings().best
    cell = next((cell for cell in run.plan.cells if cell.name == best), None)
    if cell is not None:
        write_atomically(path / BEST, tomli_w.dumps(plan_table(cell.plan)).encode())
    show_study(path, json_to=json_to)
    to = sys.stderr if json_to == "-" else sys.stdout
    for line in (
        *search_lines(_searched(run, cell)),
        *(() if cell is None else repeat_lines(_repeat(cell.plan, path))),
    ):
        print(line, file=to)
    if run.is_interrupted:
        return INTERRUPTED
    if cell is None:
        return 1
    return LIMIT_MISSED if run.is_out_of_budget else 0


def _repeat(plan: Plan, path: Path) -> Repeat:
    launch = plan.launch or Launch()
    told = settings_table(launch.settings) if plan.is_embedded else None
    lines: list[Line] = []
    if told is None and plan.engine is not None and plan.model is not None:
        lines = start_lines(plan.engine, plan.model, launch=launch, environment=os.environ)
    return Repeat(plan=str(path / BEST), settings=told, model=plan.model, lines=tuple(line.text for line in lines))


def _searched(run: TuneRun, best: Cell | None) -> Searched:
    """What the search did and took; `best` is the cell that turned out so."""
    tries, state = run.tries(), run.folder.state()
    tried, told = [one for one in tries if one.logs], run.tune.predicted
    return Searched(
        goal=run.tune.goal,
        settings=len(tries),
        tried=len(tried),
        starts=sum(len(one.logs) for one in tries),
        failed=sum(one.has_failed for one in tries),
        skipped=len(run.skipped()),
        in_the_way=len(run.in_the_way),
        used_s=state.used_s,
        is_over=run.is_over,
        margin=run.tune.margin,
        as_good=len(contenders(known(tried))) - 1 if tried else 0,
        spread=spread(tried)[0] if any(len(one.logs) > 1 for one in tried) else None,
        predicted=None
        if told is None
        else AsPredicted(
            card=told.gpu,
            settings=told.settings,
            figure=None if best is None else told.figures.get(best.names["settings"]),
        ),
        matrix=Matrix(settings=_all_settings(run), rounds=ROUNDS, takes_s=_full_matrix_s(run)),
    )


def _full_matrix_s(run: TuneRun) -> float | None:
    """Settings x ROUNDS x (mean start + levels x mean level), from what was seen; None before any level."""
    state = run.folder.state()
    starts_s = list(state.start_s.values())
    found = [run.folder.cell(cell.name) for cell in run.plan.cells]
    seen = [(len(folder.finished()), _starts(folder)) for folder in found if folder is not None]
    levels, starts = sum(one for one, _ in seen), sum(one for _, one in seen)
    if not levels or not starts_s:
        return None
    start_s = sum(starts_s) / len(starts_s)
    level_s = max(0.0, state.used_s - starts * start_s) / levels
    ladder = len(run.plan.cells[0].plan.user_levels)
    return _all_settings(run) * ROUNDS * (start_s + ladder * level_s)


def _all_settings(run: TuneRun) -> int:
    """With those that were only predicted."""
    return len(run.plan.cells) if run.tune.predicted is None else run.tune.predicted.settings


def _starts(folder: RunFolder) -> int:
    return len({facts.repeat for facts in folder.finished()})
