"""What a GPU-hour costs: quotes with source and date."""

from typing import Final

from breakeven.prices.file import quotes_csv, read_quotes
from breakeven.prices.nosana import market_quotes
from breakeven.prices.quote import (
    KINDS,
    Fetched,
    Kind,
    Quote,
    is_old,
    newest_quote,
    old_warning,
    quote_range,
    quotes_for,
    range_usd_per_h,
)
from breakeven.prices.shipped import shipped_quotes
from breakeven.prices.table import table_text

PRICES: Final = {
    "shipped": "breakeven.prices.shipped:read",
    "nosana": "breakeven.prices.nosana:read",
    "gpuhunt": "breakeven.prices.live:read",
}
"""Sources of quotes: each is a function `read(*, today) -> Fetched`."""


def known_quotes() -> tuple[Quote, ...]:
    """Every quote that comes with breakeven: no network, no clock."""
    return (*shipped_quotes(), *market_quotes())


__all__ = [
    "KINDS",
    "PRICES",
    "Fetched",
    "Kind",
    "Quote",
    "is_old",
    "known_quotes",
    "newest_quote",
    "old_warning",
    "quote_range",
    "quotes_csv",
    "quotes_for",
    "range_usd_per_h",
    "read_quotes",
    "table_text",
]
