"""The economics of measured runs: a scenario with k, throughput and watts of an operating point put in."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
import numpy as np
from msgspec import Struct, field

from breakeven.compare.types import Equivalence, OperatingPoint
from breakeven.compare.words import reasons_text
from breakeven.cost.evaluate import report
from breakeven.cost.inputs import Input, Scenario, Spread, inputs
from breakeven.cost.limits import check, limits
from breakeven.cost.measured import MeasuredInputs, MeasuredSide, applied, as_input
from breakeven.cost.model import Worked, columns, replaced, work_out
from breakeven.cost.ranges import RentQuotes, ranged
from breakeven.cost.result import CostReport, one
from breakeven.cost.scenario import overridden, with_numbers
from breakeven.cost.uncertain import nominal, quantile
from breakeven.errors import UsageError
from breakeven.findings.level import INPUT_RATE
from breakeven.findings.names import card, gpu_count
from breakeven.findings.types import Money
from breakeven.metrics.summary import Estimate, RunFacts

POWER: Final = {
    "gpu_board_power_mean_w": "NVML, mean over the steady window, GPU board",
    "gpu_board_power_w": "as the data set has it, GPU board",
}
"""Names that a level's board power goes by, of all cards together, and where it comes from."""
RENT: Final = "candidate.rent_usd_per_h"
RENT_STEPS: Final = 120
CURVES: Final = ("profit_usd_per_h", "break_even_days")
_NO_QUOTES: Final[Mapping[str, RentQuotes]] = {}


class Measured(Struct, frozen=True, kw_only=True):
    """One run at the operating point."""

    index: int
    run: RunFacts
    point: OperatingPoint


class MoneyCase(Struct, frozen=True, kw_only=True):
    """One scenario with its numbers, worked out; `drawn` has the ready ranges too."""

    scenario: Scenario
    drawn: Scenario
    report: CostReport
    candidate: int | None = None
    reference: int | None = None
    k: Estimate = field(default_factory=Estimate)
    """Cards for one card, as measured; without a value where it was not."""
    sweep: str = ""


def power_w(facts: Mapping[str, Any]) -> tuple[float, str] | None:
    """Board power of all cards among a level's further facts, and where it comes from."""
    for name, source in POWER.items():
        value = facts.get(name)
        if isinstance(value, int | float) and value > 0:
            return float(value), source
    return None


def money_case(
    scenario: Scenario,
    *,
    candidate: Measured | None = None,
    reference: Measured | None = None,
    k: Equivalence | None = None,
    overrides: Sequence[str] = (),
    ranges: str | None = None,
    quotes: Mapping[str, RentQuotes] = _NO_QUOTES,
    seed: int = 0,
) -> MoneyCase:
    """Put what was measured into a scenario, then `--set` changes, then ready ranges, and work it out.

    With two runs k carries the candidate's count, as MONEY's definitions have it, per card. With one run its
    throughput becomes the candidate's. UsageError where a number cannot be.
    """
    cards = Estimate()
    notes: tuple[str, ...] = ()
    if candidate is not None and reference is not None:
        cards = k_per_card(k, reference.run, candidate.run)
        scenario, notes = applied(scenario, _measured(reference, candidate, cards, k=k))
        notes += _bound_note(k)
    elif candidate is not None:
        scenario = with_numbers(scenario, _numbers_of(candidate))
    check(scenario, where="measured")
    scenario = overridden(scenario, overrides)
    drawn = scenario if ranges is None else ranged(scenario, ranges, quotes=quotes)
    sweep = _sweep_text(scenario)
    return MoneyCase(
        scenario=scenario,
        drawn=drawn,
        report=report(scenario, drawn=drawn, seed=seed, sweep_over=sweep or None, notes=notes),
        candidate=None if candidate is None else candidate.index,
        reference=None if reference is None else reference.index,
        k=cards,
        sweep=sweep,
    )


def k_per_card(k: Equivalence | None, reference: RunFacts, candidate: RunFacts) -> Estimate:
    """k counts machines; a card of each is a machine / its cards."""
    if k is None or k.value is None:
        return Estimate()
    share = gpu_count(candidate.host) / gpu_count(reference.host)
    low, high = (None if end is None else end * share for end in k.ci95)
    return Estimate(value=k.value * share, ci95=(low, high))


def _measured(reference: Measured, candidate: Measured, cards: Estimate, *, k: Equivalence | None) -> MeasuredInputs:
    return MeasuredInputs(
        reference=_side(reference),
        candidate=_side(candidate),
        k=cards,
        k_at=reference.point.at if k is None else k.at,
        source=f"measured: {reference.run.id}, {candidate.run.id}",
    )


def _side(measured: Measured) -> MeasuredSide:
    count, extra = gpu_count(measured.run.host), measured.point.extra
    watts = power_w(extra)
    return MeasuredSide(
        tok_per_s=per_card(measured.point.output_tok_per_s, count),
        input_tok_per_s=extra[INPUT_RATE] / count if INPUT_RATE in extra else None,
        power_w=None if watts is None else watts[0] / count,
        power_from=None if watts is None else watts[1],
        gpu=card(measured.run.host),
    )


def per_card(machine: Estimate, cards: int) -> Estimate:
    """A machine's rate as that of one of its cards."""
    low, high = (None if end is None else end / cards for end in machine.ci95)
    return Estimate(value=None if machine.value is None else machine.value / cards, ci95=(low, high))


def _numbers_of(candidate: Measured) -> dict[str, Input | str | None]:
    """A single run as the candidate of its scenario."""
    side, source = _side(candidate), f"measured: {candidate.run.id}"
    found: dict[str, Input | str | None] = {"candidate.gpu": side.gpu}
    if side.tok_per_s.value is not None:
        found |= {"candidate.tok_per_s": as_input(side.tok_per_s), "candidate.tok_per_s_from": source}
        found |= {"candidate.input_tok_per_s": side.input_tok_per_s}
    if side.power_w is not None:
        found |= {"candidate.power_load_w": side.power_w, "candidate.power_from": side.power_from}
    return found


def _bound_note(k: Equivalence | None) -> tuple[str, ...]:
    if k is None or k.status != "bound":
        return ()
    most = "most" if k.relation == "<=" else "least"
    return (f"k is a bound: the candidate needs at {most} this many cards ({reasons_text(k.reasons)})",)


def _sweep_text(scenario: Scenario) -> str:
    """A line of rents of a candidate card, from 0 to well past every rent that decides; empty where there is none."""
    worked = work_out(scenario, columns(scenario))
    paths = (
        "candidate.rent_usd_per_h",
        "reference.rent_usd_per_h",
        "parity_usd_per_h_card",
        "cost_parity_usd_per_h_card",
        "candidate.floor_rent_usd_per_h_card",
    )
    found = [_first(worked, path) for path in paths]
    known = [value for value in found if value is not None and value > 0]
    if not known:
        return ""
    step = float(f"{1.3 * max(known) / RENT_STEPS:.2g}")
    return f"{RENT}=0:{float(f'{RENT_STEPS * step:.6g}'):g}:{step:g}"


def _first(worked: Worked, path: str) -> float | None:
    column = worked.column(path)
    return None if column is None else one(float(column[0]))


def told(case: MoneyCase, *, label: str) -> Money:
    """The case as findings have it: numbers, ranges, curves, and nothing left to work out."""
    swept = case.report.sweep
    rents = tuple(swept.values) if swept is not None else ()
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
        pays=_pays(case.scenario),
        report=case.report,
        k_ci95=case.k.ci95,
        cost_ratio=_cost_ratio(case),
        rents=rents,
        curves=_curves(case.scenario, rents),
        crossings=swept.crossings if swept is not None else (),
        sweep=case.sweep,
    )


def _table(scenario: Scenario) -> dict[str, Any]:
    table: dict[str, Any] = msgspec.to_builtins(scenario)
    return {key: value for key, value in table.items() if value not in (None, [], {})}


def _ranges(drawn: Scenario) -> dict[str, tuple[float, float]]:
    return {
        place: (quantile(value, 0.1, limits=limits(place)), quantile(value, 0.9, limits=limits(place)))
        for place, value in inputs(drawn).items()
        if isinstance(value, Spread)
    }


def _pays(scenario: Scenario) -> dict[str, str]:
    sides = {"candidate": scenario.candidate, "reference": scenario.reference}
    return {
        name: side.pays or ("purchase" if side.purchase_usd is not None else "rent")
        for name, side in sides.items()
        if side is not None
    }


def _cost_ratio(case: MoneyCase) -> Estimate:
    """Cost per output token, candidate / reference; its interval is that of k, all prices taken as they stand."""
    if "usd_per_mtok_ratio" not in case.report.comparison:
        return Estimate()
    times = case.report.comparison["usd_per_mtok_ratio"].value
    if not times:
        return Estimate()
    low, high = case.k.ci95
    if low is None or high is None or case.scenario.candidate.tok_per_s is not None:
        return Estimate(value=1 / times)
    cards = 1.0 if case.scenario.reference is None else nominal(case.scenario.reference.count)
    changed = replaced(columns(case.scenario), {"candidate.count": np.array([low, high]) * cards})
    column = work_out(case.scenario, changed).column("usd_per_mtok_ratio")
    assert column is not None
    ends = sorted(1 / float(value) for value in column)
    return Estimate(value=1 / times, ci95=(ends[0], ends[1]))


def _curves(scenario: Scenario, rents: Sequence[float]) -> dict[str, tuple[float | None, ...]]:
    """Profit an hour of a card and days to break-even, each side along its own rent."""
    found: dict[str, tuple[float | None, ...]] = {}
    if not rents:
        return found
    line = np.asarray(rents, dtype=np.float64)
    for side in ("candidate", "reference"):
        if getattr(scenario, side) is None:
            continue
        worked = work_out(scenario, replaced(columns(scenario), {f"{side}.rent_usd_per_h": line}))
        for name in CURVES:
            column = worked.column(f"{side}.{name}")
            if column is not None:
                count = worked.column(f"{side}.count") if name == "profit_usd_per_h" else None
                each = np.broadcast_to(column if count is None else column / count, line.shape)
                found[f"{side}.{name}"] = tuple(one(float(value)) for value in each)
    return found


def scenario_needs_runs(scenario: Scenario, runs: int) -> None:
    """UsageError where a scenario cannot be told from the runs that are given."""
    if runs > 1 and scenario.reference is None:
        raise UsageError(
            f"scenario {scenario.name}: several runs are compared, so it needs a [reference] with the first one's "
            "prices; `breakeven cost --preset renter` shows one"
        )
