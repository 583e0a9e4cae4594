"""The run to measure next: the closed form against draws, and what it says in cases that are plain."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from breakeven.metrics.summary import Estimate
from breakeven.predict.nextrun import next_run


def cost(value: float, factor: float) -> Estimate:
    return Estimate(value=value, ci95=(value / factor, value * factor))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.tuples(st.floats(0.1, 10), st.floats(1.05, 4)), min_size=2, max_size=5),
)
def test_it_is_what_a_hundred_thousand_draws_say(rows: list[tuple[float, float]]) -> None:
    costs = [cost(*row) for row in rows]
    medians = np.array([row[0] for row in rows])
    best = int(medians.argmin())
    saved = []
    for index, (value, factor) in enumerate(rows):
        drawn = value * np.exp(np.random.default_rng(index).normal(0, np.log(factor) / 1.959964, 100_000))
        others = np.delete(medians, index).min()
        now = drawn if index == best else np.full_like(drawn, medians[best])
        saved.append(float((now - np.minimum(drawn, others)).mean()))
    found = next_run(costs, is_open=[True] * len(costs))
    least = 0.02 * medians[best]
    if found is None:
        assert max(saved) < least
        return
    assert found.saves == pytest.approx(saved[found.index], rel=0.1, abs=least)
    assert saved[found.index] >= max(saved) - least


def test_what_is_surely_dearer_is_not_measured() -> None:
    found = next_run([cost(1.0, 1.2), cost(1.1, 1.2), cost(9.0, 1.2)], is_open=[True, True, True])
    assert found is not None
    assert found.index in (0, 1)
    assert 0.1 < found.changes < 0.5


def test_what_is_measured_is_not_asked_for_again() -> None:
    found = next_run([cost(1.0, 3.0), cost(1.1, 1.5)], is_open=[False, True])
    assert found is not None
    assert found.index == 1


def test_one_candidate_or_none_with_an_interval_tells_nothing() -> None:
    assert next_run([cost(1.0, 2.0)], is_open=[True]) is None
    assert next_run([Estimate(value=1.0), Estimate(value=2.0)], is_open=[True, True]) is None
    assert next_run([Estimate(), cost(1.0, 2.0)], is_open=[True, True]) is None
