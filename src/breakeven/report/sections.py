"""The sections of the page, in the order in which they are read."""

from collections.abc import Iterator
from typing import Final

from msgspec.structs import replace

from breakeven.compare.types import Comparison
from breakeven.compare.words import rests_on
from breakeven.findings import Findings
from breakeven.report import words
from breakeven.report.chart import chart
from breakeven.report.frame import framed
from breakeven.report.marks import cautions_section, mark
from breakeven.report.markup import Html, el, joined
from breakeven.report.moneysections import money_sections
from breakeven.report.pagedata import has_users
from breakeven.report.rankbars import ranking
from breakeven.report.runsections import records, repeat, time_panels
from breakeven.report.sentence import answer_parts, level_text, sure_text
from breakeven.report.shortnames import short_names, sides_of
from breakeven.report.studysection import study_head, study_section
from breakeven.report.studywords import runs_text
from breakeven.say import closed, digits

NAV: Final = {
    "Cells": "study",
    "Ranking": "ranking-section",
    "Throughput": "throughput",
    "Latency": "latency",
    "Money": "money",
    "Cautions": "cautions",
    "Method": "method",
    "Repeat": "repeat",
}
"""What the sections are called that have a link at the top, and their ids."""


def body(found: Findings) -> Html:
    """Everything that is seen."""
    shown = [*sections(found)]
    links = {name: NAV[name] for name, _ in shown if name}
    return framed((section for _, section in shown), links=links, footer=_made_by(found))


def sections(found: Findings) -> Iterator[tuple[str, Html]]:
    """In the order that the reader needs, each with its name in NAV; empty where it has none."""
    if found.study is not None:
        yield from (("", study_head(found.study)), ("Cells", study_section(found.study)))
    yield "", answer(found)
    if (ranked := ranking(found)) is not None:
        yield "Ranking", ranked
    yield "Throughput", throughput(found)
    if _is_streamed(found):
        yield "Latency", latency(found)
    if words.is_priced(found):
        yield "", pareto(found)
    for at, section in enumerate(money_sections(found)):
        yield "" if at else "Money", section
    if (doubts := cautions_section(found)) is not None:
        yield "Cautions", doubts
    yield from (("Method", method(found)), ("", records(found)), ("Repeat", repeat(found)))


def answer(found: Findings) -> Html:
    """The sentence and how sure it is; beneath it the chart that is the answer, and the three figures that carry it.

    Of a study it is a section: the study's own answer stands above it.
    """
    models = list(dict.fromkeys(subject.model for subject in found.subjects if subject.model))
    runs = f"{len(found.subjects)} runs" if len(found.subjects) > 1 else found.subjects[0].label
    of_study = None if found.study is None else el("h2", runs_text(len(found.subjects)))
    return el(
        "header" if of_study is None else "section",
        of_study or el("p", " · ".join([runs, *models[:2]]), class_="eyebrow"),
        el("h1" if of_study is None else "p", *_sentence(found), id="answer", aria_live="polite"),
        el("p", sure_text(found), class_="sure", id="sure"),
        el("noscript", el("p", "The charts and the sliders need JavaScript; every number is in the tables.")),
        el("div", _answer_chart(found), _kpis(found), class_="first"),
    )


def _answer_chart(found: Findings) -> Html:
    """What a faster answer costs on each card, or, without prices, what a card gives at each speed."""
    priced = words.is_priced(found)
    counted = words.counted_as(found)
    floor = found.floor_tok_per_s_per_user
    at = [] if floor is None else [f"dashed upright: the {floor:g} {found.unit}/s that each user gets at least"]
    told = [
        "lower is cheaper" if priced else "higher is more",
        "further right is faster for a user",
        "bands: 95 %",
        "numbers: users at once" if has_users(found) else "numbers: requests offered a second",
        *at,
        *(["dashed lines: predicted"] if any(one.mark for one in found.subjects) else []),
    ]
    what = f"USD per million output {counted}" if priced else f"Output {counted} a second of a card"
    return chart(
        "answer",
        f"{what}, by the speed that a user gets",
        f"{_capital('; '.join(told))}.",
        label=f"{what} against the speed of one user, one line a run; the ranking has the numbers.",
        head="h2" if found.study is None else "h3",
        legend="runs" if len(found.subjects) > 1 else None,
    )


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _sentence(found: Findings) -> list[Html | str]:
    return [
        part if isinstance(part, str) else el("output", part.text, data_part=part.figure)
        for part in answer_parts(found)
    ]


MOST_FIGURES: Final = 3
"""Beside the chart."""


def _kpis(found: Findings) -> Html | None:
    cards = [*_money_kpis(found), *_plain_kpis(found)][:MOST_FIGURES]
    return el("dl", *cards, class_="kpis") if cards else None


def _kpi(
    label: Html | str, value: str, note: Html | str, *, figure: str | None = None, doubts: Html | None = None
) -> Html:
    number, _, unit = value.partition(" ")
    split = joined(number, " ", el("small", unit)) if unit else joined(value)
    shown = el("output", split, data_fig=figure, data_kpi=True) if figure is not None else split
    return el("div", el("dt", label), el("dd", shown, doubts), el("dd", note), class_="kpi")


def _money_kpis(found: Findings) -> Iterator[Html]:
    if not found.money:
        return
    case = found.money[found.best_money or 0]
    unit, names = found.unit, sides_of(case, found)
    token = "token" if unit == "tok" else "word"
    candidate, comparison = case.report.candidate.figures, case.report.comparison
    gpu = el("span", names["candidate"], data_gpu="candidate")
    doubts = _doubts(found, case.candidate, "kpi")
    if "usd_per_mtok_output" in candidate and not candidate["usd_per_mtok_output"].is_missing:
        text = words.figure(candidate["usd_per_mtok_output"], unit=unit)
        note = joined(gpu, ", ", level_text(found) or "as the scenario declares it")
        yield _kpi(f"What output {token}s cost", text, note, figure="candidate.usd_per_mtok_output", doubts=doubts)
    if case.cost_ratio.value is not None:
        ends = f"95 %: {ends}" if (ends := closed(case.cost_ratio.ci95)) else "prices taken as they stand"
        other = el("span", names.get("reference", "the reference"), data_gpu="reference")
        note = joined(gpu, " beside ", other, f"; {ends}")
        yield _kpi(f"Cost per {token}, of the other's", digits(case.cost_ratio.value), note, figure="cost_ratio")
    if "break_even_days" in candidate and not candidate["break_even_days"].is_missing:
        text = words.figure(candidate["break_even_days"], unit=unit)
        yield _kpi(
            "Pays for itself in", text, joined(gpu, ", bought and rented out"), figure="candidate.break_even_days"
        )
    for name, label, tells in (
        ("parity_usd_per_h_card", "Rent with the other's return", "a card; below it, the other pays back sooner"),
        (
            "cost_parity_usd_per_h_card",
            f"Rent at which {token}s cost the same",
            "a card; below it, they cost less here",
        ),
    ):
        if name in comparison and not comparison[name].is_missing:
            yield _kpi(label, words.figure(comparison[name], unit=unit), joined(gpu, ", ", tells), figure=name)


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
    subject, level = found.subjects[row.run], level_text(found)
    name = short_names(found)[row.run] if len(found.subjects) > 1 else "a card"
    if row.capacity_tok_per_s.value is not None:
        ends = words.rate_range(row.capacity_tok_per_s)
        value = f"{words.rate(row.capacity_tok_per_s.value)} {found.unit}/s"
        doubts = None if found.money else _doubts(found, row.run, "plain")
        yield _kpi("Output", value, f"{name}; 95 %: {ends}" if ends else name, doubts=doubts)
        if row.users.value is not None:
            yield _kpi("Users at once", words.load(row), f"{name}, {level}" if level else name)
        if row.req_per_s.value is not None:
            yield _kpi("Offered rate", words.load(row), f"{name}, {level}" if level else name)
    alone = min(
        (one for one in subject.levels if one.summary.users), key=lambda one: one.summary.users or 0, default=None
    )
    if alone is not None and alone.tok_per_s_per_user is not None:
        yield _kpi("Speed of a user", f"{words.rate(alone.tok_per_s_per_user)} {found.unit}/s", f"with {alone.load}")


def throughput(found: Findings) -> Html:
    """Against users, then over time a level."""
    return el(
        "section",
        el("h2", "Throughput"),
        el(
            "p",
            "Output tokens that arrived in the steady window. Warm-up is measured and thrown away."
            if found.unit == "tok"
            else "Output, counted in words.",
            class_="lead",
        ),
        chart(
            "throughput",
            "Against users" if has_users(found) else "Against the load",
            "Bars and bands: 95 % intervals.",
            label="Output throughput against users, one line a run; the numbers are in the tables below.",
            legend="runs" if len(found.subjects) > 1 else None,
        ),
        time_panels(found),
        id="throughput",
    )


def _is_streamed(found: Findings) -> bool:
    return any(level.summary.of("ttft_s").p50.value is not None for one in found.subjects for level in one.levels)


def latency(found: Findings) -> Html:
    """TTFT and TPOT against users."""
    note = "Line with marks: median. Thin line: p95, which 95 of 100 answers stay below."
    legend = "runs" if len(found.subjects) > 1 else None
    return el(
        "section",
        el("h2", "Latency"),
        el("p", "How long a user waits for the first token (TTFT), and for each one after it (TPOT).", class_="lead"),
        el(
            "div",
            chart("ttft", "Time to first token", note, label="TTFT against users: median and p95.", legend=legend),
            chart("tpot", "Time per output token", note, label="TPOT against users: median and p95.", legend=legend),
            class_="grid",
        ),
        id="latency",
    )


def pareto(found: Findings) -> Html:
    """Throughput of a card against the speed of a user."""
    note = "Numbers at the marks: users at once. On the grey line nothing that was measured gives more of both."
    return el(
        "section",
        el("h2", "Throughput or speed"),
        el("p", "A card that serves more users serves each of them more slowly.", class_="lead"),
        chart(
            "pareto",
            "What a card gives, by the speed that a user sees",
            note,
            label="Throughput of a card against the speed of a user; what nothing beats in both is on the grey line.",
            legend="runs" if len(found.subjects) > 1 else None,
        ),
        id="pareto",
    )


def method(found: Findings) -> Html:
    """Definitions and formulas."""
    known = words.definitions(found)
    rows = [part for name, text in known for part in (el("dt", name), el("dd", text))]
    notes = [el("li", note) for note in found.notes]
    return el(
        "section",
        el("h2", "Definitions and formulas"),
        el("p", "Tools disagree on TPOT and ITL; this is what the words mean here.", class_="lead"),
        el("ul", *notes) if notes else None,
        el(
            "details",
            el("summary", f"{len(known)} definitions"),
            el("dl", *rows, class_="defs"),
            data_print=True,
        ),
        _warnings(found),
        id="method",
    )


def _warnings(found: Findings) -> Html | None:
    """What every comparison rests on, then what one of several does, with the run that it is about."""
    known = {subject.id: subject.label for subject in found.subjects}
    told = [
        (known.get(one.candidate_id, one.candidate_id), rests_on(_without_cautions(one, found)))
        for one in found.comparisons
    ]
    shared = [text for text in (told[0][1] if told else ()) if all(text in texts for _, texts in told)]
    own = [f"{run}: {text}" for run, texts in told for text in texts if text not in shared]
    items = shared + own
    if not items:
        return None
    return joined(el("h3", "What the comparison rests on"), el("ul", *(el("li", text) for text in items)))


def _without_cautions(one: Comparison, found: Findings) -> Comparison:
    """Without those that stand in the section of cautions, in words and with their remedies."""
    told = {place.caution.id for subject in found.subjects for place in subject.cautions}
    return replace(one, warnings=tuple(each for each in one.warnings if each.caution not in told))


def _made_by(found: Findings) -> str:
    dates = sorted(subject.started[:10] for subject in found.subjects if subject.started)
    measured = f"Measured {dates[0]}" + (f" to {dates[-1]}" if dates[-1] != dates[0] else "") + ". " if dates else ""
    return f"{measured}Made by breakeven {found.version}."
