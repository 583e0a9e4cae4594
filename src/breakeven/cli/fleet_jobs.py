"""The actions of `breakeven fleet` that hand out jobs."""

import argparse
from pathlib import Path
from typing import Final

from breakeven.cli.command import Command
from breakeven.options import NAMES, PATH, Kind, Option

_EXAMPLES: Final = """  breakeven fleet render --to nosana examples/grid/fleet.toml --out grid
  breakeven fleet render --to skypilot examples/article/plan.toml --out article --infra runpod,vast
"""


def _render(arguments: argparse.Namespace) -> int:
    from breakeven.app.fleet_jobs import render

    return render(arguments.plan, to=arguments.to, out=arguments.out, infra=arguments.infra or ())


ACTIONS: Final = (
    Command(
        "render",
        "write the job files of a fleet plan, or of every cell of a study",
        _render,
        (
            Option("PLAN", "fleet plan or study (TOML)", kind=PATH),
            Option(
                "--to",
                "the grid: nosana, skypilot, dstack or kubernetes",
                "NAME",
                is_needed=True,
            ),
            Option("--out", "the fleet's folder (default: fleet)", "FOLDER", kind=Kind(Path), default=Path("fleet")),
            Option("--infra", "of a study: clouds to look in, such as runpod,vast", "LIST", kind=NAMES),
        ),
        examples=_EXAMPLES,
    ),
)
