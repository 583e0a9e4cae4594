"""Runs for the tests of compare: only what a test is about is given, the rest is filled in."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from breakeven.metrics.summary import Distribution, Estimate, LevelSummary, Quantile, RunFacts, RunSummary

DATA = Path(__file__).parents[1] / ".." / "shared" / "data"


def within(value: float, share: float | None) -> Estimate:
    """A figure with an interval of ± `share`; without interval for None."""
    return (
        Estimate(value=value)
        if share is None
        else Estimate(value=value, ci95=(value / (1 + share), value * (1 + share)))
    )


def a_level(users: int | None, tput: float | None, *, share: float | None = 0.02, **more: Any) -> LevelSummary:
    throughput = Estimate() if tput is None else within(tput, share)
    return LevelSummary(**{"users": users, "status": "done", "output_tok_per_s": throughput, **more})


def a_run(tput: Mapping[int, float], *, run_id: str = "run", share: float | None = 0.02, **facts: Any) -> RunSummary:
    """A run with a throughput at each number of users; `share` is the half width of every interval."""
    levels = tuple(a_level(users, value, share=share) for users, value in tput.items())
    return RunSummary(run=RunFacts(id=run_id, **facts), levels=levels)


def quantile(value: float, share: float = 0.02) -> Quantile:
    return Quantile(value=value, ci95=(value / (1 + share), value * (1 + share)))


def one_metric(name: str, **quantiles: Quantile) -> dict[str, Distribution]:
    """The distributions of a level of which no more than some percentiles of one metric are known."""
    return {name: Distribution(n=500, censored=0, mean=None, **quantiles)}


def with_ttft_p99(tput: Mapping[int, float], ttft_s: Mapping[int, Quantile], *, run_id: str = "run") -> RunSummary:
    """A run whose levels also have a TTFT p99; a level without one has too few answers."""
    levels = tuple(
        a_level(users, value, distributions=one_metric("ttft_s", p99=ttft_s[users]) if users in ttft_s else {})
        for users, value in tput.items()
    )
    return RunSummary(run=RunFacts(id=run_id), levels=levels)
