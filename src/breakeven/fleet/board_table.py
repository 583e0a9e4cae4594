"""The columns of the leaderboard: one row each, walked by the CSV and the page, so that a new one appears in both."""

import math
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import numpy as np

from breakeven.fleet.leaderboard import Board, marks_of
from breakeven.report.forms import csv_text

Values = list[Any]


class Column(NamedTuple):
    """One column of the board."""

    label: str
    """`{tokens}` stands for what is counted."""
    unit: str
    of: Callable[[Board], Values]
    """One value a line; None where it is not known."""


def _told(values: Any) -> Values:
    return [None if isinstance(one, float) and math.isnan(one) else one for one in values.tolist()]


def _stratum(name: str) -> Callable[[Board], Values]:
    def of(board: Board) -> Values:
        told = [getattr(one, name) for one in board.scores.strata]
        return [told[place] for place in board.scores.stratum[board.row].tolist()]

    return of


def _score(name: str) -> Callable[[Board], Values]:
    return lambda board: _told(np.expm1(getattr(board.scores, name)[board.row]))


def _own(name: str) -> Callable[[Board], Values]:
    return lambda board: _told(getattr(board, name))


COLUMNS: Final[dict[str, Column]] = {
    "market": Column("market", "", _stratum("market")),
    "gpu": Column("GPU", "", _stratum("gpu")),
    "model": Column("model", "", _stratum("model")),
    "template": Column("template", "", _stratum("template")),
    "counted": Column("counted", "", _stratum("counted")),
    "rank": Column("rank", "", _own("rank")),
    "is_tie": Column("tie", "", lambda board: [int(one) for one in board.is_tie.tolist()]),
    "node": Column("node", "", lambda board: list(board.node)),
    "gap": Column("beside its like", "share", _score("shrunk")),
    "gap_low": Column("at least", "share", _score("low")),
    "gap_high": Column("at most", "share", _score("high")),
    "gap_raw": Column("not shrunk", "share", _score("score")),
    "jobs": Column("jobs", "", lambda board: board.scores.jobs[board.row].tolist()),
    "failures": Column("failed jobs", "", _own("failures")),
    "users": Column("users", "", lambda board: [board.users] * len(board)),
    "tok_per_s": Column("output {tokens}", "tok/s", _own("tok_per_s")),
    "usd_per_h": Column("price", "USD/h", _own("usd_per_h")),
    "usd_per_mtok": Column("output {tokens} cost", "USD/Mtok", _own("usd_per_mtok")),
    "power_w": Column("power", "W", _own("power_w")),
    "tok_per_j": Column("output {tokens} per joule", "tok/J", _own("tok_per_j")),
    "last_s": Column("newest job", "s since 1970", _own("last_s")),
    "marks": Column("marks", "", lambda board: [" ".join(marks_of(bits)) for bits in board.marks.tolist()]),
}
"""Gaps are shares more or less than the median of the node's stratum."""


def board_csv(board: Board) -> str:
    """Every line and column; an empty cell is undefined."""
    return csv_text(COLUMNS, zip(*(column.of(board) for column in COLUMNS.values()), strict=True))
