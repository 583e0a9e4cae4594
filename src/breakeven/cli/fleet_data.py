"""The actions of `breakeven fleet` over a set of results: import."""

import argparse
from typing import Final

from breakeven.cli.command import Command
from breakeven.options import PATH, Kind, Option

DEFAULT_SET: Final = "fleet-results"
_IMPORT: Final = """  breakeven fleet import nosana_2024_fleet.csv --to fleet-2024
  breakeven fleet import jobs.csv --map node=host --map model=llm --map 'output_tok_per_s=users{n}_tps'
  breakeven fleet import my-fleet/ --to s3://bucket/fleet
"""


def _import(arguments: argparse.Namespace) -> int:
    from breakeven.app.fleet_data import import_results

    return import_results(arguments.sources, into=arguments.to, given=arguments.map or ())


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
        ),
        "Take the results of many nodes into a set of Parquet files: what cannot be so is refused, what is odd is "
        "marked, and every job is counted.",
        _IMPORT,
    ),
)
