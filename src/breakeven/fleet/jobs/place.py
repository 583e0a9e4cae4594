"""Where jobs run: one table of places, each is given a job, finds it again by its name, looks at it and stops it."""

from collections.abc import Callable
from pathlib import Path
from typing import ClassVar, Final, Protocol, cast

from msgspec import Struct

from breakeven.errors import RunFailedError, UsageError
from breakeven.fleet.job import Outcome
from breakeven.fleet.jobs.task import Task
from breakeven.registry import load

PLACES: Final = {
    "local": "breakeven.fleet.jobs.local:Local",
    "nosana": "breakeven.fleet.jobs.nosana_place:NosanaPlace",
    "kubernetes": "breakeven.fleet.jobs.kubernetes_place:KubernetesPlace",
    "skypilot": "breakeven.fleet.jobs.skypilot_place:SkyPilotPlace",
}

BY_THEIR_OWN: Final = {"dstack": "dstack apply -f FILE"}
"""Grids whose own program takes the files of `fleet render`, one by one."""


ANSWER_S: Final = 30.0
"""How long one answer of a place may take."""
BUSY: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
"""HTTP statuses of a server that may answer the same later."""
_LONGEST_WAIT_S: Final = 300.0


def asked_wait_s(retry_after: str | None) -> float:
    """What a server asks to wait, where it says so in seconds; at most five minutes."""
    told = retry_after or ""
    return min(float(told), _LONGEST_WAIT_S) if told.isdecimal() else 0.0


class NotNowError(RunFailedError):
    """The place does not answer now, or asks to wait: the same may be asked again."""

    def __init__(self, why: str, *, wait_s: float = 0.0) -> None:
        super().__init__(why)
        self.wait_s = wait_s
        """What the place asks to wait, at least."""


class UnreadableError(RunFailedError):
    """What a node tells through its place cannot be read, now or later: that job is refused, and the others go on."""


class Seen(Struct, frozen=True, kw_only=True):
    """What a place says of a job. It is `done` where it ended well; whether there is a result is for us to read."""

    outcome: Outcome
    reason: str | None = None
    node: str | None = None
    """That place's name of the machine."""
    output: str = ""
    """The end of what the benchmark wrote, where it is over; of a cell its run folder too (parcel.py)."""
    runs: Path | None = None
    """Where a cell's run folder lies on this machine already."""


class Place(Protocol):
    """A try has a name of ours, made before it is asked for. RunFailedError where the place does not play along."""

    poll_s: ClassVar[float]
    """Between two looks at all jobs that are out."""
    holds_on: ClassVar[bool]
    """What a try holds there costs on when it is over, until it is stopped."""

    def check(self, task: Task) -> None:
        """UsageError for what cannot be done here, before anything is."""

    def submit(self, task: Task, *, name: str) -> str:
        """Start it, once: a second call with the same name starts nothing. The place's own name of it.

        After a NotNowError it may have started: who asked looks for it first.
        """

    def find(self, name: str) -> str | None:
        """The place's own name of the try that we call so; None where it has none."""

    def look(self, remote: str) -> Seen:
        """How it stands."""

    def stop(self, remote: str) -> None:
        """End it; nothing where it has ended."""


def place(name: str, folder: Path) -> Place:
    """A row of PLACES for the fleet in this folder; UsageError names the nearest known name, or says who hands out."""
    if name in BY_THEIR_OWN:
        raise UsageError(
            f"jobs for {name} are handed out by its own program:"
            f" `breakeven fleet render --to {name} PLAN --out FOLDER`, then `{BY_THEIR_OWN[name]}` for each FILE of"
            " FOLDER/files"
        )
    return cast("Callable[[Path], Place]", load("place", PLACES, name))(folder)
