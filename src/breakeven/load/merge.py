"""Several clients' counts as if there were one client."""

from collections.abc import Sequence

import numpy as np
from msgspec.structs import replace

from breakeven.load.stop import Series
from breakeven.load.worker import Counts


class Tally:
    """What one client has told so far. In an open loop it has no `users` of its own."""

    def __init__(self, users: int, *, start_s: float = 0.0) -> None:
        self.users = users
        self.last: Counts | None = None
        self.quota: int | None = None
        self.is_dead = False
        self._series = Series()
        self._series.add(start_s, 0)
        self.e2e_s: list[float] = []

    def take(self, counts: Counts) -> None:
        """A new report; its latencies are those since the last."""
        self.last = counts
        self._series.add(counts.at_s, counts.chunks)
        self.e2e_s += counts.e2e_s

    @property
    def told_s(self) -> float:
        """Up to when it has told; the level's start before its first report."""
        return self._series.last_s

    def chunks_at(self, at_s: float) -> float:
        """Chunks up to a time, between reports in proportion."""
        return float(self._series.cumulative(np.array([at_s]))[0])


def merged(tallies: Sequence[Tally], *, now_s: float) -> Counts:
    """The sum, at the latest time that every living client has told of, which never goes back.

    A dead client's users count as begun, and its measured requests as ended: they are not waited for.
    """
    at_s = min((tally.told_s for tally in tallies if not tally.is_dead), default=now_s)
    lasts = [tally.last for tally in tallies if tally.last is not None]
    dues = [last.measured_due_s for last in lasts if last.measured_due_s is not None]
    finished, turns = (sum(getattr(last, name) for last in lasts) for name in ("done", "turns"))
    oldest = [of.last.oldest_due_s for of in tallies if not of.is_dead and of.last is not None]
    return Counts(
        at_s=at_s,
        chunks=round(sum(tally.chunks_at(at_s) for tally in tallies)),
        users_begun=sum(tally.users if tally.is_dead else _of(tally.last, "users_begun") for tally in tallies),
        users_failed=sum(0 if tally.is_dead else _of(tally.last, "users_failed") for tally in tallies),
        in_flight=sum(0 if tally.is_dead else _of(tally.last, "in_flight") for tally in tallies),
        waiting=sum(0 if tally.is_dead else _of(tally.last, "waiting") for tally in tallies),
        turns=turns,
        turn_s=sum((last.turn_s or 0.0) * last.turns for last in lasts) / turns if turns else None,
        oldest_due_s=min((due_s for due_s in oldest if due_s is not None), default=None),
        done=finished,
        errors=sum(last.errors for last in lasts),
        tokens_per_chunk=sum(last.tokens_per_chunk * last.done for last in lasts) / finished if finished else 1.0,
        e2e_s=[value for tally in tallies for value in tally.e2e_s],
        measured_started=sum(last.measured_started for last in lasts),
        measured_ended=sum(
            (tally.quota or 0) if tally.is_dead else _of(tally.last, "measured_ended") for tally in tallies
        ),
        exhausted=all(tally.is_dead or (tally.last is not None and tally.last.exhausted) for tally in tallies),
        own_pauses=any(last.own_pauses for last in lasts),
        measured_due_s=(min(due[0] for due in dues), max(due[1] for due in dues)) if dues else None,
    )


def on_our_clock(counts: Counts, *, offset_s: float) -> Counts:
    """What a client told by its host's clock, which is `offset_s` ahead of ours."""
    due_s = counts.measured_due_s
    return replace(
        counts,
        at_s=counts.at_s - offset_s,
        oldest_due_s=None if counts.oldest_due_s is None else counts.oldest_due_s - offset_s,
        measured_due_s=None if due_s is None else (due_s[0] - offset_s, due_s[1] - offset_s),
    )


def _of(counts: Counts | None, name: str) -> int:
    value: int = getattr(counts, name) if counts is not None else 0
    return value


def shares(total: int, weights: Sequence[int]) -> list[int]:
    """`total` split in proportion to whole-number weights, to the last one: 10 over 3, 2, 2 is 4, 3, 3."""
    ends = [round(total * sum(weights[: number + 1]) / sum(weights)) for number in range(len(weights))]
    return [end - start for start, end in zip([0, *ends[:-1]], ends, strict=True)]
