"""What `breakeven prices` prints: quotes by GPU and kind, each with its date, age and source."""

import datetime
from collections.abc import Sequence
from typing import Final

from breakeven.hardware.columns import Align, columns
from breakeven.prices.quote import KINDS, Quote, age_days, is_old, old_warning, quotes_for

_HEAD: Final = ("GPU", "kind", "USD/h a card", "from", "offer", "as of", "days", "source")
_ALIGN: Final[tuple[Align, ...]] = ("<", "<", ">", "<", "<", "<", ">", ">")


def table_text(quotes: Sequence[Quote], *, today: datetime.date, gpu: str | None = None) -> str:
    """The table; with `gpu` only what may be for it. UsageError with near names for an unknown GPU."""
    shown = _in_order(quotes) if gpu is None else quotes_for(gpu, quotes)
    if not shown:
        return f"No quote is known for {gpu or 'any GPU'}; give your own price, or try `breakeven prices --refresh`.\n"
    sources = list(dict.fromkeys(quote.source for quote in shown))
    numbers = {source: number for number, source in enumerate(sources, start=1)}
    rows = [_HEAD, *(_row(quote, today=today, number=numbers[quote.source]) for quote in shown)]
    parts = [
        *columns(rows, align=_ALIGN),
        "",
        *(f"{kind:<9}  {meaning}" for kind, meaning in KINDS.items() if any(quote.kind == kind for quote in shown)),
        "Kinds answer different questions: compare prices of one kind only. * older than 30 days.",
        "",
        *(f"[{number}] {source}" for source, number in numbers.items()),
    ]
    warning = old_warning(shown, today=today)
    return "\n".join([*parts, "", f"caution: {warning}"] if warning else parts) + "\n"


def _in_order(quotes: Sequence[Quote]) -> list[Quote]:
    kinds = list(KINDS)
    return sorted(quotes, key=lambda quote: (quote.gpu, kinds.index(quote.kind), quote.usd_per_h_card, quote.provider))


def _row(quote: Quote, *, today: datetime.date, number: int) -> tuple[str, ...]:
    days = f"{age_days(quote, today=today)}{'*' if is_old(quote, today=today) else ' '}"
    price = f"{quote.usd_per_h_card:.4f}"
    offer = ", ".join(filter(None, (quote.tier, quote.stat)))
    return (quote.gpu, quote.kind, price, quote.provider, offer, quote.as_of.isoformat(), days, f"[{number}]")
