"""A fleet's folder: its plan and one file a job, each always whole; held by one command at a time.

`fleet.toml` is the plan as given, `given.json` where it goes, `jobs/JOB.json` each a Job (fleet/job.py): the record of
what was asked for, and what `breakeven fleet import` reads. `files/` holds the rendered job files,
`local/` what jobs on this machine write, `runs/` the run folders of a study's cells.
"""

import contextlib
import fcntl
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from breakeven.errors import RunFailedError, UsageError, one_line
from breakeven.fleet.job import Job
from breakeven.fleet.jobs.plan import Head, is_fleet_plan, read_fleet_plan
from breakeven.fleet.jobs.task import CELL_LIMIT_S, Task, cell_nodes, cell_task, fleet_task, new_jobs
from breakeven.store.held import slug as file_name
from breakeven.store.log import cannot_write, write_atomically
from breakeven.study.cells import Cell

PLAN, GIVEN, JOBS, FILES, RUNS, LOCK = "fleet.toml", "given.json", "jobs", "files", "runs", ".lock"
CELL_TEMPLATE: Final = "cell:"
"""Beginning of the template of a job that measures a cell of a study; its name follows."""

CellsOf = Callable[[str], Sequence[Cell]]


class Given(Struct, frozen=True, kw_only=True):
    """What the command line said beside the plan, so that a resumed fleet is the same one."""

    to: str
    infra: tuple[str, ...] = ()
    """Of a study's cells; a fleet plan says its own."""


class Fleet:
    """A fleet on disk."""

    def __init__(self, path: Path, text: str, given: Given, cells: Sequence[Cell], name: str) -> None:
        self.path = path
        self.given = given
        self._cells = tuple(cells)
        self._plan = read_fleet_plan(text, where=str(path / PLAN)) if not cells else None
        self.head = self._plan.fleet if self._plan is not None else _head(name, to=given.to)
        self.jobs: dict[str, Job] = {}

    @property
    def is_study(self) -> bool:
        """Each job is a cell of a study, and leaves a run folder."""
        return self._plan is None

    def task(self, job: Job) -> Task:
        """What this job does."""
        number = int(job.id.rpartition("-")[2]) - 1
        if self._plan is None:
            cell = self._cells[number]
            given = self.given
            return cell_task(
                cell, job, self.head, time_limit_s=CELL_LIMIT_S, infra=given.infra, is_here=given.to == "local"
            )
        each = [nodes for nodes in self._plan.nodes for _ in range(nodes.count)]
        return fleet_task(self._plan, job, each[number])

    def run_of(self, job: Job) -> Path:
        """Where the run folder of a cell's job comes home to: its name is the cell's."""
        return self.path / RUNS / file_name(job.template.removeprefix(CELL_TEMPLATE))

    def new_jobs(self) -> list[Job]:
        """The jobs of this plan, with names of their own, not kept yet."""
        if self._plan is not None:
            return new_jobs(self.head.name, self._plan.job.template, self._plan.nodes, place=self.given.to)
        made = new_jobs(self.head.name, "cell", [cell_nodes(cell) for cell in self._cells], place=self.given.to)
        return [
            msgspec.structs.replace(job, template=f"{CELL_TEMPLATE}{cell.name}")
            for job, cell in zip(made, self._cells, strict=True)
        ]

    def keep(self, job: Job) -> None:
        """The job as it is now: on disk before anything is done that relies on it."""
        write_atomically(self.path / JOBS / f"{job.id}.json", msgspec.json.format(msgspec.json.encode(job), indent=1))
        self.jobs[job.id] = job

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """No other command works on this fleet meanwhile; UsageError where one does. A killed one holds nothing."""
        with (self.path / LOCK).open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise UsageError(f"{self.path}: another breakeven is at work on it; wait for it, or end it") from None
            yield


def make_fleet(
    path: Path, text: str, given: Given, *, cells: Sequence[Cell], name: str, check: Callable[[Task], object]
) -> Fleet:
    """The fleet of this plan in `path`: made, or gone on with where it is there; UsageError where another one is.

    `check` raises for a task that cannot be done there; then nothing is made.
    """
    if (path / GIVEN).exists():
        fleet = open_fleet(path, cells_of=lambda _: cells)
        if (path / PLAN).read_text(encoding="utf-8") != text or fleet.given.to != given.to:
            raise UsageError(f"{path} is the folder of another fleet; give another --out, or submit the folder itself")
        return fleet
    fleet = Fleet(path, text, given, cells, name)
    made = fleet.new_jobs()
    for job in made:
        check(fleet.task(job))
    try:
        (path / JOBS).mkdir(parents=True, exist_ok=True)
        path.chmod(0o700)
    except OSError as error:
        raise RunFailedError(cannot_write(path, error)) from None
    for job in made:
        fleet.keep(job)
    write_atomically(path / PLAN, text.encode())
    # the last one: a folder without it was never begun
    write_atomically(path / GIVEN, msgspec.json.encode({"name": name, **msgspec.to_builtins(given)}))
    return fleet


class _Kept(Given, frozen=True, kw_only=True):
    name: str


def open_fleet(path: Path, *, cells_of: CellsOf) -> Fleet:
    """The fleet in a folder, with its jobs; `cells_of` reads the cells of a study's text."""
    if not (path / GIVEN).exists():
        raise UsageError(f"{path} is no folder of a fleet; `breakeven fleet render PLAN --out FOLDER` makes one")
    try:
        given = msgspec.json.decode((path / GIVEN).read_bytes(), type=_Kept)
        text = (path / PLAN).read_text(encoding="utf-8")
        jobs = [
            msgspec.json.decode(one.read_bytes(), type=Job)
            for one in sorted((path / JOBS).glob("*.json"))
            if one.stem[-4:].isdigit()
        ]
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UsageError(
            f"{path} is no whole folder of a fleet: {one_line(str(error))}; render its plan into another one"
        ) from None
    cells = () if is_fleet_plan(text) else cells_of(text)
    fleet = Fleet(path, text, given, cells, given.name)
    fleet.jobs = {job.id: job for job in jobs}
    return fleet


def is_of_study(path: Path) -> bool:
    """A folder whose jobs are the cells of a study: they leave run folders, and no results of nodes."""
    plan = path / PLAN
    return plan.is_file() and not is_fleet_plan(plan.read_text(encoding="utf-8", errors="replace"))


def _head(name: str, *, to: str) -> Head:
    """Of a study: on one machine its cells run one at a time, since they would measure each other."""
    return Head(name=slug(name), parallel=1) if to == "local" else Head(name=slug(name))


def slug(name: str) -> str:
    """A study's name as a part of names of jobs."""
    plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    return (plain if plain[:1].isalpha() else f"s-{plain}")[:29].strip("-") or "study"
