"""The one writer of numbers: values with their units and intervals, and running text."""

import math
import shutil
import sys
import textwrap
from collections.abc import Callable, Sequence
from decimal import ROUND_HALF_UP, Decimal
from typing import Final, Literal

from breakeven.units import H_PER_DAY, short_count

WIDTH: Final = 116
"""Columns of a line of running text or of a formula."""

DASH: Final = "–"
"""Where a table has nothing to say."""
WIDE_HALF: Final = 0.5
Ends = tuple[float | None, float | None]
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


def percent(part: float | None, *, digits: int = 1) -> str:
    """`4.2 %` of 0.042; `-` where it is not known."""
    return "-" if part is None else f"{part * 100:.{digits}f} %"


def half_width(part: float) -> str:
    """Half of an interval as a share of its value, to about two digits: `5.2 %`, `30 %`."""
    return percent(part, digits=1 if part < 0.0995 else 0)


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
    return f"{rent(value)} USD/h"


def rent(value: float) -> str:
    """The same where the head of a column has the unit."""
    return fixed(value, 2) if value >= 0.1 else f"{value:.3g}"


def digits(value: float) -> str:
    """A figure near 1 with two decimals, one from 10 on, none from 100 on: `1.07`, `12.3`, `140`, `0.0034`."""
    if 0 < abs(value) < 0.0995:
        return f"{value:.2g}"
    return f"{value:.{2 if value < 9.995 else 1 if value < 99.95 else 0}f}"


def interval(low: float | None, high: float | None, said: Callable[[float], str] = digits) -> str:
    """The one form of an interval: `0.95–1.20`, `+1.0 % to +3.2 %`, `0.95, no bound above`."""
    if low is None:
        return "no bound on either side" if high is None else f"no bound below, {said(high)}"
    if high is None:
        return f"{said(low)}, no bound above"
    ends = said(low), said(high)
    return (" to " if any(end.startswith(("+", "-")) for end in ends) else "–").join(ends)


def closed(ci95: Ends, said: Callable[[float], str] = digits, *, otherwise: str = "") -> str:
    """The same for a small space: an interval that is open on a side is not shown."""
    low, high = ci95
    return otherwise if low is None or high is None else interval(low, high, said)


def plus_minus(value: float | None, ci95: Ends, said: Callable[[float], str]) -> str:
    """Half of an interval in per cent of its value; from a half on, where it is far from symmetric, its two ends."""
    if not value or ci95 == (None, None):
        return "–"
    half = _narrow_half(value, ci95)
    return half_width(half) if half is not None else closed(ci95, said, otherwise="open")


def in_doubt(value: float | None, ci95: Ends, said: Callable[[float], str]) -> str:
    """What follows a value in a line: `± 5.2 %`, `(40–180)`, `(95, no bound above)`; nothing where nothing is known."""
    if not value or ci95 == (None, None):
        return ""
    half = _narrow_half(value, ci95)
    return f"± {half_width(half)}" if half is not None else f"({interval(*ci95, said)})"


def _narrow_half(value: float, ci95: Ends) -> float | None:
    """Half of an interval as a share of its value; None where it is open, or as wide as WIDE_HALF."""
    low, high = ci95
    half = None if low is None or high is None else (high - low) / 2 / value
    return half if half is not None and half < WIDE_HALF else None


def between(values: Sequence[float | None], unit: str) -> str:
    """One value or the two ends of an interval, the lower first."""
    known = [value for value in values if value is not None]
    if len(known) < len(values):
        return "never" if not known else f"{bare(min(known), unit)} to never"
    low, high = min(known), max(known)
    if low == high or bare(low, unit) == bare(high, unit):
        return bare(low, unit)
    return interval(low, high, lambda value: bare(value, unit))


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


def number(value: float | None, *, digits: int = 0) -> str:
    """A number for a cell; `-` where there is none."""
    return "-" if value is None else f"{value:,.{digits}f}"


def room() -> int | None:
    """Columns of the terminal that a command writes to; None where its output goes elsewhere."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def wrapped(text: str, *, first: str = "", rest: str = "  ") -> list[str]:
    """Running text as lines of at most WIDTH columns, fewer where the terminal has fewer."""
    width = min(WIDTH, room() or WIDTH)
    return textwrap.wrap(
        text, width, initial_indent=first, subsequent_indent=rest, break_long_words=False, break_on_hyphens=False
    )
