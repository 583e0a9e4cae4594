"""What `breakeven fleet render` prints and writes."""

from collections.abc import Sequence
from pathlib import Path

from breakeven.errors import RunFailedError
from breakeven.fleet.jobs.folder import FILES, Given, make_fleet, slug
from breakeven.fleet.jobs.plan import is_fleet_plan, read_fleet_plan
from breakeven.fleet.jobs.render import job_file, target
from breakeven.session.plan_file import read_file, understood
from breakeven.store.log import cannot_write, write_atomically
from breakeven.study.cells import Cell


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
    print(f"{out / FILES}: {len(files)} {'cells' if fleet.is_study else 'jobs'} for {to}")
    return 0


def _read(text: str, *, where: str) -> tuple[Sequence[Cell], str]:
    """The cells of a study and its name; none for a fleet plan."""
    if is_fleet_plan(text):
        return (), read_fleet_plan(text, where=where).fleet.name
    plan = understood(text, where=where)
    return plan.cells, slug(plan.head.name if plan.head is not None else plan.cells[0].name)
