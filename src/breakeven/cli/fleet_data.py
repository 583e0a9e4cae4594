"""The actions of `breakeven fleet` over a set of results: import, leaderboard, publish."""

import argparse
from typing import Final

from breakeven.cli.command import WRITABLE, Command
from breakeven.errors import UsageError
from breakeven.options import PATH, SWITCH, WHOLE, Kind, Option

DEFAULT_SET: Final = "fleet-results"
_IMPORT: Final = """  breakeven fleet import nosana_2024_fleet.csv --to fleet-2024
  breakeven fleet import jobs.csv --map node=host --map model=llm --map 'output_tok_per_s=users{n}_tps'
  breakeven fleet import my-fleet/ --to s3://bucket/fleet
"""
_LEADERBOARD: Final = """  breakeven fleet leaderboard fleet-2024 --gpu rtx4090
  breakeven fleet leaderboard fleet-2024 --users 50 --csv nodes.csv --html nodes.html
"""

_PUBLISH: Final = """  breakeven fleet publish fleet-2026 --out grid-2026-11 --licence CC-BY-4.0
  BREAKEVEN_PUBLISH_KEY=$KEY breakeven fleet publish fleet-2026 --out records --licence CC0-1.0 --records
"""


def _import(arguments: argparse.Namespace) -> int:
    from breakeven.app.fleet_data import import_results

    return import_results(
        arguments.sources, into=arguments.to, given=arguments.map or (), check_proofs=arguments.check_proofs
    )


def _leaderboard(arguments: argparse.Namespace) -> int:
    from breakeven.app.fleet_data import show_leaderboard
    from breakeven.fleet.leaderboard import Asked

    if arguments.top < 1:
        raise UsageError(f"fleet leaderboard: --top {arguments.top}: give 1 or more")
    asked = Asked(**{name: getattr(arguments, name) for name in Asked.__struct_fields__})
    return show_leaderboard(arguments.set, asked, top=arguments.top, csv_to=arguments.csv, html_to=arguments.html)


def _publish(arguments: argparse.Namespace) -> int:
    from breakeven.app.fleet_data import publish

    return publish(
        arguments.set,
        out=arguments.out,
        licence=arguments.licence,
        title=arguments.title,
        records=arguments.records,
    )


SET: Final = Option("SET", f"the set of results (default: {DEFAULT_SET})", values="?", default=DEFAULT_SET)
_WHICH: Final = "which nodes"

ACTIONS: Final = (
    Command(
        "import",
        "take results into a set",
        _import,
        (
            Option("SOURCE", "a CSV with a line a job, or a fleet's folder", kind=PATH, field="sources", values="+"),
            Option(
                "--to",
                f"the set: a folder, or s3://BUCKET/NAME, which needs breakeven[grid] (default: {DEFAULT_SET})",
                "SET",
                default=DEFAULT_SET,
            ),
            Option(
                "--map",
                "which column of a CSV is which of ours: OURS=THEIRS, again for each, or a TOML file "
                "(default: found by the columns)",
                "MAP",
                kind=Kind(str, is_many=True),
            ),
            Option(
                "--check-proofs",
                "work out every proof of work again, of large ones for minutes (default: those of up to 8,192 rows)",
                kind=SWITCH,
            ),
        ),
        "Take the results of many nodes into a set of Parquet files: what cannot be so is refused, what is odd is "
        "marked, and every job is counted.",
        _IMPORT,
    ),
    Command(
        "leaderboard",
        "rank nodes among their like",
        _leaderboard,
        (
            SET,
            Option("--market", "of this market alone", "NAME", group=_WHICH),
            Option("--gpu", "with this card alone, by key or name", "NAME", group=_WHICH),
            Option("--model", "with this model alone", "NAME", group=_WHICH),
            Option("--template", "of this template alone", "NAME", group=_WHICH),
            Option("--users", "at this number of users alone (default: all levels together)", "N", kind=WHOLE),
            Option("--top", "nodes of each group in the terminal (default: 10)", "N", kind=WHOLE, default=10),
            Option("--csv", "every node and column; - is stdout", "FILE", kind=WRITABLE),
            Option(
                "--html", "one page to search, filter and sort, with the evidence of each node", "FILE", kind=WRITABLE
            ),
        ),
        "Rank the nodes of each market, GPU, model and template by speed, with intervals, and price them.",
        _LEADERBOARD,
    ),
    Command(
        "publish",
        "write an anonymised data set with its card",
        _publish,
        (
            SET,
            Option("--out", "the new folder", "FOLDER", kind=PATH, is_needed=True),
            Option("--licence", "under which the data may be used, such as CC-BY-4.0", "TEXT", is_needed=True),
            Option("--title", "of the data card", "TEXT", default="Benchmarks of a grid of GPU nodes"),
            Option("--records", "every job too, with hashes for names; without it aggregates alone", kind=SWITCH),
        ),
        "Write what a set may give away: aggregates of groups of five nodes and more, and a data card.",
        _PUBLISH,
    ),
)
