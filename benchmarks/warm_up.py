"""Does a window open too early, or too late? The least warm-up, on simulated closed loops (those of coverage.py).

    python benchmarks/warm_up.py [RUNS]

Each run is warmed up as `breakeven run` does, by what its answers tell at each tenth of a second. Then the throughput
of the first tenth of a 15 s window is held against the rest's: `bias` is the mean over the runs, ± two standard errors.
The last line is the part of their time that four levels of --duration 5 spend in warm-up. docs/STEADY.md has it all.
"""

import sys
import zlib
from typing import Final, NamedTuple

import numpy as np
from coverage import LENGTHS, Answers, Floats, Loop, simulate

from breakeven.load.level import TICK_S, LevelPlan
from breakeven.load.warmup import Least, least_warmup
from breakeven.plan import Plan
from breakeven.session.defaults import level_plan

QUICK: Final = 0.12
"""Answers of about 0.3 s."""
SLOW: Final = 4.0
"""Answers of about 10 s, and of 30 s at 100 users."""
WINDOW_S: Final = 15.0
LOOPS: Final = (
    {f"{lengths} lengths": Loop(lengths=lengths) for lengths in LENGTHS}
    | {f"{lengths} lengths, 8 slots": Loop(lengths=lengths, slots=8) for lengths in LENGTHS}
    | {f"{lengths} lengths, 2 s of thinking": Loop(lengths=lengths, think_s=2.0) for lengths in LENGTHS}
    | {f"{lengths} lengths, quick": Loop(lengths=lengths, pace=QUICK) for lengths in LENGTHS}
    | {f"{lengths} lengths, quick, 50 users": _ for lengths in LENGTHS for _ in [Loop(lengths, 50, 50, pace=QUICK)]}
    | {f"{lengths} lengths, slow, 100 users": _ for lengths in LENGTHS for _ in [Loop(lengths, 100, 100, pace=SLOW)]}
)
FOUR: Final = (1, 5, 10, 50)
DURATION_S: Final = 5.0


def plan_of(loop: Loop) -> LevelPlan:
    """As `breakeven run --url … --users N` has it."""
    return level_plan(Plan(url="http://127.0.0.1:1", think_s=loop.think_s), users=loop.users)


class Warmed(NamedTuple):
    """Where one run's window opens."""

    open_s: float
    by: str


def warmed(answers: Answers, run: int, *, plan: LevelPlan) -> Warmed:
    """Ask the rule at every tick, until it is content and every user has had a first token."""
    assert plan.users is not None
    times_s = answers.times_s[:, run]
    mine = answers.run == run
    k, due_s = answers.k[mine], answers.due_s[mine]
    first_s, end_s = times_s[answers.first_step[mine]], times_s[answers.last_step[mine]]
    begun_s = float(first_s[k == 0].max())
    by = None
    for at_s in np.arange(TICK_S, times_s[-1], TICK_S).tolist():
        least = _least(plan, took_s=(end_s - due_s)[(k > 0) & (end_s <= at_s)] + plan.think_s)
        if at_s >= least.s and begun_s <= at_s:
            return Warmed(at_s, by or least.by)
        by = "first_tokens" if at_s >= least.s else by
    raise AssertionError("the run was too short to warm up")


def _least(plan: LevelPlan, *, took_s: Floats) -> Least:
    return least_warmup(
        ramp_s=plan.ramp_s,
        warmup_s=plan.warmup_s,
        longest_s=plan.longest_warmup_s,
        users=plan.users,
        turns=len(took_s),
        turn_s=float(np.median(took_s)) if len(took_s) else None,
    )


def rate(answers: Answers, run: int, *, tokens: Floats, from_s: float, to_s: float) -> float:
    """Tokens a second of one run between two times."""
    times_s = answers.times_s[:, run]
    return float(tokens[(times_s > from_s) & (times_s <= to_s), run].sum()) / (to_s - from_s)


class Bias(NamedTuple):
    """The first tenth of the windows against the rest."""

    mean: float
    error: float
    """Standard error of the mean."""
    warm_up_s: float
    by: str
    """What most windows waited for."""


def bias(loop: Loop, *, runs: int, seed: int, asked_s: float | None = None) -> Bias:
    """Open the window of every run where the rule says, or at `asked_s`, and compare its first tenth with the rest."""
    plan = plan_of(loop)
    until_s = max(plan.longest_warmup_s, plan.ramp_s, asked_s or 0.0) + WINDOW_S + 2.0
    answers = simulate(loop, runs=runs, seed=seed, until_s=until_s + 60.0 * loop.pace)
    tokens = at_work(answers)
    found, opened = [], []
    for run in range(runs):
        opened.append(warmed(answers, run, plan=plan) if asked_s is None else Warmed(asked_s, "asked"))
        open_s = opened[-1].open_s
        middle_s, close_s = open_s + WINDOW_S / 10, open_s + WINDOW_S
        first = rate(answers, run, tokens=tokens, from_s=open_s, to_s=middle_s)
        found.append(first / rate(answers, run, tokens=tokens, from_s=middle_s, to_s=close_s) - 1)
    causes = [one.by for one in opened]
    return Bias(
        float(np.mean(found)),
        float(np.std(found, ddof=1) / np.sqrt(runs)),
        float(np.median([one.open_s for one in opened])),
        max(set(causes), key=causes.count),
    )


def at_work(answers: Answers) -> Floats:
    """Tokens of every (step, run), of the answers that came to an end."""
    steps, runs = answers.times_s.shape
    change = np.zeros((steps + 1, runs))
    np.add.at(change, (answers.first_step, answers.run), 1)
    np.add.at(change, (answers.last_step + 1, answers.run), -1)
    return np.asarray(np.cumsum(change, axis=0)[:-1])


def share_of_four(lengths: str, *, seed: int) -> float:
    """Part of the time of four levels of --duration 5 that is warm-up, where answers take about 0.3 s."""
    total_s = 0.0
    for users in FOUR:
        loop = Loop(lengths, users, users, pace=QUICK)
        answers = simulate(loop, runs=1, seed=seed, until_s=10.0)
        total_s += warmed(answers, 0, plan=plan_of(loop)).open_s
    return total_s / (total_s + len(FOUR) * DURATION_S)


def main(runs: int) -> int:
    """Print the table; fails where answers were waited for and a bias is left, or the four levels warm up too long."""
    print("| loop | warm-up | waits for | bias |\n|---|--:|---|--:|")
    is_off = False
    for name, loop in LOOPS.items():
        of = bias(loop, runs=runs, seed=zlib.crc32(name.encode()))
        is_off |= of.by == "answers" and abs(of.mean) > 3 * of.error
        print(f"| {name} | {of.warm_up_s:.1f} s | {of.by} | {of.mean:+.1%} ± {2 * of.error:.1%} |", flush=True)
    share = share_of_four("uniform", seed=1)
    print(f"\n{share:.0%} of the time of levels of {FOUR} users, {DURATION_S:g} s each, is warm-up")
    return int(is_off or share > 1 / 3)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 100))
