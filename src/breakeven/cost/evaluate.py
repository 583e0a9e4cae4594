"""From scenario text to the report: the one way in for the command line."""

from collections.abc import Mapping, Sequence

import numpy as np

from breakeven.cost.amount import Array
from breakeven.cost.cashflow import discounted_payback_h, flows_usd, irr_per_year
from breakeven.cost.figures import SINGLE
from breakeven.cost.inputs import Scenario, Variant
from breakeven.cost.limits import check
from breakeven.cost.measured import MeasuredInputs, applied
from breakeven.cost.model import NEUTRAL, Sheet, columns, replaced, work_out
from breakeven.cost.montecarlo import uncertainty
from breakeven.cost.ranges import RentQuotes, ranged, ranges_of
from breakeven.cost.result import CostReport, Figure, Side, VariantResult, figures_of, one, plain, put_in
from breakeven.cost.row import Row
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
    measured: MeasuredInputs | None = None,
) -> CostReport:
    """Read a scenario and work it out.

    The order is: the text (`where` names it in errors), what runs measured, `--set` overrides, `--ranges` by name
    with the caller's rent quotes by GPU. Point figures use the scenario's own numbers, in the middle of its own
    ranges; ready ranges enter the draws and the tornado only. Raises UsageError, one line with the place.
    """
    scenario = read_scenario(text, where=where)
    notes: tuple[str, ...] = ()
    if measured is not None:
        scenario, notes = applied(scenario, measured)
        check(scenario, where=measured.source)
    scenario = overridden(scenario, overrides)
    drawn = scenario if ranges is None else ranged(scenario, ranges, quotes=quotes)
    return report(scenario, drawn=drawn, seed=seed, sweep_over=sweep_over, notes=notes)


def report(
    scenario: Scenario, *, drawn: Scenario, seed: int, sweep_over: str | None, notes: Sequence[str]
) -> CostReport:
    """Work out a scenario; `drawn` is the same one with more ranges, for draws and tornado."""
    own = columns(scenario)
    worked = work_out(scenario, own)
    uncertain = bool(ranges_of(drawn))
    swept = None if sweep_over is None else read_sweep(sweep_over)
    return CostReport(
        name=scenario.name,
        title=scenario.title,
        source=scenario.source,
        counted=scenario.tokens.counted,
        candidate=_side(scenario, "candidate", worked.candidate),
        reference=None if worked.reference is None else _side(scenario, "reference", worked.reference),
        comparison={} if worked.comparison is None else figures_of(worked.comparison),
        variants=tuple(_variant(scenario, own, variant) for variant in scenario.variants),
        uncertainty=uncertainty(drawn, seed=seed) if uncertain else None,
        tornado=tornado(drawn, columns(drawn) | own) if uncertain else None,
        sweep=None if swept is None else sweep(scenario, own, place=swept[0], values=swept[1]),
        sources=_shared_sources(scenario),
        taken=_taken(worked.reference, worked.candidate),
        notes=(*notes, *scenario.notes),
    )


def _shared_sources(scenario: Scenario) -> tuple[str, ...]:
    """Where the numbers that belong to no side come from."""
    texts = {
        "energy price": scenario.market.energy_from,
        "API price": None if scenario.api is None else scenario.api.price_from,
        "input against output": scenario.tokens.ratio_from,
    }
    return tuple(f"{what}: {text}" for what, text in texts.items() if text is not None)


def _side(scenario: Scenario, side: str, sheet: Sheet) -> Side:
    part = getattr(scenario, side)
    texts = {
        "purchase": part.purchase_from,
        "rent": part.rent_from or (scenario.market.rent_from if part.rent_usd_per_h is None else None),
        "power": part.power_from,
        "throughput": part.tok_per_s_from,
    }
    return Side(
        gpu=part.gpu,
        count=float(sheet.values["count"][0]),
        pays=part.pays or ("purchase" if part.purchase_usd is not None else "rent"),
        figures=figures_of(sheet) | _searched(sheet),
        inputs={name: float(value[0]) for name, value in sheet.values.items() if name not in sheet.rows},
        sources=tuple(f"{what}: {text}" for what, text in texts.items() if text is not None),
    )


_FLOW_NEEDS = (
    "revenue_usd_per_h",
    "running_usd_per_h",
    "price_decline_per_year",
    "months",
    "investment_usd",
    "residual_share",
)


def _searched(sheet: Sheet) -> dict[str, Figure]:
    """Discounted payback and IRR, from the months of the cash flow."""
    lacking = [place for name in ("npv_usd",) for place in sheet.missing.get(name, ())]
    if lacking:
        return {
            name: _single(name, row, sheet, None, f"not given: {', '.join(lacking)}", lacking)
            for name, row in SINGLE.items()
        }
    numbers = {name: float(sheet.values[name][0]) for name in (*_FLOW_NEEDS, "discount_per_year")}
    discount = numbers.pop("discount_per_year")
    flows = flows_usd(**numbers)
    resale = numbers["residual_share"] * numbers["investment_usd"]
    payback = discounted_payback_h(flows, discount_per_year=discount, resale_usd=resale)
    irr, why = irr_per_year(flows)
    never = None if payback is not None else SINGLE["discounted_payback_h"].undefined
    return {
        "discounted_payback_h": _single("discounted_payback_h", SINGLE["discounted_payback_h"], sheet, payback, never),
        "irr_per_year": _single("irr_per_year", SINGLE["irr_per_year"], sheet, irr, why),
    }


def _single(
    name: str, row: Row, sheet: Sheet, value: float | None, reason: str | None, missing: Sequence[str] = ()
) -> Figure:
    known = {name: float(column[0]) for name, column in sheet.values.items()}
    return Figure(
        name=name,
        label=row.label,
        value=value,
        unit=row.unit,
        formula=row.formula,
        numbers=None if missing else put_in(row.formula, known),
        reason=reason,
        missing=tuple(missing),
        group=row.group,
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


def _taken(reference: Sheet | None, candidate: Sheet) -> tuple[str, ...]:
    """What was not given, and what stands in for it: neutral values and inputs derived from others."""
    sheets = [sheet for sheet in (reference, candidate) if sheet is not None]
    neutral = dict.fromkeys(name for sheet in sheets for name in sheet.neutral)
    found = [f"{name}={plain(NEUTRAL[name])}" for name in neutral]
    derived: dict[str, str] = {}
    for sheet in sheets:
        derived |= sheet.derived
    return (*found, *(f"{name}: {text}" for name, text in derived.items()))
