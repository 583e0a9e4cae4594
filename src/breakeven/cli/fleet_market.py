"""The actions fleet inspect and fleet market."""

import argparse
from typing import Final

from breakeven.cli.command import JSON, Command
from breakeven.options import Option

_INSPECT: Final = """  breakeven fleet inspect results
  breakeven fleet inspect results --node n4f2 --json -
"""
SET: Final = Option("SET", "a set of results: a folder, or an address that import writes to", field="address")


def _inspect(arguments: argparse.Namespace) -> int:
    from breakeven.app.fleet_market import inspect

    return inspect(arguments.address, node=arguments.node, json_to=arguments.json)


ACTIONS: Final = (
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
