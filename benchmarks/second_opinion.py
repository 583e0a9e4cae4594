"""Lets breakeven and other load generators measure one and the same server, in turn, and shows their readings.

`python benchmarks/second_opinion.py` asks the reference server, whose true timings are known; `--server vllm` asks vLLM
on this machine's CPU. Each tool puts its own closed loop on: so many users, so many requests. What a tool says is read
from its own result file. A tool that cannot be installed here is named with the reason.
"""

import argparse
import contextlib
import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from environments import CANNOT, Unavailable, weights_folder
from peers import PEERS, Load, Peer, Reading, Spent, ToolFailed, measure
from rich.console import Console
from rich.table import Table
from truth import NO_TRUTH, Truth, ideal_tok_per_s, truth_of
from vllm_cpu_server import vllm_on_cpu

from breakeven.client.reference import ReferenceServer, Settings
from breakeven.clock import wall_now
from breakeven.errors import BreakevenError, UsageError, unknown
from breakeven.telemetry.host import host_facts

TRUE_TIMES: Final = Settings(ttft_s=0.05, itl_s=0.01, output_tokens=128)
DEFAULT_TOOLS: Final = {"reference": tuple(PEERS), "vllm": ("breakeven", "vllm bench serve")}
DEFAULT_USERS: Final = {"reference": (50, 500), "vllm": (8,)}
DEFAULT_REPEATS: Final = {"reference": 1, "vllm": 3}
HEADS: Final = (
    *("tool", "tok/s read", "true", "read/true", "in the middle", "of possible"),
    *("TTFT p50 read", "true", "TPOT read", "true"),
    *("CPU s", "wall s"),
)
COMPARED: Final = ("output_tok_per_s", "ttft_p50_s", "tpot_mean_s")


class Row(NamedTuple):
    """One tool, one number of users, one round."""

    tool: str
    users: int
    repeat: int
    version: str | None = None
    requests: int | None = None
    reading: Reading | None = None
    truth: Truth | None = None
    ideal_tok_per_s: float | None = None
    spent: Spent | None = None
    reason: str | None = None
    """Why there is no reading."""


class Asked(NamedTuple):
    """The server under load."""

    url: str
    engine: str
    model: str
    reference: ReferenceServer | None = None


def main(words: Sequence[str] | None = None) -> int:
    told = _parser().parse_args(words)
    try:
        tools = _tools(told)
        ready, missing = _available(tools)
        with tempfile.TemporaryDirectory(prefix="breakeven-second-") as folder, _server(told) as asked:
            rows = [*_measured(told, ready, asked=asked, folder=Path(folder)), *missing]
    except Unavailable as reason:
        print(f"cannot be measured here: {reason}", file=sys.stderr)
        return CANNOT
    except BreakevenError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    _print(told, rows)
    if told.json is not None:
        told.json.write_text(json.dumps(_document(told, rows), indent=1) + "\n")
    return 0 if any(row.reading for row in rows) else 1


def _users(text: str) -> tuple[int, ...]:
    parts = text.split(",")
    if not all(part.isascii() and part.isdigit() and int(part) for part in parts):
        raise argparse.ArgumentTypeError(f"'{text}' is no list of numbers of users; write it like 50,500")
    return tuple(map(int, parts))


def _at_least(least: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        if not (text.isascii() and text.isdigit() and int(text) >= least):
            raise argparse.ArgumentTypeError(f"'{text}' is not a whole number of at least {least}")
        return int(text)

    return number


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description="Measure one server with breakeven and other load generators, in turn.",
        epilog="Takes about a minute a tool and number of users; other work on the machine spoils it.",
    )
    add = parser.add_argument
    add("--server", choices=("reference", "vllm"), default="reference", help="who is asked (default: reference)")
    add("--users", type=_users, metavar="LIST", help="users at once (default: 50,500; for vllm 8)")
    add("--waves", type=_at_least(2), default=4, metavar="N", help="requests for each user (default: 4)")
    add("--input-tokens", type=_at_least(1), default=64, metavar="N", help="prompt length asked for (default: 64)")
    add("--output-tokens", type=_at_least(2), metavar="N", help="answer length (default: 128; for vllm 64)")
    add(
        "--repeats",
        type=_at_least(1),
        metavar="N",
        help="rounds; each begins with another tool (default: 1; for vllm 3)",
    )
    add("--tools", metavar="LIST", help=f"some of {', '.join(PEERS)} (default: all; for vllm the first two)")
    add("--cpu", type=int, default=0, metavar="CORE", help="core that the reference server stays on (default: 0)")
    add("--json", type=Path, metavar="FILE", help="write everything as JSON")
    return parser


def _tools(told: argparse.Namespace) -> tuple[str, ...]:
    """Fill in the defaults of the chosen server; the tools to use."""
    told.users = told.users or DEFAULT_USERS[told.server]
    told.repeats = told.repeats or DEFAULT_REPEATS[told.server]
    told.output_tokens = told.output_tokens or (128 if told.server == "reference" else 64)
    if told.tools is None:
        return DEFAULT_TOOLS[told.server]
    names = tuple(each.strip() for each in told.tools.split(","))
    for name in names:
        if name not in PEERS:
            raise UsageError(unknown("tool", name, PEERS))
    return names


def _available(tools: Sequence[str]) -> tuple[list[str], list[Row]]:
    """Make every environment before anything is measured; a row with the reason for each that cannot be."""
    ready, missing = [], []
    for tool in tools:
        try:
            PEERS[tool].prepare()
            ready.append(tool)
        except Unavailable as reason:
            missing.append(Row(tool, users=0, repeat=0, reason=f"not installed: {reason}"))
    return ready, missing


@contextlib.contextmanager
def _server(told: argparse.Namespace) -> Iterator[Asked]:
    if told.server == "vllm":
        with (
            tempfile.TemporaryDirectory(prefix="breakeven-vllm-") as folder,
            vllm_on_cpu(weights_folder(), log_path=Path(folder) / "vllm.log", on_wait=_wait) as engine,
        ):
            yield Asked(engine.url, engine="vllm", model=engine.model)
        return
    with ReferenceServer(TRUE_TIMES, cpu=told.cpu, connections=max(told.users)) as server:
        yield Asked(server.url, engine="openai", model=TRUE_TIMES.model, reference=server)


def _wait(seconds: float, line: str) -> None:
    if round(seconds) % 10 == 0:
        print(f"vLLM starts: {seconds:.0f} s: {line}", file=sys.stderr)


def _measured(told: argparse.Namespace, tools: Sequence[str], *, asked: Asked, folder: Path) -> Iterator[Row]:
    """Every tool at every number of users, interleaved; each round begins with the next tool."""
    for repeat in range(told.repeats):
        turn = repeat % len(tools)
        for users in told.users:
            for tool in (*tools[turn:], *tools[:turn]):
                print(f"round {repeat + 1}, {users} users: {tool} …", file=sys.stderr, flush=True)
                load = Load(
                    url=asked.url,
                    engine=asked.engine,
                    model=asked.model,
                    users=users,
                    requests=users * told.waves,
                    input_tokens=told.input_tokens,
                    output_tokens=told.output_tokens,
                    folder=folder / f"{repeat}-{users}-{tool.replace(' ', '-')}",
                )
                yield _row(Row(tool, users=users, repeat=repeat), PEERS[tool], load=load, reference=asked.reference)


def _row(row: Row, peer: Peer, *, load: Load, reference: ReferenceServer | None) -> Row:
    since = 0 if reference is None else reference.truth()["requests"]
    row = row._replace(version=peer.version(), requests=load.requests)
    try:
        reading, spent = measure(peer, load)
    except ToolFailed as failure:
        return row._replace(reason=str(failure))
    row = row._replace(reading=reading, spent=spent)
    if reference is None:
        return row
    return row._replace(
        ideal_tok_per_s=ideal_tok_per_s(reference.settings, users=load.users, output_tokens=load.output_tokens),
        truth=truth_of(
            reference.stamps(),
            since=since,
            settings=reference.settings,
            output_tokens=load.output_tokens,
            span_s=reading.span_s,
        ),
    )


def _print(told: argparse.Namespace, rows: Sequence[Row]) -> None:
    console = Console(width=160, highlight=False)
    for users in told.users:
        table = Table(title=f"{users} users, {told.output_tokens} tokens an answer", title_justify="left", box=None)
        for head in HEADS:
            table.add_column(head, justify="left" if head == HEADS[0] else "right", no_wrap=True)
        for row in rows:
            if row.users == users and row.reading is not None:
                table.add_row(*_cells(row, row.reading))
        console.print(table)
        for row in rows:
            if row.users in (users, 0) and row.reason is not None:
                console.print(f"{row.tool} {row.version or ''}: {row.reason}", markup=False, soft_wrap=True)
        for name, ratios in _ratios(rows, users).items():
            told_ratios = ", ".join(f"{metric} {_ratio_text(values)}" for metric, values in ratios.items())
            console.print(f"{name} / breakeven: {told_ratios}")


def _cells(row: Row, reading: Reading) -> list[str]:
    truth = row.truth or NO_TRUTH
    ratio = _over(reading.output_tok_per_s, truth.output_tok_per_s)
    return [
        f"{row.tool} {row.version or ''}",
        _text(reading.output_tok_per_s, "{:,.0f}"),
        _text(truth.output_tok_per_s, "{:,.0f}"),
        _text(ratio, "{:.3f}"),
        _text(truth.middle_tok_per_s, "{:,.0f}"),
        _text(_over(truth.middle_tok_per_s, row.ideal_tok_per_s), "{:.1%}"),
        *(_ms(value) for value in (reading.ttft_p50_s, truth.ttft_p50_s, reading.tpot_mean_s, truth.tpot_mean_s)),
        _text(None if row.spent is None else row.spent.cpu_s, "{:.1f}"),
        _text(None if row.spent is None else row.spent.wall_s, "{:.1f}"),
    ]


def _ms(value_s: float | None) -> str:
    return _text(None if value_s is None else value_s * 1e3, "{:.2f} ms")


def _text(value: float | None, form: str) -> str:
    return "–" if value is None else form.format(value)


def _over(above: float | None, below: float | None) -> float | None:
    return None if above is None or not below else above / below


def _ratios(rows: Sequence[Row], users: int) -> dict[str, dict[str, list[float]]]:
    """What each other tool read over what breakeven read in the same round, by metric, a value a round."""
    ours = {row.repeat: row.reading for row in rows if row.tool == "breakeven" and row.users == users and row.reading}
    found: dict[str, dict[str, list[float]]] = {}
    for row in rows:
        if row.tool == "breakeven" or row.users != users or row.reading is None or row.repeat not in ours:
            continue
        for metric in COMPARED:
            ratio = _over(getattr(row.reading, metric), getattr(ours[row.repeat], metric))
            if ratio is not None:
                found.setdefault(row.tool, {}).setdefault(metric, []).append(ratio)
    return found


def _ratio_text(values: Sequence[float]) -> str:
    mean = sum(values) / len(values)
    return f"{mean:.3f}" if len(values) == 1 else f"{mean:.3f} ({min(values):.3f} to {max(values):.3f})"


def _document(told: argparse.Namespace, rows: Sequence[Row]) -> dict[str, Any]:
    settings = {key: value for key, value in vars(told).items() if key != "json"}
    true_times = {"ttft_s": TRUE_TIMES.ttft_s, "itl_s": TRUE_TIMES.itl_s} if told.server == "reference" else None
    return {
        "format": 1,
        "date": wall_now().isoformat(),
        "machine": host_facts(),
        "settings": settings,
        "server_true_times": true_times,
        "rows": [_plain(row) for row in rows],
        "ratios_to_breakeven": {str(users): _ratios(rows, users) for users in told.users},
    }


def _plain(value: Any) -> Any:
    return {key: _plain(each) for key, each in value._asdict().items()} if hasattr(value, "_asdict") else value


if __name__ == "__main__":
    sys.exit(main())
