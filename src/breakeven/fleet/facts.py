"""What is known of each node besides its speed: medians over its jobs, and those of the nodes of its stratum."""

from collections.abc import Callable
from typing import Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from breakeven.fleet.medians import group_medians, row_medians
from breakeven.fleet.rows import Rows
from breakeven.fleet.scores import FEW_NODES, Scores

Figures = NDArray[np.float64]


class NodeFacts(Struct, frozen=True, kw_only=True):
    """One row of Scores; None where nothing is known."""

    node: str
    market: str | None
    gpu: str
    """By the driver's name."""
    claim: str | None
    model: str | None
    score: float | None
    """Median log(tok/s) beside its stratum's."""
    within: float | None
    """Variance between the jobs of one node of the stratum."""
    jobs: int
    own: dict[str, float | None]
    """Rows of FACTS, and `own_sd`: how its jobs differ on the log scale."""
    peers: dict[str, float | None]
    """Medians over the nodes of its stratum that tell it, where at least five do."""


def _proof_flop_per_s(rows: Rows) -> Figures:
    time = np.where(rows.proof_time_s > 0, rows.proof_time_s, np.nan)
    return np.asarray(2 * rows.proof_size**3 / time, dtype=np.float64)


def _or_of_levels(name: str, level: str) -> Callable[[Rows], Figures]:
    """What a job tells as a whole; else the median over its levels."""

    def of(rows: Rows) -> Figures:
        own: Figures = getattr(rows, name)
        return np.where(np.isnan(own), row_medians(getattr(rows, level)), own)

    return of


def _failed_share(rows: Rows) -> Figures:
    """Failed requests of all that ended."""
    failed, done = np.nansum(rows.failed, axis=1), np.nansum(rows.done, axis=1)
    told = np.isfinite(rows.done).any(axis=1) & (failed + done > 0)
    return np.asarray(np.divide(failed, failed + done, out=np.full(len(rows), np.nan), where=told), dtype=np.float64)


def _one_user_tok_per_s(rows: Rows) -> Figures:
    if rows.users[:1] != (1,):
        return np.full(len(rows), np.nan)
    return rows.output_tok_per_s[:, 0].astype(np.float64)


FACTS: Final[dict[str, Callable[[Rows], Figures]]] = {
    "cards": lambda rows: rows.cards,
    "memory_bytes": lambda rows: rows.memory_bytes,
    "power_limit_w": lambda rows: rows.power_limit_w,
    "default_power_limit_w": lambda rows: rows.default_power_limit_w,
    "power_mean_w": lambda rows: row_medians(rows.power_mean_w),
    "clock_mhz": _or_of_levels("sm_clock_mean_mhz", "level_clock_mean_mhz"),
    "memory_clock_mhz": lambda rows: rows.memory_clock_mean_mhz,
    "temperature_max_c": _or_of_levels("temperature_max_c", "level_temperature_max_c"),
    "utilisation_share": _or_of_levels("utilisation_share", "level_utilisation_share"),
    "thermal_share": lambda rows: rows.thermal_share,
    "bench_bytes_per_s": lambda rows: rows.bench_bytes_per_s,
    "proof_flop_per_s": _proof_flop_per_s,
    "proof_is_right": lambda rows: rows.proof_is_right,
    "download_bit_per_s": lambda rows: rows.download_bit_per_s,
    "failed_requests_share": _failed_share,
    "one_user_tok_per_s": _one_user_tok_per_s,
    "usd_per_h": lambda rows: rows.usd_per_h,
}
"""One figure a job; of a node the median over its jobs."""


def node_figures(rows: Rows, scores: Scores) -> dict[str, Figures]:
    """Each fact of each row of `scores`; NaN where none of its jobs tells it."""
    used = scores.row_of_job >= 0
    row = scores.row_of_job[used].astype(np.int64)
    found = {}
    for name, of in FACTS.items():
        values = of(rows)[used]
        some = np.isfinite(values).any()
        found[name] = group_medians(values, row, count=len(scores)) if some else np.full(len(scores), np.nan)
    return found | {"own_sd": scores.own_sd}


def node_facts(rows: Rows, scores: Scores) -> list[NodeFacts]:
    """One for each row of `scores`."""
    figures = node_figures(rows, scores)
    stratum = scores.stratum.astype(np.int64)
    middles = {name: _middles(values, stratum, count=len(scores.strata)) for name, values in figures.items()}
    own = {name: _told(values) for name, values in figures.items()}
    peers = [{name: _one(values[place]) for name, values in middles.items()} for place in range(len(scores.strata))]
    claims = _claims(rows, scores)
    score = _told(scores.score)
    return [
        NodeFacts(
            node=rows.node.names[scores.node[i]],
            market=scores.strata[stratum[i]].market,
            gpu=scores.strata[stratum[i]].gpu,
            claim=claims[i],
            model=scores.strata[stratum[i]].model,
            score=score[i],
            within=scores.strata[stratum[i]].within,
            jobs=int(scores.jobs[i]),
            own={name: values[i] for name, values in own.items()},
            peers=peers[stratum[i]],
        )
        for i in range(len(scores))
    ]


def _middles(values: Figures, stratum: NDArray[np.int64], *, count: int) -> Figures:
    many = np.bincount(stratum[np.isfinite(values)], minlength=count) >= FEW_NODES
    return np.where(many, group_medians(values, stratum, count=count), np.nan)


def _claims(rows: Rows, scores: Scores) -> list[str | None]:
    """The card that the node claims in the last of its jobs."""
    found = np.full(len(scores), -1, dtype=np.int64)
    used = scores.row_of_job >= 0
    found[scores.row_of_job[used]] = rows.gpu.codes[used]
    return [None if code < 0 else rows.gpu.names[code] for code in found]


def _told(values: Figures) -> list[float | None]:
    return [_one(value) for value in values]


def _one(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
