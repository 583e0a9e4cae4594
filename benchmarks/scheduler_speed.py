"""How much faster than the engine the simulated engine is: 100 users for ten minutes, by what fills its steps.

Run it as `python benchmarks/scheduler_speed.py`. The step times are those of a card that gives 100 users about
7,000 tok/s; real time is what the level would have lasted.
"""

import time
from typing import Final

from breakeven.metrics.level import summarise_level
from breakeven.predict.replica import Engine
from breakeven.predict.requests import of_lengths
from breakeven.predict.scheduler import Load, simulate
from breakeven.workload.lengths import parse_both

WINDOW_S: Final = 600.0


def step_s(prefill_tokens: int, _context: int, users: int, cached: int) -> float:
    return 0.006 + 1.5e-5 * prefill_tokens + 2e-5 * users + 4.3e-8 * cached


CASES: Final = {
    "100 users": (100, Engine(step_s)),
    "1 user": (1, Engine(step_s)),
    "100 users, 32 slots": (100, Engine(step_s, slots=32)),
    "100 users, a cache of 30,000 tokens": (100, Engine(step_s, kv_tokens=30_000)),
}


def main() -> None:
    told = ("normal:512,100", "lognormal:256,0.5")
    lengths = of_lengths(told, parse_both(*told)).lengths
    print("| load | simulated | real time | ratio | its summary | tok/s |\n|---|---|---|---|---|---|")
    for name, (users, engine) in CASES.items():
        start_s = time.perf_counter()
        simulated = simulate(engine, Load(lengths, users=users, window_s=WINDOW_S))
        mid_s = time.perf_counter()
        level = summarise_level(*simulated)
        took_s, real_s = mid_s - start_s, simulated.facts.end_s or 0.0
        print(
            f"| {name} | {took_s:.2f} s | {real_s:.0f} s | {real_s / took_s:,.0f} | "
            f"{time.perf_counter() - mid_s:.2f} s | {level.output_tok_per_s.value:,.0f} |"
        )


if __name__ == "__main__":
    main()
