"""Capacity: the greatest throughput of one run that still meets a service level, with where it is reached."""

from collections.abc import Mapping
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from breakeven.compare.interpolate import METHODS, Method, load_at_latency, load_at_speed, throughput_at
from breakeven.compare.interval import Draws, interval
from breakeven.compare.side import Array, Bool, Range, Side, curve_of, latency, make_side, usable_range
from breakeven.compare.types import OperatingPoint, Reason, Status
from breakeven.metrics.slo import ServiceLevel
from breakeven.metrics.summary import Estimate, RunSummary


class Capacity(NamedTuple):
    """One row a draw; row 0 is what was measured."""

    users: Array
    """Where the throughput is reached; NaN where the level is missed at the lowest load."""
    tput: Array
    missed: Bool
    capped: Bool
    """The level is still met at the top of the measured range: users and tput are least values."""

    def draws(self, values: Array) -> Draws:
        """`values` (users or tput) as what each draw says of it."""
        low = np.where(self.missed, 0.0, values)
        high = np.where(self.missed | self.capped, np.inf, values)
        return Draws(low, high)


Capacities = Mapping[Method, Capacity]
MAIN: Final[Method] = "loglog"


def capacities(side: Side, level: ServiceLevel) -> dict[Method, Capacity]:
    """C(s) by every way to read between the levels: C(s) = max of T(u) over measured u that meet s."""
    usable = usable_range(side, level)
    if usable.keep.size == 0:
        return dict.fromkeys(METHODS, _nothing(side.node.size))
    tput = curve_of(side, usable.keep)
    return {method: _capacity(side, level, usable=usable, tput=tput, method=method) for method in METHODS}


def _nothing(rows: int) -> Capacity:
    yes, none = np.ones(rows, dtype=bool), np.full(rows, np.nan)
    return Capacity(none, none, yes, ~yes)


def _capacity(side: Side, level: ServiceLevel, *, usable: Range, tput: Array, method: Method) -> Capacity:
    users = side.users[usable.keep]
    load = np.full(tput.shape[0], users[-1])
    if level.floor_tok_per_s_per_user is not None:
        floor = np.full(tput.shape[0], level.floor_tok_per_s_per_user)
        load = np.minimum(load, load_at_speed(users, tput, floor, method=method))
    for limit in level.slo.limits if level.slo else ():
        latencies = latency(side, limit.metric, usable.keep)
        load = np.minimum(load, load_at_latency(users, latencies, limit.limit_s, method=method))
    missed = np.isnan(load)
    at, best = _best_up_to(users, tput, np.where(missed, users[0], load), method=method)
    nan = np.where(missed, np.nan, 1.0)
    return Capacity(at * nan, best * nan, missed, load == users[-1])


def _best_up_to(users: Array, tput: Array, load: Array, *, method: Method) -> tuple[Array, Array]:
    """Where, and how much, the throughput is greatest at or below `load`: there, or at a level below it."""
    there = throughput_at(users, tput, load, method=method)
    levels = np.where(users <= load[:, None], tput, -np.inf)
    best = levels.argmax(axis=1)
    top = levels[np.arange(best.size), best]
    return np.where(there >= top, load, users[best]), np.maximum(there, top)


def status_of(capacity: Capacity) -> Status:
    """Of the measured row."""
    if capacity.missed[0]:
        return "none"
    return "bound" if capacity.capped[0] else "exact"


def reason_of(side: Side, level: ServiceLevel, capacity: Capacity) -> Reason | None:
    """Why a capacity is no exact figure; None where it is."""
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


def operating_point(run: RunSummary, level: ServiceLevel, *, seed: int = 0, node_sd_log: float = 0.0) -> OperatingPoint:
    """Users and throughput (95 % intervals) where `run` gives its capacity at a service level; nothing extrapolated."""
    side = make_side(run, role=run.run.id, seed=seed, node_sd_log=node_sd_log)
    return point_of(side, level, capacities(side, level))


def point_of(side: Side, level: ServiceLevel, by_method: Capacities) -> OperatingPoint:
    """The operating point from capacities already worked out."""
    main = by_method[MAIN]
    status = status_of(main)
    at, reason = level.text(unit=side.unit), reason_of(side, level, main)
    if status == "none":
        return OperatingPoint(run_id=side.run_id, at=at, status=status, reason=reason)
    users = {method: one.draws(one.users) for method, one in by_method.items()}
    tput = {method: one.draws(one.tput) for method, one in by_method.items()}
    return OperatingPoint(
        run_id=side.run_id,
        at=at,
        status=status,
        users=Estimate(value=float(main.users[0]), ci95=interval(users, sampled=side.sampled).ci95),
        output_tok_per_s=Estimate(value=float(main.tput[0]), ci95=interval(tput, sampled=side.sampled).ci95),
        extra=extra_at(side, float(main.users[0])),
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


def point_loads(by_method: Mapping[Method, Capacity]) -> NDArray[np.float64]:
    """The measured row's load by each way."""
    return np.array([by_method[method].users[0] for method in METHODS])
