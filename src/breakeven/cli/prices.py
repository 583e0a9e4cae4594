"""The commands about facts: prices, gpus."""

import argparse
from typing import Final

from breakeven.cli.command import Command
from breakeven.errors import UsageError
from breakeven.options import PATH, SWITCH, Option

_EXAMPLES: Final = """  breakeven prices RTX 4090
  breakeven prices --refresh
  breakeven prices h100 --refresh --from gpuhunt --save h100.csv
"""


def _prices(arguments: argparse.Namespace) -> int:
    from breakeven.app.prices import prices

    if arguments.base is not None and not arguments.refresh:
        raise UsageError("prices: --from says where --refresh reads; give both")
    return prices(
        _name(arguments),
        refresh=arguments.refresh,
        base=arguments.base,
        file=arguments.file,
        save=arguments.save,
    )


def _gpus(arguments: argparse.Namespace) -> int:
    from breakeven.app.prices import gpus

    return gpus(_name(arguments))


def _name(arguments: argparse.Namespace) -> str | None:
    return " ".join(arguments.gpu) or None


COMMANDS: Final = (
    Command(
        "prices",
        "list dated quotes of GPU rents",
        _prices,
        (
            Option("GPU", "a key or a name such as RTX 4090; without it every GPU", values="*"),
            Option("--refresh", "read today's prices of about twenty clouds and keep them", kind=SWITCH),
            Option(
                "--from",
                "where --refresh reads: an address, a folder or a file of SkyPilot's catalogue, or gpuhunt",
                "PLACE",
                field="base",
            ),
            Option("--file", "add quotes of your own", "CSV", kind=PATH),
            Option("--save", "write what is listed to a file", "CSV", kind=PATH),
        ),
        "List quotes per card, with kind, market, date and source.",
        _EXAMPLES,
    ),
    Command(
        "gpus",
        "list the GPU table",
        _gpus,
        (Option("GPU", "a key or a name; without it the whole table", values="*"),),
        "List GPU facts, each with its source.",
    ),
)
