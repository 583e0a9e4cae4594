"""The one door from runs to money: a scenario joined to runs by card, with what they measured put in, worked out."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec
import numpy as np
from msgspec import Struct, field

from breakeven.compare.types import Comparison, Equivalence
from breakeven.compare.words import reasons_text
from breakeven.cost.evaluate import report
from breakeven.cost.inputs import Scenario, Spread, inputs
from breakeven.cost.limits import check, limits
from breakeven.cost.model import Worked, columns, replaced, work_out
from breakeven.cost.ranges import ranged
from breakeven.cost.result import CostReport, Crossing, Note, one
from breakeven.cost.scenario import overridden
from breakeven.cost.sensitivity import crossings_along, read_sweep
from breakeven.cost.uncertain import nominal, quantile
from breakeven.findings.measured import Measured, k_per_card, told_apart, with_k, with_run
from breakeven.findings.pricing import from_quotes, joined, ranges_for, with_own_rents
from breakeven.findings.types import Money
from breakeven.metrics.summary import Estimate
from breakeven.prices import Quote

RENT: Final = "candidate.rent_usd_per_h"
RENT_STEPS: Final = 120
CURVES: Final = ("profit_usd_per_h", "break_even_days")


class Prices(Struct, frozen=True, kw_only=True):
    """What is asked of the money: scenarios (none: newest quotes), changes, ready ranges, a sweep."""

    scenarios: tuple[Scenario, ...] = ()
    """One for every candidate in turn, the last for those that follow."""
    overrides: tuple[str, ...] = ()
    ranges: str | None = None
    quotes: tuple[Quote, ...] = ()
    sweep: str | None = None
    seed: int = 0


NO_PRICES: Final = Prices()


class MoneyCase(Struct, frozen=True, kw_only=True):
    """One scenario with its numbers, worked out; `drawn` has the ready ranges too."""

    scenario: Scenario
    drawn: Scenario
    report: CostReport
    candidate: int | None = None
    reference: int | None = None
    k: Estimate = field(default_factory=Estimate)
    """Cards for one card, as measured; without a value where it was not."""


def money_cases(
    measured: Sequence[Measured | None],
    comparisons: Sequence[Comparison],
    figures: Sequence[Equivalence | None],
    prices: Prices,
) -> list[MoneyCase]:
    """The economics of each candidate, or of the only run; none where no run can be priced.

    `measured` are the runs at the service level, the first one the reference; `figures` the k of each comparison there.
    UsageError where a scenario prices other cards than the runs', or a number cannot be.
    """
    if len(measured) > 1 and not comparisons:
        return []
    known = [one.run for one in measured if one is not None]
    scenarios = prices.scenarios or (from_quotes(known, prices.quotes) if len(known) == len(measured) else ())
    if not scenarios:
        return []
    if len(measured) == 1:
        return [money_case(scenarios[0], candidate=measured[0], prices=prices)]
    return [
        money_case(
            scenarios[min(index, len(scenarios) - 1)],
            reference=measured[0],
            candidate=measured[index + 1],
            k=figure,
            warnings=len(comparison.warnings),
            prices=prices,
        )
        for index, (comparison, figure) in enumerate(zip(comparisons, figures, strict=True))
    ]


def money_case(
    scenario: Scenario,
    *,
    candidate: Measured | None = None,
    reference: Measured | None = None,
    k: Equivalence | None = None,
    warnings: int = 0,
    prices: Prices = NO_PRICES,
) -> MoneyCase:
    """Join a scenario to its runs by card, put in what was measured, then `--set` changes, then ready ranges.

    With two runs k carries the candidate's count, as MONEY's definitions have it, per card, where the scenario asks
    for the same work. With one run its throughput becomes that of the side whose card it is.
    """
    runs = {one.run.id: one for one in (reference, candidate) if one is not None}
    cards = tuple(text for text in prices.overrides if text.partition("=")[0].strip().endswith(".gpu"))
    scenario = overridden(scenario, cards)
    scenario, notes = with_own_rents(
        scenario,
        reference=None if reference is None else reference.run,
        candidate=None if candidate is None else candidate.run,
        quotes=prices.quotes,
    )
    scenario, of_a, of_b = joined(
        scenario,
        reference=None if reference is None else reference.run,
        candidate=None if candidate is None else candidate.run,
    )
    a, b = (None if run is None else runs[run.id] for run in (of_a, of_b))
    for side, one_ in (("reference", a), ("candidate", b)):
        if one_ is not None:
            scenario, more = with_run(scenario, side, one_)
            notes += more
    scenario = told_apart(scenario, a, b)
    per_card = Estimate()
    if a is not None and b is not None and scenario.question != "own budgets":
        per_card = k_per_card(k, a.run, b.run)
        at = a.point.at if k is None else k.at
        scenario, more = with_k(scenario, per_card, at=at, reference=a, candidate=b)
        notes += (*more, *_bound_note(k))
    check(scenario, where=f"scenario {scenario.name}, with what was measured")
    scenario = overridden(scenario, prices.overrides)
    drawn = scenario
    if prices.ranges is not None:
        drawn = ranged(scenario, prices.ranges, quotes=ranges_for(scenario, prices.quotes))
    return MoneyCase(
        scenario=scenario,
        drawn=drawn,
        report=report(scenario, drawn=drawn, seed=prices.seed, sweep_over=prices.sweep, notes=notes, warnings=warnings),
        candidate=None if b is None else b.index,
        reference=None if a is None else a.index,
        k=per_card,
    )


def _bound_note(k: Equivalence | None) -> tuple[Note, ...]:
    if k is None or k.status != "bound":
        return ()
    return (
        Note(
            kind="k_bound", facts={"end": "most" if k.relation == "<=" else "least", "reason": reasons_text(k.reasons)}
        ),
    )


def told(case: MoneyCase, *, label: str) -> Money:
    """The case as findings have it: numbers, ranges, curves, and nothing left to work out."""
    line = rent_line(case.scenario)
    rents = () if line is None else tuple(float(value) for value in read_sweep(line)[1])
    return Money(
        candidate=case.candidate,
        reference=case.reference,
        label=label,
        scenario=_table(case.scenario),
        inputs={place: nominal(value) for place, value in inputs(case.scenario).items()},
        ranges=_ranges(case.drawn),
        middles={
            place: nominal(value) for place, value in inputs(case.drawn).items() if place not in inputs(case.scenario)
        },
        pays={name: side.charged for name, side in _sides(case.scenario).items()},
        report=case.report,
        k_ci95=case.k.ci95,
        cost_ratio=_cost_ratio(case),
        rents=rents,
        curves=_curves(case.scenario, rents),
        crossings=_crossings(case.scenario, line),
        sweep=line or "",
    )


def rent_line(scenario: Scenario) -> str | None:
    """A line of rents of a candidate card, from 0 to well past every rent that decides; None where there is none."""
    worked = work_out(scenario, columns(scenario))
    paths = (
        "candidate.rent_usd_per_h",
        "reference.rent_usd_per_h",
        "parity_usd_per_h_card",
        "cost_parity_usd_per_h_card",
        "candidate.floor_rent_usd_per_h_card",
    )
    known = [value for path in paths if (value := worked.first(path)) is not None and value > 0]
    if not known:
        return None
    step = float(f"{1.3 * max(known) / RENT_STEPS:.2g}")
    return f"{RENT}=0:{float(f'{RENT_STEPS * step:.6g}'):g}:{step:g}"


def _crossings(scenario: Scenario, line: str | None) -> tuple[Crossing, ...]:
    return () if line is None else crossings_along(scenario, columns(scenario), *read_sweep(line))


def _sides(scenario: Scenario) -> dict[str, Any]:
    sides = {"candidate": scenario.candidate, "reference": scenario.reference}
    return {name: side for name, side in sides.items() if side is not None}


def _table(scenario: Scenario) -> dict[str, Any]:
    table: dict[str, Any] = msgspec.to_builtins(scenario)
    return {key: value for key, value in table.items() if value not in (None, [], {})}


def _ranges(drawn: Scenario) -> dict[str, tuple[float, float]]:
    return {
        place: (quantile(value, 0.1, limits=limits(place)), quantile(value, 0.9, limits=limits(place)))
        for place, value in inputs(drawn).items()
        if isinstance(value, Spread)
    }


def _cost_ratio(case: MoneyCase) -> Estimate:
    """Cost per output token, candidate / reference; its interval is that of k, open where it is, prices as they are."""
    if "usd_per_mtok_ratio" not in case.report.comparison:
        return Estimate()
    times = case.report.comparison["usd_per_mtok_ratio"].value
    if not times:
        return Estimate()
    known = [end for end in case.k.ci95 if end is not None]
    if not known or case.scenario.candidate.tok_per_s is not None:
        return Estimate(value=1 / times)
    cards = 1.0 if case.scenario.reference is None else nominal(case.scenario.reference.count)
    changed = replaced(columns(case.scenario), {"candidate.count": np.array(known) * cards})
    column = work_out(case.scenario, changed, wanted={"usd_per_mtok_ratio"}).column("usd_per_mtok_ratio")
    assert column is not None
    ends = sorted(1 / float(value) for value in column)
    low, high = case.k.ci95
    return Estimate(value=1 / times, ci95=(None if low is None else ends[0], None if high is None else ends[-1]))


def _curves(scenario: Scenario, rents: Sequence[float]) -> dict[str, tuple[float | None, ...]]:
    """Profit an hour of a card and days to break-even, each side along its own rent."""
    found: dict[str, tuple[float | None, ...]] = {}
    if not rents:
        return found
    line = np.asarray(rents, dtype=np.float64)
    for side in _sides(scenario):
        worked = work_out(scenario, replaced(columns(scenario), {f"{side}.rent_usd_per_h": line}), wanted=CURVES)
        found |= {f"{side}.{name}": curve for name in CURVES if (curve := _curve(worked, side, name, line.size))}
    return found


def _curve(worked: Worked, side: str, name: str, size: int) -> tuple[float | None, ...]:
    column = worked.column(f"{side}.{name}")
    if column is None:
        return ()
    count = worked.column(f"{side}.count") if name == "profit_usd_per_h" else None
    each = np.broadcast_to(column if count is None else column / count, (size,))
    return tuple(one(float(value)) for value in each)
