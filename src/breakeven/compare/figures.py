"""The three figures of an equivalence: k at a service level, same-load k, and the equal-users ratio."""

import math
from collections.abc import Sequence
from functools import partial
from typing import Final, Literal, NamedTuple

import numpy as np
from msgspec.structs import replace

from breakeven.compare.capacity import Capacity, capacity, point_of, reason_of
from breakeven.compare.envelope import load_above, value_at
from breakeven.compare.interpolate import faster_than, load_at_speed, throughput_at
from breakeven.compare.interval import Bounds, Draws, Interval, interval, of_brackets
from breakeven.compare.nextlevel import Doubt, at_capacity, next_levels, next_rate
from breakeven.compare.side import Array, Side, throughput_between
from breakeven.compare.types import Equivalence, FigureName, NextLevel, Reason, Relation, Status
from breakeven.compare.words import people
from breakeven.metrics.slo import ServiceLevel

FORMULAS: Final[dict[FigureName, str]] = {
    "k_at_slo": "k(s) = C_A(s) / C_B(s); C_X(s) = greatest throughput of one X that still meets s",
    "k_same_load": "L_A(s) / L_B(s); s = T_A(u) / u, L_X(s) = greatest load at which one X still gives s",
    "ratio_equal_users": "T_A(u) / T_B(u); u = users of each",
}


def k_at_slo(a: Side, b: Side, level: ServiceLevel, *, unit: str) -> Equivalence:
    """How many of B do the work of one A at a service level: C_A(s) / C_B(s); of two closed loops, or two open ones.

    A side that still meets s at its top makes k a bound; both, or a side that misses s at its lowest load, leave none.
    """
    ca, cb = capacity(a, level), capacity(b, level)
    found = (reason_of(side, level, one) for side, one in ((a, ca), (b, cb)))
    reasons = tuple(reason for reason in found if reason is not None)
    spread = _spread_of_k(ca, cb, sampled=_sampled(a, b))
    figure = _figure("k_at_slo", level.text(unit=unit), draws=_quotient(ca, cb), spread=spread, reasons=reasons)
    return replace(
        figure,
        floor_tok_per_s_per_user=level.floor_tok_per_s_per_user,
        reference_at=point_of(a, level, ca),
        candidate_at=point_of(b, level, cb),
        levels_to_measure_next=_next(a, b, level, figure=figure, ca=ca, cb=cb),
    )


def _quotient(a: Capacity, b: Capacity) -> Draws:
    k = a.tput / b.tput
    unknown = a.missed | b.missed | (a.capped & b.capped)
    return Draws(np.where(unknown | b.capped, 0.0, k), np.where(unknown | a.capped, np.inf, k))


def _spread_of_k(a: Capacity, b: Capacity, *, sampled: bool) -> Interval:
    if a.bracket is None or b.bracket is None:
        return interval(_quotient(a, b), a.tput_between.over(b.tput_between), sampled=sampled)
    of_a, of_b = a.draws(a.tput), b.draws(b.tput)
    with np.errstate(divide="ignore"):
        return of_brackets(Draws(of_a.low / of_b.high, of_a.high / of_b.low), sampled=sampled)


def _next(
    a: Side, b: Side, level: ServiceLevel, *, figure: Equivalence, ca: Capacity, cb: Capacity
) -> tuple[NextLevel, ...]:
    """A level that makes the figure exact; of an exact one, the levels that narrow it most."""
    if a.is_open:
        return _next_rates(((a, ca), (b, cb)), level, figure=figure)
    if figure.status == "exact":
        return next_levels((a, b), partial(_doubt_of_k, level)) if figure.dominated_by == "levels" else ()
    sides = [(a, ca), (b, cb)]
    missed = [(side, one) for side, one in sides if one.missed[0]]
    found = (at_capacity(side, level, one) for side, one in missed or sides)
    return tuple(one for one in found if one is not None)[:1]


def _next_rates(
    sides: Sequence[tuple[Side, Capacity]], level: ServiceLevel, *, figure: Equivalence
) -> tuple[NextLevel, ...]:
    """Of open loops: a rate within the bracket of each side, or beyond what was measured of a side that has none."""
    if figure.status == "exact" and figure.dominated_by != "levels":
        return ()
    open_ = [one for one in sides if figure.status == "exact" or one[1].missed[0] or one[1].capped[0]]
    found = (next_rate(side, level, one) for side, one in open_)
    return tuple(one for one in found if one is not None)


def _doubt_of_k(level: ServiceLevel, sides: Sequence[Side]) -> Doubt:
    a, b = sides
    ca, cb = capacity(a, level), capacity(b, level)
    return Doubt(_spread_of_k(ca, cb, sampled=_sampled(a, b)), (ca.decided_between, cb.decided_between))


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
    shared = _shared(a, b, users)
    reasons = _shared_reasons(b, shared)
    spread = interval(shared.draws, shared.between, sampled=_sampled(a, b))
    figure = _figure("k_same_load", at, draws=shared.draws, spread=spread, reasons=reasons)
    unsure = figure.dominated_by == "levels"
    found = next_levels((a, b), partial(_doubt_of_shared, users)) if unsure else ()
    return replace(figure, users=users, levels_to_measure_next=found)


class _Shared(NamedTuple):
    """What a same-load k is made of: nothing where B has no such load, at most a value where B is faster at its top."""

    draws: Draws
    of_a: Bounds
    """The load of A, by what lies between the levels."""
    of_b: Bounds
    load_of_b: float
    """As measured; NaN where B has none."""
    faster: bool
    """B is faster still at its top level, as measured."""

    @property
    def between(self) -> Bounds:
        return self.of_a.over(self.of_b)


def _shared(a: Side, b: Side, users: float) -> _Shared:
    speed = throughput_at(a.users, a.curve, np.full(a.node.size, users)) / users
    of_a, of_b = (load_at_speed(side.users, side.curve, speed) for side in (a, b))
    missed, faster = np.isnan(of_b), faster_than(b.curve[:, -1] / b.users[-1], speed)
    n = of_a / np.where(missed, 1.0, of_b)
    draws = Draws(np.where(missed | faster, 0.0, n), np.where(missed, np.inf, n))
    return _Shared(draws, *_shared_between(a, b, users), float(of_b[0]), bool(faster[0]))


def _shared_between(a: Side, b: Side, users: float) -> tuple[Bounds, Bounds]:
    """The loads of A and of B at the least and at the greatest speed that A may have at `users`."""
    curves_a, curves_b = (throughput_between(side) for side in (a, b))
    slow, fast = (value_at(lines, users) / users for lines in curves_a)
    speeds = b.curve[0] / b.users
    misses, caps = faster_than(np.array([fast, speeds[-1]]), np.array([speeds[0], slow]))
    least = 0.0 if misses else load_above(curves_b.low, fast)
    greatest = math.inf if caps else load_above(curves_b.high, slow)
    return Bounds(users, max(users, load_above(curves_a.high, slow))), Bounds(least, greatest)


def _shared_reasons(b: Side, shared: _Shared) -> tuple[Reason, ...]:
    if math.isnan(shared.load_of_b):
        return (Reason(id="needs_fewer_users", role=b.role, users=float(b.users[0])),)
    return (Reason(id="faster_at_top", role=b.role, users=float(b.users[-1])),) if shared.faster else ()


def _doubt_of_shared(users: float, sides: Sequence[Side]) -> Doubt:
    a, b = sides
    shared = _shared(a, b, users)
    spread = interval(shared.draws, shared.between, sampled=_sampled(a, b))
    return Doubt(spread, (shared.of_a, shared.of_b))


def ratio_equal_users(a: Side, b: Side, users: float) -> Equivalence:
    """T_A(u) / T_B(u) as measured: how much faster one A is with as many users; not a number of cards."""
    at = f"{people(users)} each"
    for side in (a, b):
        outside = _outside(side, users)
        if outside is not None:
            return _none("ratio_equal_users", at, users=users, reason=outside)
    draws = Draws(*2 * (_tput(a, users) / _tput(b, users),))
    between = _tput_between(a, users).over(_tput_between(b, users))
    spread = interval(draws, between, sampled=_sampled(a, b))
    return replace(_figure("ratio_equal_users", at, draws=draws, spread=spread), users=users)


def _tput(side: Side, users: float) -> Array:
    """As measured at a level, read from the curve between levels."""
    level = np.flatnonzero(side.users == users)
    if level.size:
        return side.throughput[:, level[0]]
    return throughput_at(side.users, side.curve, np.full(side.node.size, users))


def _tput_between(side: Side, users: float) -> Bounds:
    if users in side.users:
        return Bounds(*2 * (float(_tput(side, users)[0]),))
    return Bounds(*(value_at(lines, users) for lines in throughput_between(side)))


def _outside(side: Side, users: float) -> Reason | None:
    """Why nothing is known of a side at a load beyond its levels."""
    low, high = float(side.users[0]), float(side.users[-1])
    inside = low <= users <= high
    return None if inside else Reason(id="not_measured", role=side.role, users=low, up_to_users=high)


def _none(name: FigureName, at: str, *, users: float, reason: Reason) -> Equivalence:
    return Equivalence(name=name, at=at, users=users, status="none", formula=FORMULAS[name], reasons=(reason,))


def _sampled(*sides: Side) -> bool:
    return any(side.sampled for side in sides)


def _figure(
    name: FigureName,
    at: str,
    *,
    draws: Draws,
    spread: Interval,
    reasons: tuple[Reason, ...] = (),
) -> Equivalence:
    """The parts that all three figures have in common."""
    status, relation = _status(draws)
    if status == "none":
        return Equivalence(name=name, at=at, status=status, formula=FORMULAS[name], reasons=reasons)
    value = float(draws.high[0] if relation == "<=" else draws.low[0])
    whole = name != "ratio_equal_users"
    return Equivalence(
        name=name,
        at=at,
        status=status,
        relation=relation,
        value=value,
        ci95=spread.ci95,
        interval_holds=spread.holds,
        tie=_holds_one(spread.ci95) if status == "exact" and spread.holds == "sampling" else None,
        whole_cards=_up(value) if whole and relation != ">=" else None,
        whole_cards_ci95=(_up(spread.ci95[0]), _up(spread.ci95[1])) if whole else (None, None),
        formula=FORMULAS[name],
        reasons=reasons,
        dominated_by=_dominated(spread) if status == "exact" else None,
    )


def _status(draws: Draws) -> tuple[Status, Relation | None]:
    low, high = float(draws.low[0]), float(draws.high[0])
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


def _dominated(spread: Interval) -> Literal["sampling", "levels"]:
    return "levels" if spread.dominated_by_levels() else "sampling"
