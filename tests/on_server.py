"""A fleet that is handed out on a server of the tests: a row for each place of fleets that is one."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from breakeven.fleet.job import Job
from grid_server import serving
from handed import HandedOut
from kubernetes_server import KubernetesServer
from nosana_server import NosanaServer
from skypilot_server import SkyPilotServer

SERVERS: Final[dict[str, type[NosanaServer] | type[KubernetesServer] | type[SkyPilotServer]]] = {
    "nosana": NosanaServer,
    "kubernetes": KubernetesServer,
    "skypilot": SkyPilotServer,
}


class OnServer(HandedOut):
    """With the server of the test."""

    def __init__(self, server: NosanaServer | KubernetesServer | SkyPilotServer, folder: Path, *, to: str) -> None:
        super().__init__(folder, to=to, env=server.env(folder), node=server.node)
        self.server: Any = server

    def ends_so(self, how: str, outcome: str, why: str) -> Job:
        """A job that the server ends so is told by this outcome, with this reason."""
        self.server.how = how
        self.render(count=1, wait=0.5)
        assert self.submit().code == 0
        (job,) = self.jobs()
        assert (job.outcome, why in (job.reason or "")) == (outcome, True), job
        return job

    def each_once(self) -> None:
        """Every job was made there once, and ran once."""
        assert sorted(self.server.made()) == [job.id for job in self.jobs()]
        for job in self.jobs():
            assert len(list(self.server.starts.glob(f"{job.id}.*"))) == 1


@contextmanager
def on_server(to: str, folder: Path) -> Iterator[OnServer]:
    """A server of this row while the block runs."""
    starts = folder / "starts"
    starts.mkdir()
    server = SERVERS[to](starts)
    with serving(server):
        yield OnServer(server, folder, to=to)
