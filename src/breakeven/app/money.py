"""`breakeven cost`: what a scenario, perhaps with two measured runs in it, comes to."""

from pathlib import Path
from typing import Final

from msgspec import Struct

from breakeven.app.level import ANY_LEVEL, Level
from breakeven.app.printed import put_out
from breakeven.cost.evaluate import run_scenario
from breakeven.cost.jsonform import to_json
from breakeven.cost.presets import preset_text
from breakeven.cost.ranges import RentQuotes
from breakeven.cost.result import CostReport
from breakeven.cost.scenario import read_scenario
from breakeven.cost.text import render
from breakeven.errors import RunFailedError, UsageError

BARE: Final = """name = "from-runs"
title = "two runs at one service level"
question = "same work"
[reference]
[candidate]
"""


class CostRequest(Struct, frozen=True, kw_only=True):
    """What `breakeven cost` was asked."""

    scenario: Path | None = None
    preset: str | None = None
    overrides: tuple[str, ...] = ()
    from_runs: tuple[str, str] | None = None
    sweep: str | None = None
    ranges: str | None = None
    explain: bool = False
    seed: int = 0


def cost(request: CostRequest, level: Level = ANY_LEVEL, *, json_to: str | None) -> int:
    """Work a scenario out and print it."""
    report, warnings = _of_runs(request, level) if request.from_runs is not None else (_of_scenario(request), ())
    put_out(render(report, explain=request.explain, warnings=warnings), told=to_json(report), json_to=json_to)
    return 0


def _of_scenario(request: CostRequest) -> CostReport:
    text, where = _scenario(request)
    return run_scenario(
        text,
        where=where,
        overrides=request.overrides,
        sweep_over=request.sweep,
        ranges=request.ranges,
        quotes={} if request.ranges is None else _ranges(text, request, where=where),
        seed=request.seed,
    )


def _ranges(text: str, request: CostRequest, *, where: str) -> dict[str, RentQuotes]:
    from breakeven.app.prices import quotes
    from breakeven.cost.scenario import overridden
    from breakeven.findings.pricing import ranges_for

    return ranges_for(overridden(read_scenario(text, where=where), request.overrides), quotes())


def _of_runs(request: CostRequest, level: Level) -> tuple[CostReport, tuple[str, ...]]:
    """Through the findings, as `report` goes: the first service level at which k is exact, or says most.

    Where nothing is said of prices each card takes its newest quote, also as `report` does.
    """
    from breakeven.app.prices import quotes
    from breakeven.app.report import findings_of, load_run
    from breakeven.compare.words import warned_text
    from breakeven.findings import Prices
    from breakeven.findings.pricing import from_quotes

    assert request.from_runs is not None
    text, where = _scenario(request)
    known = quotes()
    loaded = [load_run(path) for path in request.from_runs]
    given = request.scenario or request.preset or request.overrides
    at_quotes = () if given else from_quotes([one.run.run for one in loaded], known)
    prices = Prices(
        scenarios=at_quotes or (read_scenario(text, where=where),),
        overrides=request.overrides,
        ranges=request.ranges,
        quotes=known,
        sweep=request.sweep,
        seed=request.seed,
    )
    found = findings_of(loaded, level=level, prices=prices)
    if not found.money:
        raise RunFailedError("; ".join(found.notes) or "the runs have no levels that can be compared")
    return found.money[0].report, tuple(warned_text(warned) for warned in found.comparisons[0].warnings)


def _scenario(request: CostRequest) -> tuple[str, str]:
    """The scenario's text, and what to call it in errors."""
    if request.scenario is not None and request.preset is not None:
        raise UsageError("cost: give a scenario file or --preset, not both")
    if request.scenario is not None:
        from breakeven.app.runs import read_text

        return read_text(request.scenario), str(request.scenario)
    if request.preset is not None:
        return preset_text(request.preset), f"preset {request.preset}"
    if request.from_runs is not None:
        return BARE, "--from-runs"
    raise UsageError(
        "cost: give a scenario file, --preset NAME (nosana-2024, owner, renter, self-host), or --from-runs"
    )
