"""Which one measurement is worth most, before anything is rented: the expected value of information."""

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import Final

from msgspec import Struct

from breakeven.metrics.summary import Estimate

_NORMAL: Final = NormalDist()
_HALF: Final = _NORMAL.inv_cdf(0.975)


class NextRun(Struct, frozen=True, kw_only=True):
    """A candidate that is not measured, and what measuring it would tell."""

    index: int
    changes: float
    """Chance that the first place changes hands once it is known."""
    saves: float
    """What knowing it saves on average, in the unit of the costs: the cost of the first place now less
    that of the first place then."""


def next_run(costs: Sequence[Estimate], *, is_open: Sequence[bool]) -> NextRun | None:
    """The open candidate whose measurement saves most on average; None where none could change the first place.

    A cost that is not known is log-normal, its median the value and its 95 % interval `ci95`; what a measurement would
    show is taken as exact. With m the cost of the first place, knowing candidate i saves E[max(0, m - c_i)]; where i is
    the first itself, E[max(0, c_i - m2)] with m2 the second's: both in closed form (Black 1976). A candidate without
    a value, or with an interval open at both ends, tells nothing here.
    """
    known = sorted((one.value, index) for index, one in enumerate(costs) if one.value is not None)
    if len(known) < 2:
        return None
    first, second = known[0], known[1]
    found = [
        _worth(index, costs[index], against=second[0] if index == first[1] else first[0], is_first=index == first[1])
        for _, index in known
        if is_open[index] and _sd_log(costs[index])
    ]
    return max((one for one in found if one.saves > 0), key=lambda one: one.saves, default=None)


def _worth(index: int, cost: Estimate, *, against: float, is_first: bool) -> NextRun:
    """Of a log-normal c: P(c < K) and E[max(0, K - c)]; of the first place P(c > K) and E[max(0, c - K)]."""
    sd = _sd_log(cost)
    assert cost.value is not None
    assert sd
    reach = (math.log(against) - math.log(cost.value)) / sd
    mean = cost.value * math.exp(sd * sd / 2)
    below, below_mean = _NORMAL.cdf(reach), mean * _NORMAL.cdf(reach - sd)
    if is_first:
        return NextRun(index=index, changes=1 - below, saves=max(0.0, (mean - below_mean) - against * (1 - below)))
    return NextRun(index=index, changes=below, saves=max(0.0, against * below - below_mean))


def _sd_log(cost: Estimate) -> float | None:
    """Of the mean width of both sides; where one end is open, of the other side. None without any end."""
    if not cost.value:
        return None
    widths = [abs(math.log(end / cost.value)) for end in cost.ci95 if end]
    return sum(widths) / len(widths) / _HALF or None if widths else None
