"""For how long does the machine's own speed remember? Its speed is the throughput less what the load explains."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from breakeven.metrics.statistics import (
    FEW_STRETCHES,
    LEAST_WINDOW_S,
    MEMORY_PARTS,
    SECTIONS,
    Cumulative,
    Floats,
    Memory,
    memory,
    rates_of,
    t_quantile,
)
from breakeven.record import Record


class Speed(NamedTuple):
    """Of the sixty parts of a window."""

    rates: Floats
    """Throughput at the window's mean number of requests in flight."""
    memory: Memory

    def widening(self) -> float:
        """How much wider an interval that counts how long the speed remembers is than one over ten sections; or 1.

        1 too where the window tells as much as 20 independent looks: then its sections are as good as independent.
        """
        if self.memory.stretches >= FEW_STRETCHES:
            return 1.0
        parts = self.rates.reshape(SECTIONS, -1).mean(axis=1)
        half = t_quantile(SECTIONS - 1) * float(np.std(parts, ddof=1)) / math.sqrt(SECTIONS)
        return max(1.0, self.memory.half_width / half) if half else 1.0


def speed(by: Cumulative, records: Sequence[Record], *, open_s: float, close_s: float) -> Speed | None:
    """The throughput of sixty parts less what a line through their requests in flight explains of it.

    Users who think and arrivals by chance are now more and now fewer, and the throughput with them: that is the load's,
    not the machine's. One request more gives no less throughput and at most its share of it, whatever the line says.
    None in a window under 5 s and where nothing varies.
    """
    if close_s - open_s < LEAST_WINDOW_S:
        return None
    edges_s = np.linspace(open_s, close_s, MEMORY_PARTS + 1)
    rates, load = rates_of(by, edges_s), in_flight(records, edges_s)
    off = load - load.mean()
    most = float(rates.mean() / load.mean()) if load.any() else 0.0
    slope = min(max(0.0, float(off @ rates / (off @ off))), most) if off.any() else 0.0
    found = memory(rates - slope * off)
    return None if found is None else Speed(rates - slope * off, found)


def in_flight(records: Sequence[Record], edges_s: Floats) -> Floats:
    """Requests between due and end, on average over each part between two neighbouring times."""
    due_s, end_s = (np.array([getattr(record, name) for record in records]) for name in ("due_s", "end_s"))
    spent_s = np.array([(np.maximum(0.0, at_s - due_s) - np.maximum(0.0, at_s - end_s)).sum() for at_s in edges_s])
    return np.asarray(np.diff(spent_s) / np.diff(edges_s))
