"""A hundred users against a server whose answers all take the same time do not march in step.

A server without noise repeats the same pattern each E2E for ever, however small its swing is, so what is held small
here is the swing itself: the amplitude of the wave whose period is the E2E, over the mean.
"""

import numpy as np
import pytest

from breakeven.client.reference import ReferenceServer, Settings
from breakeven.client.reference.truth import Seconds
from breakeven.load.worker import Made, Worker
from breakeven.workload.chat import Chat
from loading import Loaded, level

TTFT_S, ITL_S, TOKENS = 0.25, 0.025, 31
E2E_S = TTFT_S + (TOKENS - 1) * ITL_S
"""One second, of which a quarter brings no token: in step, the throughput would stand still for that quarter."""
PERIODS = 2
BIN_S = 0.1


class InStep(Worker):
    """Without METHOD's random length of the first answers."""

    def _next(self, user: object, k: int, *, cap: float | None = None) -> Made:
        return super()._next(user, k)  # type: ignore[arg-type]


def bins_of(worker: type[Worker]) -> Seconds:
    """Tokens in each tenth of a second of the window.

    A machine that stands still for a moment sets all users in step for good, and no client can help it: it gets three
    more chances, and then nothing can be said.
    """
    for _ in range(4):
        bins, late_s = measure(worker)
        if late_s < 0.15 * E2E_S:
            return bins
    pytest.skip(f"the machine is too busy: an answer came {late_s:.2f} s late")


def measure(worker: type[Worker]) -> tuple[Seconds, float]:
    """Tokens in each tenth of a second of the window, by the server's own stamps; how late an answer was at worst."""
    settings = Settings(ttft_s=TTFT_S, itl_s=ITL_S)
    loaded = Loaded(model="truth", workload=Chat(output_tokens=TOKENS), worker=worker)
    with ReferenceServer(settings) as server:
        # the ramp is to the E2E what METHOD's 5 s are to the 41 s of 100 users on the demo engine
        measured = level(
            server.url, loaded=loaded, users=100, ramp_s=0.12, warmup_s=1.5 * E2E_S, duration_s=PERIODS * E2E_S
        )
        written_s = server.stamps().write_s - measured.zero_s
    assert measured.facts.open_s is not None
    edges_s = measured.facts.open_s + BIN_S * np.arange(round(PERIODS * E2E_S / BIN_S) + 1)
    counts, _ = np.histogram(written_s, bins=edges_s)
    longest_s = max(one.end_s - one.due_s for one in measured.records if one.status == "done")
    return counts.astype(np.float64), longest_s - E2E_S


def swing(bins: Seconds) -> float:
    """Amplitude of the wave of period E2E, over the mean: 0 for a steady rate, up to 2 for one peak a period."""
    wave = np.exp(-2j * np.pi * np.arange(len(bins)) * BIN_S / E2E_S)
    return float(2 * abs(np.mean(bins * wave)) / np.mean(bins))


def test_the_throughput_of_many_users_has_no_period() -> None:
    bins = bins_of(Worker)
    assert swing(bins) < 0.25
    assert bins.mean() / BIN_S == pytest.approx(100 * TOKENS / E2E_S, rel=0.05)


def test_without_random_first_lengths_it_would_have_one() -> None:
    bins = bins_of(InStep)
    assert swing(bins) > 0.45
    assert bins.min() < 0.4 * bins.mean()
