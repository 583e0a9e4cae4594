"""From a scenario to the report: the one place where figures, draws, tornado and answer come together."""

from collections.abc import Mapping, Sequence

import numpy as np

from breakeven.cost import answer
from breakeven.cost.inputs import Scenario, Variant
from breakeven.cost.model import Sheet, columns, replaced, work_out
from breakeven.cost.primitives import Array
from breakeven.cost.ranges import RentQuotes, ranged, ranges_of
from breakeven.cost.result import (
    CostReport,
    Note,
    Side,
    Source,
    Taken,
    Uncertainty,
    VariantResult,
    figures_of,
    one,
)
from breakeven.cost.scenario import overridden, read_scenario
from breakeven.cost.sensitivity import read_sweep, sweep, tornado

HEADLINE = (
    "k",
    "candidate.break_even_h",
    "parity_usd_per_h_set",
    "parity_usd_per_h_card",
    "ratio",
    "candidate.usd_per_mtok_output",
    "usd_per_mtok_ratio",
    "cost_parity_usd_per_h_card",
    "candidate.api_flip_load_factor",
)
"""Figures that a variant is told by."""

_NO_QUOTES: Mapping[str, RentQuotes] = {}


def run_scenario(
    text: str,
    *,
    where: str,
    overrides: Sequence[str] = (),
    sweep_over: str | None = None,
    ranges: str | None = None,
    quotes: Mapping[str, RentQuotes] = _NO_QUOTES,
    seed: int = 0,
) -> CostReport:
    """Read a scenario and work it out.

    The order is: the text (`where` names it in errors), `--set` overrides, `--ranges` by name with the caller's range
    of rent quotes by side. Point figures use the scenario's own numbers, in the middle of its own ranges; ready ranges
    enter the draws and the tornado only. Raises UsageError, one line with the place.
    """
    scenario = overridden(read_scenario(text, where=where), overrides)
    drawn = scenario if ranges is None else ranged(scenario, ranges, quotes=quotes)
    return report(scenario, drawn=drawn, seed=seed, sweep_over=sweep_over)


def report(
    scenario: Scenario,
    *,
    drawn: Scenario,
    seed: int = 0,
    sweep_over: str | None = None,
    notes: Sequence[Note] = (),
    warnings: int = 0,
) -> CostReport:
    """Work out a scenario; `drawn` is the same one with more ranges, for draws and tornado."""
    own = columns(scenario)
    worked = work_out(scenario, own)
    swept = None if sweep_over is None else read_sweep(sweep_over)
    uncertain = bool(ranges_of(drawn))
    found = CostReport(
        name=scenario.name,
        title=scenario.title,
        source=scenario.source,
        counted=scenario.tokens.counted,
        answer=answer.OPEN,
        candidate=_side(scenario, "candidate", worked.candidate),
        reference=None if worked.reference is None else _side(scenario, "reference", worked.reference),
        comparison={} if worked.comparison is None else figures_of(worked.comparison),
        variants=tuple(_variant(scenario, own, variant) for variant in scenario.variants),
        uncertainty=_uncertainty(drawn, seed=seed) if uncertain else None,
        tornado=tornado(drawn, columns(drawn) | own) if uncertain else None,
        sweep=None if swept is None else sweep(scenario, own, place=swept[0], values=swept[1]),
        sources=_shared_sources(scenario),
        taken=_taken(worked.reference, worked.candidate),
        notes=(
            *notes,
            *answer.own_notes(scenario, worked),
            *(Note(kind="said", facts={"text": text}) for text in scenario.notes),
        ),
    )
    return answer.answered(found, scenario, own, warnings=warnings)


def _uncertainty(drawn: Scenario, *, seed: int) -> Uncertainty:
    """The draws; the module is read when it is first needed, as most of its time is NumPy's random numbers."""
    from breakeven.cost.montecarlo import uncertainty

    return uncertainty(drawn, seed=seed)


def _shared_sources(scenario: Scenario) -> tuple[Source, ...]:
    """Where the numbers that belong to no side come from."""
    texts = (
        ("energy price", scenario.market.energy_from),
        ("API price", None if scenario.api is None else scenario.api.price_from),
        ("input against output", scenario.tokens.ratio_from),
    )
    return tuple(Source(what=what, text=text) for what, text in texts if text is not None)  # type: ignore[arg-type]


def _side(scenario: Scenario, side: str, sheet: Sheet) -> Side:
    part = getattr(scenario, side)
    texts = (
        ("purchase", part.purchase_from),
        ("rent", part.rent_from or (scenario.market.rent_from if part.rent_usd_per_h is None else None)),
        ("power", part.power_from),
        ("throughput", part.tok_per_s_from),
    )
    return Side(
        gpu=part.gpu,
        name=part.name,
        count=float(sheet.values["count"][0]),
        pays=part.charged,
        rented_out=part.is_rented_out,
        figures=figures_of(sheet),
        inputs={name: float(value[0]) for name, value in sheet.values.items() if name not in sheet.rows},
        rent_kind=part.rent_kind,
        sources=tuple(Source(what=what, text=text) for what, text in texts if text is not None),  # type: ignore[arg-type]
    )


def _variant(scenario: Scenario, own: Mapping[str, Array], variant: Variant) -> VariantResult:
    """The headline figures with other numbers; an interval is worked out at both its ends."""
    ends = {place: np.atleast_1d(np.asarray(value, dtype=np.float64)) for place, value in variant.set.items()}
    worked = work_out(scenario, replaced(own, ends))
    length = max(end.size for end in ends.values())
    found = {path: worked.column(path) for path in HEADLINE}
    return VariantResult(
        label=variant.label,
        group=variant.group,
        source=variant.source,
        figures={
            path: [one(float(value)) for value in np.broadcast_to(column, (length,))]
            for path, column in found.items()
            if column is not None
        },
    )


def _taken(reference: Sheet | None, candidate: Sheet) -> tuple[Taken, ...]:
    """What was not given, and what stands in for it: neutral values first, then what follows from others."""
    sheets = [sheet for sheet in (reference, candidate) if sheet is not None]
    found = {
        one_.name: Taken(
            name=one_.name, value=float(sheet.values[one_.name][0]), is_neutral=one_.is_neutral, why=one_.why
        )
        for sheet in sheets
        for one_ in sheet.taken
    }
    return tuple(sorted(found.values(), key=lambda taken: not taken.is_neutral))
