"""The process that samples: `python -m breakeven.telemetry.sampler`, started by telemetry/handle.py.

Its own process, so that the client's loop and lock never meet it. The first line on standard input is a JSON object:
`file` to append to, `zero_s` of the run on the monotonic clock, `sources`, rows of SOURCES with their settings, and
`missing`, reasons why other rows are not asked. It says `ready` on standard output once it has begun, and ends at the
end of standard input, after a last look at every source: so it never outlives the run, however that ends.

A line of the file is a row, `{"at_s": …, "source": …, "device": …, "power_w": …, …}`, or reasons for what is missing,
`{"missing": {"rapl": "…", "nvml.0.energy_j": "…"}}`. Lines reach the disk within a second.
"""

import json
import os
import select
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from breakeven.clock import now_s
from breakeven.registry import load
from breakeven.telemetry import SOURCES
from breakeven.telemetry.source import AbsentError, Row, Source

NICE: Final = 10
FLUSH_S: Final = 1.0
DIGITS: Final = 6
"""Decimals that are kept: microseconds, millionths of a joule."""
LAST_LOOK_S: Final = 1.0
"""How long the end waits for a source that may take long."""


class Writer:
    """Turns rows into lines and appends them to the file, once a second. Shared by the threads."""

    def __init__(self, path: Path, *, zero_s: float) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o644)
        self._zero_s = zero_s
        self._lock = threading.Lock()
        self._lines: list[str] = []
        self._told: dict[str, str] = {}

    def look(self, name: str, source: Source) -> None:
        """Ask a source once and keep what it says."""
        lines = [self._line(name, row) for row in source.rows() if row.values]
        with self._lock:
            self._lines += lines
        self.miss({f"{name}.{key}": why for key, why in source.missing.items()})

    def _line(self, name: str, row: Row) -> str:
        values = {key: round(value, DIGITS) for key, value in row.values.items()}
        at_s = round(row.at_s - self._zero_s, DIGITS)
        return json.dumps({"at_s": at_s, "source": name, "device": row.device, **values})

    def miss(self, reasons: Mapping[str, str]) -> None:
        """Keep why something is missing, once."""
        with self._lock:
            new = {key: why for key, why in reasons.items() if key not in self._told}
            if new:
                self._told |= new
                self._lines.append(json.dumps({"missing": new}))

    def flush(self) -> None:
        """Append what has come since."""
        with self._lock:
            lines, self._lines = self._lines, []
        data = "".join(line + "\n" for line in lines).encode()
        while data:
            data = data[os.write(self._file, data) :]


def open_sources(settings: Mapping[str, Mapping[str, Any]], *, writer: Writer) -> dict[str, Source]:
    """Make the sources that this machine has; why it lacks the others goes to the writer."""
    found: dict[str, Source] = {}
    for name, keywords in settings.items():
        make: Any = load("telemetry source", SOURCES, name)
        try:
            found[name] = make(**keywords)
        except AbsentError as error:
            writer.miss({name: str(error)})
    return found


class Waiting:
    """A source that may take long, in a thread of its own, so that the others keep their beat."""

    def __init__(self, name: str, source: Source, *, writer: Writer) -> None:
        self._name, self._source, self._writer = name, source, writer
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._over.is_set():
            due_s = now_s() + self._source.every_s
            self._writer.look(self._name, self._source)
            self._over.wait(max(0.0, due_s - now_s()))
        self._writer.look(self._name, self._source)

    def end(self) -> None:
        """Have it look once more, if that does not take long."""
        self._over.set()
        self._thread.join(LAST_LOOK_S)


def beat(sources: Mapping[str, Source], *, writer: Writer, end_of: int) -> None:
    """Look at every source when it is due, until the file descriptor `end_of` ends. Late beats are left out."""
    due_s = {name: now_s() + source.every_s for name, source in sources.items()}
    flush_s = now_s() + FLUSH_S
    while not _has_ended(end_of, wait_s=min([*due_s.values(), flush_s]) - now_s()):
        for name, source in sources.items():
            if now_s() >= due_s[name]:
                writer.look(name, source)
                next_s = due_s[name] + source.every_s
                due_s[name] = next_s if next_s > now_s() else now_s() + source.every_s
        if now_s() >= flush_s:
            writer.flush()
            flush_s = now_s() + FLUSH_S


def _has_ended(descriptor: int, *, wait_s: float) -> bool:
    readable, _, _ = select.select([descriptor], [], [], max(0.0, wait_s))
    return bool(readable) and not os.read(descriptor, 4096)


def main() -> int:
    """Sample until standard input ends; returns the exit code."""
    os.nice(NICE)
    settings: dict[str, Any] = json.loads(_first_line(sys.stdin.fileno()))
    writer = Writer(Path(settings["file"]), zero_s=settings["zero_s"])
    writer.miss(settings["missing"])
    sources = open_sources(settings["sources"], writer=writer)
    steady = {name: source for name, source in sources.items() if not source.may_wait}
    for name, source in steady.items():
        writer.look(name, source)
    waiting = [Waiting(name, source, writer=writer) for name, source in sources.items() if source.may_wait]
    writer.flush()
    os.write(sys.stdout.fileno(), b"ready\n")
    beat(steady, writer=writer, end_of=sys.stdin.fileno())
    for name, source in steady.items():
        writer.look(name, source)
    for one in waiting:
        one.end()
    writer.flush()
    return 0


def _first_line(descriptor: int) -> bytes:
    """Up to the first line's end, and not a byte more, so that the end of the input can be waited for."""
    line = b""
    while not line.endswith(b"\n") and (byte := os.read(descriptor, 1)):
        line += byte
    return line


if __name__ == "__main__":
    sys.exit(main())
