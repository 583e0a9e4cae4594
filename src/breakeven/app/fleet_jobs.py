"""The commands that hand out jobs: fleet render, submit, status, collect, stop."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from breakeven.errors import LimitMissedError, RunFailedError
from breakeven.fleet.job import OUTCOMES, OVER, Job
from breakeven.fleet.jobs.folder import FILES, Fleet, Given, make_fleet, open_fleet, slug
from breakeven.fleet.jobs.logs import collect_logs
from breakeven.fleet.jobs.place import place
from breakeven.fleet.jobs.plan import is_fleet_plan, read_fleet_plan
from breakeven.fleet.jobs.render import job_file, target
from breakeven.fleet.jobs.work import Work, collect, come_back, stop, submit
from breakeven.fleet.jobs.work_text import fleet_text
from breakeven.fleet.result import KEY_VARIABLE
from breakeven.session.plan_file import read_file, understood
from breakeven.store.log import cannot_write, write_atomically
from breakeven.study.cells import Cell
from breakeven.units import counted, exact


def render(path: Path, *, to: str, out: Path, infra: tuple[str, ...]) -> int:
    """Write the job files of a fleet plan, or of every cell of a study."""
    kind, text = target(to), read_file(path)
    cells, name = _read(text, where=str(path))
    fleet = make_fleet(out, text, Given(to=to, infra=infra), cells=cells, name=name, check=kind.document)
    with fleet.held():
        files = [job_file(kind, fleet.task(job)) for job in fleet.jobs.values()]
        try:
            (out / FILES).mkdir(exist_ok=True)
        except OSError as error:
            raise RunFailedError(cannot_write(out, error)) from None
        for file, body in files:
            write_atomically(out / FILES / file, body.encode())
    what = "cell" if fleet.is_study else "job"
    print(f"{out / FILES}: {counted(len(files), what)} for {to}")
    return 0


def _read(text: str, *, where: str) -> tuple[Sequence[Cell], str]:
    """The cells of a study and its name; none for a fleet plan."""
    if is_fleet_plan(text):
        return (), read_fleet_plan(text, where=where).fleet.name
    plan = understood(text, where=where)
    return plan.cells, slug(plan.head.name if plan.head is not None else plan.cells[0].name)


def submit_fleet(path: Path, *, on: str | None) -> int:
    """Hand out what is not handed out, and wait for all of it; LimitMissedError where the money does not reach."""
    fleet = opened(path)
    on = on or fleet.given.to
    at = place(on, path)
    with fleet.held():
        unpaid = submit(fleet, at, work_of(fleet), on=on)
    print(fleet_text(fleet))
    if unpaid:
        raise LimitMissedError(
            f"{len(unpaid)} of {len(fleet.jobs)} jobs are not handed out: at their time limit they could take more than"
            f" max_usd = {exact(fleet.head.max_usd or 0.0)}"
        )
    return 0


def show_status(path: Path) -> int:
    """How the jobs stand, also while another command is at work on them, and where their place does not answer."""
    fleet = opened(path)
    print(fleet_text(fleet, came_back=come_back(fleet)))
    return 0


def collect_fleet(path: Path, *, logs: Path | None) -> int:
    """Take what has come back, or stands in the files of `logs`, and say how the jobs stand."""
    fleet = opened(path)
    with fleet.held():
        if logs is None:
            collect(fleet, work_of(fleet))
        for file in [] if logs is None else collect_logs(fleet, work_of(fleet), logs):
            print(f"{file}: no {'run folder' if fleet.is_study else 'result'} in it", file=sys.stderr)
    print(fleet_text(fleet))
    return 0


def stop_fleet(path: Path) -> int:
    """End what runs, and say how the jobs stand."""
    fleet = opened(path)
    with fleet.held():
        stop(fleet, work_of(fleet))
    print(fleet_text(fleet))
    return 0


def opened(path: Path) -> Fleet:
    """The fleet of a folder."""
    return open_fleet(path, cells_of=lambda text: _read(text, where=str(path))[0])


def work_of(fleet: Fleet) -> Work:
    """Handed out as the commands do: results signed by the key of the environment, a line a job on standard error."""

    def tell(job: Job) -> None:
        over = sum(one.outcome in OVER for one in fleet.jobs.values())
        said = f"{job.id}: {OUTCOMES[job.outcome]}{f': {job.reason}' if job.reason else ''}"
        print(f"{said} ({over} of {len(fleet.jobs)} are over)", file=sys.stderr, flush=True)

    return Work(key=os.environ.get(KEY_VARIABLE) or None, tell=tell)
