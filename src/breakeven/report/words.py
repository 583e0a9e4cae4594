"""How the reports write a number: the same in every form."""

from breakeven.compare.verdict import digits
from breakeven.cost import say
from breakeven.cost.result import Figure
from breakeven.findings import Findings, Ranked
from breakeven.metrics.summary import Estimate, Quantile
from breakeven.units import short_count, short_s

DASH = "–"


def rate(value: float | None) -> str:
    """A throughput: `2.51k`, `812`."""
    return DASH if value is None else short_count(value)


def rate_range(estimate: Estimate) -> str:
    """`790–835`; empty where an end is open."""
    low, high = estimate.ci95
    return "" if low is None or high is None else f"{short_count(low)}–{short_count(high)}"


def cost(value: float | None) -> str:
    """USD per million tokens."""
    return DASH if value is None else say.short(value)


def cost_range(estimate: Estimate) -> str:
    """`0.11–0.13`; empty where an end is open."""
    low, high = estimate.ci95
    return "" if low is None or high is None else f"{say.short(low)}–{say.short(high)}"


def people(value: float | None) -> str:
    """Users at an operating point: whole ones, as there are no halves."""
    return DASH if value is None else f"{int(value + 1e-9):,}"


def latency(quantile: Quantile) -> str:
    """A percentile, that it is more than some time, or a dash."""
    if quantile.value is not None:
        return short_s(quantile.value)
    return DASH if quantile.more_than is None else f"> {short_s(quantile.more_than)}"


def unit(of: str, counted_in: str) -> str:
    """A unit of tokens as the run counts them: `tok/s`, or `words/s`."""
    return of.replace("tok", counted_in)


def margin(row: Ranked, *, priced: bool) -> str:
    """How far a line of the ranking is from the first."""
    if row.more_than_best is None:
        return DASH
    if row.rank == 1:
        return "cheapest" if priced else "most per card"
    sign = "+" if priced else "−"
    tie = ", a tie with the line above" if row.tie else ""
    return f"{sign}{abs(row.more_than_best) * 100:,.0f} %{tie}"


def is_priced(found: Findings) -> bool:
    """Whether the ranking is by cost."""
    return any(row.usd_per_mtok.value is not None for row in found.ranking)


def per_mtok(found: Findings) -> str:
    """`USD per Mtok`, or of words."""
    return "USD/Mtok" if found.unit == "tok" else "USD/Mword"


def figure(found: Figure | None, *, unit: str) -> str:
    """A figure of the economics with its unit; `never`, or a dash where it is not known."""
    if found is None:
        return DASH
    text = say.figure(found)
    return DASH if text == "-" else say.counted_in(text, "words" if unit == "words" else "tokens")


def counted(text: str, found: Findings) -> str:
    """A label with tokens called words where words were counted."""
    return say.counted_in(text, "tokens" if found.unit == "tok" else "words")


def say_digits(value: float) -> str:
    """A ratio or a number of cards: `0.41`, `12.3`."""
    return digits(value)


def ends_text(estimate: Estimate) -> str:
    """`95 %: 0.37–0.46`; empty where an end is open."""
    low, high = estimate.ci95
    return "" if low is None or high is None else f"95 %: {digits(low)}–{digits(high)}"
