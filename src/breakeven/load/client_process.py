"""One client process: `python -m breakeven.load.client_process`, started by a coordinator and ended with its pipe."""

import asyncio
import contextlib
import os
import pickle
import sys
import traceback
from collections.abc import AsyncIterable, AsyncIterator, Callable
from typing import BinaryIO, Final

import uvloop

from breakeven.client.target import resolve
from breakeven.clock import now_s
from breakeven.load.files import raise_limit
from breakeven.load.open_loop import Asking
from breakeven.load.wire import (
    REPORT_EVERY_S,
    Cut,
    Fault,
    Finish,
    Open,
    Order,
    Ready,
    Report,
    Setup,
    Start,
    Word,
    decode_order,
    frame,
    read_frame,
)
from breakeven.load.worker import Worker
from breakeven.record import Record

_LAST_WORDS_S: Final = 2.0


class Mouth(asyncio.Protocol):
    """Our end of the pipe to the coordinator. A coordinator that is slow to read must never hold up the measuring."""

    def __init__(self) -> None:
        self.lost = asyncio.Event()
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # uvloop's transports are no subclass of asyncio's

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self.lost.set()

    def tell(self, word: Word) -> None:
        assert self._transport is not None
        if not self.lost.is_set() and not self._transport.is_closing():
            self._transport.write(frame(word))

    async def close(self) -> None:
        """Wait until what was told has been taken, for a moment."""
        assert self._transport is not None
        self._transport.close()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.lost.wait(), _LAST_WORDS_S)


class Client:
    """Does what it is told, and tells what it sees ten times a second."""

    def __init__(self, tell: Callable[[Word], None]) -> None:
        self._tell = tell
        self._worker: Worker | None = None
        self._records: list[Record] = []
        self._told_e2e = 0
        self._reporting: asyncio.Task[None] | None = None

    async def live(self, orders: AsyncIterable[Order]) -> None:
        """Obey until there are no more orders. Whatever goes wrong is told: the coordinator must hear of it."""
        try:
            async with asyncio.TaskGroup() as self._tasks:
                async for order in orders:
                    await self._do(order)
                self._hush()
        except* BaseException as problems:  # noqa: BLE001
            problem = problems.exceptions[0]
            self._tell(Fault(text=f"{type(problem).__name__}: {problem}"))

    async def _do(self, order: Order) -> None:
        if isinstance(order, Setup):
            self._worker = await make_worker(order)
            self._tell(Ready())
            return
        worker = self._worker
        assert worker is not None
        if isinstance(order, Start):
            self._records, self._told_e2e = [], 0
            worker.hush()
            worker.start(order.spec, order.users, self._records.append)
            self._reporting = self._tasks.create_task(self._report(worker))
        elif isinstance(order, Open):
            await asyncio.sleep(max(0.0, order.at_s - now_s()))
            worker.open(measured=order.measured, at_s=order.at_s)
        elif isinstance(order, Cut):
            await asyncio.sleep(max(0.0, order.at_s - now_s()))
            self._hush()
            cut_s = await worker.cut()
            self._tell(Finish(records=self._taken(), facts=worker.facts(close_s=cut_s)))

    def _hush(self) -> None:
        if self._reporting is not None:
            self._reporting.cancel()

    async def _report(self, worker: Worker) -> None:
        while True:
            await asyncio.sleep(REPORT_EVERY_S)
            counts = worker.counts(e2e_from=self._told_e2e)
            self._told_e2e += len(counts.e2e_s)
            self._tell(Report(counts=counts, records=self._taken()))

    def _taken(self) -> list[Record]:
        taken = self._records.copy()
        self._records.clear()
        return taken


async def make_worker(setup: Setup) -> Worker:
    """The worker that a coordinator describes."""
    raise_limit()
    asking: Asking = pickle.loads(setup.asking)  # from our own parent, through our own pipe
    return asking.worker(await resolve(asking.access), client=setup.client)


async def _orders(pipe: asyncio.StreamReader) -> AsyncIterator[Order]:
    while (payload := await read_frame(pipe)) is not None:
        yield decode_order(payload)


async def _main(out: BinaryIO) -> None:
    loop = asyncio.get_running_loop()
    pipe = asyncio.StreamReader(limit=2**26)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(pipe), sys.stdin)
    _, mouth = await loop.connect_write_pipe(Mouth, out)
    await Client(mouth.tell).live(_orders(pipe))
    await mouth.close()


async def _main_and_end(out: BinaryIO) -> None:
    """End at once when there is no more to do: users in mid-level would take the loop's cancellation for a cut."""
    code = 1
    try:
        await _main(out)
        code = 0
    except BaseException:  # noqa: BLE001
        traceback.print_exc()
    finally:
        os._exit(code)


if __name__ == "__main__":
    raw = os.fdopen(os.dup(sys.stdout.fileno()), "wb", buffering=0)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # a stray print must not break the frames
    uvloop.run(_main_and_end(raw))
