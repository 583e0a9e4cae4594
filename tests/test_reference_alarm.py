"""The reference server's alarm clock: in time, again and again until it is set anew, silent when it is cleared."""

import asyncio
import sys
from collections.abc import Callable

import pytest
import uvloop

from breakeven.client.reference.alarm import Alarm, KernelAlarm, LoopAlarm, alarm
from breakeven.clock import now_s


class Rings(list[float]):
    """The times at which an alarm rang; `enough` is set by the count-th."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self._count = count
        self.enough = asyncio.Event()

    def add(self) -> None:
        self.append(now_s())
        if len(self) >= self._count:
            self.enough.set()


Make = Callable[[asyncio.AbstractEventLoop, Callable[[], None]], Alarm]
KINDS = [LoopAlarm, *([KernelAlarm] if sys.platform == "linux" else [])]


@pytest.mark.parametrize("make", KINDS)
def test_it_rings_in_time_and_until_it_is_cleared(make: Make) -> None:
    async def rung() -> tuple[float, list[float], int]:
        rings = Rings(4)
        clock = make(asyncio.get_running_loop(), rings.add)
        at_s = now_s() + 0.03
        clock.set(at_s)
        await rings.enough.wait()
        clock.clear()
        count = len(rings)
        await asyncio.sleep(0.02)
        return at_s, rings, len(rings) - count

    at_s, rings, after = uvloop.run(rung())
    assert rings[0] >= at_s - 0.001, "the loop's timers count whole milliseconds"
    assert after == 0


@pytest.mark.parametrize("make", KINDS)
def test_setting_it_anew_takes_the_old_time_back(make: Make) -> None:
    async def rung() -> list[float]:
        rings = Rings(1)
        clock = make(asyncio.get_running_loop(), rings.add)
        clock.set(now_s() + 0.01)
        clock.set(now_s() + 30.0)
        await asyncio.sleep(0.04)
        clock.clear()
        return rings

    assert uvloop.run(rung()) == []


@pytest.mark.skipif(sys.platform != "linux", reason="timerfd is Linux's")
def test_the_kernel_never_rings_early() -> None:
    async def early_s() -> float:
        worst = -1.0
        for _ in range(20):
            rings = Rings(1)
            clock = alarm(asyncio.get_running_loop(), rings.add)
            at_s = now_s() + 0.0013
            clock.set(at_s)
            await rings.enough.wait()
            clock.clear()
            worst = max(worst, at_s - rings[0])
        return worst

    assert uvloop.run(early_s()) < 1e-6
