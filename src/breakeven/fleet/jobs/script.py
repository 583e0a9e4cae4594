"""The shell script of a job where a grid gives one container: the engine in the background, the benchmark before it."""

import re
import shlex
from typing import Final

from breakeven import __version__
from breakeven.fleet.jobs.parcel import packing
from breakeven.fleet.jobs.task import RUNS, Task, benchmark_image

HOME: Final = "~/.breakeven"
UV: Final = f"{HOME}-uv"
"""Beside the engine's own packages: many images forbid a change of theirs, and none shall get one."""
PYTHON: Final = ">=3.11"
"""The image's own where it is new enough, else one is fetched."""
_MEMORY: Final = re.compile(r"(?P<card>.+?)[ -]?(?P<gb>\d+) ?G(?:i)?B", re.IGNORECASE)


def setup(task: Task) -> list[str]:
    """Installs breakeven beside the engine, with a Python of its own; the benchmark's image has it."""
    if task.served is None and task.plan is None:
        return []
    return [
        f"python3 -m pip install --quiet --target {UV} uv",
        f"{UV}/bin/uv venv --quiet --python '{PYTHON}' {HOME}",
        f"{UV}/bin/uv pip install --quiet --python {HOME}/bin/python breakeven=={__version__}",
    ]


def run(task: Task) -> list[str]:
    """What measures. A cell's plan starts its engine itself, so that its start is timed; its run folder is printed."""
    program = f"{HOME}/bin/breakeven" if setup(task) else task.words[0]
    measure = f"timeout {task.time_limit_s:.0f} {program} {shlex.join(task.words[1:])}"
    if task.plan is not None:
        plan = ["cat > plan.toml <<'END_OF_PLAN'", *task.plan.rstrip("\n").split("\n"), "END_OF_PLAN"]
        return [*plan, "code=0", f"{measure} || code=$?", packing(RUNS), "exit $code"]
    if task.served is None:
        return [measure]
    return [f"{shlex.join(task.served.command)} > engine.log 2>&1 &", "trap 'kill %1' EXIT", measure]


def image(task: Task) -> str:
    """The one container: the engine's, where there is one."""
    return task.served.image if task.served is not None else benchmark_image(task)


def bash(task: Task) -> list[str]:
    """The same as the words of a container's command."""
    return ["bash", "-c", "\n".join([*setup(task), *run(task)]) + "\n"]


def variables(task: Task) -> dict[str, str]:
    """Variables of the engine and of the benchmark."""
    return {**(task.served.env if task.served is not None else {}), **task.env}


def card_and_memory(name: str) -> tuple[str, str | None]:
    """`A100 80GB` is the card `A100` with `80` GB; `RTX 4090` is `RTX4090`."""
    found = _MEMORY.fullmatch(name)
    card, memory = (name, None) if found is None else (found["card"], found["gb"])
    return card.replace(" ", ""), memory
