"""Reads a plan file for a command: the cells that it means, each checked before anything is started."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from breakeven.errors import RunFailedError, UsageError
from breakeven.hidden import holds_key
from breakeven.plan import Plan
from breakeven.session.asks import workload_of, workload_settings
from breakeven.session.run import check_plan
from breakeven.study.cells import Cell, cells, only
from breakeven.study.order import Turn, turns
from breakeven.study.read import read_plan_file
from breakeven.study.types import Head, Study, Tune


class PlanFile(NamedTuple):
    """What a plan file says. `head` None: it is the plan of a single run, its only cell."""

    text: str
    head: Head | None
    cells: tuple[Cell, ...]
    tune: Tune | None = None

    def turns(self) -> tuple[Turn, ...]:
        """Which cell is measured when."""
        if self.head is None:
            return (Turn(self.cells[0], 0),)
        return turns(self.cells, repeats=self.head.repeats, order=self.head.order, seed=self.head.seed)


def read_file(path: Path) -> str:
    """The text of a plan file; UsageError where there is none."""
    try:
        return path.read_text(encoding="utf-8")
    except (FileNotFoundError, IsADirectoryError):
        raise UsageError(f"{path} is no plan file; `breakeven plan init` writes one to begin with") from None
    except (OSError, UnicodeDecodeError) as error:
        raise RunFailedError(f"{path}: {error}") from None


def understood(text: str, *, where: str, wanted: Mapping[str, Sequence[str]] | None = None) -> PlanFile:
    """Read and check a plan file; `wanted` are the names that `--only` gave. UsageError says file and line or cell."""
    for number, line in enumerate(text.splitlines(), 1):
        if holds_key(line):
            raise UsageError(
                f"{where}, line {number}: something that looks like a secret; the file is stored with its runs, "
                "so put it into an environment variable and name that"
            )
    told = read_plan_file(text, where=where)
    found: tuple[Cell, ...]
    if isinstance(told, Plan):
        if wanted:
            raise UsageError(f"--only: {where} is the plan of a single run, so there are no cells to choose from")
        found = (Cell(name=told.name or "run", names={}, plan=told),)
    else:
        found = _cells(told, where=where)
    head = None if isinstance(told, Plan) else told.study
    read: list[object] = []
    for cell in found:
        _check(cell, head, where=where, read=read)
    tune = None if isinstance(told, Plan) else told.tune
    return PlanFile(text, head, only(found, wanted or {}), tune)


def _cells(study: Study, *, where: str) -> tuple[Cell, ...]:
    try:
        return cells(study)
    except UsageError as error:
        raise UsageError(f"{where}: {error}") from None


def _check(cell: Cell, head: Head | None, *, where: str, read: list[object]) -> None:
    """`read` holds the workloads that were looked at already: cells share them, and their files may be large."""
    settings = cell.plan.workload, workload_settings(cell.plan)
    try:
        check_plan(cell.plan)
        if settings not in read:
            workload_of(cell.plan)
            read.append(settings)
        if head is not None and head.max_usd is not None and cell.rent_usd_per_h is None:
            raise UsageError("max_usd needs the rent_usd_per_h of its hardware, which is not given")
    except UsageError as error:
        raise UsageError(f"{where}: {error}" if head is None else f"{where}: cell {cell.name}: {error}") from None
