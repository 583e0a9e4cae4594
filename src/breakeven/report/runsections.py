"""What the page says of each run: over time, level by level, its records, and how to repeat it."""

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from breakeven.findings import Findings, Level, Subject
from breakeven.metrics.definitions import METRICS, RATES, shown_metrics
from breakeven.report import words
from breakeven.report.chart import chart
from breakeven.report.enginetold import ENGINE_SHARES
from breakeven.report.marks import mark
from breakeven.report.markup import Html, el, joined
from breakeven.say import percent, share
from breakeven.units import short_count, short_rate, short_s

PER_USER: Final = RATES["output_tok_per_s_per_user"]
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
    name = f"{subject.letter}: {subject.label}" if len(found.subjects) > 1 else subject.label
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
        level_table(subject),
        *(
            (el("p", limits_text(subject)), el("ul", *(el("li", line) for line in verdict_lines(subject))))
            if subject.limits
            else ()
        ),
        class_="run",
        open=index < OPEN_RUNS,
        data_print=index < OPEN_RUNS,
    )


class Column(NamedTuple):
    """One column of the level table: its head, and a level's number with its interval."""

    head: str
    cell: Callable[[Level], tuple[str, str]]


def table_columns(subject: Subject) -> list[Column]:
    """The columns that say something of this run."""
    unit, levels = subject.unit, [level.summary for level in subject.levels]

    columns = [
        Column("repeats", lambda level: (str(level.repeats) if level.repeats > 1 else words.DASH, "")),
        Column(f"{unit}/s", _throughput),
        Column(words.unit(PER_USER.label, unit), lambda level: (words.rate(PER_USER.of(level.summary).value), "")),
        *(_column(name, which, unit) for name, metric in shown_metrics(levels) for which in metric.shown),
        Column("req/s answered", _answered),
        Column("sent late p99", _sent_late),
        Column("goodput, req/s", _goodput),
        Column("limits", _verdict),
        Column("sessions", _sessions),
        Column("prompts shared", _part("shared_input_share")),
        Column("from the cache", _part("cached_input_share")),
        Column("answers", lambda level: (f"{level.summary.requests:,}" if level.summary.requests else words.DASH, "")),
        Column("errors", _errors),
        *(Column(head, _part(name)) for name, head in ENGINE_SHARES.items()),
        Column("tokens a step", _engine_count("engine_accept_length", short_rate)),
        Column("preempted", _engine_count("engine_preemptions", short_count)),
        Column("MBU", _part("roofline_bandwidth_share")),
        Column("MFU", _part("roofline_compute_share")),
        Column(f"{unit}/J", lambda level: (words.cost(level.tok_per_j), "")),
        Column("USD/Mtok" if unit == "tok" else "USD/Mword", lambda level: (words.cost(level.usd_per_mtok), "")),
    ]
    return [one for one in columns if any(one.cell(level)[0] != words.DASH for level in subject.levels)]


def _column(name: str, which: str, unit: str) -> Column:
    """A percentile of a metric; one that is no time has its unit in the head."""
    metric = METRICS[name]
    if metric.unit == "s":
        return Column(f"{metric.label} {which}", lambda level: (words.latency(level.summary.of(name).at(which)), ""))
    head = f"{metric.label} {which}, {words.unit(metric.unit, unit)}"
    return Column(head, lambda level: (words.rate(level.summary.of(name).at(which).value), ""))


def footnote(subject: Subject) -> str:
    """What the two speeds of the level table are, of those that it shows."""
    heads = " ".join(column.head for column in table_columns(subject))
    told = [(words.unit(one.label, subject.unit), one.formula) for one in (PER_USER, METRICS["tok_per_s_per_user"])]
    return "; ".join(f"{label}: {words.unit(formula, subject.unit)}" for label, formula in told if label in heads)


def _throughput(level: Level) -> tuple[str, str]:
    estimate = level.summary.output_tok_per_s
    return words.rate(estimate.value), words.rate_range(estimate)


def _answered(level: Level) -> tuple[str, str]:
    """Of an open loop, where it may be less than what was due."""
    value = level.summary.req_per_s.value
    if level.summary.client.schedule_lag_p99_s is None or value is None:
        return words.DASH, ""
    return short_rate(value), "saturated" if level.summary.extra.get("saturated") else ""


def _part(name: str) -> Callable[[Level], tuple[str, str]]:
    """A share of what the hardware allows."""

    def cell(level: Level) -> tuple[str, str]:
        value = level.summary.extra.get(name)
        return (words.DASH if value is None else share(value)), ""

    return cell


def _engine_count(name: str, say: Callable[[float], str]) -> Callable[[Level], tuple[str, str]]:
    """What the engine counted; none is no column."""

    def cell(level: Level) -> tuple[str, str]:
        value = level.summary.extra.get(name)
        return (say(value) if value else words.DASH), ""

    return cell


def _sent_late(level: Level) -> tuple[str, str]:
    late_s = level.summary.client.schedule_lag_p99_s
    return (words.DASH if late_s is None else short_s(late_s)), ""


def _goodput(level: Level) -> tuple[str, str]:
    """Answers within every limit, a second, and which part of all they are."""
    rate, share = (_number(level.summary.extra.get(name)) for name in ("goodput_req_per_s", "good_share"))
    good = "" if share is None else f"{percent(share, digits=0)} good"
    return (words.DASH if rate is None else short_rate(rate)), good


def _sessions(level: Level) -> tuple[str, str]:
    """Recorded sessions that came to a good end, and which part of those that ended met every limit."""
    count, part = (_number(level.summary.extra.get(name)) for name in ("sessions", "good_session_share"))
    good = "" if part is None else f"{percent(part, digits=0)} good"
    return (words.DASH if count is None else f"{count:.0f}"), good


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _verdict(level: Level) -> tuple[str, str]:
    """Whether the level met its limits; `verdict_lines` say what was found of each."""
    return str(level.summary.extra.get("verdict") or words.DASH), ""


def verdict_lines(subject: Subject) -> list[str]:
    """`8 users: missed; ttft_p95 was 72.8 ms; e2e_p95 252 ms of 400 ms` of each level that was held against limits."""
    told = [(level.load, level.summary.extra) for level in subject.levels if "verdict" in level.summary.extra]
    return [
        "; ".join((f"{load}: {of['verdict']}", *_texts(of.get("missed")), *_texts(of.get("met")))) for load, of in told
    ]


def _texts(value: object) -> list[str]:
    """A list of a stored summary, which anybody may have written."""
    return [str(one) for one in value] if isinstance(value, list | tuple) else []


def limits_text(subject: Subject) -> str | None:
    """The limits that a run was measured against, and what a search found; None without limits."""
    if subject.limits is None:
        return None
    return f"Limits: {subject.limits}." + ("" if subject.found is None else f" Found: {subject.found.text}.")


def _errors(level: Level) -> tuple[str, str]:
    one = level.summary
    return (f"{one.errors:,}", _kinds(one.errors_by_kind)) if one.requests or one.errors else (words.DASH, "")


def level_table(subject: Subject) -> Html:
    """One row a level, with a mark at those that have cautions."""
    columns = table_columns(subject)
    heads = [el("th", "Load", scope="col"), *(el("th", column.head, scope="col", class_="n") for column in columns)]
    rows = [_level_row(level, columns, f"{subject.letter}-{at}") for at, level in enumerate(subject.levels)]
    table = el("table", el("thead", el("tr", *heads)), el("tbody", *rows), class_="levels")
    box = el("div", table, class_="scroll", tabindex=0, role="region", aria_label=f"Levels of {subject.label}")
    return joined(box, el("p", footnote(subject), class_="lead"))


def _level_row(level: Level, columns: Sequence[Column], name: str) -> Html:
    """The numbers, and how many reasons there are to doubt them."""
    one = level.summary
    marks = [f"{one.status}"] if one.status != "done" else []
    doubts = mark([_short(caution.text) for caution in one.cautions], f"doubts-{name}", about=level.load)
    return el(
        "tr",
        el("th", level.load, doubts, *(el("small", text) for text in marks), scope="row"),
        *(
            el("td", value, el("small", small) if small else None, class_="n")
            for value, small in (column.cell(level) for column in columns)
        ),
    )


def _short(text: str) -> str:
    return text if len(text) <= 160 else text[:159] + "…"


def _kinds(kinds: dict[str, int]) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in kinds.items())


def records(found: Findings) -> Html:
    """Machine, engine and workload of each run."""
    return el(
        "section",
        el("h2", "Machine and engine"),
        el("p", "As recorded with the run. Paths and secrets are left out.", class_="lead"),
        *(_record(found, subject, index) for index, subject in enumerate(found.subjects)),
        id="records",
    )


def _record(found: Findings, subject: Subject, index: int) -> Html:
    name = f"{subject.letter}: {subject.label}" if len(found.subjects) > 1 else subject.label
    started = None if subject.started is None else subject.started[:16].replace("T", " ")
    run = {"run": subject.id, "started": started, "model": subject.model, "cards": subject.gpu_count}
    notes = [el("li", note) for note in subject.notes]
    return el(
        "details",
        el("summary", name),
        el(
            "div",
            *(
                _facts(title, facts)
                for title, facts in (
                    ("Run", run),
                    ("Machine", subject.machine),
                    ("Engine", subject.engine_facts),
                    ("Workload", subject.workload),
                )
                if facts
            ),
            class_="records",
        ),
        el("ul", *notes) if notes else None,
        class_="run",
        data_print=index < OPEN_RUNS,
    )


def _facts(title: str, facts: dict[str, Any]) -> Html:
    rows = [
        el("tr", el("th", *_fact(name, value)[:1], scope="row"), el("td", _fact(name, value)[1]))
        for name, value in _told(facts)
    ]
    return el("div", el("h3", title), el("table", el("tbody", *rows)))


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
    return (
        f"{value:,}"
        if isinstance(value, int) and value >= 10_000
        else f"{value:.4g}"
        if isinstance(value, float)
        else str(value)
    )


def repeat(found: Findings) -> Html:
    """The exact commands."""
    blocks: list[Html] = []
    for subject in found.subjects:
        if subject.commands:
            blocks += [
                el("h3", f"{subject.letter}: {subject.label}" if len(found.subjects) > 1 else "Measure"),
                el("pre", "\n".join(subject.commands)),
            ]
    if found.commands:
        blocks += [el("h3", "This page"), el("pre", "\n".join(found.commands))]
    if not blocks:
        blocks = [el("p", "These runs were imported: their own tool repeats them.", class_="lead")]
    return el("section", el("h2", "How to repeat it"), *blocks, id="repeat")
