"""The command `breakeven tune`."""

import argparse
import math
from typing import Any, Final, NamedTuple

from breakeven.cli.command import JSON, OUT, Command
from breakeven.errors import UsageError
from breakeven.options import COUNT, KEPT, PLAN_OPTIONS, REAL, SWITCH, WANTED, Kind, Option, plan_fields
from breakeven.study.space import parse_vary
from breakeven.units import S_PER_H, parse_duration_s

_EXAMPLES: Final = """  breakeven tune --vary threads=1,2 --vary slots=1..16 --users 16 --budget 30m
  breakeven tune --engine vllm --model org/model --vary max_batch=16..256 --vary dtype=float16,bfloat16 --floor 20
  breakeven run --resume runs/2026-11-23T0210-tune
"""
_LEFT_OUT: Final = (
    *("--url", "--rate", "--arrivals", "--find-max", "--floor", "--repeats", "--power-w", "--power-from"),
    *("--gpu-metrics", "--gpu-label", "--engine-metrics", "--requests", "--header", "--header-env", "--api-key-env"),
    "--proxy",
)
"""Options of `run` that make no sense here."""
_SHARED: Final = tuple(row for row in PLAN_OPTIONS if row.name not in _LEFT_OUT and row.word is None)
_DEFAULT_USERS: Final = (16,)
_LADDER: Final = (1, 2, 4, 8, 16, 32, 64, 128)


class Budget(NamedTuple):
    """What a search may take."""

    max_hours: float | None = None
    max_usd: float | None = None


def budget(text: str) -> Budget:
    """`2h` or `$5`."""
    if text.startswith("$"):
        try:
            usd = float(text[1:])
        except ValueError:
            usd = 0.0
        if not 0 < usd < math.inf:
            raise ValueError(f"'{text}' is no amount; write it like $5")
        return Budget(max_usd=usd)
    return Budget(max_hours=parse_duration_s(text) / S_PER_H)


def do(arguments: argparse.Namespace) -> int:
    """Search, and say what came of it."""
    from breakeven.app.tune import Asked, tune

    given: dict[str, Any] = plan_fields({row.place: getattr(arguments, row.place) for row in _SHARED})
    given["repeats"] = arguments.repeats
    is_served = given.get("slo") is not None or arguments.floor is not None
    given.setdefault("users", _LADDER if is_served else _DEFAULT_USERS)
    if given.pop("auto", False):
        raise UsageError("--users auto is for single runs; give the numbers of users to look at, such as 4,8,16")
    most: Budget = arguments.budget or Budget()
    needed = "--budget in $" if most.max_usd is not None else "--for usd_per_mtok" if arguments.goal == _USD else None
    if needed is not None and arguments.rent is None:
        raise UsageError(f"{needed} needs --rent, what an hour of the machine costs")
    asked = Asked(
        given=given,
        varied=tuple(arguments.vary),
        goal=arguments.goal,
        floor=arguments.floor,
        max_hours=most.max_hours,
        max_usd=most.max_usd,
        rent_usd_per_h=arguments.rent,
        is_predicted_first=arguments.on is not None,
    )
    return tune(asked, out=arguments.out, is_dry=arguments.dry_run, json_to=arguments.json)


_USD: Final = "usd_per_mtok"
COMMANDS: Final = (
    Command(
        "tune",
        "search the settings of an engine for the best one",
        do,
        (
            Option(
                "--vary",
                "a setting and its values: a range on a log scale (16..256, or 16..256:9 for nine steps) or a list; "
                "again for each; ' if OTHER=a,b' after it says it only with these",
                "NAME=VALUES",
                kind=Kind(lambda text: (text, parse_vary(text)), is_many=True),
                group=WANTED,
                is_needed=True,
            ),
            Option(
                "--for",
                "what is looked for at the service level (default: tok_per_s)",
                field="goal",
                choices=("tok_per_s", _USD, "users"),
                default="tok_per_s",
                group=WANTED,
            ),
            Option("--floor", "tok/s that on average a user must get at least", "TOK_PER_S", kind=REAL, group=WANTED),
            Option(
                "--budget", "the most that it may take: 2h, or $5 of rent", "TIME|$", kind=Kind(budget), group=WANTED
            ),
            Option(
                "--rent",
                "what an hour of the machine costs; where tensor_parallel or replicas is varied, of one card",
                "USD_PER_H",
                kind=REAL,
                group=WANTED,
            ),
            Option(
                "--on",
                "predicted: predict every setting on --gpu first, and measure only those that may be best",
                choices=("predicted",),
                group=WANTED,
            ),
            Option(
                "--repeats",
                "starts of one setting at most (default: 5)",
                "N",
                kind=COUNT,
                default=5,
                group=WANTED,
            ),
            *_SHARED,
            *(
                option._replace(group=KEPT)
                for option in (
                    OUT,
                    Option("--dry-run", "print the plan file of the search, and measure nothing", kind=SWITCH),
                    JSON,
                )
            ),
        ),
        "Search the settings of an engine that is started here for the best one, by racing on intervals.\n"
        "Every try is a cell of one study: `breakeven run --resume STUDY` goes on, `show` and `report` take it.",
        _EXAMPLES,
    ),
)
