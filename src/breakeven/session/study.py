"""`breakeven run plan.toml`: measure every cell of a study, round by round, within its budget, to be resumed."""

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from breakeven.clock import now_s, wall_now
from breakeven.errors import InTheWayError, RunFailedError, UsageError, one_line
from breakeven.hardware import find_gpus
from breakeven.load.level import LevelPlan
from breakeven.metrics.failures import has_mostly_failed
from breakeven.metrics.summary import RunSummary
from breakeven.plan import Plan
from breakeven.report.live import Live
from breakeven.session.defaults import round_levels
from breakeven.session.measure import Session, load_of
from breakeven.session.plan_file import PlanFile, understood
from breakeven.session.run import measure_session
from breakeven.session.summary import summarise
from breakeven.session.trust import ask_for_trust
from breakeven.store.folder import RunFolder
from breakeven.store.study import STUDY, StudyFolder
from breakeven.study.cells import Cell
from breakeven.study.estimate import level_s, start_s
from breakeven.study.order import Turn
from breakeven.study.types import Head
from breakeven.units import S_PER_H, load_text, short_s

_NVIDIA_SMI: Final = ("nvidia-smi", "--query-gpu=name", "--format=csv,noheader")
_ASK_S: Final = 20.0


class StudyRun:
    """One session of a study: goes through its turns and knows what they have used."""

    def __init__(self, plan: PlanFile, folder: StudyFolder, *, live: Live) -> None:
        assert plan.head is not None
        self.plan = plan
        self.head: Head = plan.head
        self.folder = folder
        self.is_interrupted = False
        self.is_out_of_budget = False
        self._live = live
        self._state = folder.state()
        self._turn_began_s: float | None = None
        self._rent_usd_per_h = 0.0

    @property
    def failures(self) -> Mapping[str, str]:
        """Cells that could not be measured to the end, and why."""
        return {name: text for name, text in self._state.failures.items() if name in {c.name for c in self.plan.cells}}

    def measure(self) -> None:
        """Measure what is missing, until all is done, the budget is used, or the user ends it."""
        self._keep(sessions=(*self._state.sessions, wall_now().isoformat()))
        turns = self.plan.turns()
        self._live.expect([level_s(level) for turn in turns for level in self._missing(turn)])
        for number, turn in enumerate(turns, 1):
            missing = self._missing(turn)
            if not missing:
                continue
            if not self._holds(
                start_s(turn.cell.plan, seen_s=self._state.start_s.get(turn.cell.name)), missing[0], turn
            ):
                self._out_of_budget()
            if self.is_interrupted or self.is_out_of_budget:
                return
            self._live.say(f"[{number}/{len(turns)}] round {turn.repeat + 1} of {self.head.repeats}: {turn.cell.name}")
            self._take(turn)

    def _missing(self, turn: Turn) -> list[LevelPlan]:
        """Levels of this turn that are not measured yet."""
        found = self.folder.cell(turn.cell.name)
        done = [] if found is None else [facts for facts in found.finished() if facts.repeat == turn.repeat]
        levels = round_levels(turn.cell.plan, turn.repeat)
        if turn.cell.plan.is_replay:
            return [] if done else levels
        finished = {load_of(facts) for facts in done}
        return [level for level in levels if load_of(level) not in finished]

    def _take(self, turn: Turn) -> None:
        """One start of the cell's engine; a failure is kept and the study goes on."""
        cell = turn.cell
        folder = self.folder.make_cell(cell.name, cell.plan)
        self._turn_began_s, self._rent_usd_per_h = now_s(), cell.rent_usd_per_h or 0.0
        try:
            folder.lock()
            summary, self.is_interrupted = measure_session(folder, self._session(turn), live=self._live)
            self._note(cell, summary, repeat=turn.repeat)
        except RunFailedError as error:
            self._live.say(f"{cell.name}: {error}")
            why = one_line(error.first, limit=300)
            self._keep(failures=self._state.failures | {cell.name: why}, in_the_way=self._in_the_way(cell, error))
        except KeyboardInterrupt:
            # nothing is measured yet, while the engine starts: it ends as it would between two levels
            self.is_interrupted = True
        finally:
            folder.unlock()
            self._spend()
            self._turn_began_s = None

    def _in_the_way(self, cell: Cell, error: RunFailedError | None = None) -> tuple[str, ...]:
        """Cells that failed for what is not of them, after this one's last try."""
        others = tuple(name for name in self._state.in_the_way if name != cell.name)
        return (*others, cell.name) if isinstance(error, InTheWayError) else others

    def _session(self, turn: Turn) -> Session:
        """All levels of the turn that the budget holds."""
        return Session(repeat=turn.repeat, may_start=lambda level: self._may_start(level, turn))

    def _note(self, cell: Cell, summary: RunSummary, *, repeat: int) -> None:
        failed = [
            load_text(level.users, level.req_per_s_offered)
            for level in summary.levels
            if level.repeat == repeat and has_mostly_failed(level)
        ]
        failures = {name: text for name, text in self._state.failures.items() if name != cell.name}
        if failed:
            failures[cell.name] = f"most requests failed at {', '.join(failed)}"
        starts = summary.run.engine.get("starts")
        seen = {cell.name: float(starts[-1]["start_s"])} if starts else {}
        self._keep(failures=failures, in_the_way=self._in_the_way(cell), start_s=self._state.start_s | seen)

    def _may_start(self, level: LevelPlan, turn: Turn) -> bool:
        """The budget still holds this level; once it does not, the study is over."""
        self._spend()
        if not self.is_out_of_budget and not self._holds(0.0, level, turn):
            self._out_of_budget()
        return not self.is_out_of_budget

    def _holds(self, before_s: float, level: LevelPlan, turn: Turn) -> bool:
        needed_s = before_s + (level_s(level) or 0.0)
        head, state, rent = self.head, self._state, turn.cell.rent_usd_per_h or 0.0
        if head.max_hours is not None and state.used_s + needed_s > head.max_hours * S_PER_H:
            return False
        return head.max_usd is None or state.used_usd + needed_s / S_PER_H * rent <= head.max_usd

    def _out_of_budget(self) -> None:
        self.is_out_of_budget = True
        self._live.say(
            f"the budget does not hold another level: {short_s(self._state.used_s)} and ${self._state.used_usd:.2f} of "
            f"rent are used; raise it in {self.folder.path / STUDY} and resume"
        )

    def _spend(self) -> None:
        """Count the time since the last count, and store it, so that a kill loses one level's at most."""
        if self._turn_began_s is None:
            return
        now = now_s()
        spent_s, self._turn_began_s = now - self._turn_began_s, now
        self._keep(
            used_s=self._state.used_s + spent_s,
            used_usd=self._state.used_usd + spent_s / S_PER_H * self._rent_usd_per_h,
        )

    def _keep(self, **changes: object) -> None:
        self._state = replace(self._state, **changes)
        self.folder.write_state(self._state)


def start_study(plan: PlanFile, *, out: Path, live: Live) -> StudyRun:
    """Measure a new study."""
    assert plan.head is not None
    check_here(plan.cells)
    folder = StudyFolder.create(out, started=wall_now(), label=plan.head.name, text=plan.text)
    return _measured(study_run(plan, folder, live=live), live=live)


def study_run(plan: PlanFile, folder: StudyFolder, *, live: Live) -> StudyRun:
    """A study that measures all its cells, or searches among them."""
    if plan.tune is None:
        return StudyRun(plan, folder, live=live)
    from breakeven.session.tune import TuneRun

    return TuneRun(plan, folder, live=live)


def resume_study(path: Path, *, wanted: Mapping[str, Sequence[str]], live: Live, is_trusted: bool = False) -> StudyRun:
    """Measure what a study lacks."""
    folder = StudyFolder.open(path)
    plan = understood(folder.text(), where=str(path / STUDY), wanted=wanted)
    if plan.head is None:
        raise UsageError(f"{path / STUDY} is the plan of a single run, not of a study")
    ask_for_trust(path, [cell.plan for cell in plan.cells], is_trusted=is_trusted)
    check_here(plan.cells)
    return _measured(study_run(plan, folder, live=live), live=live)


def _measured(run: StudyRun, *, live: Live) -> StudyRun:
    run.folder.lock()
    live.say(f"study folder: {run.folder.path}")
    try:
        run.measure()
    finally:
        run.folder.unlock()
    return run


def cell_summary(folder: StudyFolder, cell: Cell) -> tuple[RunFolder, RunSummary] | None:
    """What is known of a cell; None where it was never begun."""
    found = folder.cell(cell.name)
    return None if found is None else (found, summarise(found))


def check_here(found: Sequence[Cell]) -> None:
    """What is started here must be meant for this machine; UsageError where it is not."""
    here = [cell for cell in found if cell.plan.url is None]
    kinds = {cell.names.get("hardware"): cell.plan for cell in here}
    if len(kinds) > 1:
        names = [name for name in kinds if name is not None]
        raise UsageError(
            f"the cells are for several machines ({', '.join(names)}); run each part where it belongs, such as "
            f"--only hardware={names[0]}"
        )
    for name, plan in kinds.items():
        _check_gpu(name, plan)


def _check_gpu(name: str | None, plan: Plan) -> None:
    """The card that the plan names is one that the driver names; a card that our table lacks is not checked."""
    gpu = None if plan.hardware is None else plan.hardware.gpu
    wanted = set() if gpu is None else _nvidia_keys(gpu)
    if not wanted:
        return
    seen = _nvidia_gpus()
    if not seen:
        raise UsageError(f"hardware '{name}' is a {gpu}, but no NVIDIA driver answers here; run this part where it is")
    if not any(wanted & _nvidia_keys(card) for card in seen):
        raise UsageError(f"hardware '{name}' is a {gpu}, but this machine has {', '.join(seen)}")


def _nvidia_keys(name: str) -> set[str]:
    try:
        return {gpu.key for gpu in find_gpus(name) if gpu.vendor.lower() == "nvidia"}
    except UsageError:
        return set()


def _nvidia_gpus() -> list[str]:
    if shutil.which(_NVIDIA_SMI[0]) is None:
        return []
    try:
        done = subprocess.run(_NVIDIA_SMI, capture_output=True, timeout=_ASK_S, check=False, text=True)
    except subprocess.TimeoutExpired:
        return []
    return (
        [one_line(line, limit=80) for line in done.stdout.splitlines() if line.strip()] if done.returncode == 0 else []
    )
