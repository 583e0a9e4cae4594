"""Servers under an open loop, simulated: how often a level is called saturated, rightly and wrongly.

`python tests/in_flight.py` prints the table of docs/LOAD.md.
"""

import heapq
from typing import NamedTuple

import numpy as np

from breakeven.metrics.checks import check_level
from breakeven.record import LevelFacts, Record

WARMUP_S = 5.0


class Server(NamedTuple):
    """Places, each of which takes so long for an answer; `places` None: as many as are asked for."""

    answer_s: float
    req_per_s: float
    places: int | None = None
    variation: float = 1.0
    """Of the gaps between requests."""
    even: bool = True
    """All answers last alike; else lognormal, sigma 0.5."""


KEEPS_UP = {
    "2 req/s, answers of 30 s": Server(30.0, 2.0),
    "8 req/s, answers of 15 s": Server(15.0, 8.0),
    "4 req/s, answers of 8 s": Server(8.0, 4.0),
    "4 req/s, answers of about 8 s": Server(8.0, 4.0, even=False),
    "4 req/s in bursts (gamma:3), answers of 8 s": Server(8.0, 4.0, variation=3.0),
    "20 req/s, answers of 0.5 s": Server(0.5, 20.0),
    "8 places of 0.35 s, 80 % busy": Server(0.35, 0.8 * 8 / 0.35, places=8),
}
FALLS_BEHIND = {
    f"8 places of 0.35 s, {share:.0%} asked": Server(0.35, share * 8 / 0.35, places=8)
    for share in (1.05, 1.1, 1.2, 2.0)
} | {f"4 places of 3.2 s, {share:.0%} asked": Server(3.2, share * 4 / 3.2, places=4) for share in (1.2, 2.0)}


def called_saturated(server: Server, *, window_s: float, runs: int, seed: int = 0) -> float:
    """Share of levels called so. As in a run, the window opens when what was due in the warm-up is over."""
    rng = np.random.default_rng(seed)
    return sum(_is_called(server, window_s=window_s, rng=rng) for _ in range(runs)) / runs


def _is_called(server: Server, *, window_s: float, rng: np.random.Generator) -> bool:
    longest_s = WARMUP_S + 60 + window_s
    due_s = _due_s(server, longest_s, rng)
    end_s = _ends_s(server, due_s, rng)
    open_s = min(max(WARMUP_S, float(end_s[due_s < WARMUP_S].max(initial=0.0))), WARMUP_S + 60)
    close_s = open_s + window_s
    records = [
        Record(
            user=0, k=k + 1, due_s=due, sent_s=due, end_s=min(end, close_s), status="done" if end < close_s else "cut"
        )
        for k, (due, end) in enumerate(zip(due_s.tolist(), end_s.tolist(), strict=True))
        if due < close_s
    ]
    facts = LevelFacts(users=None, req_per_s_offered=server.req_per_s, start_s=0.0, open_s=open_s, close_s=close_s)
    checks = check_level(facts, records)
    return checks is not None and checks.backlog is not None and checks.backlog.is_growing


def _due_s(server: Server, until_s: float, rng: np.random.Generator) -> np.ndarray:
    shape = 1 / server.variation**2
    gaps_s = rng.gamma(shape, 1 / (shape * server.req_per_s), int(2 * until_s * server.req_per_s) + 100)
    due_s = np.cumsum(gaps_s)
    return due_s[due_s < until_s]


def _ends_s(server: Server, due_s: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    sigma = 0.0 if server.even else 0.5
    takes_s = server.answer_s * np.exp(rng.normal(-(sigma**2) / 2, sigma, len(due_s)))
    if server.places is None:
        return due_s + takes_s
    free_s = [0.0] * server.places
    ends_s = []
    for due, takes in zip(due_s.tolist(), takes_s.tolist(), strict=True):
        end_s = max(heapq.heappop(free_s), due) + takes
        heapq.heappush(free_s, end_s)
        ends_s.append(end_s)
    return np.array(ends_s)


def main() -> None:
    """Print the table."""
    print("| server | window 20 s | 60 s | 120 s |\n|---|--:|--:|--:|")
    for name, server in (KEEPS_UP | FALLS_BEHIND).items():
        shares = [called_saturated(server, window_s=window_s, runs=200) for window_s in (20.0, 60.0, 120.0)]
        print(f"| {name} | {' | '.join(f'{share:.0%}' for share in shares)} |", flush=True)


if __name__ == "__main__":
    main()
