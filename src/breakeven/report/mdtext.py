"""Text and tables of Markdown, safe in a pull request."""

import html
import re
from collections.abc import Iterator, Sequence
from typing import Final

from breakeven.report.forms import markdown
from breakeven.table import Table, filled, heads, plain

_SPECIAL: Final = re.compile(r"([\\`*_\[\]|#~])")


def text(value: str) -> str:
    """Text that Markdown leaves as it is."""
    plain = _SPECIAL.sub(r"\\\1", html.escape(value, quote=False))
    return plain.replace("@", "@\u200b").replace("://", ":\u200b//").replace("www.", "www\u200b.")


def table(labels: Sequence[str], rows: Sequence[Sequence[str]], *, left: int = 2) -> Iterator[str]:
    """`left` columns stand to the left, the others to the right."""
    yield from (*markdown(Table(heads(*labels, left=range(left)), rows)), "")


def told(table: Table) -> Iterator[str]:
    """The one table, whose cells are texts: made safe, without bars, bold what heads rows and the best row's name."""
    safe = [[text(plain(cell)) for cell in row] for row in table.rows]
    rows = [[f"**{row[0]}**"] if len(row) == 1 < len(table.columns) else row for row in safe]
    shown = filled(table._replace(rows=rows))
    names = [column._replace(label=text(column.head), unit="") for column in shown.columns]
    named_at = next((at for at, column in enumerate(shown.columns) if column.align == "left"), 0)
    cells = [
        [f"**{cell}**" if at == shown.best and place == named_at else plain(cell) for place, cell in enumerate(row)]
        for at, row in enumerate(shown.rows)
    ]
    yield from (*markdown(Table(names, cells)), "")
