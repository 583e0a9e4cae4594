"""`breakeven engines`: the engines, and what of them is available here."""

import os
import sys

from rich.table import Table

from breakeven.app.commands import console
from breakeven.app.runs import write_json
from breakeven.launch.found import Docker, Found, find_docker, find_embedded, find_engines
from breakeven.launch.models import verify_embedded_model


def engines(*, json_to: str | None, verify: bool = False) -> int:
    """Print the list, or write it as JSON; with `verify` the cached model is hashed first."""
    if verify:
        model = verify_embedded_model()
        print("no model is cached yet" if model is None else f"{model} is whole (SHA-256)", file=sys.stderr)
    found, docker = [find_embedded(), *find_engines()], find_docker()
    if json_to is not None:
        write_json({"format": 1, "engines": found, "docker": docker}, json_to)
    if json_to != "-":
        _print(found, docker)
    return 0


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
