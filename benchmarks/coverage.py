"""How often 95 % intervals hold: simulated closed loops with known truth, through the summary of a real run.

Run it as `nice python benchmarks/coverage.py`; `--runs` says how many a row (200: ± 4 % of a coverage of 90 %) and
`--only` which rows, so that it can be done in pieces. docs/STEADY.md has the table.

One step of the engine gives a token to every request at work. It takes the longer the more they are and the more
prompts are read in it, varies by itself, and follows the machine's speed, which may waver.
"""

import argparse
import zlib
from collections import Counter
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
from msgspec.structs import replace

from breakeven.cautions import judged_level
from breakeven.compare.gate import gate
from breakeven.metrics.definitions import METRICS
from breakeven.metrics.level import Window
from breakeven.metrics.statistics import distribution
from breakeven.metrics.summary import NARROW, NARROW_LATENCIES, LevelSummary, RunFacts, RunSummary
from breakeven.record import LevelFacts, Record

Floats = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]

STEP_S, PER_REQUEST_S, PER_PROMPT_S, STEP_NOISE = 0.015, 0.001, 0.010, 0.05
OPEN_S: Final = 15.0
"""The warm-up: five to ten answers."""
TAIL_S: Final = 15.0
WINDOWS_S: Final = (15.0, 60.0)
RUNS: Final = 200
SHOWN: Final = {"p50": 0.5, "p95": 0.95}
LATENCIES: Final = {"ttft_s": "TTFT", "tpot_s": "TPOT", "e2e_s": "E2E"}
FIGURES: Final = {"output_tok_per_s": "tok/s"} | {
    f"{name}_{which}": f"{label} {which}" for name, label in LATENCIES.items() for which in SHOWN
}
GATED: Final = {"output_tok_per_s": ">=", "total_tok_per_s": ">=", "req_per_s": ">="} | {
    f"{metric}_{which}": "<=" for metric in ("ttft", "tpot", "itl", "e2e") for which in SHOWN
}
ABOUT_INTERVALS: Final = NARROW | NARROW_LATENCIES | {"few_answers"}
"""Cautions that say that an interval may be too narrow."""


class Loop(NamedTuple):
    """What is asked of the engine; answers have 64 tokens on average."""

    lengths: str = "uniform"
    users: int = 20
    slots: int = 20
    think_s: float = 0.0
    """Mean of an exponential pause."""
    wave: float = 0.0
    """Relative spread of the machine's speed."""
    tau_s: float = 1.0
    """For how long the speed remembers."""
    pace: float = 1.0
    """Time of a step, relative to the usual one."""


LENGTHS: Final = ("fixed", "uniform", "log-normal", "bimodal")
LOOPS: Final = (
    {f"{lengths} lengths": Loop(lengths=lengths) for lengths in LENGTHS}
    | {f"{lengths} lengths, 8 slots": Loop(lengths=lengths, slots=8) for lengths in LENGTHS}
    | {f"{lengths} lengths, 2 s of thinking": Loop(lengths=lengths, think_s=2.0) for lengths in LENGTHS}
    | {
        f"uniform lengths, speed wavers by 10 %, τ {tau_s:g} s": Loop(wave=0.1, tau_s=tau_s)
        for tau_s in (0.3, 1.0, 5.0, 20.0)
    }
)


def draw_lengths(kind: str, shape: tuple[int, ...], rng: np.random.Generator) -> Whole:
    """Tokens of answers: bimodal ones are 55 % of 16 and 45 % of 123 tokens, each within a fifth."""
    if kind == "fixed":
        return np.full(shape, 64)
    if kind == "uniform":
        return rng.integers(1, 128, shape)
    if kind == "log-normal":
        return np.clip(np.rint(np.exp(np.log(48) + 0.75 * rng.standard_normal(shape))), 1, 400).astype(np.int64)
    middle = np.where(rng.random(shape) < 0.55, 16, 123)
    return np.rint(middle * rng.uniform(0.8, 1.2, shape)).astype(np.int64)


class Answers(NamedTuple):
    """All answers of many runs that came to an end: one value each. Steps index `times_s` (step, run)."""

    times_s: Floats
    run: Whole
    user: Whole
    k: Whole
    due_s: Floats
    first_step: Whole
    last_step: Whole


def simulate(loop: Loop, *, runs: int, seed: int, until_s: float = OPEN_S + WINDOWS_S[-1] + TAIL_S) -> Answers:
    """Let `runs` engines work until `until_s`."""
    rng = np.random.default_rng(seed)
    shape = (runs, loop.users)
    left, first_step, k = (np.zeros(shape, dtype=np.int64) for _ in range(3))
    due_s = np.broadcast_to(0.05 * np.arange(loop.users), shape).copy()
    now_s, wave = np.zeros(runs), rng.standard_normal(runs)
    times, found = [], []
    while now_s.min() < until_s:
        waits_s = np.where((left == 0) & (due_s <= now_s[:, None]), due_s, np.inf)
        free = loop.slots - (left > 0).sum(axis=1)
        turn = waits_s.argsort(axis=1, kind="stable").argsort(axis=1)
        starting = np.isfinite(waits_s) & (turn < free[:, None])
        wanted = draw_lengths(loop.lengths, shape, rng)
        wanted = np.where(k == 0, np.ceil(wanted * rng.random(shape)), wanted).astype(np.int64)
        left, first_step = np.where(starting, wanted, left), np.where(starting, len(times), first_step)
        at_work = left > 0
        step_s = STEP_S + PER_REQUEST_S * at_work.sum(axis=1) + PER_PROMPT_S * starting.sum(axis=1)
        step_s *= loop.pace * np.exp(loop.wave * wave + STEP_NOISE * rng.standard_normal(runs))
        keep = np.exp(-step_s / loop.tau_s)
        wave = keep * wave + np.sqrt(1 - keep**2) * rng.standard_normal(runs)
        now_s = now_s + step_s
        left = left - at_work
        run, user = np.nonzero(at_work & (left == 0))
        last = np.full(len(run), len(times))
        found.append((run, user, k[run, user], due_s[run, user], first_step[run, user], last))
        k[run, user] += 1
        due_s[run, user] = now_s[run] + loop.think_s * rng.standard_exponential(len(run))
        times.append(now_s)
    return Answers(np.array(times), *(np.concatenate(part) for part in zip(*found, strict=True)))


class Level(NamedTuple):
    """One window of one run, as the load would have left it."""

    facts: LevelFacts
    records: list[Record]


def level(answers: Answers, run: int, *, loop: Loop, window_s: float) -> Level:
    """What the client would have kept of a run whose window lasted so long."""
    close_s = OPEN_S + window_s
    times_s = answers.times_s[:, run]
    mine = np.flatnonzero((answers.run == run) & (answers.due_s < close_s))
    facts = LevelFacts(
        users=loop.users,
        start_s=0.0,
        open_s=OPEN_S,
        close_s=close_s,
        end_s=close_s,
        stopped="duration",
        think_s=loop.think_s,
    )
    return Level(facts, [_record(answers, int(number), times_s, close_s=close_s) for number in mine])


def _record(answers: Answers, number: int, times_s: Floats, *, close_s: float) -> Record:
    due_s = float(answers.due_s[number])
    arrived_s = times_s[answers.first_step[number] : answers.last_step[number] + 1]
    is_cut = arrived_s[-1] > close_s
    seen_s = arrived_s[arrived_s <= close_s]
    stamps_us = np.rint((seen_s - due_s) * 1e6).astype(np.int64)
    return Record(
        user=int(answers.user[number]),
        k=int(answers.k[number]),
        due_s=due_s,
        sent_s=due_s,
        chunk_us=np.diff(stamps_us, prepend=0).astype("<u4").tobytes(),
        end_s=close_s if is_cut else float(arrived_s[-1]),
        status="cut" if is_cut else "done",
        finish_reason=None if is_cut else "length",
        input_tokens=None if is_cut else 20,
        output_tokens=None if is_cut else len(arrived_s),
    )


def truth(answers: Answers) -> dict[str, float]:
    """Every figure over all runs, and over the longest window."""
    close_s = OPEN_S + WINDOWS_S[-1]
    first_s, last_s = (answers.times_s[step, answers.run] for step in (answers.first_step, answers.last_step))
    tokens = answers.last_step - answers.first_step + 1
    due = (answers.due_s >= OPEN_S) & (answers.due_s < close_s)
    ended = (last_s > OPEN_S) & (last_s <= close_s) & (answers.k > 0)
    several = ended & (tokens > 1)
    values = {
        "ttft_s": (first_s - answers.due_s)[due],
        "tpot_s": (last_s - first_s)[several] / (tokens[several] - 1),
        "e2e_s": (last_s - answers.due_s)[ended],
    }
    found = {
        f"{name}_{which}": float(np.quantile(of, q, method="inverted_cdf"))
        for name, of in values.items()
        for which, q in SHOWN.items()
    }
    return found | {"output_tok_per_s": _true_rate(answers)}


def _true_rate(answers: Answers) -> float:
    """Tokens at work with every step of the window, over all runs."""
    steps, runs = answers.times_s.shape
    change = np.zeros((steps + 1, runs))
    np.add.at(change, (answers.first_step, answers.run), 1)
    np.add.at(change, (answers.last_step + 1, answers.run), -1)
    inside = (answers.times_s > OPEN_S) & (answers.times_s <= OPEN_S + WINDOWS_S[-1])
    return float(np.cumsum(change, axis=0)[:-1][inside].sum()) / runs / WINDOWS_S[-1]


class Cell(NamedTuple):
    """One figure of many windows."""

    before: float
    """How many of the 95 % intervals hold the truth when answers are taken for independent."""
    after: float
    half: float
    """Median half-width, relative to the truth; infinite where most are open."""


class Row(NamedTuple):
    """All figures of one loop and one window."""

    cells: dict[str, Cell]
    cautions: dict[str, float]
    """Of those about intervals, in which share of the runs each is printed."""


def row(loop: Loop, *, answers: Answers, window_s: float) -> Row:
    """Summarise every run as `breakeven run` does, and hold the intervals to the truth."""
    true, runs = truth(answers), answers.times_s.shape[1]
    held: dict[str, list[tuple[bool, bool, float]]] = {name: [] for name in true}
    seen: Counter[str] = Counter()
    for run in range(runs):
        facts, records = level(answers, run, loop=loop, window_s=window_s)
        summary = judged_level(facts, records)
        ids = {caution.id for caution in summary.cautions} & ABOUT_INTERVALS
        seen.update(ids)
        before, after = _alone(facts, records), intervals(summary)
        for name, value in true.items():
            low, high = after[name]
            held[name].append((holds(before.get(name, (low, high)), value), holds((low, high), value), high - low))
    cells = {
        name: Cell(*(float(np.mean([one[i] for one in of])) for i in (0, 1)), _half(of) / true[name])
        for name, of in held.items()
    }
    return Row(cells, {name: count / runs for name, count in seen.items()})


def _half(held: Sequence[tuple[bool, bool, float]]) -> float:
    return float(np.median([one[2] for one in held])) / 2


def holds(ends: tuple[float, float], value: float) -> bool:
    """The interval holds the value."""
    return ends[0] <= value <= ends[1]


def _ends(ci95: tuple[float | None, float | None]) -> tuple[float, float]:
    low, high = ci95
    return (-np.inf if low is None else low, np.inf if high is None else high)


def intervals(summary: LevelSummary) -> dict[str, tuple[float, float]]:
    """Both ends of every figure's interval; infinite where open."""
    found = {f"{name}_{which}": summary.of(name).at(which).ci95 for name in LATENCIES for which in SHOWN}
    return {name: _ends(ci95) for name, ci95 in (found | {"output_tok_per_s": summary.output_tok_per_s.ci95}).items()}


def _alone(facts: LevelFacts, records: list[Record]) -> dict[str, tuple[float, float]]:
    """The order statistics alone."""
    window = Window(facts, records)
    found = {}
    for name in LATENCIES:
        metric = METRICS[name]
        of = window.due if metric.over == "due" else window.answers()
        values = [(metric.of(record), record) for record in of]
        silent = [record.end_s - record.due_s for value, record in values if value is None] if metric.ranks_late else []
        alone = distribution([value for value, _ in values if value is not None], waited=silent)
        found |= {f"{name}_{which}": _ends(alone.at(which).ci95) for which in SHOWN}
    return found


def false_alarms(
    answers: Answers, *, loop: Loop, window_s: float, repeats: int = 1, loads: int = 1
) -> dict[str, float]:
    """The gates of runs of so many loads, each measured `repeats` times, all of one machine."""
    count = answers.times_s.shape[1]
    levels = [judged_level(*level(answers, run, loop=loop, window_s=window_s)) for run in range(count)]
    return failing(levels, repeats=repeats, loads=loads)


def failing(levels: Sequence[LevelSummary], *, repeats: int = 1, loads: int = 1) -> dict[str, float]:
    """Every run as the candidate of the one before it, which it equals: in which share of the pairs a gate fails.

    Its loads are told apart by a number of users of their own, whatever they are.
    """
    named = [replace(one, users=1 + place % loads) for place, one in enumerate(levels)]
    size = repeats * loads
    summaries = [
        RunSummary(run=RunFacts(id="A"), levels=tuple(named[first : first + size]))
        for first in range(0, len(named) // size * size, size)
    ]
    pairs = list(zip(summaries, [*summaries[1:], summaries[0]], strict=True))
    return {
        metric: float(np.mean([gate(f"{metric} {sign} 1 * reference", *pair).verdict == "failed" for pair in pairs]))
        for metric, sign in GATED.items()
    }


def main() -> None:
    """Print a table, a row at a time."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--table", choices=("intervals", "gates"), default="intervals")
    parser.add_argument("--runs", type=int, default=RUNS, help=f"runs a row (default: {RUNS})")
    parser.add_argument("--only", help="rows whose name holds this text, such as 'wavers'")
    parser.add_argument("--loads", type=int, default=1, help="loads of a run of the gates' table (default: 1)")
    parser.add_argument("--repeats", type=int, default=1, help="times that it has each of them (default: 1)")
    asked = parser.parse_args()
    is_gates = asked.table == "gates"
    heads = list(GATED) if is_gates else [*FIGURES.values(), "caution"]
    print("| loop | window |", " | ".join(heads), "|")
    print("|---|---|" + "---|" * len(heads))
    for name, loop in LOOPS.items():
        if asked.only is None or asked.only in name:
            answers = simulate(loop, runs=asked.runs * asked.repeats * asked.loads, seed=zlib.crc32(name.encode()))
            for window_s in WINDOWS_S:
                if is_gates:
                    sizes = {"repeats": asked.repeats, "loads": asked.loads}
                    found = false_alarms(answers, loop=loop, window_s=window_s, **sizes)
                    cells = [f"{found[metric]:.1%}" for metric in GATED]
                else:
                    cells = _interval_cells(answers, loop, window_s)
                print(f"| {name} | {window_s:g} s |", " | ".join(cells), "|", flush=True)


def _interval_cells(answers: Answers, loop: Loop, window_s: float) -> list[str]:
    found = row(loop, answers=answers, window_s=window_s)
    cautions = ", ".join(f"{one} {share:.0%}" for one, share in sorted(found.cautions.items()))
    return [*(_cell(found.cells[figure], is_rate=figure == "output_tok_per_s") for figure in FIGURES), cautions]


def _cell(cell: Cell, *, is_rate: bool) -> str:
    half = f"± {cell.half:.1%}" if np.isfinite(cell.half) else "open"
    return f"{cell.after:.0%} ({half})" if is_rate else f"{cell.before:.0%} → {cell.after:.0%} ({half})"


if __name__ == "__main__":
    main()
