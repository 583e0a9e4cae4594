"""Ranges and distributions: quantiles, draws, and rank correlation."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from breakeven.cost.inputs import Spread
from breakeven.cost.uncertain import correlate, draw, mapped, nominal, problem, quantile
from breakeven.errors import UsageError

UNIFORM = Spread(low=2, high=6)
TRIANGLE = Spread(low=0.3, mode=0.6, high=0.9)
SKEWED = Spread(low=0, mode=1, high=10)
BELL = Spread(mean=10, sd=2)
LOG = Spread(median=100, p10=80, p90=150)
INTERVAL = Spread(value=500, ci95=(480, 530))
SPREADS = {
    "uniform": (UNIFORM, stats.uniform(2, 4)),
    "triangular": (TRIANGLE, stats.triang(0.5, 0.3, 0.6)),
    "skewed": (SKEWED, stats.triang(0.1, 0, 10)),
    "normal": (BELL, stats.norm(10, 2)),
}


def rng() -> np.random.Generator:
    return np.random.default_rng(7)


@pytest.mark.parametrize("name", SPREADS)
@settings(deadline=None)
@given(p=st.floats(0.01, 0.99))
def test_quantiles_agree_with_the_oracle(name: str, p: float) -> None:
    spread, oracle = SPREADS[name]
    assert quantile(spread, p) == pytest.approx(float(oracle.ppf(p)))


@pytest.mark.parametrize("name", SPREADS)
def test_draws_follow_the_distribution(name: str) -> None:
    spread, oracle = SPREADS[name]
    assert stats.kstest(draw(spread, 20_000, rng=rng()), oracle.cdf).pvalue > 0.001


def test_a_log_normal_keeps_all_three_quantiles_that_were_given() -> None:
    assert [quantile(LOG, p) for p in (0.1, 0.5, 0.9)] == pytest.approx([80, 100, 150])
    assert np.quantile(draw(LOG, 200_000, rng=rng()), [0.1, 0.5, 0.9]) == pytest.approx([80, 100, 150], rel=0.01)


def test_a_measured_interval_keeps_its_ends_at_2_5_and_97_5_percent() -> None:
    assert [quantile(INTERVAL, p) for p in (0.025, 0.5, 0.975)] == pytest.approx([480, 500, 530])
    drawn = np.quantile(draw(INTERVAL, 200_000, rng=rng()), [0.025, 0.975])
    assert drawn == pytest.approx([480, 530], rel=0.005)


def test_a_normal_is_cut_and_not_piled_up_at_what_is_possible() -> None:
    share = Spread(mean=0.9, sd=0.2)
    drawn = draw(share, 50_000, rng=rng(), limits=(0, 1))
    assert 0 < drawn.min() < drawn.max() < 1
    oracle = stats.truncnorm((0 - 0.9) / 0.2, (1 - 0.9) / 0.2, 0.9, 0.2)
    assert stats.kstest(drawn, oracle.cdf).pvalue > 0.001
    assert quantile(share, 0.9, limits=(0, 1)) == pytest.approx(float(oracle.ppf(0.9)))


def test_a_normal_that_is_never_possible_is_refused() -> None:
    with pytest.raises(UsageError, match="hardly ever"):
        draw(Spread(mean=-1000, sd=0.1), 10, rng=rng(), limits=(0, 1))


@pytest.mark.parametrize(
    ("spread", "middle"), [(UNIFORM, 4), (TRIANGLE, 0.6), (BELL, 10), (LOG, 100), (INTERVAL, 500), (3.0, 3)]
)
def test_the_middle_is_the_number_that_was_named(spread: Spread | float, middle: float) -> None:
    assert nominal(spread) == middle


@pytest.mark.parametrize(
    ("spread", "says"),
    [
        (Spread(low=1), "is no range"),
        (Spread(low=1, sd=2), "is no range"),
        (Spread(low=3, high=2), "out of order"),
        (Spread(low=3, high=3), "out of order"),
        (Spread(low=0, mode=5, high=2), "out of order"),
        (Spread(mean=1, sd=0), "above 0"),
        (Spread(median=1, p10=-1, p90=2), "above 0"),
    ],
)
def test_a_spread_that_cannot_be_says_why(spread: Spread, says: str) -> None:
    assert says in (problem(spread) or "")


def test_rank_correlation_is_reached_and_margins_stay_the_same_values() -> None:
    columns = {"a": draw(TRIANGLE, 50_000, rng=rng()), "b": draw(LOG, 50_000, rng=np.random.default_rng(8))}
    before = {name: np.sort(column) for name, column in columns.items()}
    correlate(columns, [("a", "b", -0.3)], rng=rng())
    assert stats.spearmanr(columns["a"], columns["b"]).statistic == pytest.approx(-0.3, abs=0.015)
    for name, column in columns.items():
        assert np.array_equal(np.sort(column), before[name])


def test_correlations_that_contradict_each_other_are_refused() -> None:
    columns = {name: rng().random(100) for name in "abc"}
    with pytest.raises(UsageError, match="at once"):
        correlate(columns, [("a", "b", 0.9), ("b", "c", 0.9), ("a", "c", -0.9)], rng=rng())


def test_a_scaled_spread_has_scaled_quantiles() -> None:
    for spread in (UNIFORM, BELL, LOG, INTERVAL):
        scaled = mapped(spread, lambda value: 3 * value)
        assert quantile(scaled, 0.2) == pytest.approx(3 * quantile(spread, 0.2))
    assert math.isclose(nominal(mapped(2.0, lambda value: 3 * value)), 6)
