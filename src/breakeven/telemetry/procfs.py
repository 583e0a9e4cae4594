"""CPU time and memory of this machine, out of Linux's /proc."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, Final

from breakeven.clock import cpu_s, now_s
from breakeven.telemetry.source import SAMPLE_EVERY_S, AbsentError, Row

KIB: Final = 1024
_NOT_BUSY: Final = (3, 4)
"""Columns of the line `cpu` of /proc/stat: idle, and idle while waiting for a disk."""
_STEAL: Final = 7
_COLUMNS: Final = 8
"""Guest time, in the columns after these, is counted in user time already."""


class Host:
    """Core-seconds since the machine started, and memory that is not available to a new process."""

    every_s: ClassVar[float] = SAMPLE_EVERY_S
    may_wait: ClassVar[bool] = False

    def __init__(self, *, root: str = "/proc", ticks_per_s: float | None = None) -> None:
        self._stat, self._meminfo = Path(root) / "stat", Path(root) / "meminfo"
        self._ticks_per_s = ticks_per_s or os.sysconf("SC_CLK_TCK")
        self.missing: dict[str, str] = {}
        if not self._stat.is_file():
            raise AbsentError(f"{self._stat} is not there; the host's load is read on Linux only")

    def rows(self) -> Iterator[Row]:
        """CPU and memory now, and the CPU time of this process itself."""
        at_s = now_s()
        values = {"sampler_cpu_s": cpu_s()}
        for name, read in (("cpu", self._cpu), ("memory", self._memory)):
            try:
                values |= read()
            except (OSError, ValueError, KeyError, IndexError) as error:
                self.missing[name] = f"{type(error).__name__}: {error}"
        yield Row(at_s, None, values)

    def _cpu(self) -> dict[str, float]:
        with self._stat.open("rb") as file:
            line = file.readline()
        spent = [int(word) / self._ticks_per_s for word in line.split()[1 : 1 + _COLUMNS]]
        busy = [spent[column] for column in range(_COLUMNS) if column not in (*_NOT_BUSY, _STEAL)]
        return {"cpu_busy_s": sum(busy), "cpu_steal_s": spent[_STEAL], "cpu_total_s": sum(spent)}

    def _memory(self) -> dict[str, float]:
        found: dict[str, int] = {}
        with self._meminfo.open(encoding="ascii") as file:
            for line in file:
                name, _, rest = line.partition(":")
                if name in ("MemTotal", "MemAvailable"):
                    found[name] = int(rest.split()[0]) * KIB
                if len(found) == 2:
                    break
        return {"memory_used_bytes": found["MemTotal"] - found["MemAvailable"]}
