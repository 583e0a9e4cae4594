"""The loads of a predicted curve that decide on a service level, with as few simulated engines as tell them."""

import bisect
from types import MappingProxyType
from typing import Final, Literal

from msgspec.structs import replace

from breakeven.metrics.slo import Limit, ServiceLevel
from breakeven.metrics.summary import LevelSummary, RunSummary
from breakeven.predict.calibrations import Chosen
from breakeven.predict.run import predicted_level, predicted_run
from breakeven.predict.tails import PERCENTILES
from breakeven.predict.wanted import Wanted

FURTHER: Final = 1.25
"""Times a 95 % interval on the log scale: beyond either end lie 0.7 % of the draws of one limit, so that three limits
do not reach the 2.5 % at which an interval of the capacity ends."""
End = Literal[0, 1]


def deciding_run(wanted: Wanted, chosen: Chosen, level: ServiceLevel) -> RunSummary:
    """The curve at the loads that may decide on a service level.

    Percentiles beyond the middle take a simulated engine, and so does the middle where lengths are drawn. Where one is
    limited these are the loads from the highest that meets every limit, whichever way the prediction is wrong, to the
    lowest that misses one whichever way; and none at which users wait for a place without one at which they do not,
    which may give as much. Else all.
    """
    limits = level.slo.limits if level.slo else ()
    wanted = replace(wanted, users=tuple(sorted(wanted.users)))
    plain = predicted_run(replace(wanted, has_tails=False), chosen)
    drawn = wanted.requests.drawn is not None
    if not any(drawn or limit.of[1] in PERCENTILES for limit in limits):
        return plain
    known: dict[int, LevelSummary] = {}

    def beyond(at: int, end: End) -> bool:
        users = wanted.users[at]
        if users not in known:
            known[users] = predicted_level(wanted, chosen, users)
        return _is_beyond(known[users], limits, end)

    slow = next((at for at, one in enumerate(plain.levels) if _is_beyond(one, limits, 0)), len(plain.levels) - 1)
    bounds = plain.run.settings["predicted"]["bounds"]
    placed = sum(bounds[str(users)] != "kv" for users in wanted.users)
    first = max(0, min(placed, bisect.bisect_left(range(slow), True, key=lambda at: beyond(at, 1))) - 1)
    last = next((at for at in range(first, slow) if beyond(at, 0)), slow)
    return predicted_run(replace(wanted, users=wanted.users[first : last + 1]), chosen, known=MappingProxyType(known))


def _is_beyond(level: LevelSummary, limits: tuple[Limit, ...], end: End) -> bool:
    """A limited figure is too long at that end of what it may be; the middle's where a percentile is not known."""
    return any(_far(level, limit, end) > limit.limit_s for limit in limits)


def _far(level: LevelSummary, limit: Limit, end: End) -> float:
    metric, statistic = limit.of
    one = level.of(metric).at(statistic)
    if one.value is None:
        one = level.of(metric).p50
    value = one.value or 0.0
    at_end = one.ci95[end]
    return value * (at_end / value) ** FURTHER if value and at_end else value
