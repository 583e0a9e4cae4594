"""Many offers of instances made into few quotes: the cheapest a card, for each GPU, market and kind."""

import datetime
from collections.abc import Iterable

from msgspec import Struct

from breakeven.prices.quote import Kind, Quote


class Offer(Struct, frozen=True, kw_only=True):
    """One instance that somebody lets, for one price an hour with all of its cards."""

    gpu: str
    provider: str
    kind: Kind
    region: str = ""
    cards: int
    usd_per_h: float
    """Of the whole instance."""

    @property
    def usd_per_h_card(self) -> float:
        """Price a card."""
        return self.usd_per_h / self.cards


def cheapest(offers: Iterable[Offer], *, as_of: datetime.date, source: str) -> tuple[Quote, ...]:
    """For each GPU, market and kind the offer of fewest cards, and the one of more cards where it is cheaper a card.

    A card that is let in eights only has no price for one: its quote says that eight must be taken.
    """
    groups: dict[tuple[str, str, Kind], list[Offer]] = {}
    for offer in offers:
        groups.setdefault((offer.gpu, offer.provider, offer.kind), []).append(offer)
    return tuple(
        _quote(best, of=len(group), as_of=as_of, source=source)
        for _, group in sorted(groups.items())
        for best in _best(group)
    )


def _best(group: list[Offer]) -> list[Offer]:
    fewest = min(offer.cards for offer in group)
    first = min((offer for offer in group if offer.cards == fewest), key=_order)
    lowest = min(group, key=_order)
    # A fraction of a percent is a provider's rounding, not a discount for taking more.
    return [first, lowest] if lowest.usd_per_h_card < 0.99 * first.usd_per_h_card else [first]


def _order(offer: Offer) -> tuple[float, int, str]:
    return (offer.usd_per_h_card, offer.cards, offer.region)


def _quote(best: Offer, *, of: int, as_of: datetime.date, source: str) -> Quote:
    return Quote(
        gpu=best.gpu,
        provider=best.provider,
        tier="spot" if best.kind == "spot" else "on-demand",
        region=best.region,
        cards_at_least=best.cards,
        usd_per_h_card=best.usd_per_h_card,
        kind=best.kind,
        stat=f"lowest of {of} offers",
        as_of=as_of,
        source=source,
    )
