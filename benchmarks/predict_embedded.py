"""The scheduler against real engines: step times from the levels of 1 and 10 users, the other levels predicted.

    python benchmarks/predict_embedded.py                      # the stored runs of examples/cpu-llamacpp-vs-vllm
    breakeven run --users 1,5,10,50,100 --repeats 3            # or measure the embedded engine here
    python benchmarks/predict_embedded.py runs/…

A step takes o + d * users answering + p * prompt tokens read. The three are fitted, for each round of the run alone, so
that the simulated levels of 1 and 10 users have the measured throughput, TTFT and TPOT (least squares of logs).
The interval is that of one more round: t of the rounds' predictions, 90 %. Inside says how many of the rounds measured
at the predicted load it holds. docs/PREDICTION.md has the table.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any, Final, NamedTuple

import numpy as np
from scipy import optimize
from scipy.stats import t as student

from breakeven.metrics.level import summarise_level
from breakeven.metrics.summary import LevelSummary
from breakeven.predict.replica import Engine
from breakeven.predict.scheduler import LengthsOf, Load, simulate
from breakeven.record import Record
from breakeven.store.folder import RunFolder
from breakeven.workload.draw import Draws

EXAMPLES: Final = Path(__file__).parents[1] / "examples" / "cpu-llamacpp-vs-vllm"
FITTED_ON: Final = (1, 10)
FIGURES: Final = {
    "tok/s": lambda level: level.output_tok_per_s.value,
    "TTFT p50": lambda level: level.of("ttft_s").p50.value,
    "TPOT p50": lambda level: level.of("tpot_s").p50.value,
}
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


def predicted(step: Sequence[float], lengths: LengthsOf, *, users: int) -> LevelSummary:
    o, d, p = step
    engine = Engine(lambda tokens, _context, answering, _cached: o + d * answering + p * tokens)
    return summarise_level(*simulate(engine, Load(lengths, users=users)))


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

    @property
    def mean(self) -> float:
        return float(np.exp(np.log(self.expected).mean()))

    def ends(self) -> tuple[float, float] | None:
        """90 % of where one more round would lie; None where one round alone was measured."""
        logs = np.log(self.expected)
        if len(logs) < 2:
            return None
        half = student.ppf(0.95, len(logs) - 1) * stdev(logs) * (1 + 1 / len(logs)) ** 0.5
        return self.mean * float(np.exp(-half)), self.mean * float(np.exp(half))

    def row(self) -> str:
        true, ends = float(np.exp(np.log(self.seen).mean())), self.ends()
        cells = f"{true:.3g} | {self.mean:.3g} | {self.mean / true - 1:+.0%} |"
        if ends is None:
            return f"{cells} | |"
        inside = sum(ends[0] <= one <= ends[1] for one in self.seen)
        return f"{cells} {ends[0]:.3g} … {ends[1]:.3g} | {inside} of {len(self.seen)} |"


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
        levels = [predicted(one, measured.lengths, users=users) for one in steps]
        for name, of in FIGURES.items():
            seen = [of(measured.levels[users, one]) for one in measured.rounds]
            if None in seen:
                print(f"| {users} | {name} | – no answer ended in the window | | | | |")
                continue
            cells[users, name] = Cell(seen, [of(one) for one in levels])
            print(f"| {users}{' (fitted)' if users in FITTED_ON else ''} | {name} | {cells[users, name].row()}")
    return cells


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
    asked = parser.parse_args()
    found = {path.name: table(path) for path in asked.runs or sorted(EXAMPLES.glob("smollm2-*"))}
    if asked.png is not None:
        picture(found, asked.png)


if __name__ == "__main__":
    main()
