"""Every number of the findings as one flat list: the same for CSV, pictures and whoever checks that the forms agree."""

from collections.abc import Iterator
from typing import Final

from msgspec import Struct

from breakeven.cost.result import Figure, Side
from breakeven.findings import Findings, Level, Money, Subject
from breakeven.findings.study import StudyFindings
from breakeven.metrics.definitions import METRICS, RATES
from breakeven.metrics.summary import Estimate
from breakeven.report import words
from breakeven.report.enginetold import ENGINE_SHARES
from breakeven.report.sentence import level_text

PERCENTILES: Final = ("p50", "p95", "p99")
GOODPUT: Final = {"goodput_req_per_s": "req/s", "goodput_tok_per_s": "tok/s", "good_share": ""}
SESSIONS: Final = {
    "sessions": "sessions",
    "sessions_failed": "sessions",
    "shared_input_share": "share",
    "cached_input_share": "share",
    "goodput_sessions_per_s": "sessions/s",
    "good_session_share": "",
}
"""Of recorded sessions; levels without them have none of these."""


class Number(Struct, frozen=True, kw_only=True):
    """One number with its 95 % interval where it has one."""

    part: str
    """study, effect, ranking, level, search, comparison, money or crossing."""
    subject: str
    at: str
    """Load, service level or scenario."""
    figure: str
    value: float | None
    low: float | None = None
    high: float | None = None
    unit: str = ""


def numbers(found: Findings) -> Iterator[Number]:
    """In the order of the page; what is undefined is None."""
    yield from _study(found.study)
    yield from _ranking(found)
    for subject in found.subjects:
        for level in subject.levels:
            yield from _level(subject.label, level, unit=subject.unit)
        yield from _search(subject)
    yield from _comparisons(found)
    for case in found.money:
        yield from _money(case)


def _study(found: StudyFindings | None) -> Iterator[Number]:
    if found is None:
        return
    at = "" if found.service_level is None else found.service_level.text()
    unit = {"usd_per_mtok": "USD/Mtok", "tok_per_s": "tok/s", "users": "users"}[found.of]
    for cell in found.cells:
        yield _number("study", cell.name, at, found.of, cell.figure, unit)
    for one in found.effects:
        yield _number("effect", f"{one.factor}={one.value}", f"{one.factor}={one.against}", "ratio", one.ratio, "x")


def _ranking(found: Findings) -> Iterator[Number]:
    at = level_text(found) or ""
    for row in found.ranking:
        for figure, estimate, unit in (
            ("capacity_per_gpu", row.capacity_tok_per_s, f"{found.unit}/s"),
            ("users", row.users, "users")
            if row.req_per_s.value is None
            else ("req_per_s_offered", row.req_per_s, "req/s"),
            ("usd_per_mtok_output", row.usd_per_mtok, "USD/Mtok" if found.unit == "tok" else "USD/Mword"),
        ):
            yield _number("ranking", words.name(row), at, figure, estimate, unit)


def _number(part: str, subject: str, at: str, figure: str, estimate: Estimate, unit: str) -> Number:
    low, high = estimate.ci95
    return Number(part=part, subject=subject, at=at, figure=figure, value=estimate.value, low=low, high=high, unit=unit)


def _level(label: str, level: Level, *, unit: str) -> Iterator[Number]:
    one = level.summary
    at = level.load
    for name, rate in RATES.items():
        yield _number("level", label, at, name, rate.of(one), words.unit(rate.unit, unit))
    for name, metric in METRICS.items():
        for which in PERCENTILES:
            found = one.of(name).at(which)
            estimate = Estimate(value=found.value, ci95=found.ci95)
            yield _number("level", label, at, f"{name}_{which}", estimate, words.unit(metric.unit, unit))
    yield from (
        Number(part="level", subject=label, at=at, figure=figure, value=float(one.extra[figure]), unit=of_unit)
        for figure, of_unit in (GOODPUT | SESSIONS).items()
        if isinstance(one.extra.get(figure), int | float)
    )
    if one.extra.get("verdict") is not None:
        met = {"met": 1.0, "missed": 0.0}.get(str(one.extra["verdict"]))
        yield Number(part="level", subject=label, at=at, figure="limits_met", value=met)
    for figure, value, of_unit in (
        ("usd_per_mtok", level.usd_per_mtok, "USD/Mtok" if unit == "tok" else "USD/Mword"),
        ("power_w", level.power_w, "W"),
        ("tok_per_j", level.tok_per_j, f"{unit}/J"),
        ("roofline_bandwidth_share", one.extra.get("roofline_bandwidth_share"), "share"),
        ("roofline_compute_share", one.extra.get("roofline_compute_share"), "share"),
        *((name, one.extra.get(name), "share") for name in ENGINE_SHARES),
        ("engine_accept_length", one.extra.get("engine_accept_length"), f"{unit}/step"),
        ("engine_preemptions", one.extra.get("engine_preemptions"), "requests"),
        ("repeats", float(level.repeats), ""),
        ("requests", float(one.requests), "requests"),
        ("errors", float(one.errors), "requests"),
    ):
        yield Number(part="level", subject=label, at=at, figure=figure, value=value, unit=of_unit)


def _search(subject: Subject) -> Iterator[Number]:
    """The highest load that met the limits, and the lowest that did not."""
    if (of := subject.found) is not None:
        for figure, load in (("highest_met", of.met), ("lowest_missed", of.missed)):
            yield Number(part="search", subject=subject.label, at=of.slo, figure=figure, value=load, unit=of.unit)


def _comparisons(found: Findings) -> Iterator[Number]:
    for one in found.comparisons:
        subject = f"{one.candidate_id} for {one.reference_id}"
        for figure in (*one.k_at_slo, *one.k_same_load, *one.ratio_equal_users):
            name = figure.name if figure.relation in ("=", None) else f"{figure.name} {figure.relation}"
            estimate = Estimate(value=figure.value, ci95=figure.ci95)
            yield _number("comparison", subject, figure.at, name, estimate, "")


def _money(case: Money) -> Iterator[Number]:
    report = case.report
    at = report.name
    yield _number("money", case.label, at, "cost_ratio", case.cost_ratio, "")
    sides: list[tuple[str, Side | None]] = [("reference", report.reference), ("candidate", report.candidate)]
    for name, side in sides:
        for figure in side.figures.values() if side is not None else ():
            yield _figure(case.label, at, f"{name}.{figure.name}", figure)
    for figure in report.comparison.values():
        yield _figure(case.label, at, figure.name, figure)
    for crossing in case.crossings:
        yield Number(part="crossing", subject=case.label, at=at, figure=crossing.what, value=crossing.at, unit="USD/h")


def _figure(subject: str, at: str, name: str, figure: Figure) -> Number:
    return Number(part="money", subject=subject, at=at, figure=name, value=figure.value, unit=figure.unit)
