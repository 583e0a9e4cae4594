"""What every source of telemetry looks like to the process that samples it."""

from collections.abc import Iterator
from typing import ClassVar, NamedTuple, Protocol

SAMPLE_EVERY_S = 0.1


class AbsentError(Exception):
    """This machine does not have the source, or does not let us read it; the message says why."""


class Row(NamedTuple):
    """What one device of a source said at one moment, by name with the unit in it."""

    at_s: float
    """On the monotonic clock of `breakeven.clock`."""
    device: str | None
    """Which one, where there may be several: a GPU's index, a CPU package's name."""
    values: dict[str, float]


class Source(Protocol):
    """A row of SOURCES: made with its settings as keywords; AbsentError where there is nothing to read."""

    every_s: ClassVar[float]
    may_wait: ClassVar[bool]
    """Asking may take long, so it gets a thread of its own."""
    missing: dict[str, str]
    """Why a value is not given, by `name` or `device.name`; grows while sampling."""

    def rows(self) -> Iterator[Row]:
        """What can be read now; a value that cannot be read is left out and stands in `missing`."""
        ...
