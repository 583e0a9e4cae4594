"""A run as people see it in a terminal: one table, a small chart, the cautions, where it lies."""

from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from breakeven.caution import Caution
from breakeven.findings.names import other_precision
from breakeven.metrics.alike import alike
from breakeven.metrics.definitions import METRICS, Metric, shown_metrics
from breakeven.metrics.failures import has_mostly_failed
from breakeven.metrics.pooling import cannot_tell
from breakeven.metrics.summary import (
    Distribution,
    Estimate,
    LevelSummary,
    Quantile,
    RepeatFigure,
    RepeatSummary,
    RunSummary,
)
from breakeven.report.clients import clients_line
from breakeven.report.enginetold import engine_line
from breakeven.report.failures import failure_lines
from breakeven.report.forms import screen
from breakeven.report.openloop import open_loop_line
from breakeven.report.roofline import roofline_line
from breakeven.report.sessions import session_line
from breakeven.report.slo import limits_line, search_lines
from breakeven.say import DASH, plus_minus
from breakeven.table import Bar, Cell, Column, Styled, Table, Told, heads, parts
from breakeven.units import load_text, short_count

_GOES: Final = {"p99": 4, "p95": 3, "one": 2, "requests": 1}
"""What a narrow terminal leaves out first: p99, p95, metrics with one percentile, how many requests there were."""


def print_run(console: Console, summary: RunSummary, *, where: str | None = None) -> None:
    """Print the whole: table, open loop, limits, chart, cautions, and where the run lies."""
    console.print()
    console.print(Text(headline(summary), style="bold"))
    console.print(screen(level_table(summary.levels, means=summary.repeats), width=console.width))
    for name, metric in METRICS.items():
        if metric.inverse_of is not None and any(level.of(name).p50.value is not None for level in summary.levels):
            console.print(Text(f"{metric.label}: {metric.formula}", style="dim"))
    if any(level.extra.get("clients_lost") for level in summary.levels):
        console.print(Text("! a client was lost: not the load that was asked for; --resume measures it again", "red"))
    told = [failure_lines(summary), *(_block(summary.levels, head, line) for head, line in BLOCKS)]
    for block in filter(None, told):
        console.print(block)
    for text in search_lines(summary):
        console.print(Text(f"{text}\n"))
    chart = throughput_chart(summary.levels, means=summary.repeats)
    if chart is not None:
        console.print(screen(chart, width=console.width))
        console.print(Text("a bar's light end: what the 95 % interval leaves in doubt\n", style="dim"))
    for line in (clients_line(summary.levels), engine_line(summary.levels), roofline_line(summary.levels)):
        if line is not None:
            console.print(Text(line + "\n"))
    console.print(caution_list(summary.levels), soft_wrap=False)
    if where is not None:
        console.print(Text.assemble("run folder: ", (where, "bold")), soft_wrap=True)


BLOCKS: Final[tuple[tuple[str, Callable[[LevelSummary], list[Styled] | None]], ...]] = (
    ("open loop", open_loop_line),
    ("sessions", session_line),
    ("limits: {slo}", limits_line),
)
"""Head, filled in from what its first level tells, and what is said of each level that has it."""


def _block(
    levels: Sequence[LevelSummary], head: str, line: Callable[[LevelSummary], list[Styled] | None]
) -> RenderableType | None:
    told = [(level, parts) for level in levels if (parts := line(level)) is not None]
    if not told:
        return None
    repeats = any(level.repeat for level, _ in told)
    loads = (
        load_text(level.users, level.req_per_s_offered, repeat=level.repeat if repeats else None) for level, _ in told
    )
    lines = (Text.assemble((f"{load}: ", "bold"), *parts) for load, (_, parts) in zip(loads, told, strict=True))
    title = Text(head.format_map(told[0][0].extra), style="bold")
    return Group(title, *(Padding(one, (0, 0, 0, 1)) for one in lines), Text(""))


def headline(summary: RunSummary) -> str:
    """Engine, model and workload in one line."""
    run = summary.run
    engine = " ".join(str(run.engine[key]) for key in ("name", "version") if run.engine.get(key))
    name, tokens = run.workload.get("name"), run.workload.get("output_tokens")
    length = "{:.0f} tokens on average" if run.kind == "imported" else "at most {:g} tokens"
    asked = str(name or "") + (f", answers of {length.format(tokens)}" if isinstance(tokens, int | float) else "")
    kind = "predicted, not measured" if run.kind == "predicted" else ""
    model = " in ".join(filter(None, (run.model or "", other_precision(run))))
    return " · ".join(part for part in (kind, model, engine, asked.removeprefix(", ")) if part)


class _Column(NamedTuple):
    """A column of the level table, a level's cell in it, and the cell of the mean over repeats."""

    column: Column
    cell: Callable[[LevelSummary], Cell]
    mean: Callable[[RepeatSummary], str] = lambda _: ""


def level_table(levels: Sequence[LevelSummary], *, means: Sequence[RepeatSummary] = ()) -> Table:
    """One row a level, the words as in the docs.

    Below them one row a load that was measured several times, with its mean and the interval to believe.
    """
    known = _columns(levels)
    rows = [
        _in_style("dim" if level.status == "failed" else "", [one.cell(level) for one in known]) for level in levels
    ]
    rows += [_in_style("bold", [one.mean(mean) for one in known]) for mean in means]
    return Table([one.column for one in known], rows)


def _in_style(style: str, cells: Sequence[Cell]) -> list[Cell]:
    return [tuple(Styled(part.text, f"{style} {part.style}".strip()) for part in parts(cell)) for cell in cells]


def _columns(levels: Sequence[LevelSummary]) -> list[_Column]:
    """The load and its throughput, every metric that tables show, and how it went."""
    due = any(level.users is None for level in levels)
    repeats = [_Column(Column("rep."), lambda level: str(level.repeat + 1), lambda mean: f"1–{mean.n}")]
    metrics = shown_metrics(levels)
    p99 = any(level.of(name).n >= 100 for level in levels for name, one in metrics if "p95" in one.shown)
    return [
        _Column(Column("req/s due" if due else "users"), _load, _load),
        *(repeats if any(level.repeat for level in levels) else []),
        _Column(Column("tok/s"), lambda level: _rate(level.output_tok_per_s), lambda mean: _rate(_throughput(mean))),
        _Column(Column("±"), lambda level: doubt(level.output_tok_per_s), _plus_minus_of_mean),
        *(column for name, metric in metrics for column in _metric(name, metric, levels, p99=p99)),
        _Column(Column("requests", goes=_GOES["requests"]), lambda level: str(level.requests)),
        _Column(Column("errors"), lambda level: Styled(str(level.errors), "red" if level.errors else "")),
        _Column(Column("stopped by", align="left"), _stopped, lambda mean: f"mean of {mean.n}"),
    ]


def _metric(name: str, metric: Metric, levels: Sequence[LevelSummary], *, p99: bool) -> Iterator[_Column]:
    """A column for each percentile that is shown, and one for p99 beside p95 where a hundred requests bear it."""
    unit = _unit(metric, [level.of(name) for level in levels])
    shown = [*metric.shown, *(["p99"] if p99 and "p95" in metric.shown else [])]
    is_one = len(metric.shown) == 1
    head, over = (f"{unit.name} ", metric.label) if is_one else ("", f"{metric.label} {unit.name}")
    for which in shown:
        goes = _GOES["one"] if is_one else _GOES.get(which, 0)
        yield _percentile(Column(head + which, over=over, goes=goes), name, which, unit)


def _percentile(column: Column, name: str, which: str, unit: "_Unit") -> _Column:
    """A percentile of a metric; of repeats only the medians have a mean."""

    def mean(repeats: RepeatSummary) -> str:
        figure = repeats.figures.get(f"{name}_{which}", RepeatFigure())
        return unit.text(Quantile(value=figure.mean, ci95=(None, None)))

    return _Column(column, lambda level: unit.text(level.of(name).at(which)), mean)


class _Unit(NamedTuple):
    name: str
    in_its: float
    """How many of the metric's own units it is."""

    def text(self, quantile: Quantile) -> str:
        """A percentile, or that it is more than some time, or a dash."""
        if quantile.value is not None:
            return self._number(quantile.value)
        return DASH if quantile.more_than is None else f">{self._number(quantile.more_than)}"

    def _number(self, value: float) -> str:
        if self.name not in ("ms", "s"):
            return short_count(value)
        scaled = value / self.in_its
        return f"{scaled:.1f}" if scaled < 99.95 else f"{scaled:.0f}"


def _unit(metric: Metric, shown: Sequence[Distribution]) -> _Unit:
    """Of a time milliseconds, or seconds where a column would need five digits."""
    if metric.unit != "s":
        return _Unit(metric.unit, 1.0)
    quantiles = [quantile for one in shown for quantile in (one.p50, one.p95)]
    most_s = max((quantile.value or quantile.more_than or 0.0 for quantile in quantiles), default=0.0)
    return _Unit("ms", 1e-3) if most_s < 9.9995 else _Unit("s", 1.0)


def _rate(estimate: Estimate) -> str:
    return DASH if estimate.value is None else short_count(estimate.value)


def _throughput(mean: RepeatSummary) -> Estimate:
    return believed(mean.figures["output_tok_per_s"])


def _stopped(level: LevelSummary) -> tuple[Styled, ...]:
    return (
        Styled(level.stopped or DASH),
        Styled("" if level.client.verdict == "ok" else " ?", "yellow"),
        Styled(" !" if level.extra.get("clients_lost") or has_mostly_failed(level) else "", "bold red"),
    )


def believed(figure: RepeatFigure) -> Estimate:
    """The mean over repeats with the interval that is to be believed."""
    return Estimate(value=figure.mean, ci95=figure.within if figure.believe == "within" else figure.between)


def doubt(estimate: Estimate) -> str:
    """Half of the interval, in per cent of the value."""
    return plus_minus(estimate.value, estimate.ci95, short_count)


def _plus_minus_of_mean(mean: RepeatSummary) -> str:
    """A question mark where two repeats cannot tell, as a caution says."""
    found = _throughput(mean)
    return "?" if cannot_tell(mean.n, found.ci95) else doubt(found)


def throughput_chart(levels: Sequence[LevelSummary], *, means: Sequence[RepeatSummary] = ()) -> Table | None:
    """Throughput against load as bars, light from the interval's low end on; of repeats their mean."""
    rates = {(level.users, level.req_per_s_offered): level.output_tok_per_s for level in levels}
    rates |= {(one.users, one.req_per_s_offered): believed(one.figures["output_tok_per_s"]) for one in means}
    known = {load: rate for load, rate in rates.items() if rate.value and load != (None, None)}
    if len(known) < 2:
        return None
    most = max(rate.value or 0.0 for rate in known.values())
    rows = [(load_text(*load), f"{_rate(rate)} tok/s", _bar(rate, most)) for load, rate in known.items()]
    return Table(heads("", "", "", left=(2,)), rows)


def _bar(estimate: Estimate, most: float) -> Told:
    value, (low, high) = estimate.value or 0.0, estimate.ci95
    ends = None if low is None else (low / most, (value if high is None else high) / most)
    return Told("", bar=Bar(value / most, ends))


def caution_list(levels: Sequence[LevelSummary]) -> RenderableType:
    """Every kind of caution once, with the levels that it holds for, and its remedy."""
    found = grouped(levels)
    if not found:
        return Text("no cautions\n", style="green")
    lines: list[RenderableType] = [Text("cautions", style="bold")]
    for places, caution in found:
        text = Text.assemble(("• ", "yellow"), (f"{places}: ", "bold"), caution.text, (f" → {caution.remedy}", "dim"))
        lines.append(Padding(text, (0, 0, 0, 1)))
    return Group(*lines, Text(""))


def grouped(levels: Sequence[LevelSummary]) -> list[tuple[str, Caution]]:
    """Every kind of caution with the levels that have it, as people say them: `10, 50 and 100 users`."""
    return [(one.where(), one.caution) for one in alike(levels)]


def _load(one: LevelSummary | RepeatSummary) -> str:
    """Users or requests a second; a dash where all requests came at one moment."""
    load = one.req_per_s_offered if one.users is None else one.users
    return DASH if load is None else f"{load:g}" if one.users is None else str(load)
