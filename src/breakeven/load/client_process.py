"""One client process: `python -m breakeven.load.client_process`, started by a coordinator and ended with its pipe."""

import asyncio
import os
import pickle
import sys
from typing import BinaryIO

import uvloop

from breakeven.client.target import resolve
from breakeven.clock import now_s
from breakeven.load.open_loop import OpenWorker
from breakeven.load.wire import (
    REPORT_EVERY_S,
    Cut,
    Fault,
    Finish,
    Open,
    Order,
    Report,
    Setup,
    Start,
    decode_order,
    frame,
    read_frame,
)
from breakeven.load.worker import Worker
from breakeven.record import Record


class ClientProcess:
    """Does what it is told, and tells what it sees ten times a second."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
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
            return
        worker = self._worker
        assert worker is not None
        if isinstance(order, Start):
            self._records, self._told_e2e = [], 0
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
        self._tell(frame(Finish(records=self._taken(), facts=worker.facts(close_s=cut_s), cut_s=cut_s)))

    async def _report(self, worker: Worker) -> None:
        while True:
            await asyncio.sleep(REPORT_EVERY_S)
            counts = worker.counts(e2e_from=self._told_e2e)
            self._told_e2e += len(counts.e2e_s)
            self._tell(frame(Report(counts=counts, records=self._taken())))

    def _taken(self) -> list[Record]:
        taken = self._records.copy()
        self._records.clear()
        return taken

    def _tell(self, data: bytes) -> None:
        self._out.write(data)
        self._out.flush()

    def reporting(self) -> set["asyncio.Task[None]"]:
        """The task that reports, while there is one."""
        return set() if self._reporting is None or self._reporting.done() else {self._reporting}

    def check(self) -> None:
        """Raise what stopped the reporting."""
        task = self._reporting
        if task is not None and task.done() and not task.cancelled() and (problem := task.exception()) is not None:
            raise problem

    def fail(self, problem: BaseException) -> None:
        """Say what went wrong before the end."""
        self._tell(frame(Fault(text=f"{type(problem).__name__}: {problem}")))


async def make_worker(setup: Setup) -> Worker:
    """The worker that a coordinator describes."""
    kind = OpenWorker if setup.is_open else Worker
    target = await resolve(setup.url, api_key=setup.api_key, ca_file=setup.ca_file)
    return kind(
        target=target,
        maker=pickle.loads(setup.maker),  # from our own parent, through our own pipe
        workload=pickle.loads(setup.workload),
        timeout_s=setup.timeout_s,
        client=setup.client,
    )


async def _main(out: BinaryIO) -> None:
    process = ClientProcess(out)
    orders = asyncio.StreamReader(limit=2**26)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    obeying = asyncio.create_task(process.obey(orders))
    try:
        while not obeying.done():
            await asyncio.wait({obeying, *process.reporting()}, return_when=asyncio.FIRST_EXCEPTION, timeout=0.5)
            process.check()
        await obeying
    except BaseException as problem:  # noqa: BLE001  (whatever it is, the coordinator must hear of it)
        process.fail(problem)


if __name__ == "__main__":
    raw = os.fdopen(os.dup(sys.stdout.fileno()), "wb", buffering=0)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # a stray print must not break the frames
    try:
        uvloop.run(_main(raw))
    finally:
        os._exit(0)  # the parent is gone, or wants us gone: nothing is worth waiting for
