"""`breakeven engines`: the engines, and what of them is available here."""

import os
import sys
from pathlib import Path

import msgspec
from rich.table import Table

from breakeven.app.commands import console
from breakeven.errors import RunFailedError
from breakeven.launch.found import Docker, Found, find_docker, find_embedded, find_engines
from breakeven.store.log import cannot_write


def engines(*, json_to: str | None) -> int:
    """Print the list, or write it as JSON."""
    found, docker = [find_embedded(), *find_engines()], find_docker()
    if json_to == "-":
        sys.stdout.buffer.write(_json(found, docker))
        sys.stdout.flush()
        return 0
    if json_to is not None:
        try:
            Path(json_to).write_bytes(_json(found, docker))
        except OSError as error:
            raise RunFailedError(cannot_write(Path(json_to), error)) from None
    _print(found, docker)
    return 0


def _json(found: list[Found], docker: Docker) -> bytes:
    return msgspec.json.format(msgspec.json.encode({"format": 1, "engines": found, "docker": docker}), indent=2) + b"\n"


def _print(found: list[Found], docker: Docker) -> None:
    table = Table(box=None, header_style="bold")
    for head in ("engine", "started as a process", "version", "container image"):
        table.add_column(head, no_wrap=head == "engine", overflow="fold")
    for one in found:
        here = one.why_not or one.command or "–"
        table.add_row(one.name, here, one.version or "–", one.image or "–")
    screen = console(sys.stdout)
    screen.print(table)
    screen.print("any other OpenAI server: --url URL (engine openai)")
    state = f"docker {docker.version}" if docker.version else f"no containers: {docker.why_not}"
    screen.print(f"--via docker: {state}", soft_wrap=True)
    names = sorted({one.access_env for one in found if one.access_env})
    for name in names:
        screen.print(f"gated models: {name} is {'set' if os.environ.get(name) else 'not set'}")
