"""A price quote: what one card costs per hour, of which kind, where, when, says who."""

import datetime
from collections.abc import Iterable, Sequence
from typing import Final, Literal

from msgspec import Struct

from breakeven.errors import UsageError
from breakeven.hardware import find_gpus, same_gpu

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
    tier: str = ""
    usd_per_h_card: float
    kind: Kind
    stat: str = ""
    """How the figure was made: `lowest of 12 offers`, `1 of 8 cards`."""
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
    return tuple(sorted(found, key=lambda quote: (order.index(quote.kind), quote.usd_per_h_card, quote.provider)))


def range_usd_per_h(quotes: Sequence[Quote]) -> tuple[float, float] | None:
    """Lowest and highest price of quotes of one kind, USD per hour of a card; None for none.

    UsageError where kinds are mixed: an owner's payout and a renter's price are not two ends of one range.
    """
    kinds = sorted({quote.kind for quote in quotes})
    if len(kinds) > 1:
        raise UsageError(f"quotes of different kinds are not compared: {', '.join(kinds)}; choose one kind")
    prices = [quote.usd_per_h_card for quote in quotes]
    return (min(prices), max(prices)) if prices else None


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
