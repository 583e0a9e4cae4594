"""How far the simulated percentiles lie from measured ones: two real engines on a CPU, rounds of several loads each.

    python benchmarks/predict_tails.py [RUN…]

Reads the stored runs of examples/cpu-llamacpp-vs-vllm (2026-11-23), or runs of one's own. The step time is that which
`machine` finds from the levels of 1 and 10 users; percentile / median of TTFT, TPOT and E2E at every load by the
scheduler, with requests of the run's middle lengths, as `breakeven predict --from` has it, against that of each round.
Markdown on stdout, and src/breakeven/reference/tails.csv: how many times
as far answers stray as simulated (median), and the factor that holds 90 % of the rounds around what the
other engine says of them.
"""

import csv
import math
import sys
from collections import defaultdict
from pathlib import Path
from statistics import median
from typing import Final, NamedTuple

import numpy as np
from msgspec.structs import replace

from breakeven.app.runs import read_run
from breakeven.predict.own import levels, machine
from breakeven.predict.requests import alike
from breakeven.predict.tails import PERCENTILES, STRAYED, ratios
from breakeven.predict.validate import factor

HERE: Final = Path(__file__).parents[1]
EXAMPLES: Final = sorted((HERE / "examples" / "cpu-llamacpp-vs-vllm").glob("smollm2-*"))
OUT: Final = HERE / "src" / "breakeven" / "reference" / "tails.csv"
FITTED_ON: Final = (1, 10)
Misses = dict[tuple[str, str], list[float]]
"""log(measured ratio / simulated ratio) by figure and percentile."""


def misses(path: Path) -> Misses:
    """Of a run; a line a load on the way."""
    run = read_run(path)
    found = machine(replace(run, levels=tuple(level for level in run.levels if level.users in FITTED_ON)))
    seen = levels(run)
    lengths = (round(median(one.input_tokens for one in seen)), round(median(one.output_tokens for one in seen)))
    if found is None:
        raise SystemExit(f"{path} has no levels of 1 and 10 users")
    made: Misses = defaultdict(list)
    for users in sorted({level.users for level in run.levels if level.users}):
        middle = found.of(users=users, input_tokens=lengths[0], output_tokens=lengths[1])
        said = ratios(found.steps.step_s, middle, alike(*lengths), users=users, kv_tokens=None)
        cells = []
        for name in STRAYED:
            for at in PERCENTILES:
                rounds = [level.of(name) for level in run.levels if level.users == users]
                true = [one.at(at).value / one.p50.value for one in rounds if one.at(at).value and one.p50.value]
                made[name, at] += [math.log(one / said[name][at]) for one in true]
                if at != "p90":
                    cells.append(f"{np.mean(true):.2f} {said[name][at]:.2f}" if true else f"– {said[name][at]:.2f}")
        print(f"| {run.run.engine.get('name')} | {users} | {' | '.join(cells)} |")
    return made


class Row(NamedTuple):
    """What the misses of some engines say of another's."""

    more: float
    """Median of measured / simulated."""
    factor: float
    """Of the 90 % interval around that."""

    def holds(self, error: float) -> bool:
        return abs(error - math.log(self.more)) <= math.log(self.factor)


def row(errors: list[float]) -> Row | None:
    middle = median(errors)
    width = factor([error - middle for error in errors])
    return None if width is None else Row(math.exp(middle), width)


def main() -> None:
    print("| engine | users | TTFT p95 | p99 | TPOT p95 | p99 | E2E p95 | p99 |\n|---|---|---|---|---|---|---|---|")
    runs = [misses(path) for path in map(Path, sys.argv[1:] or EXAMPLES)]
    print("\n| figure | percentile | rounds | measured / simulated | 90 % | by the other engine alone | inside |")
    print("|---|---|---|---|---|---|---|")
    with OUT.open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(("figure", "percentile", "more", "factor", "points"))
        for key in ((name, at) for name in STRAYED for at in PERCENTILES):
            everything = [error for run in runs for error in run[key]]
            pairs = [(run, [error for other in runs if other is not run for error in other[key]]) for run in runs]
            apart = factor([error - median(others) for run, others in pairs for error in run[key] if others])
            assert apart is not None
            found = Row(math.exp(median(everything)), apart)
            out.writerow((*key, f"{found.more:.3f}", f"{found.factor:.3f}", len(everything)))
            tried = [(by, run[key]) for run, others in pairs if (by := row(others))]
            inside = sum(by.holds(error) for by, errors in tried for error in errors)
            said = ", ".join(f"x {by.more:.2f} (x {by.factor:.2f})" for by, _ in tried)
            of = sum(len(errors) for _, errors in tried)
            cells = f"x {found.more:.2f} | x {found.factor:.2f} | {said} | {inside} of {of}"
            print(f"| {key[0]} | {key[1]} | {len(everything)} | {cells} |")


if __name__ == "__main__":
    main()
