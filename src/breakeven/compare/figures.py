"""The three figures of an equivalence: k at a service level, same-load k, and the equal-users ratio."""

import math
from collections.abc import Mapping
from typing import Final, Literal

import numpy as np
from msgspec.structs import replace

from breakeven.compare.capacity import MAIN, Capacities, Capacity, capacities, point_of, reason_of, status_of
from breakeven.compare.interpolate import METHODS, Method, faster_than, load_at_speed, throughput_at
from breakeven.compare.interval import Draws, Interval, interval
from breakeven.compare.nextlevel import at_capacity, near
from breakeven.compare.side import Array, Bool, Side
from breakeven.compare.types import Equivalence, FigureName, NextLevel, Reason, Relation, Status
from breakeven.compare.words import people
from breakeven.metrics.slo import ServiceLevel

FORMULAS: Final[dict[FigureName, str]] = {
    "k_at_slo": "k(s) = C_A(s) / C_B(s); C_X(s) = greatest throughput of one X that still meets s",
    "k_same_load": "L_A(s) / L_B(s); s = T_A(u) / u, L_X(s) = greatest load at which one X still gives s",
    "ratio_equal_users": "T_A(u) / T_B(u); u = users of each",
}


def k_at_slo(a: Side, b: Side, level: ServiceLevel, *, unit: str) -> Equivalence:
    """How many of B do the work of one A at a service level: C_A(s) / C_B(s).

    A side that still meets s at its top makes k a bound; both, or a side that misses s at its lowest load, leave none.
    """
    ca, cb = capacities(a, level), capacities(b, level)
    draws = {method: _quotient(ca[method], cb[method]) for method in METHODS}
    found = (reason_of(side, level, one[MAIN]) for side, one in ((a, ca), (b, cb)))
    reasons = tuple(reason for reason in found if reason is not None)
    figure = _figure("k_at_slo", level.text(unit=unit), sides=(a, b), draws=draws, reasons=reasons)
    unsure = figure.status != "exact" or figure.dominated_by == "method"
    return replace(
        figure,
        floor_tok_per_s_per_user=level.floor_tok_per_s_per_user,
        reference_at=point_of(a, level, ca),
        candidate_at=point_of(b, level, cb),
        level_to_measure_next=_unsurest(a, b, level, ca=ca, cb=cb) if unsure else None,
    )


def _quotient(a: Capacity, b: Capacity) -> Draws:
    k = a.tput / b.tput
    unknown = a.missed | b.missed | (a.capped & b.capped)
    return Draws(np.where(unknown | b.capped, 0.0, k), np.where(unknown | a.capped, np.inf, k))


def _unsurest(a: Side, b: Side, level: ServiceLevel, *, ca: Capacities, cb: Capacities) -> NextLevel | None:
    """The level to measure on the side that is no exact figure, else on the one where the ways differ more.

    None where a side misses s even with one user: no level of the other would change that.
    """
    order = sorted(((a, ca), (b, cb)), key=lambda side: _doubt(side[1]), reverse=True)
    if any(one[MAIN].missed[0] for _, one in order):
        order = [(side, one) for side, one in order if one[MAIN].missed[0]]
    found = (at_capacity(side, level, by_method) for side, by_method in order)
    return next((one for one in found if one is not None), None)


def _doubt(by_method: Capacities) -> float:
    if status_of(by_method[MAIN]) != "exact":
        return math.inf
    values = [float(one.tput[0]) for one in by_method.values()]
    return math.inf if any(map(math.isnan, values)) else math.log(max(values) / min(values))


def k_same_load(a: Side, b: Side, users: float) -> Equivalence:
    """How many of B, sharing the users of one A, are as fast: L_A(s) / L_B(s) at the speed s = T_A(u) / u.

    L_X(s) is the greatest measured load at which X still gives s. Where A's speed falls at `users`, L_A(s) is `users`,
    and this is the least real N with N * T_B(u/N) >= T_A(u); where it is level beyond, A carries more at that speed,
    and without L_A a card would be 0.20 of itself. None where B is never so fast; at most (<=) where B is faster still
    at its top level.
    """
    at = f"{people(users)} in all"
    outside = _outside(a, users)
    if outside is not None:
        return _none("k_same_load", at, users=users, reason=outside)
    ta, tb = a.curve, b.curve
    u = np.full(ta.shape[0], users)
    speeds = {method: throughput_at(a.users, ta, u, method=method) / users for method in METHODS}
    of_a, of_b = (
        {method: load_at_speed(side.users, tput, speed, method=method) for method, speed in speeds.items()}
        for side, tput in ((a, ta), (b, tb))
    )
    faster = {method: faster_than(tb[:, -1] / b.users[-1], speed) for method, speed in speeds.items()}
    draws = {method: _shared(of_a[method], of_b[method], faster=faster[method]) for method in METHODS}
    reasons = _shared_reasons(b, of_b[MAIN][0], faster=bool(faster[MAIN][0]))
    figure = _figure("k_same_load", at, sides=(a, b), draws=draws, reasons=reasons)
    points = np.array([of_b[method][0] for method in METHODS])
    unsure = figure.dominated_by == "method"
    return replace(figure, users=users, level_to_measure_next=near(b, points, b.users) if unsure else None)


def _shared(of_a: Array, of_b: Array, *, faster: Bool) -> Draws:
    """Load of A / load of B; nothing known where B has no such load, at most that where B is faster at its top."""
    missed = np.isnan(of_b)
    n = of_a / np.where(missed, 1.0, of_b)
    return Draws(np.where(missed | faster, 0.0, n), np.where(missed, np.inf, n))


def _shared_reasons(b: Side, load: float, *, faster: bool) -> tuple[Reason, ...]:
    if math.isnan(load):
        return (Reason(id="needs_fewer_users", role=b.role, users=float(b.users[0])),)
    return (Reason(id="faster_at_top", role=b.role, users=float(b.users[-1])),) if faster else ()


def ratio_equal_users(a: Side, b: Side, users: float) -> Equivalence:
    """T_A(u) / T_B(u) as measured: how much faster one A is with as many users; not a number of cards."""
    at = f"{people(users)} each"
    for side in (a, b):
        outside = _outside(side, users)
        if outside is not None:
            return _none("ratio_equal_users", at, users=users, reason=outside)
    draws = {method: _equal_users(a, b, users, method=method) for method in METHODS}
    return replace(_figure("ratio_equal_users", at, sides=(a, b), draws=draws), users=users)


def _equal_users(a: Side, b: Side, users: float, *, method: Method) -> Draws:
    ratio = _tput(a, users, method=method) / _tput(b, users, method=method)
    return Draws(ratio, ratio)


def _tput(side: Side, users: float, *, method: Method) -> Array:
    """As measured at a level, read from the curve between levels."""
    level = np.flatnonzero(side.users == users)
    if level.size:
        return side.throughput[:, level[0]]
    return throughput_at(side.users, side.curve, np.full(side.node.size, users), method=method)


def _outside(side: Side, users: float) -> Reason | None:
    """Why nothing is known of a side at a load beyond its levels."""
    low, high = float(side.users[0]), float(side.users[-1])
    inside = low <= users <= high
    return None if inside else Reason(id="not_measured", role=side.role, users=low, up_to_users=high)


def _none(name: FigureName, at: str, *, users: float, reason: Reason) -> Equivalence:
    return Equivalence(name=name, at=at, users=users, status="none", formula=FORMULAS[name], reasons=(reason,))


def _figure(
    name: FigureName,
    at: str,
    *,
    sides: tuple[Side, Side],
    draws: Mapping[Method, Draws],
    reasons: tuple[Reason, ...] = (),
) -> Equivalence:
    """The parts that all three figures have in common."""
    spread = interval(draws, sampled=any(side.sampled for side in sides))
    status, relation = _status(draws[MAIN])
    if status == "none":
        return Equivalence(name=name, at=at, status=status, formula=FORMULAS[name], reasons=reasons)
    alike = {method: one for method, one in draws.items() if _status(one) == (status, relation)}
    ends = {method: float(one.high[0] if relation == "<=" else one.low[0]) for method, one in alike.items()}
    whole = name != "ratio_equal_users"
    return Equivalence(
        name=name,
        at=at,
        status=status,
        relation=relation,
        value=ends[MAIN],
        ci95=spread.ci95,
        interval_holds=spread.holds,
        by_method={str(method): value for method, value in ends.items()},
        tie=_holds_one(spread.ci95) if status == "exact" and spread.holds == "sampling" else None,
        whole_cards=_up(ends[MAIN]) if whole and relation != ">=" else None,
        whole_cards_ci95=(_up(spread.ci95[0]), _up(spread.ci95[1])) if whole else (None, None),
        formula=FORMULAS[name],
        reasons=reasons,
        dominated_by=_dominated(spread) if status == "exact" else None,
    )


def _status(main: Draws) -> tuple[Status, Relation | None]:
    low, high = float(main.low[0]), float(main.high[0])
    if low == high:
        return "exact", "="
    if low > 0:
        return "bound", ">="
    return ("bound", "<=") if math.isfinite(high) else ("none", None)


def _holds_one(ci95: tuple[float | None, float | None]) -> bool:
    low, high = ci95
    return (low is None or low <= 1) and (high is None or high >= 1)


def _up(value: float | None) -> int | None:
    """Rounded up to whole cards; a hair above a whole number is rounding, not a card."""
    return None if value is None else math.ceil(value - 1e-9)


def _dominated(spread: Interval) -> Literal["sampling", "method"]:
    return "method" if spread.dominated_by_method() else "sampling"
