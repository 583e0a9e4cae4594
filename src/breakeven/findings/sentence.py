"""The answer in one sentence, with how sure it is."""

from collections.abc import Sequence

from breakeven.compare.types import Comparison, Equivalence, OperatingPoint
from breakeven.compare.words import digits, reasons_text
from breakeven.cost import say
from breakeven.findings.types import Money, Subject
from breakeven.metrics.slo import ServiceLevel
from breakeven.metrics.summary import Estimate
from breakeven.units import short_count

Told = tuple[str, str]
"""The sentence, and its confidence."""


def level_text(level: ServiceLevel | None, *, unit: str) -> str | None:
    """`25 tok/s for every user`, or the limits of an SLO."""
    if level is None:
        return None
    floor = level.floor_tok_per_s_per_user
    if floor is not None:
        return f"{floor:g} {unit}/s for every user"
    return level.text(unit=f"{unit}/s")


def compared(
    reference: Subject, candidate: Subject, figure: Equivalence | None, *, money: Money | None, level: str | None
) -> Told:
    """How many of B do the work of one A, and at what share of its cost."""
    if figure is None or figure.value is None:
        why = "no service level fits both runs" if figure is None else f"{figure.at}: {reasons_text(figure.reasons)}"
        return f"{_name(candidate)} and {_name(reference)} cannot be held against each other here.", f"{why}."
    more = {"<=": "at most ", ">=": "at least "}.get(figure.relation or "=", "")
    verb = "does" if digits(figure.value) == "1.00" else "do"
    work = f"{more}{digits(figure.value)} × {_name(candidate)} {verb} the work of one {_name(reference)} ({level})"
    ratio = None if money is None else money.cost_ratio
    if ratio is None or ratio.value is None:
        return _capital(work) + ".", _sure([("cards", figure.ci95)], figure)
    for_what = f"for {more}" if more else "at "
    counted = "word" if candidate.unit == "words" else "token"
    text = f"{work} {for_what}{digits(ratio.value)} of its cost per {counted}."
    return _capital(text), _sure([("of the cost", ratio.ci95), ("cards", figure.ci95)], figure)


def _name(subject: Subject) -> str:
    return f"{subject.hardware} with {subject.engine}" if subject.engine else subject.hardware


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


def _sure(parts: Sequence[tuple[str, tuple[float | None, float | None]]], figure: Equivalence) -> str:
    told = [f"{ends(interval)} {what}" for what, interval in parts if ends(interval)]
    interval = f"95 %: {', '.join(told)}." if told else "Without an interval."
    tie = " A tie in throughput: neither is shown to be ahead." if figure.tie else ""
    bound = f" A bound: {reasons_text(figure.reasons)}." if figure.status == "bound" and figure.reasons else ""
    return interval + tie + bound


def ends(interval: tuple[float | None, float | None]) -> str:
    """`0.37–0.46`, `0.37 or more`, `up to 0.46`; nothing where both ends are open."""
    low, high = interval
    if low is None and high is None:
        return ""
    if low is None:
        return f"up to {digits(high or 0.0)}"
    return f"{digits(low)} or more" if high is None else f"{digits(low)}–{digits(high)}"


def alone(subject: Subject, *, money: Money | None, level: str | None) -> Told:
    """What one run gives, and what its tokens cost."""
    point = subject.capacity
    best = max(
        (one for one in subject.levels if one.summary.output_tok_per_s.value is not None),
        key=lambda one: one.summary.output_tok_per_s.value or 0.0,
        default=None,
    )
    name = f"{_name(subject)} serves {subject.model}" if subject.model else _name(subject)
    if point is not None and point.output_tok_per_s.value is not None:
        speed, what = _speed(subject, point), f"at {level}"
        least = "at least " if point.status == "bound" else "up to "
        users = "" if point.users.value is None else f", {_people(point.users.value)} at once"
        text = f"{name}: {least}{_rate(speed.value, subject.unit)} {what}{users}"
    elif best is not None:
        speed = best.summary.output_tok_per_s
        text = f"{name}: {_rate(speed.value, subject.unit)} at {best.load}"
    else:
        return f"{name}: no level gave a throughput.", "Nothing was measured to the end."
    cost = None if money is None else money.report.candidate.figures["usd_per_mtok_output"].value
    if cost is not None:
        text += (
            f", {say.counted_in(say.amount(cost, 'USD/Mtok'), 'words' if subject.unit == 'words' else 'tokens')} output"
        )
    return text + ".", _rate_sure(speed, subject.unit)


def _speed(subject: Subject, point: OperatingPoint) -> Estimate:
    """Where the service level is still met at the top, the top level with its own interval."""
    top = [one.summary for one in subject.levels if one.summary.users == point.users.value]
    return top[0].output_tok_per_s if point.status == "bound" and len(top) == 1 else point.output_tok_per_s


def _people(users: float) -> str:
    count = int(users + 1e-9)
    return "one user" if count == 1 else f"{count} users"


def _rate(value: float | None, unit: str) -> str:
    return f"{short_count(value or 0.0)} {unit}/s"


def _rate_sure(speed: Estimate, unit: str) -> str:
    low, high = speed.ci95
    if low is None or high is None:
        return "The throughput has no interval."
    return f"95 %: {short_count(low)}–{short_count(high)} {unit}/s."


def best_comparison(
    comparisons: Sequence[Comparison], money: Sequence[Money], figures: Sequence[Equivalence | None]
) -> int:
    """The candidate to tell of: the cheapest per token, without prices the one that needs the fewest cards."""
    costs = [case.cost_ratio.value for case in money]
    values = costs if any(value is not None for value in costs) else [f.value if f else None for f in figures]
    known = [(value, index) for index, value in enumerate(values) if value is not None]
    return min(known)[1] if known and len(values) == len(comparisons) else 0
