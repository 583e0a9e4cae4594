"""The clock: one monotonic clock for every interval; the wall clock is read once, to date the run."""

import datetime
import time
from typing import Final

now_s: Final = time.perf_counter
"""Seconds on CLOCK_MONOTONIC: the same clock in every process of this machine, meaningful only as a difference."""

cpu_s: Final = time.process_time
"""CPU seconds of this process, all its threads."""


def wall_now() -> datetime.datetime:
    """Read the date and time now, with the local zone."""
    return datetime.datetime.now(datetime.UTC).astimezone()
