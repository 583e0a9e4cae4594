"""Who asks: one worker here, several processes, or a Ray cluster, by what `--clients` says."""

import contextlib
from collections.abc import AsyncIterator

from breakeven.errors import UsageError
from breakeven.load.crew import Crew, LocalCrew
from breakeven.load.open_loop import Asking
from breakeven.load.processes import ProcessCrew
from breakeven.session.server import Server

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
async def crew_for(server: Server, asking: Asking, *, clients: str) -> AsyncIterator[Crew]:
    """The crew, ended at the end of the block."""
    on_ray, count = parse_clients(clients)
    if count == 1 and not on_ray:
        yield LocalCrew(asking.worker(server.target))
        return
    if on_ray:
        from breakeven.load.ray_crew import RayCrew

        crew: ProcessCrew | RayCrew = RayCrew(asking, clients=count)
    else:
        crew = ProcessCrew(asking, clients=count)
    try:
        await crew.launch()
        yield crew
    finally:
        await crew.close()
