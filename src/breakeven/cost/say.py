"""How a figure reads on a page: its number, unit and words, and columns that line up."""

import re
import textwrap
from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal
from typing import Final

from breakeven.cost.result import Figure, plain
from breakeven.units import H_PER_DAY, short_count

WIDTH: Final = 116
"""Columns of a line of running text or of a formula."""


def amount(value: float | None, unit: str) -> str:
    """A value with its unit, as a person would write it; `never` and `-` are for the caller to choose."""
    if value is None:
        return "-"
    if unit == "h":
        return f"{value:,.0f} h ({value / H_PER_DAY:,.0f} days)" if value < 1e6 else f"{value:.3g} h"
    if unit == "share":
        return f"{value * 100:,.3g} %" if abs(value) < 9.995 else f"{value * 100:,.0f} %"
    if unit == "x":
        return times(value)
    if unit == "USD":
        return f"{value:,.0f} USD" if abs(value) >= 100 else f"{value:.2f} USD"
    if unit == "tok/USD":
        return f"{short_count(value)} {unit}"
    return f"{short(value)} {unit}".rstrip()


def short(value: float) -> str:
    """Four significant digits, thousands apart."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def fixed(value: float, digits: int) -> str:
    """Decimals rounded half up, as people round; what binary arithmetic adds in the 12th digit does not count."""
    step = Decimal(1).scaleb(-digits)
    return f"{Decimal(f'{value:.12g}').quantize(step, rounding=ROUND_HALF_UP):,}"


def times(value: float) -> str:
    """`2.5x`, `4.07x`: three significant digits, no zeros at the end."""
    return f"{value:.3g}x"


def usd_per_h(value: float) -> str:
    """A rent as a price tag: `0.66 USD/h`, `0.33 USD/h`, `0.0312 USD/h`."""
    return f"{fixed(value, 2)} USD/h" if value >= 0.1 else f"{value:.3g} USD/h"


def figure(found: Figure) -> str:
    """A figure's value, or `never` / `-` where it has none."""
    if found.value is not None:
        return amount(found.value, found.unit)
    return "never" if (found.reason or "").startswith("never") else "-"


def between(values: Sequence[float | None], unit: str) -> str:
    """One value or the two ends of an interval, the lower first."""
    known = [value for value in values if value is not None]
    if len(known) < len(values):
        return "never" if not known else f"{bare(min(known), unit)} to never"
    low, high = min(known), max(known)
    if low == high or bare(low, unit) == bare(high, unit):
        return bare(low, unit)
    return f"{bare(low, unit)} to {bare(high, unit)}"


def bare(value: float, unit: str) -> str:
    """A value for a column whose head names the unit."""
    if unit == "x":
        return f"{fixed(value, 2)}x"
    if unit == "share":
        return f"{value * 100:.3g} %"
    if unit in ("h", "USD"):
        return f"{value:,.0f}"
    if unit == "USD/h":
        return fixed(value, 3)
    return fixed(value, 2) if unit == "k" else plain(float(f"{value:.4g}"))


def columns(rows: Sequence[Sequence[str]], *, indent: str = "  ", gap: str = "  ") -> list[str]:
    """Rows as lines: the first column to the left, the others to the right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return [
        indent + gap.join([row[0].ljust(widths[0]), *(row[i].rjust(widths[i]) for i in range(1, len(row)))]).rstrip()
        for row in rows
    ]


def wrapped(text: str, *, first: str = "", rest: str = "  ") -> list[str]:
    """Running text as lines of at most WIDTH columns."""
    return textwrap.wrap(
        text, WIDTH, initial_indent=first, subsequent_indent=rest, break_long_words=False, break_on_hyphens=False
    )


_IN_WORDS: Final = (
    (re.compile(r"\btokens\b(?!\.)"), "words"),
    (re.compile(r"\bMtok\b"), "Mword"),
    (re.compile(r"\btok/"), "words/"),
)


def counted_in(line: str, counted: str) -> str:
    """A line of a table with tokens called words where words were counted."""
    if counted == "words":
        for token, word in _IN_WORDS:
            line = token.sub(word, line)
    return line
