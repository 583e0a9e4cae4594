"""The scheduler against real engines: step times from the levels of 1 and 10 users, the other levels predicted.

    python benchmarks/predict_embedded.py                      # the stored runs of examples/cpu-llamacpp-vs-vllm
    breakeven run --users 1,5,10,50,100 --repeats 3            # or measure the embedded engine here
    python benchmarks/predict_embedded.py runs/…
    python benchmarks/predict_embedded.py --open               # its open loops, measured here: 4 minutes

A step takes o + d * users answering + p * prompt tokens read. The three are fitted, for each round of the run alone, so
that the simulated levels of 1 and 10 users have the measured throughput, TTFT and TPOT (least squares of logs).
The interval is that of one more round: t of the rounds' predictions, 90 %, with requests in time for the step that
begins as the answer ends and without. Inside says how many of the rounds measured at the predicted load it holds.
docs/PREDICTION.md has the table.

After it stands how many requests got their first token by the first step that ended after they were sent: the simulated
engine takes every one on a step later.

With --open the embedded engine is measured in a closed loop of CLOSED users and then at rates that are SHARES of what
that gave, fixed requests; `predict --from` the first run is held against the second.
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any, Final, NamedTuple

import numpy as np
from scipy import optimize
from scipy.stats import t as student

from breakeven.app.runs import read_run
from breakeven.metrics.level import summarise_level
from breakeven.metrics.summary import LevelSummary, RunSummary
from breakeven.predict.own import machine
from breakeven.predict.replica import Engine
from breakeven.predict.run import machine_run
from breakeven.predict.scheduler import LengthsOf, Load, simulate
from breakeven.record import Record
from breakeven.store.folder import RunFolder
from breakeven.units import US_PER_S
from breakeven.workload.draw import Draws

EXAMPLES: Final = Path(__file__).parents[1] / "examples" / "cpu-llamacpp-vs-vllm"
FITTED_ON: Final = (1, 10)
FIGURES: Final = {
    "tok/s": lambda level: level.output_tok_per_s.value,
    "TTFT p50": lambda level: level.of("ttft_s").p50.value,
    "TPOT p50": lambda level: level.of("tpot_s").p50.value,
}
LATE_S: Final = 0.001
"""From an answer to the next request: just too late for the step that begins then; with 0 all are in time."""
APART_S: Final = 0.02
"""Tokens that come so much later than the one before are of another step; those of one are handed over one by one."""
CLOSED: Final = (1, 8)
SHARES: Final = (0.3, 0.6, 0.8)
FIXED: Final = ("--workload", "fixed", "--input-tokens", "64", "--output-tokens", "32", "--set", "slots=64")
OPEN_FIGURES: Final = (("ttft_s", "p50"), ("ttft_s", "p95"), ("tpot_s", "p50"), ("tpot_s", "p95"), ("e2e_s", "p50"))
START: Final = (0.02, 0.004, 0.002)
"""Of o, d and p, in seconds."""


class Measured(NamedTuple):
    """A run, by round."""

    levels: dict[tuple[int, int], LevelSummary]
    """By users and round."""
    lengths: LengthsOf
    """Prompts and answers as those of the levels that are fitted on, drawn from their requests."""

    @property
    def rounds(self) -> list[int]:
        return sorted({repeat for _, repeat in self.levels})

    @property
    def users(self) -> list[int]:
        return sorted({users for users, _ in self.levels})


def read(path: Path) -> Measured:
    levels, seen = {}, []
    for facts, records in RunFolder.open(path).levels():
        levels[facts.users or 0, facts.repeat] = summarise_level(facts, records)
        if facts.users in FITTED_ON:
            seen += [record for record in records if record.k and record.status == "done"]
    return Measured(levels, drawn_from(seen))


def drawn_from(seen: Sequence[Record]) -> LengthsOf:
    pairs = [(record.input_tokens or 1, record.output_tokens or 1) for record in seen]
    draws = Draws(0, purpose="pair")
    return lambda user, k: pairs[int(draws.unit(user, k) * len(pairs))]


def predicted(step: Sequence[float], lengths: LengthsOf, *, users: int, travel_s: float = LATE_S) -> LevelSummary:
    o, d, p = step
    engine = Engine(lambda tokens, _context, answering, _cached: o + d * answering + p * tokens)
    return summarise_level(*simulate(engine, Load(lengths, users=users, travel_s=travel_s)))


def fitted(measured: Measured, repeat: int) -> tuple[float, ...]:
    known = {users: measured.levels.get((users, repeat)) for users in FITTED_ON}
    if any(level is None or of(level) is None for level in known.values() for of in FIGURES.values()):
        raise SystemExit(f"needs the levels of {' and '.join(map(str, FITTED_ON))} users with answers in each round")

    def misses(logs: Sequence[float]) -> float:
        steps = np.exp(logs)
        levels = {users: predicted(steps, measured.lengths, users=users) for users in known}
        return sum(np.log(of(levels[users]) / of(known[users])) ** 2 for users in known for of in FIGURES.values())

    found = optimize.minimize(misses, np.log(START), method="Nelder-Mead", options={"xatol": 1e-3, "fatol": 1e-5})
    return tuple(np.exp(found.x))


class Cell(NamedTuple):
    """One figure at one load: as measured in each round, and as predicted from each round."""

    seen: list[float]
    expected: list[float]
    in_time: list[float]
    """As expected where every request is in time for the step that begins: two levels do not tell which it is."""

    @property
    def mean(self) -> float:
        return float(np.exp(np.log(self.expected).mean()))

    def ends(self) -> tuple[float, float] | None:
        """90 % of where one more round would lie; None where one round alone was measured."""
        if len(self.expected) < 2:
            return None
        both = [*map(_ends, (self.expected, self.in_time))]
        return min(low for low, _ in both), max(high for _, high in both)

    def row(self) -> str:
        true, ends = float(np.exp(np.log(self.seen).mean())), self.ends()
        cells = f"{true:.3g} | {self.mean:.3g} | {self.mean / true - 1:+.0%} |"
        if ends is None:
            return f"{cells} | |"
        inside = sum(ends[0] <= one <= ends[1] for one in self.seen)
        return f"{cells} {ends[0]:.3g} … {ends[1]:.3g} | {inside} of {len(self.seen)} |"


def _ends(rounds: Sequence[float]) -> tuple[float, float]:
    logs = np.log(rounds)
    half = student.ppf(0.95, len(logs) - 1) * stdev(logs) * (1 + 1 / len(logs)) ** 0.5
    return float(np.exp(logs.mean() - half)), float(np.exp(logs.mean() + half))


Cells = dict[tuple[int, str], Cell]
"""By users and figure."""


def table(path: Path) -> Cells:
    measured = read(path)
    steps = [fitted(measured, repeat) for repeat in measured.rounds]
    o, d, p = (1e3 * fmean(values) for values in zip(*steps, strict=True))
    print(f"\n{path.name}: a step takes {o:.1f} ms + {d:.2f} ms a user + {p:.2f} ms a prompt token\n")
    print("| users | figure | measured | predicted | error | 90 % interval | inside |\n|---|---|---|---|---|---|---|")
    cells: Cells = {}
    for users in measured.users:
        late, soon = (
            [predicted(one, measured.lengths, users=users, travel_s=travel_s) for one in steps]
            for travel_s in (LATE_S, 0.0)
        )
        for name, of in FIGURES.items():
            seen = [of(measured.levels[users, one]) for one in measured.rounds]
            if None in seen:
                print(f"| {users} | {name} | – no answer ended in the window | | | | |")
                continue
            cells[users, name] = Cell(seen, [of(one) for one in late], [of(one) for one in soon])
            print(f"| {users}{' (fitted)' if users in FITTED_ON else ''} | {name} | {cells[users, name].row()}")
    return cells


def in_time(path: Path) -> None:
    """Of the requests of each level those that the step after the one in whose tokens they were sent gave a token."""
    print("\n| users | round | requests | first token by the first step | handed over in, of a step |")
    print("|---|---|---|---|---|")
    for facts, records in (level for level in RunFolder.open(path).levels() if level[0].users != 1):
        asked = [one for one in records if one.chunk_us]
        came = [one.sent_s + np.frombuffer(one.chunk_us, dtype="<u4").cumsum() / US_PER_S for one in asked]
        tokens = np.sort(np.concatenate(came))
        apart = np.flatnonzero(np.diff(tokens) > APART_S)
        begins, ends = tokens[[0, *(apart + 1)]], tokens[[*apart, -1]]
        later = [
            int(np.searchsorted(begins, at[0], side="right") - np.searchsorted(begins, one.due_s, side="right"))
            for one, at in zip(asked, came, strict=True)
            if one.k and one.due_s >= (facts.open_s or 0.0)
        ]
        share = np.median((ends - begins)[:-1] / np.diff(begins))
        soon = sum(steps <= 1 for steps in later)
        print(f"| {facts.users} | {facts.repeat + 1} | {len(later)} | {soon} ({soon / len(later):.0%}) | {share:.1%} |")


def run_here(out: str, *load: str) -> RunSummary:
    """A run of the embedded engine on this machine."""
    words = [sys.executable, "-m", "breakeven", "run", *FIXED, *load, "--out", out]
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
    return read_run(max(Path(out).iterdir()))


def open_loops() -> None:
    """The embedded engine at rates, against what its closed loop foretells."""
    with tempfile.TemporaryDirectory() as out:
        closed = run_here(out, "--users", ",".join(map(str, CLOSED)), "--duration", "20s")
        most = max(level.req_per_s.value or 0.0 for level in closed.levels)
        rates = tuple(float(f"{most * share:.2g}") for share in SHARES)
        seen = run_here(out, "--rate", ",".join(map(str, rates)), "--arrivals", "poisson", "--duration", "40s")
        after = run_here(out, "--users", str(CLOSED[-1]), "--duration", "15s")
    found = machine(closed)
    if found is None:
        raise SystemExit("the closed loop tells of fewer than two numbers of users")
    told = machine_run(closed, found, rates=rates)
    speeds = (closed.levels[-1].output_tok_per_s.value, after.levels[0].output_tok_per_s.value)
    print(
        f"{CLOSED[-1]} users got {speeds[0] or 0:.3g} tok/s before the open loops and {speeds[1] or 0:.3g} after them\n"
    )
    print("| req/s | figure | measured | predicted | error | 95 % interval | inside |\n|---|---|---|---|---|---|---|")
    for rate, is_so, expected in zip(rates, seen.levels, told.levels, strict=True):
        for name, at in OPEN_FIGURES:
            true, mean = is_so.of(name).at(at).value, expected.of(name).at(at)
            if true is None or mean.value is None:
                print(f"| {rate:g} | {name} {at} | – | – | | | |")
                continue
            low, high = mean.ci95
            inside = low is not None and low <= true and (high is None or true <= high)
            ends = f"{low or 0:.3g} … {'–' if high is None else format(high, '.3g')}"
            print(
                f"| {rate:g} | {name} {at} | {true:.3g} | {mean.value:.3g} | {mean.value / true - 1:+.0%} | {ends} "
                f"| {'yes' if inside else 'no'} |"
            )


def picture(found: dict[str, Cells], where: Path) -> None:
    """Measured rounds as points, predictions as lines in their intervals; a row an engine, a column a figure."""
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(len(found), len(FIGURES), figsize=(11, 3.2 * len(found)), layout="constrained")
    for row, (engine, cells) in zip(np.atleast_2d(axes), found.items(), strict=True):
        for one, name in zip(row, FIGURES, strict=True):
            _draw(one, {users: cell for (users, of), cell in cells.items() if of == name})
            one.set_title(f"{engine}: {name}{'' if name == 'tok/s' else ', s'}", fontsize=10, loc="left")
            one.set_xlabel("users")
    np.atleast_2d(axes)[-1][-1].legend(frameon=False, fontsize=8)
    figure.savefig(where, dpi=110)


def _draw(axes: Any, cells: dict[int, Cell]) -> None:
    from matplotlib import ticker

    users = list(cells)
    axes.plot(users, [cell.mean for cell in cells.values()], color="#0072b2", label="predicted")
    ends = [cell.ends() for cell in cells.values()]
    if all(ends):
        axes.fill_between(users, *zip(*ends, strict=True), color="#0072b2", alpha=0.15, linewidth=0, label="90 %")
    for is_fitted, colour, label in ((True, "#444b57", "measured, fitted on"), (False, "#d55e00", "measured")):
        points = [(n, one) for n, cell in cells.items() if (n in FITTED_ON) == is_fitted for one in cell.seen]
        axes.plot(*zip(*points, strict=True), "o", color=colour, markersize=4, label=label)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xticks(users, [str(n) for n in users])
    axes.yaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.minorticks_off()
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#e3e6eb", linewidth=0.8)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="*", type=Path, help="run folders (default: both of the example)")
    parser.add_argument("--png", type=Path, help="draw it into this file")
    parser.add_argument("--open", action="store_true", help="measure open loops of the embedded engine here instead")
    asked = parser.parse_args()
    if asked.open:
        open_loops()
        return
    found = {path.name: table(path) for path in asked.runs or sorted(EXAMPLES.glob("smollm2-*"))}
    if asked.png is not None:
        picture(found, asked.png)
    for path in asked.runs or sorted(EXAMPLES.glob("smollm2-*")):
        print(f"\n{path.name}")
        in_time(path)


if __name__ == "__main__":
    main()
