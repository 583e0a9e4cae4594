"""What the page says of each run: over time, level by level, its records, and how to repeat it."""

from collections.abc import Sequence
from typing import Any, Final

from breakeven.findings import Findings, Subject
from breakeven.report.chart import chart
from breakeven.report.forms import html
from breakeven.report.leveltable import footnote, level_table, limits_text, verdict_lines
from breakeven.report.markup import Html, el, joined, section
from breakeven.report.words import called
from breakeven.table import Table, heads
from breakeven.units import short_s

OPEN_RUNS: Final = 4
"""Runs whose panels stand open; more are folded."""


def time_panels(found: Findings) -> Html:
    """Throughput over time and the level table, a panel a run."""
    return joined(
        el("h3", "Over time, and level by level", class_="panels"),
        *(_panel(found, i) for i in range(len(found.subjects))),
    )


def _panel(found: Findings, index: int) -> Html:
    subject = found.subjects[index]
    name = called(found, subject)
    drawn = chart(
        "time",
        "Throughput over time",
        "A panel a level, of several repeats the first: faint as it was read, strong its moving mean. Shaded: warm-up, "
        "which is thrown away. Dotted: the level's throughput.",
        label=f"Throughput over time of {name}, one panel a level.",
        run=index,
        legend=None,
    )
    return el(
        "details",
        el("summary", name, " ", el("small", subject.model or "")),
        drawn if subject.series else None,
        html(level_table(subject), name=f"levels-{subject.letter}", style="levels"),
        el("p", footnote(subject), class_="lead"),
        *(
            (el("p", limits_text(subject)), el("ul", *(el("li", line) for line in verdict_lines(subject))))
            if subject.limits
            else ()
        ),
        class_="run",
        open=index < OPEN_RUNS,
        data_print=index < OPEN_RUNS,
    )


def records(found: Findings) -> Html:
    """Machine, engine and workload of each run."""
    return section(
        "records",
        "Machine and engine",
        "As recorded with the run. Paths and secrets are left out.",
        *(_record(found, subject, index) for index, subject in enumerate(found.subjects)),
    )


def _record(found: Findings, subject: Subject, index: int) -> Html:
    started = None if subject.started is None else subject.started[:16].replace("T", " ")
    run = {"run": subject.id, "started": started, "model": subject.model, "cards": subject.gpu_count}
    parts = {"Run": run, "Machine": subject.machine, "Engine": subject.engine_facts, "Workload": subject.workload}
    notes = [el("li", note) for note in subject.notes]
    return el(
        "details",
        el("summary", called(found, subject)),
        el("div", *(_facts(title, facts) for title, facts in parts.items() if facts), class_="records"),
        el("ul", *notes) if notes else None,
        class_="run",
        data_print=index < OPEN_RUNS,
    )


def _facts(title: str, facts: dict[str, Any]) -> Html:
    rows = [_fact(name, value) for name, value in _told(facts)]
    return el("div", el("h3", title), html(Table(heads("", "", left=(0, 1)), rows)))


def _told(facts: dict[str, Any]) -> list[tuple[str, Any]]:
    """What a person asks of a machine or an engine; each of its starts stands in the run folder."""
    return [(name, value) for name, value in facts.items() if value is not None and not name.startswith("starts[")]


def _fact(name: str, value: Any) -> tuple[str, str]:
    """What a fact is called, and the fact with its unit."""
    label = name.removeprefix("settings.").replace("_", " ").replace(".", ": ")
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    for ending, said in ((" bytes", _size), (" s", short_s), (" w", lambda watts: f"{watts:.4g} W")):
        if is_number and label.endswith(ending):
            return label.removesuffix(ending), said(float(value))
    return ("command" if label == "argv" else label), _value(value)


def _size(value: float) -> str:
    return f"{value / 1e9:.3g} GB" if value >= 1e9 else f"{value / 1e6:.3g} MB"


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return " ".join(str(item) for item in value)
    if isinstance(value, float):
        return f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) and value >= 10_000 else str(value)


def repeat(found: Findings) -> Html:
    """The exact commands."""
    blocks: list[Html] = []
    for subject in found.subjects:
        if subject.commands:
            title = called(found, subject) if len(found.subjects) > 1 else "Measure"
            blocks += [el("h3", title), el("pre", "\n".join(subject.commands))]
    if found.commands:
        blocks += [el("h3", "This page"), el("pre", "\n".join(found.commands))]
    lead = None if blocks else "These runs were imported: their own tool repeats them."
    return section("repeat", "How to repeat it", lead, *blocks)
