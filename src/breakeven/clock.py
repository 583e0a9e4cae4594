"""The clock: one monotonic clock for every interval; the wall clock is read once, to date the run."""

import datetime
import time
from typing import Final, Protocol

now_s: Final = time.perf_counter
"""Seconds on CLOCK_MONOTONIC: the same clock in every process of this machine, meaningful only as a difference."""

cpu_s: Final = time.process_time
"""CPU seconds of this process, all its threads."""


def wall_now() -> datetime.datetime:
    """Read the date and time now, with the local zone."""
    return datetime.datetime.now(datetime.UTC).astimezone()


class Clock(Protocol):
    """What a loop needs of time, so that a test can give it a time of its own."""

    def now_s(self) -> float: ...

    async def sleep(self, duration_s: float) -> None: ...
