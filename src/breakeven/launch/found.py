"""What of the engines is installed on this machine: commands, their versions, docker, and why not."""

import importlib.metadata
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from msgspec import Struct

from breakeven.engine import ENGINES
from breakeven.engine.base import OpenAI
from breakeven.engine.detect import adapter
from breakeven.errors import one_line

_ASK_S: Final = 10.0
_VERSION: Final = re.compile(r"\d+(?:\.\d+)+\S*|\bversion:? \S+")
_ASK_PACKAGE: Final = "import importlib.metadata as m, sys; print(m.version(sys.argv[1]))"


class Found(Struct, frozen=True, kw_only=True):
    """One engine: how it would be started here."""

    name: str
    command: str | None = None
    """Full path of its command; None where it is not on PATH."""
    version: str | None = None
    image: str | None = None
    """Its container image; None where it has none."""
    why_not: str | None = None
    """Why it cannot be started as a process; None where it can."""
    access_env: str | None = None
    """Variable by which it gets at gated models; only whether it is set is ever looked at."""


class Docker(Struct, frozen=True, kw_only=True):
    """docker on this machine."""

    version: str | None = None
    """Of its daemon; None where it cannot be used."""
    why_not: str | None = None


def find_embedded() -> Found:
    """The engine that comes with this program."""
    version = f"xllamacpp {importlib.metadata.version('xllamacpp')}"
    return Found(name="llamacpp (embedded)", command="part of breakeven", version=version)


def find_engines() -> list[Found]:
    """Every row of ENGINES that can be started, by what PATH and the packages say; no engine is started."""
    return [_find(adapter(name)) for name in ENGINES if adapter(name).command]


def find_docker() -> Docker:
    """Whether docker is here and its daemon answers."""
    if shutil.which("docker") is None:
        return Docker(why_not="docker is not found on PATH")
    done = _asked(["docker", "version", "--format", "{{.Server.Version}}"])
    if done is not None and done.returncode == 0 and done.stdout.strip():
        return Docker(version=one_line(done.stdout, limit=40))
    last = done.stderr.strip().splitlines()[-1:] if done is not None else []
    return Docker(why_not=one_line(last[0], limit=160) if last else "its daemon does not answer")


def _find(engine: type[OpenAI]) -> Found:
    path = shutil.which(engine.command[0])
    version, why_not = _version(engine, path)
    return Found(
        name=engine.name,
        command=path if why_not is None else None,
        version=version,
        image=engine.image,
        why_not=why_not,
        access_env=engine.hub_access_env,
    )


def _version(engine: type[OpenAI], path: str | None) -> tuple[str | None, str | None]:
    """Version, and why the engine cannot be started; a program without a Python package is asked itself."""
    if path is None:
        return None, f"{engine.command[0]} is not found on PATH"
    if engine.distribution is None:
        return _said_version(path), None
    python = path if engine.command[0].startswith("python") else _interpreter(Path(path))
    if python is None:
        return None, None
    done = _asked([python, "-c", _ASK_PACKAGE, engine.distribution])
    if done is not None and done.returncode == 0:
        return one_line(done.stdout, limit=40), None
    if python == path:
        return None, f"{engine.command[0]} ({path}) has no package {engine.distribution}"
    return None, None


def _interpreter(script: Path) -> str | None:
    """The Python that a script's first line names."""
    try:
        with script.open("rb") as file:
            first = file.readline(1000)
    except OSError:
        return None
    words = first[2:].decode(errors="replace").split() if first.startswith(b"#!") else []
    return words[0] if words and "python" in Path(words[0]).name else None


def _said_version(path: str) -> str | None:
    done = _asked([path, "--version"])
    if done is None:
        return None
    found = _VERSION.search(done.stdout + done.stderr)
    return None if found is None else one_line(found[0], limit=40)


def _asked(words: Sequence[str]) -> "subprocess.CompletedProcess[str] | None":
    try:
        return subprocess.run(
            words,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_ASK_S,
            check=False,
            text=True,
            errors="replace",
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
