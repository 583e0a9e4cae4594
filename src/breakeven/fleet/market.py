"""What a set says of its markets: how nodes differ, what rules would do, fair prices, verdicts by rule files."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from msgspec import Struct, field

from breakeven.cost.inputs import Deployment, Market, Scenario
from breakeven.errors import UsageError, one_line
from breakeven.findings.money import Prices, money_case
from breakeven.fleet.fairprice import FairPrice, check_prices, fair_prices, price_of
from breakeven.fleet.inspect import slow_rows
from breakeven.fleet.rows import Rows, pick
from breakeven.fleet.rules import RuleFile, form_of
from breakeven.fleet.scores import Scores, Stratum, scores
from breakeven.fleet.simulate import DROP, TRIED, Outcome, simulate
from breakeven.fleet.spread import Icc
from breakeven.fleet.strata_text import card_name
from breakeven.fleet.verdicts import Verdict, verdicts
from breakeven.units import H_PER_MONTH

FORMAT: Final = 1
RENTED_SHARE: Final = 0.6
"""Where nobody says: the middle of our ready range (cost/ranges.py), our judgement."""


class Wanted(Struct, frozen=True, kw_only=True):
    """What is asked of a market."""

    market: str | None = None
    prices: dict[str, float] = field(default_factory=dict)
    """USD an hour of a card, by name."""
    floors: tuple[float, ...] = ()
    overrides: tuple[str, ...] = ()
    """Of the scenario of a host, such as `market.rented_share=0.5`."""
    tried: tuple[str, ...] = TRIED
    drop: str = DROP


class MarketReport(Struct, frozen=True, kw_only=True):
    """Of a set, or of one of its markets."""

    format: int = FORMAT
    jobs: int
    nodes: int
    strata: tuple[Stratum, ...]
    mean_tok_per_s: tuple[tuple[float | None, ...], ...]
    """Of each stratum for each number of users: mean over nodes of their medians."""
    icc: tuple[Icc, ...]
    """Of each stratum."""
    outcomes: tuple[Outcome, ...]
    drop: str
    lost_usd_per_month: tuple[float | None, ...]
    """Of each stratum: what a host loses whose node is dropped; None without a price of its card."""
    rented_share: float | None
    fair: tuple[FairPrice, ...]
    verdicts: tuple[Verdict, ...]


def market(rows: Rows, *, wanted: Wanted, files: Sequence[RuleFile] = ()) -> MarketReport:
    """Everything that a set says of a market. UsageError for a market, a card or a rule that is not there."""
    for rule in (*wanted.tried, wanted.drop):
        form_of(rule)
    rows = _only(rows, wanted.market)
    scored = scores(rows)
    check_prices(scored, wanted.prices)
    markets = {one.market for one in scored.strata}
    for file in files:
        if file.market is not None and file.market not in markets:
            known = ", ".join(sorted(filter(None, markets)))
            raise UsageError(f"rules for market '{one_line(file.market, limit=60)}': this set has {known or 'none'}")
    worked = [_lost(one, wanted) for one in scored.strata]
    lost = np.array([np.nan if usd is None else usd for usd, _ in worked], dtype=np.float64)
    return MarketReport(
        jobs=int(np.count_nonzero(scored.row_of_job >= 0)),
        nodes=len(np.unique(scored.node)),
        strata=scored.strata,
        mean_tok_per_s=tuple(_means(scored, place) for place in range(len(scored.strata))),
        icc=tuple(one.icc for one in scored.strata),
        outcomes=simulate(scored, slow_rows(scored), rules=wanted.tried, drop=wanted.drop, lost_usd_per_month=lost),
        drop=wanted.drop,
        lost_usd_per_month=tuple(usd for usd, _ in worked),
        rented_share=next((share for _, share in worked if share is not None), None),
        fair=fair_prices(scored, prices=wanted.prices, floors=wanted.floors) if wanted.prices else (),
        verdicts=verdicts(rows, scored, files),
    )


def _only(rows: Rows, name: str | None) -> Rows:
    if name is None:
        return rows
    if name not in rows.market.names:
        known = ", ".join(sorted(rows.market.names)[:20])
        raise UsageError(f"--market: no market of this set is called '{one_line(name, limit=60)}'; it has {known}")
    return pick(rows, rows.market.is_in(name))


def _means(scored: Scores, place: int) -> tuple[float | None, ...]:
    rates = scored.tok_per_s[scored.stratum == place]
    known = np.isfinite(rates)
    sums, counts = np.where(known, rates, 0.0).sum(axis=0), known.sum(axis=0)
    return tuple(float(total / count) if count else None for total, count in zip(sums, counts, strict=True))


def _lost(one: Stratum, wanted: Wanted) -> tuple[float | None, float | None]:
    """What a dropped node would have earned in a month, and the rented share that went in.

    The cost model's revenue of a card that is rented out: rent x rented share x availability x (1 - fee).
    """
    rent = price_of(one, wanted.prices)
    if rent is None:
        return None, None
    side = Deployment(gpu=card_name(one.gpu), use="rented out", rent_usd_per_h=rent, rent_from="declared")
    host = Scenario(name="host", candidate=side, market=Market(rented_share=RENTED_SHARE))
    report = money_case(host, prices=Prices(overrides=wanted.overrides)).report
    revenue = report.candidate.figures["revenue_usd_per_h"].value
    share = report.candidate.inputs.get("rented_share")
    return (None if revenue is None else revenue * H_PER_MONTH), share
