"""Looking again, for what another process or thread does in its own time."""

import time
from collections.abc import Callable


def comes_true(condition: Callable[[], bool], *, within_s: float = 10.0) -> bool:
    """Whether it does in that time."""
    until_s = time.perf_counter() + within_s
    while not condition() and time.perf_counter() < until_s:
        time.sleep(0.02)
    return condition()
