"""A batching engine that is slow at first, under a closed loop: what finding the warm-up's end is tried on.

Run as a program, it prints the table of docs/STEADY.md.
"""

import math
from typing import NamedTuple

import numpy as np

from breakeven.metrics.statistics import Floats, cumulative, rate_estimate
from breakeven.metrics.steady import steady_from_s

STEP_S = 0.040
PER_REQUEST_S = 0.003
PER_PROMPT_S = 0.060
SETTLED_S = 60.0


class Engine(NamedTuple):
    """Who asks, and how the engine starts. Answers have 1 to 64 tokens unless `exact`."""

    users: int = 20
    exact: bool = False
    noise: float = 0.0
    """Relative spread of each step's time."""
    waver: float = 0.0
    """Relative spread of the machine's speed, which wanders for about one answer."""
    think_s: float = 0.0
    slow: float = 0.0
    """Part of the speed that lacks at first."""
    into_s: float = 0.0
    """How far into the window that lasts."""
    creeping: bool = False
    """It goes off little by little: two thirds of it while the warm-up lasts."""

    @property
    def warm_up_s(self) -> float:
        """The least warm-up of a level of so many users."""
        return float(np.interp(self.users, (1, 5, 10, 50, 100), (2, 4, 5, 12, 20)))

    def lacks(self, now_s: Floats) -> Floats:
        at_once = (now_s < self.warm_up_s + self.into_s).astype(np.float64)
        return self.slow * np.asarray(np.exp(-now_s / self.warm_up_s) if self.creeping else at_once)


class Runs(NamedTuple):
    """Many runs: arrays of (step, run)."""

    times_s: Floats
    tokens: Floats


def run(engine: Engine, *, runs: int, total_s: float, seed: int) -> Runs:
    """Let so many engines work for so long, each user's first answer of a random length."""
    rng = np.random.default_rng(seed)
    shape = (runs, engine.users)
    left, now_s, wave = np.zeros(shape, dtype=np.int64), np.zeros(runs), rng.standard_normal(runs)
    due_s = np.broadcast_to(0.05 * np.arange(engine.users), shape).copy()
    first = np.ones(shape, dtype=np.bool_)
    keep = math.exp(-1 / (64 if engine.exact else 32))
    times, tokens = [], []
    while now_s.min() < total_s:
        starting = (left == 0) & (due_s <= now_s[:, None])
        lengths = np.where(first | (not engine.exact), rng.integers(1, 65, shape), 64)
        left = np.where(starting, lengths, left)
        first &= ~starting
        at_work = left > 0
        step_s = STEP_S + PER_REQUEST_S * at_work.sum(axis=1) + PER_PROMPT_S * starting.sum(axis=1)
        if engine.slow:
            step_s = step_s / (1 - engine.lacks(now_s))
        wave = keep * wave + math.sqrt(1 - keep**2) * rng.standard_normal(runs)
        now_s = now_s + step_s * np.exp(engine.noise * rng.standard_normal(runs) + engine.waver * wave)
        left = left - at_work
        pause_s = engine.think_s * rng.standard_exponential(shape)
        due_s = np.where(at_work & (left == 0), now_s[:, None] + pause_s, due_s)
        times.append(now_s)
        tokens.append(at_work.sum(axis=1))
    return Runs(np.array(times), np.array(tokens, dtype=np.float64))


def true_rate(engine: Engine, *, runs: int = 60) -> float:
    """Throughput at full speed, long after the start."""
    settled = run(engine._replace(slow=0.0), runs=runs, total_s=400.0, seed=99)
    spent_s = np.diff(settled.times_s, axis=0, prepend=0.0)
    late = settled.times_s > SETTLED_S
    return float(settled.tokens[late].sum() / spent_s[late].sum())


class Outcome(NamedTuple):
    """What the windows gave, with or without moving their start."""

    covered: float
    """Share of 95 % intervals that hold the true rate."""
    error: float
    """Root mean square of (rate / true rate - 1)."""
    width: float
    """Mean half-width over the true rate."""
    moved: float
    """Share of windows whose start moved."""


def outcomes(engine: Engine, *, window_s: float, runs: int, seed: int = 1) -> tuple[Outcome, Outcome]:
    """Windows that open after the warm-up and last `window_s` or up to a fifth more: as they are, and moved."""
    rng, truth = np.random.default_rng(0), true_rate(engine)
    many = run(engine, runs=runs, total_s=engine.warm_up_s + 0.5 + 1.2 * window_s, seed=seed)
    rows: tuple[list[tuple[float, ...]], list[tuple[float, ...]]] = ([], [])
    for times_s, tokens in zip(many.times_s.T, many.tokens.T, strict=True):
        open_s = engine.warm_up_s + 0.5 * rng.random()
        close_s = open_s + window_s * (1 + 0.2 * rng.random())
        moved_s = steady_from_s(cumulative(times_s, tokens), start_s=0.0, open_s=open_s, close_s=close_s)
        for found, from_s in zip(rows, (open_s, moved_s), strict=True):
            estimate = rate_estimate(cumulative(times_s, tokens), open_s=from_s, close_s=close_s)
            low, high = estimate.ci95
            assert low is not None
            assert high is not None
            assert estimate.value is not None
            error = estimate.value / truth - 1
            found.append((low <= truth <= high, error**2, (high - low) / 2 / truth, from_s > open_s))
    return _outcome(rows[0]), _outcome(rows[1])


def _outcome(rows: list[tuple[float, ...]]) -> Outcome:
    covered, squares, width, moved = np.mean(np.array(rows, dtype=np.float64), axis=0).tolist()
    return Outcome(covered, math.sqrt(squares), width, moved)


ENGINES = {
    "5 users": Engine(users=5),
    "20 users, exactly 64 tokens": Engine(exact=True),
    "20 users, steps vary by 30 %": Engine(noise=0.3),
    "20 users, 2 s of thinking": Engine(think_s=2.0),
    "100 users, steps vary by 30 %": Engine(users=100, noise=0.3),
    "20 users, speed wavers by 10 % over an answer": Engine(waver=0.1),
}
STARTS: dict[str, dict[str, float | bool]] = {
    "full speed at once": {},
    "half speed until 4 s into the window": {"slow": 0.5, "into_s": 4.0},
    "30 % slower until 7 s into it": {"slow": 0.3, "into_s": 7.0},
    "15 % slower until 7 s into it": {"slow": 0.15, "into_s": 7.0},
    "30 % slower, going off little by little": {"slow": 0.3, "creeping": True},
}


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def print_table(*, runs: int, windows_s: tuple[float, ...] = (20.0, 40.0)) -> None:
    """Coverage and error of windows as they are -> moved, as Markdown."""
    cells = " | ".join(f"{window_s:g} s: held, error | moved" for window_s in windows_s)
    print(f"| engine | start | {cells} |\n|---|---|" + "---|---|" * len(windows_s))
    for engine_name, engine in ENGINES.items():
        for start_name, start in STARTS.items():
            row = []
            for window_s in windows_s:
                plain, moved = outcomes(engine._replace(**start), window_s=window_s, runs=runs)  # type: ignore[arg-type]
                held, error = (
                    f"{_percent(getattr(plain, name))} → {_percent(getattr(moved, name))}"
                    for name in ("covered", "error")
                )
                row.append(f"{held}, {error} | {100 * moved.moved:.0f} %")
            print(f"| {engine_name} | {start_name} |", " | ".join(row), "|", flush=True)


if __name__ == "__main__":
    print_table(runs=1000)
