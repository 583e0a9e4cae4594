"""Who asks: one worker here, several processes, or a Ray cluster, by what `--clients` says."""

import contextlib
from collections.abc import AsyncIterator

from breakeven.errors import UsageError
from breakeven.load.crew import Crew, LocalCrew
from breakeven.load.link import Link
from breakeven.load.open_loop import Asking
from breakeven.load.pipe_link import PipeLink
from breakeven.load.remote import RemoteCrew
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
    crew = RemoteCrew([_link(number, on_ray=on_ray) for number in range(count)], asking)
    try:
        await crew.make_ready()
        yield crew
    finally:
        await crew.close()


def _link(number: int, *, on_ray: bool) -> Link:
    if not on_ray:
        return PipeLink(number)
    from breakeven.load.ray_link import RayLink

    return RayLink(number)
