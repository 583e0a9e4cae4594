"""A CSV file of quotes: a user's own prices, or what a refresh saved."""

import csv
import io
import math
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from breakeven.errors import UsageError, one_line
from breakeven.hardware import find_gpus
from breakeven.prices.quote import Quote

COLUMNS: Final = Quote.__struct_fields__
_NEEDED: Final = ("gpu", "provider", "usd_per_h_card", "kind", "as_of", "source")
_MORE: Final = tuple(name for name in COLUMNS if name not in _NEEDED)


def read_quotes(text: str, *, where: str) -> tuple[Quote, ...]:
    """Read `gpu,provider,usd_per_h_card,kind,as_of,source` and, if given, the other fields of a quote.

    UsageError names the file, the line and what was expected; nothing is read from a file with a mistake.
    """
    rows = csv.DictReader(io.StringIO(text), strict=True, restkey="")
    try:
        _check_header(rows.fieldnames or (), where=where)
        return tuple(_quote(row, where=f"{where}, line {rows.line_num}") for row in rows)
    except csv.Error as error:
        raise UsageError(f"{where}, line {rows.line_num}: {error}") from None


def quotes_csv(quotes: Iterable[Quote]) -> str:
    """The quotes as CSV that `read_quotes` reads back."""
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(msgspec.to_builtins(quote) for quote in quotes)
    return out.getvalue()


def _check_header(names: Iterable[str], *, where: str) -> None:
    missing = [name for name in _NEEDED if name not in names]
    foreign = [one_line(name, limit=40) for name in names if name not in COLUMNS]
    if missing or foreign:
        problem = f"column {missing[0]} is missing" if missing else f"no column is called '{foreign[0]}'"
        raise UsageError(f"{where}: {problem}; a price file has {', '.join(_NEEDED)}, and may have {', '.join(_MORE)}")


def _quote(row: Mapping[str, str | None], *, where: str) -> Quote:
    if "" in row or None in row.values():
        raise UsageError(f"{where}: the line has more or fewer cells than the heading")
    try:
        given = {name: cell for name, cell in row.items() if cell or name in _NEEDED}
        quote = msgspec.convert(given, Quote, strict=False)
        find_gpus(quote.gpu)
    except (msgspec.ValidationError, UsageError) as error:
        raise UsageError(f"{where}: {one_line(str(error))}") from None
    if not (math.isfinite(quote.usd_per_h_card) and quote.usd_per_h_card > 0):
        raise UsageError(f"{where}: {quote.usd_per_h_card:g} USD per hour is no price; leave the line out if unknown")
    return quote
