"""The sweep behind Nosana's article of 2024-09-13 as runs: one card of each type, in words per second."""

import functools
from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from breakeven.caution import Caution
from breakeven.hardware import find_gpus
from breakeven.metrics.summary import Estimate, LevelSummary, RunFacts, RunSummary
from breakeven.reference.fleet import WORDS, groups_of, rows_of

NAME: Final = "nosana-2024-sweep"
SOURCE: Final = "the measurements behind Nosana, LLM Benchmarking: Cost Efficient Performance, 2024-09-13"
START_S: Final = 60.0
FAULTS: Final = (
    "Output is counted in words between spaces, not in tokens.",
    "Nothing was streamed: there is no TTFT, TPOT or ITL.",
    "One run a cell, lengths not controlled, failed requests only printed.",
    "The rate is from 60 s to the end; the article's own, ramp included, stands in words_per_s_cumulative.",
)
ONE_RUN = Caution(
    id="one_run",
    seen="one run on one card: no interval can be given",
    advice="use nosana-2024 for a spread between nodes, or measure",
)


class Row(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One line of nosana_2024_sweep.csv."""

    gpu: str
    cards: int
    workload: str
    engine: str
    users: int
    words_per_s: float
    words_per_s_cumulative: float
    end_s: float


@functools.cache
def runs() -> tuple[RunSummary, ...]:
    """Every GPU, model and engine of the sweep, as runs whose unit is words."""
    rows = rows_of("nosana_2024_sweep.csv", Row)
    return tuple(map(_run, groups_of(rows, lambda row: (row.gpu, row.cards, row.workload, row.engine))))


def _run(rows: Sequence[Row]) -> RunSummary:
    first = rows[0]
    workload = f"{first.workload}/{first.engine}"
    cards = f"{first.cards}x" if first.cards > 1 else ""
    name = " or ".join(gpu.name for gpu in find_gpus(first.gpu))
    return RunSummary(
        run=RunFacts(
            id=f"{NAME}/{cards}{first.gpu}/{workload}",
            started="2024-09",
            host={"gpu": first.gpu, "gpu_name": name, "gpu_count": first.cards},
            engine={"name": first.engine},
            model=first.workload,
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
        window_s=row.end_s - START_S,
        warm_up_s=START_S,
        output_tok_per_s=Estimate(value=row.words_per_s),
        cautions=(WORDS, ONE_RUN),
        extra={"nodes": 1, "words_per_s_cumulative": row.words_per_s_cumulative},
    )
