"""The calibration's grid: which loads are tried, and the ceiling of this machine that comes of it."""

import os
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

from msgspec import Struct, to_builtins

from breakeven.calibrate.cell import Cell, Result, measure

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


class Ceiling(Struct, frozen=True, kw_only=True):
    """The highest load at which this machine's client read throughput and TPOT within 1 %."""

    events_per_s: float
    """Chunks a second; a token an event where the engine streams token by token."""
    users: int
    """Most users of any cell that was right."""
    is_lower_bound: bool
    """No higher load was read wrong: the server, or the grid's end, was the limit."""


def ceiling(results: Sequence[Result]) -> Ceiling | None:
    """The ceiling that the cells show; None where not one was right.

    A cell in which the server itself was late still counts as right where our reading of its stamps was within 1 %;
    one that was read wrong while the server was late says nothing of the client.
    """
    right = [result for result in results if is_right(result)]
    if not right:
        return None
    best = max(result.true_events_per_s for result in right)
    wrong = [result for result in results if result.verdict == "off" and result.true_events_per_s > best]
    return Ceiling(events_per_s=best, users=max(result.cell.users for result in right), is_lower_bound=not wrong)


def is_right(result: Result) -> bool:
    """Throughput and median TPOT were read within 1 % of the server's stamps, and nothing failed."""
    true_s, read_s = result.tpot.true_p50_s, result.tpot.read_p50_s
    tpot_right = true_s is None or read_s is None or abs(read_s / true_s - 1) <= 0.01
    return abs(result.throughput_error) <= 0.01 and tpot_right and not result.errors


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
