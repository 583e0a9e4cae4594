"""The calibration's grid: which loads are tried, and the ceiling of this machine that comes of it."""

import os
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

from msgspec import Struct, to_builtins

from breakeven.calibrate.cell import Cell, Pair, Result, measure

QUICK: Final = (
    *(Cell(users=users, window_s=5.0) for users in (1, 100, 500, 1000)),
    Cell(users=500, tokens_per_event=8, window_s=5.0),
)
FULL: Final = (
    *(Cell(users=users, window_s=10.0) for users in (1, 10, 100, 500, 1000)),
    *(Cell(users=users, itl_s=users / 100_000, window_s=12.0) for users in (2000, 5000, 10_000)),
    *(Cell(users=users, tokens_per_event=tokens) for tokens in (8, 64) for users in (100, 1000)),
    *(Cell(users=users, burst=4) for users in (100, 500, 1000)),
)


FIGURES: Final = ("throughput", "TTFT", "TPOT", "ITL", "E2E")
WITHIN: Final = 0.01
_LEAST_S: Final = {"TTFT": 1e-3, "E2E": 1e-3, "TPOT": 1e-5, "ITL": 1e-5}
"""An error of less is none: both ways through the kernel are in TTFT and E2E; stamps are whole microseconds."""


class Limit(Struct, frozen=True, kw_only=True):
    """The highest load at which a figure was read right."""

    events_per_s: float
    """Chunks a second; a token an event where the engine streams token by token."""
    is_lower_bound: bool
    """No higher load was read wrong: the server, or the grid's end, was the limit."""


class Ceiling(Struct, frozen=True, kw_only=True):
    """How far this machine's client reads right."""

    events_per_s: float
    """Of throughput and median TPOT together."""
    users: int
    """Most users of any cell in which these were right."""
    is_lower_bound: bool
    figures: dict[str, Limit | None]
    """Of each of FIGURES by itself, its p99 too; None where it was never right."""


def ceiling(results: Sequence[Result]) -> Ceiling | None:
    """The ceiling that the cells show; None where not one was right.

    A cell in which the server itself was late still counts as right where our reading of its stamps was within 1 %;
    one whose throughput was read wrong while the server was late says nothing of the client.
    """
    right = [result for result in results if is_right(result)]
    if not right:
        return None
    best = max(result.true_events_per_s for result in right)
    wrong = [result for result in results if result.verdict == "off" and result.true_events_per_s > best]
    return Ceiling(
        events_per_s=best,
        users=max(result.cell.users for result in right),
        is_lower_bound=not wrong,
        figures={name: _limit(results, name) for name in FIGURES},
    )


def _limit(every: Sequence[Result], name: str) -> Limit | None:
    """Bursts say nothing of ITL's end: their events are read together, so that there are more of them to a read."""
    results = [result for result in every if name != "ITL" or result.cell.burst == 1]
    right = [result.true_events_per_s for result in results if reads_right(result, name)]
    if not right:
        return None
    counts = [result for result in results if name != "throughput" or result.verdict != "server-bound"]
    wrong = [result for result in counts if not reads_right(result, name) and result.true_events_per_s > max(right)]
    return Limit(events_per_s=max(right), is_lower_bound=not wrong)


def is_right(result: Result) -> bool:
    """Throughput and median TPOT were read within 1 % of the server's stamps, and nothing failed."""
    pair = result.tpot
    return reads_right(result, "throughput") and _is_near(pair.true_p50_s, pair.read_p50_s, least_s=0.0)


def reads_right(result: Result, name: str) -> bool:
    """One of FIGURES was within 1 % of the server's stamps, a latency at p50 and at p99; and nothing failed."""
    if result.errors:
        return False
    if name == "throughput":
        return abs(result.throughput_error) <= WITHIN
    pair: Pair = getattr(result, name.lower())
    least_s = _LEAST_S[name]
    return all(
        _is_near(true_s, read_s, least_s=least_s)
        for true_s, read_s in ((pair.true_p50_s, pair.read_p50_s), (pair.true_p99_s, pair.read_p99_s))
    )


def _is_near(true_s: float | None, read_s: float | None, *, least_s: float) -> bool:
    """Also where one of them was not seen: that is no error."""
    if true_s is None or read_s is None:
        return True
    return abs(read_s - true_s) <= max(WITHIN * true_s, least_s)


async def run_grid(cells: Sequence[Cell]) -> AsyncIterator[Result]:
    """Measure the cells one after the other, client and server on different cores where there are two."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    server_cpu = cores[-1] if len(cores) > 1 else None
    if server_cpu is not None:
        os.sched_setaffinity(0, {cores[0]})
    try:
        for cell in cells:
            yield await measure(cell, server_cpu=server_cpu)
    finally:
        if server_cpu is not None:
            os.sched_setaffinity(0, set(cores))


def describe(results: Sequence[Result]) -> list[dict[str, Any]]:
    """The cells as plain rows."""
    return [to_builtins(result) | {"throughput_error": result.throughput_error} for result in results]
