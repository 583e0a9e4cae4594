"""A command of ours at a terminal, and what it writes there."""

import os
import pty
import re
import subprocess
import sys
import termios


def at_a_terminal(*words: object, columns: int = 100, **env: str) -> str:
    """What `breakeven` with these words writes to a terminal of so many columns; it must end with 0."""
    ours, its = pty.openpty()
    termios.tcsetwinsize(its, (24, columns))
    with subprocess.Popen(
        [sys.executable, "-m", "breakeven", *map(str, words)],
        stdin=subprocess.DEVNULL,
        stdout=its,
        stderr=its,
        env={**os.environ, "COLUMNS": str(columns), "TERM": "xterm-256color", **env},
    ) as process:
        os.close(its)
        told = b"".join(iter(lambda: _read(ours), b"")).decode()
        os.close(ours)
    assert process.returncode == 0, told
    return told


def without_styles(told: str) -> str:
    """Its text alone."""
    return re.sub(r"\x1b\[[0-9;]*m", "", told)


def _read(fd: int) -> bytes:
    try:
        return os.read(fd, 1 << 16)
    except OSError:  # the other end is closed
        return b""
