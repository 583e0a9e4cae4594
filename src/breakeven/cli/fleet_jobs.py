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


def _submit(arguments: argparse.Namespace) -> int:
    from breakeven.app.fleet_jobs import submit_fleet

    return submit_fleet(arguments.folder, on=arguments.on)


def _status(arguments: argparse.Namespace) -> int:
    from breakeven.app.fleet_jobs import show_status

    return show_status(arguments.folder)


def _collect(arguments: argparse.Namespace) -> int:
    from breakeven.app.fleet_jobs import collect_fleet

    return collect_fleet(arguments.folder, logs=arguments.logs)


def _stop(arguments: argparse.Namespace) -> int:
    from breakeven.app.fleet_jobs import stop_fleet

    return stop_fleet(arguments.folder)


_FOLDER: Final = Option("FOLDER", "the fleet's folder, as `fleet render` made it", kind=PATH)
_WORK_EXAMPLES: Final = """  breakeven fleet render --to local examples/grid/local.toml --out here
  breakeven fleet submit here
  breakeven fleet status here
  breakeven fleet collect here
  breakeven fleet import here --to results
"""

_LOGS_EXAMPLES: Final = """  breakeven fleet collect here
  breakeven fleet collect grid --logs fetched
"""

ACTIONS: Final = (
    Command(
        "render",
        "write the job files of a fleet plan, or of every cell of a study",
        _render,
        (
            Option("PLAN", "fleet plan or study (TOML)", kind=PATH),
            Option(
                "--to",
                "the grid: nosana, skypilot, dstack, kubernetes or local",
                "NAME",
                is_needed=True,
            ),
            Option("--out", "the fleet's folder (default: fleet)", "FOLDER", kind=Kind(Path), default=Path("fleet")),
            Option("--infra", "of a study: clouds to look in, such as runpod,vast", "LIST", kind=NAMES),
        ),
        examples=_EXAMPLES,
    ),
    Command(
        "submit",
        "hand out the jobs of a fleet, watch them and take their results; again to go on",
        _submit,
        (
            _FOLDER,
            Option("--on", "where (default: what the folder was rendered for)", "PLACE"),
        ),
        examples=_WORK_EXAMPLES,
    ),
    Command("status", "how the jobs of a fleet stand", _status, (_FOLDER,)),
    Command(
        "collect",
        "take the results that have come back, without handing out more",
        _collect,
        (
            _FOLDER,
            Option(
                "--logs",
                "take them from output that you fetched: a folder with a file JOB.log a job",
                "FOLDER",
                kind=PATH,
            ),
        ),
        examples=_LOGS_EXAMPLES,
    ),
    Command("stop", "end the jobs of a fleet that run", _stop, (_FOLDER,)),
)
