"""The commands about money: compare, cost."""

import argparse
from pathlib import Path
from typing import Final

from breakeven.cli.command import JSON, WRITABLE, Command
from breakeven.errors import UsageError
from breakeven.options import NUMBERS, PATH, REAL, SWITCH, TEXTS, WHOLE, Option

_COMPARE_EXAMPLES: Final = """  breakeven compare runs/a100-vllm runs/4090-lmdeploy --floor 25
  breakeven compare runs/before runs/after --gate 'output_tok_per_s >= 0.97 * reference'
  breakeven compare runs/today --baseline runs/main --junit gates.xml --md -
  breakeven compare runs/*/vllm-chat --history output_tok_per_s --html history.html
  breakeven compare --data nosana-2024 --reference a100-80 --candidate rtx4090
"""
_COST_EXAMPLES: Final = """  breakeven cost --preset nosana-2024 --explain
  breakeven cost --preset owner --set candidate.count=1.54 --ranges default
  breakeven cost --from-runs runs/a100 runs/4090 --set reference.rent_usd_per_h=1.65 --set candidate.rent_usd_per_h=0.32
  breakeven cost --preset renter --sweep candidate.rent_usd_per_h=0.1:2:0.05
"""


def _compare(arguments: argparse.Namespace) -> int:
    from breakeven.app.compare import DataRuns, compare
    from breakeven.app.level import Level
    from breakeven.store.study import is_study

    runs: list[Path] | DataRuns = arguments.runs
    candidates = arguments.candidate or ()
    if arguments.data is not None:
        if arguments.runs or arguments.reference is None or not candidates:
            raise UsageError("compare --data NAME takes --reference GPU and --candidate GPU, and no run folders")
        runs = DataRuns(
            data=arguments.data,
            reference=arguments.reference,
            candidates=tuple(candidates),
            workload=arguments.data_workload,
            tokens_per_word=arguments.tokens_per_word,
        )
    elif {arguments.reference, *candidates, arguments.data_workload, arguments.tokens_per_word} != {None}:
        raise UsageError("compare: --reference, --candidate, --data-workload and --tokens-per-word go with --data NAME")
    elif arguments.history is not None:
        return _history(arguments)
    elif len(arguments.runs) == 1 and is_study(arguments.runs[0]):
        return _compare_study(arguments)
    elif len(arguments.runs) < 2:
        raise UsageError("compare: give a reference and at least one candidate, such as `compare runs/a runs/b`")
    if {arguments.baseline, arguments.junit, arguments.md} != {None}:
        raise UsageError("compare: --baseline, --junit and --md go with one study; of runs the first is the reference")
    _no_page(arguments)
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
    return compare(runs, level, gates=arguments.gate or (), strict=arguments.gate_strict, json_to=arguments.json)


def _no_page(arguments: argparse.Namespace) -> None:
    if arguments.html is not None:
        raise UsageError("compare: --html goes with --history; `breakeven report` makes the page of runs or a study")


def _history(arguments: argparse.Namespace) -> int:
    """Runs of one cell over time."""
    from breakeven.app.baseline import Forms, show_history

    if arguments.gate or arguments.gate_strict or arguments.baseline is not None or arguments.junit is not None:
        raise UsageError("compare: --history has its own rule; leave --gate, --baseline and --junit out")
    if arguments.floor or arguments.slo is not None or arguments.at_users:
        raise UsageError("compare: --history looks at every load; leave --floor, --slo and --at-users out")
    forms = Forms(markdown=arguments.md, json=arguments.json, html=arguments.html)
    return show_history(arguments.runs, arguments.history, forms=forms)


def _compare_study(arguments: argparse.Namespace) -> int:
    """The cells of a study against one another."""
    _no_page(arguments)
    from breakeven.app.level import Level
    from breakeven.app.study import show_study

    if arguments.baseline is not None:
        from breakeven.app.baseline import Forms, compare_with_baseline

        if arguments.floor or arguments.slo is not None or arguments.at_users:
            raise UsageError("compare: --baseline looks at every level; leave --floor, --slo and --at-users out")
        forms = Forms(junit=arguments.junit, markdown=arguments.md, json=arguments.json)
        gates = arguments.gate or ()
        return compare_with_baseline(
            arguments.runs[0], arguments.baseline, gates=gates, strict=arguments.gate_strict, forms=forms
        )
    if arguments.gate or arguments.gate_strict or arguments.at_users:
        raise UsageError("compare: --gate of a study needs --baseline; --at-users takes two cells, STUDY/CELL")
    if arguments.junit is not None or arguments.md is not None:
        raise UsageError(
            "compare: --junit and --md of a study need --baseline; `breakeven report STUDY --md -` writes it"
        )
    level = Level(floors=arguments.floor or (), slo=arguments.slo)
    return show_study(arguments.runs[0], level, json_to=arguments.json)


def _cost(arguments: argparse.Namespace) -> int:
    from breakeven.app.level import Level
    from breakeven.app.money import CostRequest, cost

    request = CostRequest(
        scenario=arguments.scenario,
        preset=arguments.preset,
        overrides=tuple(arguments.overrides or ()),
        from_runs=None if arguments.from_runs is None else (arguments.from_runs[0], arguments.from_runs[1]),
        sweep=arguments.sweep,
        ranges=arguments.ranges,
        explain=arguments.explain,
        seed=arguments.seed,
    )
    level = Level(floors=arguments.floor or (), slo=arguments.slo, seed=arguments.seed)
    return cost(request, level, json_to=arguments.json)


_SERVICE: Final = "at which service"
_STUDY: Final = "a study against a baseline, and a cell over time"
_DATA: Final = "out of a shipped data set, instead of runs"
FLOOR: Final = Option("--floor", "tok/s that on average a user must get at least", "LIST", kind=NUMBERS, group=_SERVICE)
SLO: Final = Option("--slo", "limits such as ttft_p99=2s,tpot_p99=100ms, or a preset", "LIMITS", group=_SERVICE)
SEED: Final = Option("--seed", "seed of the draws (default: 0)", "N", kind=WHOLE, default=0, group=_SERVICE)
SET: Final = Option(
    "--set", "change an input, such as candidate.count=1.54", "KEY=VALUE", kind=TEXTS, field="overrides"
)

COMMANDS: Final = (
    Command(
        "compare",
        "how many of B do the work of one A",
        _compare,
        (
            Option(
                "RUN", "the reference, then one or more candidates; or one study", kind=PATH, field="runs", values="*"
            ),
            FLOOR,
            SLO,
            SEED,
            Option("--at-users", "users for same-load k and the equal-users ratio", "LIST", kind=NUMBERS),
            Option(
                "--scope",
                "these two machines, or their GPU types (default: machines)",
                choices=("machines", "gpu_type"),
                default="machines",
            ),
            Option(
                "--node-spread",
                "spread between nodes on the log scale, for --scope gpu_type (default: 0.05)",
                "SD",
                kind=REAL,
            ),
            Option(
                "--gate",
                "condition such as 'output_tok_per_s >= 0.97 * reference'; exit code 3 where it fails",
                "CONDITION",
                kind=TEXTS,
            ),
            Option("--gate-strict", "exit code 3 also where the intervals cannot decide a gate", kind=SWITCH),
            Option(
                "--baseline",
                "of a study: the run or study that each cell is held against, by --gate "
                "(default: output_tok_per_s >= 0.97 * reference); false alarms are 5 % over all cells together",
                "RUN|STUDY",
                kind=PATH,
                group=_STUDY,
            ),
            Option(
                "--history",
                "runs of one cell over time: METRIC of each (such as output_tok_per_s), marked where it surely changed",
                "METRIC",
                group=_STUDY,
            ),
            Option("--junit", "the verdicts as JUnit XML", "FILE", kind=WRITABLE, group=_STUDY),
            Option(
                "--md",
                "the verdicts or the history for a pull request; - is stdout",
                "FILE",
                kind=WRITABLE,
                group=_STUDY,
            ),
            Option("--html", "the history as a page with a chart a load", "FILE", kind=WRITABLE, group=_STUDY),
            Option("--data", "nosana-2024 or nosana-2024-sweep, in words per second", "NAME", group=_DATA),
            Option("--reference", "GPU of the reference", "GPU", group=_DATA),
            Option("--candidate", "GPU of a candidate", "GPU", kind=TEXTS, group=_DATA),
            Option("--data-workload", "such as llama3.1-8b-16bit", "NAME", group=_DATA),
            Option("--tokens-per-word", "declare how many tokens a word is", "N", kind=REAL, group=_DATA),
            JSON,
        ),
        "Say how many of each candidate do the work of one reference, and how sure that is.",
        _COMPARE_EXAMPLES,
    ),
    Command(
        "cost",
        "what a token costs, when a GPU pays for itself",
        _cost,
        (
            Option("SCENARIO", "scenario file (TOML)", kind=PATH, values="?"),
            Option("--preset", "ready scenario: nosana-2024, owner, renter, self-host", "NAME"),
            SET,
            Option("--from-runs", "take k, throughput and power from two runs", "REF CAND", values=2),
            Option("--sweep", "vary one input, such as candidate.rent_usd_per_h=0.1:2:0.05", "KEY=LOW:HIGH:STEP"),
            Option("--ranges", "ready ranges of inputs: default or correlated", "NAME"),
            Option("--explain", "show every formula with its numbers", kind=SWITCH),
            FLOOR,
            SLO,
            SEED,
            JSON,
        ),
        "Work out cost per token, break-even, ROI and parity rents of a scenario.",
        _COST_EXAMPLES,
    ),
)
