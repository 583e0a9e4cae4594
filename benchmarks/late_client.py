"""What a late client costs: its loop held up again and again, dated by the kernel or by the read.

    python benchmarks/late_client.py            # twelve runs, two and a half minutes
    python benchmarks/late_client.py --json FILE

50 users and a token each 20 ms, the reference server on another core. Something takes the client's loop for so long,
lets it go for 50 ms, and so on. Errors are against the server's own stamps, request by request.
"""

import argparse
import asyncio
import json
import os
import socket
import sys
import time
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
import uvloop

from breakeven.calibrate.cell import Cell, Pair, Result, measure
from breakeven.client import wire
from breakeven.clock import wall_now
from breakeven.telemetry.host import host_facts

CANNOT: Final = 3
HOLDS_S: Final = (0.0, 0.003, 0.006, 0.012, 0.018, 0.030)
FREE_S: Final = 0.05


class Row(NamedTuple):
    """One run."""

    stamps: str
    hold_s: float
    result: Result


def main() -> int:
    """Every hold with both kinds of stamps."""
    parser = argparse.ArgumentParser(description="What a late client costs.")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything as JSON")
    arguments = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    if len(cores) < 2 or not wire.HAS_WIRES:
        print("late_client: needs two cores, and Linux for the kernel's stamps", file=sys.stderr)
        return CANNOT
    os.sched_setaffinity(0, {cores[0]})
    print("                     client late   error, ms: TTFT          ITL             E2E            events")
    print("stamps of   held up  p99, ms              p50     p99     p50     p99     p50     p99    /read")
    rows = []
    for stamps, ask in (("kernel", wire.ask_for_stamps), ("the read", _ask_for_none)):
        wire.ask_for_stamps = ask
        for hold_s in HOLDS_S:
            rows.append(Row(stamps, hold_s, uvloop.run(_held_up(hold_s, server_cpu=cores[1]))))
            print(_line(rows[-1]), flush=True)
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(_document(rows), indent=2) + "\n", encoding="utf-8")
    return 0


def _ask_for_none(connected: socket.socket) -> None:
    del connected


async def _held_up(hold_s: float, *, server_cpu: int) -> Result:
    loop = asyncio.get_running_loop()

    def hold() -> None:
        time.sleep(hold_s)
        loop.call_later(FREE_S, hold)

    if hold_s:
        loop.call_later(FREE_S, hold)
    return await measure(Cell(users=50, itl_s=0.02, window_s=6.0), server_cpu=server_cpu)


def _line(row: Row) -> str:
    result = row.result
    return (
        f"{row.stamps:10s}  {row.hold_s * 1e3:4.0f} ms  {_ms(result.client_lag_p99_s)}        "
        f"{_errors(result.ttft)} {_errors(result.itl)} {_errors(result.e2e)}    {result.events_per_read or 0:.2f}"
    )


def _errors(pair: Pair) -> str:
    return f"{_difference(pair.true_p50_s, pair.read_p50_s)} {_difference(pair.true_p99_s, pair.read_p99_s)}"


def _difference(true_s: float | None, read_s: float | None) -> str:
    return f"{'-':>7}" if true_s is None or read_s is None else f"{(read_s - true_s) * 1e3:+7.2f}"


def _ms(value_s: float | None) -> str:
    return f"{'-':>7}" if value_s is None else f"{value_s * 1e3:7.2f}"


def _document(rows: list[Row]) -> dict[str, Any]:
    return {
        "format": 1,
        "date": wall_now().isoformat(),
        "machine": host_facts(),
        "runs": [
            {"stamps": row.stamps, "hold_s": row.hold_s, "result": msgspec.to_builtins(row.result)} for row in rows
        ],
    }


if __name__ == "__main__":
    sys.exit(main())
