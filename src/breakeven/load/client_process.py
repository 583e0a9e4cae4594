"""One client process: `python -m breakeven.load.client_process`, started by a coordinator and ended with its pipe."""

import asyncio
import contextlib
import os
import pickle
import sys
import traceback
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


class ClientProcess:
    """Does what it is told, and tells what it sees ten times a second."""

    def __init__(self, mouth: Mouth) -> None:
        self._mouth = mouth
        self._worker: Worker | None = None
        self._records: list[Record] = []
        self._told_e2e = 0
        self._reporting: asyncio.Task[None] | None = None

    async def obey(self, orders: asyncio.StreamReader) -> None:
        """Take orders until the pipe ends."""
        while (payload := await read_frame(orders)) is not None:
            await self._do(decode_order(payload))

    async def _do(self, order: Order) -> None:
        if isinstance(order, Setup):
            self._worker = await make_worker(order)
            self._mouth.tell(Ready())
            return
        worker = self._worker
        assert worker is not None
        if isinstance(order, Start):
            self._records, self._told_e2e = [], 0
            worker.hush()
            worker.start(order.spec, order.users, self._records.append)
            self._reporting = asyncio.create_task(self._report(worker))
        elif isinstance(order, Open):
            await asyncio.sleep(max(0.0, order.at_s - now_s()))
            worker.open(measured=order.measured, at_s=order.at_s)
        elif isinstance(order, Cut):
            await asyncio.sleep(max(0.0, order.at_s - now_s()))
            await self._cut(worker)

    async def _cut(self, worker: Worker) -> None:
        if self._reporting is not None:
            self._reporting.cancel()
        cut_s = await worker.cut()
        self._mouth.tell(Finish(records=self._taken(), facts=worker.facts(close_s=cut_s), cut_s=cut_s))

    async def _report(self, worker: Worker) -> None:
        while True:
            await asyncio.sleep(REPORT_EVERY_S)
            counts = worker.counts(e2e_from=self._told_e2e)
            self._told_e2e += len(counts.e2e_s)
            self._mouth.tell(Report(counts=counts, records=self._taken()))

    def _taken(self) -> list[Record]:
        taken = self._records.copy()
        self._records.clear()
        return taken

    def reporting(self) -> set["asyncio.Task[None]"]:
        """The task that reports, while there is one."""
        return set() if self._reporting is None or self._reporting.done() else {self._reporting}

    def check(self) -> None:
        """Raise what stopped the reporting."""
        task = self._reporting
        if task is not None and task.done() and not task.cancelled() and (problem := task.exception()) is not None:
            raise problem


async def make_worker(setup: Setup) -> Worker:
    """The worker that a coordinator describes."""
    raise_limit()
    asking: Asking = pickle.loads(setup.asking)  # from our own parent, through our own pipe
    return asking.worker(await resolve(asking.access), client=setup.client)


async def _main(out: BinaryIO) -> None:
    loop = asyncio.get_running_loop()
    orders = asyncio.StreamReader(limit=2**26)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    _, mouth = await loop.connect_write_pipe(Mouth, out)
    process = ClientProcess(mouth)
    obeying = asyncio.create_task(process.obey(orders))
    try:
        while not obeying.done() and not mouth.lost.is_set():
            await asyncio.wait({obeying, *process.reporting()}, return_when=asyncio.FIRST_EXCEPTION, timeout=0.5)
            process.check()
        if obeying.done():
            await obeying
    except BaseException as problem:  # noqa: BLE001  (whatever it is, the coordinator must hear of it)
        mouth.tell(Fault(text=f"{type(problem).__name__}: {problem}"))
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
