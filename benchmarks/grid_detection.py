"""How many planted weak nodes each rule finds, and how many healthy ones it blames, on fleets with known truth.

Run it as `nice python benchmarks/grid_detection.py`; `--fleets` says how many fleets a row has (150). docs/GRID.md has
the table. Seeded: the same figures each time.

A fleet has 40 nodes of five jobs, of which four are weak in the same way. The rules are those of `fleet market`, and
`fleet inspect`, which also calls what is physically impossible. Healthy nodes differ by 3 %, or as SC22 found: by 8 %,
22 % at most.
"""

import argparse
import math
from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np
from grid_fleets import OUTLIER, SC22_SD, Whole, jobs_of, silicon
from numpy.typing import NDArray

from breakeven.fleet.causes import Kind
from breakeven.fleet.inspect import inspect, slow_rows
from breakeven.fleet.rows import Rows
from breakeven.fleet.rules import form_of
from breakeven.fleet.scores import Scores, scores

Mask = NDArray[np.bool_]

SEED: Final = 17
NODES: Final = 40
WEAK: Final = 4
JOBS: Final = 5
SPREADS: Final = {"3 %": 0.03, "8 %, SC22": SC22_SD}
FLAT: Final = ("mean - 10 %", "mean - 20 %", "robust")
CLOCK_MHZ, MEMORY_BYTES, BENCH_BYTES_PER_S = 2700.0, 25.76e9, 0.92e12
PROOF_S: Final = 0.030
"""Of a product of 13,004 rows and columns: 147 TFLOP/s, near what an RTX 4090 has on paper."""


class Planted(NamedTuple):
    """One way to be weak."""

    speed: float
    figures: dict[str, float]
    """Factors of what healthy nodes tell."""
    kinds: tuple[Kind, ...]
    """What `inspect` should call it."""


PLANTED: Final = {
    "10 % slow": Planted(0.90, {}, ("unexplained",)),
    "20 % slow": Planted(0.80, {}, ("unexplained",)),
    "35 % slow": Planted(0.65, {}, ("unexplained",)),
    "1.5 x slower (SC22's outliers)": Planted(1 / OUTLIER, {}, ("unexplained",)),
    "clocked down to 75 %": Planted(0.80, {"sm_clock_mean_mhz": 0.75, "proof_time_s": 1 / 0.75}, ("underclocker",)),
    "RTX 3090 that claims to be a 4090": Planted(
        0.75, {"sm_clock_mean_mhz": 0.98, "proof_time_s": 165.2 / 71.0, "bench_bytes_per_s": 936 / 1008}, ("spoofer",)
    ),
    "RTX 4070 that claims to be a 4090": Planted(
        0.53, {"bench_bytes_per_s": 504 / 1008, "proof_time_s": 165.2 / 58.3, "memory_bytes": 0.5}, ("spoofer",)
    ),
}


def fleets_of(rng: np.random.Generator, planted: Planted, sd: float, fleets: int) -> tuple[Rows, Mask]:
    """Jobs of many fleets, and which nodes are weak."""
    count = fleets * NODES
    weak = np.tile(np.arange(NODES) < WEAK, fleets)
    theta = silicon(rng, count, sd) + math.log(planted.speed) * weak
    usual = {"sm_clock_mean_mhz": CLOCK_MHZ, "memory_bytes": MEMORY_BYTES, "proof_time_s": PROOF_S}
    usual |= {"bench_bytes_per_s": BENCH_BYTES_PER_S}
    noise = {"sm_clock_mean_mhz": 0.015, "proof_time_s": 0.03, "bench_bytes_per_s": 0.01}
    figures = {
        name: value
        * np.where(weak, planted.figures.get(name, 1.0), 1.0)
        * np.exp(rng.normal(0, noise.get(name, 0), count))
        for name, value in usual.items()
    }
    figures |= {name: np.full(count, value) for name, value in {"proof_size": 13004.0}.items()}
    every = np.full(count, JOBS)
    return jobs_of(rng, theta, np.repeat(np.arange(fleets), NODES), every, **figures), weak


def flat(rule: str) -> Callable[[Rows, Scores], Mask]:
    form, number = form_of(rule)

    def called(_rows: Rows, scored: Scores) -> Mask:
        found = np.zeros(len(scored), dtype=bool)
        for place in range(len(scored.strata)):
            mine = scored.stratum == place
            speed = 100 * np.exp(scored.score[mine])
            found[mine] = speed < (form.limit(speed, number, False).value or 0.0)
        return found

    return called


def tested(_rows: Rows, scored: Scores) -> Mask:
    return slow_rows(scored)


def row(name: str, spread: str, fleets: int) -> str:
    planted, sd = PLANTED[name], SPREADS[spread]
    rng = np.random.default_rng([SEED, list(PLANTED).index(name), list(SPREADS).index(spread)])
    rows, weak = fleets_of(rng, planted, sd, fleets)
    scored = scores(rows)
    of: Mask = weak[scored.node]
    cells = [_cell(rule(rows, scored), of) for rule in (*map(flat, FLAT), tested)]
    blamed, right = np.zeros(len(weak), dtype=bool), 0
    for one in inspect(rows).found:
        node = int(one.node[1:])
        right += bool(weak[node] and one.kind in planted.kinds and not blamed[node])
        blamed[node] = True
    found = int((blamed & weak).sum())
    named = f"{100 * right / found:.0f}" if found else "–"
    return " | ".join([name, spread, *cells, _cell(blamed[scored.node], of), named])


def _cell(called: Mask, weak: Mask) -> str:
    """Recall, false alarms among the healthy, and the share of the calls that is wrong, in per cent."""
    wrong = (called & ~weak).sum() / max(1, called.sum())
    return f"{100 * called[weak].mean():.0f} / {100 * called[~weak].mean():.1f} / {100 * wrong:.0f}"


def healthy(spread: str, fleets: int) -> str:
    """A fleet without any weak node: fleets in which somebody is blamed."""
    rng = np.random.default_rng([SEED, 99, list(SPREADS).index(spread)])
    rows, _ = fleets_of(rng, Planted(1.0, {}, ()), SPREADS[spread], fleets)
    scored = scores(rows)
    place: Whole = scored.stratum.astype(np.int64)
    cells = []
    for rule in (*map(flat, FLAT), tested):
        called = rule(rows, scored)
        some = np.bincount(place[called], minlength=fleets) > 0
        cells.append(f"{100 * called.mean():.1f} of nodes, {100 * some.mean():.0f} of fleets")
    blamed = {one.node for one in inspect(rows).found}
    return " | ".join(["none", spread, *cells, f"{100 * len(blamed) / len(scored):.1f} of nodes", "–"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fleets", type=int, default=150, metavar="N")
    fleets = parser.parse_args().fleets
    print("| weak | spread |", " | ".join((*FLAT, "tested", "`fleet inspect`")), "| named right |")
    print("|---|---|" + "---|" * (len(FLAT) + 3))
    for name in PLANTED:
        for spread in SPREADS:
            print("|", row(name, spread, fleets), "|", flush=True)
    for spread in SPREADS:
        print("|", healthy(spread, fleets), "|", flush=True)


if __name__ == "__main__":
    main()
