"""Opens a file of a run folder to be written, and never what a link in its place leads to."""

import os
from pathlib import Path
from typing import BinaryIO, cast


def new_file(path: Path) -> BinaryIO:
    """The file, empty and unbuffered; OSError where a link stands there."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    return cast("BinaryIO", os.fdopen(os.open(path, flags, 0o666), "wb", buffering=0))
