"""The alarm clock: in time, again and again until it is set anew, silent when it is cleared."""

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import uvloop

from breakeven.client import alarm as clocks
from breakeven.client.alarm import Alarm, KernelAlarm, LoopAlarm, Sleeper, alarm
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


@pytest.mark.parametrize("make", KINDS)
def test_a_sleeper_wakes_in_time_again_and_again_and_leaves_nothing_open(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clocks, "alarm", make)

    async def late_s() -> list[float]:
        sleeper = Sleeper(asyncio.get_running_loop())
        found = []
        for wait_s in (0.0123, 0.0004, -1.0, 0.005):
            at_s = now_s() + wait_s
            await sleeper.until(at_s)
            found.append(now_s() - at_s)
        sleeper.close()
        return found

    before = open_files()
    late = uvloop.run(late_s())
    assert min(late) >= 0
    assert sorted(late)[1] < 0.005  # the least of those that had to wait
    assert open_files() <= before


def test_a_sleeper_that_is_cancelled_can_be_closed() -> None:
    async def cancelled() -> bool:
        sleeper = Sleeper(asyncio.get_running_loop())
        task = asyncio.create_task(sleeper.until(now_s() + 30))
        await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        sleeper.close()
        return task.cancelled()

    assert uvloop.run(cancelled())


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir())) if sys.platform == "linux" else 0
