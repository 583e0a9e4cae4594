"""A fair price per GPU within a market: the rent at which its tokens cost what the reference card's cost."""

import math
from collections.abc import Mapping, Sequence

from msgspec import Struct

from breakeven.caution import Caution
from breakeven.compare.runs import compare_runs
from breakeven.cost.inputs import Deployment, Scenario
from breakeven.errors import UsageError
from breakeven.findings import Prices, findings
from breakeven.findings.level import choose_level
from breakeven.fleet.scores import CAUTIONS, Scores, Stratum
from breakeven.fleet.strata_text import card_name
from breakeven.hardware import gpus, same_card
from breakeven.metrics.statistics import t_quantile
from breakeven.metrics.summary import Estimate, LevelSummary, RunFacts, RunSummary

MEDIAN_PENALTY = math.sqrt(math.pi / 2)


class FairPrice(Struct, frozen=True, kw_only=True):
    """One card beside the reference card of its market, model and template."""

    stratum: int
    reference: int
    """The stratum of the reference: the one with most nodes whose price is known."""
    at: str
    """Where the two are held against each other: a floor, or the equal load that was found."""
    k: Estimate
    """Cards that do the work of one reference card."""
    reference_usd_per_h: float
    usd_per_h: float | None
    """Cost parity rent of a card; None where there is no k."""
    paid_usd_per_h: float | None
    """What is paid for it now, where that is declared."""


def fair_prices(scored: Scores, *, prices: Mapping[str, float], floors: Sequence[float] = ()) -> tuple[FairPrice, ...]:
    """Every card beside the reference of its market; none for markets without two cards and a declared price."""
    groups: dict[tuple[str | None, str | None, str | None, str], list[int]] = {}
    for place, one in enumerate(scored.strata):
        groups.setdefault((one.market, one.model, one.template, one.counted), []).append(place)
    found: list[FairPrice] = []
    for places in groups.values():
        priced = [place for place in places if price_of(scored.strata[place], prices) is not None]
        if len(places) > 1 and priced:
            reference = max(priced, key=lambda place: scored.strata[place].nodes)
            others = [place for place in places if place != reference]
            found += _of_group(scored.strata, reference, others, prices=prices, floors=floors)
    return tuple(found)


def price_of(one: Stratum, prices: Mapping[str, float]) -> float | None:
    """What an hour of its card costs, by whatever name the price is given."""
    return next((usd for name, usd in prices.items() if same_card(name, one.gpu)), None)


def check_prices(scored: Scores, prices: Mapping[str, float]) -> None:
    """UsageError for a price of a card that the set does not have."""
    for name in prices:
        if not any(same_card(name, one.gpu) for one in scored.strata):
            raise UsageError(f"--price: no card of this set is called '{name}'")


def _of_group(
    strata: Sequence[Stratum],
    reference: int,
    others: Sequence[int],
    *,
    prices: Mapping[str, float],
    floors: Sequence[float],
) -> list[FairPrice]:
    rent = price_of(strata[reference], prices)
    assert rent is not None
    runs = [run_of(strata[place]) for place in (reference, *others)]
    comparisons = compare_runs(runs[0], runs[1:], floors=tuple(floors), scope="gpu_type")
    level = choose_level(runs, comparisons, slo=None)
    first, *cards = (Deployment(gpu=card_name(strata[place].gpu), use="own") for place in (reference, *others))
    first = Deployment(gpu=first.gpu, use="own", rent_usd_per_h=rent, rent_from="declared")
    scenarios = tuple(Scenario(name="market", reference=first, candidate=card) for card in cards)
    told = findings(runs, comparisons=comparisons, service_level=level, prices=Prices(scenarios=scenarios))
    at = "" if level is None else level.text(unit="words/s" if strata[reference].counted == "words" else "tok/s")
    return [
        FairPrice(
            stratum=place,
            reference=reference,
            at=at,
            k=Estimate() if money.answer is None else _held(money.answer.k, strata[reference], strata[place]),
            reference_usd_per_h=rent,
            usd_per_h=money.report.comparison["cost_parity_usd_per_h_card"].value
            if "cost_parity_usd_per_h_card" in money.report.comparison
            and money.answer is not None
            and money.answer.k.value is not None
            else None,
            paid_usd_per_h=price_of(strata[place], prices),
        )
        for place, money in zip(others, told.money, strict=True)
    ]


def _held(k: Estimate, *sides: Stratum) -> Estimate:
    """Without an interval where a card has one node: how far off that one may be, nobody knows."""
    return Estimate(value=k.value) if any(_ends(one, 1.0) == (None, None) for one in sides) else k


def run_of(one: Stratum) -> RunSummary:
    """A stratum as a run: medians over its nodes, intervals over nodes (t, with a median's penalty)."""
    known = one.gpu in gpus()
    return RunSummary(
        run=RunFacts(
            id=f"fleet/{one.market}/{one.gpu}/{one.model}",
            started=None,
            host={"gpu": one.gpu, "gpu_name": card_name(one.gpu), "gpu_count": 1}
            if known
            else {"gpu_name": one.gpu, "gpu_count": 1},
            model=one.model,
            workload={"name": one.template or "fleet"},
            settings={"unit": one.counted, "data_set": "fleet", "notes": []},
        ),
        levels=tuple(
            LevelSummary(
                users=n,
                status="done",
                stopped="duration",
                window_s=None,
                output_tok_per_s=Estimate(value=rate, ci95=_ends(one, rate)),
                cautions=_cautions(one),
                extra={"nodes": one.nodes, "jobs": one.jobs, "between_node_sd_log": one.sd_log},
            )
            for n, rate in zip(one.users, one.tok_per_s, strict=True)
            if rate is not None
        ),
    )


def _ends(one: Stratum, rate: float) -> tuple[float | None, float | None]:
    if one.sd_log is None or one.nodes < 2:
        return None, None
    penalty = MEDIAN_PENALTY if one.nodes > 2 else 1.0
    half = t_quantile(max(1, one.nodes - one.outside - 1)) * penalty * one.sd_log / math.sqrt(one.nodes)
    return rate * math.exp(-half), rate * math.exp(half)


def _cautions(one: Stratum) -> tuple[Caution, ...]:
    return tuple(Caution(id=name, seen=CAUTIONS[name], advice="see fleet inspect") for name in one.cautions)
