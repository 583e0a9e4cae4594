"""Running the real command line in a process of its own, for tests of what a user sees."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

LEVELS = ("--warmup", "0.5", "--ramp", "0.2", "--output-tokens", "8")


class Done(NamedTuple):
    """A command that has ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    def line(self) -> str:
        """The one line of an error."""
        lines = [line for line in self.err.splitlines() if line.startswith("breakeven: ")]
        assert len(lines) == 1, self.err
        return lines[0]

    def caution_ids(self, level: int) -> set[str]:
        return {caution["id"] for caution in self.json["levels"][level]["cautions"]}


def start(*words: object, env: Mapping[str, str] | None = None, **more: Any) -> "subprocess.Popen[str]":
    """Start `breakeven` with these words."""
    return subprocess.Popen(
        [sys.executable, "-m", "breakeven", *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "NO_COLOR": "1", **(env or {})},
        **more,
    )


def finish(process: "subprocess.Popen[str]", *, timeout_s: float = 90.0) -> Done:
    """Wait for its end; one that takes too long is killed, and the test fails."""
    try:
        out, err = process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        raise AssertionError(f"the command took more than {timeout_s} s: {out}{err}") from None
    return Done(process.returncode, out, err)


def heard(process: "subprocess.Popen[str]", word: str) -> None:
    """Read standard error until a line has this word."""
    assert process.stderr is not None
    for line in process.stderr:
        if word in line:
            return
    raise AssertionError(f"it never said '{word}'")


def breakeven(*words: object, env: Mapping[str, str] | None = None, **more: Any) -> Done:
    """Run `breakeven` with these words to its end."""
    return finish(start(*words, env=env, **more))


def run_folder(out: Path) -> Path:
    """The only run in a folder."""
    (found,) = out.iterdir()
    return found
