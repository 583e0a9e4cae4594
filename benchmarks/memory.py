"""How much memory a run takes, by the length of its level: while it runs, and while its summary is made.

    python benchmarks/memory.py                       # 300 users, 20 and 80 s: two minutes
    python benchmarks/memory.py --json FILE

300 users of `breakeven run` on the reference server, a token each 10 ms: 29,000 tok/s and 230 answers a second. Ends
with 1 where the client grows by more than 20 KB a second while it measures, or the longer run's summary takes more than
40 bytes a chunk above the shorter one's.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from breakeven.client.reference import ReferenceServer, Settings
from breakeven.clock import wall_now
from breakeven.telemetry.host import host_facts

CANNOT: Final = 3
USERS: Final = 300
WARMUP_S: Final = 5
LENGTHS_S: Final = (20, 80)
GROWTH_WITHIN_BYTES_PER_S: Final = 20_000
SUMMARY_WITHIN_BYTES_PER_CHUNK: Final = 40.0
_EVERY_S: Final = 0.25


def main() -> int:
    """Measure each length and print a row."""
    parser = argparse.ArgumentParser(description="How much memory a run takes, by the length of its level.")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything as JSON")
    arguments = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    if len(cores) < 2 or not Path("/proc/self/status").is_file():
        print("memory: needs two cores, and Linux", file=sys.stderr)
        return CANNOT
    print("window  chunks     MB at its start  at its end  KB grown a second  MB at most, summary")
    rows = [_row(length_s, cores=cores) for length_s in LENGTHS_S]
    chunks = rows[1]["chunks"] - rows[0]["chunks"]
    per_chunk = (rows[1]["peak_bytes"] - rows[0]["peak_bytes"]) / chunks
    print(f"the summary of the longer run took {per_chunk:.0f} bytes a chunk more")
    if arguments.json is not None:
        document = {"made": wall_now().isoformat(), "host": host_facts(), "rows": rows, "bytes_per_chunk": per_chunk}
        arguments.json.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    grows = rows[1]["growth_bytes_per_s"] > GROWTH_WITHIN_BYTES_PER_S
    return int(grows or per_chunk > SUMMARY_WITHIN_BYTES_PER_CHUNK)


def _row(length_s: int, *, cores: list[int]) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder, ReferenceServer(Settings(), cpu=cores[1]) as server:
        words = ["run", "--url", server.url, "--model", "truth", "--workload", "fixed", "--input-tokens", "64"]
        words += ["--output-tokens", "128", "--users", str(USERS), "--duration", f"{length_s}s"]
        words += ["--warmup", f"{WARMUP_S}s", "--out", folder, "--json", f"{folder}/out.json"]
        process = subprocess.Popen(
            [sys.executable, "-m", "breakeven", *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        seen = _watched(process)
        (level,) = json.loads(Path(f"{folder}/out.json").read_text(encoding="utf-8"))["levels"]
    return _told(seen, level, length_s=length_s)


def _told(seen: list[tuple[float, int]], level: dict[str, Any], *, length_s: int) -> dict[str, Any]:
    """The window's borders are known to about a second, so two seconds at either end of it are left out."""
    began_s = seen[0][0] + level["warm_up_s"] + 2
    inside = [(at_s, size) for at_s, size in seen if began_s + 2 <= at_s <= began_s + length_s - 3]
    growth = (inside[-1][1] - inside[0][1]) / (inside[-1][0] - inside[0][0])
    row = {
        "window_s": length_s,
        "chunks": level["output_tokens"],
        "open_bytes": inside[0][1],
        "close_bytes": inside[-1][1],
        "growth_bytes_per_s": growth,
        "peak_bytes": max(size for _, size in seen),
    }
    print(
        f"{length_s:4d} s {row['chunks']:9d} {inside[0][1] / 1e6:16.1f} {inside[-1][1] / 1e6:11.1f} "
        f"{growth / 1e3:18.1f} {row['peak_bytes'] / 1e6:20.1f}",
        flush=True,
    )
    return row


def _watched(process: "subprocess.Popen[bytes]") -> list[tuple[float, int]]:
    """Resident bytes of a process, four times a second, until it ends."""
    seen = []
    while process.poll() is None:
        size = _resident_bytes(process.pid)
        if size:
            seen.append((time.monotonic(), size))
        time.sleep(_EVERY_S)
    return seen


def _resident_bytes(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS:")), 0)


if __name__ == "__main__":
    sys.exit(main())
