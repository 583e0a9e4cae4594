"""A price belongs to a card: the sides of a scenario are joined to runs by card, or each card takes its quote."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from msgspec.structs import replace

from breakeven.cost.inputs import ANY_CARD, Deployment, Scenario
from breakeven.cost.ranges import RentQuotes
from breakeven.cost.result import Note
from breakeven.cost.uncertain import mapped, nominal
from breakeven.errors import UsageError, one_line
from breakeven.findings.names import card, gpu_count
from breakeven.hardware import same_card
from breakeven.metrics.summary import RunFacts
from breakeven.prices import Kind, Quote, newest_quote, quote_range

KINDS_TRIED: Final[tuple[Kind, ...]] = ("ask", "median", "spot")
"""Kinds of quotes at which a renter could rent; the first that all cards have is taken for all."""


class Rent(NamedTuple):
    """What a card costs an hour: by a quote, or as the run's own plan declares it."""

    usd_per_h_card: float
    source: str
    quote: Quote | None = None
    """None: declared with the run."""

    @property
    def kind(self) -> Kind | None:
        """Of the quote; a declared rent is of none."""
        return None if self.quote is None else self.quote.kind


def joined(
    scenario: Scenario, *, reference: RunFacts | None, candidate: RunFacts | None
) -> tuple[Scenario, RunFacts | None, RunFacts | None]:
    """The scenario with each run's prices on the run's side; a single run may be either side of it.

    A run takes the side that it stands for where that is of its card, else the other one. UsageError names both cards
    where neither is.
    """
    if reference is None and candidate is not None:
        alone = _side_of(candidate, scenario, first="candidate")
        return (scenario, None, candidate) if alone == "candidate" else (scenario, candidate, None)
    if reference is None or candidate is None:
        return scenario, reference, candidate
    sides = _side_of(reference, scenario, first="reference"), _side_of(candidate, scenario, first="candidate")
    if sides == ("reference", "candidate"):
        return scenario, reference, candidate
    turned = replace(
        scenario,
        reference=getattr(scenario, sides[0]),
        candidate=getattr(scenario, sides[1]),
        variants=(),
        correlations=(),
        ranges={place: spread for place, spread in scenario.ranges.items() if place.startswith("market.")},
    )
    return turned, reference, candidate


def _side_of(run: RunFacts, scenario: Scenario, *, first: str) -> str:
    """The side whose card the run is of, its own first."""
    for side in (first, *({"reference", "candidate"} - {first})):
        part = getattr(scenario, side)
        if part is not None and _fits(run, part):
            return side
    raise UsageError(_no_price(scenario, run))


def _fits(run: RunFacts, side: Deployment) -> bool:
    return side.gpu == ANY_CARD or any(same_card(name, side.gpu) for name in names_of(run))


def names_of(run: RunFacts) -> list[str]:
    """What a run's card is called: as people say it, and by the key of a data set."""
    key = run.host.get("gpu")
    return [card(run.host), *([key] if isinstance(key, str) else [])]


def _no_price(scenario: Scenario, run: RunFacts) -> str:
    sides = [scenario.candidate] if scenario.reference is None else [scenario.reference, scenario.candidate]
    return (
        f"scenario {scenario.name} prices {' and '.join(side.gpu for side in sides)}, and the run {run.id} is of "
        f"{card(run.host)}: give a scenario with its price (--scenario once more for each further candidate), or none, "
        "and each card takes its newest quote"
    )


def with_own_rents(
    scenario: Scenario, *, reference: RunFacts | None, candidate: RunFacts | None, quotes: Iterable[Quote]
) -> tuple[Scenario, tuple[Note, ...]]:
    """A rent for a whole set, as a scenario may declare it, is the reference's: a measured candidate rents at its own.

    Its newest ask, or nothing, and a note says which.
    """
    rent = scenario.market.rent_usd_per_h_set
    if rent is None or scenario.reference is None or (reference is None and candidate is None):
        return scenario, ()
    market = replace(scenario.market, rent_usd_per_h_set=None)
    own = scenario.reference
    if own.rent_usd_per_h is None:
        each = mapped(rent, lambda value: value / nominal(own.count))
        own = replace(own, rent_usd_per_h=each, rent_from=scenario.market.rent_from)
    other, note = _at_own_quote(scenario.candidate, quotes)
    return replace(scenario, market=market, reference=own, candidate=other), (note,) if note is not None else ()


def _at_own_quote(side: Deployment, quotes: Iterable[Quote]) -> tuple[Deployment, Note | None]:
    if side.rent_usd_per_h is not None:
        return side, None
    quote = newest_quote(side.gpu, quotes)
    if quote is None:
        return side, Note(kind="no_quote", facts={"gpu": side.name})
    facts = {"gpu": side.name, "kind": quote.kind, "usd_per_h": quote.usd_per_h_card}
    facts |= {"source": quote.provider, "date": quote.as_of.isoformat()}
    return _at(side, quoted(quote)), Note(kind="own_quote", facts=facts)


def _at(side: Deployment, rent: Rent) -> Deployment:
    return replace(side, rent_usd_per_h=rent.usd_per_h_card, rent_from=rent.source, rent_kind=rent.kind)


def quoted(quote: Quote) -> Rent:
    """The rent that a quote asks: kind, market, region, date and source are told in one line."""
    where = " ".join(filter(None, (quote.provider, quote.tier, quote.region)))
    least = f", {quote.cards_at_least} cards at least" if quote.cards_at_least > 1 else ""
    source = f"{quote.kind}, {where}{least}, {quote.as_of.isoformat()} ({quote.source})"
    return Rent(quote.usd_per_h_card, source, quote)


def from_quotes(runs: Sequence[RunFacts], quotes: Sequence[Quote]) -> tuple[Scenario, ...]:
    """Without a scenario: each card at its newest quote, of one kind that all of them have; none where there is none.

    One scenario a candidate, the first run being the reference; a single run is a candidate alone.
    """
    rents = of_one_kind(runs, quotes)
    if not rents:
        return ()
    first, *others = (
        _at(Deployment(gpu=card(run.host), use="own"), rent) for run, rent in zip(runs, rents, strict=True)
    )
    if not others:
        return (Scenario(name="newest-quote", candidate=first),)
    return tuple(Scenario(name="newest-quotes", reference=first, candidate=other) for other in others)


def of_one_kind(runs: Sequence[RunFacts], quotes: Sequence[Quote]) -> tuple[Rent, ...]:
    """The rent of each run's card, quotes of the first kind that all of them have; none where there is none."""
    for kind in KINDS_TRIED:
        found = [rent for run in runs if (rent := _rent_of(run, quotes, kind)) is not None]
        if len(found) == len(runs):
            return tuple(found)
    return ()


def most_common_kind(runs: Sequence[RunFacts], quotes: Sequence[Quote]) -> tuple[Kind, list[RunFacts]]:
    """The kind of quote that most of the runs' cards have, and the runs whose cards have none of it."""
    without = {kind: [run for run in runs if _rent_of(run, quotes, kind) is None] for kind in KINDS_TRIED}
    kind = min(KINDS_TRIED, key=lambda one: len(without[one]))
    return kind, without[kind]


def newest_of(run: RunFacts, quotes: Sequence[Quote], kind: Kind) -> Quote | None:
    """The newest quote of a kind for a run's card, by whichever name it has one."""
    return next((quote for name in names_of(run) if (quote := newest_quote(name, quotes, kind=kind)) is not None), None)


def _rent_of(run: RunFacts, quotes: Sequence[Quote], kind: Kind) -> Rent | None:
    """The rent that the run's own plan declares in `[hardware]`; else the newest quote of that kind."""
    told: Mapping[str, Any] = run.host.get("declared") or {}
    if rent := told.get("rent_usd_per_h"):
        source = one_line(str(told.get("rent_source") or "without a source"), limit=300)
        return Rent(rent / gpu_count(run.host), f"declared with the run: {source}")
    quote = newest_of(run, quotes, kind)
    return None if quote is None else quoted(quote)


def ranges_for(scenario: Scenario, quotes: Sequence[Quote]) -> dict[str, RentQuotes]:
    """The range of recent quotes of each side's card, of the kind that its own rent is."""
    found: dict[str, RentQuotes] = {}
    for name, side in (("candidate", scenario.candidate), ("reference", scenario.reference)):
        kind = next((kind for kind in KINDS_TRIED if side is not None and side.rent_kind == kind), KINDS_TRIED[0])
        ends = None if side is None else quote_range(side.gpu, quotes, kind=kind)
        if ends is not None:
            low, high = ends
            dates = sorted((low.as_of, high.as_of))
            source = f"{kind}s of {low.provider} and {high.provider}, {dates[0]} to {dates[1]}"
            found[name] = RentQuotes(low.usd_per_h_card, high.usd_per_h_card, source=source)
    return found
