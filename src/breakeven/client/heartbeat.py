"""The client's own lag: a 10 ms heartbeat on its loop, and how late it is."""

import asyncio
import math
from array import array
from typing import Final

import numpy as np
from numpy.typing import NDArray

from breakeven.clock import now_s

BEAT_S: Final = 0.010
_TIMER_STEP_S: Final = 0.001
"""The loop's timers count whole milliseconds and round up, so a beat may be that late with nobody to blame."""


class Heartbeat:
    """Beats on the running loop from `start` until `stop`; `lags_s` gives the lateness between two times."""

    def __init__(self) -> None:
        self._due = array("d")
        self._late = array("d")
        self._next_due_s = math.inf
        self._handle: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Forget what was and begin to beat."""
        self._due, self._late = array("d"), array("d")
        self._schedule(asyncio.get_running_loop())

    def stop(self) -> None:
        """Stop beating."""
        if self._handle is not None:
            self._handle.cancel()

    def _schedule(self, loop: asyncio.AbstractEventLoop) -> None:
        self._next_due_s = now_s() + BEAT_S + _TIMER_STEP_S
        self._handle = loop.call_later(BEAT_S, self._beat, loop)

    def _beat(self, loop: asyncio.AbstractEventLoop) -> None:
        self._due.append(self._next_due_s)
        self._late.append(max(0.0, now_s() - self._next_due_s))
        self._schedule(loop)

    def lags_s(self, *, open_s: float, close_s: float) -> tuple[float, float, float]:
        """p50, p99 and maximum lateness of the beats that were due in the window; zeros where it holds no beat.

        A loop that stands still for a second lets one beat be late, and a hundred never be. Those count too, each as
        late as the stall still lasted when it was due; so does a beat that has not come when the window closes.
        """
        due_s, late_s = np.array(self._due), np.array(self._late)
        if self._next_due_s < close_s:
            due_s, late_s = np.append(due_s, self._next_due_s), np.append(late_s, close_s - self._next_due_s)
        due_s, late_s = _with_swallowed(due_s, late_s)
        late_s = late_s[(due_s >= open_s) & (due_s <= close_s)]
        if not len(late_s):
            return 0.0, 0.0, 0.0
        p50, p99 = np.quantile(late_s, [0.5, 0.99])
        return float(p50), float(p99), float(late_s.max())


def _with_swallowed(
    due_s: NDArray[np.float64], late_s: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Each late beat with those that fell due before it came, in no order."""
    beats = 1 + (late_s // BEAT_S).astype(np.int64)
    later_s = BEAT_S * (np.arange(beats.sum()) - np.repeat(np.cumsum(beats) - beats, beats))
    return np.repeat(due_s, beats) + later_s, np.repeat(late_s, beats) - later_s
