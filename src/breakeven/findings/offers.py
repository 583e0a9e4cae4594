"""What runs and quotes offer for a load: each run's machine at a price, with its capacity at the service level."""

import math
from collections.abc import Iterator, Mapping, Sequence
from statistics import median
from typing import Final, NamedTuple

from msgspec import Struct, field

from breakeven.compare.capacity import NO_FLOOR
from breakeven.compare.pool import are_open, of_users
from breakeven.compare.types import OperatingPoint, Reason
from breakeven.errors import LimitMissedError, UsageError, one_line, unknown
from breakeven.findings.level import point_at
from breakeven.findings.names import card, engine, gpu_count, labels, unit
from breakeven.findings.nearest import nearest_text
from breakeven.findings.pricing import KINDS_TRIED, Rent, names_of, newest_of, of_one_kind, quoted
from breakeven.hardware import same_card
from breakeven.metrics.slo import ServiceLevel
from breakeven.metrics.summary import Estimate, RunFacts, RunSummary
from breakeven.mix.types import Left, Load, LoadClass, Offer
from breakeven.prices import Quote, quote_range
from breakeven.say import short

NEAR: Final = 1.5
"""A run stands for a class whose lengths are within this factor of its own."""
_NOTHING: Final = Estimate()


class PriceBook(Struct, frozen=True, kw_only=True):
    """Where prices come from."""

    quotes: tuple[Quote, ...] = ()
    own: dict[str, float] = field(default_factory=dict)
    """USD per hour of a card, by name, as the user says; they go before quotes."""
    spot_away_share: float | None = None
    """Offer each card at its newest spot quote too, taken away for this part of the time."""


class _Run(NamedTuple):
    """A run at the service level."""

    summary: RunSummary
    point: OperatingPoint | None
    input_tokens: float | None
    """Of a request, the median over the levels; None where no level says."""
    output_tokens: float | None

    @property
    def facts(self) -> RunFacts:
        return self.summary.run


def offers_of(
    runs: Sequence[RunSummary], load: Load, *, level: ServiceLevel, book: PriceBook
) -> tuple[tuple[Offer, ...], tuple[Left, ...]]:
    """Every machine that can serve a part of the load at a price, and the runs that offer nothing.

    Runs of one machine, engine and model with other lengths are one offer. UsageError where a card has no price or
    runs count different things; LimitMissedError, with what would do, where no run meets the service level.
    """
    if len({unit(run.run) for run in runs}) > 1:
        raise UsageError("some runs count words and others tokens; leave out one kind")
    _check_names([run.run for run in runs], book)
    _check_loops(runs, load, level)
    measured = [_measured(run, level) for run in runs]
    if all(one.point is None or one.point.status == "none" for one in measured):
        raise LimitMissedError(nearest_text(runs, level))
    rents = _rents([one.facts for one in measured], book)
    offers: list[Offer] = []
    left: list[Left] = []
    for label, group in _machines(measured, load).items():
        capacity, used = _capacities(group, load)
        if all(one.value is None for one in capacity):
            left.append(Left(label=label, reason=_why(group)))
        else:
            offers += _at_prices(label, group, capacity=capacity, used=used, book=book, rents=rents)
    if not offers:
        raise LimitMissedError(_no_lengths(measured, load))
    return tuple(offers), tuple(left)


def _check_names(runs: Sequence[RunFacts], book: PriceBook) -> None:
    """UsageError for a run that is there twice and for a price of a card that no run is of."""
    ids = [run.id for run in runs]
    twice = next((one for one in ids if ids.count(one) > 1), None)
    if twice is not None:
        raise UsageError(f"the run {twice} is given twice")
    for name in book.own:
        if not any(same_card(name, known) for run in runs for known in names_of(run)):
            cards = dict.fromkeys(card(run.host) for run in runs)
            raise UsageError(f"--price: {unknown('card among the runs', name, cards)}")


def _check_loops(runs: Sequence[RunSummary], load: Load, level: ServiceLevel) -> None:
    """UsageError for open loops beside closed ones, and where a load or a service counts users of open loops."""
    if are_open(runs) and any(one.users is not None for one in load.classes):
        of_users(runs[0], what="the load counts; give it in requests a second (--load FILE with req_per_s)")
    if are_open(runs) and level.floor_tok_per_s_per_user is not None:
        raise UsageError(f"{one_line(runs[0].run.id)}: {NO_FLOOR}")


def _measured(run: RunSummary, level: ServiceLevel) -> _Run:
    return _Run(run, point_at(run, level), *_lengths(run))


def _lengths(run: RunSummary) -> tuple[float | None, float | None]:
    """Mean input and output tokens of a request."""
    outputs, inputs = [], []
    for level in run.levels:
        rate, out, total = (one.value for one in (level.req_per_s, level.output_tok_per_s, level.total_tok_per_s))
        if rate and out:
            outputs.append(out / rate)
            inputs += [(total - out) / rate] if total else []
    return median(inputs) if inputs else None, median(outputs) if outputs else None


def _machines(measured: Sequence[_Run], load: Load) -> dict[str, list[_Run]]:
    """Runs by what they are called; without lengths in the load each run is a machine of its own."""
    if not any(_has_lengths(one) for one in load.classes):
        names = labels([one.facts for one in measured])
        return {name: [one] for name, one in zip(names, measured, strict=True)}
    groups: dict[tuple[str, int, str, str], list[_Run]] = {}
    for one in measured:
        facts = one.facts
        key = (card(facts.host), gpu_count(facts.host), engine(facts.engine, version=True), facts.model or "")
        groups.setdefault(key, []).append(one)
    names = labels([group[0].facts for group in groups.values()])
    return dict(zip(names, groups.values(), strict=True))


def _has_lengths(one: LoadClass) -> bool:
    return one.input_tokens is not None or one.output_tokens is not None


def _capacities(group: Sequence[_Run], load: Load) -> tuple[list[Estimate], list[_Run | None]]:
    """Of one machine for each class, in its unit, and the run that says so."""
    found = [_nearest(group, one) for one in load.classes]
    return [_capacity(run, one) for run, one in zip(found, load.classes, strict=True)], found


def _nearest(group: Sequence[_Run], wanted: LoadClass) -> _Run | None:
    """The run with lengths nearest to those of a class that meets the service level; None where none is near."""
    fit = [run for run in group if run.point is not None and run.point.status != "none"]
    far = {id(run): _distance(run, wanted) for run in fit}
    near = [run for run in fit if far[id(run)] <= math.log(NEAR)]
    return min(near, key=lambda run: far[id(run)], default=None)


def stands_for(run: RunSummary, wanted: LoadClass) -> bool:
    """Its own lengths are near those of a class."""
    return _distance(_Run(run, None, *_lengths(run)), wanted) <= math.log(NEAR)


def _distance(run: _Run, wanted: LoadClass) -> float:
    """The larger log of the ratios of both lengths; a length that the class leaves open is as the run has it."""
    pairs = ((run.input_tokens, wanted.input_tokens), (run.output_tokens, wanted.output_tokens))
    return max((math.inf if not own else abs(math.log(own / asked)) for own, asked in pairs if asked), default=0.0)


def _capacity(run: _Run | None, wanted: LoadClass) -> Estimate:
    if run is None or run.point is None:
        return _NOTHING
    return capacity_for(wanted, run.point.users, run.point.output_tok_per_s)


def capacity_for(wanted: LoadClass, users: Estimate, tok_per_s: Estimate) -> Estimate:
    """Whole users at the service level, or its throughput / the output tokens of a request of the class."""
    if wanted.req_per_s is None:
        return Estimate(value=_whole(users.value) or None, ci95=(_whole(users.ci95[0]), _whole(users.ci95[1])))
    tokens = wanted.output_tokens or math.inf
    low, high = (None if end is None else end / tokens for end in tok_per_s.ci95)
    return Estimate(value=None if tok_per_s.value is None else tok_per_s.value / tokens, ci95=(low, high))


def _whole(users: float | None) -> float | None:
    return None if users is None else float(math.floor(users + 1e-9))


def _why(group: Sequence[_Run]) -> Reason | None:
    return next((one.point.reason for one in group if one.point is not None and one.point.status == "none"), None)


def _rents(runs: Sequence[RunFacts], book: PriceBook) -> dict[str, Rent]:
    """A rent by the id of each run whose price the user does not say, quotes all of one kind; else UsageError."""
    asked = [run for run in runs if _own(run, book) is None]
    found = of_one_kind(asked, book.quotes)
    if asked and not found:
        raise UsageError(_no_price(asked, book.quotes))
    return {run.id: rent for run, rent in zip(asked, found, strict=True)}


def _own(run: RunFacts, book: PriceBook) -> float | None:
    return next((usd for name, usd in book.own.items() for known in names_of(run) if same_card(name, known)), None)


def _no_price(runs: Sequence[RunFacts], quotes: Sequence[Quote]) -> str:
    """Which cards have no quote of any kind; where each has one, but none of the same kind, what each has."""
    kinds = {card(run.host): [kind for kind in KINDS_TRIED if newest_of(run, quotes, kind)] for run in runs}
    without = [name for name, found in kinds.items() if not found]
    if without:
        return f"no price for {' and '.join(without)}: say it by --price '{without[0]}=USD' an hour, or --prices FILE"
    has = "; ".join(f"{name}: {', '.join(found)}" for name, found in kinds.items())
    return f"no kind of price is known for all cards ({has}): say one by --price CARD=USD, or --prices FILE"


class _Price(NamedTuple):
    """Of one card for an hour."""

    usd_per_h_card: float
    kind: str
    source: str
    quote: Quote | None = None
    away_share: float = 0.0


def _prices(facts: RunFacts, book: PriceBook, rents: Mapping[str, Rent]) -> Iterator[_Price]:
    """The user's price, else the newest quote; and the newest spot quote where that is wanted and known."""
    own = _own(facts, book)
    first = _Price(own, "given", "--price") if own is not None else _price(rents[facts.id])
    yield first
    spot = newest_of(facts, book.quotes, "spot") if book.spot_away_share is not None else None
    if spot is not None and first.kind != "spot":
        yield _price(quoted(spot))._replace(away_share=book.spot_away_share or 0.0)


def _price(rent: Rent) -> _Price:
    return _Price(rent.usd_per_h_card, rent.kind or "declared", rent.source, rent.quote)


def _at_prices(
    label: str,
    group: Sequence[_Run],
    *,
    capacity: Sequence[Estimate],
    used: Sequence[_Run | None],
    book: PriceBook,
    rents: Mapping[str, Rent],
) -> list[Offer]:
    """The machine, once for each price."""
    facts = group[0].facts
    cards = gpu_count(facts.host)
    known = [run for run in used if run is not None]
    return [
        Offer(
            label=label,
            runs=tuple("" if run is None else run.facts.id for run in used),
            card=card(facts.host),
            cards=cards,
            usd_per_h=price.usd_per_h_card * cards,
            usd_per_h_range=None if price.quote is None else _range(price.quote, book.quotes, cards=cards),
            kind=price.kind,
            source=price.source,
            capacity=tuple(capacity),
            at_least=any(run.point is not None and run.point.status == "bound" for run in known),
            predicted=any(run.facts.kind == "predicted" for run in known),
            least_nodes=1 if price.quote is None else math.ceil(price.quote.cards_at_least / cards),
            away_share=price.away_share,
        )
        for price in _prices(facts, book, rents)
    ]


def _range(quote: Quote, quotes: Sequence[Quote], *, cards: int) -> tuple[float, float] | None:
    """The lowest and the highest quote of its kind of the last 90 days, and itself."""
    ends = quote_range(quote.gpu, quotes, kind=quote.kind)
    if ends is None:
        return None
    each = [quote.usd_per_h_card, *(end.usd_per_h_card for end in ends)]
    return cards * min(each), cards * max(each)


def _no_lengths(measured: Sequence[_Run], load: Load) -> str:
    """No run was measured near the lengths of any class: what they were measured at."""
    asked = ", ".join(
        f"{one.name} ({_said(one.input_tokens)} in, {_said(one.output_tokens)} out)" for one in load.classes
    )
    known = dict.fromkeys(f"{_said(one.input_tokens)} in, {_said(one.output_tokens)} out" for one in measured)
    return f"no run is within {NEAR:g} times the lengths of a class: asked {asked}; measured {'; '.join(known)}"


def _said(tokens: float | None) -> str:
    return "any" if tokens is None else short(round(tokens))
