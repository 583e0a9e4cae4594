"""A study's folder: the plan file as given, how much time and money it has used, and a run folder for each cell."""

import contextlib
import datetime
from pathlib import Path
from typing import Final, Self

import tomli_w
from msgspec import Struct, field

from breakeven.errors import RunFailedError, UsageError
from breakeven.plan import Plan, plan_table
from breakeven.store.facts import decoded
from breakeven.store.folder import PLAN, RECORDS, RunFolder, find_runs
from breakeven.store.held import Held, new_folder
from breakeven.store.log import cannot_write, json_bytes, stored_bytes, write_atomically
from breakeven.store.mark import leave_mark

STUDY: Final = "study.toml"
STATE: Final = "study.json"


class StudyState(Struct, frozen=True, kw_only=True):
    """What a study keeps beside its runs."""

    format: int = 1
    sessions: tuple[str, ...] = ()
    """When it was started and resumed, ISO 8601."""
    used_s: float = 0.0
    """Time in which an engine was held for it, start-up included; over all sessions."""
    used_usd: float = 0.0
    """The same at the rent that each cell states; cells without one cost nothing here."""
    start_s: dict[str, float] = field(default_factory=dict)
    """Last start-up time of each cell's engine."""
    failures: dict[str, str] = field(default_factory=dict)
    """Why a cell could not be measured to the end, the last time that it was tried."""
    in_the_way: tuple[str, ...] = ()
    """Those whose failure is not of the cell, such as a port that is taken."""


class StudyFolder(Held):
    """One study on disk. `create` makes it, `open` finds it again."""

    by = STUDY

    @classmethod
    def create(cls, out: Path, *, started: datetime.datetime, label: str, text: str) -> Self:
        """Make a new folder under `out`, named by date and label, with the plan file's `text`."""
        path = new_folder(out, started=started, label=label)
        leave_mark(path)
        write_atomically(path / STUDY, text.encode())
        return cls(path)

    @classmethod
    def open(cls, path: Path) -> Self:
        """Find a study; UsageError where the folder is none."""
        if not is_study(path):
            raise UsageError(f"{path} is no study folder (it has no {STUDY})")
        return cls(path)

    def text(self) -> str:
        """The plan file as given."""
        return (self.path / STUDY).read_text(encoding="utf-8", errors="replace")

    def state(self) -> StudyState:
        """What `write_state` stored; all zero before that."""
        path = self.path / STATE
        if not path.is_file():
            return StudyState()
        return decoded(stored_bytes(path), StudyState, where=path)

    def write_state(self, state: StudyState) -> None:
        """Store it, whole or not at all."""
        write_atomically(self.path / STATE, json_bytes(state))

    def cell(self, name: str) -> RunFolder | None:
        """The run folder of a cell; None where it was never begun."""
        path = self.path / name
        return RunFolder.open(path) if (path / PLAN).is_file() else None

    def begun(self) -> list[RunFolder]:
        """The run folders of cells that were begun, by name."""
        with contextlib.suppress(OSError):  # a folder that we may not look into
            return find_runs(self.path)
        return []

    def make_cell(self, name: str, plan: Plan) -> RunFolder:
        """The run folder of a cell, made where there is none; UsageError where it holds another plan."""
        found = self.cell(name)
        if found is None:
            path = self.path / name
            try:
                (path / RECORDS).mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise RunFailedError(cannot_write(path, error)) from None
            leave_mark(path)
            write_atomically(path / PLAN, tomli_w.dumps(plan_table(plan)).encode())
            return RunFolder.open(path)
        if plan_table(found.plan()) != plan_table(plan):
            raise UsageError(
                f"{found.path} was measured by another plan than {self.path / STUDY} now gives; start a new study"
            )
        return found


def find_studies(out: Path) -> list[StudyFolder]:
    """The studies in `out`, oldest first. A link is none."""
    return [StudyFolder(path) for path in sorted(out.iterdir()) if is_study(path) and not path.is_symlink()]


def runs_outside_studies(out: Path) -> list[RunFolder]:
    """The runs in `out`, oldest first. A study that has a plan file beside its own is a study and no run."""
    return [folder for folder in find_runs(out) if not is_study(folder.path)]


def is_study(path: Path) -> bool:
    """The folder holds a study; one that we may not look into holds none."""
    try:
        return (path / STUDY).is_file()
    except OSError:
        return False
