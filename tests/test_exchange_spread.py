"""Percentiles and speeds of other tools, and the intervals of order statistics where they give single values."""

import pytest
from scipy import stats

from breakeven.exchange.spread import mean_speed, quoted
from breakeven.metrics.statistics import distribution, inverted
from breakeven.metrics.summary import Quantile

NAMES = {0.5: "p50", 0.9: "p90", 0.95: "p95", 0.99: "p99"}
RANKS = [(6, 0.5), (10, 0.5), (50, 0.5), (36, 0.9), (100, 0.9), (72, 0.95), (100, 0.99), (368, 0.99), (1999, 0.5)]


def quantile(values: list[float], q: float) -> Quantile:
    found: Quantile = getattr(distribution(values), NAMES[q])
    return found


@pytest.mark.parametrize(("n", "q"), RANKS)
def test_the_interval_s_ranks_leave_at_most_2_5_percent_on_each_side(n: int, q: float) -> None:
    low, high = quantile([float(k) for k in range(1, n + 1)], q).ci95
    tail = 0.025 + 1e-12
    lower = 0 if low is None else int(low)
    upper = n + 1 if high is None else int(high)
    assert lower == 0 or stats.binom.cdf(lower - 1, n, q) <= tail
    assert stats.binom.cdf(lower, n, q) > tail
    assert upper == n + 1 or stats.binom.sf(upper - 1, n, q) <= tail
    assert stats.binom.sf(upper - 2, n, q) > tail


@pytest.mark.parametrize(("q", "least"), [(0.5, 6), (0.9, 36), (0.95, 72), (0.99, 368)])
def test_the_upper_end_is_open_below_the_n_that_95_percent_needs(q: float, least: int) -> None:
    values = [float(k) for k in range(least)]
    assert quantile(values, q).ci95[1] == values[-1]
    assert quantile(values[:-1], q).ci95[1] is None


@pytest.mark.parametrize(("q", "least"), [(0.9, 10), (0.95, 20), (0.99, 100)])
def test_a_percentile_of_too_few_values_is_none(q: float, least: int) -> None:
    assert quantile([1.0] * (least - 1), q).value is None
    assert quantile([1.0] * least, q).value == 1.0


@pytest.mark.parametrize(("n", "q"), [(5000, 0.5), (5000, 0.99), (100_000, 0.95)])
def test_many_values_have_nearly_the_ranks_of_the_exact_interval(n: int, q: float) -> None:
    low, high = quantile([float(k) for k in range(1, n + 1)], q).ci95
    assert low == pytest.approx(stats.binom.ppf(0.025, n, q), abs=2)
    assert high == pytest.approx(stats.binom.ppf(0.975, n, q) + 1, abs=2)


def test_the_median_of_four_is_the_second_and_the_mean_is_the_mean() -> None:
    found = distribution([4.0, 1.0, 2.0, 3.0])
    assert (found.n, found.p50.value, found.mean) == (4, 2.0, 2.5)


def test_no_values_give_nothing() -> None:
    assert distribution([]).mean is None
    assert distribution([]).n == 0
    assert mean_speed([]) is None


def test_quoted_figures_keep_their_values_and_have_no_interval() -> None:
    found = quoted(100, mean=1.0, p50=0.9, p90=2.0, p99=3.0)
    assert (found.mean, found.p50.value, found.p90.value, found.p95.value, found.p99.value) == (
        1.0,
        0.9,
        2.0,
        None,
        3.0,
    )
    assert found.p99.ci95 == (None, None)
    assert quoted(99, p99=3.0).p99.value is None


def test_a_speed_is_one_over_the_time_and_its_interval_turns_round() -> None:
    times = distribution([0.01 * k for k in range(1, 7)])
    speed = inverted(times, mean=7.0)
    assert speed.p50.value == pytest.approx(1 / 0.03)
    assert speed.p50.ci95 == pytest.approx((1 / 0.06, 1 / 0.01))
    assert speed.mean == 7.0


def test_the_mean_speed_is_no_inverse_of_the_mean_time() -> None:
    assert mean_speed([0.1, 0.2]) == pytest.approx(7.5)
    assert mean_speed([0.0, 0.2]) is None
