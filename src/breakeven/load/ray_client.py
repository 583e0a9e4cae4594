"""One client on a node of a Ray cluster: the actor behind a `RayLink`."""

import asyncio
import platform
from collections.abc import AsyncIterator

from breakeven import __version__
from breakeven.clock import now_s
from breakeven.load.client_process import Client
from breakeven.load.wire import Order, Word, decode_order, encode


class RayClient:
    """The actor. All its times are on its node's clock."""

    def __init__(self) -> None:
        self._heard: asyncio.Queue[bytes] = asyncio.Queue()
        self._told: asyncio.Queue[bytes] = asyncio.Queue()
        self._living: asyncio.Task[None] | None = None

    async def about(self) -> tuple[str, str]:
        """The version here, and the name of the node: its host's, with its number in the cluster."""
        import ray

        return __version__, f"{platform.node()}/{ray.get_runtime_context().get_node_id()[:8]}"

    async def clock(self) -> float:
        """This node's monotonic clock."""
        return now_s()

    async def hear(self, order: bytes) -> None:
        """Take an order, which will be obeyed after those before it."""
        if self._living is None:
            self._living = asyncio.create_task(Client(self._tell).live(self._orders()))
        self._heard.put_nowait(order)

    async def words(self) -> list[bytes]:
        """What there is to tell; waits until there is something."""
        told = [await self._told.get()]
        while not self._told.empty():
            told.append(self._told.get_nowait())
        return told

    def _tell(self, word: Word) -> None:
        self._told.put_nowait(encode(word))

    async def _orders(self) -> AsyncIterator[Order]:
        while True:
            yield decode_order(await self._heard.get())
