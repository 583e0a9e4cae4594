"""How fast each node is among its like: scores on the log scale with intervals that hold, and how nodes differ.

Nodes are compared within a stratum: market x detected GPU x model x template. Each level is centred on its median over
nodes, a node's score is the median over its jobs and levels of what is left: five levels are not five tests. A score is
shrunk towards the stratum by as much as its own error is large beside the spread of nodes (empirical Bayes), but never
by more than one standard error, and not at all outside the bulk, so that a slow node stays one. docs/GRID.md shows how
often the intervals hold.
"""

import math
from typing import Any, Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from breakeven.errors import UsageError
from breakeven.fleet.few import FEWEST, by_the_others, told_variance
from breakeven.fleet.medians import compact, counts_of, group_medians, row_medians
from breakeven.fleet.rows import Codes, Rows
from breakeven.fleet.spread import (
    CUT_SD,
    Icc,
    bulk,
    has_two_modes,
    icc,
    mean_jobs,
    median_penalty,
    t_quantiles,
    upper_tails,
)
from breakeven.hardware import gpu_key, may_mean

Figures = NDArray[np.float64]
Whole = NDArray[np.int64]

FEW_NODES: Final = 5
"""Fewer have no bulk: a node of three or four is tested by what the others leave open (few.py)."""
MANY_NODES: Final = 25
ONE_POPULATION_SD_LOG: Final = 0.08
"""Identical GPUs differ by so much (SC22, arXiv 2208.11035); more is hardly one population."""
ORDINARY_GAP: Final = 0.05
"""What a weak node is slower by, at least: H0 is that the gap is no larger."""
PRIOR_DF: Final = 4.0
"""How much the stratum's spread within nodes counts beside a node's own, in degrees of freedom: our choice."""
MOST_SHRUNK: Final = 1.0
"""Standard errors by which a score is moved at most (Efron and Morris, J. Am. Stat. Assoc. 67, 1972)."""

CAUTIONS: Final = {
    "few_nodes": "three or four nodes: one is called slow only where it is far below what the others leave open, and "
    "no score is shrunk",
    "two_nodes": "two nodes only: either may be the odd one",
    "one_node": "one node only: there is nothing to compare it with",
    "no_repeats": "no node was measured twice: how much a node wavers is not known, and all of the spread counts as "
    "its error",
    "few_repeats": "hardly a node was measured twice: how much a node wavers is known badly",
    "rough_spread": "fewer than 25 nodes: their spread, and the ICC with it, is known roughly",
    "wide": "nodes differ by more than 8 %: hardly one population; look for a physical cause first",
    "two_modes": "nodes stand in two heaps: not one population, as of two cards or settings of one name",
}

UNTESTABLE: Final = frozenset({"one_node", "two_nodes", "two_modes"})
"""With one of these no node of a stratum can be told from the others by its speed."""


_FILLED: Final = ("error", "error_df", "shrunk", "low", "high", "t_gap", "t_gap_df", "t_weak", "t_df")


class Stratum(Struct, frozen=True, kw_only=True):
    """One population that nodes are compared in. Variances are of the log, of the bulk: within 3 robust sd."""

    market: str | None
    gpu: str
    """The card as its driver names it: a key of the table where it is known."""
    model: str | None
    template: str | None
    counted: str
    nodes: int
    jobs: int
    users: tuple[int, ...]
    tok_per_s: tuple[float | None, ...]
    """Median over nodes, for each number of users."""
    sd_log: float | None
    """Between the scores of nodes, their own errors included."""
    between: float | None
    """Variance between nodes, without their errors."""
    within: float | None
    """Variance between the jobs of one node."""
    within_df: float
    mean_jobs: float | None
    """Jobs of a node that count in the ICC's interval."""
    centre_error: float
    """Standard error of the median that scores count from."""
    outside: int
    """Nodes further than 3 robust sd from the median."""
    cautions: tuple[str, ...]
    """Rows of CAUTIONS."""

    @property
    def icc(self) -> Icc:
        """Share of the variance of one job that is between nodes."""
        return icc(
            between=self.between,
            within=self.within,
            nodes=self.nodes,
            mean_jobs=self.mean_jobs,
            within_df=self.within_df,
        )

    @property
    def is_testable(self) -> bool:
        """Whether a node of it can be told from the others by its speed."""
        return not UNTESTABLE & set(self.cautions)


class Scores(Struct, frozen=True, kw_only=True, eq=False):
    """One row for each node of each stratum, as columns; a gap of -0.1 is about 10 % slower. NaN: not known."""

    strata: tuple[Stratum, ...]
    node: NDArray[np.int32]
    """Its code in `Rows.node`."""
    stratum: NDArray[np.int32]
    """Its place in `strata`."""
    jobs: Whole
    tok_per_s: Figures
    """Median over its jobs for each number of users of `Rows.users`."""
    score: Figures
    """Median over jobs and levels of log(tok/s) - the stratum's."""
    error: Figures
    """Standard error of the score by the node's own jobs and the stratum's spread within nodes."""
    error_df: Figures
    own_sd: Figures
    """Spread of its jobs on the log scale."""
    shrunk: Figures
    low: Figures
    """Of the 95 % interval of the node's speed beside its stratum."""
    high: Figures
    t_gap: Figures
    """How much slower than 5 % below the median of its stratum, in standard errors of the node and of that median."""
    t_gap_df: Figures
    t_weak: Figures
    """The same where the spread between the nodes of its stratum counts too."""
    t_df: Figures
    row_of_job: NDArray[np.int32]
    """For each job of `Rows` its row here; -1: it has no rate, or no node."""
    job_score: Figures
    """Median over the levels of each job of log(tok/s) - the stratum's."""

    def __len__(self) -> int:
        return len(self.node)

    @property
    def p_gap(self) -> Figures:
        """Probability of such a score of a node that is at most 5 % slower than the median."""
        return _tails(self.t_gap, self.t_gap_df)

    @property
    def p_weak(self) -> Figures:
        """Probability of such a score of a node that is at most 5 % slower than its stratum's nodes are."""
        return _tails(self.t_weak, self.t_df)


def _tails(t: Figures, df: Figures) -> Figures:
    found = np.full(len(t), np.nan)
    tested = np.isfinite(t)
    found[tested] = upper_tails(t[tested], df[tested])
    return found


def detected(rows: Rows) -> Codes:
    """The card by its driver's name and memory: a key of the table, else that name; else what the node claims."""
    memory = np.nan_to_num(np.round(rows.memory_bytes / 1e9)).astype(np.int64)
    kinds = np.stack([rows.card_name.codes, rows.gpu.codes, memory])
    packed = (
        (kinds[0].astype(np.int64) + 1) * 2**40
        + (kinds[1].astype(np.int64) + 1) * 2**20
        + np.minimum(memory, 2**20 - 1)
    )
    _, first, inverse = np.unique(packed, return_index=True, return_inverse=True)
    known: dict[str, int] = {}
    told = []
    for job in first:
        name, claim = rows.card_name.at(int(job)), rows.gpu.at(int(job))
        text = claim if name is None else driver_key(name, memory_gb=float(memory[job]) or None)
        told.append(-1 if text is None else known.setdefault(text, len(known)))
    return Codes(np.array(told, dtype=np.int32)[inverse] if told else np.empty(0, np.int32), tuple(known))


def driver_key(name: str, *, memory_gb: float | None) -> str:
    """Key of the table of GPUs that a driver's name and memory mean; the name itself where none or several fit."""
    if not may_mean(name):
        return name
    for size in (memory_gb, None):
        try:
            return gpu_key(name, vram_gb=size)
        except UsageError:
            continue
    return name


def scores(rows: Rows) -> Scores:
    """Scores of every node of a table of jobs. Jobs without a node or without any rate are left out."""
    logs = _logs(rows)
    cards = detected(rows)
    row_of_job, node, stratum, kinds = _rows_of_jobs(rows, cards, logs)
    used = row_of_job >= 0
    row, users = row_of_job[used].astype(np.int64), len(rows.users)
    count, strata = len(node), len(kinds)
    cells = (row[:, None] * users + np.arange(users)).ravel()
    medians = group_medians(logs[used].ravel(), cells, count=count * users).reshape(count, users)
    places = (stratum.astype(np.int64)[:, None] * users + np.arange(users)).ravel()
    centres = group_medians(medians.ravel(), places, count=strata * users).reshape(strata, users)
    left = logs[used] - centres[stratum[row]].astype(np.float32)
    score = group_medians(left.ravel(), np.repeat(row, users), count=count)
    of_job = row_medians(left)
    job_score = np.full(len(rows), np.nan)
    job_score[used] = of_job
    jobs = counts_of(row, count)
    mean = np.bincount(row, weights=of_job, minlength=count) / jobs
    off = of_job - mean[row]
    own = np.asarray(np.bincount(row, weights=off**2, minlength=count), dtype=np.float64)
    columns = {name: np.full(count, np.nan) for name in _FILLED}
    found = []
    by_row, by_job = _members(stratum, strata), _members(stratum[row], strata)
    for place, kind in enumerate(kinds):
        mine = by_row[place]
        one, filled = _stratum(score[mine], jobs[mine], own[mine], off[by_job[place]], jobs[row[by_job[place]]])
        score[mine] -= one.pop("shift")
        if FEWEST <= len(mine) < FEW_NODES:
            repeated = np.zeros(len(mine)) if one["within"] is None else filled["error"] ** 2
            jobs_of_few = np.flatnonzero(used)[by_job[place]]
            few = _few(rows, jobs_of_few, score[mine], node[mine], repeated, filled["error_df"])
            filled |= few | {
                "low": np.maximum(filled["low"], few["low"]),
                "high": np.minimum(filled["high"], few["high"]),
            }
        for name, values in filled.items():
            columns[name][mine] = values
        rates = tuple(None if math.isnan(value) else math.exp(value) for value in centres[place])
        found.append(Stratum(**kind, users=rows.users, tok_per_s=rates, **one))
    return Scores(
        strata=tuple(found),
        node=node,
        stratum=stratum,
        jobs=jobs,
        tok_per_s=np.exp(medians),
        score=score,
        own_sd=np.sqrt(own / np.where(jobs > 1, jobs - 1, np.nan)),
        row_of_job=row_of_job,
        job_score=job_score,
        **columns,
    )


def _logs(rows: Rows) -> NDArray[np.float32]:
    """log(tok/s); a level without output is a failure, no rate."""
    rates = rows.output_tok_per_s
    return np.log(rates, out=np.full(rates.shape, np.nan, dtype=np.float32), where=rates > 0)


def _rows_of_jobs(
    rows: Rows, cards: Codes, logs: NDArray[np.float32]
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32], list[dict[str, Any]]]:
    """The row of each job, the node and the stratum of each row, and what each stratum is of."""
    used = np.flatnonzero((rows.node.codes >= 0) & np.isfinite(logs).any(axis=1))
    parts = (rows.market, cards, rows.model, rows.template, rows.counted)
    stratum, example = np.zeros(len(used), dtype=np.int64), np.zeros(min(1, len(used)), dtype=np.int64)
    for part in parts:
        size = len(part.names) + 1
        stratum, example = compact(stratum * size + part.codes[used] + 1, len(example) * size)
    nodes = len(rows.node.names)
    inverse, first = compact(stratum * nodes + rows.node.codes[used], len(example) * nodes)
    row_of_job = np.full(len(rows), -1, dtype=np.int32)
    row_of_job[used] = inverse
    told = []
    for job in used[example]:
        market, gpu, model, template, counted = (part.at(int(job)) for part in parts)
        told.append(
            {"market": market, "gpu": gpu or "unknown", "model": model, "template": template}
            | {"counted": counted or "tokens"}
        )
    return row_of_job, rows.node.codes[used[first]], stratum[first].astype(np.int32), told


def _members(of: NDArray[np.int32], count: int) -> list[Whole]:
    """Places of the members of each group."""
    return list(np.split(np.argsort(of, kind="stable"), np.cumsum(counts_of(of.astype(np.int64), count))[:-1]))


def _stratum(
    score: Figures, jobs: Whole, own: Figures, off: Figures, jobs_of_job: Whole
) -> tuple[dict[str, Any], dict[str, Figures]]:
    """What a stratum is like, and the columns of its nodes.

    Within: from the jobs' deviations from their node's mean. A node's variance is (4·within + its own sum of squares) /
    (4 + n - 1), its error that times 1 or pi/2 (a median) / n. Between: spread of scores less the mean error.
    """
    nodes, repeated = len(score), jobs_of_job > 1
    free = (jobs_of_job[repeated] - 1) / jobs_of_job[repeated]
    within_df = float(free.sum())
    inside = bulk(off[repeated] / np.sqrt(free), free) if within_df else None
    within = None if inside is None else inside.variance
    whole = bulk(score)
    shift = whole.centre
    score = score - shift
    cautions = _cautions(score, whole.sd, within_df=within_df, within=within)
    total = whole.variance or 0.0
    doubt = (math.pi / 2 if nodes > 2 else 1.0) * total / nodes
    penalty = median_penalty(jobs)
    if within is None:
        variance, df, pooled = np.full(nodes, total), np.full(nodes, float(max(1, whole.inside - 1))), total
        between = None
    else:
        prior = min(PRIOR_DF, within_df)
        variance = (prior * within + own) / (prior + jobs - 1) * penalty / jobs
        df = np.where(jobs > 1, prior + jobs - 1, np.minimum(within_df, 200.0))
        pooled = float(np.mean(within * penalty / jobs))
        between = None if whole.variance is None else max(0.0, total - pooled)
    error = np.sqrt(variance)
    shrunk, half = _shrunk(
        score, variance, df=df, total=total, pooled=pooled, doubt=doubt, inside=whole.inside, within=within
    )
    alone = nodes < 2
    spread = np.full(nodes, total + doubt) if between is None else between + variance + doubt
    few = np.full(nodes, float(max(1, whole.inside - 1)))
    is_known = nodes >= FEW_NODES
    columns = {
        "error": np.full(nodes, np.nan) if alone else error,
        "error_df": df,
        "shrunk": shrunk,
        "low": np.full(nodes, np.nan) if alone else shrunk - half,
        "high": np.full(nodes, np.nan) if alone else shrunk + half,
        "t_gap": _t_slower(score, variance + doubt) if is_known else np.full(nodes, np.nan),
        "t_gap_df": np.minimum(df, few),
        "t_weak": _t_slower(score, spread) if is_known else np.full(nodes, np.nan),
        "t_df": few,
    }
    return {
        "nodes": nodes,
        "jobs": int(jobs.sum()),
        "sd_log": whole.sd,
        "between": between,
        "within": within,
        "within_df": within_df,
        "mean_jobs": mean_jobs(jobs),
        "centre_error": math.sqrt(doubt),
        "outside": nodes - whole.inside,
        "cautions": cautions,
        "shift": shift,
    }, columns


def _few(
    rows: Rows, jobs: Whole, score: Figures, node: NDArray[np.int32], repeated: Figures, repeated_df: Figures
) -> dict[str, Figures]:
    """Test and intervals of few nodes."""
    of_job = told_variance(rows.ci95_low[jobs].astype(np.float64), rows.ci95_high[jobs].astype(np.float64))
    whose = rows.node.codes[jobs][:, None] == node
    told = np.where(whose, of_job[:, None], 0.0).sum(axis=0) / whose.sum(axis=0) ** 2
    few = by_the_others(score, told=told, repeated=repeated, repeated_df=repeated_df, limit=math.log(1 - ORDINARY_GAP))
    return {"t_weak": few.t, "t_df": few.df, "low": score - few.half, "high": score + few.half}


def _cautions(score: Figures, sd: float | None, *, within_df: float, within: float | None) -> tuple[str, ...]:
    nodes = len(score)
    seen = {
        "one_node": nodes == 1,
        "two_nodes": nodes == 2,
        "few_nodes": FEWEST <= nodes < FEW_NODES,
        "no_repeats": within is None,
        "few_repeats": within is not None and within_df < PRIOR_DF,
        "rough_spread": FEW_NODES <= nodes < MANY_NODES,
        "wide": sd is not None and sd > ONE_POPULATION_SD_LOG,
        "two_modes": nodes >= FEW_NODES and has_two_modes(score),
    }
    return tuple(name for name, is_so in seen.items() if is_so)


def _shrunk(
    score: Figures,
    variance: Figures,
    *,
    df: Figures,
    total: float,
    pooled: float,
    doubt: float,
    inside: int,
    within: float | None,
) -> tuple[Figures, Figures]:
    """Scores shrunk towards the stratum's centre, and the half-widths of their 95 % intervals.

    weight = between / (between + error²), with a between that is as large as it may well be (one standard error more),
    so that few nodes do not shrink each other to nothing; moved by at most one standard error, and not at all where a
    node is of no bulk.
    """
    nodes, t = len(score), t_quantiles(df)
    if within is None or nodes < FEW_NODES or inside < 2:
        few = t_quantiles(np.full(nodes, float(max(1, inside - 1))))
        return score, np.sqrt((t**2) * variance + (few**2) * doubt)
    between = max(0.0, total * (1 + math.sqrt(2 / (inside - 1))) - pooled)
    weight = between / (between + variance) if between > 0 else np.zeros(nodes)
    error = np.sqrt(variance)
    wanted = (1 - weight) * score
    moved = np.clip(wanted, -MOST_SHRUNK * error, MOST_SHRUNK * error)
    kept = np.where(np.abs(wanted) > MOST_SHRUNK * error, 1.0, weight)
    outside = np.abs(score) > CUT_SD * math.sqrt(total)
    moved, kept = np.where(outside, 0.0, moved), np.where(outside, 1.0, kept)
    few = t_quantiles(np.full(nodes, float(max(1, inside - 1))))
    return score - moved, np.sqrt(t**2 * kept * variance + few**2 * doubt)


def _t_slower(score: Figures, variance: Figures) -> Figures:
    """(log(0.95) - score) / sd: how far the gap is beyond 5 %."""
    sd = np.sqrt(variance)
    return np.divide(math.log(1 - ORDINARY_GAP) - score, sd, out=np.zeros(len(score)), where=sd > 0)
