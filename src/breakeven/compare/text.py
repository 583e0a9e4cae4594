"""A comparison as plain text for a terminal, or as JSON for a program."""

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from breakeven.compare.types import Comparison, Equivalence, GateResult, LevelRow, LevelSide, OperatingPoint
from breakeven.compare.words import (
    MOSTLY_LEVELS,
    engine_comparison_text,
    gate_level_text,
    gate_text,
    interval_text,
    next_levels_text,
    point_load_text,
    reason_text,
    scope_lines,
    sentences,
    value_text,
    verdict_text,
    warned_text,
)
from breakeven.errors import one_line
from breakeven.metrics.pooling import cannot_tell
from breakeven.say import plus_minus, room
from breakeven.table import Column, Table, heads, lines
from breakeven.units import rate_text, short_count, short_s

FORMAT: Final = 3
_LATENCIES: Final = (
    ("ttft_p50", "TTFT p50"),
    ("ttft_p95", "TTFT p95"),
    ("tpot_p50", "TPOT p50"),
    ("e2e_p50", "E2E p50"),
)


def to_json(comparisons: Sequence[Comparison]) -> dict[str, object]:
    """The comparisons for JSON, format 3; None is null, an open end of an interval is null.

    `text` of each holds its sentences; all else is data.
    """
    told = [{**msgspec.structs.asdict(one), "text": sentences(one)} for one in comparisons]
    return {"format": FORMAT, "comparisons": told}


def render(comparisons: Sequence[Comparison]) -> str:
    """The comparisons as text, at most about 120 columns wide, one after the other."""
    return "\n\n\n".join("\n".join(_comparison(one)) for one in comparisons) + "\n"


def render_gate(result: GateResult) -> str:
    """A gate's verdict and what it was at every level."""
    return (
        "\n".join([f"gate {gate_text(result)}", *(f"  {gate_level_text(level, result)}" for level in result.levels)])
        + "\n"
    )


def _comparison(one: Comparison) -> Iterator[str]:
    yield f"A  {_name(one.reference_id, one.reference_label)}"
    yield f"B  {_name(one.candidate_id, one.candidate_label)}"
    yield from scope_lines(one.scope)
    if one.engine_comparison is not None:
        yield engine_comparison_text(one.engine_comparison)
    yield from ("", verdict_text(one.k_at_slo), "")
    yield from _levels(one)
    yield from _figures(one)
    yield from _warnings(one)


def _name(run_id: str, label: str) -> str:
    return one_line(run_id, limit=80) + (f"  ({label})" if label else "")


def _levels(one: Comparison) -> Iterator[str]:
    yield "Level by level"
    known = [(name, label) for name, label in _LATENCIES if any(_latency(row, name) for row in one.levels)]
    repeated = any(
        side.repeats > 1 for row in one.levels for side in (row.reference, row.candidate) if side is not None
    )
    columns = (
        *(Column("req/s" if _is_open(one) else "users"), Column("", align="left")),
        *(Column("repeats" if repeated else ""), Column(one.unit), Column("± 95 %")),
        *(Column("limits" if _is_open(one) else "a user", goes=1), *(Column(label, goes=2) for _, label in known)),
    )
    rows = [line for row in one.levels for line in _level_lines(row, [name for name, _ in known], repeated=repeated)]
    yield from _lines(columns, rows)
    if not _is_open(one):
        yield f"a user: throughput / users, in {one.unit}: the mean speed of a user, waits included;"
        yield "        1 / TPOT is the speed while an answer runs"
    yield ""


def _is_open(one: Comparison) -> bool:
    return any(row.users is None for row in one.levels)


def _latency(row: LevelRow, name: str) -> bool:
    return any(side is not None and side.latency_s[name] is not None for side in (row.reference, row.candidate))


def _level_lines(row: LevelRow, names: Sequence[str], *, repeated: bool) -> Iterator[list[str]]:
    load = rate_text(row.req_per_s or 0.0) if row.users is None else str(row.users)
    for first, role, side in ((load, "A", row.reference), ("", "B", row.candidate)):
        if side is None:
            yield [first, role, "", "–"]
        else:
            yield [first, role, str(side.repeats) if repeated else "", *_side(side, names)]


def _side(side: LevelSide, names: Sequence[str]) -> list[str]:
    rate, latencies = side.output_tok_per_s, (side.latency_s[name] for name in names)
    return [
        _count(rate.value),
        "?" if cannot_tell(side.repeats, rate.ci95) else plus_minus(rate.value, rate.ci95, short_count),
        side.verdict or _count(side.output_tok_per_s_per_user.value),
        *("–" if value is None else short_s(value) for value in latencies),
    ]


def _count(value: float | None) -> str:
    return "–" if value is None else short_count(value)


def _figures(one: Comparison) -> Iterator[str]:
    load = "offered rate" if _is_open(one) else "load"
    yield f"k at a service level: how many B do the work of one A, each at its highest {load} that still meets"
    shared = [Column("", align="left"), Column("k"), Column("95 %"), Column("", align="left"), Column("whole B")]
    points = (Column(f"{one.unit} of A then", align="left", goes=1), Column("of B then", align="left", goes=1))
    yield from _lines((*shared, *points), [*_k_lines(one)])
    yield from _notes(one.k_at_slo)
    if _is_open(one):
        return
    yield ""
    yield "Same-load k: how many B, sharing the users of one A, are as fast"
    yield from _lines(shared, [*map(_shared_line, one.k_same_load)])
    yield from _notes(one.k_same_load)
    yield ""
    yield "Equal-users ratio: throughput of A / throughput of B with as many users each (no number of cards)"
    yield from _lines(heads("", "A / B", "95 %", "", left=(0, 3)), [_shared_line(f)[:4] for f in one.ratio_equal_users])
    yield from _notes(one.ratio_equal_users)


def _lines(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> list[str]:
    return lines(Table(columns, rows), width=room(), indent="  ")


def _k_lines(one: Comparison) -> Iterator[list[str]]:
    for figure in one.k_at_slo:
        points = (_point(point) for point in (figure.reference_at, figure.candidate_at))
        yield [*_shared_line(figure), *points]


def _shared_line(figure: Equivalence) -> list[str]:
    return [figure.at, value_text(figure), interval_text(figure), _remark(figure), _whole(figure)]


def _remark(figure: Equivalence) -> str:
    return "levels only" if figure.interval_holds == "levels" else "tie" if figure.tie else ""


def _whole(figure: Equivalence) -> str:
    """`2`, or `2 (1–2)` where the interval leaves it open; `?` for an end, or both, without a bound."""
    if figure.whole_cards is None:
        return "–"
    low, high = figure.whole_cards_ci95
    if figure.relation == "<=":
        return f"at most {figure.whole_cards}"
    if low == high == figure.whole_cards or figure.interval_holds == "nothing":
        return str(figure.whole_cards)
    if low is None and high is None:
        return f"{figure.whole_cards} (?)"
    return f"{figure.whole_cards} ({low or '?'}–{high or '?'})"


def _point(point: OperatingPoint | None) -> str:
    if point is None or point.status == "none":
        return "–"
    more = "at least " if point.status == "bound" else ""
    return f"{more}{_count(point.output_tok_per_s.value)} at {point_load_text(point)}"


def _notes(figures: Sequence[Equivalence]) -> Iterator[str]:
    """Why a figure is a bound or none, and what to measure; figures with one reason share a line."""
    reasons: dict[str, list[str]] = {}
    for figure in figures:
        for reason in figure.reasons:
            reasons.setdefault(reason_text(reason), []).append(figure.at)
    if any(figure.interval_holds == "levels" for figure in figures):
        yield "  levels only: no throughput has an interval, and this holds only what may lie between the levels"
    for text, at in reasons.items():
        yield f"  {'; '.join(at)}: {text}"
    wide = [figure.at for figure in figures if figure.dominated_by == "levels" and not figure.levels_to_measure_next]
    if wide:
        yield f"  {'; '.join(wide)}: {MOSTLY_LEVELS}"
    for advice in dict.fromkeys(text for figure in figures for text in _advice(figure)):
        yield f"  {advice}"


def _advice(figure: Equivalence) -> Iterator[str]:
    if figure.levels_to_measure_next:
        yield f"{figure.at}: {next_levels_text(figure.levels_to_measure_next)}"


def _warnings(one: Comparison) -> Iterator[str]:
    if one.warnings:
        yield from ("", "Warnings", *(f"  {warned_text(warned)}" for warned in one.warnings))
