"""A million job rows: how long the leaderboard takes, and how much memory.

    python benchmarks/grid_million.py [JOBS] [FOLDER]

Makes a seeded set of 10,000 nodes in 4 markets, 39 GPUs and 3 models, five levels a job (3 % between nodes, 1.5 %
within, 5 % of the nodes 10 to 50 % slow), stores it, and runs `breakeven fleet leaderboard SET` as a user would, three
times, each in a new process. Prints wall seconds, CPU seconds and peak memory of each. The aim: under 5 s and 2 GB
on 2 cores.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from breakeven.fleet.rows import FIGURES, LEVELS, TEXTS, Codes, Rows
from breakeven.fleet.store import PART, add
from breakeven.hardware import gpus

NODES = 10_000
USERS = (1, 5, 10, 50, 100)
MARKETS = ("premium", "community", "east", "west")
MODELS = ("llama-3.1-8b", "qwen3-14b", "llama-3.3-70b")
TIMES = 3


def main(jobs: int, folder: Path) -> None:
    begun = time.perf_counter()
    make(jobs, str(folder / "set"))
    size = sum(path.stat().st_size for path in (folder / "set").glob("*.parquet"))
    print(
        f"{jobs:,} jobs of {NODES:,} nodes made and stored in {time.perf_counter() - begun:.1f} s, {size / 1e6:.0f} MB"
    )
    for _ in range(TIMES):
        wall_s, cpu_s, peak = timed(folder)
        print(f"leaderboard: {wall_s:.2f} s wall, {cpu_s:.2f} s CPU, {peak / 1e9:.2f} GB at most")


def make(jobs: int, address: str) -> None:
    """The set, a file's worth at a time."""
    rng = np.random.default_rng(2026)
    keys = list(gpus())[:39]
    gpu_of_node = rng.integers(0, len(keys), NODES)
    speed = np.exp(rng.normal(0, 0.03, NODES)) * np.where(rng.random(NODES) < 0.05, rng.uniform(0.5, 0.9, NODES), 1)
    for first in range(0, jobs, PART):
        count = min(PART, jobs - first)
        node = rng.integers(0, NODES, count).astype(np.int32)
        gpu, model = gpu_of_node[node].astype(np.int32), rng.integers(0, len(MODELS), count).astype(np.int32)
        base = (40 + 3 * gpu)[:, None] / (1 + model)[:, None] * np.array([1, 4.5, 8, 25, 32])
        noise = np.exp(rng.normal(0, 0.015, (count, 1)) + rng.normal(0, 0.004, (count, len(USERS))))
        rate = (base * speed[node][:, None] * noise).astype(np.float32)
        add(address, rows(first, node, gpu, model, rate, keys, rng))


def rows(first, node, gpu, model, rate, keys, rng):  # type: ignore[no-untyped-def]
    count = len(node)
    same = np.zeros(count, dtype=np.int32)
    flat = rng.random(count)
    return whole(
        {
            "id": np.array([f"job-{first + i:09d}" for i in range(count)], dtype=np.bytes_),
            "digest": rng.integers(0, 2**63, count).astype(np.uint64),
            "node": Codes(node, tuple(f"node-{i:05d}" for i in range(NODES))),
            "market": Codes((node % len(MARKETS)).astype(np.int32), MARKETS),
            "gpu": Codes(gpu, tuple(keys)),
            "card_name": Codes(gpu, tuple(gpus()[key].name for key in keys)),
            "model": Codes(model, MODELS),
            "template": Codes(same, ("chat",)),
            "counted": Codes(same, ("tokens",)),
            "outcome": Codes(same, ("done",)),
            "driver": Codes((node % 7).astype(np.int32), tuple(f"5{i}0.54" for i in range(7))),
            "usd_per_h": 0.2 + 0.01 * gpu,
            "started_s": 1.79e9 + 600.0 * flat * 4000,
            "wall_s": 300 + 60 * flat,
            "memory_bytes": 24e9 + 0.0 * flat,
            "power_limit_w": 450 - 50.0 * (flat < 0.02),
            "sm_clock_mean_mhz": 2500 - 200 * flat,
            "temperature_max_c": 60 + 20 * flat,
            "utilisation_share": 0.9 + 0.1 * flat,
            "proof_time_s": 2 + flat,
            "bench_bytes_per_s": 9e11 * (1 - 0.1 * flat),
            "output_tok_per_s": rate,
            "power_mean_w": (300 + 20 * rng.random(rate.shape)).astype(np.float32),
            "ttft_p50_s": (0.1 + 0.1 * rng.random(rate.shape)).astype(np.float32),
            "tpot_p50_s": (np.array(USERS) / rate).astype(np.float32),
            "window_s": np.full(rate.shape, 60, dtype=np.float32),
            "done": np.floor(rate / 4).astype(np.float32),
            "failed": np.zeros(rate.shape, dtype=np.float32),
        },
        users=USERS,
    )


def whole(columns, *, users):  # type: ignore[no-untyped-def]
    """Rows of whole columns; what is not among them is undefined throughout, and a level with a rate was tried."""
    count = len(columns["id"])
    found = dict.fromkeys(TEXTS, Codes(np.full(count, -1, dtype=np.int32), ()))
    found |= dict.fromkeys(FIGURES, np.full(count, np.nan))
    found |= dict.fromkeys(LEVELS, np.full((count, len(users)), np.nan, dtype=np.float32))
    return Rows(users=tuple(users), tried=~np.isnan(columns["output_tok_per_s"]), **(found | columns))


def timed(folder: Path) -> tuple[float, float, float]:
    """Wall seconds, CPU seconds and peak bytes of one leaderboard."""
    begun = time.perf_counter()
    words = [sys.executable, "-m", "breakeven", "fleet", "leaderboard", str(folder / "set")]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"the leaderboard ended with {process.returncode}")
    return time.perf_counter() - begun, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024


if __name__ == "__main__":
    jobs = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    if len(sys.argv) > 2:
        main(jobs, Path(sys.argv[2]))
    else:
        with tempfile.TemporaryDirectory() as folder:
            main(jobs, Path(folder))
