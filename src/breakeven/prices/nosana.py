"""Nosana's markets: which GPU each lends, what a renter pays and what the node's owner gets."""

import csv
import datetime
import functools
from collections.abc import Iterable
from importlib import resources

import msgspec
from msgspec import Struct

from breakeven.prices.quote import Fetched, Quote, old_warning


class Market(Struct, frozen=True, kw_only=True):
    """One market of the list that comes with breakeven. Prices are per job, so for all `cards` together."""

    slug: str
    address: str | None = None
    tier: str
    gpu: str
    cards: int
    client_usd_per_h: float | None = None
    reward_usd_per_h: float | None = None
    as_of: datetime.date | None = None
    source: str


@functools.cache
def markets() -> tuple[Market, ...]:
    """The rows of nosana_markets.csv."""
    text = resources.files("breakeven.prices").joinpath("nosana_markets.csv").read_text(encoding="utf-8")
    rows = ({name: cell for name, cell in row.items() if cell} for row in csv.DictReader(text.splitlines()))
    return tuple(msgspec.convert(row, Market, strict=False) for row in rows)


@functools.cache
def market_quotes() -> tuple[Quote, ...]:
    """Two quotes a priced market: what a renter is asked (`ask`) and what the owner gets (`payout`), per card."""
    return tuple(quote for market in markets() for quote in _quotes(market))


def read(*, today: datetime.date) -> Fetched:
    """The market list that comes with breakeven, with a warning when some of it is old."""
    warning = old_warning(market_quotes(), today=today)
    return Fetched(quotes=market_quotes(), notes=(warning,) if warning else ())


def _quotes(market: Market) -> Iterable[Quote]:
    prices = (("ask", market.client_usd_per_h), ("payout", market.reward_usd_per_h))
    for kind, usd_per_h in prices:
        if usd_per_h is not None:
            fields = {
                "gpu": market.gpu,
                "provider": "nosana",
                "tier": market.tier,
                "usd_per_h_card": usd_per_h / market.cards,
                "kind": kind,
                "cards_at_least": market.cards,
                "as_of": market.as_of,
                "source": market.source,
            }
            yield msgspec.convert(fields, Quote)
