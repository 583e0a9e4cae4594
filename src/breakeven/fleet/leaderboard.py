"""The leaderboard: every node among its like, ranked by its shrunk speed, with what it costs and draws beside it."""

from typing import Final

import numpy as np
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import NDArray

from breakeven.errors import UsageError, unknown
from breakeven.findings.nodes import node_money
from breakeven.fleet.checked import MARKS
from breakeven.fleet.medians import counts_of, group_medians
from breakeven.fleet.rows import LEVELS, Rows
from breakeven.fleet.scores import Scores, Stratum, scores
from breakeven.hardware import may_mean

Figures = NDArray[np.float64]
Whole = NDArray[np.int64]

_MARKS: Final = tuple(MARKS)


class Asked(Struct, frozen=True, kw_only=True):
    """Which nodes, and at which number of users."""

    market: str | None = None
    gpu: str | None = None
    model: str | None = None
    template: str | None = None
    users: int | None = None
    """One number of users alone; None: scores over all of them, prices at `Board.users`."""


class Board(Struct, frozen=True, kw_only=True, eq=False):
    """One line a node and stratum, as columns; strata with most nodes first, in each the fastest node first."""

    scores: Scores
    users: int
    """The number of users of `tok_per_s`, `usd_per_mtok` and `tok_per_j`."""
    strata: NDArray[np.int32]
    """Places in `scores.strata`, in the order of the board."""
    row: NDArray[np.int32]
    """Of each line its row in `scores`."""
    rank: Whole
    """Within its stratum, from 1."""
    is_tie: NDArray[np.bool_]
    """Its interval and that of the line above have something in common."""
    node: tuple[str, ...]
    tok_per_s: Figures
    """Median over its jobs at `users`."""
    usd_per_h: Figures
    """Median over its jobs of the price of the whole node."""
    power_w: Figures
    usd_per_mtok: Figures
    tok_per_j: Figures
    failures: Whole
    """Its jobs of which a level failed, in this stratum, and all those of the node without any level."""
    last_s: Figures
    """When its newest job ended, or started, since 1970."""
    marks: Whole
    """A bit for each row of MARKS that one of its jobs has."""

    def __len__(self) -> int:
        return len(self.row)

    def stratum(self, line: int) -> Stratum:
        """What the node of a line is compared with."""
        return self.scores.strata[int(self.scores.stratum[self.row[line]])]

    def lines_of(self, stratum: int) -> Whole:
        """Lines of one stratum, fastest first."""
        return np.flatnonzero(self.scores.stratum[self.row] == stratum)


def leaderboard(rows: Rows, asked: Asked = Asked()) -> Board:  # noqa: B008 - it is frozen
    """Score, rank and price every node that is asked for; UsageError where there is none such."""
    if asked.users is not None:
        rows = at_users(rows, asked.users)
    found = scores(rows)
    users = asked.users or _usual_users(rows)
    wanted = [i for i, stratum in enumerate(found.strata) if _is_asked(stratum, asked)]
    if not wanted:
        raise UsageError(_none(found, asked))
    strata = np.array(sorted(wanted, key=lambda i: (-found.strata[i].nodes, i)), dtype=np.int32)
    place = np.full(len(found.strata), -1, dtype=np.int64)
    place[strata] = np.arange(len(strata))
    mine = np.flatnonzero(place[found.stratum] >= 0)
    order = np.lexsort((found.node[mine], -found.shrunk[mine], place[found.stratum[mine]]))
    mine = mine[order]
    first = _first_of_each(place[found.stratum[mine]])
    rank = np.arange(len(mine)) - first + 1
    per_row = _priced(rows, found, users)
    return Board(
        scores=found,
        users=users,
        strata=strata,
        row=mine.astype(np.int32),
        rank=rank,
        is_tie=_ties(found.low[mine], found.high[mine], rank),
        node=tuple(rows.node.names[code] for code in found.node[mine].tolist()),
        failures=_failures(rows, found)[mine],
        last_s=_last(rows, found)[mine],
        marks=_marks(rows, found)[mine],
        **{name: values[mine] for name, values in per_row.items()},
    )


def at_users(rows: Rows, users: int) -> Rows:
    """The same jobs with one number of users alone."""
    if users not in rows.users:
        raise UsageError(f"no job has a level of {users} users; there are {', '.join(map(str, rows.users))}")
    place = rows.users.index(users)
    levels = {name: getattr(rows, name)[:, place : place + 1] for name in ("tried", *LEVELS)}
    return replace(rows, users=(users,), **levels)


def _usual_users(rows: Rows) -> int:
    """The number of users that most jobs measured, of several such the largest."""
    counts = np.isfinite(rows.output_tok_per_s).sum(axis=0)
    if not counts.size or not counts.max():
        raise UsageError("no job of this set has measured anything")
    return max(n for n, count in zip(rows.users, counts, strict=True) if count >= 0.9 * counts.max())


def _is_asked(stratum: Stratum, asked: Asked) -> bool:
    plain = ("market", "model", "template")
    return all(getattr(asked, name) in (None, getattr(stratum, name)) for name in plain) and (
        asked.gpu is None or stratum.gpu in {asked.gpu, *(gpu.key for gpu in may_mean(asked.gpu))}
    )


def _none(found: Scores, asked: Asked) -> str:
    if not found.strata:
        return "no job of this set has a node and a rate"
    for name in ("market", "gpu", "model", "template"):
        wanted = getattr(asked, name)
        known = sorted({str(getattr(one, name)) for one in found.strata})
        if wanted is not None and not any(_is_asked(one, Asked(**{name: wanted})) for one in found.strata):
            return unknown(name, wanted, known)
    return "no node is of that market, GPU, model and template together"


def _first_of_each(groups: Whole) -> Whole:
    """For each member of sorted groups the place of the first of its group."""
    starts = np.flatnonzero(np.diff(groups, prepend=-1))
    return np.repeat(starts, np.diff(starts, append=len(groups)))


def _ties(low: Figures, high: Figures, rank: Whole) -> NDArray[np.bool_]:
    above = np.concatenate([[np.nan], low[:-1]]) if len(low) else low
    return (rank > 1) & ~(high < above)


def _priced(rows: Rows, found: Scores, users: int) -> dict[str, Figures]:
    """Medians over the jobs of each row, and what they mean in money and energy."""
    used = found.row_of_job >= 0
    row, count, place = found.row_of_job[used].astype(np.int64), len(found), rows.users.index(users)
    usd_per_h = group_medians(rows.usd_per_h[used], row, count=count)
    power_w = group_medians(rows.power_mean_w[used, place], row, count=count)
    tok_per_s = found.tok_per_s[:, place]
    money = node_money(usd_per_h=usd_per_h, tok_per_s=tok_per_s, power_w=power_w)
    return {
        "tok_per_s": tok_per_s,
        "usd_per_h": usd_per_h,
        "power_w": power_w,
        "usd_per_mtok": money.usd_per_mtok_output,
        "tok_per_j": money.tok_per_j,
    }


def _failures(rows: Rows, found: Scores) -> Whole:
    used = found.row_of_job >= 0
    some = (rows.tried[used] & np.isnan(rows.output_tok_per_s[used])).any(axis=1)
    own = counts_of(found.row_of_job[used][some].astype(np.int64), len(found))
    lost = ~used & (rows.node.codes >= 0)
    whole = counts_of(rows.node.codes[lost].astype(np.int64), len(rows.node.names))
    return own + whole[found.node]


def _last(rows: Rows, found: Scores) -> Figures:
    told = np.where(np.isnan(rows.ended_s), rows.started_s, rows.ended_s)
    known = (found.row_of_job >= 0) & np.isfinite(told)
    last = np.full(len(found), -np.inf)
    np.maximum.at(last, found.row_of_job[known], told[known])
    return np.where(np.isfinite(last), last, np.nan)


def _marks(rows: Rows, found: Scores) -> Whole:
    bits = np.array([*map(_bits, rows.marks.names), 0], dtype=np.int64)[rows.marks.codes]
    some = (found.row_of_job >= 0) & (bits > 0)
    whole = np.zeros(len(found), dtype=np.int64)
    np.bitwise_or.at(whole, found.row_of_job[some], bits[some])
    return whole


def _bits(marks: str) -> int:
    return sum(1 << _MARKS.index(name) for name in marks.split() if name in _MARKS)


def marks_of(bits: int) -> tuple[str, ...]:
    """Names of the marks of a line."""
    return tuple(name for i, name in enumerate(_MARKS) if bits >> i & 1)
