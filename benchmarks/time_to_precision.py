"""How long an engine is kept busy until its throughput is known to ± 3 %: breakeven and other load generators, in turn.

`python benchmarks/time_to_precision.py` takes about ten minutes and wants the machine for itself. One reference server
follows a script (answers of 32 tokens on average, log-normal, and a speed that wavers), so that the throughput of
20 users in the long run is known. Each tool measures it by its own default: AIPerf two requests a user, vLLM's 1,000
requests, guidellm, which has none, the 30 s of its first example; breakeven until it says ± 3 %. Right is a tool that
reads within 3 % of the truth in every round. Then the shortest setting of each that is right is looked for, by halves
and doubles. docs/STEADY.md has the table.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from environments import Unavailable
from peers import PEERS, Load, ToolFailed, measure
from scripted import Users, truth

from breakeven.client.reference import ReferenceServer, Settings, Stamps
from breakeven.clock import wall_now
from breakeven.telemetry.host import host_facts

SCRIPT: Final = Settings(
    ttft_s=0.05,
    ttft_sigma=0.3,
    itl_s=0.01,
    noise=0.05,
    wave=0.05,
    tau_s=0.2,
    lengths="lognormal:24,0.75",
    output_tokens=200,
    seed=14,
)
USERS: Final = Users(count=20, most_tokens=200)
OPEN_S: Final = 5.0
PRECISION: Final = 0.03
ROUNDS: Final = 3
OURS: Final = "breakeven"
LONGEST_S: Final = 60.0
"""Nothing that would keep the engine busy for longer is tried."""


class Setting(NamedTuple):
    """How long a tool measures, in its own terms."""

    amount: float
    apply: Callable[[Load, float], Load]
    text: str
    least: float
    """Nothing shorter is tried."""

    def times(self, factor: float) -> "Setting":
        return self._replace(amount=self.amount * factor)

    def said(self) -> str:
        return self.text.format(self.amount)


def _requests(count: int) -> Setting:
    return Setting(count, lambda load, amount: load._replace(requests=round(amount)), "{:.0f} requests", USERS.count)


def _seconds(duration_s: float, text: str) -> Setting:
    return Setting(duration_s, lambda load, amount: load._replace(duration_s=amount), text, 1.0)


DEFAULTS: Final = {
    OURS: Setting(PRECISION, lambda load, amount: load._replace(precision=amount), "until ± {:.0%}", PRECISION),
    "vllm bench serve": _requests(1000),
    "guidellm": _seconds(30.0, "{:g} s"),
    "aiperf": _requests(2 * USERS.count),
}
WINDOW: Final = _seconds(4.0, "a window of {:g} s")
"""Where the search for our shortest begins: as long as it takes to be right, whatever we say of it."""


class Try(NamedTuple):
    """One tool at one setting, once."""

    read: float | None
    """What it said over what is true; None: nothing."""
    engine_s: float | None
    """From its first request to the last token that the server wrote for it."""
    wall_s: float | None
    why: str | None = None

    @property
    def is_right(self) -> bool:
        return self.read is not None and abs(self.read - 1) <= PRECISION


class Row(NamedTuple):
    """One tool at one setting, in several rounds; as many as needed where one was not right."""

    tool: str
    setting: str
    is_default: bool
    tries: list[Try]

    @property
    def is_right(self) -> bool:
        return all(one.is_right for one in self.tries)

    @property
    def engine_s(self) -> float | None:
        return _median([one.engine_s for one in self.tries])


class Bench:
    """The server, what is true of it, and where the tools' files go."""

    def __init__(self, server: ReferenceServer, true_tok_per_s: float, folder: Path) -> None:
        self._server, self._true, self._folder = server, true_tok_per_s, folder
        self._runs = 0

    def row(self, tool: str, setting: Setting, *, rounds: int, is_default: bool) -> Row:
        """Measure so often; a setting that is not a default only until it was wrong once."""
        tries: list[Try] = []
        while len(tries) < rounds and (is_default or all(one.is_right for one in tries)):
            print(f"{tool}, {setting.said()}: {len(tries) + 1} of {rounds} …", file=sys.stderr, flush=True)
            tries.append(self._try(tool, setting))
        return Row(tool, setting.said(), is_default, tries)

    def _try(self, tool: str, setting: Setting) -> Try:
        self._runs += 1
        since = self._server.truth()["requests"]
        load = Load(
            url=self._server.url,
            engine="openai",
            model=SCRIPT.model,
            users=USERS.count,
            requests=0,
            input_tokens=64,
            output_tokens=USERS.most_tokens,
            folder=self._folder / str(self._runs),
        )
        try:
            reading, spent = measure(PEERS[tool], setting.apply(load, setting.amount))
        except ToolFailed as failure:
            return Try(None, None, None, str(failure))
        self._settle()
        rate = reading.output_tok_per_s
        engine_s = busy_s(self._server.stamps(), since=since)
        return Try(None if rate is None else rate / self._true, engine_s, spent.wall_s)

    def _settle(self) -> None:
        while self._server.truth()["running"]:
            time.sleep(0.1)


def busy_s(stamps: Stamps, *, since: int) -> float | None:
    """From the arrival of request `since` to the last write for it or a later one."""
    writes_s = stamps.write_s[stamps.first[since] :]
    return float(writes_s.max() - stamps.arrival_s[since:].min()) if len(writes_s) else None


def shortest(bench: Bench, begun: Row, setting: Setting, *, rounds: int) -> Iterator[Row]:
    """Halve a setting that is right until it is not; double one that is not until it is, or until LONGEST_S."""
    factor = 0.5 if begun.is_right else 2.0
    row = begun
    while row.is_right == begun.is_right and (row.engine_s or LONGEST_S) * factor <= LONGEST_S:
        setting = setting.times(factor)
        if setting.amount < setting.least:
            return
        row = bench.row(begun.tool, setting, rounds=rounds, is_default=False)
        yield row


def main() -> None:
    """Measure, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tools", default=",".join(DEFAULTS), help=f"some of {', '.join(DEFAULTS)}")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"runs a setting (default: {ROUNDS})")
    parser.add_argument("--defaults-only", action="store_true", help="look for no shorter or longer setting")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything as JSON")
    asked = parser.parse_args()
    true_tok_per_s = truth(SCRIPT, USERS, open_s=OPEN_S)["output_tok_per_s"]
    rows: list[Row] = []
    missing: dict[str, str] = {}
    tools = [tool for tool in DEFAULTS if tool in asked.tools.split(",") and _is_there(tool, missing)]
    with tempfile.TemporaryDirectory(prefix="breakeven-precision-") as folder, ReferenceServer(SCRIPT) as server:
        bench = Bench(server, true_tok_per_s, Path(folder))
        for tool in tools:
            default = bench.row(tool, DEFAULTS[tool], rounds=asked.rounds, is_default=True)
            rows.append(default)
            if asked.defaults_only:
                continue
            begun, setting = default, DEFAULTS[tool]
            if tool == OURS:
                begun, setting = bench.row(tool, WINDOW, rounds=asked.rounds, is_default=False), WINDOW
                rows.append(begun)
            rows.extend(shortest(bench, begun, setting, rounds=asked.rounds))
    _print(rows, true_tok_per_s)
    for tool, why in missing.items():
        print(f"{tool}: not installed: {why}")
    if asked.json is not None:
        asked.json.write_text(json.dumps(_document(rows, missing, true_tok_per_s), indent=1) + "\n")


def _is_there(tool: str, missing: dict[str, str]) -> bool:
    try:
        PEERS[tool].prepare()
    except Unavailable as reason:
        missing[tool] = str(reason)
    return tool not in missing


def _print(rows: Sequence[Row], true_tok_per_s: float) -> None:
    ours_s = next((row.engine_s for row in rows if row.tool == OURS), None)
    print(f"true throughput in the long run: {true_tok_per_s:,.0f} tok/s\n")
    print("| tool | setting | engine s | of ours | wall s | read / true | within 3 % |")
    print("|---|---|--:|--:|--:|---|---|")
    for row in rows:
        reads = ", ".join("–" if one.read is None else f"{one.read:.3f}" for one in row.tries)
        share = None if row.engine_s is None or not ours_s else row.engine_s / ours_s
        wall_s = _median([one.wall_s for one in row.tries])
        setting = row.setting + (" (default)" if row.is_default else "")
        cells = (_text(row.engine_s, "{:.1f}"), _text(share, "{:.1f}×"), _text(wall_s, "{:.1f}"))
        right = f"{sum(one.is_right for one in row.tries)} of {len(row.tries)}"
        print(f"| {row.tool} | {setting} |", " | ".join(cells), f"| {reads} | {right} |")
        for why in dict.fromkeys(one.why for one in row.tries if one.why):
            print(f"{row.tool}: {why}", file=sys.stderr)


def _median(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


def _text(value: float | None, form: str) -> str:
    return "–" if value is None else form.format(value)


def _document(rows: Sequence[Row], missing: dict[str, str], true_tok_per_s: float) -> dict[str, Any]:
    tools = dict.fromkeys(row.tool for row in rows)
    return {
        "format": 1,
        "date": wall_now().isoformat(),
        "machine": host_facts(),
        "versions": {tool: PEERS[tool].version() for tool in tools},
        "true_tok_per_s": true_tok_per_s,
        "rows": [row._asdict() | {"tries": [one._asdict() for one in row.tries]} for row in rows],
        "missing": missing,
    }


if __name__ == "__main__":
    main()
