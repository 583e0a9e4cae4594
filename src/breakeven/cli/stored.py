"""The commands over stored runs: `breakeven show`, `breakeven runs`."""

import argparse
from typing import Final

from breakeven.cli.command import JSON, OUT, Command
from breakeven.options import PATH, Option


def _show(arguments: argparse.Namespace) -> int:
    from breakeven.app.commands import show

    return show(arguments.run, json_to=arguments.json)


def _runs(arguments: argparse.Namespace) -> int:
    from breakeven.app.commands import runs

    return runs(arguments.out)


COMMANDS: Final = (
    Command(
        "show", "print a stored run or study again", _show, (Option("RUN", "run folder or study", kind=PATH), JSON)
    ),
    Command("runs", "list the stored runs and studies", _runs, (OUT,)),
)
