"""Which level to measure next: where the ways to read between the levels disagree most."""

import math
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from breakeven.compare.capacity import MAIN, Capacities, capacities, point_loads
from breakeven.compare.interpolate import METHODS, throughput_at
from breakeven.compare.interval import Draws, Interval, interval
from breakeven.compare.pool import nodes_of
from breakeven.compare.side import Side, make_side, usable_range
from breakeven.compare.types import NextLevel, Reason
from breakeven.metrics.slo import ServiceLevel, Slo, service_levels
from breakeven.metrics.summary import RunSummary

Array = NDArray[np.float64]


def next_level(
    run: RunSummary, *, floors: Sequence[float] = (), slo: Slo | None = None, seed: int = 0
) -> NextLevel | None:
    """The level of one run whose measurement would narrow its curve most; None when more levels would not help.

    With service levels: where the capacity at one of them is least sure. Without: the gap between neighbouring levels
    in whose middle the ways to read throughput differ most. A gap counts only where that exceeds the sampling error.
    """
    side = make_side(run, role=run.run.id, seed=seed)
    levels = service_levels(floors=floors, slo=slo)
    found = _of_service_levels(side, levels) if levels else _of_gaps(side)
    best = max(found, key=lambda one: one[0], default=None)
    return None if best is None else best[1]


def _of_service_levels(side: Side, levels: Iterable[ServiceLevel]) -> Iterable[tuple[float, NextLevel]]:
    for level in levels:
        by_method = capacities(side, level)
        tput = {method: one.draws(one.tput) for method, one in by_method.items()}
        found = at_capacity(side, level, by_method)
        spread = interval(tput, sampled=side.sampled)
        if found is not None and (not _exact(by_method) or spread.dominated_by_method()):
            yield (spread.method_log if _exact(by_method) else math.inf), found


def _exact(by_method: Capacities) -> bool:
    return not (by_method[MAIN].missed[0] or by_method[MAIN].capped[0])


def _of_gaps(side: Side) -> Iterable[tuple[float, NextLevel | None]]:
    tput = side.curve
    for u0, u1 in zip(side.users, side.users[1:], strict=False):
        users = between(u0, u1, math.sqrt(u0 * u1))
        if users is None:
            continue
        at = np.full(tput.shape[0], float(users))
        values = {method: throughput_at(side.users, tput, at, method=method) for method in METHODS}
        spread = interval({method: Draws(value, value) for method, value in values.items()}, sampled=side.sampled)
        if spread.dominated_by_method():
            yield spread.method_log, _named(side, users, _why(side, spread, users=(float(u0), float(u1))))


def _why(side: Side, spread: Interval, *, users: tuple[float, float]) -> Reason:
    return Reason(
        id="ways_differ",
        role=side.role,
        users=users[0],
        up_to_users=users[1],
        method_share=math.expm1(spread.method_log),
        sampling_share=math.expm1(spread.sampling_log),
    )


def at_capacity(side: Side, level: ServiceLevel, by_method: Capacities) -> NextLevel | None:
    """The level that would settle the capacity: near where it is reached, above the top, or one user."""
    main, usable = by_method[MAIN], usable_range(side, level)
    if usable.missed_at is not None and (usable.keep.size == 0 or main.capped[0]):
        below = side.users[usable.keep[-1]] if usable.keep.size else 0.0
        users = between(below, usable.missed_at, math.sqrt(max(below, 1.0) * usable.missed_at))
        reason = Reason(id="misses_somewhere", role=side.role, users=usable.missed_at)
        return None if users is None else _named(side, users, reason)
    if usable.keep.size == 0:
        return None
    kept = side.users[usable.keep]
    if main.missed[0]:
        reason = Reason(id="misses_lowest", role=side.role, users=float(kept[0]))
        return None if kept[0] <= 1 else _named(side, 1, reason)
    if main.capped[0]:
        return _named(side, int(2 * kept[-1]), Reason(id="meets_top", role=side.role, users=float(kept[-1])))
    return near(side, point_loads(by_method), kept)


def near(side: Side, loads: Array, users: Array) -> NextLevel | None:
    """The whole number of users nearest the middle of `loads` (one by each way) strictly between two levels.

    A way by which the side misses the level at its lowest load has no load (NaN), and none in the middle.
    """
    middle = float(np.exp(np.nanmean(np.log(loads))))
    right = min(max(int(np.searchsorted(users, middle)), 1), users.size - 1)
    if users.size < 2 or middle in users:
        return None
    low, high = float(users[right - 1]), float(users[right])
    chosen = between(low, high, middle)
    reason = Reason(id="read_between", role=side.role, users=low, up_to_users=high)
    return None if chosen is None else _named(side, chosen, reason)


def _named(side: Side, users: int, reason: Reason) -> NextLevel | None:
    """None for a side out of a data set, to which nobody can add a level."""
    if nodes_of(side.pooled):
        return None
    return NextLevel(run_id=side.run_id, role=side.role, users=users, reason=reason)


def between(low: float, high: float, wanted: float) -> int | None:
    """The whole number nearest `wanted` strictly between `low` and `high`; None when there is none."""
    first, last = math.floor(low) + 1, math.ceil(high) - 1
    return min(max(round(wanted), first), last) if first <= last else None
