"""One client on a node of a Ray cluster: the actor that a `RayCrew` talks to."""

import asyncio
import pickle

from breakeven import __version__
from breakeven.clock import now_s
from breakeven.load.worker import Counts, LevelSpec
from breakeven.record import ClientFacts, Record


class RayClient:
    """The actor: one client on some node. All its times are on its node's clock."""

    async def setup(self, setup: bytes, version: str) -> tuple[str, str]:
        """Make the worker, where this node has the same `version` of us, which is what pickles are good for.

        Returns the version here and the name of the node, which is its host's with its number in the cluster.
        """
        import platform

        import ray

        from breakeven.load.client_process import make_worker

        if version == __version__:
            self._worker = await make_worker(pickle.loads(setup))
            self._records: list[Record] = []
        return __version__, f"{platform.node()}/{ray.get_runtime_context().get_node_id()[:8]}"

    async def clock(self) -> float:
        """This node's monotonic clock."""
        return now_s()

    async def start(self, spec: LevelSpec, users: list[int]) -> None:
        """Start these users."""
        self._records.clear()
        self._told = 0
        self._worker.hush()
        self._worker.start(spec, users, self._records.append)

    async def report(self) -> tuple[Counts, list[Record]]:
        """What was seen since the last report."""
        counts = self._worker.counts(e2e_from=self._told)
        self._told += len(counts.e2e_s)
        return counts, self._taken()

    def _taken(self) -> list[Record]:
        taken = self._records.copy()
        self._records.clear()
        return taken

    async def open(self, at_s: float, measured: int | None) -> None:
        """The window opens at `at_s` of this node's clock."""
        await asyncio.sleep(max(0.0, at_s - now_s()))
        self._worker.open(measured=measured, at_s=at_s)

    async def cut(self, at_s: float) -> tuple[list[Record], ClientFacts | None]:
        """The level ends at `at_s` of this node's clock."""
        await asyncio.sleep(max(0.0, at_s - now_s()))
        cut_s = await self._worker.cut()
        return self._taken(), self._worker.facts(close_s=cut_s)
