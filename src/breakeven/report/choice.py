"""The choice in a terminal: the answer, the ranking with prices, what was left out, and what to measure next."""

import math
import shlex
from collections.abc import Iterator
from typing import Final

from breakeven.compare.words import reason_text
from breakeven.errors import one_line
from breakeven.findings.choice import Candidate, Choice
from breakeven.metrics.summary import Estimate
from breakeven.mix.text import load_classes
from breakeven.mix.types import LoadClass
from breakeven.predict.text import told_precision
from breakeven.predict.told import BOUND_SAYS, UNLIKE_SAYS, outside_text
from breakeven.report.predicted import left_lines
from breakeven.report.words import people
from breakeven.say import chance, fixed, interval, room, short, wrapped
from breakeven.table import Column, Table, lines
from breakeven.units import short_count, short_rate

_UNIT: Final = {"usd_per_mtok": "USD per million output tokens", "usd_per_month": "USD a month"}
SOURCES: Final = 5
"""So many prices have their source in the text; the JSON has all."""
MOST_NAMED: Final = 4
"""Cards of which the same is said."""
MOST_LEFT: Final = 3
"""Cards that a line without any candidate names."""
LEAST_CHANCE: Final = 0.005
"""Below this chance that a run changes the first place, none is named."""


def choice_text(choice: Choice, engine: str) -> str:
    """The whole of it."""
    return "\n".join(_lines(choice, engine))


def nothing_text(choice: Choice) -> str:
    """No card is a candidate: in one line why not, of the first few."""
    told = [f"{one.gpu} {one.why}" + (f": {one.detail}" if one.detail else "") for one in choice.left_out]
    more = [f"other cards left out: {len(told) - MOST_LEFT}"] if len(told) > MOST_LEFT else []
    fit = "`breakeven fit MODEL` shows where it fits"
    do = [fit] if any(one.why == "does not fit" for one in choice.left_out) else []
    return f"{choice.model} in {choice.precision}: {'; '.join((*told[:MOST_LEFT], *more, *do))}"


def _lines(choice: Choice, engine: str) -> Iterator[str]:
    yield from wrapped(_answer(choice))
    yield ""
    yield from lines(
        Table(_columns(choice), [_row(choice, one) for one in choice.candidates]), width=room(), indent="  "
    )
    yield ""
    for one in choice.candidates:
        if one.precision and one.products and (told := told_precision(choice.precision, one.precision, one.products)):
            yield from wrapped(f"{one.card}: in {told}")
            yield ""
        if one.outside is not None:
            yield from wrapped(f"{one.label}: {outside_text(**one.outside)}")
            yield ""
    yield from _unlike(choice)
    if choice.left_out:
        yield from left_lines(choice.left_out)
        yield ""
    yield from _next(choice, engine)
    yield from _peak(choice)
    yield from _prices(choice)
    yield "predicted: measured by nobody; 95 % from errors on what the calibration had not seen, prices as they stand"


def _unlike(choice: Choice) -> Iterator[str]:
    """Whom no measurement is of: all of one engine, and cards by name."""
    for what, says in UNLIKE_SAYS.items():
        cards = list(dict.fromkeys(one.card for one in choice.candidates if what in one.unlike))
        if cards:
            more = f" and {len(cards) - MOST_NAMED} more" if len(cards) > MOST_NAMED else ""
            yield from wrapped(f"{', '.join(cards[:MOST_NAMED])}{more}: {says}")
            yield ""


def _peak(choice: Choice) -> Iterator[str]:
    if choice.load is not None and len(choice.load.classes) > 1:
        yield from wrapped("a node that serves several classes shares its time among them", rest="  ")
    if choice.load is not None and choice.load.hours:
        yield "the nodes of the peak run all day; `breakeven mix` has as many as each hour needs"


def _prices(choice: Choice) -> Iterator[str]:
    """Where the price of each card is from; of many cards the first."""
    told = [f"{one.card}: {one.price.source}" for one in choice.candidates if one.price is not None]
    shown = list(dict.fromkeys(told))
    if shown:
        yield "prices: the newest of one kind of each card, or what a run's plan declared"
    for text in shown[:SOURCES]:
        yield from wrapped(text, first="  ", rest="    ")
    if len(shown) > SOURCES:
        yield f"  and {len(shown) - SOURCES} more: `breakeven prices CARD` shows them"


def _answer(choice: Choice) -> str:
    best = next((one for one in choice.candidates if one.cost(choice.ranked_by).value is not None), None)
    asked = f"{choice.model} in {choice.precision}, {choice.at}, {_load(choice)}"
    if best is None:
        return f"Nothing that was looked at serves {asked}."
    cost = best.cost(choice.ranked_by)
    told = f"{best.label} is the cheapest for {asked}: {_money(cost)} {_UNIT[choice.ranked_by]} ({best.kind})"
    rivals = [one for one in choice.candidates if one is not best and overlap(cost, one.cost(choice.ranked_by))]
    return told + (f"; {len(rivals)} of the others cannot be told from it." if rivals else ".")


def _load(choice: Choice) -> str:
    """Lengths where the load does not say all of them, and the load."""
    classes = choice.load.classes if choice.load else ()
    whole = bool(classes) and all(one.input_tokens and one.output_tokens for one in classes)
    told = [] if whole else [f"{choice.input_tokens} tokens in and {choice.output_tokens} out"]
    return ", ".join([*told, *([load_classes(choice.load)] if choice.load else [])])


def _columns(choice: Choice) -> list[Column]:
    cost = ("USD/Mtok", "95 %") if choice.load is None else ("USD/Mtok", "nodes", "USD a month", "95 %")
    classes = choice.load.classes if choice.load else (LoadClass(),)
    names = [one.unit if one.name == "all" else f"{one_line(one.name, limit=20)} {one.unit}" for one in classes]
    return [
        *(Column("card", align="left"), Column("", align="left"), Column("USD/h")),
        *(Column(name, goes=2) for name in names),
        *(Column("tok/s", goes=1), *map(Column, cost), Column("held back by", align="left", goes=3)),
    ]


def _row(choice: Choice, one: Candidate) -> tuple[str, ...]:
    each = _money(one.usd_per_mtok)
    cost: tuple[str, ...] = (each, _ends(one.usd_per_mtok))
    if choice.load is not None:
        cost = (each, _number(one.nodes), _money(one.usd_per_month), _ends(one.usd_per_month))
    return (
        one.label,
        one.kind,
        "-" if one.price is None else fixed(one.price.usd_per_h * one.cards, 2),
        *_served(choice, one),
        "-" if one.tok_per_s.value is None else short_count(one.tok_per_s.value),
        *cost,
        _held(one),
    )


def _served(choice: Choice, one: Candidate) -> list[str]:
    """By one node, of each class alone."""
    more = "≥ " if one.at_least else ""
    if choice.load is None:
        return ["-" if one.users.value is None else more + people(one.users.value)]
    able = [(of, one.capacity.get(of.name, Estimate()).value) for of in choice.load.classes]
    return [
        "-" if value is None else more + (people(value) if of.req_per_s is None else short_rate(value))
        for of, value in able
    ]


def _held(one: Candidate) -> str:
    if one.most and one.users.value is None and one.reason is None:
        return f"no run is of {one_line(one.most, limit=40)}"
    if one.users.value is None and one.reason is not None:
        return reason_text(one.reason)
    return BOUND_SAYS.get(one.bound or "", "")


def _next(choice: Choice, engine: str) -> Iterator[str]:
    following = choice.next_run
    if following is None or following.changes < LEAST_CHANCE:
        if any(one.kind == "predicted" for one in choice.candidates):
            yield "measure next: no single run is likely to change the first place"
            yield ""
        return
    one = choice.candidates[following.index]
    yield from wrapped(
        f"measure next: {one.label}. That changes the first place with a chance of {chance(following.changes)}, "
        f"and saves {_usd(following.saves)} {_UNIT[choice.ranked_by]} on average:"
    )
    yield f"  {shlex.join(_command(choice, one, engine))}"
    yield ""


def _command(choice: Choice, one: Candidate, engine: str) -> list[str]:
    """The run that measures a candidate near its capacity; several cards are served by hand, and asked at their URL."""
    top = max(2, int(one.users.value or 2))
    lengths = _lengths(choice, one)
    workload = "fixed" if all(isinstance(one, int) for one in lengths) else "lengths"
    whom = ["--engine", engine, "--model", choice.model]
    if one.cards > 1:
        whom = ["--url", "http://localhost:8000", "--gpu-count", str(one.cards)]
    return [
        *("breakeven", "run", *whom, "--gpu", one.card, "--workload", workload),
        *("--input-tokens", str(lengths[0]), "--output-tokens", str(lengths[1])),
        *("--users", ",".join(str(users) for users in sorted({1, max(1, top // 2), top}))),
    ]


def _lengths(choice: Choice, one: Candidate) -> tuple[int | str, int | str]:
    """Of a request of the class that takes most of the candidate."""
    of = next((of for of in choice.load.classes if of.name == one.most), None) if choice.load else None
    told = (None, None) if of is None else (of.input_tokens, of.output_tokens)
    return (
        choice.input_tokens if told[0] is None else round(told[0]),
        choice.output_tokens if told[1] is None else round(told[1]),
    )


def overlap(one: Estimate, other: Estimate) -> bool:
    """Neither is shown to be cheaper: both have a figure and their intervals meet. An open end is as far as can be."""
    (low, high), (other_low, other_high) = (_reach(it) for it in (one, other))
    return other.value is not None and low <= other_high and other_low <= high


def _reach(one: Estimate) -> tuple[float, float]:
    low, high = one.ci95
    return (0.0 if low is None else low, math.inf if high is None else high)


def _number(one: Estimate) -> str:
    return "-" if one.value is None else f"{one.value:,.0f}"


def _money(one: Estimate) -> str:
    return "-" if one.value is None else _usd(one.value)


def _usd(value: float) -> str:
    return short(float(f"{value:.3g}"))


def _ends(one: Estimate) -> str:
    return "-" if one.ci95 == (None, None) else interval(*one.ci95, _usd)
