"""What the opt-in tests of real engines share: environments that are made where they can be, and a finished run."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest

from breakeven.store.folder import RunFolder

BENCHMARKS: Final = Path(__file__).resolve().parent.parent / "benchmarks"
CANNOT: Final = 3
"""Exit code of a script of benchmarks/ that says why it cannot do here what it is for."""


class Run(NamedTuple):
    """One finished `breakeven run`."""

    summary: dict[str, Any]
    folder: RunFolder


def made(name: str) -> Path:
    """Path of what benchmarks/environments.py makes; skips with its reason where it cannot."""
    done = subprocess.run(
        [sys.executable, str(BENCHMARKS / "environments.py"), name], capture_output=True, text=True, check=False
    )
    if done.returncode == CANNOT:
        pytest.skip(done.stderr.strip().splitlines()[-1])
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.strip())


def python_with(variable: str, package: str) -> str:
    """A Python that has the package: ours, or the one that the variable names."""
    found = os.environ.get(variable) or (sys.executable if importlib.util.find_spec(package) else None)
    if found is None:
        pytest.skip(f"{package} is not installed; {variable} names a Python that has it")
    return found
