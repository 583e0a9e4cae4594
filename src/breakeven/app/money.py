"""The commands about money: cost, prices, gpus."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from breakeven.app.compare import Level, compared, put_out
from breakeven.app.runs import read_run, read_text, write_file
from breakeven.clock import wall_now
from breakeven.compare.types import Comparison, Equivalence, OperatingPoint
from breakeven.compare.words import reasons_text
from breakeven.cost.evaluate import run_scenario
from breakeven.cost.measured import MeasuredInputs, MeasuredSide
from breakeven.cost.presets import preset_text
from breakeven.cost.ranges import RentQuotes
from breakeven.cost.text import render as render_cost
from breakeven.errors import RunFailedError, UsageError
from breakeven.findings.money import k_per_card, per_card
from breakeven.findings.names import card, gpu_count
from breakeven.hardware import table_text
from breakeven.metrics.summary import RunSummary
from breakeven.prices import known_quotes, quotes_csv, quotes_for, read_quotes
from breakeven.prices.quote import Fetched, Quote, range_usd_per_h
from breakeven.prices.table import table_text as price_text

POWER: Final = {
    "gpu_board_power_mean_w": "NVML over the steady window, GPU board",
    "gpu_board_power_w": "as the data set has it, GPU board",
    "declared_w": "declared",
    "cpu_package_power_mean_w": "RAPL over the steady window, CPU package",
}
"""What a level may know of power, best first, and where it is from."""


class CostRequest(Struct, frozen=True, kw_only=True):
    """What `breakeven cost` was asked."""

    scenario: Path | None = None
    preset: str | None = None
    overrides: tuple[str, ...] = ()
    from_runs: tuple[Path, Path] | None = None
    sweep: str | None = None
    ranges: str | None = None
    explain: bool = False
    seed: int = 0


def cost(request: CostRequest, level: Level, *, json_to: str | None) -> int:
    """Work a scenario out and print it."""
    text, where = _scenario(request)
    measured = None if request.from_runs is None else measured_inputs(*request.from_runs, level)
    report = run_scenario(
        text,
        where=where,
        overrides=request.overrides,
        sweep_over=request.sweep,
        ranges=request.ranges,
        quotes={} if request.ranges is None else rent_quotes(),
        seed=request.seed,
        measured=measured,
    )
    as_json = msgspec.json.format(msgspec.json.encode(report.to_json()), indent=2).decode()
    put_out(render_cost(report, explain=request.explain), as_json=as_json, json_to=json_to)
    return 0


def _scenario(request: CostRequest) -> tuple[str, str]:
    """The scenario's text, and what to call it in errors."""
    if request.scenario is not None and request.preset is not None:
        raise UsageError("cost: give a scenario file or --preset, not both")
    if request.scenario is not None:
        return read_text(request.scenario), str(request.scenario)
    if request.preset is not None:
        return preset_text(request.preset), f"preset {request.preset}"
    if request.from_runs is not None:
        return _BARE, "--from-runs"
    raise UsageError(
        "cost: give a scenario file, --preset NAME (nosana-2024, owner, renter, self-host), or --from-runs"
    )


_BARE = """name = "from-runs"
title = "two measured runs at one service level"
[reference]
[candidate]
"""


def measured_inputs(reference_path: Path, candidate_path: Path, level: Level) -> MeasuredInputs:
    """k, throughput and power of two runs at one operating point: the first service level at which k is exact."""
    reference, candidate = read_run(reference_path), read_run(candidate_path)
    comparison = compared(reference, [candidate], level)[0]
    figure = _best(comparison)
    return MeasuredInputs(
        reference=_side(figure.reference_at, reference),
        candidate=_side(figure.candidate_at, candidate),
        k=k_per_card(figure, reference.run, candidate.run),
        k_at=figure.at,
        source=f"runs {reference.run.id} and {candidate.run.id}",
    )


def _best(comparison: Comparison) -> Equivalence:
    exact = [figure for figure in comparison.k_at_slo if figure.status == "exact"]
    if exact:
        return exact[len(exact) // 2]
    reasons = "; ".join(f"{figure.at}: {reasons_text(figure.reasons)}" for figure in comparison.k_at_slo)
    raise RunFailedError(
        f"the runs give no exact k ({reasons or 'no service level in common'}); choose one with --floor"
    )


def _side(point: OperatingPoint | None, run: RunSummary) -> MeasuredSide:
    if point is None:
        raise RunFailedError(f"{run.run.id} has no operating point at this service level")
    power = next(((key, said) for key, said in POWER.items() if key in point.extra), None)
    cards = gpu_count(run.run.host)
    return MeasuredSide(
        tok_per_s=per_card(point.output_tok_per_s, cards),
        power_w=None if power is None else point.extra[power[0]] / cards,
        power_from=None if power is None else power[1],
        gpu=card(run.run.host),
    )


def rent_quotes() -> dict[str, RentQuotes]:
    """The range of dated asks of every GPU that has any, for `--ranges`."""
    found: dict[str, RentQuotes] = {}
    quotes = [quote for quote in known_quotes() if quote.kind == "ask"]
    for gpu in dict.fromkeys(quote.gpu for quote in quotes):
        mine = [quote for quote in quotes if quote.gpu == gpu]
        span = range_usd_per_h(mine)
        if span is not None:
            dates = sorted(quote.as_of for quote in mine)
            found[gpu] = RentQuotes(*span, source=f"{len(mine)} dated asks, {dates[0]} to {dates[-1]}")
    return found


def gpus(name: str | None) -> int:
    """List the GPU table, or what a name may stand for."""
    sys.stdout.write(table_text(name))
    return 0


def prices(gpu: str | None, *, refresh: bool, file: Path | None, save: Path | None) -> int:
    """List dated quotes, with the user's own or fresh ones where asked for."""
    today = wall_now().date()
    quotes: Sequence[Quote] = known_quotes()
    if file is not None:
        quotes = [*quotes, *read_quotes(read_text(file), where=str(file))]
    if refresh:
        from breakeven.prices.live import read as read_live

        fresh: Fetched = read_live(today=today, gpu=gpu)
        for note in fresh.notes:
            print(note, file=sys.stderr)
        quotes = [*quotes, *fresh.quotes]
    if save is not None:
        write_file(save, quotes_csv(quotes_for(gpu, quotes) if gpu else quotes).encode())
    sys.stdout.write(price_text(quotes, today=today, gpu=gpu))
    return 0
