"""The command `breakeven calibrate`."""

import argparse
from typing import Final

from breakeven.cli.command import JSON, Command
from breakeven.options import PATH, SWITCH, USERS, Option


def _calibrate(arguments: argparse.Namespace) -> int:
    from breakeven.app.calibrate import calibrate

    return calibrate(
        quick=arguments.quick, users=arguments.users, json_to=arguments.json, markdown_to=arguments.markdown
    )


COMMANDS: Final = (
    Command(
        "calibrate",
        "hold the instrument against a server whose true timings are known",
        _calibrate,
        (
            Option("--quick", "five loads in under a minute, not the whole grid", kind=SWITCH),
            Option("--users", "these numbers of users instead of the grid", "LIST", kind=USERS),
            Option("--markdown", "write the table as Markdown too", "FILE", kind=PATH),
            JSON,
        ),
        "Measure the instrument's own error on this machine, and the highest load that it reads right.",
    ),
)
