"""An alarm clock: wakes the loop in time, where its own timers count milliseconds."""

import asyncio
import ctypes
import os
import sys
from collections.abc import Callable
from typing import Final, Protocol

from breakeven.clock import now_s
from breakeven.units import NS_PER_S

_CLOCK_MONOTONIC: Final = 1
_TFD_TIMER_ABSTIME: Final = 1
_AT_ONCE_NS: Final = 1
"""An alarm at time zero would be one taken back."""


class Alarm(Protocol):
    """Calls what it was made with at a time of `clock.now_s`, and at each turn of the loop until it is set anew."""

    def set(self, at_s: float) -> None: ...

    def clear(self) -> None: ...

    def close(self) -> None: ...


def alarm(loop: asyncio.AbstractEventLoop, ring: Callable[[], None]) -> Alarm:
    """The kernel's timer (timerfd, Linux) or, elsewhere, the loop's own, which may be a millisecond late."""
    return KernelAlarm(loop, ring) if sys.platform == "linux" else LoopAlarm(loop, ring)


class _Timespec(ctypes.Structure):
    _fields_ = (("tv_sec", ctypes.c_long), ("tv_nsec", ctypes.c_long))


class _Itimerspec(ctypes.Structure):
    _fields_ = (("it_interval", _Timespec), ("it_value", _Timespec))


class KernelAlarm:
    """timerfd_create(2) on CLOCK_MONOTONIC. The file stays readable after the alarm until it is set or cleared."""

    def __init__(self, loop: asyncio.AbstractEventLoop, ring: Callable[[], None]) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._fd: int = self._libc.timerfd_create(_CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC)
        if self._fd < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create")
        self._loop = loop
        self._when = _Itimerspec()
        self._pointer = ctypes.byref(self._when)
        loop.add_reader(self._fd, ring)

    def set(self, at_s: float) -> None:
        self._set_ns(max(_AT_ONCE_NS, int(at_s * NS_PER_S)))

    def clear(self) -> None:
        self._set_ns(0)

    def close(self) -> None:
        self._loop.remove_reader(self._fd)
        os.close(self._fd)

    def _set_ns(self, at_ns: int) -> None:
        self._when.it_value.tv_sec, self._when.it_value.tv_nsec = divmod(at_ns, NS_PER_S)
        if self._libc.timerfd_settime(self._fd, _TFD_TIMER_ABSTIME, self._pointer, None):
            raise OSError(ctypes.get_errno(), "timerfd_settime")


class LoopAlarm:
    """The loop's timers; they count whole milliseconds under uvloop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, ring: Callable[[], None]) -> None:
        self._loop = loop
        self._ring = ring
        self._timer: asyncio.Handle | None = None

    def set(self, at_s: float) -> None:
        self.clear()
        self._timer = self._loop.call_later(max(0.0, at_s - now_s()), self._rang)

    def clear(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None

    def close(self) -> None:
        self.clear()

    def _rang(self) -> None:
        self._timer = self._loop.call_soon(self._rang)
        self._ring()


class Sleeper:
    """Sleeps until a time of `clock.now_s`, for one task; to be closed."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._alarm = alarm(loop, self._ring)
        self._woken: asyncio.Future[None] | None = None

    async def until(self, at_s: float) -> None:
        """Return at this time or, where it is over, at once."""
        while now_s() < at_s:  # the loop's own timers may ring a millisecond early
            self._woken = self._loop.create_future()
            self._alarm.set(at_s)
            await self._woken

    def _ring(self) -> None:
        self._alarm.clear()
        if self._woken is not None and not self._woken.done():
            self._woken.set_result(None)

    def close(self) -> None:
        """Ring no more."""
        self._alarm.close()
