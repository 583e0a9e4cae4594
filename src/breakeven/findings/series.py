"""Throughput over time: the tokens of a level by when they arrived, with the borders of warm-up and window."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from msgspec import Struct

from breakeven.metrics.arrivals import Arrivals
from breakeven.record import LevelFacts, Record

POINTS: Final = 120
"""Most bins of a level."""
SHORTEST_BIN_S: Final = 0.05
CHUNKS_A_BIN: Final = 3
"""Chunks of one answer in a bin at least, in the middle: users in step would else make the line jump between bins."""


class LevelSeries(Struct, frozen=True, kw_only=True):
    """One level over time. Times are seconds since the window opened, so that warm-up is below 0."""

    users: int | None
    req_per_s_offered: float | None = None
    repeat: int = 0
    start_s: float
    bin_s: float
    output_tok_per_s: tuple[float, ...]
    """Output tokens that arrived in each bin / its length; the first bin begins at `start_s`."""
    open_s: float | None
    """0, or None where the level never became steady: then times count from its start."""
    close_s: float | None
    end_s: float
    is_running: bool = False


def throughput_series(facts: LevelFacts, records: Sequence[Record], *, points: int = POINTS) -> LevelSeries | None:
    """Bin the tokens of a level by arrival; None where none arrived.

    The bins are equal parts of the level: so many, or fewer, so that each is three times the median gap between the
    chunks of an answer long.
    """
    arrivals = Arrivals(records)
    last_s = arrivals.last_s()
    if last_s is None:
        return None
    end_s = last_s if facts.end_s is None else max(last_s, facts.end_s)
    shortest_s = max(SHORTEST_BIN_S, CHUNKS_A_BIN * _gap_s(arrivals))
    bins = max(1, min(points, int((end_s - facts.start_s) / shortest_s + 1e-9)))
    bin_s = max((end_s - facts.start_s) / bins, SHORTEST_BIN_S)
    edges_s = facts.start_s + bin_s * np.arange(bins + 1.0)
    counts = np.diff(arrivals.by(edges_s))
    zero_s = facts.start_s if facts.open_s is None else facts.open_s
    return LevelSeries(
        users=facts.users,
        req_per_s_offered=facts.req_per_s_offered,
        repeat=facts.repeat,
        start_s=_ms(facts.start_s - zero_s),
        bin_s=float(bin_s),
        output_tok_per_s=tuple(float(f"{rate:.4g}") for rate in counts / bin_s),
        open_s=None if facts.open_s is None else 0.0,
        close_s=None if facts.close_s is None else _ms(facts.close_s - zero_s),
        end_s=_ms(end_s - zero_s),
        is_running=facts.end_s is None,
    )


def _gap_s(arrivals: Arrivals) -> float:
    """Median gap between two chunks of one answer; 0 where no answer has two."""
    gaps_s = arrivals.gaps_s(open_s=0.0, close_s=arrivals.last_s() or 1.0).whole
    return gaps_s[len(gaps_s) // 2] if len(gaps_s) else 0.0


def _ms(time_s: float) -> float:
    return round(time_s, 3)
