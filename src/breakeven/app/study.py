"""A stored study for the commands: read without starting anything, and what is said of it."""

import sys
from pathlib import Path

from breakeven.app.commands import console
from breakeven.app.level import ANY_LEVEL, Level
from breakeven.app.runs import write_json
from breakeven.errors import RunFailedError, UsageError
from breakeven.findings.scrub import scrubbed
from breakeven.findings.study import CellRun, StudyFindings, study_findings
from breakeven.metrics.slo import ServiceLevel, parse_slo
from breakeven.metrics.summary import RunSummary
from breakeven.report.studytext import print_study
from breakeven.session.summary import fresh_summary
from breakeven.store.study import STUDY, StudyFolder
from breakeven.study.cells import Cell, cells
from breakeven.study.factors import factors, values
from breakeven.study.read import read_plan_file
from breakeven.study.types import Study


class StoredStudy:
    """The plan of a study and what each cell has measured so far."""

    def __init__(self, path: Path) -> None:
        self.folder = StudyFolder.open(path)
        try:
            plan = read_plan_file(self.folder.text(), where=str(path / STUDY))
        except RecursionError:
            raise RunFailedError(f"{path / STUDY}: nested too deeply") from None
        if not isinstance(plan, Study):
            raise UsageError(f"{path / STUDY} is the plan of a single run, not of a study")
        self.plan: Study = plan
        self.cells: tuple[Cell, ...] = cells(plan)
        self._runs = {cell.name: self._run(cell) for cell in self.cells}

    def _run(self, cell: Cell) -> RunSummary | None:
        folder = self.folder.cell(cell.name)
        return None if folder is None else fresh_summary(folder)

    def runs(self) -> dict[str, RunSummary]:
        """The cells that have a level, in the order of the plan."""
        return {name: run for name, run in self._runs.items() if run is not None and run.levels}

    def level(self, level: Level) -> Level:
        """What is asked for; where nothing is, what a search was asked for."""
        floor = None if self.plan.tune is None else self.plan.tune.floor
        return level if level != ANY_LEVEL or floor is None else Level(floors=(floor,), slo=self.plan.levels.slo)

    def service(self, level: Level) -> ServiceLevel | None:
        """What is asked for, else the limits of the plan; None: the most at any level."""
        level = self.level(level)
        limits = level.limits() or (None if self.plan.levels.slo is None else parse_slo(self.plan.levels.slo))
        if len(level.floors) > 1:
            raise UsageError("a study is read at one service level; give one --floor")
        if not level.floors and limits is None:
            return None
        return ServiceLevel(
            floor_tok_per_s_per_user=level.floors[0] if level.floors else None,
            slo=limits if level.slo is not None or not level.floors else None,
        )

    def findings(self, level: Level = ANY_LEVEL) -> StudyFindings:
        """Everything that is said of it."""
        told, state = factors(self.cells), self.folder.state()
        runs = [
            CellRun(
                cell.name, told[cell.name], self._runs[cell.name], state.failures.get(cell.name), cell.rent_usd_per_h
            )
            for cell in self.cells
        ]
        found = study_findings(
            self.folder.path.resolve().name,
            runs,
            level=self.service(level),
            values=values(told),
            goal=None if self.plan.tune is None else self.plan.tune.goal,
            used_s=state.used_s,
            used_usd=state.used_usd or None,
        )
        return scrubbed(found)


def show_study(path: Path, level: Level = ANY_LEVEL, *, json_to: str | None) -> int:
    """Print the matrix and what it says; `compare STUDY` prints the same."""
    found = StoredStudy(path).findings(level)
    print_study(console(sys.stderr if json_to == "-" else sys.stdout), found, where=str(path))
    if json_to is not None:
        write_json(found, json_to)
    return 0
