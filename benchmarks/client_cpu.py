"""What the client costs: its CPU per token beside that of a C program that only reads the sockets and takes the stamps.

    python benchmarks/client_cpu.py                         # 1,000 users, a token each 10 ms, five pairs: two minutes
    python benchmarks/client_cpu.py --users 500 --itl 20ms --json FILE

Each is alone with a reference server of its own, both on the same core, the server on another. In a pair both have the
same load, one after the other, and the order changes from pair to pair. Needs cc. Ends with 1 above the limit.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final, NamedTuple

import uvloop

from breakeven.calibrate.cell import EVENTS_PER_ANSWER, TTFT_S, Cell, measure
from breakeven.client.reference import ReferenceServer, Settings
from breakeven.clock import wall_now
from breakeven.telemetry.host import host_facts
from breakeven.units import parse_duration_s

SOURCE: Final = Path(__file__).with_name("c_reader.c")
MOST_RATIO: Final = 2.5
CANNOT: Final = 3


class Side(NamedTuple):
    """What one of the two took."""

    tok_per_s: float
    cpu_us_per_token: float
    cpu_us_per_read: float
    reads_per_token: float


class Pair(NamedTuple):
    """Client and C reader at the same load, one right after the other."""

    client: Side
    c_reader: Side

    @property
    def per_token(self) -> float:
        """CPU per token, client over C reader."""
        return self.client.cpu_us_per_token / self.c_reader.cpu_us_per_token

    @property
    def per_read(self) -> float:
        """CPU per read, client over C reader: the stricter one where the client, being slower, reads less often."""
        return self.client.cpu_us_per_read / self.c_reader.cpu_us_per_read


def main() -> int:
    told = _parser().parse_args()
    compiler = shutil.which("cc")
    if compiler is None:
        print("cannot be measured here: no C compiler (cc)", file=sys.stderr)
        return CANNOT
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        print("cannot be measured here: one core; client and server need one each", file=sys.stderr)
        return CANNOT
    os.sched_setaffinity(0, {cores[0]})
    cell = Cell(users=told.users, itl_s=told.itl, window_s=told.window)
    with tempfile.TemporaryDirectory(prefix="breakeven-cpu-") as folder:
        reader = Path(folder) / "c_reader"
        subprocess.run([compiler, "-O2", "-o", reader, SOURCE], check=True)
        pairs = [
            _pair(cell, reader, server_cpu=cores[-1], client_first=number % 2 == 0) for number in range(told.pairs)
        ]
    _print(cell, pairs)
    if told.json is not None:
        told.json.write_text(json.dumps(_document(cell, pairs), indent=1) + "\n")
    return 0 if _median(pairs, "per_token") <= MOST_RATIO else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="CPU per token of the client against a C program that only reads.")
    add = parser.add_argument
    add("--users", type=int, default=1000, metavar="N", help="streams at once (default: 1000)")
    add("--itl", type=parse_duration_s, default=0.010, metavar="S", help="token to token (default: 10ms)")
    add("--window", type=parse_duration_s, default=8.0, metavar="S", help="measured time of each (default: 8s)")
    add("--pairs", type=int, default=5, metavar="N", help="pairs (default: 5)")
    add("--json", type=Path, metavar="FILE", help="write everything as JSON")
    return parser


def _pair(cell: Cell, reader: Path, *, server_cpu: int, client_first: bool) -> Pair:
    client = _client(cell, server_cpu=server_cpu) if client_first else None
    c_reader = _c_reader(cell, reader, server_cpu=server_cpu)
    return Pair(client or _client(cell, server_cpu=server_cpu), c_reader)


def _client(cell: Cell, *, server_cpu: int) -> Side:
    found = uvloop.run(measure(cell, server_cpu=server_cpu))
    assert found.client_cpu_us_per_token is not None
    assert found.client_cpu_us_per_read is not None
    assert found.events_per_read is not None
    return Side(
        tok_per_s=found.read_tok_per_s,
        cpu_us_per_token=found.client_cpu_us_per_token,
        cpu_us_per_read=found.client_cpu_us_per_read,
        reads_per_token=1 / found.events_per_read,
    )


def _c_reader(cell: Cell, reader: Path, *, server_cpu: int) -> Side:
    warmup_s = 1.0 + EVENTS_PER_ANSWER * cell.itl_s
    with ReferenceServer(Settings(ttft_s=TTFT_S, itl_s=cell.itl_s), cpu=server_cpu) as server:
        argv = {
            "--port": server.url.rpartition(":")[2],
            "--connections": cell.users,
            "--seconds": cell.window_s,
            "--ramp": max(warmup_s, 0.002 * cell.users),
            "--warmup": warmup_s,
            "--output-tokens": EVENTS_PER_ANSWER,
        }
        words = [str(word) for option in argv.items() for word in option]
        found = json.loads(subprocess.run([reader, *words], check=True, capture_output=True).stdout)
    return Side(
        tok_per_s=found["tok_per_s"],
        cpu_us_per_token=found["cpu_us_per_token"],
        cpu_us_per_read=found["cpu_us_per_read"],
        reads_per_token=found["reads"] / found["tokens"],
    )


def _median(pairs: list[Pair], name: str) -> float:
    return float(statistics.median(getattr(pair, name) for pair in pairs))


def _print(cell: Cell, pairs: list[Pair]) -> None:
    print(f"{cell.users} users, a token each {cell.itl_s * 1e3:g} ms; client and C reader, each on one core")
    print("pair      tok/s        µs/token      µs/read       reads/token   ratio a token  a read")
    for number, (pair, (client, reader)) in enumerate(zip(pairs, pairs, strict=True), start=1):
        print(
            f"{number:4d}  {client.tok_per_s:6.0f} {reader.tok_per_s:6.0f}"
            f"  {client.cpu_us_per_token:5.2f} {reader.cpu_us_per_token:5.2f}"
            f"   {client.cpu_us_per_read:5.2f} {reader.cpu_us_per_read:5.2f}"
            f"    {client.reads_per_token:5.3f} {reader.reads_per_token:5.3f}"
            f"   {pair.per_token:13.2f}  {pair.per_read:6.2f}"
        )
    print(f"median {_median(pairs, 'per_token'):.2f} times the CPU a token, {_median(pairs, 'per_read'):.2f} a read")


def _document(cell: Cell, pairs: list[Pair]) -> dict[str, Any]:
    return {
        "format": 1,
        "date": wall_now().isoformat(),
        "machine": host_facts(),
        "users": cell.users,
        "itl_s": cell.itl_s,
        "pairs": [{"client": pair.client._asdict(), "c_reader": pair.c_reader._asdict()} for pair in pairs],
        "median_ratio_per_token": _median(pairs, "per_token"),
        "median_ratio_per_read": _median(pairs, "per_read"),
    }


if __name__ == "__main__":
    sys.exit(main())
