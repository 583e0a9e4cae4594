"""The one table in other forms than plain lines: a terminal's styles, Markdown, HTML, CSV."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from breakeven.report.marks import mark
from breakeven.report.markup import Html, el, joined
from breakeven.table import Bar, Cell, Column, Table, Told, laid, plain

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


def html(table: Table, *, caption: str | None = None, name: str | None = None, style: str | None = None) -> Html:
    """An HTML table that scrolls where it is too wide; the first column at the left heads the rows, a cell may be Html.

    `name` is its id. With the style `stack` a narrow window shows the cells of a row below each other.
    """
    head_at = next((at for at, column in enumerate(table.columns) if column.align == "left"), 0)

    def cells(at: int, row: Sequence[Cell]) -> Iterator[Html]:
        first = row[head_at]
        about = first.text if isinstance(first, Told) else plain(first)
        for place, (column, cell) in enumerate(zip(table.columns, row, strict=False)):
            inside = _inside(cell, f"{name or ''}-{at}-{place}", about=about)
            if place == head_at:
                yield el("th", inside, scope="row", class_=_classes(column))
            else:
                label = column.head if style == "stack" else ""
                yield el("td", inside, class_=_classes(column), data_label=label or None)

    rows = [
        el("tr", el("th", plain(row[0]), colspan=len(table.columns), scope="colgroup"), class_="group")
        if len(row) == 1 < len(table.columns)
        else el("tr", *cells(at, row), class_="best" if at == table.best else None)
        for at, row in enumerate(table.rows)
    ]
    head = el("thead", el("tr", *map(_head, table.columns))) if any(column.head for column in table.columns) else None
    top = el("caption", caption) if caption else None
    return el("div", el("table", top, head, el("tbody", *rows), id=name, class_=style), class_="scroll")


def _classes(column: Column) -> str | None:
    return " ".join(filter(None, ("" if column.align == "left" else "n", column.name))) or None


def _head(column: Column) -> Html:
    """An empty head is no head for who hears the table."""
    tag, scope = ("th", "col") if column.head else ("td", None)
    return el(tag, column.head, scope=scope, class_=_classes(column))


def _inside(cell: Cell, name: str, *, about: str) -> str:
    if not isinstance(cell, Told):
        return cell if isinstance(cell, Html) else plain(cell)
    return joined(
        el("span", cell.key, class_="key") if cell.key else None,
        None if cell.bar is None else _bar(cell.bar),
        el("span", cell.text, data_fig=cell.figure or None, title=cell.formula or None) if cell.text else None,
        mark(cell.doubts, name, about=about),
        el("small", cell.small) if cell.small else None,
        el("small", cell.source, class_="source", title=cell.source) if cell.source else None,
    )


def _bar(bar: Bar) -> Html:
    """Outlined where it is predicted."""
    ends = {} if bar.ends is None else dict(zip(("x1", "x2"), map(_share, bar.ends), strict=True))
    return el(
        "svg",
        el("rect", x=0, y="15%", width=_share(bar.part), height="70%", rx=2),
        el("line", **ends, y1="50%", y2="50%") if ends else None,
        class_=f"rankbar s{'rest' if bar.series is None else bar.series}{' predicted' if bar.dashed else ''}",
        aria_hidden="true",
    )


def _share(part: float) -> str:
    return f"{100 * max(0.0, min(part, 1.0)):.2f}%"


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
