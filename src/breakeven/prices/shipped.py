"""The quotes that come with breakeven: few, dated, each with its source."""

import datetime
import functools
from importlib import resources

from breakeven.prices.file import read_quotes
from breakeven.prices.quote import Fetched, Quote, old_warning


@functools.cache
def shipped_quotes() -> tuple[Quote, ...]:
    """The rows of quotes.csv."""
    text = resources.files("breakeven.prices").joinpath("quotes.csv").read_text(encoding="utf-8")
    return read_quotes(text, where="quotes.csv")


def read(*, today: datetime.date) -> Fetched:
    """The shipped quotes, with a warning when some are old."""
    quotes = shipped_quotes()
    warning = old_warning(quotes, today=today)
    return Fetched(quotes=quotes, notes=(warning,) if warning else ())
