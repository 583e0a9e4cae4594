"""`breakeven engines`: the engines, and what of them is available here."""

import os
import sys

from breakeven.app.commands import console
from breakeven.app.runs import write_json
from breakeven.launch.found import Docker, Found, find_docker, find_embedded, find_engines
from breakeven.launch.models import verify_embedded_model
from breakeven.report.forms import screen as styled
from breakeven.say import room
from breakeven.table import Column, Table


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
    columns = (
        Column("engine", align="left"),
        Column("started as a process", align="left"),
        Column("version", align="left", goes=1),
        Column("container image", align="left", goes=2),
    )
    rows = [(one.name, one.why_not or one.command or "–", one.version or "–", one.image or "–") for one in found]
    screen = console(sys.stdout)
    screen.print(styled(Table(columns, rows), width=room()), soft_wrap=True)
    screen.print("any other OpenAI server: --url URL (engine openai)")
    state = f"docker {docker.version}" if docker.version else f"no containers: {docker.why_not}"
    screen.print(f"--via docker: {state}", soft_wrap=True)
    names = sorted({one.access_env for one in found if one.access_env})
    for name in names:
        screen.print(f"gated models: {name} is {'set' if os.environ.get(name) else 'not set'}")
