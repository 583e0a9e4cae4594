"""The history of a cell as a page: its answer, and at each load a chart over time and the same as a table."""

from typing import Any

from breakeven import __version__
from breakeven.compare.history import AtLoad, History, Point
from breakeven.errors import one_line
from breakeven.metrics.definitions import RATES
from breakeven.report.chart import chart
from breakeven.report.forms import html
from breakeven.report.frame import framed
from breakeven.report.historytext import (
    answer_text,
    change_text,
    figure_text,
    history_heads,
    history_rows,
    label,
    load,
    mark_text,
    notes,
    when_text,
)
from breakeven.report.html import page
from breakeven.report.markup import Html, el
from breakeven.report.pagedata import plots_data
from breakeven.say import closed, more
from breakeven.table import Table

_NOTE = (
    "Bars: 95 % intervals. Dashed upright: a sure change. Shaded: the run that those after it are held against, with "
    "its interval. Hollow: perhaps a change."
)


def history_page(found: History) -> str:
    """The whole page."""
    runs = sorted({point.started[:10] for at in found.loads for point in at.points if point.started})
    dates = f"{runs[0]} to {runs[-1]}" if len(runs) > 1 else "".join(runs)
    head = el(
        "header",
        el("p", " · ".join(filter(None, ["A cell over time", dates])), class_="eyebrow"),
        el("h1", answer_text(found)),
        el("p", " ".join(notes(found)), class_="sure"),
    )
    footer = f"Made by breakeven {__version__}."
    shown = framed([head, *(_section(found, at) for at in found.loads)], links={}, footer=footer)
    plots = {_name(at): _plot(found, at) for at in found.loads}
    return page(shown, plots_data(plots), title=f"{label(found)} over time", version=__version__)


def _name(at: AtLoad) -> str:
    return f"history-{at.users}-users" if at.users is not None else f"history-{at.req_per_s:g}-req-per-s"


def _section(found: History, at: AtLoad) -> Html:
    title = f"{label(found)} {load(at)}"
    return el(
        "section",
        chart(
            _name(at),
            title,
            _NOTE if at == found.loads[0] else "",
            label=f"{title}, one point a run, the oldest first; the table below has the numbers.",
            legend=None,
            head="h2",
        ),
        el(
            "details",
            el("summary", "As a table"),
            html(Table(history_heads(found), history_rows(found, at))),
            data_print=True,
        ),
    )


def _plot(found: History, at: AtLoad) -> dict[str, Any]:
    """Points over time, or by their order where one does not say when it was, or two say the same."""
    most = max(point.figure.value or 0.0 for point in at.points)
    scale, unit = (1.0, found.unit) if found.metric in RATES else (1e3, "ms") if most < 10 else (1.0, "s")
    times = {point.started_s for point in at.points}
    is_timed = None not in times and len(times) == len(at.points)

    def scaled(value: float | None) -> float | None:
        return None if value is None else value * scale

    points = [
        {
            "x": (point.started_s or 0.0) * 1e3 if is_timed else place,
            "y": scaled(point.figure.value),
            "lo": scaled(point.figure.ci95[0]),
            "hi": scaled(point.figure.ci95[1]),
            "perhaps": point.is_perhaps,
            "change": more(point.ratio.value - 1) if point.is_change and point.ratio.value else None,
            "base": point.against is None or point.is_change,
            "run": point.run_id,
            "started": point.started,
            "text": _said(found, point),
        }
        for place, point in enumerate(at.points, 1)
    ]
    name = label(found)
    return {
        "kind": "history",
        "label": name if unit in name else f"{name}, {unit}",
        "timed": is_timed,
        "points": points,
    }


def _said(found: History, point: Point) -> str:
    """What is read at a point."""
    unit = f" {found.unit}" if found.metric in RATES else ""
    ends = closed(point.figure.ci95, lambda one: figure_text(found, one))
    change = f"{change_text(point)} against {one_line(point.against, limit=60)}" if point.against else ""
    version = f"version {one_line(point.version, limit=30)}" if point.version else ""
    mark = "sure change" if point.is_change else mark_text(point)
    told = (
        " ".join(filter(None, [one_line(point.run_id, limit=60), when_text(point)])),
        f"{figure_text(found, point.figure.value)}{unit}{f' (95 %: {ends})' if ends else ''}",
        change,
        mark,
        version,
    )
    return "\n".join(filter(None, told))
