"""Whether a level must miss its limits whatever comes: told before its end, so that a search need not wait for it."""

from typing import Final

from breakeven.metrics.definitions import METRICS
from breakeven.metrics.goodput import BY_LUCK, Counted, at_least, counts_as
from breakeven.metrics.level import is_timeout
from breakeven.metrics.slo import Limit, Slo
from breakeven.metrics.statistics import QUANTILES
from breakeven.record import Record

FASTER: Final = 2.0
"""In the rest of a window requests come at most so much faster than so far."""


class Foregone:
    """Counts the requests of a level as they end, against every limit on a percentile of requests.

    A limit is missed for sure once more are beyond it, or more failed, than may be of all that can come. Of a mean and
    of recorded sessions that is not told before the level's end, of gaps between chunks only where requests fail.
    """

    def __init__(self, slo: Slo, *, measured_only: bool = False) -> None:
        self.open_s: float | None = None
        """When the window opened; until then nothing counts."""
        self._measured_only = measured_only
        self._limits = [
            limit for limit in slo.limits if limit.of[1] in QUANTILES and METRICS[limit.of[0]].over != "sessions"
        ]
        self._found: dict[str, tuple[int, int]] = {limit.metric: (0, 0) for limit in self._limits}
        """Requests and those beyond the limit."""
        self._ended = self._failed = 0

    def add(self, record: Record) -> None:
        """A request that ended, or was cut."""
        open_s = self.open_s
        if open_s is None or (self._measured_only and not record.measured):
            return
        if record.k > 0 and record.end_s > open_s and record.status != "cut":
            self._ended += 1
            self._failed += record.status == "error"
        for limit in self._limits:
            value = _value(record, limit, open_s=open_s)
            if value is not None:
                requests, beyond = self._found[limit.metric]
                self._found[limit.metric] = requests + 1, beyond + (value > limit.limit_s)

    def missed(self, *, share: float, in_flight: int, requests: int | None = None) -> Counted | None:
        """The first limit that is missed whatever comes, with what was counted so far; None while there is none.

        `share` is the part of the window that is over, by which, with those in flight, goes how many can come; with
        `requests` it is so many in all.
        """
        if share <= 0:
            return None
        more = 1 + FASTER * (1 / min(1.0, share) - 1)
        for limit in self._limits:
            for count, beyond in (self._found[limit.metric], (self._ended, self._failed)):
                most = requests or more * count + in_flight
                if beyond > limit.allowed_share * most and _is_told(limit, count, beyond, in_flight):
                    return Counted(metric=limit.metric, limit_s=limit.limit_s, requests=count, beyond=beyond)
        return None


def _value(record: Record, limit: Limit, *, open_s: float) -> float | None:
    """What counts against the limit; None where the request does not."""
    metric = METRICS[limit.of[0]]
    if metric.over == "due":
        return counts_as(record, metric) if record.due_s >= open_s else None
    is_over = record.status == "done" or is_timeout(record)
    counts = metric.over != "gaps" and record.k > 0 and record.end_s > open_s and is_over
    return counts_as(record, metric) if counts else None


def _is_told(limit: Limit, requests: int, beyond: int, in_flight: int) -> bool:
    """A level that ends now is `missed`: it has a percentile, or so few within the limit are no luck."""
    few = at_least(beyond, of=requests + in_flight, share=limit.allowed_share) <= BY_LUCK
    return requests >= limit.least_requests or few
