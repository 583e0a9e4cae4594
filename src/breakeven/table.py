"""The one table: columns with label, unit and side, and rows of cells; here as lines that line up."""

from collections.abc import Container, Iterator, Sequence
from itertools import groupby
from typing import Final, Literal, NamedTuple

GAP: Final = "  "


class Column(NamedTuple):
    """One column. `over` is a head that neighbours share; where a line is too narrow, the highest `goes` goes first."""

    label: str
    unit: str = ""
    align: Literal["left", "right"] = "right"
    over: str = ""
    goes: int = 0
    """0: it stays, however narrow the line."""

    @property
    def head(self) -> str:
        """Label and unit."""
        return f"{self.label} {self.unit}".strip()


class Styled(NamedTuple):
    """A part of a cell that a terminal shows in a style of rich's; elsewhere it is its text."""

    text: str
    style: str = ""


Cell = str | Styled | tuple[Styled, ...]


class Table(NamedTuple):
    """Rows are as long as there are columns, or shorter."""

    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]


def heads(*labels: str, left: Container[int] = (0,)) -> list[Column]:
    """Columns by their heads alone; those at `left` begin at the left."""
    return [Column(label, align="left" if at in left else "right") for at, label in enumerate(labels)]


def parts(cell: Cell) -> tuple[Styled, ...]:
    """A cell's parts in order."""
    return (Styled(cell),) if isinstance(cell, str) else (cell,) if isinstance(cell, Styled) else cell


def plain(cell: Cell) -> str:
    """A cell's text."""
    return "".join(part.text for part in parts(cell))


def lines(table: Table, *, width: int | None = None, indent: str = "") -> list[str]:
    """Lines that line up; without columns that are empty, and those that a line of `width` has no room for."""
    return ["".join(part.text for part in line).rstrip() for line in laid(table, width=width, indent=indent)]


def laid(table: Table, *, width: int | None, indent: str = "") -> list[list[Styled]]:
    """The parts of each line, heads first."""
    room = None if width is None else width - len(indent)
    shown = _fitting(_filled(table), room)
    gap = " " if room is not None and _wide(shown) > room else GAP
    widths = _widths(shown)
    heads = [[column.head for column in shown.columns]] if any(column.head for column in shown.columns) else []
    told = [[Styled(indent), *_line(shown.columns, row, widths, gap)] for row in (*heads, *shown.rows)]
    spans = (text.ljust(sum(widths[at] for at in span) + len(gap) * (len(span) - 1)) for text, span in _spans(shown))
    over = gap.join(spans)
    return [[Styled(indent + over)], *told] if over.strip() else told


def _line(columns: Sequence[Column], row: Sequence[Cell], widths: Sequence[int], gap: str) -> Iterator[Styled]:
    for at, (column, cell) in enumerate(zip(columns, row, strict=True)):
        space = Styled(" " * (widths[at] - len(plain(cell))))
        yield Styled(gap if at else "")
        yield from (*parts(cell), space) if column.align == "left" else (space, *parts(cell))


def _filled(table: Table) -> Table:
    """Every row as long as the table is wide, and no column without a head whose cells are empty."""
    count = len(table.columns)
    rows = [[*row, *("" for _ in range(count - len(row)))] for row in table.rows]
    empty = {
        at for at, column in enumerate(table.columns) if not column.head and not any(plain(row[at]) for row in rows)
    }
    return without(Table(table.columns, rows), empty)


def without(table: Table, places: set[int]) -> Table:
    """The table without the columns at these places."""

    def kept(cells: Sequence[Cell]) -> list[Cell]:
        return [cell for at, cell in enumerate(cells) if at not in places]

    columns = [column for at, column in enumerate(table.columns) if at not in places]
    return Table(columns, [kept(row) for row in table.rows])


def _fitting(table: Table, width: int | None) -> Table:
    """As many columns as a line has room for."""
    most = max((column.goes for column in table.columns), default=0)
    if width is None or most == 0 or _wide(table) <= width:
        return table
    first = max(at for at, column in enumerate(table.columns) if column.goes == most)
    return _fitting(without(table, {first}), width)


def _wide(table: Table) -> int:
    widths = _widths(table)
    return sum(widths) + len(GAP) * (len(widths) - 1)


def _widths(table: Table) -> list[int]:
    """Of the widest cell or head; the first of those under one head is as wide as that needs."""
    cells = [[column.head for column in table.columns], *table.rows]
    widths = [max(len(plain(row[at])) for row in cells) for at in range(len(table.columns))]
    for text, span in _spans(table):
        rest = sum(widths[at] + len(GAP) for at in span[1:])
        widths[span[0]] = max(widths[span[0]], len(text) - rest)
    return widths


def _spans(table: Table) -> list[tuple[str, list[int]]]:
    """What stands over the heads, and over which of them."""
    places = groupby(range(len(table.columns)), key=lambda at: table.columns[at].over or at)
    return [(table.columns[span[0]].over, span) for span in (list(group) for _, group in places)]
