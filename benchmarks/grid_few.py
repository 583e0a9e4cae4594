"""How the test of three or four nodes does, on fleets with known truth: false alarms, and weak nodes that are found.

Run it as `nice python benchmarks/grid_few.py`; `--fleets` says how many fleets a cell has. docs/GRID.md has the table.
Seeded: the same figures each time.
"""

import argparse
from typing import Final

import numpy as np
from grid_fleets import SC22_SD, jobs_of, silicon

from breakeven.fleet.inspect import FALSE_SHARE
from breakeven.fleet.scores import scores
from breakeven.fleet.spread import false_discovery

SEED: Final = 16
SLOWER: Final = (1.0, 1.05, 1.25, 1.5, 2.0)
"""How many times slower one node of each fleet is; 1: none is."""
SPREADS: Final = (0.01, 0.03, SC22_SD)


def cell(nodes: int, jobs: int, sd: float, slower: float, *, fleets: int) -> tuple[float, float]:
    """Share of fleets whose slow node is called, and of fleets where a healthy one is."""
    rng = np.random.default_rng([SEED, nodes, jobs, round(1000 * sd), round(100 * slower)])
    slow = np.tile(np.arange(nodes) == 0, fleets) & (slower > 1)
    theta = silicon(rng, nodes * fleets, sd) - np.log(slower) * slow
    found = scores(jobs_of(rng, theta, np.repeat(np.arange(fleets), nodes), np.full(nodes * fleets, jobs)))
    p = found.p_weak
    called = np.zeros(len(found), dtype=bool)
    for rows in np.split(np.argsort(found.stratum, kind="stable"), fleets):
        called[rows] = false_discovery(p[rows], FALSE_SHARE)
    healthy = np.unique(found.stratum[called & ~slow[found.node]])
    return float(called[slow[found.node]].mean()) if slower > 1 else 0.0, len(healthy) / fleets


def row(nodes: int, jobs: int, sd: float, *, fleets: int) -> str:
    """One line of the table."""
    told = [(slower, *cell(nodes, jobs, sd, slower, fleets=fleets)) for slower in SLOWER]
    cells = [
        f"{100 * found:.0f} / {100 * wrong:.1f}" if slower > 1 else f"{100 * wrong:.1f}"
        for slower, found, wrong in told
    ]
    return f"{nodes} | {jobs} | {100 * sd:.0f} % | {' | '.join(cells)}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fleets", type=int, default=2000, metavar="N")
    fleets = parser.parse_args().fleets
    print("| nodes | jobs each | spread |", " | ".join(f"{one:g} x" if one > 1 else "none" for one in SLOWER), "|")
    print("|---|---|---|" + "---|" * len(SLOWER))
    for nodes in (3, 4):
        for jobs in (1, 3):
            for sd in SPREADS:
                print(f"| {row(nodes, jobs, sd, fleets=fleets)} |", flush=True)


if __name__ == "__main__":
    main()
