"""The leaderboard as one page that opens from disk: search, filter, sort, and a page a node.

The evidence of a hundred nodes is one packed text, which is unpacked when one of them is opened; only the rows in view
are made. Texts of nodes are put in as texts, and the page's policy lets no script but its own run.
"""

import base64
import gzip
import math
from functools import cache
from importlib import resources
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np

from breakeven import __version__
from breakeven.fleet.board_table import COLUMNS
from breakeven.fleet.board_text import counted_of
from breakeven.fleet.evidence import JOB_HEAD, LEVEL_HEAD, NEWEST, evidence
from breakeven.fleet.leaderboard import Board, at_users
from breakeven.fleet.rows import Rows
from breakeven.fleet.scores import CAUTIONS, Stratum
from breakeven.fleet.strata_text import name_of, parts_of
from breakeven.report.html import content_policy, page_file
from breakeven.report.markup import Html, el, joined
from breakeven.report.pagedata import encode
from breakeven.say import amount, bare, interval, more, number, unit_of

SHARD: Final = 100
"""Nodes whose evidence is packed together."""


class Shown(NamedTuple):
    """One column of the table on the page."""

    name: str
    """What it is sorted by."""
    head: str
    style: str
    is_number: bool = True
    first: str = "down"
    """Which way it is sorted first."""


def board_page(board: Board, rows: Rows, *, title: str) -> str:
    """The whole page. `rows` are those that the board was made of."""
    if len(rows.users) != len(board.scores.tok_per_s[0]):
        rows = at_users(rows, board.users)
    heads = _heads(board)
    data = Html(encode(_data(board, rows, heads)))
    script, style = Html(_file("board.js")), page_file("page.css") + _file("board.css")
    head = joined(
        el("meta", charset="utf-8"),
        el(
            "meta",
            http_equiv="Content-Security-Policy",
            content=content_policy([script], styles=[style], connect="'none'"),
        ),
        el("meta", name="viewport", content="width=device-width, initial-scale=1"),
        el("meta", name="referrer", content="no-referrer"),
        el("meta", name="generator", content=f"breakeven {__version__}"),
        el("title", f"breakeven: {title}"),
        el("style", Html(style)),
    )
    body = el(
        "body",
        el("nav", el("div", el("strong", "breakeven"), class_="wrap")),
        el("main", _board(heads, title), el("div", id="node", hidden=True), class_="wrap"),
        el("footer", el("div", _legend(board), class_="wrap")),
        el("script", data, type="application/json", id="data"),
        el("script", script),
    )
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>{body}</html>\n'


@cache
def _file(name: str) -> str:
    return resources.files("breakeven.fleet.page").joinpath(name).read_text(encoding="utf-8")


def _heads(board: Board) -> list[Shown]:
    """The table's columns; money and energy where any node has them."""
    counted = {counted_of(board.scores.strata[place]) for place in board.strata.tolist()}
    unit = counted.pop() if len(counted) == 1 else "tokens"
    rate, cost, energy = (unit_of(one, unit) for one in ("tok/s", "USD/Mtok", "tok/J"))
    heads = [
        Shown("rank", "rank", "rank", first="up"),
        Shown("node", "node", "node", is_number=False, first="up"),
        Shown("group", "its like", "group", is_number=False, first="up"),
        Shown("gap", "speed", "gap"),
        Shown("ends", "95 %", "ends"),
        Shown("jobs", "jobs", "some"),
        Shown("failures", "failed", "some"),
        Shown("tok_per_s", rate, "tok"),
    ]
    maybe = ((board.usd_per_h, "usd_per_h", "USD/h"), (board.usd_per_mtok, "usd_per_mtok", cost))
    heads += [Shown(name, head, "wide", first="up") for values, name, head in maybe if np.isfinite(values).any()]
    return heads + ([Shown("tok_per_j", energy, "wide")] if np.isfinite(board.tok_per_j).any() else [])


def _board(heads: list[Shown], title: str) -> Html:
    top = el(
        "thead",
        el(
            "tr",
            *(
                el(
                    "th",
                    el(
                        "button",
                        one.head,
                        type="button",
                        data_name=_sorted_by(one),
                        data_first=one.first,
                        title=one.head,
                    ),
                    scope="col",
                    class_=f"{one.style}{' n' if one.is_number else ''}",
                )
                for one in heads
            ),
        ),
    )
    return el(
        "div",
        el("header", el("h1", title), el("p", "", id="told", class_="sure")),
        el(
            "div",
            el(
                "input",
                type="search",
                id="filter",
                placeholder="Search: node, market, GPU, model …",
                aria_label="Search nodes",
            ),
            el(
                "select",
                el("option", "every market, GPU, model and template", value=""),
                id="group",
                aria_label="Group",
            ),
            el("span", id="count", class_="status", role="status"),
            class_="bar",
        ),
        el("ul", id="cautions", class_="cautions"),
        el("div", el("table", top, el("tbody"), aria_label="Nodes"), id="rows", class_="rows", tabindex=0),
        el("noscript", el("p", "This page needs JavaScript; the CSV of the leaderboard does not.")),
        id="board",
    )


def _sorted_by(one: Shown) -> str:
    return "gap" if one.name == "ends" else one.name


def _legend(board: Board) -> Html:
    return el(
        "p",
        "Speed is beside the median of nodes of one market, GPU, model and template, over all levels, shrunk by what "
        "is not known of the node; = is a tie with the line above: their 95 % intervals meet. Groups of fewer than "
        f"five nodes cannot be told apart. Rates, cost and energy at {board.users} users are medians over a node's "
        "jobs; cost is its rent alone, energy that of its boards.",
    )


def _data(board: Board, rows: Rows, heads: list[Shown]) -> dict[str, Any]:
    """What the script reads: lines as columns of numbers to sort by, and the same as texts to show."""
    order = {place: i for i, place in enumerate(board.strata.tolist())}
    codes = board.scores.node[board.row].tolist()
    nodes: dict[int, int] = {}
    group = [order[place] for place in board.scores.stratum[board.row].tolist()]
    numbers = {name: _rounded(COLUMNS[column].of(board)) for name, column in _NUMBERS.items()}
    packed, shard = [], []
    for one in evidence(board, rows):
        shown = f"The newest {NEWEST} of {number(one.all_jobs)} jobs." if one.all_jobs > NEWEST else ""
        shard.append(
            {
                "levels": {str(line): cells for line, cells in one.levels.items()},
                "facts": one.facts,
                "jobs": one.jobs,
                "jobs_lead": shown,
                "marks": one.marks,
            }
        )
        if len(shard) == SHARD:
            packed.append(_packed(shard))
            shard = []
    packed += [_packed(shard)] if shard else []
    return {
        "columns": [{"name": one.name, "style": one.style, "number": one.is_number} for one in heads],
        "groups": [_group(board, board.scores.strata[place]) for place in board.strata.tolist()],
        "lines": numbers
        | {
            "node": list(board.node),
            "of": [nodes.setdefault(code, len(nodes)) for code in codes],
            "group": group,
            "marks": [int(bits > 0) for bits in board.marks.tolist()],
        },
        "texts": _texts(board),
        "standing": [_standing(board, line) for line in range(len(board))],
        "total": number(len(board)),
        "told": _told(board, len(nodes)),
        "evidence": packed,
        "shard": SHARD,
        "level_head": LEVEL_HEAD,
        "job_head": JOB_HEAD,
        "facts_lead": "The newest of each, from the node's own results: a claim, as far as no check stands beside it.",
    }


_NUMBERS: Final = {
    "rank": "rank",
    "gap": "gap",
    "low": "gap_low",
    "high": "gap_high",
    "jobs": "jobs",
    "failures": "failures",
    "tok_per_s": "tok_per_s",
    "usd_per_h": "usd_per_h",
    "usd_per_mtok": "usd_per_mtok",
    "tok_per_j": "tok_per_j",
}


def _rounded(values: list[Any]) -> list[Any]:
    """Six digits are enough to sort by."""
    return [value if value is None or isinstance(value, int) else float(f"{value:.6g}") for value in values]


def _texts(board: Board) -> dict[str, list[str]]:
    gap, low, high = (COLUMNS[name].of(board) for name in ("gap", "gap_low", "gap_high"))
    ties = board.is_tie.tolist()
    return {
        "rank": [f"{'=' if tie else ''}{rank}" for tie, rank in zip(ties, board.rank.tolist(), strict=True)],
        "gap": [more(value) for value in gap],
        "ends": ["-" if a is None else interval(a, b, more) for a, b in zip(low, high, strict=True)],
        "jobs": [number(value) for value in COLUMNS["jobs"].of(board)],
        "failures": [number(value) for value in COLUMNS["failures"].of(board)],
        "tok_per_s": _written(board.tok_per_s, "tok/s"),
        "usd_per_h": _written(board.usd_per_h, "USD/h"),
        "usd_per_mtok": _written(board.usd_per_mtok, ""),
        "tok_per_j": _written(board.tok_per_j, ""),
    }


def _written(values: Any, unit: str) -> list[str]:
    return ["-" if math.isnan(value) else bare(value, unit) for value in values.tolist()]


def _group(board: Board, one: Stratum) -> dict[str, Any]:
    rate = amount(one.tok_per_s[one.users.index(board.users)], "tok/s", counted_of(one))
    spread = "" if one.sd_log is None else f"; nodes differ by {amount(one.sd_log, 'share')}"
    told = f"{number(one.nodes)} nodes, {number(one.jobs)} jobs; median {rate} at {board.users} users{spread}."
    cautions = [CAUTIONS[name] for name in one.cautions]
    first, second = parts_of(one)
    return {
        "name": name_of(one),
        "first": " · ".join(first),
        "second": " · ".join(second),
        "nodes": one.nodes,
        "told": told,
        "cautions": cautions,
    }


def _standing(board: Board, line: int) -> str:
    one, row = board.stratum(line), board.row[line]
    gap, low, high = (math.expm1(float(getattr(board.scores, name)[row])) for name in ("shrunk", "low", "high"))
    inside = "" if math.isnan(low) else f" ({interval(low, high, more)})"
    tie = ", tied with the one above" if board.is_tie[line] else ""
    return f"Rank {board.rank[line]} of {number(one.nodes)}{tie}: {more(gap)}{inside} beside the median of its like."


def _told(board: Board, nodes: int) -> str:
    jobs = sum(board.scores.strata[place].jobs for place in board.strata.tolist())
    groups = f"{number(len(board.strata))} groups of one market, GPU, model and template"
    return f"{number(nodes)} nodes, {number(jobs)} jobs, {groups}."


def _packed(shard: list[dict[str, Any]]) -> str:
    return base64.b64encode(gzip.compress(msgspec.json.encode(shard), 6, mtime=0)).decode()
