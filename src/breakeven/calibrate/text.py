"""The calibration as two tables for a terminal, or as Markdown for docs/ACCURACY.md."""

from collections.abc import Sequence
from typing import Final

from breakeven.calibrate.cell import Result
from breakeven.calibrate.grid import FIGURES, Ceiling, Limit
from breakeven.report.forms import markdown as table_markdown
from breakeven.table import Table, heads, lines
from breakeven.units import short_count

_CELL: Final = ("users", "tok/event", "burst")
LOADS: Final = (
    *_CELL,
    "true tok/s",
    "read",
    "events/read",
    "CPU µs/token",
    "µs/read",
    "delay p99",
    "client late",
    "server late",
    "verdict",
)
LATENCIES: Final = (
    *_CELL,
    *(f"{name} {quantile}" for name in ("TTFT", "TPOT", "ITL", "E2E") for quantile in ("p50", "p99")),
)
_PAIRS: Final = ("ttft", "tpot", "itl", "e2e")


def load_row(result: Result) -> tuple[str, ...]:
    """What one cell put on the client, how much of it was read, and what that cost; times in ms."""
    return (
        *_cell(result),
        short_count(result.true_tok_per_s),
        f"{100 * result.throughput_error:+.2f} %",
        _number(result.events_per_read),
        _number(result.client_cpu_us_per_token),
        _number(result.client_cpu_us_per_read, digits=1),
        _ms(result.delay_p99_s),
        _ms(result.client_lag_p99_s),
        _ms(result.server_late_p99_s),
        result.verdict,
    )


def latency_row(result: Result) -> tuple[str, ...]:
    """Every latency of one cell: what was true, and by how much it was read wrong; ms."""
    found = []
    for name in _PAIRS:
        pair = getattr(result, name)
        found += [_error(pair.true_p50_s, pair.read_p50_s), _error(pair.true_p99_s, pair.read_p99_s)]
    return (*_cell(result), *found)


def _cell(result: Result) -> tuple[str, str, str]:
    cell = result.cell
    return str(cell.users), str(cell.tokens_per_event), str(cell.burst)


def _error(true_s: float | None, read_s: float | None) -> str:
    if true_s is None or read_s is None:
        return "–"
    return f"{true_s * 1e3:.2f} {(read_s - true_s) * 1e3:+.2f}"


def _ms(value_s: float | None) -> str:
    return "–" if value_s is None else f"{value_s * 1e3:.2f}"


def _number(value: float | None, *, digits: int = 2) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def tables(results: Sequence[Result]) -> tuple[Table, Table]:
    """What each cell put on the client and what was read of it, then its latencies."""
    loads = Table(heads(*LOADS, left=(len(LOADS) - 1,)), [load_row(result) for result in results])
    return loads, Table(heads(*LATENCIES, left=()), [latency_row(result) for result in results])


def table(results: Sequence[Result]) -> str:
    """All cells, and what the columns mean."""
    loads, latencies = (lines(one) for one in tables(results))
    return "\n".join([*loads, "", *latencies, "", *LEGEND])


def markdown(results: Sequence[Result]) -> str:
    """The same as two Markdown tables."""
    return "\n\n".join("\n".join(table_markdown(one)) for one in tables(results))


LEGEND: Final = (
    "Times in ms. true: by the reference server's own stamps, taken before each write. read: the client's error.",
    "Latencies: true, and how much more was read; – where it falls on requests still waiting, or they were too few.",
    "delay: from the server's stamp to the client's, over every event. late: behind the own clock or schedule, p99.",
    "ok: throughput and TPOT read within 1 %. server-bound: the server was over 1 ms late at p99, or 1 % short, so the",
    "cell says less about the client; its errors are still against what the server really sent.",
)


def ceiling_text(found: Ceiling | None) -> str:
    """What the grid says of this machine: how far each figure was read right, figures with the same end together."""
    if found is None:
        return "no load was read within 1 %: this machine is too busy to be measured with"
    ends: dict[str, list[str]] = {}
    for name in FIGURES:
        ends.setdefault(_end_text(found.figures[name]), []).append(name)
    parts = "; ".join(f"{', '.join(names)} {end}" for end, names in ends.items())
    return f"ceiling of this machine, within 1 %: {parts}; up to {found.users} users"


def _end_text(limit: Limit | None) -> str:
    if limit is None:
        return "at no load"
    return f"{'≥ ' if limit.is_lower_bound else ''}{short_count(limit.events_per_s)} events/s"
