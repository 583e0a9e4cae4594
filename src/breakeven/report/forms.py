"""The one table in other forms than plain lines: a terminal's styles, Markdown, HTML, CSV."""

import csv
import io
from collections.abc import Iterable
from typing import TYPE_CHECKING

from breakeven.report.markup import Html, el
from breakeven.table import Table, laid, plain

if TYPE_CHECKING:
    from rich.text import Text


def screen(table: Table, *, width: int | None) -> "Text":
    """The same in a terminal's styles, heads in bold."""
    from rich.text import Text

    told = [Text.assemble(*line) for line in laid(table, width=width)]
    for head in told[: len(told) - len(table.rows)]:
        head.stylize("bold")
    for line in told:
        line.rstrip()
    return Text("\n").join(told)


def markdown(table: Table) -> list[str]:
    """A Markdown table; what may hold markup is escaped by whoever makes the cells."""
    sides = "|".join(":--" if column.align == "left" else "--:" for column in table.columns)
    rows = [[column.head for column in table.columns], *([plain(cell) for cell in row] for row in table.rows)]
    first, *others = (f"| {' | '.join(row)} |" for row in rows)
    return [first, f"|{sides}|", *others]


def html(table: Table, *, caption: str | None = None) -> Html:
    """An HTML table that scrolls where it is too wide; the first cell of a row is its head, a cell may be Html."""
    sides = [None if column.align == "left" else "n" for column in table.columns]
    rows = [
        el(
            "tr",
            *(
                el("td" if at else "th", cell if isinstance(cell, Html) else plain(cell), class_=side, **_scope(at))
                for at, (cell, side) in enumerate(zip(row, sides, strict=True))
            ),
        )
        for row in table.rows
    ]
    named = [el("th", column.head, scope="col", class_=side) for column, side in zip(table.columns, sides, strict=True)]
    head = el("thead", el("tr", *named)) if any(column.head for column in table.columns) else None
    top = el("caption", caption) if caption else None
    return el("div", el("table", top, head, el("tbody", *rows)), class_="scroll")


def _scope(at: int) -> dict[str, str]:
    return {} if at else {"scope": "row"}


def csv_text(heads: Iterable[str], rows: Iterable[Iterable[str | float | None]]) -> str:
    """CSV: an empty cell is undefined, and a text cannot be taken for a spreadsheet formula."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(heads)
    writer.writerows([_csv_cell(value) for value in row] for row in rows)
    return out.getvalue()


def _csv_cell(value: str | float | None) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return f"'{value}" if value.startswith(("=", "+", "-", "@", "\t", "\r")) else value
    return str(value) if isinstance(value, int) else repr(float(value))
