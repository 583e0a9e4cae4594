"""The ranking: each GPU with its engine as a bar with its interval and price, the cheapest first."""

from typing import Final

from breakeven.findings import Findings, Ranked
from breakeven.metrics.summary import Estimate
from breakeven.report import words
from breakeven.report.forms import html
from breakeven.report.markup import Html, section
from breakeven.report.sentence import level_text
from breakeven.say import DASH
from breakeven.table import Bar, Cell, Column, Table, Told

FARTHEST: Final = 2.5
"""Longest bars: an interval that goes on is cut at the edge."""
COLOURED: Final = 8
"""Runs that have a colour of their own."""


def ranking(found: Findings) -> Html | None:
    """GPU × engine × price, the cheapest that meets the service level first; None where there is nothing to rank."""
    if len(found.ranking) < 2:
        return None
    level = level_text(found) or "no service level"
    order = "cheapest per output token first" if words.is_priced(found) else "most throughput a card first"
    return section(
        "ranking-section",
        "Ranking",
        f"At {level}: {order}. The thin line on a bar is its 95\N{NO-BREAK SPACE}% interval.",
        html(ranking_table(found), name="ranking", style="stack"),
    )


def ranking_table(found: Findings) -> Table:
    """One row a line of the ranking."""
    priced = words.is_priced(found)
    rate = Column(f"{found.unit}/s a card")
    cost = Column(f"{words.per_mtok(found)}, output", name="figure")
    price = Column("Price, a card", align="left", name="price")
    columns = [
        *(Column("#", name="rank"), Column("GPU · engine", align="left"), Column("", align="left", name="barred")),
        *((cost, price, rate) if priced else (rate._replace(name="figure"),)),
        *(Column(words.load_head(found)), Column("Against the first", name="margin")),
    ]
    most = _most(found)
    rows = [_row(found, row, most=most, priced=priced) for row in found.ranking]
    return Table(columns, rows, best=0 if found.ranking and found.ranking[0].rank == 1 else None)


def _row(found: Findings, row: Ranked, *, most: float, priced: bool) -> list[Cell]:
    rate = Told(words.rate(row.capacity_tok_per_s.value), words.rate_range(row.capacity_tok_per_s))
    cost = Told(words.cost(row.usd_per_mtok.value), words.cost_range(row.usd_per_mtok))
    doubts = [words.caution(place) for place in row.cautions]
    letter = found.subjects[row.run].letter if row.run is not None and len(found.subjects) > 1 else ""
    source = "" if row.price is None else row.price.source or ""
    price = Told(words.price(row.price) or DASH, source=source)
    return [
        Told(str(row.rank or DASH)),
        Told(words.name(row), words.reason(row) or "", key=letter),
        Told("", bar=_bar(found, row, most=most)),
        *((cost._replace(doubts=doubts), price, rate) if priced else (rate._replace(doubts=doubts),)),
        words.load(row),
        Told(words.margin(row, priced=priced)),
    ]


def _ranked_by(found: Findings, row: Ranked) -> Estimate:
    return row.usd_per_mtok if words.is_priced(found) else row.capacity_tok_per_s


def _most(found: Findings) -> float:
    """The end of the scale: of the longest bar or interval, but at most so far that bars can be told apart."""
    figures = [one for one in (_ranked_by(found, row) for row in found.ranking) if one.value is not None]
    longest = max((one.value or 0.0 for one in figures), default=0.0) or 1.0
    return min(max([longest, *(one.ci95[1] or 0.0 for one in figures)]), FARTHEST * longest)


def _bar(found: Findings, row: Ranked, *, most: float) -> Bar | None:
    figure, (low, high) = _ranked_by(found, row), _ranked_by(found, row).ci95
    if figure.value is None:
        return None
    return Bar(
        figure.value / most,
        None if low is None or high is None else (low / most, high / most),
        row.run if row.run is not None and row.run < COLOURED else None,
        dashed=row.run is not None and bool(found.subjects[row.run].mark),
    )
