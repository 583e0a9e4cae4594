"""The ranking: every GPU with its engine at its price, the cheapest that meets the service level first."""

from collections.abc import Sequence
from typing import Literal

import msgspec

from breakeven.cost.result import Side
from breakeven.findings.measured import per_card
from breakeven.findings.types import Money, Price, Ranked, Reason, Subject
from breakeven.metrics.summary import Estimate

SideName = Literal["reference", "candidate"]


def ranking(subjects: Sequence[Subject], money: Sequence[Money]) -> tuple[Ranked, ...]:
    """Every run, and what the scenario only declares; by cost per output token, without prices by throughput a card.

    What misses the service level, and what nobody knows it of, comes last and has no rank.
    """
    rows = [_row(index, subject, money) for index, subject in enumerate(subjects)]
    rows += [_declared(number, case, side) for number, case in enumerate(money) for side in _declared_sides(case)]
    return ordered(rows)


def ordered(rows: Sequence[Ranked]) -> tuple[Ranked, ...]:
    """In order, with ranks, margins and ties."""
    priced = any(row.usd_per_mtok.value is not None for row in rows)
    sure = sorted((row for row in rows if _key(row, priced=priced) is not None), key=lambda r: _sort(r, priced=priced))
    others = [row for row in rows if _key(row, priced=priced) is None]
    best = _key(sure[0], priced=priced) if sure else None
    ranked = [
        msgspec.structs.replace(
            row,
            rank=place,
            more_than_best=_margin(row, best, priced=priced),
            tie=place > 1 and _overlap(_estimate(sure[place - 2], priced=priced), _estimate(row, priced=priced)),
        )
        for place, row in enumerate(sure, 1)
    ]
    return (*ranked, *others)


def _estimate(row: Ranked, *, priced: bool) -> Estimate:
    return row.usd_per_mtok if priced else row.capacity_tok_per_s


def _key(row: Ranked, *, priced: bool) -> float | None:
    return None if row.capacity_tok_per_s.value is None and row.run is not None else _estimate(row, priced=priced).value


def _sort(row: Ranked, *, priced: bool) -> float:
    value = _key(row, priced=priced) or 0.0
    return value if priced else -value


def _margin(row: Ranked, best: float | None, *, priced: bool) -> float | None:
    value = _key(row, priced=priced)
    if value is None or not best:
        return None
    return value / best - 1 if priced else 1 - value / best


def _overlap(a: Estimate, b: Estimate) -> bool:
    (a_low, a_high), (b_low, b_high) = a.ci95, b.ci95
    if a_low is None or a_high is None or b_low is None or b_high is None:
        return False
    return a_low <= b_high and b_low <= a_high


def _row(index: int, subject: Subject, money: Sequence[Money]) -> Ranked:
    number, name = side_of(index, money)
    side = None if number is None or name is None else _side(money[number], name)
    cost = None if side is None else side.figures["usd_per_mtok_output"].value
    point = subject.capacity
    capacity = Estimate() if point is None else per_card(point.output_tok_per_s, subject.gpu_count)
    return Ranked(
        rank=None,
        run=index,
        money=number,
        side=name,
        label=subject.label,
        hardware=subject.hardware,
        engine=subject.engine,
        price=None if side is None else price_of(side),
        capacity_tok_per_s=capacity,
        users=Estimate() if point is None else point.users,
        req_per_s=Estimate() if point is None else point.req_per_s,
        usd_per_mtok=Estimate() if capacity.value is None else _with_interval(cost, capacity),
        more_than_best=None,
        tie=False,
        reason=_reason(subject),
        cautions=subject.cautions,
    )


def side_of(index: int, money: Sequence[Money]) -> tuple[int | None, SideName | None]:
    """Which case, and which side of it, a run is; the reference is the same in all of them."""
    for number, case in enumerate(money):
        if case.candidate == index:
            return number, "candidate"
    for number, case in enumerate(money):
        if case.reference == index:
            return number, "reference"
    return None, None


def _side(case: Money, name: SideName) -> Side | None:
    return case.report.candidate if name == "candidate" else case.report.reference


def _declared_sides(case: Money) -> list[SideName]:
    """Sides that no run stands for and that have a cost per token."""
    sides: list[SideName] = []
    if case.reference is None and case.report.reference is not None:
        sides.append("reference")
    if case.candidate is None:
        sides.append("candidate")
    return [name for name in sides if (s := _side(case, name)) and s.figures["usd_per_mtok_output"].value is not None]


def _declared(number: int, case: Money, name: SideName) -> Ranked:
    side = _side(case, name)
    assert side is not None
    return Ranked(
        rank=None,
        run=None,
        money=number,
        side=name,
        label=side.name,
        hardware=side.gpu,
        engine="",
        price=price_of(side),
        capacity_tok_per_s=Estimate(value=side.inputs.get("tok_per_s")),
        users=Estimate(),
        req_per_s=Estimate(),
        usd_per_mtok=Estimate(value=side.figures["usd_per_mtok_output"].value),
        more_than_best=None,
        tie=False,
        reason=Reason(kind="declared"),
    )


def price_of(side: Side) -> Price | None:
    """What an hour of one card is charged with, and where that comes from; None where nobody knows."""
    hour = side.figures["serving_usd_per_h"].value
    if hour is None:
        return None
    return Price(
        usd_per_h=hour / side.count,
        pays=side.pays,
        kind=side.rent_kind if side.pays == "rent" else None,
        source=side.source(side.pays),
    )


def _with_interval(cost: float | None, capacity: Estimate) -> Estimate:
    """Cost per token goes with 1 / throughput; the hour's price is taken as it stands."""
    if cost is None or not capacity.value:
        return Estimate(value=cost)
    low, high = capacity.ci95
    return Estimate(
        value=cost,
        ci95=(
            None if not high else cost * capacity.value / high,
            None if not low else cost * capacity.value / low,
        ),
    )


def _reason(subject: Subject) -> Reason | None:
    point = subject.capacity
    if point is None:
        is_open = all(one.summary.users is None for one in subject.levels)
        return Reason(kind="open loop" if is_open and subject.levels else "no service level")
    return None if point.reason is None else Reason(kind="capacity", why=point.reason)
