"""The level table: one row a load of a run, the columns that say something of it, and what its limits came to."""

from collections.abc import Callable
from typing import Final

from breakeven.findings import Level, Subject
from breakeven.metrics.definitions import METRICS, RATES, shown_metrics
from breakeven.report import words
from breakeven.report.enginetold import ENGINE_SHARES
from breakeven.say import DASH, percent, share
from breakeven.table import Cell, Column, Table, Told, plain
from breakeven.units import short_count, short_rate, short_s

PER_USER: Final = RATES["output_tok_per_s_per_user"]
LONGEST_DOUBT: Final = 160
Of = Callable[[Level], Cell]


def level_table(subject: Subject) -> Table:
    """One row a level, with a mark at those that have cautions."""
    shown = _shown(subject)
    columns = [Column("Load", align="left"), *map(Column, shown)]
    return Table(columns, [[_load(level), *(of(level) for of in shown.values())] for level in subject.levels])


def _load(level: Level) -> Told:
    one = level.summary
    doubts = [_short(caution.text) for caution in one.cautions]
    return Told(level.load, "" if one.status == "done" else one.status, doubts=doubts)


def _short(text: str) -> str:
    return text if len(text) <= LONGEST_DOUBT else text[: LONGEST_DOUBT - 1] + "…"


def _shown(subject: Subject) -> dict[str, Of]:
    """Head and cell of every column that says something of this run."""
    unit, levels = subject.unit, [level.summary for level in subject.levels]
    metrics = [(name, which) for name, metric in shown_metrics(levels) for which in metric.shown]
    columns: dict[str, Of] = {
        "repeats": lambda level: str(level.repeats) if level.repeats > 1 else DASH,
        f"{unit}/s": _throughput,
        words.unit(PER_USER.label, unit): lambda level: words.rate(PER_USER.of(level.summary).value),
        **dict(_metric(name, which, unit) for name, which in metrics),
        "req/s answered": _answered,
        "sent late p99": _sent_late,
        "goodput, req/s": _with_good("goodput_req_per_s", short_rate, "good_share"),
        "limits": _extra("verdict", str),
        "sessions": _with_good("sessions", "{:.0f}".format, "good_session_share"),
        "prompts shared": _extra("shared_input_share", share),
        "from the cache": _extra("cached_input_share", share),
        "answers": lambda level: f"{level.summary.requests:,}" if level.summary.requests else DASH,
        "errors": _errors,
        **{head: _extra(name, share) for name, head in ENGINE_SHARES.items()},
        "tokens a step": _count("engine_accept_length", short_rate),
        "preempted": _count("engine_preemptions", short_count),
        "MBU": _extra("roofline_bandwidth_share", share),
        "MFU": _extra("roofline_compute_share", share),
        f"{unit}/J": lambda level: words.cost(level.tok_per_j),
        "USD/Mtok" if unit == "tok" else "USD/Mword": lambda level: words.cost(level.usd_per_mtok),
    }
    return {head: of for head, of in columns.items() if any(plain(of(level)) != DASH for level in subject.levels)}


def _metric(name: str, which: str, unit: str) -> tuple[str, Of]:
    """A percentile of a metric; one that is no time has its unit in the head."""
    metric = METRICS[name]
    if metric.unit == "s":
        return f"{metric.label} {which}", lambda level: words.latency(level.summary.of(name).at(which))
    head = f"{metric.label} {which}, {words.unit(metric.unit, unit)}"
    return head, lambda level: words.rate(level.summary.of(name).at(which).value)


def _throughput(level: Level) -> Told:
    estimate = level.summary.output_tok_per_s
    return Told(words.rate(estimate.value), words.rate_range(estimate))


def _answered(level: Level) -> Cell:
    """Of an open loop, where it may be less than what was due."""
    value = level.summary.req_per_s.value
    if level.summary.client.schedule_lag_p99_s is None or value is None:
        return DASH
    return Told(short_rate(value), "saturated" if level.summary.extra.get("saturated") else "")


def _sent_late(level: Level) -> str:
    late_s = level.summary.client.schedule_lag_p99_s
    return DASH if late_s is None else short_s(late_s)


def _extra(name: str, say: Callable[..., str]) -> Of:
    """What only some runs know."""

    def cell(level: Level) -> str:
        value = level.summary.extra.get(name)
        return DASH if value is None else say(value)

    return cell


def _count(name: str, say: Callable[[float], str]) -> Of:
    """What the engine counted; none is no column."""

    def cell(level: Level) -> str:
        value = level.summary.extra.get(name)
        return say(value) if value else DASH

    return cell


def _with_good(name: str, say: Callable[[float], str], good: str) -> Of:
    """What came to a good end, and which part of all it is."""

    def cell(level: Level) -> Told:
        value, part = (_number(level.summary.extra.get(one)) for one in (name, good))
        said = DASH if value is None else say(value)
        return Told(said, "" if part is None else f"{percent(part, digits=0)} good")

    return cell


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _errors(level: Level) -> Cell:
    one = level.summary
    kinds = ", ".join(f"{count} {kind}" for kind, count in one.errors_by_kind.items())
    return Told(f"{one.errors:,}", kinds) if one.requests or one.errors else DASH


def footnote(subject: Subject) -> str:
    """What the two speeds of the level table are, of those that it shows."""
    shown = " ".join(_shown(subject))
    told = [(words.unit(one.label, subject.unit), one.formula) for one in (PER_USER, METRICS["tok_per_s_per_user"])]
    return "; ".join(f"{label}: {words.unit(formula, subject.unit)}" for label, formula in told if label in shown)


def limits_text(subject: Subject) -> str | None:
    """The limits that a run was measured against, and what a search found; None without limits."""
    if subject.limits is None:
        return None
    return f"Limits: {subject.limits}." + ("" if subject.found is None else f" Found: {subject.found.text}.")


def verdict_lines(subject: Subject) -> list[str]:
    """`8 users: missed; ttft_p95 was 72.8 ms; e2e_p95 252 ms of 400 ms` of each level that was held against limits."""
    told = [(level.load, level.summary.extra) for level in subject.levels if "verdict" in level.summary.extra]
    return [
        "; ".join((f"{load}: {of['verdict']}", *_texts(of.get("missed")), *_texts(of.get("met")))) for load, of in told
    ]


def _texts(value: object) -> list[str]:
    """A list of a stored summary, which anybody may have written."""
    return [str(one) for one in value] if isinstance(value, list | tuple) else []
