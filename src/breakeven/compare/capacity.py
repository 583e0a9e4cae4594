"""Capacity: the greatest throughput of one run that still meets a service level, with where it is reached."""

from typing import Final, NamedTuple

import numpy as np

from breakeven.compare.envelope import greatest_up_to, load_above, load_within
from breakeven.compare.interpolate import load_at_latency, load_at_speed, throughput_at
from breakeven.compare.interval import Bounds, Draws, Interval, interval, of_brackets
from breakeven.compare.rates import rate_capacity, rate_reason
from breakeven.compare.side import (
    Array,
    Bool,
    Range,
    Side,
    curve_of,
    latency,
    latency_between,
    make_side,
    throughput_between,
    usable_range,
)
from breakeven.compare.types import OperatingPoint, Reason, Status
from breakeven.errors import UsageError
from breakeven.metrics.slo import ServiceLevel, Slo
from breakeven.metrics.summary import Estimate, RunSummary

NO_FLOOR: Final = (
    "an open loop has no number of users, so no floor of tok/s a user; give limits on latency, "
    "such as --slo ttft_p99=2s,tpot_p99=100ms: the highest rate that meets them counts"
)
_OPEN = Bounds(0.0, np.inf)


class Capacity(NamedTuple):
    """One row a draw; row 0 is what was measured."""

    users: Array
    """Where the throughput is reached; NaN where the level is missed at the lowest load."""
    tput: Array
    missed: Bool
    capped: Bool
    """The level is still met at the top of the measured range: users and tput are least values."""
    decided_between: Bounds
    """The loads where the curve decides on it, by what lies between the levels."""
    users_between: Bounds
    tput_between: Bounds
    bracket: Array | None = None
    """Of an open loop: the lowest rate that misses the level over the highest that meets it, one row a draw."""

    def draws(self, values: Array) -> Draws:
        """`values` (users or tput) as what each draw says of it."""
        low = np.where(self.missed, 0.0, values)
        high = np.where(self.missed | self.capped, np.inf, values if self.bracket is None else values * self.bracket)
        return Draws(low, high)

    def spread(self, values: Array, between: Bounds, *, sampled: bool) -> Interval:
        """The interval of `values`."""
        draws = self.draws(values)
        return (
            interval(draws, between, sampled=sampled) if self.bracket is None else of_brackets(draws, sampled=sampled)
        )


def capacity(side: Side, level: ServiceLevel) -> Capacity:
    """C(s) = max of T(u) over measured u that meet s."""
    if side.is_open:
        return _of_rates(side, level)
    usable = usable_range(side, level)
    if usable.keep.size == 0:
        yes, none = np.ones(side.node.size, dtype=bool), np.full(side.node.size, np.nan)
        return Capacity(none, none, yes, ~yes, _OPEN, _OPEN, _OPEN)
    users, tput = side.users[usable.keep], curve_of(side, usable.keep)
    load = np.full(tput.shape[0], users[-1])
    if level.floor_tok_per_s_per_user is not None:
        floor = np.full(tput.shape[0], level.floor_tok_per_s_per_user)
        load = np.minimum(load, load_at_speed(users, tput, floor))
    for limit in level.slo.limits if level.slo else ():
        latencies = latency(side, limit.metric, usable.keep)
        load = np.minimum(load, load_at_latency(users, latencies, limit.limit_s))
    missed = np.isnan(load)
    at, best = _best_up_to(users, tput, np.where(missed, users[0], load))
    nan = np.where(missed, np.nan, 1.0)
    between = (_OPEN, _OPEN, _OPEN) if missed[0] else _between(side, level, usable=usable)
    return Capacity(at * nan, best * nan, missed, load == users[-1], *between)


def _of_rates(side: Side, level: ServiceLevel) -> Capacity:
    """Of an open loop, which has no floor: by the verdicts of its levels, with nothing read between them."""
    found = rate_capacity(side, _limits(level))
    missed, capped = np.isnan(found.at), np.isinf(found.missed_at)
    rates, tput = (_OPEN, _OPEN) if missed[0] else found.bracket()
    return Capacity(found.at, found.tput, missed, capped, rates, rates, tput, found.missed_at / found.at)


def _limits(level: ServiceLevel) -> Slo:
    """The SLO of a service level; UsageError where it has none, or a floor: an open loop is read at limits alone."""
    if level.slo is None or level.floor_tok_per_s_per_user is not None:
        raise UsageError(NO_FLOOR)
    return level.slo


def _best_up_to(users: Array, tput: Array, load: Array) -> tuple[Array, Array]:
    """Where, and how much, the throughput is greatest at or below `load`: there, or at a level below it."""
    there = throughput_at(users, tput, load)
    levels = np.where(users <= load[:, None], tput, -np.inf)
    best = levels.argmax(axis=1)
    top = levels[np.arange(best.size), best]
    return np.where(there >= top, load, users[best]), np.maximum(there, top)


def _between(side: Side, level: ServiceLevel, *, usable: Range) -> tuple[Bounds, Bounds, Bounds]:
    """The loads that decide, users and throughput on the lowest and on the highest curve that the levels allow."""
    curves = throughput_between(side, usable.keep)
    low, high = ([float(side.users[usable.keep[-1]])] for _ in curves)
    if level.floor_tok_per_s_per_user is not None:
        for loads, lines in zip((low, high), curves, strict=True):
            loads.append(load_above(lines, level.floor_tok_per_s_per_user))
    for limit in level.slo.limits if level.slo else ():
        slowest_last = reversed(latency_between(side, limit.metric, usable.keep))
        for loads, lines in zip((low, high), slowest_last, strict=True):
            loads.append(load_within(lines, limit.limit_s))
    load = Bounds(min(low), min(high))
    (u0, t0), (u1, t1) = (greatest_up_to(lines, u) for lines, u in zip(curves, load, strict=True))
    at = Bounds(min(u0, u1), max(u0, u1))
    return Bounds(min(load.low, at.low), load.high), at, Bounds(t0, t1)


def status_of(capacity: Capacity) -> Status:
    """Of the measured row."""
    if capacity.missed[0]:
        return "none"
    return "bound" if capacity.capped[0] else "exact"


def reason_of(side: Side, level: ServiceLevel, capacity: Capacity) -> Reason | None:
    """Why a capacity is no exact figure; None where it is."""
    if side.is_open:
        slo = _limits(level)
        return rate_reason(side, slo, rate_capacity(side, slo))
    usable = usable_range(side, level)
    if status_of(capacity) == "exact":
        return None
    if usable.keep.size == 0 and usable.missed_at is None:
        return Reason(id="no_percentile", role=side.role)
    if usable.missed_at is not None and (usable.keep.size == 0 or capacity.capped[0]):
        return Reason(id="misses_somewhere", role=side.role, users=usable.missed_at)
    if capacity.missed[0]:
        return Reason(id="misses_lowest", role=side.role, users=float(side.users[usable.keep[0]]))
    return Reason(id="meets_top", role=side.role, users=float(side.users[usable.keep[-1]]))


def operating_point(run: RunSummary, level: ServiceLevel) -> OperatingPoint:
    """Users and throughput (95 % intervals) where `run` gives its capacity at a service level; nothing extrapolated."""
    side = make_side(run, role=run.run.id)
    return point_of(side, level, capacity(side, level))


def interval_of(side: Side, found: Capacity) -> Interval:
    """Of the capacity."""
    return found.spread(found.tput, found.tput_between, sampled=side.sampled)


def point_of(side: Side, level: ServiceLevel, found: Capacity) -> OperatingPoint:
    """The operating point from a capacity already worked out."""
    status = status_of(found)
    at, reason = level.text(unit=side.unit), reason_of(side, level, found)
    if status == "none":
        return OperatingPoint(run_id=side.run_id, at=at, status=status, reason=reason)
    ends = found.spread(found.users, found.users_between, sampled=side.sampled)
    load = Estimate(value=float(found.users[0]), ci95=ends.ci95)
    return OperatingPoint(
        run_id=side.run_id,
        at=at,
        status=status,
        users=Estimate() if side.is_open else load,
        req_per_s=load if side.is_open else Estimate(),
        output_tok_per_s=Estimate(value=float(found.tput[0]), ci95=interval_of(side, found).ci95),
        extra=extra_at(side, float(found.users[0])),
        reason=reason,
    )


def extra_at(side: Side, users: float) -> dict[str, float]:
    """Further facts (power, for example) at a load: linear in users between the two levels that have them."""
    levels = side.pooled.levels
    right = int(np.searchsorted(side.users, users))
    left, right = max(0, right - 1), min(right, len(levels) - 1)
    left = right if side.users[right] == users else left
    share = 0.0 if left == right else (users - side.users[left]) / (side.users[right] - side.users[left])
    both = set(levels[left].extra) & set(levels[right].extra)
    a, b = levels[left].extra, levels[right].extra
    return {name: float(a[name] + share * (b[name] - a[name])) for name in sorted(both)}
