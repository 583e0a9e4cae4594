"""The leaderboard in a terminal: a head and a short table for each stratum, a list of those that are too small."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np

from breakeven.errors import one_line
from breakeven.fleet.board_table import COLUMNS
from breakeven.fleet.checked import MARKS
from breakeven.fleet.leaderboard import Board, marks_of
from breakeven.fleet.scores import CAUTIONS, FEW_NODES, Stratum
from breakeven.fleet.strata_text import LONGEST_NAME, name_of
from breakeven.say import Counted, amount, bare, closed, more, number, room, unit_of, wrapped
from breakeven.table import Column, Table, heads, lines, without

TOP: Final = 10
LAST: Final = 3
"""So many of the slowest nodes stand below the fastest."""
_COLUMNS: Final = (
    *(Column(""), Column("node", align="left"), Column("beside its like"), Column("95 %", goes=2)),
    *(Column("jobs", goes=3), Column("failed", goes=4)),
)


def board_text(board: Board, *, top: int = TOP) -> str:
    """The `top` fastest nodes of every stratum and the last few; strata of fewer than five nodes in a list."""
    known = [board.scores.strata[place] for place in board.strata.tolist()]
    whole = [place for place, one in zip(board.strata.tolist(), known, strict=True) if _is_shown(one, known)]
    gaps = tuple(COLUMNS[name].of(board) for name in ("gap", "gap_low", "gap_high"))
    told = [line for place in whole for line in (*_head(board, place), *_table(board, place, top, gaps), "")]
    return "\n".join([*told, *_few(board, whole), *_marked(board), *_legend(board)])


def _is_shown(stratum: Stratum, known: list[Stratum]) -> bool:
    return stratum.nodes >= FEW_NODES or len(known) == 1


def counted_of(stratum: Stratum) -> Counted:
    """What its rates count."""
    return "words" if stratum.counted == "words" else "tokens"


def _head(board: Board, place: int) -> Iterator[str]:
    one = board.scores.strata[place]
    at = one.users.index(board.users)
    rate = amount(one.tok_per_s[at], "tok/s", counted_of(one))
    spread = f"; nodes differ by {amount(one.sd_log, 'share')}" if one.sd_log is not None else ""
    head = f"{name_of(one)}: {number(one.nodes)} nodes, {number(one.jobs)} jobs"
    yield from wrapped(f"{head}; median {rate} at {board.users} users{spread}")
    for caution in one.cautions:
        yield from wrapped(CAUTIONS[caution], first="  ⚠ ", rest="    ")


def _table(board: Board, place: int, top: int, gaps: Sequence[list[Any]]) -> list[str]:
    every = board.lines_of(place).tolist()
    shown = every if len(every) <= top + LAST + 1 else [*every[:top], None, *every[-LAST:]]
    counted = counted_of(board.scores.strata[place])
    units = [unit_of(unit, counted) for unit in ("tok/s", "USD/h", "USD/Mtok", "tok/J")]
    cells = [
        _cells(board, line, *(gap[line] for gap in gaps)) if line is not None else _left(every, top) for line in shown
    ]
    table = Table([*_COLUMNS, *(Column(unit, goes=1) for unit in units)], cells)
    empty = {
        at for at in range(len(_COLUMNS), len(table.columns)) if all(row[at : at + 1] in ([], ["-"]) for row in cells)
    }
    return lines(without(table, empty), width=room(), indent="  ")


def _cells(board: Board, line: int, gap: float | None, low: float | None, high: float | None) -> list[str]:
    ends = closed((low, high), more, otherwise="-")
    figures = (
        (board.tok_per_s, "tok/s"),
        (board.usd_per_h, "USD/h"),
        (board.usd_per_mtok, "USD"),
        (board.tok_per_j, ""),
    )
    return [
        f"{'=' if board.is_tie[line] else ''}{board.rank[line]}",
        one_line(board.node[line], limit=LONGEST_NAME) + ("*" if board.marks[line] else ""),
        more(gap),
        ends,
        number(int(board.scores.jobs[board.row[line]])),
        number(int(board.failures[line])),
        *(
            "-" if np.isnan(values[line]) else bare(float(values[line]), unit if unit != "USD" else "")
            for values, unit in figures
        ),
    ]


def _left(lines: list[int], top: int) -> list[str]:
    return ["", f"… {number(len(lines) - top - LAST)} more"]


def _few(board: Board, whole: list[int]) -> Iterator[str]:
    others = [board.scores.strata[place] for place in board.strata.tolist() if place not in whole]
    if others:
        yield f"Fewer than {FEW_NODES} nodes:"
        rows = [
            [
                name_of(one),
                f"{one.nodes} node{'s' if one.nodes > 1 else ''}",
                f"{number(one.jobs)} jobs",
                amount(one.tok_per_s[one.users.index(board.users)], "tok/s", counted_of(one)),
            ]
            for one in others
        ]
        yield from lines(Table(heads("", "", "", ""), rows), width=room(), indent="  ")
        yield ""


def _marked(board: Board) -> Iterator[str]:
    every = sorted({name for bits in set(board.marks.tolist()) for name in marks_of(bits)})
    if every:
        yield from wrapped(f"* of some job: {'; '.join(MARKS[name] for name in every)}")


def _legend(board: Board) -> Iterator[str]:
    text = (
        "Speed beside the median of nodes of one market, GPU, model and template, over all levels, shrunk by what is "
        "not known of the node; '=' is a tie with the line above: their 95 % intervals meet. Rates, cost and energy at "
        f"{board.users} users, medians over the node's jobs; cost is its rent alone."
    )
    yield from wrapped(text, rest="")
