"""The engine's count of generated tokens held against ours, over the same stretch of the window."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from breakeven.metrics.arrivals import Arrivals
from breakeven.metrics.series import Missing, Samples, Series, Span, put
from breakeven.metrics.statistics import Cumulative, cumulative
from breakeven.record import Record

DELAY_S: Final = 0.1
"""How late a token may stand in the engine's counter, or reach us."""
AS_MADE: Final = "as they are made"
AT_END: Final = "when an answer ends"


def engine_count_figures(samples: Samples, window: Span, records: Sequence[Record]) -> dict[str, Any]:
    """The relative difference engine / ours - 1, and over what it was taken.

    Counters are read once a second, so the count runs from the first reading inside the window to the last one: no
    reading is made up. Some engines count a token when it is made, others an answer when it ends; ours is counted both
    ways and the nearer one is meant (`engine_counts` says which). `engine_tokens_unexplained` is what is left of the
    difference when every token that came near an end of the stretch may belong to either side of it.
    """
    found: dict[str, Any] = {}
    series = samples.of("engine", "generated_tokens")
    inside = series if isinstance(series, Missing) else series.within(window)
    if isinstance(inside, Missing) or len(inside.at_s) < 2 or np.any(np.diff(inside.values) < 0):
        put(found, "engine_tokens_difference", inside if isinstance(inside, Missing) else _why(inside))
        return found
    stretch = Span(float(inside.at_s[0]), float(inside.at_s[-1]))
    theirs = float(inside.values[-1] - inside.values[0])
    near_s = DELAY_S + _longest_scrape_s(samples, window)
    return _compared(theirs, stretch=stretch, near_s=near_s, records=records)


def _why(inside: Series) -> Missing:
    if len(inside.at_s) < 2:
        return Missing("fewer than two readings of the engine's counter inside the window")
    return Missing("the engine's counter was started again inside the window")


def _longest_scrape_s(samples: Samples, window: Span) -> float:
    took = samples.of("engine", "scrape_s")
    inside = took if isinstance(took, Missing) else took.within(window)
    return 0.0 if isinstance(inside, Missing) or not len(inside.values) else float(np.max(inside.values))


def _compared(theirs: float, *, stretch: Span, near_s: float, records: Sequence[Record]) -> dict[str, Any]:
    ended = [record for record in records if record.status == "done" and record.output_tokens]
    ends_s = np.array([record.end_s for record in ended])
    at_end = cumulative(ends_s, np.array([float(record.output_tokens or 0) for record in ended]))
    ways: dict[str, Cumulative] = {AS_MADE: Arrivals(records).by, AT_END: at_end}
    counts = {way: _count(by, stretch) for way, by in ways.items()}
    way = min(counts, key=lambda name: abs(theirs - counts[name]))
    ours = counts[way]
    found: dict[str, Any] = {
        "engine_tokens": theirs,
        "engine_tokens_ours": ours,
        "engine_tokens_over_s": stretch.length_s,
        "engine_counts": way,
    }
    put(found, "engine_tokens_difference", theirs / ours - 1 if ours else Missing("no token of ours came meanwhile"))
    low = _count(ways[way], Span(stretch.open_s + near_s, stretch.close_s - near_s))
    high = _count(ways[way], Span(stretch.open_s - near_s, stretch.close_s + near_s))
    if ours:
        found["engine_tokens_unexplained"] = max(0.0, theirs - high, low - theirs) / ours
    return found


def _count(by: Cumulative, stretch: Span) -> float:
    first, last = by(np.array([stretch.open_s, max(stretch)]))
    return float(last - first)
