"""Who asks: one worker here, several processes, or a Ray cluster, by what `--clients` says."""

import contextlib
from collections.abc import AsyncIterator

from breakeven.client.target import Access
from breakeven.errors import UsageError
from breakeven.load.crew import Crew, LocalCrew
from breakeven.load.open_loop import OpenWorker
from breakeven.load.processes import Plant, ProcessCrew
from breakeven.load.worker import Worker
from breakeven.session.server import Server
from breakeven.workload.base import Workload

MOST_CLIENTS = 256


def parse_clients(text: str) -> tuple[bool, int]:
    """Whether Ray is meant, and how many clients: `4` or `ray:4`; UsageError for anything else."""
    name, colon, number = text.rpartition(":")
    if name not in ("", "ray") or (colon and not name) or not (number.isascii() and number.isdigit()):
        raise UsageError(f"--clients '{text}' is no number of client processes; write 4, or ray:4")
    if not 1 <= int(number) <= MOST_CLIENTS:
        raise UsageError(f"--clients {number}: give 1 to {MOST_CLIENTS}")
    return name == "ray", int(number)


@contextlib.asynccontextmanager
async def crew_for(
    server: Server,
    workload: Workload,
    *,
    clients: str,
    is_open: bool,
    timeout_s: float,
    access: Access,
) -> AsyncIterator[Crew]:
    """The crew, ended at the end of the block."""
    on_ray, count = parse_clients(clients)
    if count == 1 and not on_ray:
        kind = OpenWorker if is_open else Worker
        yield LocalCrew(kind(target=server.target, maker=server.maker, workload=workload, timeout_s=timeout_s))
        return
    plant = Plant(
        is_open=is_open,
        access=access,
        timeout_s=timeout_s,
        maker=server.maker,
        workload=workload,
    )
    if on_ray:
        from breakeven.load.ray_crew import RayCrew

        crew: ProcessCrew | RayCrew = RayCrew(plant, clients=count)
    else:
        crew = ProcessCrew(plant, clients=count)
    try:
        await crew.launch()
        yield crew
    finally:
        await crew.close()
