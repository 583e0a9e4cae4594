"""Which runs of this user measure on this machine now: a locked file each in the cache folder."""

import contextlib
import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from breakeven.cachefolder import cache_folder

FOLDER: Final = "running"


class Running:
    """The mark of this run, from `with` until its end. Where it cannot be made, nobody knows of this run."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = cache_folder() / FOLDER if folder is None else folder
        self._path = self._folder / str(os.getpid())
        self._mark: int | None = None

    def __enter__(self) -> Self:
        with contextlib.suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True)
            self._mark = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o600)
            fcntl.flock(self._mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._mark is not None:
            self._path.unlink(missing_ok=True)
            os.close(self._mark)
            self._mark = None

    def others(self) -> frozenset[int]:
        """Process numbers of the other runs; the marks of those that were killed are taken away."""
        found = set()
        with contextlib.suppress(OSError):
            for path in self._folder.iterdir():
                if path.name.isdecimal() and path != self._path and _is_held(path):
                    found.add(int(path.name))
        return frozenset(found)


def _is_held(path: Path) -> bool:
    mark = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        fcntl.flock(mark, fcntl.LOCK_SH | fcntl.LOCK_NB)
        path.unlink(missing_ok=True)
    except BlockingIOError:
        return True
    finally:
        os.close(mark)
    return False
