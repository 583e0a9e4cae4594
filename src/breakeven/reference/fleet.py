"""Nosana's fleet of 2024 as runs: one for each GPU and workload, medians over nodes, in words per second."""

import csv
import functools
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from importlib import resources
from typing import Final, TypeVar

import msgspec
from msgspec import Struct

from breakeven.caution import Caution
from breakeven.hardware import gpus
from breakeven.metrics.summary import Distribution, Estimate, LevelSummary, RunFacts, RunSummary

T = TypeVar("T")
NAME: Final = "nosana-2024"
SOURCE: Final = "KeesGeerligs/node-leaderboard-CU, 2024-09-25: 2,613 benchmark jobs of 206 Nosana nodes, 2024-09"
FAULTS: Final = (
    "Output is counted in words between spaces, not in tokens.",
    "Nothing was streamed: there is no TTFT, TPOT or ITL; latency is of whole answers.",
    "Throughput is words / time of a whole level of 15 minutes, its start and end included.",
    "Answers were at most 512 tokens long and their lengths were not controlled.",
    "Engine, version and settings are not in the data.",
    "The GPU is the first card that the box named.",
    "Power and clock are means over all cards of the box: given only where those were busy 60 % of the time.",
)
WEIGHTS: Final = {
    "llama3.1-8b-4bit": "Llama 3.1 8B, called 4x in the data: 4-bit weights, as it runs on 8 GB cards",
    "llama3.1-8b-16bit": "Llama 3.1 8B, 16-bit weights",
    "llama3.1-70b-4bit": "Llama 3.1 70B, called 4x in the data: 4-bit weights",
}
FEW_NODES: Final = 5
TWO_POPULATIONS_SD_LOG: Final = 0.08

WORDS = Caution(
    id="words_not_tokens",
    seen="the rates of this data set are words per second, not tokens per second",
    advice="compare it with runs of the same data set only, or declare tokens per word",
)


class Row(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One line of nosana_2024.csv; how each figure is made stands in benchmarks/make_reference_2024.py."""

    gpu: str
    workload: str
    users: int
    words_per_s: float
    ci95_low: float | None = None
    ci95_high: float | None = None
    nodes: int
    jobs: int
    failures: int
    between_node_sd_log: float | None = None
    latency_s: float | None = None
    window_s: float | None = None
    input_words_per_output_word: float | None = None
    power_w: float | None = None
    clock_mhz: float | None = None
    utilisation_pct: float | None = None
    power_nodes: int


def read_rows(name: str) -> list[Mapping[str, str]]:
    """Rows of a CSV of this room, empty cells left out."""
    text = resources.files("breakeven.reference").joinpath(name).read_text(encoding="utf-8")
    return [{key: cell for key, cell in row.items() if cell} for row in csv.DictReader(text.splitlines())]


def rows_of(name: str, kind: type[T]) -> tuple[T, ...]:
    """The same, each of a kind."""
    return tuple(msgspec.convert(fields, kind, strict=False) for fields in read_rows(name))


def groups_of(rows: Iterable[T], key: Callable[[T], Hashable]) -> list[list[T]]:
    """Rows with one key, in the order in which the keys come."""
    groups: dict[Hashable, list[T]] = {}
    for row in rows:
        groups.setdefault(key(row), []).append(row)
    return list(groups.values())


@functools.cache
def runs() -> tuple[RunSummary, ...]:
    """Every GPU and workload of the data set, as runs whose unit is words."""
    return tuple(map(_run, groups_of(rows_of("nosana_2024.csv", Row), lambda row: (row.gpu, row.workload))))


def _run(rows: Sequence[Row]) -> RunSummary:
    gpu, workload = rows[0].gpu, rows[0].workload
    return RunSummary(
        run=RunFacts(
            id=f"{NAME}/{gpu}/{workload}",
            started="2024-09",
            host={"gpu": gpu, "gpu_name": gpus()[gpu].name, "gpu_count": 1},
            model=WEIGHTS[workload],
            workload={"name": workload},
            settings={"unit": "words", "data_set": NAME, "source": SOURCE, "notes": list(FAULTS)},
        ),
        levels=tuple(_level(row) for row in sorted(rows, key=lambda row: row.users)),
    )


def _level(row: Row) -> LevelSummary:
    return LevelSummary(
        users=row.users,
        status="done",
        stopped="duration",
        window_s=row.window_s,
        output_tok_per_s=Estimate(value=row.words_per_s, ci95=(row.ci95_low, row.ci95_high)),
        distributions={"e2e_s": Distribution(mean=row.latency_s)},
        cautions=_cautions(row),
        extra={
            "nodes": row.nodes,
            "jobs": row.jobs,
            "failures": row.failures,
            "between_node_sd_log": row.between_node_sd_log,
            "input_words_per_output_word": row.input_words_per_output_word,
            "gpu_board_power_w": row.power_w,
            "sm_clock_mhz": row.clock_mhz,
            "gpu_utilisation_pct": row.utilisation_pct,
            "power_nodes": row.power_nodes,
        },
    )


def _cautions(row: Row) -> tuple[Caution, ...]:
    found = [WORDS]
    if row.nodes < FEW_NODES:
        count = "one node was" if row.nodes == 1 else "{nodes} nodes were"
        seen = f"only {count} measured: this says little about the GPU type"
        advice = "measure a card of your own before you decide"
        found.append(Caution(id="few_nodes", seen=seen, advice=advice, values={"nodes": row.nodes}))
    if row.between_node_sd_log is not None and row.between_node_sd_log > TWO_POPULATIONS_SD_LOG:
        seen = "nodes differ by {spread_pct:whole} % (sd of the log), so they are hardly one population"
        values = {"spread_pct": 100 * row.between_node_sd_log}
        advice = "do not take the median for a typical card"
        found.append(Caution(id="not_one_population", seen=seen, advice=advice, values=values))
    if row.failures:
        seen = "{failures} of {all} jobs failed at this level and are not in the figures"
        values = {"failures": row.failures, "all": row.jobs + row.failures}
        advice = "read the rate as that of the jobs that worked"
        found.append(Caution(id="failed_jobs", seen=seen, advice=advice, values=values))
    return tuple(found)
