"""The figures that carry the answer: at most three, beside its chart."""

from collections.abc import Iterator
from typing import Final, NamedTuple

from breakeven.findings import Findings
from breakeven.report import words
from breakeven.report.marks import mark
from breakeven.report.markup import Html, el, joined
from breakeven.report.sentence import level_text
from breakeven.report.shortnames import short_names, sides_of
from breakeven.say import closed, digits

MOST_FIGURES: Final = 3
COST: Final = "candidate.usd_per_mtok_output"


def kpis(found: Findings) -> Html | None:
    """Of the economics where there are prices, then of the first of the ranking."""
    cards = [*_money_kpis(found), *_plain_kpis(found)][:MOST_FIGURES]
    return el("dl", *cards, class_="kpis") if cards else None


def _kpi(label: str, value: str, note: str, *, figure: str | None = None, doubts: Html | None = None) -> Html:
    number, _, unit = value.partition(" ")
    split = joined(number, " ", el("small", unit)) if unit else joined(value)
    shown = el("output", split, data_fig=figure, data_kpi=True) if figure is not None else split
    return el("div", el("dt", label), el("dd", shown, doubts), el("dd", note), class_="kpi")


def _money_kpis(found: Findings) -> Iterator[Html]:
    for one in money_figures(found):
        run = found.money[found.best_money or 0].candidate if one.figure == COST else None
        yield _kpi(one.label, one.text, one.note, figure=one.figure, doubts=_doubts(found, run, "kpi"))


class Shown(NamedTuple):
    """A figure of the economics that carries the answer: its place, what it is called, its value, and of whom it is."""

    figure: str
    label: str
    text: str
    note: Html


def money_figures(found: Findings) -> Iterator[Shown]:
    """Of the best candidate, the most wanted first; only those that are known."""
    if not found.money:
        return
    case = found.money[found.best_money or 0]
    names, token = sides_of(case, found), words.counted_as(found).removesuffix("s")
    gpu = el("span", names["candidate"], data_gpu="candidate")
    other = el("span", names.get("reference", "the reference"), data_gpu="reference")
    ends = f"95 %: {ends}" if (ends := closed(case.cost_ratio.ci95)) else "prices taken as they stand"
    texts = {
        place.removeprefix("comparison."): words.figure(one, unit=found.unit)
        for place, one in case.report.all_figures().items()
        if not one.is_missing
    }
    if case.cost_ratio.value is not None:
        texts["cost_ratio"] = digits(case.cost_ratio.value)
    at = f", {level_text(found) or 'as the scenario declares it'}"
    for place, label, note in (
        (COST, f"What output {token}s cost", at),
        ("cost_ratio", f"Cost per {token}, of the other's", joined(" beside ", other, f"; {ends}")),
        ("candidate.break_even_days", "Pays for itself in", ", bought and rented out"),
        ("parity_usd_per_h_card", "Rent with the other's return", ", a card; below it, the other pays back sooner"),
        ("cost_parity_usd_per_h_card", f"Rent at which {token}s cost the same", ", a card; below it, it costs less"),
    ):
        if place in texts:
            yield Shown(place, label, texts[place], joined(gpu, note))


def _doubts(found: Findings, run: int | None, where: str) -> Html | None:
    """The mark of the ranking's line of a run, once more beside a figure that rests on it."""
    rows = [row for row in found.ranking if row.run == run and run is not None]
    texts = [words.caution(place) for row in rows[:1] for place in row.cautions]
    return mark(texts, f"doubts-{where}", about=words.name(rows[0])) if rows else None


def _plain_kpis(found: Findings) -> Iterator[Html]:
    """Of the first of the ranking: what it gives, to how many, and how fast one user alone is served."""
    row = next((row for row in found.ranking if row.run is not None), None)
    if row is None or row.run is None:
        return
    level = level_text(found)
    name = short_names(found)[row.run] if len(found.subjects) > 1 else "a card"
    if row.capacity_tok_per_s.value is not None:
        ends = words.rate_range(row.capacity_tok_per_s)
        value = f"{words.rate(row.capacity_tok_per_s.value)} {found.unit}/s"
        doubts = None if found.money else _doubts(found, row.run, "plain")
        yield _kpi("Output", value, f"{name}; 95 %: {ends}" if ends else name, doubts=doubts)
        for label, load in (("Users at once", row.users), ("Offered rate", row.req_per_s)):
            if load.value is not None:
                yield _kpi(label, words.load(row), f"{name}, {level}" if level else name)
    levels = [one for one in found.subjects[row.run].levels if one.summary.users]
    alone = min(levels, key=lambda one: one.summary.users or 0, default=None)
    if alone is not None and alone.tok_per_s_per_user is not None:
        yield _kpi("Speed of a user", f"{words.rate(alone.tok_per_s_per_user)} {found.unit}/s", f"with {alone.load}")
