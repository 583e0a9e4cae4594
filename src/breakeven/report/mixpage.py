"""A mix as a page: its answer, the mixes by what they cost as one chart, and the tables that it rests on."""

from collections.abc import Iterable, Iterator
from typing import Any

from breakeven import __version__
from breakeven.mix.text import (
    alone_table,
    answer_lines,
    day_lines,
    day_table,
    doubt_lines,
    fleet_text,
    offers_table,
    remarks,
    rival_chance,
    rivals_table,
)
from breakeven.mix.types import Fleet, MixReport
from breakeven.report.chart import chart
from breakeven.report.forms import html
from breakeven.report.frame import framed
from breakeven.report.html import page
from breakeven.report.markup import Html, el
from breakeven.report.pagedata import plots_data
from breakeven.say import usd_per_h
from breakeven.table import Table

_LINKS = {"Mixes": "mixes", "On offer": "offers"}


def mix_page(report: MixReport) -> str:
    """The whole page."""
    title, *rest = answer_lines(report)
    head = el(
        "header",
        el("p", "The cheapest mix", class_="eyebrow"),
        el("h1", title),
        el("p", " ".join([*rest, *doubt_lines(report)]), class_="sure"),
    )
    shown = framed([head, *_sections(report)], links=_LINKS, footer=f"Made by breakeven {__version__}.")
    title = f"the cheapest mix: {fleet_text(report.offers, report.fleet.nodes)}"
    return page(shown, plots_data({"mixes": _plot(report)}), title=title, version=__version__)


def _sections(report: MixReport) -> Iterator[Html]:
    yield _section(
        "Mixes",
        [
            chart(
                "mixes",
                "What an hour of each mix costs",
                _note(report),
                label="USD an hour of each mix that carries the load, one bar a mix; the table below has the numbers.",
                legend=None,
            ),
            _block("Kinds of mixes, by how often one is the cheapest in the draws", rivals_table(report)),
            _block("One kind of node alone", alone_table(report)),
        ],
    )
    yield _section(
        "On offer",
        [
            html(
                offers_table(report, price_chars=300),
                caption="What a node carries at the service, and its price",
            )
        ],
    )
    if report.day is not None:
        yield _section("Over the day", [el("p", *day_lines(report), class_="lead"), html(day_table(report))])
    if told := [*remarks(report)]:
        yield _section("What it rests on", [el("ul", *(el("li", line) for line in told), class_="plain")])


def _section(title: str, parts: Iterable[Html | None]) -> Html:
    return el("section", el("h2", title), *parts, id=_LINKS.get(title))


def _block(title: str, table: Table) -> Html | None:
    return el("div", el("h3", title), html(table), class_="block") if table.rows else None


def _note(report: MixReport) -> str:
    if report.doubt is None:
        return "Without draws nothing is known of how sure that is. First colour: the mix that was found."
    return (
        "Lines: the middle 95 % of the draws. Per cent: draws in which that kind of mix is the cheapest. First colour: "
        "the mix that was found."
    )


def _plot(report: MixReport) -> dict[str, Any]:
    """A bar a mix, the cheapest first: those of the draws, else the mix, and each kind alone that is not among them."""
    kinds = report.doubt.kinds if report.doubt is not None else ()
    bars = [
        _bar(report, one.fleet, ends=one.usd_per_h.ci95, wins=rival_chance(one))
        for one in kinds
        if one.fleet is not None
    ] or [_bar(report, report.fleet)]
    for alone in report.alone:
        known = {bar["name"] for bar in bars}
        if alone.fleet is not None and fleet_text(report.offers, alone.fleet.nodes) not in known:
            bars.append(_bar(report, alone.fleet))
    return {"kind": "mixes", "bars": sorted(bars, key=lambda bar: bar["usd"])}


def _bar(
    report: MixReport,
    fleet: Fleet,
    *,
    ends: tuple[float | None, float | None] = (None, None),
    wins: str = "",
) -> dict[str, Any]:
    return {
        "name": fleet_text(report.offers, fleet.nodes),
        "usd": fleet.usd_per_h,
        "low": ends[0],
        "high": ends[1],
        "said": usd_per_h(fleet.usd_per_h),
        "wins": wins,
        "found": fleet.nodes == report.fleet.nodes,
    }
