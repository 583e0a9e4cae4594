"""A folder of measurements that is new by date and label, and that one process at a time writes into."""

import datetime
import fcntl
import os
import re
from pathlib import Path

from breakeven.errors import RunFailedError, one_line
from breakeven.store.log import cannot_write


class Held:
    """A folder that one process at a time measures into, by a lock of its file `by`."""

    by: str

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: int | None = None

    def lock(self) -> None:
        """Keep other processes from measuring into this folder, for as long as this one lives."""
        try:
            self._lock = os.open(self.path / self.by, os.O_RDONLY)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RunFailedError(f"{self.path} is being measured by another process; wait for it or end it") from None
        except OSError as error:
            raise RunFailedError(f"{self.path}: {error.strerror}") from None

    def unlock(self) -> None:
        """Let other processes measure into this folder again."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def new_folder(out: Path, *, started: datetime.datetime, label: str) -> Path:
    """A folder under `out` that was not there, named by date and label; RunFailedError where the disk takes none."""
    stem = f"{started:%Y-%m-%dT%H%M}-{slug(label)}"
    try:
        out.mkdir(parents=True, exist_ok=True)
        made = next((path for number in range(1, 1000) if _made(path := out / _numbered(stem, number))), None)
    except OSError as error:
        raise RunFailedError(cannot_write(out, error)) from None
    if made is None:
        raise RunFailedError(f"{out / stem} and all its numbers are taken")
    return made


def slug(text: str) -> str:
    """A text that a server or user gave, made safe as part of a file name."""
    return re.sub(r"[^a-z0-9.]+", "-", one_line(text, limit=80).lower()).strip("-.")[:60] or "run"


def _numbered(stem: str, number: int) -> str:
    return stem if number == 1 else f"{stem}-{number}"


def _made(path: Path) -> bool:
    try:
        path.mkdir()
    except FileExistsError:
        return False
    return True
