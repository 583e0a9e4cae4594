"""The commands about facts: prices, gpus."""

import argparse
from pathlib import Path
from typing import Any, Final

from breakeven.errors import UsageError

_EXAMPLES: Final = """examples:
  breakeven prices RTX 4090
  breakeven prices --refresh
  breakeven prices h100 --refresh --from gpuhunt --save h100.csv
"""


def add(commands: Any) -> None:
    """Add the commands and their options."""
    _add_prices(commands)
    gpus = commands.add_parser("gpus", help="list the GPU table", description="List GPU facts, each with its source.")
    gpus.add_argument("gpu", nargs="*", metavar="GPU", help="a key or a name; without it the whole table")
    gpus.set_defaults(do=_gpus)


def _add_prices(commands: Any) -> None:
    prices = commands.add_parser(
        "prices",
        help="list dated quotes of GPU rents",
        description="List quotes per card, with kind, market, date and source.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    prices.add_argument("gpu", nargs="*", metavar="GPU", help="a key or a name such as RTX 4090; without it every GPU")
    prices.add_argument(
        "--refresh", action="store_true", help="read today's prices of about twenty clouds and keep them"
    )
    prices.add_argument(
        "--from",
        dest="base",
        metavar="PLACE",
        help="where --refresh reads: an address, a folder or a file of SkyPilot's catalogue, or gpuhunt",
    )
    prices.add_argument("--file", type=Path, metavar="CSV", help="add quotes of your own")
    prices.add_argument("--save", type=Path, metavar="CSV", help="write what is listed to a file")
    prices.set_defaults(do=_prices)


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
