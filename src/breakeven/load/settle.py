"""After a cut: wait until the engine is idle, so that the next level does not carry this one's load."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from breakeven.clock import now_s
from breakeven.engine.idle import Busy

POLL_S: Final = 0.1
LONGEST_S: Final = 30.0
_SLACK_S: Final = 0.02


async def settle(
    *,
    busy_requests: Callable[[], Awaitable[Busy | None]],
    probe_s: Callable[[], Awaitable[float | None]],
    idle_probe_s: float | None,
) -> tuple[float, bool]:
    """Seconds until the engine was idle, and whether it came to be within 30 s.

    Idle is: no request running or waiting, by the engine's own gauges, at a time after the cut (an engine that writes
    them now and then is waited for); where it has none, a one-token probe answers within twice the time that it took
    before the first level.
    """
    start_s = now_s()

    async def is_idle() -> bool:
        asked_s = now_s()
        busy = await busy_requests()
        if busy is not None:
            return busy.requests == 0 and asked_s - busy.age_s >= start_s
        if idle_probe_s is None:
            return True
        took_s = await probe_s()
        return took_s is not None and took_s <= max(2 * idle_probe_s, idle_probe_s + _SLACK_S)

    try:
        async with asyncio.timeout(LONGEST_S):  # a server that hangs must not hold up a probe for the whole --timeout
            while not await is_idle():  # noqa: ASYNC110  (the engine sends no event)
                await asyncio.sleep(POLL_S)
    except TimeoutError:
        return now_s() - start_s, False
    return now_s() - start_s, True
