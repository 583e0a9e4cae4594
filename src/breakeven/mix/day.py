"""A load that changes over the day: which nodes run when, starts paid for, as a shortest way around the clock.

For each part of the day some fleets can carry its load: the cheapest of any part, and the cheapest of each kind of node
alone. Between one part and the next nodes are started, which costs the time until they answer. The cheapest way through
those fleets, back to where it began, is found by dynamic programming. No day is cheaper than the cheapest fleet of each
part without any start, and how far it is above that is told.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from breakeven.mix.solve import Array, Problem, cheapest, most_carried
from breakeven.mix.types import Day, Fleet

_ENOUGH = 1 - 1e-6
_HOURS = 24.0


class _Ways(NamedTuple):
    """Fleets to choose from. Arrays: F fleets, H parts of the day."""

    fleets: npt.NDArray[np.int64]
    """(F, I) nodes."""
    carries: npt.NDArray[np.bool_]
    """(H, F)."""
    run_usd: Array
    """(F) for a part of the day."""
    start_usd: Array
    """(F, F) for the nodes that the second has more than the first."""


def fleet_of(problem: Problem, nodes: Sequence[int]) -> Fleet:
    """Numbers of nodes with what an hour of them costs."""
    counts = tuple(int(count) for count in nodes)
    return Fleet(nodes=counts, usd_per_h=float(problem.usd_per_h @ np.array(counts, dtype=np.float64)))


def day_of(peak: Problem, hours: Sequence[float], *, cold_start_h: float) -> Day:
    """The cheapest day for a load of `hours` parts, the largest of which is `peak`."""
    loads = np.array(hours) / max(hours)
    first = int(loads.argmax())
    best = {load: _fleet(peak, load) for load in sorted(set(loads.tolist()))}
    part_h = _HOURS / len(loads)
    ways = _ways(peak, np.roll(loads, -first), best, part_h=part_h, cold_start_h=cold_start_h)
    order, usd = _cheapest_way(ways)
    nodes = np.roll(ways.fleets[order], first, axis=0)
    least_usd = sum(float(peak.usd_per_h @ best[load]) for load in loads.tolist()) * part_h
    return Day(
        fleets=tuple(fleet_of(peak, some) for some in nodes.tolist()),
        starts=int(np.maximum(0, nodes - np.roll(nodes, 1, axis=0)).sum()),
        usd_per_day=usd,
        always_on_usd_per_day=float(peak.usd_per_h @ best[1.0]) * _HOURS,
        within=1 - least_usd / usd,
    )


def _fleet(peak: Problem, load: float) -> npt.NDArray[np.int64]:
    """The cheapest for a part of the peak."""
    found = cheapest(peak._replace(demand=peak.demand * load)) if load else None
    return np.zeros(len(peak.usd_per_h), dtype=np.int64) if found is None else np.array(found.nodes)


def _ways(peak: Problem, loads: Array, best: dict[float, npt.NDArray[np.int64]], **times_h: float) -> _Ways:
    found = {tuple(nodes.tolist()) for nodes in best.values()}
    found |= {tuple(nodes) for load in best if load for nodes in _alone(peak, load)}
    fleets = np.array(sorted(found))
    most = np.array([most_carried(peak, nodes) for nodes in fleets.tolist()])
    more = np.maximum(0, fleets[None, :, :] - fleets[:, None, :])
    return _Ways(
        fleets=fleets,
        carries=most[None, :] >= loads[:, None] * _ENOUGH,
        run_usd=fleets @ peak.usd_per_h * times_h["part_h"],
        start_usd=more @ peak.usd_per_h * times_h["cold_start_h"],
    )


def _alone(peak: Problem, load: float) -> Iterator[list[int]]:
    """The fewest nodes of each kind alone."""
    for i in range(len(peak.usd_per_h)):
        only = np.zeros_like(peak.capacity)
        only[i] = peak.capacity[i]
        found = cheapest(peak._replace(capacity=only, demand=peak.demand * load))
        if found is not None:
            yield list(found.nodes)


def _cheapest_way(ways: _Ways) -> tuple[list[int], float]:
    """Which fleet runs in each part, and what that costs: the best circle through any fleet that carries the peak."""
    found = [_way_from(ways, int(start)) for start in np.flatnonzero(ways.carries[0])]
    return min(found, key=lambda way: way[1])


def _way_from(ways: _Ways, start: int) -> tuple[list[int], float]:
    usd = np.full(len(ways.run_usd), np.inf)
    usd[start] = ways.run_usd[start]
    before: list[npt.NDArray[np.intp]] = []
    for carries in ways.carries[1:]:
        step = usd[:, None] + ways.start_usd
        before.append(step.argmin(axis=0))
        usd = np.where(carries, step.min(axis=0) + ways.run_usd, np.inf)
    last = int((usd + ways.start_usd[:, start]).argmin())
    order = [last]
    for chosen in reversed(before):
        order.append(int(chosen[order[-1]]))
    return order[::-1], float(usd[last] + ways.start_usd[last, start])
