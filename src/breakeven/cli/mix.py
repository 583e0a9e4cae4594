"""The command `breakeven mix`."""

import argparse
import math
from typing import Final

from breakeven.cli.command import JSON, WRITABLE, Command
from breakeven.cli.money import FLOOR, SEED, SLO
from breakeven.errors import UsageError
from breakeven.options import DURATION, NUMBERS, PATH, REAL, WHOLE, Kind, Option

MOST_DRAWS: Final = 10_000
_EXAMPLES: Final = """  breakeven mix runs/h100-vllm runs/l40s-vllm runs/rtx4090-vllm --users 500 --floor 25
  breakeven mix runs/h100-* runs/l40s-* --load load.toml --slo ttft_p95=2s,tpot_p95=50ms --spare 1 --available l40s=8
  breakeven mix runs/h100-vllm runs/l40s-vllm --users 500 --floor 25 --hours 1,1,1,2,5,9,10,10,8,6,3,2 --cold-start 4m
"""


def card_usd(text: str) -> tuple[str, float]:
    """`h100=2.5`."""
    name, _, value = text.rpartition("=")
    try:
        usd = float(value)
    except ValueError:
        usd = math.nan
    if not name.strip() or not 0 < usd < math.inf:
        raise ValueError(f"'{text}' is no CARD=USD; write it like h100=2.50")
    return name.strip(), usd


def card_count(text: str) -> tuple[str, int]:
    """`h100=4`."""
    name, _, value = text.rpartition("=")
    if not name.strip() or not (value.isascii() and value.isdigit()):
        raise ValueError(f"'{text}' is no CARD=N; write it like h100=4")
    return name.strip(), int(value)


def _mix(arguments: argparse.Namespace) -> int:
    from breakeven.app.level import Level
    from breakeven.app.mix import MixRequest, mix
    from breakeven.mix.types import Wanted

    if arguments.spot is not None and not 0 <= arguments.spot < 1:
        raise UsageError(f"mix: --spot {arguments.spot:g} is no share of the time; give 0 or more and less than 1")
    if not 0 <= arguments.draws <= MOST_DRAWS:
        raise UsageError(f"mix: --draws {arguments.draws}: give 0 to {MOST_DRAWS}; each is solved anew")
    request = MixRequest(
        runs=tuple(arguments.runs),
        users=arguments.users,
        load=arguments.load,
        hours=arguments.hours or (),
        prices=arguments.prices,
        own_prices=dict(arguments.price or ()),
        spot_away_share=arguments.spot,
        wanted=Wanted(
            available=dict(arguments.available or ()),
            spare=int(arguments.spare),
            cold_start_s=arguments.cold_start,
            draws=arguments.draws,
            seed=arguments.seed,
        ),
    )
    level = Level(floors=arguments.floor or (), slo=arguments.slo, seed=arguments.seed)
    return mix(request, level, json_to=arguments.json, html_to=arguments.html)


_LOAD: Final = "the load"
_NODES: Final = "the nodes"
PRICES: Final = Option("--price", "USD per hour of a card", "CARD=USD", kind=Kind(card_usd, is_many=True))
_COUNTS: Final = Kind(card_count, is_many=True)

COMMANDS: Final = (
    Command(
        "mix",
        "the cheapest whole numbers of cards for a load",
        _mix,
        (
            Option("RUN", "run folder, summary.json, another tool's result, or DATA:GPU", field="runs", values="+"),
            Option("--users", "users at once, who all get the service", "N", kind=WHOLE, group=_LOAD),
            Option("--load", "length classes with users or req/s each (TOML)", "FILE", kind=PATH, group=_LOAD),
            Option(
                "--hours", "the load in equal parts of a day, the largest the peak", "LIST", kind=NUMBERS, group=_LOAD
            ),
            Option(
                "--cold-start",
                "from renting a node to its first answer, paid for at every start (default: 5m)",
                "TIME",
                kind=DURATION,
                default=300.0,
                group=_LOAD,
            ),
            FLOOR,
            SLO,
            SEED,
            Option("--prices", "quotes of your own, beside those known", "CSV", kind=PATH, group=_NODES),
            PRICES._replace(group=_NODES),
            Option("--available", "cards that can be had at most", "CARD=N", kind=_COUNTS, group=_NODES),
            Option(
                "--spare",
                "1: the load is carried whichever node is lost (default: 0)",
                choices=("0", "1"),
                default="0",
                group=_NODES,
            ),
            Option(
                "--spot",
                "take spot quotes too; a spot node is away for this share of the time, such as 0.05",
                "SHARE",
                kind=REAL,
                group=_NODES,
            ),
            Option("--draws", "draws of capacities and prices (default: 200)", "N", kind=WHOLE, default=200),
            Option("--html", "the mix as one page, with a chart", "FILE", kind=WRITABLE),
            JSON,
        ),
        "Find the cheapest whole numbers of cards and engines that carry a load at a service level.",
        _EXAMPLES,
    ),
)
