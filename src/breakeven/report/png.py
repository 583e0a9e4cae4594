"""The charts as pictures, without a browser: matplotlib, an optional extra."""

import importlib
import textwrap
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

import msgspec

from breakeven.cost.words import PLACES, label_text
from breakeven.errors import RunFailedError, UsageError
from breakeven.findings import Findings, Level, Money
from breakeven.metrics.summary import Distribution
from breakeven.report import words
from breakeven.report.numbers import numbers
from breakeven.report.sentence import answer_text
from breakeven.report.words import counted_as
from breakeven.store.folder import slug
from breakeven.units import load_text

COLOURS: Final = ("#0072b2", "#d55e00", "#00805f", "#a8518a", "#5b6ee1", "#8c6d00", "#444b57", "#b03a48")
MARKS: Final = ("o", "s", "^", "D", "P", "*", "v", "h")
STYLES: Final = ("-", "--", ":", "-.")
KEY: Final = "breakeven"
"""Name of the picture's own text that holds every number of the findings as JSON."""


def write_png(found: Findings, folder: Path) -> list[Path]:
    """One picture a chart into `folder`; UsageError without matplotlib."""
    pyplot = _pyplot()
    charts: dict[str, Callable[[Findings, Any], bool]] = {
        "throughput": _throughput,
        "ttft": lambda f, axes: _latency(f, axes, name="TTFT", of=lambda level: level.summary.of("ttft_s")),
        "tpot": lambda f, axes: _latency(f, axes, name="TPOT", of=lambda level: level.summary.of("tpot_s")),
        "front": _front,
        "cost": _cost,
        "break-even": _break_even,
        "profit": _profit,
        "tornado": _tornado,
        **{f"time-{slug(one.letter)}": _time(index) for index, one in enumerate(found.subjects) if one.series},
    }
    told = {KEY: msgspec.json.encode(list(numbers(found))).decode(), "Description": answer_text(found)}
    made = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, draw in charts.items():
            figure, axes = pyplot.subplots(figsize=(8, 4.5), layout="constrained")
            if draw(found, axes):
                _dress(axes, found)
                path = folder / f"{name}.png"
                figure.savefig(path, dpi=144, metadata=told)
                made.append(path)
            pyplot.close(figure)
    except OSError as error:
        raise RunFailedError(f"cannot write pictures into {folder}: {error.strerror}") from None
    return made


def _pyplot() -> Any:
    try:
        mpl: Any = importlib.import_module("matplotlib")
    except ImportError:
        raise UsageError("--png needs matplotlib; install it with: pip install 'breakeven[png]'") from None
    mpl.use("agg")
    return importlib.import_module("matplotlib.pyplot")


def _dress(axes: Any, found: Findings) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#e3e6eb", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.set_title(_plain(textwrap.fill(answer_text(found), 110)), fontsize=9, color="#59606d", loc="left", pad=12)
    handles, _ = axes.get_legend_handles_labels()
    if handles:
        axes.legend(frameon=False, fontsize=8)


def _plain(text: str) -> str:
    """Text that matplotlib does not take for a formula."""
    return text.replace("$", r"\$")


def _look(index: int) -> dict[str, Any]:
    return {
        "color": COLOURS[index] if index < len(COLOURS) else "#9aa2ae",
        "marker": MARKS[index % len(MARKS)],
        "linestyle": STYLES[index % len(STYLES)],
    }


def _load(level: Level) -> float | None:
    return level.summary.users if level.summary.users is not None else level.summary.req_per_s_offered


def _points(
    found: Findings, x: Callable[[Level], float | None], y: Callable[[Level], float | None]
) -> Iterable[tuple[int, str, list[tuple[float, float, Level]]]]:
    for index, subject in enumerate(found.subjects):
        known = [
            (a, b, level) for level in subject.levels if (a := x(level)) is not None and (b := y(level)) is not None
        ]
        if known:
            name = f"{subject.letter}: {subject.label}" if len(found.subjects) > 1 else subject.label
            yield index, _plain(name), sorted(known, key=lambda point: point[0])


def _lines(found: Findings, axes: Any, x: Callable[[Level], float | None], y: Callable[[Level], float | None]) -> bool:
    drawn = False
    for index, name, points in _points(found, x, y):
        axes.plot([p[0] for p in points], [p[1] for p in points], label=name, **_look(index))
        drawn = True
    return drawn


def _users(axes: Any, found: Findings) -> None:
    loads = sorted({load for one in found.subjects for level in one.levels if (load := _load(level)) is not None})
    if len(loads) > 1 and loads[0] > 0 and loads[-1] / loads[0] > 8:
        axes.set_xscale("log")
    axes.set_xticks(loads, [f"{load:g}" for load in loads])
    axes.minorticks_off()
    axes.set_xlabel("users at once")


def _throughput(found: Findings, axes: Any) -> bool:
    drawn = _lines(found, axes, _load, lambda level: level.summary.output_tok_per_s.value)
    for index, _, points in _points(found, _load, lambda level: level.summary.output_tok_per_s.value):
        ends = [(p[0], *p[2].summary.output_tok_per_s.ci95) for p in points]
        for users, low, high in (end for end in ends if None not in end):  # lines: the legend's place avoids them
            axes.plot([users, users], [low, high], color=_look(index)["color"], linewidth=1.5)
    axes.set_ylim(bottom=0)
    axes.set_ylabel(f"output {found.unit}/s, 95 % intervals")
    _users(axes, found)
    return drawn


def _latency(found: Findings, axes: Any, *, name: str, of: Callable[[Level], Distribution]) -> bool:
    drawn = _lines(found, axes, _load, lambda level: _ms(of(level).p50.value))
    for index, _, points in _points(found, _load, lambda level: _ms(of(level).p95.value)):
        axes.plot([p[0] for p in points], [p[1] for p in points], color=_look(index)["color"], linewidth=0.8)
    axes.set_ylabel(f"{name}, ms: median with marks, p95 thin")
    axes.set_ylim(bottom=0)
    _users(axes, found)
    return drawn


def _ms(value_s: float | None) -> float | None:
    return None if value_s is None else value_s * 1e3


def _front(found: Findings, axes: Any) -> bool:
    axes.set_xlabel(words.speed_axis(found))
    axes.set_ylabel(f"{found.unit}/s per GPU")
    return _lines(found, axes, lambda level: level.tok_per_s_per_user, lambda level: level.tok_per_s_per_gpu.value)


def _cost(found: Findings, axes: Any) -> bool:
    axes.set_xlabel(words.speed_axis(found))
    axes.set_ylabel(f"{words.per_mtok(found)}, output")
    axes.set_yscale("log")
    return _lines(found, axes, lambda level: level.tok_per_s_per_user, lambda level: level.usd_per_mtok)


def _case(found: Findings) -> Money | None:
    return found.money[found.best_money or 0] if found.money else None


def _break_even(found: Findings, axes: Any) -> bool:
    axes.set_ylabel("days to break-even")
    return _along_rent(found, axes, name="break_even_days", now="break_even_days", top=4.0)


def _profit(found: Findings, axes: Any) -> bool:
    axes.set_ylabel("USD/h profit, a card")
    axes.axhline(0, color="#59606d", linewidth=0.8)
    return _along_rent(found, axes, name="profit_usd_per_h", now=None, top=None)


def _along_rent(found: Findings, axes: Any, *, name: str, now: str | None, top: float | None) -> bool:
    case = _case(found)
    if case is None or not case.rents:
        return False
    drawn = False
    for index, side in enumerate(("reference", "candidate")):
        values = case.curves.get(f"{side}.{name}")
        if values is not None:
            axes.plot(
                case.rents,
                [float("nan") if v is None else v for v in values],
                label=side,
                color=COLOURS[index],
                linestyle=STYLES[index],
            )
            drawn = True
            _today(axes, case, side, name=name, colour=COLOURS[index])
    report = case.report
    sides = [one for one in (report.reference, report.candidate) if one is not None]
    nows = [value for one in sides if now is not None and (value := one.figures[now].value) is not None]
    if top is not None and nows:
        axes.set_ylim(0, top * max(nows))
    axes.set_xlabel("rent of a card, USD/h")
    return drawn


def _today(axes: Any, case: Money, side: str, *, name: str, colour: str) -> None:
    """A mark where a side's rent stands now."""
    report = case.report.candidate if side == "candidate" else case.report.reference
    if report is None or (value := report.figures[name].value) is None or "rent_usd_per_h" not in report.inputs:
        return
    each = value / report.count if name == "profit_usd_per_h" else value
    axes.plot([report.inputs["rent_usd_per_h"]], [each], marker="o", markersize=8, color=colour)


def _tornado(found: Findings, axes: Any) -> bool:
    case = _case(found)
    tornado = None if case is None else case.report.tornado
    if tornado is None or tornado.middle is None:
        return False
    bars = [
        one for one in tornado.swings if one.at_p10 is not None and one.at_p90 is not None and one.at_p10 != one.at_p90
    ]
    bars = bars[:12][::-1]
    for end, colour in (("p10", COLOURS[0]), ("p90", COLOURS[1])):
        widths = [getattr(bar, f"at_{end}") - tornado.middle for bar in bars]
        axes.barh(
            [PLACES.get(bar.place, bar.place) for bar in bars],
            widths,
            left=tornado.middle,
            color=colour,
            label=end.upper(),
        )
    axes.axvline(tornado.middle, color="#14171c", linewidth=0.8)
    axes.set_xlabel(f"{label_text(tornado.target, counted=counted_as(found))}, {tornado.unit}")
    return bool(bars)


def _time(index: int) -> Callable[[Findings, Any], bool]:
    def draw(found: Findings, axes: Any) -> bool:
        subject = found.subjects[index]
        colour = COLOURS[index] if index < len(COLOURS) else "#9aa2ae"
        for n, level in enumerate(subject.series, 1):
            times = [level.start_s + (i + 0.5) * level.bin_s for i in range(len(level.output_tok_per_s))]
            load = load_text(level.users, level.req_per_s_offered)
            axes.plot(
                times, level.output_tok_per_s, color=colour, alpha=0.35 + 0.65 * n / len(subject.series), linewidth=1.2
            )
            axes.annotate(
                load,
                (times[-1], level.output_tok_per_s[-1]),
                xytext=(6, 0),
                textcoords="offset points",
                fontsize=8,
                va="center",
            )
        first = min(level.start_s for level in subject.series)
        if first < 0:
            axes.axvspan(first, 0, color="#8a93a3", alpha=0.12, linewidth=0)
        axes.set_xlabel("seconds since the window opened; shaded: warm-up")
        axes.set_ylabel(f"output {subject.unit}/s")
        axes.set_ylim(bottom=0)
        return True

    return draw
