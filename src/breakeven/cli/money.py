"""The commands about money: compare, cost."""

import argparse
from pathlib import Path
from typing import Any, Final

from breakeven.cli.words import add_json
from breakeven.errors import UsageError

_COMPARE_EXAMPLES: Final = """examples:
  breakeven compare runs/a100-vllm runs/4090-lmdeploy --floor 25
  breakeven compare runs/before runs/after --gate 'output_tok_per_s >= 0.97 * reference'
  breakeven compare --data nosana-2024 --reference a100-80 --candidate rtx4090
"""
_COST_EXAMPLES: Final = """examples:
  breakeven cost --preset nosana-2024 --explain
  breakeven cost --preset owner --set candidate.count=1.54 --ranges default
  breakeven cost --from-runs runs/a100 runs/4090 --set reference.rent_usd_per_h=1.65 --set candidate.rent_usd_per_h=0.32
  breakeven cost --preset renter --sweep candidate.rent_usd_per_h=0.1:2:0.05
"""


def add(commands: Any) -> None:
    """Add the commands and their options."""
    _add_compare(commands)
    _add_cost(commands)


def _add_level(parser: Any) -> None:
    service = parser.add_argument_group("at which service")
    service.add_argument(
        "--floor", type=_numbers, metavar="LIST", help="tok/s that on average a user must get at least"
    )
    service.add_argument("--slo", metavar="LIMITS", help="limits such as ttft_p99=2s,tpot_p99=100ms, or a preset")
    service.add_argument("--seed", type=int, default=0, metavar="N", help="seed of the draws (default: 0)")


def _add_compare(commands: Any) -> None:
    compare = commands.add_parser(
        "compare",
        help="how many of B do the work of one A",
        description="Say how many of each candidate do the work of one reference, and how sure that is.",
        epilog=_COMPARE_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    compare.add_argument("runs", nargs="*", type=Path, metavar="RUN", help="the reference, then one or more candidates")
    _add_level(compare)
    compare.add_argument(
        "--at-users", type=_numbers, metavar="LIST", help="users for same-load k and the equal-users ratio"
    )
    compare.add_argument(
        "--scope",
        choices=("machines", "gpu_type"),
        default="machines",
        help="these two machines, or their GPU types (default: machines)",
    )
    compare.add_argument(
        "--node-spread",
        type=float,
        metavar="SD",
        help="spread between nodes on the log scale, for --scope gpu_type (default: 0.05)",
    )
    compare.add_argument(
        "--gate",
        action="append",
        default=[],
        metavar="CONDITION",
        help="condition such as 'output_tok_per_s >= 0.97 * reference'; exit code 3 where it fails",
    )
    compare.add_argument(
        "--gate-strict", action="store_true", help="exit code 3 also where the intervals cannot decide a gate"
    )
    data = compare.add_argument_group("out of a shipped data set, instead of runs")
    data.add_argument("--data", metavar="NAME", help="nosana-2024 or nosana-2024-sweep, in words per second")
    data.add_argument("--reference", metavar="GPU")
    data.add_argument("--candidate", action="append", default=[], metavar="GPU")
    data.add_argument("--data-workload", metavar="NAME", help="such as llama3.1-8b-16bit")
    data.add_argument("--tokens-per-word", type=float, metavar="N", help="declare how many tokens a word is")
    add_json(compare)
    compare.set_defaults(do=_compare)


def _add_cost(commands: Any) -> None:
    cost = commands.add_parser(
        "cost",
        help="what a token costs, when a GPU pays for itself",
        description="Work out cost per token, break-even, ROI and parity rents of a scenario.",
        epilog=_COST_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    cost.add_argument("scenario", nargs="?", type=Path, metavar="SCENARIO", help="scenario file (TOML)")
    cost.add_argument("--preset", metavar="NAME", help="ready scenario: nosana-2024, owner, renter, self-host")
    cost.add_argument(
        "--set",
        dest="overrides",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="change an input, such as candidate.count=1.54",
    )
    cost.add_argument(
        "--from-runs", nargs=2, metavar=("REF", "CAND"), help="take k, throughput and power from two runs"
    )
    cost.add_argument(
        "--sweep", metavar="KEY=LOW:HIGH:STEP", help="vary one input, such as candidate.rent_usd_per_h=0.1:2:0.05"
    )
    cost.add_argument("--ranges", metavar="NAME", help="ready ranges of inputs: default or correlated")
    cost.add_argument("--explain", action="store_true", help="show every formula with its numbers")
    _add_level(cost)
    add_json(cost)
    cost.set_defaults(do=_cost)


def _numbers(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is no list of numbers; write it like 25,50") from None


def _compare(arguments: argparse.Namespace) -> int:
    from breakeven.app.compare import DataRuns, compare
    from breakeven.app.level import Level

    runs: list[Path] | DataRuns = arguments.runs
    if arguments.data is not None:
        if arguments.runs or arguments.reference is None or not arguments.candidate:
            raise UsageError("compare --data NAME takes --reference GPU and --candidate GPU, and no run folders")
        runs = DataRuns(
            data=arguments.data,
            reference=arguments.reference,
            candidates=tuple(arguments.candidate),
            workload=arguments.data_workload,
            tokens_per_word=arguments.tokens_per_word,
        )
    elif {arguments.reference, *arguments.candidate, arguments.data_workload, arguments.tokens_per_word} != {None}:
        raise UsageError("compare: --reference, --candidate, --data-workload and --tokens-per-word go with --data NAME")
    elif len(arguments.runs) < 2:
        raise UsageError("compare: give a reference and at least one candidate, such as `compare runs/a runs/b`")
    level = Level(
        floors=arguments.floor or (),
        slo=arguments.slo,
        users=arguments.at_users or (),
        scope=arguments.scope,
        between_node_sd_log=arguments.node_spread,
        seed=arguments.seed,
    )
    if arguments.gate_strict and not arguments.gate:
        raise UsageError("compare: --gate-strict is about gates; give one with --gate CONDITION")
    return compare(runs, level, gates=arguments.gate, strict=arguments.gate_strict, json_to=arguments.json)


def _cost(arguments: argparse.Namespace) -> int:
    from breakeven.app.level import Level
    from breakeven.app.money import CostRequest, cost

    request = CostRequest(
        scenario=arguments.scenario,
        preset=arguments.preset,
        overrides=tuple(arguments.overrides),
        from_runs=None if arguments.from_runs is None else (arguments.from_runs[0], arguments.from_runs[1]),
        sweep=arguments.sweep,
        ranges=arguments.ranges,
        explain=arguments.explain,
        seed=arguments.seed,
    )
    level = Level(floors=arguments.floor or (), slo=arguments.slo, seed=arguments.seed)
    return cost(request, level, json_to=arguments.json)
