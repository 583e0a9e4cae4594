"""The command `breakeven calibrate`."""

import argparse
from pathlib import Path
from typing import Any

from breakeven.cli.words import add_json, users


def add(commands: Any) -> None:
    """Add the command and its options."""
    calibrate = commands.add_parser(
        "calibrate",
        help="hold the instrument against a server whose true timings are known",
        description="Measure the instrument's own error on this machine, and the highest load that it reads right.",
    )
    calibrate.add_argument("--quick", action="store_true", help="five loads in under a minute, not the whole grid")
    calibrate.add_argument("--users", type=users, metavar="LIST", help="these numbers of users instead of the grid")
    calibrate.add_argument("--markdown", type=Path, metavar="FILE", help="write the table as Markdown too")
    add_json(calibrate)
    calibrate.set_defaults(do=_calibrate)


def _calibrate(arguments: argparse.Namespace) -> int:
    from breakeven.app.calibrate import calibrate

    return calibrate(
        quick=arguments.quick, users=arguments.users, json_to=arguments.json, markdown_to=arguments.markdown
    )
