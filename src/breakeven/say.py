"""The one writer of plain tables: text in aligned columns, without colour or boxes."""

from collections.abc import Sequence
from typing import Literal

Align = Literal["<", ">"]


def columns(rows: Sequence[Sequence[str]], *, align: Sequence[Align]) -> list[str]:
    """Lines with every column as wide as its widest cell, two spaces apart; the first row is the heading."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return [
        "  ".join(f"{cell:{side}{width}}" for cell, side, width in zip(row, align, widths, strict=True)).rstrip()
        for row in rows
    ]


def number(value: float | None, *, digits: int = 0) -> str:
    """A number for a cell; `-` where there is none."""
    return "-" if value is None else f"{value:,.{digits}f}"
