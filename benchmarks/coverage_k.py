"""How often the interval of k holds, and what the levels that `compare` names make of it: curves with known truth.

Run it as `nice python benchmarks/coverage_k.py`; `--runs` says how many pairs a row (200: ± 3 % of a coverage of 95 %)
and `--only` which shape. docs/COMPARE.md has the table.

Both machines of a pair have curves of one shape with sizes of their own. Each is measured at 1, 5, 10, 50 and 100
users, then at the levels that `compare` names, which makes at most two more on each side.
"""

import argparse
import math
import zlib
from collections.abc import Callable, Sequence
from statistics import median
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from breakeven.compare.figures import k_at_slo
from breakeven.compare.side import make_side
from breakeven.compare.types import Equivalence
from breakeven.metrics.slo import ServiceLevel
from breakeven.metrics.summary import Estimate, LevelSummary, RunFacts, RunSummary

Floats = npt.NDArray[np.float64]
Curve = Callable[[Floats], Floats]
"""Throughput at numbers of users."""

LEVELS: Final = (1, 5, 10, 50, 100)
MOST_MORE: Final = 2
"""Levels that are added to a side."""
SD_LOG: Final = 0.01
"""Sampling error of a level's throughput: its 95 % interval is ± 2 %."""
RUNS: Final = 200
SEED: Final = 1
_LOADS: Final = np.geomspace(1.0, LEVELS[-1], 8001)


def smooth(rng: np.random.Generator) -> Curve:
    """Every user slows the others down a little."""
    half = _about(rng, 8, 80)
    return lambda u: 100 * u / (1 + u / half)


def slots(rng: np.random.Generator) -> Curve:
    """So many are served at full speed, and the rest wait."""
    many = _about(rng, 6, 80)
    return lambda u: 100 * np.minimum(u, many)


def roofline(rng: np.random.Generator) -> Curve:
    """Reading the weights takes a step's time until arithmetic takes longer; a part of the step is neither."""
    ridge, rest = _about(rng, 6, 80), rng.uniform(0, 0.3)
    return lambda u: 100 * u / (rest + (1 - rest) * np.maximum(1, u / ridge))


def falling(rng: np.random.Generator) -> Curve:
    """From some load on the throughput falls."""
    peak, power, half = _about(rng, 12, 70), rng.uniform(0.3, 1.5), rng.uniform(0.5, 3)
    return lambda u: 100 * u / (1 + u / peak / half) / np.maximum(1, u / peak) ** power


def knee(rng: np.random.Generator) -> Curve:
    """Nearly full speed up to some load, and a slow rise from there."""
    at, slope, half = _about(rng, 6, 70), rng.uniform(0.05, 0.5), rng.uniform(100, 500)
    return lambda u: 100 * np.minimum(u, at + slope * (u - at)) / (1 + u / half)


SHAPES: Final = {one.__name__: one for one in (smooth, slots, roofline, falling, knee)}


def _about(rng: np.random.Generator, low: float, high: float) -> float:
    return math.exp(rng.uniform(math.log(low), math.log(high)))


def true_capacity(curve: Curve, floor: float) -> float | None:
    """Greatest throughput up to the load that gives each user the floor; None where no measured load decides it."""
    tput = curve(_LOADS)
    meets = tput / _LOADS >= floor
    if not meets[0] or meets[-1]:
        return None
    return float(tput[: int(np.flatnonzero(~meets)[0])].max())


class Machine:
    """A curve, and what was measured of it so far."""

    def __init__(self, name: str, curve: Curve, rng: np.random.Generator) -> None:
        self.name, self._curve, self._rng = name, curve, rng
        self._levels: dict[int, LevelSummary] = {}
        for users in LEVELS:
            self.measure(users)

    @property
    def more(self) -> int:
        """Levels that were added."""
        return len(self._levels) - len(LEVELS)

    def measure(self, users: int) -> None:
        """One level with its sampling error."""
        value = float(self._curve(np.array([float(users)]))[0]) * math.exp(SD_LOG * self._rng.standard_normal())
        half = math.exp(1.96 * SD_LOG)
        throughput = Estimate(value=value, ci95=(value / half, value * half))
        self._levels[users] = LevelSummary(users=users, status="done", output_tok_per_s=throughput)

    def run(self) -> RunSummary:
        return RunSummary(run=RunFacts(id=self.name), levels=tuple(self._levels[u] for u in sorted(self._levels)))


class Seen(NamedTuple):
    """One k and its interval."""

    held: bool
    half: float
    """root(high / low) - 1; infinite where the interval is open."""
    more: int
    """Levels that both sides have more than at first."""


class Row(NamedTuple):
    """Of all pairs of a shape: before, and after the named levels were measured."""

    before: list[Seen]
    after: list[Seen]


def row(shape: str, *, runs: int, seed: int = SEED, draws: int = 400) -> Row:
    """Pairs whose capacities both lie between the lowest and the highest level."""
    rng = np.random.default_rng((seed, zlib.crc32(shape.encode())))
    found = Row([], [])
    while len(found.before) < runs:
        curves = SHAPES[shape](rng), SHAPES[shape](rng)
        floor = _about(rng, 10, 90)
        a, b = (true_capacity(curve, floor) for curve in curves)
        if a is not None and b is not None:
            machines = [Machine(name, curve, rng) for name, curve in zip("AB", curves, strict=True)]
            before, after = _measured(machines, floor=floor, draws=draws, seed=len(found.before))
            found.before.append(_seen(before, a / b, machines=0))
            found.after.append(_seen(after, a / b, machines=sum(machine.more for machine in machines)))
    return found


def _measured(machines: Sequence[Machine], *, floor: float, draws: int, seed: int) -> tuple[Equivalence, Equivalence]:
    """k from the first levels, and when no more are named or allowed."""
    first = figure = _figure(machines, floor, draws=draws, seed=seed)
    while True:
        by_role = dict(zip("AB", machines, strict=True))
        wanted = [one for one in figure.levels_to_measure_next if by_role[one.role].more < MOST_MORE]
        if not wanted:
            return first, figure
        by_role[wanted[0].role].measure(wanted[0].users)
        figure = _figure(machines, floor, draws=draws, seed=seed)


def _figure(machines: Sequence[Machine], floor: float, *, draws: int, seed: int) -> Equivalence:
    a, b = (
        make_side(machine.run(), role=machine.name, seed=seed, index=index, draws=draws)
        for index, machine in enumerate(machines)
    )
    return k_at_slo(a, b, ServiceLevel(floor_tok_per_s_per_user=floor), unit="tok/s")


def _seen(figure: Equivalence, truth: float, *, machines: int) -> Seen:
    low, high = figure.ci95
    held = (low or 0.0) <= truth <= (math.inf if high is None else high)
    half = math.inf if low is None or high is None else math.sqrt(high / low) - 1
    return Seen(held, half, machines)


def coverage(seen: Sequence[Seen]) -> float:
    """Share of the intervals that hold the truth."""
    return float(np.mean([one.held for one in seen]))


def cells(found: Row) -> list[str]:
    """Coverage and median half width, before and after, and the levels added to both sides together."""
    told = [f"{coverage(seen):.0%} (± {median(one.half for one in seen):.0%})" for seen in found]
    return [*told, f"{np.mean([one.more for one in found.after]):.1f}"]


def main() -> None:
    """Print the table, a row at a time."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=RUNS, help=f"pairs a row (default: {RUNS})")
    parser.add_argument("--only", help="shapes whose name holds this text, such as 'knee'")
    asked = parser.parse_args()
    print("| curves | first levels | named levels added | levels added |")
    print("|---|---|---|---|")
    for shape in SHAPES:
        if asked.only is None or asked.only in shape:
            print(f"| {shape} |", " | ".join(cells(row(shape, runs=asked.runs))), "|", flush=True)


if __name__ == "__main__":
    main()
