"""When a window is long enough: looked at rarely, and twice in a row, since peeking shrinks intervals."""

from array import array
from typing import Final

import numpy as np
import numpy.typing as npt

from breakeven.metrics.statistics import BATCH_COUNTS, SHORTEST_BATCH_S, half_width

GROWTH: Final = 1.5
LEAST_ANSWERS: Final = 30
LEAST_ANSWERS_LONG: Final = 3.0
"""The window lasts at least this many median E2E."""
FIRST_LOOK_S: Final = BATCH_COUNTS[0] * SHORTEST_BATCH_S


class Series:
    """Chunks counted over time: what the stop rule, the coordinator and the live line see of a level.

    It is asked ten times a second on the client's loop, so that no look may take longer the longer a level lasts.
    """

    def __init__(self) -> None:
        self._times, self._counts = array("d"), array("d")

    def add(self, at_s: float, count: int) -> None:
        """Note the count so far; times never fall."""
        self._times.append(at_s)
        self._counts.append(count)

    @property
    def last_s(self) -> float:
        """When the last note was made."""
        return self._times[-1]

    def cumulative(self, at_s: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Count up to each time, by linear interpolation between the notes."""
        return np.interp(at_s, np.frombuffer(self._times), np.frombuffer(self._counts))

    def rate(self, *, start_s: float, end_s: float) -> float | None:
        """Chunks per second between two times; None where they are one."""
        low, high = self.cumulative(np.array([start_s, end_s]))
        return float(high - low) / (end_s - start_s) if end_s > start_s else None

    def relative_half_width(self, *, open_s: float, now_s: float) -> float | None:
        """Half-width of the throughput's interval over its value; None while there are not ten batches."""
        half = half_width(self.cumulative, open_s=open_s, close_s=now_s)
        rate = self.rate(start_s=open_s, end_s=now_s)
        return half / rate if half is not None and rate else None


class StopRule:
    """METHOD's stop rule: `should_stop` is asked at every tick and looks only when a look is due."""

    def __init__(self, *, precision: float) -> None:
        self._precision = precision
        self._next_look_s = FIRST_LOOK_S
        self._hits = 0
        self.half_width: float | None = None
        """Relative half-width at the last look."""

    def should_stop(self, series: Series, *, open_s: float, now_s: float, e2e_s: list[float]) -> bool:
        """True after two looks in a row that found the interval narrow enough and the window long enough."""
        if now_s - open_s < self._next_look_s:
            return False
        self._next_look_s = max(self._next_look_s, now_s - open_s) * GROWTH
        self.half_width = series.relative_half_width(open_s=open_s, now_s=now_s)
        precise = self.half_width is not None and self.half_width <= self._precision
        enough = len(e2e_s) >= LEAST_ANSWERS and now_s - open_s >= LEAST_ANSWERS_LONG * float(np.median(e2e_s))
        self._hits = self._hits + 1 if precise and enough else 0
        return self._hits >= 2
