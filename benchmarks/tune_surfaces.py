"""How good the search of `breakeven tune` is: 200 simulated response surfaces with noise, against three other ways.

    python benchmarks/tune_surfaces.py                  # 200 surfaces: ten seconds, a minute on a busy machine
    python benchmarks/tune_surfaces.py --surfaces 20 --seed 1 --json FILE

A surface has two to four settings (numbers with a peak somewhere on their log scale, choices), pairs that interact, a
rest of its own for each setting, and in four of ten a region that fails (out of memory). A try is one start of an
engine: it has a spread between starts (0.5 to 3 %) and noise within (1 to 3 %), of which the racer sees only the
second. All ways get tries of the same length; a try that fails counts half. Ends with 1 where fewer than 90 % of the
choices are good.
"""

import argparse
import json
import math
import random
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from breakeven.findings.race import Try, known, next_try

GOOD: Final = math.log(1.05)
ROUNDS: Final = 3
"""Of the full matrix."""
FAILED_COSTS: Final = 0.5
MOST_TRIES: Final = 2000


class Surface(NamedTuple):
    """The truth: log figure by setting, None where it fails; and the noise."""

    tries: tuple[Try, ...]
    truth: dict[str, float | None]
    between_sd: float
    within_sd: float

    @property
    def best(self) -> float:
        return max(value for value in self.truth.values() if value is not None)

    def ask(self, name: str, rng: random.Random) -> float | None:
        """One try."""
        truth = self.truth[name]
        return None if truth is None else truth + rng.gauss(0, math.hypot(self.between_sd, self.within_sd))


class Outcome(NamedTuple):
    """What a way chose: its loss on the log scale, and tries as a share of one round of the full matrix."""

    loss: float
    share: float


def surface(seed: int, *, noise: float = 1.0) -> Surface:
    rng = random.Random(seed)
    sizes: list[tuple[bool, int]] = []
    while not 24 <= math.prod(size for _, size in sizes) <= 150:
        sizes = [(rng.random() < 0.65, 0) for _ in range(rng.randint(2, 4))]
        sizes = [(is_number, rng.randint(3, 7) if is_number else rng.randint(2, 3)) for is_number, _ in sizes]
    parts = [_part(is_number, size, rng) for is_number, size in sizes]
    pairs = {}
    for i in range(len(sizes)):
        for j in range(i):
            strength = rng.choice((0.0, 0.03, 0.08, 0.15))
            pairs[i, j] = [[rng.gauss(0, strength) for _ in range(sizes[j][1])] for _ in range(sizes[i][1])]
    numbers = [i for i, (is_number, _) in enumerate(sizes) if is_number]
    edge = (rng.choice(numbers), rng.uniform(0.55, 0.9)) if numbers and rng.random() < 0.4 else None
    tries, truth = [], {}
    for place in _places([size for _, size in sizes]):
        name = "-".join(map(str, place))
        values = {f"s{i}": float(x) if sizes[i][0] else f"c{x}" for i, x in enumerate(place)}
        tries.append(Try(name, values))
        figure = sum(part[x] for part, x in zip(parts, place, strict=True))
        figure += sum(table[place[i]][place[j]] for (i, j), table in pairs.items()) + rng.gauss(0, 0.01)
        has_failed = edge is not None and place[edge[0]] > edge[1] * (sizes[edge[0]][1] - 1)
        truth[name] = None if has_failed else figure
    return Surface(tuple(tries), truth, noise * rng.uniform(0.005, 0.03), noise * rng.uniform(0.01, 0.03))


def _part(is_number: bool, size: int, rng: random.Random) -> list[float]:
    """What a setting does alone: a peak for a number, anything for a choice."""
    if not is_number:
        return [rng.gauss(0, 0.15) for _ in range(size)]
    peak, depth = rng.uniform(-0.2, 1.2) * (size - 1), rng.uniform(0.05, 0.8)
    return [-depth * ((x - peak) / (size - 1)) ** 2 for x in range(size)]


def _places(sizes: list[int]) -> list[tuple[int, ...]]:
    found: list[tuple[int, ...]] = [()]
    for size in sizes:
        found = [(*place, x) for place in found for x in range(size)]
    return found


def race(made: Surface, rng: random.Random, *, seed: int) -> Outcome:
    """Ours."""
    tries, cost = {one.name: one for one in made.tries}, 0.0
    for _ in range(MOST_TRIES):
        chosen = next_try(list(tries.values()), seed=seed)
        if chosen is None:
            break
        one, log = tries[chosen.name], made.ask(chosen.name, rng)
        cost += 1.0 if log is not None else FAILED_COSTS
        if log is None:
            tries[one.name] = one._replace(has_failed=True)
        else:
            tries[one.name] = one._replace(logs=(*one.logs, log), sds=(*one.sds, made.within_sd))
    best = known([one for one in tries.values() if one.logs])[0].one.name
    return _outcome(made, best, cost)


def full_matrix(made: Surface, rng: random.Random, *, rounds: int) -> Outcome:
    means = {name: _mean(made, name, rng, rounds) for name in made.truth}
    cost = sum(rounds if made.truth[name] is not None else FAILED_COSTS for name in means)
    return _outcome(made, max(means, key=lambda name: means[name]), cost)


def random_search(made: Surface, rng: random.Random, *, tries: float) -> Outcome:
    """As many tries as ours took, each of another setting."""
    names = rng.sample(sorted(made.truth), min(len(made.truth), max(1, round(tries))))
    means = {name: _mean(made, name, rng, 1) for name in names}
    return _outcome(made, max(means, key=lambda name: means[name]), tries)


def halving(made: Surface, rng: random.Random, *, of: int) -> Outcome:
    """Successive halving by rank, without intervals: one more try for each, the better half goes on."""
    live = rng.sample(sorted(made.truth), min(of, len(made.truth)))
    seen: dict[str, list[float]] = {name: [] for name in live}
    cost = 0.0
    while True:
        for name in live:
            log = made.ask(name, rng)
            cost += 1.0 if log is not None else FAILED_COSTS
            seen[name].append(-math.inf if log is None else log)
        live.sort(key=lambda name: -statistics.fmean(seen[name]))
        if len(live) == 1:
            return _outcome(made, live[0], cost)
        live = live[: (len(live) + 1) // 2]


def _mean(made: Surface, name: str, rng: random.Random, rounds: int) -> float:
    logs = [made.ask(name, rng) for _ in range(rounds)]
    return statistics.fmean(-math.inf if log is None else log for log in logs)


def _outcome(made: Surface, name: str, cost: float) -> Outcome:
    truth = made.truth[name]
    return Outcome(math.inf if truth is None else made.best - truth, cost / len(made.truth))


def run(surfaces: int, *, seed: int, noise: float = 1.0) -> dict[str, list[Outcome]]:
    found: dict[str, list[Outcome]] = {}
    for number in range(surfaces):
        made, rng = surface(1000 * seed + number, noise=noise), random.Random(seed * 7919 + number)
        ours = race(made, rng, seed=number)
        size = len(made.truth)
        ways: dict[str, Callable[[], Outcome]] = {
            "breakeven tune": lambda ours=ours: ours,
            f"full matrix, {ROUNDS} rounds": lambda: full_matrix(made, rng, rounds=ROUNDS),  # noqa: B023
            "full matrix, 1 round": lambda: full_matrix(made, rng, rounds=1),  # noqa: B023
            "random search, tries as ours": lambda: random_search(made, rng, tries=ours.share * size),  # noqa: B023
            "successive halving of all": lambda: halving(made, rng, of=size),  # noqa: B023
            "successive halving, tries as ours": lambda: halving(made, rng, of=max(1, round(ours.share * size / 2))),  # noqa: B023
        }
        for name, way in ways.items():
            found.setdefault(name, []).append(way())
    return found


def table(found: dict[str, list[Outcome]]) -> str:
    lines = [
        "| way | within 5 % of the best | median loss | 95th percentile of the loss | time, of one round | of three |"
    ]
    lines.append("|---|---|---|---|---|---|")
    for name, each in found.items():
        good = sum(one.loss <= GOOD for one in each) / len(each)
        losses = sorted(-math.expm1(-one.loss) for one in each)
        share = sum(one.share for one in each) / len(each)
        worst = losses[min(len(losses) - 1, math.ceil(0.95 * len(losses)) - 1)]
        cells = (name, f"{good:.1%}", f"{statistics.median(losses):.1%}", f"{worst:.1%}")
        lines.append(f"| {' | '.join(cells)} | {share:.0%} | {share / ROUNDS:.0%} |")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--surfaces", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--noise", type=float, default=1.0, help="times the spreads, between starts and within")
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    found = run(asked.surfaces, seed=asked.seed, noise=asked.noise)
    print(table(found))
    if asked.json is not None:
        asked.json.write_text(json.dumps({name: [one._asdict() for one in each] for name, each in found.items()}))
    ours = found["breakeven tune"]
    return 0 if sum(one.loss <= GOOD for one in ours) >= 0.9 * len(ours) else 1


if __name__ == "__main__":
    sys.exit(main())
