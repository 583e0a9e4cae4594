"""The ranking on the page: each GPU with its engine as a bar with its interval and price, the cheapest first."""

from typing import Final

from breakeven.findings import Findings, Price, Ranked
from breakeven.metrics.summary import Estimate
from breakeven.report import words
from breakeven.report.marks import mark
from breakeven.report.markup import Html, el
from breakeven.report.sentence import level_text

FARTHEST: Final = 2.5
"""Longest bars: an interval that goes on is cut at the edge."""
COLOURED: Final = 8
"""Runs that have a colour of their own."""


def ranking(found: Findings) -> Html | None:
    """GPU × engine × price, the cheapest that meets the service level first; None where there is nothing to rank."""
    if len(found.ranking) < 2:
        return None
    priced = words.is_priced(found)
    level = level_text(found) or "no service level"
    order = "cheapest per output token first" if priced else "most throughput a card first"
    rows = (_row(found, index, most=_most(found), priced=priced) for index in range(len(found.ranking)))
    return el(
        "section",
        el("h2", "Ranking"),
        el("p", f"At {level}: {order}. The thin line on a bar is its 95\N{NO-BREAK SPACE}% interval.", class_="lead"),
        el("table", el("thead", el("tr", *_heads(found, priced=priced))), *rows, class_="stack", id="ranking"),
        id="ranking-section",
    )


def _heads(found: Findings, *, priced: bool) -> list[Html]:
    figure = f"{words.per_mtok(found)}, output" if priced else f"{found.unit}/s a card"
    told = [("#", None), ("GPU · engine", None), (figure, None), ("", "n")]
    told += [("Price, a card", None), (f"{found.unit}/s a card", "n")] if priced else []
    told += [(words.load_head(found), "n"), ("Against the first", "n")]
    return [el("th" if text else "td", text, scope="col" if text else None, class_=style) for text, style in told]


def _ranked_by(row: Ranked, *, priced: bool) -> Estimate:
    return row.usd_per_mtok if priced else row.capacity_tok_per_s


def _most(found: Findings) -> float:
    """The end of the scale: of the longest bar or interval, but at most so far that bars can be told apart."""
    priced = words.is_priced(found)
    figures = [_ranked_by(row, priced=priced) for row in found.ranking]
    longest = max((one.value for one in figures if one.value is not None), default=1.0) or 1.0
    ends = (one.ci95[1] for one in figures if one.value is not None and one.ci95[1] is not None)
    return min(max(longest, *ends, longest), FARTHEST * longest)


def _row(found: Findings, index: int, *, most: float, priced: bool) -> Html:
    row, figure = found.ranking[index], _ranked_by(found.ranking[index], priced=priced)
    subject = None if row.run is None else found.subjects[row.run]
    name = el("span", subject.letter, class_="key") if subject is not None and len(found.subjects) > 1 else None
    reason = words.reason(row)
    say, say_range = (words.cost, words.cost_range) if priced else (words.rate, words.rate_range)
    doubts = mark([words.caution(place) for place in row.cautions], f"doubts-{index}", about=words.name(row))
    cells = [
        el("td", el("span", str(row.rank) if row.rank else words.DASH, class_="tag rank")),
        el("th", name, words.name(row), el("small", reason) if reason else None, scope="row", class_="wide"),
        el("td", _bar(figure, row, found, most=most), class_="barred wide"),
        el(
            "td",
            el("span", say(figure.value), class_="figure"),
            doubts,
            el("small", say_range(figure), class_="ends"),
            class_="n",
            data_label=words.per_mtok(found) if priced else f"{found.unit}/s a card",
        ),
    ]
    if priced:
        rate = row.capacity_tok_per_s
        cells += [_price(row.price), _number(words.rate(rate.value), words.rate_range(rate), f"{found.unit}/s a card")]
    cells += [
        _number(words.load(row), "", words.load_head(found)),
        el("td", words.margin(row, priced=priced), class_="n margin", data_label="Against the first"),
    ]
    return el("tbody", el("tr", *cells), class_="best" if row.rank == 1 else None, data_row=index)


def _bar(figure: Estimate, row: Ranked, found: Findings, *, most: float) -> Html | None:
    """A bar from zero to the figure with its interval; outlined where it is predicted."""
    if figure.value is None:
        return None
    low, high = figure.ci95
    predicted = row.run is not None and bool(found.subjects[row.run].mark)
    colour = row.run if row.run is not None and row.run < COLOURED else "rest"
    interval = (
        None
        if low is None or high is None
        else el("line", x1=_share(low, most), x2=_share(high, most), y1="50%", y2="50%")
    )
    return el(
        "svg",
        el("rect", x=0, y="15%", width=_share(figure.value, most), height="70%", rx=2),
        interval,
        class_=f"rankbar s{colour}{' predicted' if predicted else ''}",
        aria_hidden="true",
    )


def _share(value: float, most: float) -> str:
    return f"{100 * max(0.0, min(value / most, 1.0)):.2f}%"


def _price(price: Price | None) -> Html:
    source = None if price is None else price.source
    return el(
        "td",
        el("span", words.price(price) or words.DASH, class_="price"),
        el("small", source, class_="source", title=source) if source else None,
        data_label="Price, a card",
    )


def _number(value: str, interval: str, label: str) -> Html:
    return el("td", value, el("small", interval) if interval else None, class_="n", data_label=label)
