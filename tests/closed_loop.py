"""A batching engine under a closed loop, many seeds at once: what the interval of throughput is tried on.

One step of the engine gives a token to every request at work and takes the longer the more they are and the more
prompts have to be read in it, so that neighbouring moments are correlated as they are in a real engine. Run as a
program, it prints the table of coverage that docs/METRICS.md shows.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from breakeven.load.stop import Series, StopRule
from breakeven.metrics.statistics import cumulative, rate_estimate

Floats = npt.NDArray[np.float64]

STEP_S = 0.040
PER_REQUEST_S = 0.003
PER_PROMPT_S = 0.060
WARM_UP_ANSWERS = 4.0


class Load(NamedTuple):
    """What is asked of the engine; every user's first answer has a random length, as METHOD wants it."""

    users: int = 20
    tokens: int = 64
    free_length: bool = False
    """Answers end anywhere between one token and `tokens`, instead of having exactly `tokens`."""
    think_s: float = 0.0
    """Mean of an exponential pause."""
    noise: float = 0.0
    """Relative spread of the step time."""
    memory: float = 0.0
    """For how many answers the noise remembers; 0: each step for itself."""


LOADS = {
    "20 users, exactly 64 tokens": Load(),
    "20 users, exactly 64 tokens, steps vary by 30 %": Load(noise=0.3),
    "20 users, 1 to 64 tokens": Load(free_length=True),
    "20 users, 1 to 64 tokens, 2 s of thinking": Load(free_length=True, think_s=2.0),
    "5 users, 1 to 64 tokens": Load(users=5, free_length=True),
    "100 users, 1 to 64 tokens, steps vary by 30 %": Load(users=100, free_length=True, noise=0.3),
}
"""Loads whose every cause of spread is within the loop: the interval has to hold what it promises."""

SLOW_WAVES = {
    "20 users, 1 to 64 tokens, the machine's speed wavers by 10 % over 0.1 answers": Load(
        free_length=True, noise=0.1, memory=0.1
    ),
    "20 users, 1 to 64 tokens, the machine's speed wavers by 10 % over 1 answer": Load(
        free_length=True, noise=0.1, memory=1
    ),
}
"""A cause from outside that is as slow as the answers: no interval from one short window can know of it."""


class Runs(NamedTuple):
    """Many runs of one load: arrays of (step, run)."""

    times_s: Floats
    tokens: Floats
    ended: Floats
    """Answers that ended with each step."""
    e2e_s: float
    """Median over all runs."""

    @property
    def rate(self) -> float:
        """The true throughput, from all runs after their warm-up."""
        spent_s = np.diff(self.times_s, axis=0, prepend=0.0)
        steady = self.times_s > WARM_UP_ANSWERS * self.e2e_s
        return float(self.tokens[steady].sum() / spent_s[steady].sum())


def run(load: Load, *, runs: int, answers: float, seed: int) -> Runs:
    """Let `runs` engines work for about `answers` median answers each."""
    rng = np.random.default_rng(seed)
    shape = (runs, load.users)
    left = np.zeros(shape, dtype=np.int64)
    due_s = np.broadcast_to(0.05 * np.arange(load.users), shape).copy()
    first = np.ones(shape, dtype=np.bool_)
    now_s = np.zeros(runs)
    wave = rng.standard_normal(runs)
    mean_tokens = load.tokens / 2 if load.free_length else load.tokens
    keep = np.exp(-1 / (load.memory * mean_tokens)) if load.memory else 0.0
    times, tokens, answered, e2e = [], [], [], []
    for _ in range(int(answers * mean_tokens)):
        starting = (left == 0) & (due_s <= now_s[:, None])
        lengths = rng.integers(1, load.tokens + 1, shape)
        left = np.where(starting, lengths if load.free_length else np.where(first, lengths, load.tokens), left)
        first &= ~starting
        at_work = left > 0
        count = at_work.sum(axis=1)
        wave = keep * wave + np.sqrt(1 - keep**2) * rng.standard_normal(runs)
        step_s = STEP_S + PER_REQUEST_S * count + PER_PROMPT_S * starting.sum(axis=1)
        now_s = now_s + step_s * np.exp(load.noise * wave)
        left = left - at_work
        ended = at_work & (left == 0)
        e2e.append((now_s[:, None] - due_s)[ended])
        due_s = np.where(ended, now_s[:, None] + load.think_s * rng.standard_exponential(shape), due_s)
        times.append(now_s)
        tokens.append(count)
        answered.append(ended.sum(axis=1))
    return Runs(
        times_s=np.array(times),
        tokens=np.array(tokens, dtype=np.float64),
        ended=np.array(answered, dtype=np.float64),
        e2e_s=float(np.median(np.concatenate(e2e))),
    )


def coverage(runs: Runs, *, answers: float) -> tuple[float, float]:
    """Share of runs whose 95 % interval holds the true rate, and the mean half-width relative to it.

    The window opens within an answer after the warm-up and lasts `answers` median answers or up to a fifth more, so
    that batches fit the cycle of the loop only by chance.
    """
    rng = np.random.default_rng(0)
    truth = runs.rate
    held, widths = [], []
    for times_s, tokens in zip(runs.times_s.T, runs.tokens.T, strict=True):
        open_s = (WARM_UP_ANSWERS + rng.random()) * runs.e2e_s
        close_s = open_s + answers * (1 + 0.2 * rng.random()) * runs.e2e_s
        assert close_s < times_s[-1]
        low, high = _interval(times_s, tokens, open_s=open_s, close_s=close_s)
        held.append(low <= truth <= high)
        widths.append((high - low) / 2 / truth)
    return float(np.mean(held)), float(np.mean(widths))


def coverage_at_the_stop(runs: Runs, *, precision: float, most_answers: float = 40) -> tuple[float, float]:
    """Share of runs whose interval holds the true rate where the stop rule ended them, and the mean window in E2E."""
    truth, open_s = runs.rate, WARM_UP_ANSWERS * runs.e2e_s
    held, windows = [], []
    for times_s, tokens, ended in zip(runs.times_s.T, runs.tokens.T, runs.ended.T, strict=True):
        most_s = open_s + most_answers * runs.e2e_s
        assert most_s < times_s[-1]
        close_s = _stop_s(times_s, tokens, ended, e2e_s=runs.e2e_s, open_s=open_s, most_s=most_s, precision=precision)
        low, high = _interval(times_s, tokens, open_s=open_s, close_s=close_s)
        held.append(low <= truth <= high)
        windows.append((close_s - open_s) / runs.e2e_s)
    return float(np.mean(held)), float(np.mean(windows))


def _interval(times_s: Floats, tokens: Floats, *, open_s: float, close_s: float) -> tuple[float, float]:
    low, high = rate_estimate(cumulative(times_s, tokens), open_s=open_s, close_s=close_s).ci95
    assert low is not None
    assert high is not None
    return low, high


def _stop_s(
    times_s: Floats, tokens: Floats, ended: Floats, *, e2e_s: float, open_s: float, most_s: float, precision: float
) -> float:
    """When the stop rule, asked ten times a second, ends a window that opened at `open_s`."""
    series, rule = Series(), StopRule(precision=precision)
    for at_s, count in zip(times_s.tolist(), np.cumsum(tokens).astype(int).tolist(), strict=True):
        series.add(at_s, count)
    ends_s = times_s[ended > 0]
    for now_s in np.arange(open_s, most_s, 0.1).tolist():
        answers = [e2e_s] * min(30, int(np.searchsorted(ends_s, now_s) - np.searchsorted(ends_s, open_s)))
        if rule.should_stop(series, open_s=open_s, now_s=now_s, e2e_s=answers):
            return float(now_s)
    return most_s


def print_table(*, runs: int, lengths: tuple[float, ...] = (3, 5, 10, 20)) -> None:
    """Coverage by load and window length, as Markdown."""
    print("| load |", " | ".join(f"{length:g} × E2E" for length in lengths), "| where --precision 0.05 stops |")
    print("|---|" + "---|" * (len(lengths) + 1))
    for name, load in (LOADS | SLOW_WAVES).items():
        many = run(load, runs=runs, answers=60, seed=1)
        cells = [coverage(many, answers=length) for length in lengths]
        held, window = coverage_at_the_stop(many, precision=0.05)
        stops = f"{held:.1%} (after {window:.1f} × E2E)"
        print(f"| {name} |", " | ".join(f"{held:.1%} (± {width:.1%})" for held, width in cells), f"| {stops} |")


if __name__ == "__main__":
    print_table(runs=1000)
