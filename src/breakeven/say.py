"""The one writer of numbers: values with their units, intervals, and columns that line up."""

import math
import textwrap
from collections.abc import Container, Sequence
from decimal import ROUND_HALF_UP, Decimal
from typing import Final, Literal

from breakeven.units import H_PER_DAY, short_count

WIDTH: Final = 116
"""Columns of a line of running text or of a formula."""

Counted = Literal["tokens", "words"]

_IN_WORDS: Final = {
    "tok/s": "words/s",
    "tok/USD": "words/USD",
    "tok/J": "words/J",
    "USD/Mtok": "USD/Mword",
    "USD per tok/s": "USD per word/s",
    "Mtok a day": "Mword a day",
}
"""Units where words were counted instead of tokens."""


def unit_of(unit: str, counted: Counted) -> str:
    """The unit of a figure by what is counted."""
    return _IN_WORDS.get(unit, unit) if counted == "words" else unit


def label_of(label: str, counted: Counted) -> str:
    """A label with `{tokens}` and `{token}` filled in."""
    return label.format(tokens=counted, token=counted.removesuffix("s"))


def amount(value: float | None, unit: str, counted: Counted = "tokens") -> str:
    """A value with its unit, as a person would write it; `never` and `-` are for the caller to choose."""
    if value is None:
        return "-"
    if unit == "h":
        return f"{value:,.0f} h ({value / H_PER_DAY:,.0f} days)" if value < 1e6 else f"{value:.3g} h"
    if unit == "share":
        return share(value)
    if unit == "x":
        return times(value)
    if unit == "USD":
        return f"{value:,.0f} USD" if abs(value) >= 100 else f"{value:.2f} USD"
    number = short_count(value) if unit == "tok/USD" else short(value)
    return f"{number} {unit_of(unit, counted)}".rstrip()


def share(value: float) -> str:
    """`35.9 %`, `1,200 %`."""
    return f"{value * 100:,.3g} %" if abs(value) < 9.995 else f"{value * 100:,.0f} %"


def more(value: float | None) -> str:
    """A share more or less than something: `+4.6 %`, `-12.3 %`; `-` where it is not known."""
    return "-" if value is None else f"{value * 100:+.1f} %"


def chance(p: float) -> str:
    """A share of draws: draws never prove that something is sure or impossible."""
    if 0.001 <= p <= 0.999:
        return f"{p * 100:.1f} %"
    return "<0.1 %" if p < 0.5 else ">99.9 %"


def short(value: float) -> str:
    """Four significant digits, thousands apart."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def plain(value: float) -> str:
    """Six significant digits, thousands apart, never an exponent for large numbers."""
    if not math.isfinite(value):
        return "never"
    return f"{value:,.0f}" if abs(value) >= 1e6 else f"{value:,.6g}"


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


def columns(
    rows: Sequence[Sequence[str]], *, left: Container[int] = (0,), indent: str = "  ", gap: str = "  "
) -> list[str]:
    """Rows as lines with every column as wide as its widest cell; `left` ones begin at the left. Empty ones go."""
    count = max(len(row) for row in rows)
    cells = [[*row, *("" for _ in range(count - len(row)))] for row in rows]
    widths = [max(len(row[i]) for row in cells) for i in range(count)]
    return [
        indent
        + gap.join(
            row[i].ljust(widths[i]) if i in left else row[i].rjust(widths[i]) for i in range(count) if widths[i]
        ).rstrip()
        for row in cells
    ]


def number(value: float | None, *, digits: int = 0) -> str:
    """A number for a cell; `-` where there is none."""
    return "-" if value is None else f"{value:,.{digits}f}"


def wrapped(text: str, *, first: str = "", rest: str = "  ") -> list[str]:
    """Running text as lines of at most WIDTH columns."""
    return textwrap.wrap(
        text, WIDTH, initial_indent=first, subsequent_indent=rest, break_long_words=False, break_on_hyphens=False
    )
