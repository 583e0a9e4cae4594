"""The one table: columns with label, unit and side, and rows of cells; here as lines that line up."""

from collections.abc import Container, Iterator, Sequence
from itertools import groupby
from typing import Final, Literal, NamedTuple

GAP: Final = "  "
LONGEST_BAR: Final = 40


class Column(NamedTuple):
    """One column. `over` is a head that neighbours share; where a line is too narrow, the highest `goes` goes first."""

    label: str
    unit: str = ""
    align: Literal["left", "right"] = "right"
    over: str = ""
    goes: int = 0
    """0: it stays, however narrow the line."""
    name: str = ""
    """What the page calls it, whose script writes its cells again when a price changes."""

    @property
    def head(self) -> str:
        """Label and unit."""
        return f"{self.label} {self.unit}".strip()


class Styled(NamedTuple):
    """A part of a cell that a terminal shows in a style of rich's; elsewhere it is its text."""

    text: str
    style: str = ""


class Bar(NamedTuple):
    """A value as a bar from zero to `part` of the longest, with its interval in the same shares."""

    part: float
    ends: tuple[float, float] | None = None
    series: int | None = None
    """Which of the colours of a chart; None: the grey of those that have no colour of their own."""
    dashed: bool = False


class Told(NamedTuple):
    """A cell of more than a text; what a form has no place for, it leaves out."""

    text: str
    small: str = ""
    """Its interval, or a word on it: in brackets, on the page below it."""
    key: str = ""
    """The letter of a run, before its name."""
    doubts: Sequence[str] = ()
    """Cautions that touch it: on the page a mark with their number that opens them."""
    figure: str = ""
    """The place of a figure of the economics: the page works it out again when a price changes."""
    formula: str = ""
    source: str = ""
    """Where it is from: on the page below it."""
    bar: Bar | None = None


Cell = str | Styled | tuple[Styled, ...] | Told


class Table(NamedTuple):
    """Rows are as long as there are columns, or shorter; a row of one cell heads those below it."""

    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    best: int | None = None
    """The row that is the answer: on the page and in Markdown it stands out."""


def heads(*labels: str, left: Container[int] = (0,)) -> list[Column]:
    """Columns by their heads alone; those at `left` begin at the left."""
    return [Column(label, align="left" if at in left else "right") for at, label in enumerate(labels)]


def parts(cell: Cell) -> tuple[Styled, ...]:
    """A cell's parts in order."""
    if isinstance(cell, Told):
        return (Styled(f"{cell.key}: " if cell.key else ""), Styled(cell.text), Styled(_bracketed(cell.small)))
    return (Styled(cell),) if isinstance(cell, str) else (cell,) if isinstance(cell, Styled) else cell


def _bracketed(text: str) -> str:
    return f" ({text})" if text else ""


def plain(cell: Cell) -> str:
    """A cell's text."""
    return "".join(part.text for part in parts(cell))


def lines(table: Table, *, width: int | None = None, indent: str = "") -> list[str]:
    """Lines that line up; without columns that are empty, and those that a line of `width` has no room for."""
    return ["".join(part.text for part in line).rstrip() for line in laid(table, width=width, indent=indent)]


def laid(table: Table, *, width: int | None, indent: str = "") -> list[list[Styled]]:
    """The parts of each line, heads first."""
    room = None if width is None else width - len(indent)
    shown = _fitting(_drawn(filled(_set_in(table)), room), room)
    gap = " " if room is not None and _wide(shown) > room else GAP
    widths = _widths(shown)
    heads = [[column.head for column in shown.columns]] if any(column.head for column in shown.columns) else []
    told = [[Styled(indent), *_line(shown.columns, row, widths, gap)] for row in (*heads, *shown.rows)]
    spans = (text.ljust(sum(widths[at] for at in span) + len(gap) * (len(span) - 1)) for text, span in _spans(shown))
    over = gap.join(spans)
    return [[Styled(indent + over)], *told] if over.strip() else told


def _set_in(table: Table) -> Table:
    """What stands below a row that heads it is set in."""
    if len(table.columns) == 1 or all(len(row) > 1 for row in table.rows):
        return table

    def shown(row: Sequence[Cell]) -> Sequence[Cell]:
        return row if len(row) == 1 else (f"  {plain(row[0])}", *row[1:])

    return table._replace(rows=[*map(shown, table.rows)])


def _drawn(table: Table, room: int | None) -> Table:
    """Bars as blocks, as long as the line has room for."""
    barred = {at for row in table.rows for at, cell in enumerate(row) if _has_bar(cell)}
    others = _wide(without(table, barred)) + len(GAP)
    width = LONGEST_BAR if room is None else max(0, min(LONGEST_BAR, room - others))

    def shown(cell: Cell) -> Cell:
        return _blocks(cell.bar, width) if isinstance(cell, Told) and cell.bar else cell

    return table._replace(rows=[[*map(shown, row)] for row in table.rows])


def _blocks(bar: Bar, width: int) -> tuple[Styled, ...]:
    """Light from the low end of its interval on."""
    sure, whole = (round(part * width) for part in (min(bar.ends[0] if bar.ends else bar.part, bar.part), bar.part))
    return Styled("█" * sure, "cyan"), Styled("░" * (whole - sure), "cyan")


def _line(columns: Sequence[Column], row: Sequence[Cell], widths: Sequence[int], gap: str) -> Iterator[Styled]:
    for at, (column, cell) in enumerate(zip(columns, row, strict=True)):
        space = Styled(" " * (widths[at] - len(plain(cell))))
        yield Styled(gap if at else "")
        yield from (*parts(cell), space) if column.align == "left" else (space, *parts(cell))


def filled(table: Table) -> Table:
    """Every row as long as the table is wide, and no column without a head whose cells are empty."""
    count = len(table.columns)
    rows = [[*row, *("" for _ in range(count - len(row)))] for row in table.rows]
    empty = {
        at
        for at, column in enumerate(table.columns)
        if not column.head and not any(plain(row[at]) or _has_bar(row[at]) for row in rows)
    }
    return without(table._replace(rows=rows), empty)


def _has_bar(cell: Cell) -> bool:
    return isinstance(cell, Told) and cell.bar is not None


def without(table: Table, places: set[int]) -> Table:
    """The table without the columns at these places."""

    def kept(cells: Sequence[Cell]) -> list[Cell]:
        return [cell for at, cell in enumerate(cells) if at not in places]

    columns = [column for at, column in enumerate(table.columns) if at not in places]
    return table._replace(columns=columns, rows=[kept(row) for row in table.rows])


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
