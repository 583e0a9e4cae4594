"""How right one client process reads at 1,000 users and a token each 10 ms: 96,900 tokens a second.

    python benchmarks/full_load.py                    # six runs of 10 s: two minutes
    python benchmarks/full_load.py --runs 3 --json FILE

Client and reference server each on a core of their own, as in `breakeven calibrate`, whose figures these are. Ends
with 1 where a run read throughput more than 1 %, TTFT p50 more than 1 ms or TTFT p99 more than 10 ms wrong.
"""

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any, Final

import msgspec
import uvloop

from breakeven.calibrate.cell import Cell, Pair, Result, measure
from breakeven.clock import wall_now
from breakeven.telemetry.host import host_facts

CANNOT: Final = 3
THROUGHPUT_WITHIN: Final = 0.01
TTFT_P50_WITHIN_S: Final = 0.001
TTFT_P99_WITHIN_S: Final = 0.010


def main() -> int:
    """Run it some times over and print each run's errors."""
    parser = argparse.ArgumentParser(description="How right one client process reads at full load.")
    parser.add_argument("--runs", type=int, default=6, metavar="N", help="(default: 6)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything as JSON")
    arguments = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    if len(cores) < 2:
        print("full_load: needs two cores, and Linux to keep client and server apart", file=sys.stderr)
        return CANNOT
    os.sched_setaffinity(0, {cores[0]})
    cell = Cell(users=1000, itl_s=0.010, window_s=10.0)
    print("         tok/s            TTFT p50, ms      TTFT p99, ms      ITL p99, ms       events  client  server late")
    print("run      true    read     true    read      true    read      true    read     /read   CPU     p99, ms")
    results = []
    for number in range(1, arguments.runs + 1):
        results.append(uvloop.run(measure(cell, server_cpu=cores[1])))
        print(f"{number:3d}  {_row(results[-1])}", flush=True)
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(_document(results), indent=2) + "\n", encoding="utf-8")
    wrong = [number for number, result in enumerate(results, start=1) if not _is_right(result)]
    print(f"beyond the limits: run {', '.join(map(str, wrong))}" if wrong else "all within 1 %, 1 ms and 10 ms")
    return 1 if wrong else 0


def _row(result: Result) -> str:
    return (
        f"{result.true_tok_per_s:8.0f} {100 * result.throughput_error:+6.2f}%"
        f"  {_times(result.ttft.true_p50_s, result.ttft.read_p50_s)}"
        f"  {_times(result.ttft.true_p99_s, result.ttft.read_p99_s)}"
        f"  {_times(result.itl.true_p99_s, result.itl.read_p99_s)}"
        f"  {result.events_per_read or 0:8.2f}  {result.client_cpu_share or 0:6.2f}"
        f"  {_ms(result.server_late_p99_s):>8}"
    )


def _times(true_s: float | None, read_s: float | None) -> str:
    return f"{_ms(true_s):>8} {_ms(read_s):>7}"


def _ms(value_s: float | None) -> str:
    return "-" if value_s is None else f"{value_s * 1e3:.2f}"


def _is_right(result: Result) -> bool:
    ttft: Pair = result.ttft
    return (
        abs(result.throughput_error) <= THROUGHPUT_WITHIN
        and _is_near(ttft.true_p50_s, ttft.read_p50_s, within_s=TTFT_P50_WITHIN_S)
        and _is_near(ttft.true_p99_s, ttft.read_p99_s, within_s=TTFT_P99_WITHIN_S)
    )


def _is_near(true_s: float | None, read_s: float | None, *, within_s: float) -> bool:
    """Also where both fall on requests that were still waiting when the window closed."""
    if true_s is None or read_s is None:
        return true_s is read_s
    return abs(read_s - true_s) <= within_s


def _document(results: list[Result]) -> dict[str, Any]:
    return {
        "format": 1,
        "date": wall_now().isoformat(),
        "machine": host_facts(),
        "runs": msgspec.to_builtins(results),
    }


if __name__ == "__main__":
    sys.exit(main())
