"""The capacity of an open loop: the highest offered rate whose level meets an SLO, with the bracket that it lies in."""

from typing import NamedTuple

import numpy as np
from msgspec.structs import replace

from breakeven.compare.interval import Bounds
from breakeven.compare.pool import repeats_at
from breakeven.compare.side import Array, Bool, Side, is_predicted, latency_drawn
from breakeven.compare.types import Reason
from breakeven.metrics.bracket import Outcome, outcomes
from breakeven.metrics.goodput import Verdict, judged
from breakeven.metrics.slo import Limit, Slo
from breakeven.metrics.statistics import STATISTICS
from breakeven.metrics.summary import Distribution, LevelSummary, Quantile

_AT_ONCE = Quantile(value=0.0, ci95=(0.0, 0.0))


class RateCapacity(NamedTuple):
    """One row a draw; row 0 is what was measured."""

    at: Array
    """The highest rate that meets the SLO below the lowest that misses it; NaN where there is none."""
    tput: Array
    missed_at: Array
    """The lowest rate that misses it; infinite where none does."""

    def bracket(self) -> tuple[Bounds, Bounds]:
        """Between which rates the limits are lost, and the throughput there.

        Throughput lies below the measured one x the ratio of the rates: requests are of one kind, and an open loop
        gives no more than it is asked for.
        """
        at, tput, up_to = (float(column[0]) for column in (self.at, self.tput, self.missed_at))
        return Bounds(at, up_to), Bounds(tput, tput * up_to / at)


def rate_capacity(side: Side, slo: Slo) -> RateCapacity:
    """Each level by its verdict; in the draws a level that nothing but its latencies decides may go either way."""
    met, missed = (
        np.tile([one == verdict for one in verdicts_of(side, slo)], (side.node.size, 1)) for verdict in _ENDS
    )
    keep = _by_latency(side, slo)
    within = _within(side, slo, keep)
    met[1:, keep], missed[1:, keep] = within, ~within
    full = _perhaps_full(side, keep)
    missed[1:, full] &= side.throughput[1:, full] <= side.throughput[0, full]
    missed_at = np.minimum(np.where(missed, side.users, np.inf).min(axis=1), _beyond(side, slo))
    at = np.where(met & (side.users < missed_at[:, None]), side.users, -np.inf)
    best = at.argmax(axis=1)
    rows = np.arange(best.size)
    known = np.where(np.isfinite(at[rows, best]), 1.0, np.nan)
    return RateCapacity(side.users[best] * known, side.throughput[rows, best] * known, missed_at)


_ENDS: tuple[Verdict, Verdict] = ("met", "missed")


def verdicts_of(side: Side, slo: Slo) -> list[Verdict]:
    """Of each level, repeats together: all must meet the limits."""
    found = {one.load: one.verdict for one in outcomes(side.pooled.run.levels, slo)}
    return [found[float(rate)] for rate in side.users]


def _beyond(side: Side, slo: Slo) -> float:
    """The lowest rate that misses the SLO though it has no throughput to compare, as where all requests failed."""
    found = outcomes(side.pooled.run.levels, slo)
    apart = (one.load for one in found if one.verdict == "missed" and one.load not in side.users)
    return min(apart, default=np.inf)


def _by_latency(side: Side, slo: Slo) -> list[int]:
    """The levels that have every limited latency, and that would meet the SLO with faster answers."""
    return [
        index
        for index, one in enumerate(side.pooled.levels)
        if all(one.figures[limit.metric].value is not None for limit in slo.limits)
        and all(judged(_at_once(level), slo)[0] == "met" for level in repeats_at(side.pooled.run, one.load))
    ]


def _perhaps_full(side: Side, keep: list[int]) -> list[int]:
    """The levels whose queue is predicted to grow, by a card that may be fast enough: a faster draw tells nothing."""
    return [
        index
        for index, one in enumerate(side.pooled.levels)
        if index not in keep and is_predicted(side.pooled) and (one.figures["req_per_s"].ci95[1] or 0.0) >= one.load
    ]


def _at_once(level: LevelSummary) -> LevelSummary:
    """The level as if every answer had come at once; failures, a backlog and lost clients stay."""
    return replace(level, distributions={name: _no_wait(of) for name, of in level.distributions.items()})


def _no_wait(of: Distribution) -> Distribution:
    named = {name: _AT_ONCE for name in STATISTICS if name != "mean"}
    return replace(of, mean=0.0, **named)


def _within(side: Side, slo: Slo, keep: list[int]) -> Bool:
    """A row a draw but the first, a column a level."""
    return np.asarray(np.logical_and.reduce([_within_one(side, limit, keep) for limit in slo.limits]))


def _within_one(side: Side, limit: Limit, keep: list[int]) -> Bool:
    """Above a figure whose interval has no upper end nobody knows how far: such a draw is beyond the limit."""
    figures = [side.pooled.levels[i].figures[limit.metric] for i in keep]
    drawn = latency_drawn(side, limit.metric, np.array(keep, dtype=np.intp), apart=True)[1:]
    no_end = np.array([one.ci95[0] is not None and one.ci95[1] is None for one in figures], dtype=bool)
    below = drawn < np.array([one.value or 0.0 for one in figures])
    return np.asarray((drawn <= limit.limit_s) & (~no_end | below))


def rate_reason(side: Side, slo: Slo, found: RateCapacity) -> Reason | None:
    """Why the capacity is no bracket; None where it is one."""
    known = outcomes(side.pooled.run.levels, slo)
    if np.isnan(found.at[0]):
        lowest = known[0]
        return (
            Reason(id="misses_lowest", role=side.role, req_per_s=lowest.load)
            if lowest.verdict == "missed"
            else Reason(id="none_known", role=side.role)
        )
    if np.isfinite(found.missed_at[0]):
        return None
    above: list[Outcome] = [one for one in known if one.load > found.at[0]]
    return Reason(id="untold_above" if above else "meets_top", role=side.role, req_per_s=float(found.at[0]))
