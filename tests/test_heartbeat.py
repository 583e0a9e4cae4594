"""The client's heartbeat: what a loop that stands still does to it."""

import asyncio
import time

from breakeven.client.heartbeat import Heartbeat
from breakeven.clock import now_s


async def _stall(beat: Heartbeat, stall_s: float) -> None:
    beat.start()
    await asyncio.sleep(0.05)
    time.sleep(stall_s)  # noqa: ASYNC251  (the loop shall stand still)


def test_a_stall_counts_for_every_beat_that_it_swallowed() -> None:
    async def lags() -> tuple[float, float, float]:
        beat = Heartbeat()
        open_s = now_s()
        await _stall(beat, 0.3)
        await asyncio.sleep(0.02)
        beat.stop()
        return beat.lags_s(open_s=open_s, close_s=now_s())

    p50_s, p99_s, most_s = asyncio.run(lags())
    assert p50_s > 0.05
    assert 0.28 < p99_s <= most_s


def test_a_beat_that_has_not_come_when_the_window_closes_is_as_late_as_the_window_is_long() -> None:
    async def lags() -> tuple[float, float, float]:
        beat = Heartbeat()
        open_s = now_s()
        await _stall(beat, 0.2)
        close_s = now_s()
        found = beat.lags_s(open_s=open_s, close_s=close_s)
        beat.stop()
        return found

    assert asyncio.run(lags())[2] > 0.18


def test_a_window_before_the_first_beat_has_no_lag() -> None:
    async def lags() -> tuple[float, float, float]:
        beat = Heartbeat()
        beat.start()
        now = now_s()
        beat.stop()
        return beat.lags_s(open_s=now - 1.0, close_s=now)

    assert asyncio.run(lags()) == (0.0, 0.0, 0.0)
