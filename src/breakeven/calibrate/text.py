"""The calibration as a table for a terminal, or as Markdown for docs/ACCURACY.md."""

from collections.abc import Sequence

from breakeven.calibrate.cell import Pair, Result
from breakeven.calibrate.grid import Ceiling
from breakeven.hardware.columns import Align, columns
from breakeven.units import short_count

HEAD = (
    "users",
    "tok/event",
    "burst",
    "true tok/s",
    "read",
    "TTFT p50 true",
    "read",
    "p99 true",
    "read",
    "TPOT true",
    "read",
    "delay p99",
    "events/read",
    "CPU µs/token",
    "server late",
    "verdict",
)


def row(result: Result) -> tuple[str, ...]:
    """One cell in words; times in ms."""
    cell = result.cell
    return (
        str(cell.users),
        str(cell.tokens_per_event),
        str(cell.burst),
        short_count(result.true_tok_per_s),
        f"{100 * result.throughput_error:+.2f} %",
        *_times(result.ttft),
        *_times(result.tpot)[:2],
        _ms(result.delay_p99_s),
        _number(result.events_per_read, 2),
        _number(result.client_cpu_us_per_token, 2),
        _ms(result.server_late_p99_s),
        result.verdict,
    )


def _times(pair: Pair) -> tuple[str, str, str, str]:
    return _ms(pair.true_p50_s), _ms(pair.read_p50_s), _ms(pair.true_p99_s), _ms(pair.read_p99_s)


def _ms(value_s: float | None) -> str:
    return "–" if value_s is None else f"{value_s * 1e3:.2f}"


def _number(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def table(results: Sequence[Result]) -> str:
    """All cells, and what the columns mean."""
    rows = [HEAD, *(row(result) for result in results)]
    align: list[Align] = [">" for _ in HEAD]
    align[-1] = "<"
    return "\n".join([*columns(rows, align=align), "", *LEGEND])


def markdown(results: Sequence[Result]) -> str:
    """The same as a Markdown table."""
    lines = ["| " + " | ".join(HEAD) + " |", "|" + "--:|" * (len(HEAD) - 1) + ":--|"]
    lines += ["| " + " | ".join(row(result)) + " |" for result in results]
    return "\n".join(lines)


LEGEND = (
    "Times in ms. true: by the reference server's own stamps, taken before each write. read: by the client.",
    "delay: from the server's stamp to the client's, over every event. server late: behind its own schedule, p99.",
    "ok: throughput and TPOT read within 1 %. server-bound: the server was over 1 ms late at p99, or 1 % short, so the",
    "cell says less about the client; its errors are still against what the server really sent.",
)


def ceiling_text(found: Ceiling | None) -> str:
    """What the grid says of this machine."""
    if found is None:
        return "no load was read within 1 %: this machine is too busy to be measured with"
    sign = "≥ " if found.is_lower_bound else ""
    return (
        f"ceiling of this machine: {sign}{short_count(found.events_per_s)} events/s within 1 %, "
        f"with up to {found.users} users"
    )
