"""The cheapest mix for a load, what else was possible, and how sure that is."""

import math
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

import msgspec
import numpy as np

from breakeven.cost.inputs import Input, Spread
from breakeven.cost.model import figure
from breakeven.cost.uncertain import draw
from breakeven.errors import LimitMissedError, UsageError, unknown
from breakeven.hardware import same_card
from breakeven.metrics.summary import Estimate
from breakeven.mix.day import day_of, fleet_of
from breakeven.mix.solve import Array, Problem, Solved, cheapest, check_solver, most_carried
from breakeven.mix.types import MOST_RIVALS, Alone, Doubt, Fleet, Left, Load, MixReport, Offer, Rival, Wanted
from breakeven.say import share as share_text
from breakeven.units import S_PER_H

AWAY_DRAWS: Final = 10_000
_ENOUGH: Final = 1 - 1e-6


def mix_report(
    offers: Sequence[Offer], load: Load, *, at: str, wanted: Wanted, left_out: Sequence[Left] = ()
) -> MixReport:
    """Work everything out. LimitMissedError where what is available cannot carry the load; UsageError without scipy."""
    check_solver()
    peak = problem_of(offers, load, wanted)
    found = cheapest(peak)
    if found is None:
        raise LimitMissedError(_too_little(offers, load, peak))
    fleet = fleet_of(peak, found.nodes)
    lower = [[_lower(one) for one in offer.capacity] for offer in offers]
    return MixReport(
        at=at,
        load=load,
        wanted=wanted,
        offers=tuple(offers),
        fleet=fleet,
        used=_used(peak, fleet.nodes),
        served=_served(offers, peak, fleet, seed=wanted.seed),
        alone=tuple(_alone(peak, i) for i in range(len(offers))),
        careful=_careful(peak, offers, lower),
        doubt=_doubt(offers, load, wanted, fleet),
        within=found.within,
        day=day_of(peak, load.hours, cold_start_h=wanted.cold_start_s / S_PER_H) if load.hours else None,
        left_out=tuple(left_out),
        usd_per_mtok_output=_usd_per_mtok(load, fleet),
    )


def problem_of(offers: Sequence[Offer], load: Load, wanted: Wanted) -> Problem:
    """The peak of the load, with capacities as measured."""
    here = np.array([1 - offer.away_share for offer in offers])
    capacity = np.array([[one.value or 0.0 for one in offer.capacity] for offer in offers])
    return Problem(
        usd_per_h=np.array([offer.usd_per_h for offer in offers]) * here,
        capacity=capacity * here[:, None],
        demand=np.array([one.amount for one in load.classes]),
        least=np.array([float(offer.least_nodes) for offer in offers]),
        most=tuple(_stocks(offers, wanted)),
        spare=wanted.spare > 0,
    )


def _stocks(offers: Sequence[Offer], wanted: Wanted) -> list[tuple[Array, float]]:
    stocks, known = [], dict.fromkeys(offer.card for offer in offers)
    for name, count in wanted.available.items():
        cards = np.array([float(offer.cards) if same_card(name, offer.card) else 0.0 for offer in offers])
        if not cards.any():
            raise UsageError(f"--available: {unknown('card among the runs', name, known)}")
        stocks.append((cards, float(count)))
    return stocks


def _too_little(offers: Sequence[Offer], load: Load, peak: Problem) -> str:
    """How much of the load fits in what is available."""
    impossible = [one.name for one, column in zip(load.classes, peak.capacity.T, strict=True) if not column.any()]
    if impossible:
        return f"no run serves class {impossible[0]} at this service level and at its lengths"
    part = most_carried(peak)
    spare = " with one node to spare" if peak.spare else ""
    cards = ", ".join(dict.fromkeys(offer.card for offer in offers))
    return (
        f"the cards available carry {share_text(part)} of the load{spare}: raise --available, add runs of other cards "
        f"(these are {cards}), or ask for less"
    )


def _used(peak: Problem, nodes: Sequence[int]) -> float:
    """1 / how many times the load the fleet could carry, all classes growing alike."""
    most = float((np.array(nodes) @ peak.capacity / peak.demand).min())
    return 1 / (most * most_carried(peak._replace(demand=peak.demand * most, spare=False), nodes))


def _alone(peak: Problem, offer: int) -> Alone:
    found = cheapest(_of_kinds(peak, [offer]))
    return Alone(offer=offer, fleet=None if found is None else fleet_of(peak, found.nodes))


def _lower(capacity: Estimate) -> float | None:
    """The lower end of an interval; None where it is open. What has no capacity has none of less."""
    return 0.0 if capacity.value is None else capacity.ci95[0]


def _careful(peak: Problem, offers: Sequence[Offer], lower: Sequence[Sequence[float | None]]) -> Fleet | None:
    if any(end is None for ends in lower for end in ends):
        return None
    here = np.array([1 - offer.away_share for offer in offers])
    found = cheapest(peak._replace(capacity=np.array(lower, dtype=np.float64) * here[:, None]))
    return None if found is None else fleet_of(peak, found.nodes)


def _served(offers: Sequence[Offer], peak: Problem, fleet: Fleet, *, seed: int) -> float | None:
    """Part of the time that enough nodes are there, each away for its share of it, whatever the others do."""
    away = np.array([offer.away_share for offer in offers])
    if not (away * np.array(fleet.nodes)).any():
        return None
    rng = np.random.default_rng(seed)
    present = rng.binomial(np.array(fleet.nodes), 1 - away, size=(AWAY_DRAWS, len(offers)))
    whole = peak._replace(capacity=peak.capacity / (1 - away)[:, None], spare=False)
    seen, times = np.unique(present, axis=0, return_counts=True)
    enough = [most_carried(whole, [int(count) for count in nodes]) >= _ENOUGH for nodes in seen]
    return float(times[np.array(enough)].sum() / AWAY_DRAWS)


def _doubt(offers: Sequence[Offer], load: Load, wanted: Wanted, fleet: Fleet) -> Doubt | None:
    """Solve the load again with capacities and prices drawn; None where none has an interval."""
    if not wanted.draws or not any(isinstance(one, Spread) for offer in offers for one in _inputs(offer)):
        return None
    drawn = [problem_of(_drawn(offers, number), load, wanted) for number in _columns(offers, wanted)]
    best = [cheapest(problem) for problem in drawn]
    kinds = Counter(() if one is None else _kinds(one.nodes) for one in best)
    none = kinds.pop((), 0)
    own = _kinds(fleet.nodes)
    told = dict(kinds.most_common()) | ({} if own in kinds else {own: 0})
    priced = {*list(told)[:MOST_RIVALS], own}
    peak = problem_of(offers, load, wanted)
    return Doubt(
        draws=wanted.draws,
        enough=sum(most_carried(problem, fleet.nodes) >= _ENOUGH for problem in drawn) / wanted.draws,
        kinds=tuple(
            _rival(peak, drawn, best, kind=one, share=times / wanted.draws)
            if one in priced
            else Rival(offers=one, share=times / wanted.draws)
            for one, times in told.items()
        ),
        none=none / wanted.draws,
    )


def _kinds(nodes: Sequence[int]) -> tuple[int, ...]:
    """The offers of which there is a node."""
    return tuple(np.flatnonzero(nodes).tolist())


def _rival(
    peak: Problem, drawn: Sequence[Problem], best: Sequence[Solved | None], *, kind: tuple[int, ...], share: float
) -> Rival:
    """What a node of each of these kinds or more costs, as they stand and in each draw; where they win it is known."""
    found = cheapest(_each_of(peak, kind))
    costs = [_usd_per_h(problem, one, kind=kind) for problem, one in zip(drawn, best, strict=True)]
    low, high = np.quantile(costs, (0.025, 0.975), method="inverted_cdf").tolist()
    fleet = None if found is None else fleet_of(peak, found.nodes)
    ends = (low if low < math.inf else None, high if high < math.inf else None)
    cost = Estimate() if fleet is None else Estimate(value=fleet.usd_per_h, ci95=ends)
    return Rival(offers=kind, share=share, fleet=fleet, usd_per_h=cost)


def _usd_per_h(problem: Problem, best: Solved | None, *, kind: tuple[int, ...]) -> float:
    """Of the cheapest fleet of each of these kinds; infinite where there is none."""
    is_theirs = best is not None and _kinds(best.nodes) == kind
    found = best if is_theirs else cheapest(_each_of(problem, kind))
    return math.inf if found is None else fleet_of(problem, found.nodes).usd_per_h


def _each_of(problem: Problem, kinds: Sequence[int]) -> Problem:
    """The same with a node of each of these offers at least, and of no other."""
    held = np.zeros(len(problem.usd_per_h))
    held[[*kinds]] = 1.0
    return _of_kinds(problem, kinds)._replace(held=held)


def _of_kinds(problem: Problem, kinds: Sequence[int]) -> Problem:
    """The same with these offers alone."""
    capacity = np.zeros_like(problem.capacity)
    capacity[[*kinds]] = problem.capacity[[*kinds]]
    return problem._replace(capacity=capacity)


Column = Callable[[str, Input], float]
"""The number that a draw gives to a named input."""


def _columns(offers: Sequence[Offer], wanted: Wanted) -> list[Column]:
    """A lookup for each draw. Inputs of one name, as of a run that is offered at two prices, are drawn once."""
    found: dict[str, Array] = {}
    for offer in offers:
        for name, value in zip(_names(offer), _inputs(offer), strict=True):
            if isinstance(value, Spread) and name not in found:
                rng = np.random.default_rng([wanted.seed, zlib.crc32(name.encode())])
                found[name] = draw(value, wanted.draws, rng=rng)

    def column(number: int) -> Column:
        return lambda name, value: float(found[name][number]) if isinstance(value, Spread) else float(value)

    return [column(number) for number in range(wanted.draws)]


def _names(offer: Offer) -> list[str]:
    return [
        f"price {offer.kind} {offer.card} {offer.cards}",
        *(f"run {number} {run}" for number, run in enumerate(offer.runs)),
    ]


def _inputs(offer: Offer) -> list[Input]:
    """Price and capacities; those without an interval as numbers."""
    low, high = offer.usd_per_h_range or (offer.usd_per_h, offer.usd_per_h)
    price: Input = Spread(low=low, high=high) if low < high else offer.usd_per_h
    return [price, *(_input(one) for one in offer.capacity)]


def _input(capacity: Estimate) -> Input:
    """A capacity with its interval; an end that is open is the value itself."""
    value, (low, high) = capacity.value, capacity.ci95
    if not value or low == high:
        return value or 0.0
    ends = (min(low or value, value), max(high or value, value))
    return Spread(value=value, ci95=ends) if ends[0] < ends[1] else value


def _drawn(offers: Sequence[Offer], column: Column) -> list[Offer]:
    found = []
    for offer in offers:
        price, *capacity = map(column, _names(offer), _inputs(offer))
        drawn = tuple(Estimate(value=value or None) for value in capacity)
        found.append(msgspec.structs.replace(offer, usd_per_h=price, capacity=drawn))
    return found


def _usd_per_mtok(load: Load, fleet: Fleet) -> float | None:
    """Of the output tokens at the peak; None where the load does not say how many those are."""
    rates = [
        None if one.req_per_s is None or one.output_tokens is None else one.req_per_s * one.output_tokens
        for one in load.classes
    ]
    if any(rate is None for rate in rates):
        return None
    tok_per_s = sum(rate or 0.0 for rate in rates)
    return figure(
        "usd_per_mtok_output", serving_usd_per_h=fleet.usd_per_h, count=1.0, tok_per_s=tok_per_s, load_factor=1.0
    )
