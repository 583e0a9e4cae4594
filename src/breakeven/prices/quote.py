"""A price quote: what one card costs per hour, of which kind, where, when, says who."""

import datetime
from collections.abc import Iterable, Sequence
from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from breakeven.hardware import find_gpus, may_mean, same_gpu

Kind = Literal["ask", "median", "spot", "payout", "owner_tco"]

KINDS: Final[dict[Kind, str]] = {
    "ask": "what a renter is asked to pay, all fees included",
    "median": "the middle of what a marketplace asked that day",
    "spot": "what a renter pays for a card that may be taken away at any moment",
    "payout": "what the owner gets; the renter pays more",
    "owner_tco": "what owning it costs an hour, by somebody's model; no one rents at it",
}
"""The kinds answer different questions, so that no function here mixes them."""

OLD_DAYS: Final = 30


class Quote(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """USD per hour of ONE card: the price of an instance is divided by its cards before it gets here."""

    gpu: str
    """Key of the GPU table, or a group (`a100-80`) where the source does not tell the cards apart."""
    provider: str
    """The market: who asks or pays."""
    tier: str = ""
    region: str = ""
    cards_at_least: Annotated[int, Meta(ge=1)] = 1
    """How many cards one must take to pay this price a card: 8 where they are let in eights only."""
    usd_per_h_card: float
    kind: Kind
    stat: str = ""
    """How the figure was made: `lowest of 12 offers`."""
    as_of: datetime.date
    source: str


class Fetched(Struct, frozen=True, kw_only=True):
    """What a price source gave; `notes` say what was left out, one line each."""

    quotes: tuple[Quote, ...]
    notes: tuple[str, ...] = ()


def quotes_for(gpu: str, quotes: Iterable[Quote], *, kind: Kind | None = None) -> tuple[Quote, ...]:
    """Quotes that may be for `gpu`, cheapest first within a kind; UsageError with near names for an unknown GPU.

    A quote for `a100-80` counts for `a100-80-sxm`: the source did not say which. Empty means: no quote is known.
    """
    find_gpus(gpu)
    order = list(KINDS)
    found = [quote for quote in quotes if same_gpu(gpu, quote.gpu) and kind in (None, quote.kind)]
    return tuple(sorted(found, key=lambda quote: (order.index(quote.kind), *_cheapest_first(quote))))


def newest_quote(gpu: str, quotes: Iterable[Quote], *, kind: Kind = "ask") -> Quote | None:
    """The newest quote of that kind for `gpu`: of that day the cheapest for taking one card, else the cheapest of all.

    `gpu` is a name as people write it, a key or a group; None for a name that is not known, as for a card that has
    no quote. A quote of a group counts for its cards only where none names the card itself.
    """
    mine = _of_card(gpu, quotes, kind=kind)
    newest = max((quote.as_of for quote in mine), default=None)
    of_day = [quote for quote in mine if quote.as_of == newest]
    singles = [quote for quote in of_day if quote.cards_at_least == 1]
    return min(singles or of_day, key=_cheapest_first, default=None)


def quote_range(
    gpu: str, quotes: Iterable[Quote], *, kind: Kind = "ask", within_days: int = 90
) -> tuple[Quote, Quote] | None:
    """Lowest and highest quote of that kind, of those no more than `within_days` older than the newest one.

    None for fewer than two different prices. Names and groups as in `newest_quote`.
    """
    mine = _of_card(gpu, quotes, kind=kind)
    newest = max((quote.as_of for quote in mine), default=datetime.date.min)
    recent = sorted((q for q in mine if (newest - q.as_of).days <= within_days), key=_cheapest_first)
    if not recent or recent[0].usd_per_h_card == recent[-1].usd_per_h_card:
        return None
    return recent[0], recent[-1]


def _of_card(gpu: str, quotes: Iterable[Quote], *, kind: Kind) -> list[Quote]:
    """Quotes of one kind that name the card or a part of the group that was asked for; else those that may be it."""
    asked = _keys(gpu)
    may_be = [quote for quote in quotes if quote.kind == kind and asked & _keys(quote.gpu)]
    return [quote for quote in may_be if _keys(quote.gpu) <= asked] or may_be


def _keys(gpu: str) -> frozenset[str]:
    return frozenset(found.key for found in may_mean(gpu))


def _cheapest_first(quote: Quote) -> tuple[float, int, str, str, str, str]:
    """An order without ties between quotes that differ in anything but the day and the words about it."""
    return (
        *(quote.usd_per_h_card, quote.cards_at_least, quote.provider),
        *(quote.region, quote.tier, quote.gpu),
    )


def age_days(quote: Quote, *, today: datetime.date) -> int:
    """Days since the quote was made; a quote of the future is 0 days old."""
    return max(0, (today - quote.as_of).days)


def is_old(quote: Quote, *, today: datetime.date) -> bool:
    """More than 30 days: rents move faster than that."""
    return age_days(quote, today=today) > OLD_DAYS


def old_warning(quotes: Sequence[Quote], *, today: datetime.date) -> str | None:
    """One line when some quotes are older than 30 days, None when all are fresh."""
    ages = [age_days(quote, today=today) for quote in quotes if is_old(quote, today=today)]
    if not ages:
        return None
    return (
        f"{len(ages)} of {len(quotes)} quotes are older than {OLD_DAYS} days (the oldest: {max(ages)} days); "
        "`breakeven prices --refresh` fetches new ones"
    )
