"""The sections of the page, in the order in which they are read."""

from collections.abc import Callable
from typing import Final

from msgspec.structs import replace

from breakeven.compare.types import Comparison
from breakeven.compare.words import rests_on
from breakeven.findings import Findings
from breakeven.report import words
from breakeven.report.answersection import answer
from breakeven.report.cautions import cautions_section
from breakeven.report.chart import chart
from breakeven.report.frame import framed
from breakeven.report.markup import Html, el, joined, section
from breakeven.report.moneysections import energy, money
from breakeven.report.pagedata import has_users
from breakeven.report.ranking import ranking
from breakeven.report.runsections import records, repeat, time_panels
from breakeven.report.studysection import study_head, study_section


def body(found: Findings) -> Html:
    """Everything that is seen."""
    shown = [(name, place, made) for name, place, of in SECTIONS if (made := of(found)) is not None]
    links = {name: place for name, place, _ in shown if name}
    return framed((made for *_, made in shown), links=links, footer=_made_by(found))


def throughput(found: Findings) -> Html:
    """Against users, then over time a level."""
    of_tokens = "Output tokens that arrived in the steady window. Warm-up is measured and thrown away."
    return section(
        "throughput",
        "Throughput",
        of_tokens if found.unit == "tok" else "Output, counted in words.",
        chart(
            "throughput",
            "Against users" if has_users(found) else "Against the load",
            "Bars and bands: 95 % intervals.",
            label="Output throughput against users, one line a run; the numbers are in the tables below.",
        ),
        time_panels(found),
    )


def latency(found: Findings) -> Html | None:
    """TTFT and TPOT against users; None where nothing was streamed."""
    levels = [level.summary for subject in found.subjects for level in subject.levels]
    if all(level.of("ttft_s").p50.value is None for level in levels):
        return None
    note = "Line with marks: median. Thin line: p95, which 95 of 100 answers stay below."
    return section(
        "latency",
        "Latency",
        "How long a user waits for the first token (TTFT), and for each one after it (TPOT).",
        el(
            "div",
            chart("ttft", "Time to first token", note, label="TTFT against users: median and p95."),
            chart("tpot", "Time per output token", note, label="TPOT against users: median and p95."),
            class_="grid",
        ),
    )


def pareto(found: Findings) -> Html | None:
    """Throughput of a card against the speed of a user; without prices it is the answer's chart."""
    if not words.is_priced(found):
        return None
    return section(
        "pareto",
        "Throughput or speed",
        "A card that serves more users serves each of them more slowly.",
        chart(
            "pareto",
            "What a card gives, by the speed that a user sees",
            "Numbers at the marks: users at once. On the grey line nothing that was measured gives more of both.",
            label="Throughput of a card against the speed of a user; what nothing beats in both is on the grey line.",
        ),
    )


def method(found: Findings) -> Html:
    """Definitions and formulas."""
    known = words.definitions(found)
    rows = [part for name, text in known for part in (el("dt", name), el("dd", text))]
    notes = [el("li", note) for note in found.notes]
    return section(
        "method",
        "Definitions and formulas",
        "Tools disagree on TPOT and ITL; this is what the words mean here.",
        el("ul", *notes) if notes else None,
        el("details", el("summary", f"{len(known)} definitions"), el("dl", *rows, class_="defs"), data_print=True),
        _warnings(found),
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


SECTIONS: Final[tuple[tuple[str, str, Callable[[Findings], Html | None]], ...]] = (
    ("", "", lambda found: None if found.study is None else study_head(found.study)),
    ("Cells", "study", lambda found: None if found.study is None else study_section(found.study)),
    ("", "", answer),
    ("Ranking", "ranking-section", ranking),
    ("Throughput", "throughput", throughput),
    ("Latency", "latency", latency),
    ("", "pareto", pareto),
    ("Money", "money", money),
    ("", "energy", energy),
    ("Cautions", "cautions", cautions_section),
    ("Method", "method", method),
    ("", "records", records),
    ("Repeat", "repeat", repeat),
)
"""In the order that the reader needs: the link at the top, empty where there is none; the id; the section itself."""
