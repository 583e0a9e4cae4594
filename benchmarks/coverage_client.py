"""How often intervals hold end to end: the real command against the reference server's scripts, whose truth is known.

`python benchmarks/coverage_client.py` takes about nine minutes and wants the machine for itself. All times are scaled
down (answers of 0.4 s, windows of 8 s), so that many windows fit: each row is one `breakeven run` of so many repeats,
all rows at once, each with a server of its own. The truth is the same script's long run, by simulation, with turns that
take as much longer as this run's were found to; beside what the client's intervals hold stands what those of
simulated windows of that length hold. docs/STEADY.md has the tables.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from coverage import ABOUT_INTERVALS, FIGURES, GATED, failing, holds, intervals
from msgspec.structs import replace
from scripted import Users, level, lost_s, truth

from breakeven.app.runs import read_run
from breakeven.cautions import judged_level
from breakeven.client.reference import ReferenceServer, Settings
from breakeven.clock import wall_now
from breakeven.metrics.summary import LevelSummary
from breakeven.store.folder import RunFolder
from breakeven.telemetry.host import host_facts

WARM_UP_S: Final = 2.0
WINDOW_S: Final = 8.0
WINDOWS: Final = 40
SIMULATED: Final = 100


class Row(NamedTuple):
    """A script and its users."""

    settings: Settings
    users: Users


def _row(lengths: str, *, most: int, think_s: float = 0.0, **script: Any) -> Row:
    settings = Settings(ttft_s=0.05, ttft_sigma=0.3, itl_s=0.01, noise=0.05, lengths=lengths, **script)
    return Row(settings, Users(count=20, most_tokens=most, think_s=think_s))


UNIFORM: Final = "uniform:8,56"
ROWS: Final = {
    "fixed lengths": _row("32", most=32),
    "uniform lengths": _row(UNIFORM, most=56),
    "log-normal lengths": _row("lognormal:28,0.5", most=200),
    "bimodal lengths": _row("0.55*uniform:8,12+0.45*uniform:49,68", most=68),
    "uniform lengths, 8 slots": _row(UNIFORM, most=56, slots=8),
    "uniform lengths, 0.3 s of thinking": _row(UNIFORM, most=56, think_s=0.3),
    "uniform lengths, speed wavers by 10 %, τ 0.05 s": _row(UNIFORM, most=56, wave=0.1, tau_s=0.05),
    "uniform lengths, speed wavers by 10 %, τ 1 s": _row(UNIFORM, most=56, wave=0.1, tau_s=1.0),
}
"""Answers have 32 tokens on average, one each 10 ms, and hardly any fewer than 8: what a server on a shared core is
late is then little of an answer."""


class Found(NamedTuple):
    """What the intervals of one row's windows hold."""

    held: dict[str, float]
    half: dict[str, float]
    """Median half-width relative to the truth; infinite where most are open."""
    alarms: dict[str, float]
    cautions: dict[str, float]
    windows: int


def simulated(name: str, turn_s: float, windows: int, window_s: float) -> tuple[dict[str, float], Found]:
    """The truth of a row whose turns take so much longer than the script, and what simulated windows of it hold."""
    row = _seeded(name)
    row = row._replace(users=row.users._replace(turn_s=turn_s))
    true = truth(row.settings, row.users, open_s=WARM_UP_S)
    scripts = (replace(row.settings, seed=row.settings.seed + 1 + run) for run in range(windows))
    levels = [judged_level(*level(one, row.users, open_s=WARM_UP_S, window_s=window_s)) for one in scripts]
    return true, judge(true, levels)


def _seeded(name: str) -> Row:
    row = ROWS[name]
    return row._replace(settings=replace(row.settings, seed=zlib.crc32(name.encode())))


def judge(true: dict[str, float], levels: Sequence[LevelSummary]) -> Found:
    """Hold every level's intervals to the truth, and every level to the one before it."""
    ends = [intervals(one) for one in levels]
    cautions = [caution.id for one in levels for caution in one.cautions]
    return Found(
        held={name: float(np.mean([holds(each[name], value) for each in ends])) for name, value in true.items()},
        half={
            name: float(np.median([each[name][1] - each[name][0] for each in ends])) / 2 / value
            for name, value in true.items()
        },
        alarms=failing(levels),
        cautions={one: cautions.count(one) / len(levels) for one in sorted(set(cautions) & ABOUT_INTERVALS)},
        windows=len(levels),
    )


class Measured(NamedTuple):
    """What came of one row's run."""

    levels: list[LevelSummary]
    server_late_p99_s: float | None
    turn_s: float
    """What a turn took beyond the script."""


def measured(names: Sequence[str], *, windows: int, window_s: float) -> dict[str, Measured]:
    """One `breakeven run` a row, all at once."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="breakeven-coverage-")))
        runs, servers = {}, {}
        for number, name in enumerate(names):
            row = _seeded(name)
            servers[name] = server = stack.enter_context(ReferenceServer(row.settings))
            out = folder / str(number)
            runs[name] = (subprocess.Popen(_argv(row, server.url, out, windows, window_s), **_quiet()), out)
        for name, code in [(name, process.wait()) for name, (process, _) in runs.items()]:
            if code:
                raise SystemExit(f"{name}: breakeven run ended with code {code}")
        return {name: _measured(_seeded(name), next(out.iterdir()), servers[name]) for name, (_, out) in runs.items()}


def _measured(row: Row, run: Path, server: ReferenceServer) -> Measured:
    records = [kept for _, kept in RunFolder(run).levels()]
    turn_s = lost_s(records, server.stamps(), think_s=row.users.think_s)
    return Measured(list(read_run(run).levels), server.truth()["lateness_p99_s"], turn_s)


def _quiet() -> dict[str, Any]:
    return {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "stdin": subprocess.DEVNULL}


def _argv(row: Row, url: str, out: Path, windows: int, window_s: float) -> list[str]:
    return [
        *(sys.executable, "-m", "breakeven", "run", "--url", url, "--engine", "openai", "--model", "truth"),
        *("--users", str(row.users.count), "--repeats", str(windows), "--duration", f"{window_s}s"),
        *("--warmup", f"{WARM_UP_S}s", "--ramp", f"{row.users.ramp_s}s", "--think", f"{row.users.think_s}s"),
        *("--workload", "chat", "--output-tokens", str(row.users.most_tokens), "--out", str(out)),
    ]


def main() -> None:
    """Measure, simulate, print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--windows", type=int, default=WINDOWS, help=f"levels a row (default: {WINDOWS})")
    parser.add_argument("--window", type=float, default=WINDOW_S, help=f"their length in s (default: {WINDOW_S:g})")
    parser.add_argument("--simulated", type=int, default=SIMULATED, help=f"simulated ones (default: {SIMULATED})")
    parser.add_argument("--only", help="rows whose name holds this text")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything as JSON")
    asked = parser.parse_args()
    names = [name for name in ROWS if asked.only is None or asked.only in name]
    runs = measured(names, windows=asked.windows, window_s=asked.window)
    turns_s = [runs[name].turn_s for name in names]
    with ProcessPoolExecutor() as pool:
        count = len(names)
        known = list(pool.map(simulated, names, turns_s, [asked.simulated] * count, [asked.window] * count))
    found = {
        name: (true, judge(true, runs[name].levels), without)
        for name, (true, without) in zip(names, known, strict=True)
    }
    _print(found)
    if asked.json is not None:
        asked.json.write_text(json.dumps(_document(found, runs, vars(asked)), indent=1) + "\n")


Rows = dict[str, tuple[dict[str, float], Found, Found]]


def _print(found: Rows) -> None:
    print("| loop |", " | ".join(FIGURES.values()), "| caution |")
    print("|---|" + "---|" * (len(FIGURES) + 1), flush=True)
    for name, (_, ours, without) in found.items():
        cells = [f"{ours.held[one]:.0%} · {without.held[one]:.0%} ({_half(ours.half[one])})" for one in FIGURES]
        cautions = ", ".join(f"{one} {share:.0%}" for one, share in ours.cautions.items())
        print(f"| {name} |", " | ".join(cells), f"| {cautions} |")
    print("\n| loop |", " | ".join(GATED), "|")
    print("|---|" + "---|" * len(GATED))
    for name, (_, ours, without) in found.items():
        print(f"| {name} |", " | ".join(f"{ours.alarms[one]:.1%} · {without.alarms[one]:.1%}" for one in GATED), "|")


def _half(share: float) -> str:
    return f"± {share:.1%}" if np.isfinite(share) else "open"


def _document(found: Rows, runs: dict[str, Measured], settings: dict[str, Any]) -> dict[str, Any]:
    lags_s = {name: [one.client.lag_p99_s for one in run.levels] for name, run in runs.items()}
    return {
        "format": 1,
        "date": wall_now().isoformat(),
        "machine": host_facts(),
        "settings": {name: str(value) for name, value in settings.items()},
        "rows": {
            name: {
                "truth": true,
                "client": _finite(ours._asdict()),
                "simulated": _finite(without._asdict()),
                "client_lag_p99_s": max(filter(None, lags_s[name]), default=None),
                "server_late_p99_s": runs[name].server_late_p99_s,
                "turn_s": runs[name].turn_s,
                "read": {one: _reads(runs[name].levels, one) for one in true},
            }
            for name, (true, ours, without) in found.items()
        },
    }


def _reads(levels: Sequence[LevelSummary], figure: str) -> list[float | None]:
    """What each window read."""
    if figure == "output_tok_per_s":
        return [one.output_tok_per_s.value for one in levels]
    metric, which = figure.rsplit("_", 1)
    return [one.of(metric).at(which).value for one in levels]


def _finite(found: dict[str, Any]) -> dict[str, Any]:
    return found | {"half": {name: half if np.isfinite(half) else None for name, half in found["half"].items()}}


if __name__ == "__main__":
    main()
