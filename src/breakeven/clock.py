"""The clock: one monotonic clock for every interval; the wall clock is read once, to date the run."""

import datetime
import time
from typing import Final

now_s: Final = time.perf_counter
"""Seconds on CLOCK_MONOTONIC: the same clock in every process of this machine, meaningful only as a difference."""

cpu_s: Final = time.process_time
"""CPU seconds of this process, all its threads."""


def moment(text: str | None) -> datetime.datetime | None:
    """The date and time that a text in ISO 8601 says, of a month alone its first day; None for anything else."""
    if text is None:
        return None
    try:
        return datetime.datetime.fromisoformat(f"{text}-01" if len(text) == len("2024-09") else text)
    except (ValueError, OverflowError):
        return None


def unix_s(at: datetime.datetime) -> float:
    """Seconds since 1970; a time without a zone is taken as UTC."""
    return (at if at.tzinfo else at.replace(tzinfo=datetime.UTC)).timestamp()


def wall_now() -> datetime.datetime:
    """Read the date and time now, with the local zone."""
    return datetime.datetime.now(datetime.UTC).astimezone()
