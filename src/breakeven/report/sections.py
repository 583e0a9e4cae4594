"""The sections of the page, in the order in which they are read."""

from collections.abc import Iterator
from typing import Final

from breakeven.compare.words import rests_on
from breakeven.findings import Findings
from breakeven.report import words
from breakeven.report.chart import chart
from breakeven.report.markup import Html, el, joined
from breakeven.report.moneysections import money_sections
from breakeven.report.ranktable import ranking
from breakeven.report.runsections import records, repeat, time_panels
from breakeven.report.sentence import answer_parts, sure_text

NAV: Final = (
    ("ranking", "Ranking"),
    ("throughput", "Throughput"),
    ("latency", "Latency"),
    ("pareto", "Front"),
    ("money", "Money"),
    ("method", "Method"),
    ("repeat", "Repeat"),
)


def body(found: Findings) -> Html:
    """Everything that is seen."""
    return joined(
        el("a", "Skip to the answer", href="#main", class_="skip"),
        el(
            "nav",
            el("div", el("strong", "breakeven"), *(el("a", text, href=f"#{to}") for to, text in NAV), class_="wrap"),
            aria_label="Sections",
        ),
        el("main", *sections(found), id="main", class_="wrap"),
        el("footer", _made_by(found), class_="wrap"),
    )


def sections(found: Findings) -> Iterator[Html]:
    """In the order that the reader needs."""
    yield answer(found)
    yield ranking(found)
    yield throughput(found)
    yield latency(found)
    yield pareto(found)
    yield from money_sections(found)
    yield method(found)
    yield records(found)
    yield repeat(found)


def answer(found: Findings) -> Html:
    """The sentence, how sure it is, and the few numbers that carry it."""
    runs = " · ".join(
        f"{subject.letter}: {subject.label}" if len(found.subjects) > 1 else subject.label
        for subject in found.subjects[:4]
    )
    more = f" · and {len(found.subjects) - 4} more" if len(found.subjects) > 4 else ""
    models = list(dict.fromkeys(subject.model for subject in found.subjects if subject.model))
    return el(
        "header",
        el("p", " — ".join(filter(None, [runs + more, ", ".join(models[:2])])), class_="eyebrow"),
        el("h1", *_sentence(found), id="answer", aria_live="polite"),
        el("p", sure_text(found), class_="sure", id="sure"),
        el("noscript", el("p", "The charts and the sliders need JavaScript; every number is in the tables.")),
        _kpis(found),
        _cost_chart(found),
    )


def _cost_chart(found: Findings) -> Html | None:
    """What a faster answer costs on each card: the answer as a picture."""
    if not words.is_priced(found):
        return None
    at = " Dashed: the service level." if found.floor_tok_per_s_per_user and found.interactivity == "load" else ""
    return chart(
        "cost",
        f"USD per million output {words.counted_as(found)} against speed",
        f"What a faster answer costs: lower is cheaper, further right is faster. Numbers at the marks: users.{at}",
        label="Cost per million of output against the speed of one user, one line a run.",
    )


def _sentence(found: Findings) -> list[Html | str]:
    return [
        part if isinstance(part, str) else el("output", part.text, data_part=part.figure)
        for part in answer_parts(found)
    ]


def _kpis(found: Findings) -> Html | None:
    cards = list(_money_kpis(found)) if found.money else list(_plain_kpis(found))
    return el("dl", *cards, class_="kpis") if cards else None


def _kpi(label: str, value: str, note: str, *, figure: str | None = None) -> Html:
    number, _, unit = value.partition(" ")
    split = joined(number, " ", el("small", unit)) if unit else joined(value)
    shown = el("output", split, data_fig=figure, data_kpi=True) if figure is not None else split
    return el("div", el("dt", label), el("dd", shown), el("dd", note), class_="kpi")


def _money_kpis(found: Findings) -> Iterator[Html]:
    case = found.money[found.best_money or 0]
    unit = found.unit
    candidate, comparison = case.report.candidate.figures, case.report.comparison
    if case.cost_ratio.value is not None and case.candidate is not None:
        pair = joined(", ", el("span", found.subjects[case.candidate].letter, data_letter=True), " / A")
        yield _kpi(
            joined(f"Cost per {'token' if unit == 'tok' else 'word'}", pair),
            words.say_digits(case.cost_ratio.value),
            words.ends_text(case.cost_ratio) or "prices taken as they stand",
            figure="cost_ratio",
        )
    for name, label, note in (
        (
            "usd_per_mtok_output",
            "Output tokens" if unit == "tok" else "Output words",
            "candidate, at the service level",
        ),
        ("break_even_days", "Break-even", "candidate, bought and rented out"),
    ):
        if name in candidate and not candidate[name].is_missing:
            yield _kpi(label, words.figure(candidate[name], unit=unit), note, figure=f"candidate.{name}")
    if "parity_usd_per_h_card" in comparison and not comparison["parity_usd_per_h_card"].is_missing:
        text = words.figure(comparison["parity_usd_per_h_card"], unit=unit)
        yield _kpi(
            "ROI parity rent, a card", text, "as good a return as the reference's", figure="parity_usd_per_h_card"
        )
    if "cost_parity_usd_per_h_card" in comparison and not comparison["cost_parity_usd_per_h_card"].is_missing:
        text = words.figure(comparison["cost_parity_usd_per_h_card"], unit=unit)
        yield _kpi(
            "Cost parity rent, a card", text, "tokens cost a renter the same", figure="cost_parity_usd_per_h_card"
        )


def _plain_kpis(found: Findings) -> Iterator[Html]:
    for row in found.ranking[:4]:
        if row.capacity_tok_per_s.value is None or row.run is None:
            continue
        subject = found.subjects[row.run]
        name = f"{subject.letter}: {subject.label}" if len(found.subjects) > 1 else "Capacity, a card"
        users = f"{words.people(row.users.value)} users"
        note = ", ".join(filter(None, [words.rate_range(row.capacity_tok_per_s), users]))
        yield _kpi(name, f"{words.rate(row.capacity_tok_per_s.value)} {found.unit}/s", note)


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
            "Against users",
            "Bars and bands: 95 % intervals. A hollow mark carries a caution.",
            label="Output throughput against users, one line a run; the numbers are in the tables below.",
        ),
        time_panels(found),
        id="throughput",
    )


def latency(found: Findings) -> Html:
    """TTFT and TPOT against users."""
    streamed = any(level.summary.of("ttft_s").p50.value is not None for one in found.subjects for level in one.levels)
    note = "Line with marks: median. Thin line: p95."
    return el(
        "section",
        el("h2", "Latency"),
        el(
            "p",
            "How long a user waits for the first token, and for each one after it."
            if streamed
            else "These runs were not streamed: there is no time to first token.",
            class_="lead",
        ),
        el(
            "div",
            chart("ttft", "Time to first token", note, label="TTFT against users: median and p95 of each run."),
            chart("tpot", "Time per output token", note, label="TPOT against users: median and p95 of each run."),
            class_="grid",
        )
        if streamed
        else None,
        id="latency",
    )


def pareto(found: Findings) -> Html:
    """Throughput of a GPU against the speed of a user."""
    return el(
        "section",
        el("h2", "Throughput or speed"),
        el(
            "p",
            f"A GPU that serves more users serves each more slowly. Across: {words.speed_axis(found)}.",
            class_="lead",
        ),
        chart(
            "pareto",
            "The front",
            "Numbers at the marks: users. On the grey line no other measurement gives more of both.",
            label="Throughput per GPU against speed per user, with the Pareto front.",
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
    told = [(known.get(one.candidate_id, one.candidate_id), rests_on(one)) for one in found.comparisons]
    shared = [text for text in (told[0][1] if told else ()) if all(text in texts for _, texts in told)]
    own = [f"{run}: {text}" for run, texts in told for text in texts if text not in shared]
    items = shared + own
    if not items:
        return None
    return joined(el("h3", "What the comparison rests on"), el("ul", *(el("li", text) for text in items)))


def _made_by(found: Findings) -> str:
    dates = sorted(subject.started[:10] for subject in found.subjects if subject.started)
    measured = f"Measured {dates[0]}" + (f" to {dates[-1]}" if dates[-1] != dates[0] else "") + ". " if dates else ""
    return (
        f"{measured}Made by breakeven {found.version}. Charts: Observable Plot and D3 (ISC licence), inside this file."
    )
