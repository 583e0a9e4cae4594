"""Nosana's markets: which GPU each lends, what a renter pays and what the node's owner gets."""

import csv
import datetime
import functools
import json
import re
from collections.abc import Iterable, Mapping
from importlib import resources
from typing import Any, Final

import msgspec
from msgspec import Struct

from breakeven.errors import UsageError, one_line
from breakeven.hardware import gpu_key
from breakeven.prices.quote import Fetched, Quote, old_warning

FEE_MARKUP: Final = 0.10
"""The renter pays the owner's payout and 10 % of it more (nosana.com/pricing.md, 2026-09-03)."""
_CARDS = re.compile(r"\b(\d+) ?x\b", re.IGNORECASE)


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


def from_api(answer: bytes, *, today: datetime.date) -> Fetched:
    """Quotes from what `GET /api/markets/` answered: `usd_reward_per_hour` is the payout, the ask is 10 % above it.

    A market whose GPU is not in the table, or that names no price, is left out and said. UsageError for no list.
    """
    try:
        listed = json.loads(answer)
    except (ValueError, RecursionError):
        raise UsageError("the answer of Nosana's API is no JSON") from None
    if not isinstance(listed, list) or not all(isinstance(entry, dict) for entry in listed):
        raise UsageError("the answer of Nosana's API is no list of markets")
    quotes: list[Quote] = []
    notes: list[str] = []
    for entry in listed:
        try:
            quotes += _quotes(_from_entry(entry, today=today))
        except (UsageError, msgspec.ValidationError) as error:
            notes.append(f"left out: {one_line(str(error), limit=160)}")
    return Fetched(quotes=tuple(quotes), notes=tuple(notes))


def _from_entry(entry: Mapping[str, Any], *, today: datetime.date) -> Market:
    name, reward = entry.get("name"), entry.get("usd_reward_per_hour")
    if not isinstance(name, str):
        raise UsageError("a market without a name")
    if isinstance(reward, bool) or not isinstance(reward, int | float) or not 0 < reward < 1e6:
        raise UsageError(f"market '{name}' names no price")
    cards = _CARDS.search(name)
    fields = {
        "slug": name,
        "address": entry.get("address"),
        "tier": str(entry.get("type") or "").lower(),
        "gpu": gpu_key(re.sub(r"(?i)\bcommunity\b", "", _CARDS.sub("", name))),
        "cards": int(cards[1][:3]) or 1 if cards else 1,
        "client_usd_per_h": reward * (1 + FEE_MARKUP),
        "reward_usd_per_h": reward,
        "as_of": today,
        "source": "Nosana's API, /api/markets/; the ask is its payout + 10 %",
    }
    return msgspec.convert(fields, Market)
