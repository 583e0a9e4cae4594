"""Make the aggregates of src/breakeven/reference/ from the Nosana data of 2024; the raw data is not in the project.

    python benchmarks/make_reference_2024.py FLEET.csv SWEEP.csv OUT_FOLDER

FLEET.csv: one line a benchmark job, from KeesGeerligs/node-leaderboard-CU, 2024-09-25, node names replaced.
SWEEP.csv: one line a cell of the sweep behind Nosana's article of 2024-09-13.

A figure of a GPU is the median over its nodes of each node's median over its jobs, so that a node with 60 jobs counts
as much as one with a single job. Its interval is over nodes: from six on the order statistics of the median; of two
to five Student's t times the plain sd of the logs / root(n) about the median, because a robust spread of so few hides
the node that differs (three A100 at 310, 524, 529 words/s: sd 31 %, MAD 2 %). Levels that gave 0 words are failures:
counted, not averaged. Power and clock are averages over all cards of the box while `gpu` names only the first, so
that they are left out where the utilisation is under 60 %. The 4-bit and the 16-bit model are two workloads.
"""

import csv
import math
import statistics
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from breakeven.hardware import find_gpu
from breakeven.metrics.statistics import distribution, t_quantile

USERS = (1, 5, 10, 50, 100)
WORKLOADS = {
    "llama3.1_8B_4x": "llama3.1-8b-4bit",
    "llama3.1_8B": "llama3.1-8b-16bit",
    "llama3.1_70B_4x": "llama3.1-70b-4bit",
}
SWEEP_GPUS = {"4090": ("rtx4090", 1), "4x_4090": ("rtx4090", 4), "A100": ("a100-80", 1)}
SWEEP_MODELS = {"llama3-8b": "llama3-8b", "llama31-8b": "llama3.1-8b"}
BUSY_PCT = 60.0
ENOUGH_NODES = 6
"""From here on the order statistics of a median bound it at 95 %, and a robust spread is that of most nodes."""

Row = Mapping[str, str]


def cell(row: Row, users: int, name: str) -> float | None:
    text = row[f"users{users}_{name}"]
    return float(text) if text else None


def main(fleet: Path, sweep: Path, out: Path) -> None:
    write(out / "nosana_2024.csv", fleet_rows(read(fleet)))
    write(out / "nosana_2024_sweep.csv", sweep_rows(read(sweep)))


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def write(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as lines:
        writer = csv.DictWriter(lines, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def fleet_rows(jobs: Iterable[Row]) -> list[dict[str, object]]:
    groups: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for job in jobs:
        groups[find_gpu(job["gpu"]).key, WORKLOADS[job["model"]]].append(job)
    rows = [fleet_row(jobs, users) for _, jobs in sorted(groups.items()) for users in USERS]
    return [row for row in rows if row["nodes"]]


def fleet_row(jobs: Sequence[Row], users: int) -> dict[str, object]:
    values = [(job, rate) for job in jobs if (rate := cell(job, users, "tok_per_s")) is not None]
    good = [job for job, rate in values if rate > 0]
    busy = [job for job in good if (cell(job, users, "mean_utilisation_pct") or 0) >= BUSY_PCT]
    rates = node_medians(good, users, "tok_per_s")
    low, high = interval(rates)
    return {
        "gpu": find_gpu(jobs[0]["gpu"]).key,
        "workload": WORKLOADS[jobs[0]["model"]],
        "users": users,
        "words_per_s": rounded(statistics.median(rates) if rates else None, 2),
        "ci95_low": rounded(low, 2),
        "ci95_high": rounded(high, 2),
        "nodes": len(rates),
        "jobs": len(good),
        "failures": len(values) - len(good),
        "between_node_sd_log": rounded(sd_log(rates), 4),
        "latency_s": rounded(middle_of(good, users, "mean_latency_s"), 2),
        "window_s": rounded(middle_of(good, users, "duration_s"), 1),
        "input_words_per_output_word": rounded(mix(good, users), 3),
        "power_w": rounded(middle_of(busy, users, "mean_power_w"), 1),
        "clock_mhz": rounded(middle_of(busy, users, "mean_clock_mhz"), 0),
        "utilisation_pct": rounded(middle_of(busy, users, "mean_utilisation_pct"), 1),
        "power_nodes": len(node_medians(busy, users, "mean_power_w")),
    }


def node_medians(jobs: Iterable[Row], users: int, name: str) -> list[float]:
    nodes: dict[str, list[float]] = defaultdict(list)
    for job in jobs:
        value = cell(job, users, name)
        if value is not None:
            nodes[job["node"]].append(value)
    return [statistics.median(values) for values in nodes.values()]


def middle_of(jobs: Iterable[Row], users: int, name: str) -> float | None:
    medians = node_medians(jobs, users, name)
    return statistics.median(medians) if medians else None


def mix(jobs: Iterable[Row], users: int) -> float | None:
    """Words of the prompts per word of the answers, over all jobs."""
    pairs = [(cell(job, users, "input_tokens"), cell(job, users, "output_tokens")) for job in jobs]
    known = [(asked, answered) for asked, answered in pairs if asked is not None and answered]
    return sum(asked for asked, _ in known) / sum(answered for _, answered in known) if known else None


def interval(rates: Sequence[float]) -> tuple[float | None, float | None]:
    """95 % interval of the median over nodes; open for a single one."""
    if len(rates) >= ENOUGH_NODES or len(rates) < 2:
        return distribution(rates).p50.ci95
    half = t_quantile(len(rates) - 1) * statistics.stdev(map(math.log, rates)) / math.sqrt(len(rates))
    middle = statistics.median(rates)
    return middle * math.exp(-half), middle * math.exp(half)


def sd_log(rates: Sequence[float]) -> float | None:
    """Spread of log(rate) over nodes: of up to five the plain sd, of more 1.4826 x the median absolute deviation."""
    if len(rates) < 2:
        return None
    logs = [math.log(rate) for rate in rates]
    if len(logs) < ENOUGH_NODES:
        return statistics.stdev(logs)
    middle = statistics.median(logs)
    return 1.4826 * statistics.median(abs(value - middle) for value in logs)


def sweep_rows(cells: Iterable[Row]) -> list[dict[str, object]]:
    rows = [sweep_row(row) for row in cells]
    return sorted(rows, key=lambda row: (row["workload"], row["engine"], row["gpu"], row["cards"], row["users"]))


def sweep_row(row: Row) -> dict[str, object]:
    gpu, cards = SWEEP_GPUS[row["gpu"]]
    return {
        "gpu": gpu,
        "cards": cards,
        "workload": SWEEP_MODELS[row["model"]],
        "engine": row["engine"],
        "users": int(row["users"]),
        "words_per_s": float(row["words_per_s_steady_60s_on"]),
        "words_per_s_cumulative": float(row["words_per_s_cumulative"]),
        "end_s": float(row["t_end_s"]),
    }


def rounded(value: float | None, digits: int) -> float | int | str:
    if value is None:
        return ""
    return round(value, digits) if digits else round(value)


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(*(Path(argument) for argument in sys.argv[1:]))
