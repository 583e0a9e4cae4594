"""A mark in each run folder by which its maker knows it again: a plan in anybody else's may start any program.

It is an HMAC of the folder's inode by a key in the user's cache folder, which nobody else has.
"""

import contextlib
import hmac
import os
import secrets
from pathlib import Path
from typing import Final

from breakeven.cachefolder import cache_folder
from breakeven.newfile import new_file

MARK: Final = "mark"
_KEY: Final = "own.key"
_KEY_BYTES: Final = 32


def leave_mark(folder: Path) -> None:
    """Mark a folder that was just made; without a cache folder to keep a key in there is no mark, and resuming asks."""
    with contextlib.suppress(OSError), new_file(folder / MARK) as file:
        file.write(_mark(folder).encode())


def has_mark(folder: Path) -> bool:
    """This user made the folder on this machine."""
    try:
        return hmac.compare_digest((folder / MARK).read_bytes(), _mark(folder).encode())
    except OSError:
        return False


def _mark(folder: Path) -> str:
    return hmac.digest(_key(), str(folder.stat().st_ino).encode(), "sha256").hex() + "\n"


def _key() -> bytes:
    path = cache_folder() / _KEY
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(secrets.token_bytes(_KEY_BYTES))
    key = path.read_bytes()
    if len(key) != _KEY_BYTES:
        raise OSError("the key is not whole")
    return key
