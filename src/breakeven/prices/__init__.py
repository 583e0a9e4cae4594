"""What a GPU-hour costs: quotes with source and date."""

from typing import Final

from breakeven.prices.cache import cached_quotes, keep_quotes
from breakeven.prices.file import quotes_csv, read_quotes
from breakeven.prices.nosana import market_quotes
from breakeven.prices.quote import (
    KINDS,
    Fetched,
    Kind,
    Quote,
    age_days,
    is_old,
    newest_quote,
    old_warning,
    quote_range,
    quotes_for,
)
from breakeven.prices.shipped import shipped_quotes

PRICES: Final = {
    "shipped": "breakeven.prices.shipped:read",
    "nosana": "breakeven.prices.nosana:read",
    "skypilot": "breakeven.prices.skypilot:read",
    "gpuhunt": "breakeven.prices.hunt:read",
}
"""Sources of quotes: each is a function `read(*, today) -> Fetched`; the last two ask the network."""


def known_quotes() -> tuple[Quote, ...]:
    """Every quote that comes with breakeven: no network, no clock."""
    return (*shipped_quotes(), *market_quotes())


__all__ = [
    "KINDS",
    "PRICES",
    "Fetched",
    "Kind",
    "Quote",
    "age_days",
    "cached_quotes",
    "is_old",
    "keep_quotes",
    "known_quotes",
    "newest_quote",
    "old_warning",
    "quote_range",
    "quotes_csv",
    "quotes_for",
    "read_quotes",
]
