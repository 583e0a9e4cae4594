"""How often the 95 % intervals of node scores hold, on fleets with known truth.

Run it as `nice python benchmarks/grid_coverage.py`; `--nodes` says how many nodes a cell has in all (4000: ± 0.7 % of a
coverage of 95 %). docs/GRID.md has the table. Seeded: the same figures each time.

Each cell is many fleets of some nodes and jobs. A node's truth is its log speed beside that of the population.
"""

import argparse
from typing import Final, NamedTuple

import numpy as np
from grid_fleets import JOB_SD, OUTLIER, SC22_SD, jobs_of, silicon

from breakeven.fleet.scores import scores

SEED: Final = 16
NODES: Final = (3, 4, 5, 8, 20, 100)
JOBS: Final = (1, 2, 5, 30, 0)
"""Of each node; 0: any number from 1 to 30, each as likely."""
OUTLIERS: Final = 0.05
KINDS: Final = {
    "normal, sd 3 %": (0.03, 0.0),
    "normal, sd 8 %, cut at 22 %": (SC22_SD, 0.0),
    "sd 3 %, 5 % run 1.5 x slower": (0.03, OUTLIERS),
    "sd 8 %, cut at 22 %, 5 % run 1.5 x slower": (SC22_SD, OUTLIERS),
}


class Cell(NamedTuple):
    """What a cell comes to, as shares."""

    holds: float
    holds_slow: float | None
    """Of the slow ones alone."""
    half: float
    """Median half-width of the interval."""
    icc: float | None
    cautions: frozenset[str]
    """Printed in most of its fleets."""


def cell(kind: str, nodes: int, jobs: int, *, total: int) -> Cell:
    rng = np.random.default_rng([SEED, list(KINDS).index(kind), nodes, jobs])
    sd, outliers = KINDS[kind]
    fleets = max(200, total // nodes)
    count = fleets * nodes
    slow = rng.random(count) < outliers
    theta = silicon(rng, count, sd) - np.log(OUTLIER) * slow
    made = np.full(count, jobs) if jobs else rng.integers(1, 31, count)
    found = scores(jobs_of(rng, theta, np.repeat(np.arange(fleets), nodes), made))
    truth, is_slow = theta[found.node], slow[found.node]
    held = (found.low <= truth) & (truth <= found.high)
    share = sd**2 / (sd**2 + JOB_SD**2)
    iccs = [one.icc for one in found.strata if one.icc.low is not None and one.icc.high is not None]
    told = [name for one in found.strata for name in one.cautions]
    return Cell(
        holds=float(held.mean()),
        holds_slow=float(held[is_slow].mean()) if is_slow.any() else None,
        half=float(np.median((found.high - found.low) / 2)),
        icc=float(np.mean([(one.low or 0) <= share <= (one.high or 0) for one in iccs])) if iccs else None,
        cautions=frozenset(name for name in told if told.count(name) > fleets / 2),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, default=4000, metavar="N")
    total = parser.parse_args().nodes
    heads = [f"{jobs} jobs" if jobs > 1 else "1 job" if jobs else "1 to 30" for jobs in JOBS]
    print("| population | nodes |", " | ".join(heads), "| ICC | cautions |")
    print("|---|---|" + "---|" * (len(JOBS) + 2))
    for kind in KINDS:
        for nodes in NODES:
            found = [cell(kind, nodes, jobs, total=total) for jobs in JOBS]
            cells = [_text(one) for one in found]
            known = [one.icc for one in found if one.icc is not None]
            icc = f"{100 * min(known):.0f} to {100 * max(known):.0f}" if known else "–"
            always = frozenset.intersection(*(one.cautions for one in found))
            some = [f"{name} ({heads[i]})" for i, one in enumerate(found) for name in sorted(one.cautions - always)]
            print(
                f"| {kind} | {nodes} |",
                " | ".join(cells),
                f"| {icc} | {', '.join([*sorted(always), *some])} |",
                flush=True,
            )


def _text(one: Cell) -> str:
    slow = "" if one.holds_slow is None else f", slow {100 * one.holds_slow:.0f}"
    return f"{100 * one.holds:.1f}{slow} (± {100 * one.half:.1f} %)"


if __name__ == "__main__":
    main()
