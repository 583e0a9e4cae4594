"""A run as people see it in a terminal: one table, a small chart, the cautions, where it lies."""

from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from breakeven.metrics.alike import alike
from breakeven.metrics.failures import has_mostly_failed
from breakeven.metrics.summary import (
    Caution,
    Distribution,
    Estimate,
    LevelSummary,
    Quantile,
    RepeatFigure,
    RepeatSummary,
    RunSummary,
)
from breakeven.report.clients import clients_line
from breakeven.report.failures import failure_lines
from breakeven.report.openloop import open_loop_lines
from breakeven.report.slo import slo_lines
from breakeven.units import load_text, short_count

_DASH: Final = "–"
_BAR_WIDTH: Final = 40
WIDE: Final = 90
"""Columns from which the table shows p99 too."""


def print_run(console: Console, summary: RunSummary, *, where: str | None = None) -> None:
    """Print the whole: table, open loop, limits, chart, cautions, and where the run lies."""
    console.print()
    console.print(Text(headline(summary), style="bold"))
    console.print(level_table(summary.levels, width=console.width, means=summary.repeats))
    if any(level.extra.get("clients_lost") for level in summary.levels):
        console.print(Text("! a client was lost: not the load that was asked for; --resume measures it again", "red"))
    for lines in (failure_lines(summary), open_loop_lines(summary), slo_lines(summary)):
        if lines is not None:
            console.print(lines)
    chart = throughput_chart(summary.levels, means=summary.repeats)
    if chart is not None:
        console.print(Padding(chart, (0, 0, 1, 1)))
    clients = clients_line(summary.levels)
    if clients is not None:
        console.print(Text(clients + "\n"))
    console.print(caution_list(summary.levels), soft_wrap=False)
    if where is not None:
        console.print(Text.assemble("run folder: ", (where, "bold")), soft_wrap=True)


def headline(summary: RunSummary) -> str:
    """Engine, model and workload in one line."""
    run = summary.run
    engine = " ".join(str(run.engine[key]) for key in ("name", "version") if run.engine.get(key))
    name, tokens = run.workload.get("name"), run.workload.get("output_tokens")
    asked = str(name or "") + (f", answers of at most {tokens:g} tokens" if isinstance(tokens, int | float) else "")
    return " · ".join(part for part in (run.model or "", engine, asked.removeprefix(", ")) if part)


def level_table(levels: Sequence[LevelSummary], *, width: int = WIDE, means: Sequence[RepeatSummary] = ()) -> Table:
    """One row a level, the words as in the docs; p99 where a hundred requests bear it and the width allows.

    Below them one row a load that was measured several times, with its mean and the interval to believe.
    """
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 1, 0, 0))
    repeats = any(level.repeat for level in levels)
    open_loop = any(level.users is None for level in levels)
    ttft, tpot = (_unit(levels, of) for of in (_ttft, _tpot))
    p99 = width >= WIDE and any(of(level).n >= 100 for level in levels for of in (_ttft, _tpot))
    heads = [
        "req/s\ndue" if open_loop else "users",
        *(["rep."] if repeats else []),
        "tok/s",
        "±",
        "tok/s\na user",
        f"TTFT {ttft.name}\np50",
        "\np95",
        *(["\np99"] if p99 else []),
        f"TPOT {tpot.name}\np50",
        "\np95",
        *(["\np99"] if p99 else []),
        "re-\nquests",
        "er-\nrors",
        "stopped\nby",
    ]
    for head in heads:
        table.add_column(head, justify="left" if head == "stopped\nby" else "right", no_wrap=True)
    for level in levels:
        cells = _cells(level, repeats=repeats, ttft=ttft, tpot=tpot, p99=p99)
        table.add_row(*cells, style="dim" if level.status == "failed" else "")
    for mean in means:
        table.add_row(*_mean_cells(mean, ttft=ttft, tpot=tpot, p99=p99), style="bold")
    return table


class _Unit(NamedTuple):
    name: str
    in_s: float

    def text(self, quantile: Quantile) -> str:
        """A percentile, or that it is more than some time, or a dash."""
        if quantile.value is not None:
            return self._number(quantile.value)
        return _DASH if quantile.more_than is None else f">{self._number(quantile.more_than)}"

    def _number(self, value_s: float) -> str:
        value = value_s / self.in_s
        return f"{value:.1f}" if value < 99.95 else f"{value:.0f}"


def _ttft(level: LevelSummary) -> Distribution:
    return level.ttft_s


def _tpot(level: LevelSummary) -> Distribution:
    return level.tpot_s


def _unit(levels: Sequence[LevelSummary], of: Callable[[LevelSummary], Distribution]) -> _Unit:
    """Milliseconds, or seconds where a column would need five digits."""
    quantiles = [quantile for level in levels for quantile in (of(level).p50, of(level).p95)]
    most_s = max((quantile.value or quantile.more_than or 0.0 for quantile in quantiles), default=0.0)
    return _Unit("ms", 1e-3) if most_s < 9.9995 else _Unit("s", 1.0)


def _cells(level: LevelSummary, *, repeats: bool, ttft: _Unit, tpot: _Unit, p99: bool) -> list[str | Text]:
    return [
        _load(level),
        *([str(level.repeat + 1)] if repeats else []),
        _DASH if level.output_tok_per_s.value is None else short_count(level.output_tok_per_s.value),
        plus_minus(level.output_tok_per_s),
        _speed(level.tok_per_s_per_user),
        *_percentiles(level.ttft_s, unit=ttft, p99=p99),
        *_percentiles(level.tpot_s, unit=tpot, p99=p99),
        str(level.requests),
        Text(str(level.errors), style="red" if level.errors else ""),
        Text.assemble(
            level.stopped or _DASH,
            ("" if level.client.verdict == "ok" else " ?", "yellow"),
            (" !" if level.extra.get("clients_lost") or has_mostly_failed(level) else "", "bold red"),
        ),
    ]


def _mean_cells(mean: RepeatSummary, *, ttft: "_Unit", tpot: "_Unit", p99: bool) -> list[str]:
    speed = believed(mean.figures["output_tok_per_s"])
    medians = [Quantile(value=mean.figures[name].mean, ci95=(None, None)) for name in ("ttft_s_p50", "tpot_s_p50")]
    more = [_DASH] * (2 if p99 else 1)
    return [
        _load(mean),
        f"1–{mean.n}",
        _DASH if speed.value is None else short_count(speed.value),
        plus_minus(speed),
        _DASH,
        *(ttft.text(medians[0]), *more),
        *(tpot.text(medians[1]), *more),
        "",
        "",
        f"mean of {mean.n}",
    ]


def believed(figure: RepeatFigure) -> Estimate:
    """The mean over repeats with the interval that is to be believed."""
    return Estimate(value=figure.mean, ci95=figure.within if figure.believe == "within" else figure.between)


def _percentiles(of: Distribution, *, unit: _Unit, p99: bool) -> list[str]:
    return [unit.text(quantile) for quantile in (of.p50, of.p95, *([of.p99] if p99 else []))]


def plus_minus(estimate: Estimate) -> str:
    """Half of the interval, in per cent of the value."""
    low, high = estimate.ci95
    if low is None or high is None or not estimate.value:
        return _DASH
    percent = (high - low) / 2 / estimate.value * 100
    return f"{percent:.1f} %" if percent < 9.95 else f"{percent:.0f} %"


def _speed(speeds: Distribution) -> str:
    return _DASH if speeds.p50.value is None else short_count(speeds.p50.value)


def throughput_chart(levels: Sequence[LevelSummary], *, means: Sequence[RepeatSummary] = ()) -> RenderableType | None:
    """Throughput against load as bars, the interval as a lighter end; of repeats their mean."""
    rates = {(level.users, level.req_per_s_offered): level.output_tok_per_s for level in levels}
    rates |= {(one.users, one.req_per_s_offered): believed(one.figures["output_tok_per_s"]) for one in means}
    known = {load: rate for load, rate in rates.items() if rate.value and load != (None, None)}
    if len(known) < 2:
        return None
    most = max(rate.ci95[1] or rate.value or 0.0 for rate in known.values())
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 1))
    table.add_column(justify="right")
    table.add_column()
    for load, rate in known.items():
        table.add_row(load_text(*load), _bar(rate, most))
    return table


def _bar(estimate: Estimate, most: float) -> Text:
    value = estimate.value or 0.0
    low, high = estimate.ci95[0] or value, estimate.ci95[1] or value
    sure, maybe = round(low / most * _BAR_WIDTH), round(high / most * _BAR_WIDTH)
    return Text.assemble(("█" * sure, "cyan"), ("░" * (maybe - sure), "cyan"), f" {short_count(value)} tok/s")


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
    return [(_places(one.levels) + _figures_of(one.figures_of), one.caution) for one in alike(levels)]


def _figures_of(level: LevelSummary | None) -> str:
    return "" if level is None else f" (figures of {load_text(level.users, level.req_per_s_offered)})"


def _places(levels: Iterable[LevelSummary]) -> str:
    by_users = [level.users for level in levels if level.users is not None]
    by_rate = [level.req_per_s_offered for level in levels if level.req_per_s_offered is not None]
    return " and ".join(filter(None, [_joined(by_users, "user"), _joined(by_rate, "req/s")])) or load_text(None, None)


def _joined(loads: Sequence[float], unit: str) -> str:
    """Loads by size, each once: `1 user`, `10, 50 and 100 users`, `0.5 and 20 req/s`."""
    told = [f"{load:g}" for load in sorted(set(loads))]
    if not told:
        return ""
    many = "s" if unit == "user" and told != ["1"] else ""
    return " and ".join(filter(None, [", ".join(told[:-1]), told[-1]])) + f" {unit}{many}"


def _load(one: LevelSummary | RepeatSummary) -> str:
    """Users or requests a second; a dash where all requests came at one moment."""
    load = one.req_per_s_offered if one.users is None else one.users
    return _DASH if load is None else f"{load:g}" if one.users is None else str(load)
