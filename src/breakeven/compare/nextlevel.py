"""Which levels to measure next: those that would narrow a figure's interval most."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Final, NamedTuple

import numpy as np
from msgspec.structs import replace

from breakeven.compare.capacity import Capacity, capacity, interval_of, reason_of, status_of
from breakeven.compare.envelope import value_at
from breakeven.compare.interpolate import throughput_at
from breakeven.compare.interval import Bounds, Interval, log_width
from breakeven.compare.pool import PooledLevel, nodes_of, of_users
from breakeven.compare.side import Side, make_side, side_of, throughput_between, usable_range
from breakeven.compare.types import NextLevel, Reason
from breakeven.metrics.bracket import next_load, outcomes
from breakeven.metrics.pooling import Measured
from breakeven.metrics.slo import ServiceLevel, Slo, service_levels
from breakeven.metrics.summary import RunSummary

MOST_NAMED: Final = 2
THE_RUN: Final = "the run"
"""What the only run is called."""
_TRIED: Final = 5
"""Loads that are tried on a side."""
_MAY_LIE: Final = (0.25, 0.75)
"""Where a level that is tried is supposed to lie, from the lowest to the highest curve that the levels allow."""
_DRAWS: Final = 100
_WORTH: Final = 0.9
"""A level is named that leaves less than this share of the interval's width (log scale)."""


class Doubt(NamedTuple):
    """A figure's interval, and the loads of each side where the curve decides on it."""

    interval: Interval
    loads: tuple[Bounds, ...]

    @property
    def size(self) -> tuple[float, float]:
        """The width of the interval; of open ones, what lies between the levels."""
        return self.interval.width_log, self.interval.between_log


class _Tried(NamedTuple):
    """A level where it is supposed to lie."""

    of_side: int
    users: int
    sides: tuple[Side, ...]
    doubt: Doubt


def next_levels(sides: Sequence[Side], doubt_of: Callable[[Sequence[Side]], Doubt]) -> tuple[NextLevel, ...]:
    """At most two levels that narrow a figure most, one after the other; none where sampling error is the greater part.

    Each is tried as if it were measured and had its neighbours' sampling error, at a quarter and at three quarters of
    the way between the curves that the levels allow; the wider of the two counts. (On the curve as it is read no level
    would ever find a peak that lies between two others.)
    """
    now = tuple(_fewer_draws(side) for side in sides)
    doubt, named = doubt_of(now), list[NextLevel]()
    while len(named) < MOST_NAMED and doubt.interval.dominated_by_levels():
        best = min(_tried(now, doubt, doubt_of), key=lambda one: one.doubt.size, default=None)
        if best is None or not _narrower(best.doubt, doubt):
            break
        named.append(_named_for(now[best.of_side], best.users, before=doubt, after=best.doubt))
        now, doubt = best.sides, best.doubt
    return tuple(named)


def _narrower(one: Doubt, other: Doubt) -> bool:
    mine, its = (doubt.size[0] if math.isfinite(other.size[0]) else doubt.size[1] for doubt in (one, other))
    return mine < _WORTH * its


def _tried(sides: tuple[Side, ...], doubt: Doubt, doubt_of: Callable[[Sequence[Side]], Doubt]) -> Iterator[_Tried]:
    for index, (side, loads) in enumerate(zip(sides, doubt.loads, strict=True)):
        curves = throughput_between(side)
        for users in _loads_to_try(side, loads):
            low, high = (value_at(lines, float(users)) for lines in curves)
            found = (_with_level(side, users, tput=low * (high / low) ** share) for share in _MAY_LIE)
            changed = ((*sides[:index], one, *sides[index + 1 :]) for one in found)
            yield max((_Tried(index, users, one, doubt_of(one)) for one in changed), key=lambda one: one.doubt.size)


def _loads_to_try(side: Side, loads: Bounds) -> list[int]:
    """Whole numbers that are no levels, over the loads that decide; none where nobody measures."""
    if nodes_of(side.pooled) or side.pooled.run.run.kind == "predicted":
        return []
    low, high = max(loads.low, float(side.users[0])), min(loads.high, float(side.users[-1]))
    tried = {round(float(users)) for users in np.geomspace(low, high, _TRIED)}
    return sorted(tried - set(side.users.astype(int).tolist()))


def _fewer_draws(side: Side) -> Side:
    return side_of(side.pooled, role=side.role, seed=side.seed, node_sd_log=side.node_sd_log, draws=_DRAWS)


def _with_level(side: Side, users: int, *, tput: float) -> Side:
    """The side with one level more."""
    levels = side.pooled.levels
    right = int(np.searchsorted(side.users, users))
    figures = {name: _read(levels, name, users) for name in levels[0].figures}
    neighbours = [level.figures["output_tok_per_s"].log_half for level in levels[right - 1 : right + 1]]
    known = [half for half in neighbours if half is not None]
    figures["output_tok_per_s"] = Measured(tput, max(known) if len(known) == len(neighbours) else None)
    added = PooledLevel(users=users, repeats=1, figures=figures, extra={})
    pooled = replace(side.pooled, levels=(*levels[:right], added, *levels[right:]))
    return side_of(pooled, role=side.role, seed=side.seed, node_sd_log=side.node_sd_log, draws=_DRAWS)


def _read(levels: Sequence[PooledLevel], name: str, users: int) -> Measured:
    """A figure between the levels that have it, log against log; nothing beyond them."""
    known = [(level.load, one.value, one.log_half or 0.0) for level in levels if (one := level.figures[name]).value]
    if not known or not known[0][0] < users < known[-1][0]:
        return Measured()
    loads, values, halves = (np.array(column, dtype=float) for column in zip(*known, strict=True))
    at = math.log(users)
    value = math.exp(float(np.interp(at, np.log(loads), np.log(values))))
    return Measured(value, float(np.interp(at, np.log(loads), halves)))


def _named_for(side: Side, users: int, *, before: Doubt, after: Doubt) -> NextLevel:
    right = int(np.searchsorted(side.users, users))
    gap = float(side.users[right - 1]), float(side.users[right])
    reason = Reason(id="read_between", role=side.role, users=gap[0], up_to_users=gap[1])
    named = _named(side, users, reason)
    return replace(named, factor=_factor(before.interval), factor_then=_factor(after.interval))


def _factor(spread: Interval) -> float | None:
    return math.exp(spread.width_log / 2) if math.isfinite(spread.width_log) else None


def next_level(run: RunSummary, *, floors: Sequence[float] = (), slo: Slo | None = None) -> NextLevel | None:
    """The level of one run whose measurement would narrow its curve most; None when more levels would not help.

    With service levels: where the capacity at one of them is least sure. Without: the gap between neighbouring levels
    in whose middle most may lie between them. A gap counts only where that exceeds the sampling error.
    """
    side = side_of(of_users(run, what="are what is measured next"), role=THE_RUN, seed=(0, 0))
    levels = service_levels(floors=floors, slo=slo)
    found = _of_service_levels(side, levels) if levels else _of_gaps(side)
    best = max(found, key=lambda one: one[0], default=None)
    return None if best is None else best[1]


def levels_for(run: RunSummary, level: ServiceLevel) -> tuple[NextLevel, ...]:
    """The level that would make the capacity of one run exact; of an exact one, the one or two that narrow it most.

    None where more levels would not help.
    """
    return _levels_for(make_side(run, role=THE_RUN), level)


def _of_service_levels(side: Side, levels: Iterable[ServiceLevel]) -> Iterator[tuple[float, NextLevel]]:
    for level in levels:
        found = capacity(side, level)
        size = interval_of(side, found).width_log if status_of(found) == "exact" else math.inf
        yield from ((size, one) for one in _levels_for(side, level)[:1])


def _levels_for(side: Side, level: ServiceLevel) -> tuple[NextLevel, ...]:
    found = capacity(side, level)
    if side.is_open:
        named = next_rate(side, level, found)
        return () if named is None or not interval_of(side, found).dominated_by_levels() else (named,)
    if status_of(found) == "exact":
        return next_levels((side,), partial(_doubt_of_capacity, level))
    named = at_capacity(side, level, found)
    return () if named is None else (named,)


def _doubt_of_capacity(level: ServiceLevel, sides: Sequence[Side]) -> Doubt:
    (side,) = sides
    found = capacity(side, level)
    return Doubt(interval_of(side, found), (found.decided_between,))


def _of_gaps(side: Side) -> Iterator[tuple[float, NextLevel]]:
    curves = throughput_between(side)
    for u0, u1 in zip(side.users, side.users[1:], strict=False):
        users = between(u0, u1, math.sqrt(u0 * u1))
        if users is None or nodes_of(side.pooled):
            continue
        drawn = np.sort(throughput_at(side.users, side.curve, np.full(side.node.size, float(users))))
        sampling_log = log_width(*(float(drawn[round(q * (drawn.size - 1))]) for q in (0.025, 0.975)))
        between_log = log_width(*(value_at(lines, float(users)) for lines in curves))
        if between_log > sampling_log:
            reason = Reason(
                id="far_apart",
                role=side.role,
                users=float(u0),
                up_to_users=float(u1),
                between_share=math.expm1(between_log),
                sampling_share=math.expm1(sampling_log),
            )
            yield between_log, _named(side, users, reason)


def at_capacity(side: Side, level: ServiceLevel, found: Capacity) -> NextLevel | None:
    """The level that would make an exact capacity of a bound or of none: above the top, one user, or in between."""
    usable = usable_range(side, level)
    if nodes_of(side.pooled) or status_of(found) == "exact":
        return None
    if usable.missed_at is not None and (usable.keep.size == 0 or found.capped[0]):
        below = side.users[usable.keep[-1]] if usable.keep.size else 0.0
        users = between(below, usable.missed_at, math.sqrt(max(below, 1.0) * usable.missed_at))
        reason = Reason(id="misses_somewhere", role=side.role, users=usable.missed_at)
        return None if users is None else _named(side, users, reason)
    if usable.keep.size == 0:
        return None
    kept = side.users[usable.keep]
    if found.missed[0]:
        reason = Reason(id="misses_lowest", role=side.role, users=float(kept[0]))
        return None if kept[0] <= 1 else _named(side, 1, reason)
    return _named(side, int(2 * kept[-1]), Reason(id="meets_top", role=side.role, users=float(kept[-1])))


def next_rate(side: Side, level: ServiceLevel, found: Capacity) -> NextLevel | None:
    """The rate that a search would try next; None where the bracket is closed, or nobody can measure more."""
    run = side.pooled.run
    if level.slo is None or nodes_of(side.pooled):
        return None
    rate = next_load(outcomes(run.levels, level.slo), first=float(side.users[0]), whole=False)
    if rate is None:
        return None
    low, high = found.users_between
    reason = reason_of(side, level, found) or Reason(
        id="bracketed", role=side.role, req_per_s=low, up_to_req_per_s=high
    )
    return NextLevel(run_id=side.run_id, role=side.role, users=None, req_per_s=rate, reason=reason)


def _named(side: Side, users: int, reason: Reason) -> NextLevel:
    return NextLevel(run_id=side.run_id, role=side.role, users=users, reason=reason)


def between(low: float, high: float, wanted: float) -> int | None:
    """The whole number nearest `wanted` strictly between `low` and `high`; None when there is none."""
    first, last = math.floor(low) + 1, math.ceil(high) - 1
    return min(max(round(wanted), first), last) if first <= last else None
