"""What stands behind a node's place: its levels beside its like, what it said of itself, its newest jobs; as texts."""

import datetime
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from breakeven.fleet.board_text import counted_of
from breakeven.fleet.checked import MARKS
from breakeven.fleet.job import OUTCOMES
from breakeven.fleet.leaderboard import Board, marks_of
from breakeven.fleet.medians import group_medians
from breakeven.fleet.rows import Rows
from breakeven.say import amount, bare, more, number, share, unit_of, usd_per_h
from breakeven.units import short_s

NEWEST: Final = 20
"""Jobs of a node that are shown."""
LEVEL_HEAD: Final = ("users", "its rate", "its like", "beside it", "TTFT p50", "TPOT p50", "power", "failed requests")
JOB_HEAD: Final = ("when", "what became of it", "beside its like", "price", "job")


class Fact(NamedTuple):
    """One line of what a node said of itself."""

    label: str
    of: str
    """A column of Rows."""
    show: Callable[[Any], str]


FACTS: Final = (
    Fact("card, as its driver calls it", "card_name", str),
    Fact("card's UUID, hashed", "card", str),
    Fact("cards", "cards", number),
    Fact("memory of a card", "memory_bytes", lambda value: amount(value / 1e9, "GB")),
    Fact("driver", "driver", str),
    Fact("power limit", "power_limit_w", lambda value: amount(value, "W")),
    Fact("power limit by default", "default_power_limit_w", lambda value: amount(value, "W")),
    Fact("SM clock under load", "sm_clock_mean_mhz", lambda value: amount(value, "MHz")),
    Fact("SM clock at most", "sm_clock_max_mhz", lambda value: amount(value, "MHz")),
    Fact("memory clock under load", "memory_clock_mean_mhz", lambda value: amount(value, "MHz")),
    Fact("hottest", "temperature_max_c", lambda value: amount(value, "°C")),
    Fact("utilisation", "utilisation_share", share),
    Fact("held down by heat", "thermal_share", share),
    Fact("held down by its power limit", "power_cap_share", share),
    Fact("proof of work", "proof_time_s", short_s),
    Fact("memory bandwidth reached", "bench_bytes_per_s", lambda value: amount(value / 1e9, "GB/s")),
    Fact("matrix rate reached", "bench_flop_per_s", lambda value: amount(value / 1e12, "TFLOP/s")),
    Fact("download", "download_bit_per_s", lambda value: amount(value / 1e6, "Mbit/s")),
    Fact("engine", "engine", str),
    Fact("CPU", "cpu", str),
)
"""The newest value of each; what no job told is left out."""


class Evidence(NamedTuple):
    """Of one node."""

    levels: dict[int, list[list[str]]]
    """By line of the board; cells as in LEVEL_HEAD."""
    facts: list[tuple[str, str]]
    jobs: list[list[str]]
    """Newest first; cells as in JOB_HEAD."""
    all_jobs: int
    marks: list[str]


def evidence(board: Board, rows: Rows) -> Iterator[Evidence]:
    """Of every node of the board, in the order in which each first stands there. `rows` are those of its scores."""
    lines: dict[int, list[int]] = {}
    for line, row in enumerate(board.row.tolist()):
        lines.setdefault(int(board.scores.node[row]), []).append(line)
    jobs_of = _jobs_of(rows)
    cells = _cells(board, rows)
    for code, mine in lines.items():
        jobs = jobs_of[code]
        bits = int(np.bitwise_or.reduce(board.marks[mine]))
        yield Evidence(
            levels={line: _levels(board, cells, line) for line in mine},
            facts=_facts(rows, jobs),
            jobs=[_job(board, rows, int(job)) for job in jobs[:NEWEST]],
            all_jobs=len(jobs),
            marks=[MARKS[name] for name in marks_of(bits)],
        )


def _jobs_of(rows: Rows) -> list[NDArray[np.int64]]:
    """Jobs of each node, the newest first."""
    when = np.nan_to_num(np.where(np.isnan(rows.ended_s), rows.started_s, rows.ended_s), nan=-np.inf)
    some = np.flatnonzero(rows.node.codes >= 0)
    order = some[np.lexsort((some, -when[some], rows.node.codes[some]))]
    sizes = np.bincount(rows.node.codes[some], minlength=len(rows.node.names))
    return np.split(order, np.cumsum(sizes)[:-1]) if len(sizes) else []


def _cells(board: Board, rows: Rows) -> Mapping[str, NDArray[np.float64]]:
    """Medians over the jobs of each row of the scores at each number of users; of requests the share that failed."""
    used = board.scores.row_of_job >= 0
    users, count = len(rows.users), len(board.scores)
    at = (board.scores.row_of_job[used].astype(np.int64)[:, None] * users + np.arange(users)).ravel()

    def medians(values: NDArray[np.float32]) -> NDArray[np.float64]:
        return group_medians(values[used].ravel(), at, count=count * users).reshape(count, users)

    def sums(values: NDArray[np.float32]) -> NDArray[np.float64]:
        whole = np.bincount(at, np.nan_to_num(values[used].ravel()), count * users).astype(np.float64)
        return whole.reshape(count, users)

    asked = sums(rows.done) + sums(rows.failed)
    failed = np.divide(sums(rows.failed), asked, out=np.full(asked.shape, np.nan), where=asked > 0)
    names = ("ttft_p50_s", "tpot_p50_s", "power_mean_w")
    return {name: medians(getattr(rows, name)) for name in names} | {"failed": failed}


def _levels(board: Board, cells: Mapping[str, NDArray[np.float64]], line: int) -> list[list[str]]:
    row, stratum = int(board.row[line]), board.stratum(line)
    unit, found = unit_of("tok/s", counted_of(stratum)), []
    for place, users in enumerate(stratum.users):
        rate, like = float(board.scores.tok_per_s[row, place]), stratum.tok_per_s[place]
        if math.isnan(rate) or like is None:
            continue
        told = {name: float(values[row, place]) for name, values in cells.items()}
        found.append(
            [
                number(users),
                f"{bare(rate, 'tok/s')} {unit}",
                f"{bare(like, 'tok/s')} {unit}",
                more(rate / like - 1),
                _or_dash(told["ttft_p50_s"], short_s),
                _or_dash(told["tpot_p50_s"], short_s),
                _or_dash(told["power_mean_w"], lambda value: amount(value, "W")),
                _or_dash(told["failed"], share),
            ]
        )
    return found


def _or_dash(value: float, show: Callable[[float], str]) -> str:
    return "-" if math.isnan(value) else show(value)


def _facts(rows: Rows, jobs: NDArray[np.int64]) -> list[tuple[str, str]]:
    found = []
    for fact in FACTS:
        column = getattr(rows, fact.of)
        if isinstance(column, np.ndarray):
            known = jobs[np.isfinite(column[jobs])]
            value: Any = float(column[known[0]]) if len(known) else None
        else:
            known = jobs[column.codes[jobs] >= 0]
            value = column.at(int(known[0])) if len(known) else None
        if value is not None:
            found.append((fact.label, fact.show(value)))
    return found


def _job(board: Board, rows: Rows, job: int) -> list[str]:
    when, gap, price = rows.ended_s[job], float(board.scores.job_score[job]), float(rows.usd_per_h[job])
    when = float(rows.started_s[job]) if math.isnan(when) else float(when)
    outcome = rows.outcome.at(job) or "-"
    told = [OUTCOMES.get(outcome, outcome), rows.reason.at(job), *map(MARKS.get, (rows.marks.at(job) or "").split())]  # type: ignore[call-overload]
    return [
        "-" if math.isnan(when) else _date(when),
        "; ".join(filter(None, told)),
        "-" if math.isnan(gap) else more(math.expm1(gap)),
        "-" if math.isnan(price) else usd_per_h(price),
        rows.id[job].decode(),
    ]


def _date(seconds: float) -> str:
    try:
        return f"{datetime.datetime.fromtimestamp(seconds, datetime.UTC):%Y-%m-%d %H:%M}"
    except (ValueError, OverflowError, OSError):
        return "-"
