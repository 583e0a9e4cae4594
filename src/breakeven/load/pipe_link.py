"""A client process on this machine, behind its pipe."""

import asyncio
import contextlib
import sys

from breakeven.environment import bare_environment
from breakeven.errors import RunFailedError
from breakeven.load.link import is_set_up, name_of
from breakeven.load.wire import Order, Setup, Word, decode_word, frame, read_frame

_END_S = 5.0


class PipeLink:
    """`--clients N`. The process shares our clock, and ends with its pipe."""

    kind = "client process"
    node = None
    ahead_s = 0.05

    def __init__(self, number: int) -> None:
        self.number = number
        self._process: asyncio.subprocess.Process | None = None

    async def bring_up(self, setup: Setup) -> None:
        """Start the process, unless it lives."""
        if self._process is not None and self._process.returncode is None:
            return
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "breakeven.load.client_process"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=2**26,
            env=bare_environment(),
            start_new_session=True,  # a Ctrl-C is the coordinator's to answer
        )
        if not await is_set_up(self, setup):
            why = f"it ended with exit code {await self.end()}; what it said stands above"
            raise RunFailedError(f"{name_of(self)} could not start: {why}")

    def tell(self, order: Order) -> None:
        """Write it into the pipe."""
        if self._process is not None and self._process.stdin is not None:
            with contextlib.suppress(ConnectionError, RuntimeError):
                self._process.stdin.write(frame(order))

    async def word(self) -> Word | None:
        """Read it from the pipe."""
        if self._process is None or self._process.stdout is None:
            return None
        payload = await read_frame(self._process.stdout)
        return None if payload is None else decode_word(payload)

    def kill(self) -> None:
        """End it by a signal."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()

    async def end(self) -> int | None:
        """Close its pipe, wait, and kill it if that does not end it."""
        process, self._process = self._process, None
        if process is None:
            return None
        if process.stdin is not None:
            process.stdin.close()
        try:
            return await asyncio.wait_for(process.wait(), _END_S)
        except TimeoutError:
            process.kill()
            return await process.wait()
