"""What the runs come to: how many of B do the work of one A at which share of its cost, or what one run gives."""

from collections.abc import Sequence

from breakeven.compare.types import Comparison, Equivalence, NextLevel, OperatingPoint
from breakeven.findings.types import Answer, Money, Subject
from breakeven.metrics.bracket import load_of
from breakeven.metrics.summary import Estimate


def compared(index: int, figure: Equivalence | None, *, money: Money | None) -> Answer:
    """Of the candidate with that index against the first run."""
    if figure is None or figure.value is None:
        return Answer(kind="apart", subject=index, reference=0, why=() if figure is None else figure.reasons)
    return Answer(
        kind="compared",
        subject=index,
        reference=0,
        k=Estimate(value=figure.value, ci95=figure.ci95),
        relation=figure.relation,
        tie=figure.tie,
        why=figure.reasons if figure.status == "bound" else (),
        k_holds=figure.interval_holds,
        measure_next=figure.levels_to_measure_next,
        cost_ratio=Estimate() if money is None else money.cost_ratio,
    )


def alone(subject: Subject, *, money: Money | None, measure_next: tuple[NextLevel, ...] = ()) -> Answer:
    """Of the only run: at the service level, else its best level; with what its tokens cost where that is known."""
    cost = None if money is None else _cost(money)
    point = subject.capacity
    if point is not None and point.output_tok_per_s.value is not None:
        return Answer(
            kind="alone",
            subject=0,
            speed=_speed(subject, point),
            users=point.users.value,
            req_per_s=point.req_per_s.value,
            is_least=point.status == "bound",
            measure_next=measure_next,
            usd_per_mtok=cost,
        )
    known = [one for one in subject.levels if one.summary.output_tok_per_s.value is not None]
    if not known:
        return Answer(kind="nothing", subject=0)
    best = max(known, key=lambda one: one.summary.output_tok_per_s.value or 0.0)
    return Answer(
        kind="alone",
        subject=0,
        speed=best.summary.output_tok_per_s,
        load=best.load,
        measure_next=measure_next,
        usd_per_mtok=cost,
    )


def _cost(money: Money) -> float | None:
    side = money.report.candidate if money.candidate is not None else money.report.reference
    return None if side is None else side.figures["usd_per_mtok_output"].value


def _speed(subject: Subject, point: OperatingPoint) -> Estimate:
    """Where the service level is still met at the top, the top level with its own interval."""
    load = point.users.value if point.req_per_s.value is None else point.req_per_s.value
    top = [one.summary for one in subject.levels if load_of(one.summary) == load]
    return top[0].output_tok_per_s if point.status == "bound" and len(top) == 1 else point.output_tok_per_s


def best_comparison(
    comparisons: Sequence[Comparison], money: Sequence[Money], figures: Sequence[Equivalence | None]
) -> int:
    """The candidate to tell of: the cheapest per token, without prices the one that needs the fewest cards."""
    costs = [case.cost_ratio.value for case in money]
    values = costs if any(value is not None for value in costs) else [f.value if f else None for f in figures]
    known = [(value, index) for index, value in enumerate(values) if value is not None]
    return min(known)[1] if known and len(values) == len(comparisons) else 0
