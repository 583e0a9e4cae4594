"""The commands over stored runs: `breakeven show`, `breakeven runs`."""

import argparse
from pathlib import Path
from typing import Any

from breakeven.cli.words import add_json, add_out


def add(commands: Any) -> None:
    """Add the commands and their options."""
    show = commands.add_parser("show", help="print a stored run again", description="Print a stored run again.")
    show.add_argument("run", metavar="RUN", type=Path, help="run folder")
    add_json(show)
    show.set_defaults(do=_show)
    runs = commands.add_parser("runs", help="list the stored runs", description="List the stored runs.")
    add_out(runs)
    runs.set_defaults(do=_runs)


def _show(arguments: argparse.Namespace) -> int:
    from breakeven.app.commands import show

    return show(arguments.run, json_to=arguments.json)


def _runs(arguments: argparse.Namespace) -> int:
    from breakeven.app.commands import runs

    return runs(arguments.out)
