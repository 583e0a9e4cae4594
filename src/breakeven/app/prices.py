"""The commands about facts: what a GPU is, and what renting it costs."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from breakeven.app.runs import read_text, write_file
from breakeven.clock import wall_now
from breakeven.hardware import find_gpus
from breakeven.prices import cached_quotes, keep_quotes, known_quotes, quotes_csv, quotes_for, read_quotes
from breakeven.prices.quote import Fetched, Quote
from breakeven.prices.skypilot import FROM_ENV, read
from breakeven.report.facttables import gpu_table, price_table


def quotes() -> tuple[Quote, ...]:
    """Every quote that a report may take: those that come with breakeven, and those of the last refresh."""
    return (*known_quotes(), *cached_quotes().quotes)


def gpus(name: str | None) -> int:
    """List the GPU table, or what a name may stand for."""
    sys.stdout.write(gpu_table(name))
    return 0


def prices(gpu: str | None, *, refresh: bool, base: str | None, file: Path | None, save: Path | None) -> int:
    """List dated quotes: those that come with breakeven, those of the last or a new refresh, and the user's own."""
    if gpu is not None:
        find_gpus(gpu)
    own = () if file is None else read_quotes(read_text(file), where=str(file))
    fetched = _refreshed(base) if refresh else cached_quotes()
    for note in fetched.notes:
        print(note, file=sys.stderr)
    known: Sequence[Quote] = list(dict.fromkeys([*known_quotes(), *fetched.quotes, *own]))
    if save is not None:
        write_file(save, quotes_csv(quotes_for(gpu, known) if gpu else known).encode())
    sys.stdout.write(price_table(known, today=wall_now().date(), gpu=gpu))
    return 0


def _refreshed(base: str | None) -> Fetched:
    """Prices of now, kept for the other commands; with those of earlier refreshes that they do not replace."""
    fresh = _fetch(base or os.environ.get(FROM_ENV))
    problem = keep_quotes(fresh.quotes)
    if problem is not None:
        return Fetched(quotes=fresh.quotes, notes=(*fresh.notes, problem))
    return Fetched(quotes=cached_quotes().quotes, notes=fresh.notes)


def _fetch(base: str | None) -> Fetched:
    today = wall_now().date()
    if base == "gpuhunt":
        from breakeven.prices.hunt import read as read_gpuhunt

        return read_gpuhunt(today=today)
    return read(today=today, base=base)
