"""The actions fleet inspect and fleet market."""

import argparse
from pathlib import Path
from typing import Final

from breakeven.cli.command import JSON, WRITABLE, Command
from breakeven.cli.mix import PRICES
from breakeven.cli.money import FLOOR
from breakeven.cli.money import SET as CHANGED
from breakeven.errors import UsageError
from breakeven.options import TEXTS, Kind, Option

_INSPECT: Final = """  breakeven fleet inspect results
  breakeven fleet inspect results --node n4f2 --json -
"""
_MARKET: Final = """  breakeven fleet market results
  breakeven fleet market results --market rtx4090 --rules rtx4090.toml --feedback verdicts.json
  breakeven fleet market results --price rtx4090=0.40 --price a100=1.10 --floor 30 --set market.rented_share=0.5
"""
SET: Final = Option("SET", "a set of results: a folder, or an address that import writes to", field="address")


_FILES: Final = Kind(Path, is_many=True)
_WRITABLE_PATH: Final = Kind(lambda text: Path(WRITABLE.read(text)))


def _inspect(arguments: argparse.Namespace) -> int:
    from breakeven.app.fleet_market import inspect

    return inspect(arguments.address, node=arguments.node, json_to=arguments.json)


def _market(arguments: argparse.Namespace) -> int:
    from breakeven.app.fleet_market import market
    from breakeven.fleet.market import Wanted
    from breakeven.fleet.simulate import DROP, TRIED

    if arguments.feedback is not None and not arguments.rules:
        raise UsageError("fleet market: --feedback tells verdicts by rules; give --rules FILE too")
    wanted = Wanted(
        market=arguments.market,
        prices=dict(arguments.price or ()),
        floors=tuple(arguments.floor or ()),
        overrides=tuple(arguments.overrides or ()),
        tried=tuple(arguments.tried or TRIED),
        drop=arguments.drop or DROP,
    )
    return market(
        arguments.address,
        wanted=wanted,
        rules=arguments.rules or (),
        feedback=arguments.feedback,
        json_to=arguments.json,
    )


ACTIONS: Final = (
    Command(
        "market",
        "what a set says of its markets, and what rules would do",
        _market,
        (
            SET,
            Option("--market", "this market only", "NAME"),
            Option("--rules", "judge every node by the rules of a market (TOML); again for each", "FILE", kind=_FILES),
            Option("--feedback", "write the verdicts as feedbackReports (JSON)", "FILE", kind=_WRITABLE_PATH),
            Option(
                "--try",
                "a rule on speed to try: mean - 20 %, robust, tested, … (default: four of them); again for each",
                "RULE",
                kind=TEXTS,
                field="tried",
            ),
            Option(
                "--drop", "who misses a rule is dropped where he misses this one too (default: mean - 20 %)", "RULE"
            ),
            PRICES,
            FLOOR,
            CHANGED._replace(help="change an input of a dropped node's host, such as market.rented_share=0.5"),
            JSON,
        ),
        "Tell how nodes of each market and card differ, try rules on them, find fair prices, and judge nodes by rules.",
        _MARKET,
    ),
    Command(
        "inspect",
        "find weak nodes, with cause and evidence",
        _inspect,
        (
            SET,
            Option("--node", "tell of this node only", "NAME"),
            JSON,
        ),
        "Find nodes that are slower than their like, or not what they claim, each with its cause, evidence and cure.",
        _INSPECT,
    ),
)
