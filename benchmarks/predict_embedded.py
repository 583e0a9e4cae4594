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
from typing import Final, NamedTuple

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
    known = {users: measured.levels[users, repeat] for users in FITTED_ON}

    def misses(logs: Sequence[float]) -> float:
        steps = np.exp(logs)
        levels = {users: predicted(steps, measured.lengths, users=users) for users in known}
        return sum(np.log(of(levels[users]) / of(known[users])) ** 2 for users in known for of in FIGURES.values())

    found = optimize.minimize(misses, np.log(START), method="Nelder-Mead", options={"xatol": 1e-3, "fatol": 1e-5})
    return tuple(np.exp(found.x))


def table(path: Path) -> None:
    measured = read(path)
    steps = [fitted(measured, repeat) for repeat in measured.rounds]
    o, d, p = (1e3 * fmean(values) for values in zip(*steps, strict=True))
    print(f"\n{path.name}: a step takes {o:.1f} ms + {d:.2f} ms a user + {p:.2f} ms a prompt token\n")
    print("| users | figure | measured | predicted | error | 90 % interval | inside |\n|---|---|---|---|---|---|---|")
    for users in measured.users:
        levels = [predicted(one, measured.lengths, users=users) for one in steps]
        for name, of in FIGURES.items():
            print(f"| {users}{' (fitted)' if users in FITTED_ON else ''} | {name} |", end=" ")
            print(row([of(measured.levels[users, one]) for one in measured.rounds], [of(one) for one in levels]))


def row(seen: Sequence[float], expected: Sequence[float]) -> str:
    logs = np.log(expected)
    mean, true = float(np.exp(logs.mean())), float(np.exp(np.log(seen).mean()))
    cells = f"{true:.3g} | {mean:.3g} | {mean / true - 1:+.0%} |"
    if len(logs) < 2:
        return f"{cells} | |"
    half = student.ppf(0.95, len(logs) - 1) * stdev(logs) * (1 + 1 / len(logs)) ** 0.5
    low, high = mean * np.exp(-half), mean * np.exp(half)
    return f"{cells} {low:.3g} … {high:.3g} | {sum(low <= one <= high for one in seen)} of {len(seen)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="*", type=Path, help="run folders (default: both of the example)")
    for path in parser.parse_args().runs or sorted(EXAMPLES.glob("smollm2-*")):
        table(path)


if __name__ == "__main__":
    main()
