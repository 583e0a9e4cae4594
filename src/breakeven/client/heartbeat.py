"""The client's own lag: a 10 ms heartbeat on its loop, and how late it is."""

import asyncio
from array import array
from typing import Final

import numpy as np

from breakeven.clock import now_s

BEAT_S: Final = 0.010
_TIMER_STEP_S: Final = 0.001
"""The loop's timers count whole milliseconds and round up, so a beat may be that late with nobody to blame."""


class Heartbeat:
    """Beats on the running loop from `start` until `stop`; `lags_s` gives the lateness between two times."""

    def __init__(self) -> None:
        self._due = array("d")
        self._late = array("d")
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
        self._handle = loop.call_later(BEAT_S, self._beat, loop, now_s() + BEAT_S + _TIMER_STEP_S)

    def _beat(self, loop: asyncio.AbstractEventLoop, due_s: float) -> None:
        self._due.append(due_s)
        self._late.append(max(0.0, now_s() - due_s))
        self._schedule(loop)

    def lags_s(self, *, open_s: float, close_s: float) -> tuple[float, float, float]:
        """p50, p99 and maximum lateness of the beats that were due in the window; zeros where there were none."""
        due = np.frombuffer(self._due, dtype=np.float64)
        late = np.frombuffer(self._late, dtype=np.float64)[(due >= open_s) & (due <= close_s)]
        if not len(late):
            return 0.0, 0.0, 0.0
        p50, p99 = np.quantile(late, [0.5, 0.99])
        return float(p50), float(p99), float(late.max())
