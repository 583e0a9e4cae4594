"""The answer in words: one sentence whose numbers follow the prices, and how sure it is."""

from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

from breakeven.compare.words import ONLY, next_levels_text, reasons_text
from breakeven.findings import Answer, Findings, Subject
from breakeven.findings.types import NO_ENDS
from breakeven.metrics.summary import Estimate
from breakeven.report.shortnames import short_names
from breakeven.say import amount, digits, interval
from breakeven.units import load_text, short_count


class Part(NamedTuple):
    """A number of the sentence that changes with the prices."""

    figure: Literal["k", "ratio", "cost"]
    text: str


Parts = list[str | Part]


def level_text(found: Findings) -> str | None:
    """`25 tok/s a user on average`, or the limits of an SLO."""
    level = found.service_level
    if level is None:
        return None
    floor = level.floor_tok_per_s_per_user
    unit = f"{found.unit}/s"
    return level.text(unit=unit) if floor is None else f"{floor:g} {unit} a user on average"


def title_text(found: Findings) -> str:
    """What the report is called where nobody named it."""
    if found.title is not None:
        return found.title
    if found.study is not None:
        return found.study.name
    labels = [subject.label for subject in found.subjects]
    return f"{labels[0]} against {len(labels) - 1} others" if len(labels) > 3 else " vs ".join(labels)


def answer_text(found: Findings) -> str:
    """The sentence as plain text."""
    return "".join(part if isinstance(part, str) else part.text for part in answer_parts(found))


def answer_parts(found: Findings, answer: Answer | None = None) -> Parts:
    """The sentence of the report, or of one candidate, with its numbers set apart."""
    answer = answer or found.answer
    if answer.kind == "compared":
        return [*_compared(found, answer)]
    if answer.kind == "apart":
        candidate, reference = _pair(found, answer)
        return [f"{candidate} and {reference} cannot be held against each other here."]
    if answer.kind == "nothing":
        return [f"{_served(found.subjects[answer.subject])}: no level gave a throughput."]
    return [*_alone(found, answer)]


def _compared(found: Findings, answer: Answer) -> Iterator[str | Part]:
    mark, (candidate, reference) = _shared_mark(found, answer), _pair(found, answer)
    more = {"<=": "at most ", ">=": "at least "}.get(answer.relation or "=", "")
    k, ratio = answer.k.value or 0.0, answer.cost_ratio.value
    yield from filter(None, [f"{mark.capitalize()}: {more}" if mark else more.capitalize()])
    yield Part("k", digits(k))
    verb = "does" if digits(k) == "1.00" else "do"
    yield f" × {candidate} {verb} the work of one {reference} ({level_text(found)})"
    if ratio is not None:
        yield f" for {more}" if more else " at "
        yield Part("ratio", digits(ratio))
        yield f" of its cost per {'word' if found.unit == 'words' else 'token'}"
    yield "."


def _alone(found: Findings, answer: Answer) -> Iterator[str | Part]:
    subject = found.subjects[answer.subject]
    speed = f"{short_count(answer.speed.value or 0.0)} {subject.unit}/s"
    if answer.load is not None:
        yield f"{_served(subject)}: {speed} at {answer.load}"
    else:
        least = "at least " if answer.is_least else "up to "
        yield f"{_served(subject)}: {least}{speed} at {level_text(found)}{_load(answer)}"
    if answer.usd_per_mtok is not None:
        yield ", "
        yield Part("cost", amount(answer.usd_per_mtok, "USD/Mtok", "words" if subject.unit == "words" else "tokens"))
        yield " output"
    yield "."


def _shared_mark(found: Findings, answer: Answer) -> str:
    """Of two runs that nobody measured: said once, before both; empty for any others."""
    first, second = (found.subjects[index].mark for index in (answer.subject, answer.reference or 0))
    return first if first == second and answer.kind == "compared" else ""


def _pair(found: Findings, answer: Answer) -> tuple[str, str]:
    """Candidate and reference by machine and engine; of a study by their settings."""
    candidate, reference = answer.subject, answer.reference or 0
    if found.study is not None:
        names = short_names(found)
        return names[candidate], names[reference]
    said = _machine if _shared_mark(found, answer) else _name
    return said(found.subjects[candidate]), said(found.subjects[reference])


def _machine(subject: Subject) -> str:
    return f"{subject.hardware} with {subject.engine}" if subject.engine else subject.hardware


def _name(subject: Subject) -> str:
    return f"{_machine(subject)} ({subject.mark})" if subject.mark else _machine(subject)


def _served(subject: Subject) -> str:
    return f"{_name(subject)} serves {subject.model}" if subject.model else _name(subject)


def _load(answer: Answer) -> str:
    if answer.req_per_s is not None:
        return f", {load_text(None, answer.req_per_s)} offered"
    return "" if answer.users is None else f", {_people(answer.users)} at once"


def _people(users: float) -> str:
    count = int(users + 1e-9)
    return "one user" if count == 1 else f"{count} users"


def sure_text(found: Findings, answer: Answer | None = None) -> str:
    """How sure the answer is."""
    answer = answer or found.answer
    if answer.kind == "compared":
        return _sure([("of the cost", answer.cost_ratio), ("cards", answer.k)], answer) + _next_text(found, answer)
    if answer.kind == "apart":
        why = reasons_text(answer.why)
        return f"At {level_text(found)}: {why}." if why else "No service level fits both runs."
    if answer.kind == "nothing":
        return "Nothing was measured to the end."
    low, high = answer.speed.ci95
    if low is None or high is None:
        return "The throughput has no interval." + _next_text(found, answer)
    return f"95 %: {interval(low, high, short_count)} {found.unit}/s." + _next_text(found, answer)


def _sure(parts: Sequence[tuple[str, Estimate]], answer: Answer) -> str:
    held = "95 %" if answer.k_holds == "sampling" else "what may lie between the levels only"
    ends = [f"{interval(*one.ci95)} {what}" for what, one in parts if one.value is not None]
    known = answer.k_holds != "nothing" and any(one.ci95 != NO_ENDS for _, one in parts)
    how_sure = f"{held}: {', '.join(ends)}." if known else "Without an interval."
    tie = " A tie in throughput: neither is shown to be ahead." if answer.tie else ""
    bound = f" A bound: {reasons_text(answer.why)}." if answer.why else ""
    return how_sure + tie + bound


def _next_text(found: Findings, answer: Answer) -> str:
    """Which levels would narrow k, or the only run's capacity, where most of it is what may lie between levels."""
    if not answer.measure_next:
        return ""
    letters = {one.id: one.letter if len(found.subjects) > 1 else ONLY for one in found.subjects}
    text = next_levels_text(answer.measure_next, letters)
    return f" {text[0].upper()}{text[1:]}."
