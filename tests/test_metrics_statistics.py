"""Intervals against independent oracles: scipy's t, scipy's binomial, and arithmetic by hand."""

import math

import numpy as np
import numpy.typing as npt
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from breakeven.metrics.statistics import (
    QUANTILES,
    Cumulative,
    batch_half_width,
    cumulative,
    distribution,
    half_width,
    memory,
    quantile_ranks,
    rate_estimate,
    t_quantile,
)
from breakeven.metrics.summary import Distribution, Quantile


@pytest.mark.parametrize("df", [*range(1, 60), 100, 399, 1000, 10_000, 1_000_000])
def test_the_t_quantile_is_the_one_that_scipy_finds(df: int) -> None:
    assert t_quantile(df) == pytest.approx(float(scipy.stats.t.ppf(0.975, df)), rel=1e-7)
    assert t_quantile(df, 5) == pytest.approx(float(scipy.stats.t.ppf(0.995, df)), rel=1e-7)


def exact_ranks(n: int, q: float) -> tuple[int | None, int | None]:
    """Largest l with P(Bin < l) <= 2.5 %, smallest u with P(Bin < u) >= 97.5 %, by a search over scipy's binomial."""
    below = scipy.stats.binom.cdf(np.arange(n), n, q)  # below[k - 1] = P(Bin < k), k = 1 … n
    low = int(np.searchsorted(below, 0.025, side="right"))
    high = int(np.searchsorted(below, 0.975, side="left")) + 1
    return low or None, high if high <= n else None


@pytest.mark.parametrize("q", QUANTILES.values())
def test_ranks_are_those_of_an_exact_search_over_the_binomial(q: float) -> None:
    for n in (*range(1, 420), 1000, 4999, 90_000):
        assert quantile_ranks(n, q) == exact_ranks(n, q), n


@pytest.mark.parametrize("q", QUANTILES.values())
def test_ranks_of_a_million_gaps_are_those_of_scipy(q: float) -> None:
    low, high = quantile_ranks(1_000_000, q)
    assert low == scipy.stats.binom.ppf(0.025, 1_000_000, q)
    assert high == scipy.stats.binom.ppf(0.975, 1_000_000, q) + 1


@pytest.mark.parametrize(("name", "least"), [("p50", 2), ("p90", 10), ("p95", 20), ("p99", 100)])
def test_a_percentile_is_null_below_one_over_one_minus_q(name: str, least: int) -> None:
    assert quantile(distribution(np.arange(least - 1.0)), name) == Quantile(value=None, ci95=(None, None))
    assert quantile(distribution(np.arange(float(least))), name).value is not None


@pytest.mark.parametrize(("name", "least"), [("p50", 6), ("p90", 36), ("p95", 72), ("p99", 368)])
def test_an_upper_bound_is_null_below_the_n_that_two_sided_95_percent_needs(name: str, least: int) -> None:
    assert quantile(distribution(np.arange(least - 1.0)), name).ci95[1] is None
    assert quantile(distribution(np.arange(float(least))), name).ci95[1] == least - 1


def test_a_lower_bound_is_null_where_even_the_smallest_value_may_be_above() -> None:
    assert quantile(distribution(np.arange(5.0)), "p50").ci95[0] is None  # 1/32 > 2.5 %
    assert quantile(distribution(np.arange(6.0)), "p50").ci95[0] == 0.0  # 1/64


def test_the_q_percentile_is_the_value_that_a_share_q_does_not_exceed() -> None:
    found = distribution(np.random.default_rng(0).permutation(np.arange(1.0, 201.0)))
    assert [quantile(found, name).value for name in QUANTILES] == [100, 180, 190, 198]
    assert (found.n, found.censored, found.mean) == pytest.approx((200, 0, 100.5))


def test_a_percentile_lies_within_its_interval() -> None:
    found = distribution(np.random.default_rng(1).exponential(size=1000))
    for name in QUANTILES:
        value, (low, high) = quantile(found, name).value, quantile(found, name).ci95
        assert value is not None
        assert low is not None
        assert high is not None
        assert low < value < high


def test_nothing_has_no_distribution() -> None:
    assert distribution([]) == Distribution()


def test_what_waited_ranks_last_however_short_it_waited() -> None:
    found = distribution([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0], waited=[0.5, 0.5])
    assert (found.n, found.censored) == (10, 2)
    assert found.p50.value == 5.0
    assert found.p90.value is None


def test_a_percentile_on_a_censored_value_is_null_with_more_than() -> None:
    found = distribution([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0], waited=[600.0, 0.5])
    # at least: 0.5 1 2 3 4 5 6 7 8 600; the ninth of ten is at least 8. P(Bin(10, 0.9) < 7) = 1.3 %, < 8 is 7 %
    assert found.p90 == Quantile(value=None, ci95=(7.0, None), more_than=8.0)


def test_a_mean_with_a_censored_value_is_null() -> None:
    assert distribution([1.0, 2.0], waited=[3.0]).mean is None
    assert distribution([1.0, 2.0]).mean == 1.5


def test_where_all_waited_every_percentile_is_more_than_a_wait() -> None:
    found = distribution([], waited=[1.0, 2.0, 3.0, 4.0])
    assert found.p50 == Quantile(value=None, ci95=(None, None), more_than=2.0)


@settings(deadline=None)
@given(st.lists(st.floats(0, 1e3), min_size=2, max_size=150), st.data())
def test_more_than_is_a_valid_lower_bound_whatever_the_censored_values_were(
    truth: list[float], data: st.DataObject
) -> None:
    waited_s = data.draw(st.lists(st.none() | st.floats(0, 1), min_size=len(truth), max_size=len(truth)))
    known = [value for value, share in zip(truth, waited_s, strict=True) if share is None]
    waits = [value * share for value, share in zip(truth, waited_s, strict=True) if share is not None]
    for name, q in QUANTILES.items():
        bound = quantile(distribution(known, waited=waits), name).more_than
        if bound is not None:
            assert bound <= sorted(truth)[math.ceil(len(truth) * q - 1e-9) - 1]


def quantile(found: Distribution, name: str) -> Quantile:
    value = getattr(found, name)
    assert isinstance(value, Quantile)
    return value


def test_a_rate_is_what_arrived_inside_the_window_over_its_length() -> None:
    times_s = np.array([1.0, 2.0, 2.5, 4.0, 4.5])
    found = rate_estimate(cumulative(times_s, np.array([100.0, 3.0, 4.0, 5.0, 100.0])), open_s=1.0, close_s=4.0)
    assert found.value == pytest.approx(4.0)  # what arrived at 4.0 is in, what arrived at 1.0 was before


def half_width_by_hand(counts: list[int], *, batch_s: float) -> float:
    """t over the batches' rates, in plain arithmetic."""
    rates = [count / batch_s for count in counts]
    mean = sum(rates) / len(rates)
    variance = sum((rate - mean) ** 2 for rate in rates) / (len(rates) - 1)
    return float(scipy.stats.t.ppf(0.975, len(rates) - 1)) * math.sqrt(variance / len(rates))


def counted(times_s: list[float], *, count: int, batch_s: float) -> list[int]:
    return [sum(number * batch_s < at_s <= (number + 1) * batch_s for at_s in times_s) for number in range(count)]


def test_the_batch_interval_of_throughput_is_the_widest_over_10_20_and_40_batches() -> None:
    for seed in range(5):
        times_s = sorted(np.random.default_rng(seed).uniform(0, 40, 300).tolist())
        expected = max(
            half_width_by_hand(counted(times_s, count=count, batch_s=40 / count), batch_s=40 / count)
            for count in (10, 20, 40)
        )
        by = cumulative(np.array(times_s), np.ones(300))
        assert batch_half_width(by, open_s=0.0, close_s=40.0) == pytest.approx(expected)
        assert rate_estimate(by, open_s=0.0, close_s=40.0).value == pytest.approx(7.5)


def test_every_batch_lasts_at_least_half_a_second() -> None:
    times_s = sorted(np.random.default_rng(3).uniform(0, 9, 200).tolist())
    expected = half_width_by_hand(counted(times_s, count=10, batch_s=0.9), batch_s=0.9)  # 20 would last 0.45 s
    found = rate_estimate(cumulative(np.array(times_s), np.ones(200)), open_s=0.0, close_s=9.0)
    assert found.ci95[1] == pytest.approx(200 / 9 + expected)


def at_rates(rates: npt.NDArray[np.float64]) -> Cumulative:
    """One rate a second."""
    sums = np.concatenate([[0.0], np.cumsum(rates)])
    return lambda at_s: np.interp(at_s, np.arange(len(sums)), sums)


def wavering(runs: int, *, keep: float) -> npt.NDArray[np.float64]:
    """Rates of 100 ± 10 a second for a minute each, which keep so much of what they are off by."""
    rng = np.random.default_rng(7)
    off = rng.standard_normal((runs, 60))
    for second in range(1, 60):
        off[:, second] = keep * off[:, second - 1] + math.sqrt(1 - keep**2) * off[:, second]
    return np.asarray(100 + 10 * off)


def test_the_memory_of_a_throughput_by_hand() -> None:
    rates = wavering(1, keep=0.8)[0]
    off = rates - rates.mean()
    covariances = [float(off[: 60 - lag] @ off[lag:]) / 60 for lag in range(60)]
    pairs = [covariances[lag] + covariances[lag + 1] for lag in range(0, 60, 2)]
    lags = 2 * next(number for number, pair in enumerate(pairs) if pair <= 0)
    total = (covariances[0] + 2 * sum(covariances[1:lags])) / (1 - (2 * lags - 1) / 60)
    stretches = 60 * covariances[0] / total
    found = memory(rates)
    assert found is not None
    assert found.stretches == pytest.approx(stretches)
    t = float(scipy.stats.t.ppf(0.975, max(4, math.floor(stretches) - 1)))
    assert found.half_width == pytest.approx(t * math.sqrt(total / 60))
    assert half_width(at_rates(rates), open_s=0.0, close_s=60.0) == max(
        found.half_width, batch_half_width(at_rates(rates), open_s=0.0, close_s=60.0) or 0.0
    )


def test_a_speed_that_wavers_slowly_is_held_too() -> None:
    """By seconds of which each keeps 0.8 of the last: batches alone hold it in less than nine of ten runs."""
    alone, held = [], []
    for rates in wavering(200, keep=0.8):
        by, off = at_rates(rates), abs(float(rates.mean()) - 100)
        alone.append(off <= (batch_half_width(by, open_s=0.0, close_s=60.0) or 0.0))
        held.append(off <= (half_width(by, open_s=0.0, close_s=60.0) or 0.0))
    assert np.mean(alone) < 0.87
    assert np.mean(held) >= 0.9


def test_a_throughput_without_memory_keeps_its_batch_interval() -> None:
    same = [
        half_width(at_rates(rates), open_s=0.0, close_s=60.0)
        == batch_half_width(at_rates(rates), open_s=0.0, close_s=60.0)
        for rates in wavering(200, keep=0.0)
    ]
    assert np.mean(same) > 0.95


def test_no_memory_where_nothing_varies() -> None:
    assert memory(np.full(60, 7.0)) is None


def test_a_window_under_five_seconds_has_no_interval() -> None:
    times_s = np.arange(0.05, 4.9, 0.1)
    assert rate_estimate(cumulative(times_s, np.ones(len(times_s))), open_s=0.0, close_s=4.9).ci95 == (None, None)
    assert rate_estimate(cumulative(times_s, np.ones(len(times_s))), open_s=0.0, close_s=5.0).ci95 != (None, None)


def test_batches_that_all_hold_the_same_have_an_interval_of_no_width() -> None:
    def evenly(at_s: np.ndarray) -> np.ndarray:
        return 10 * at_s

    assert batch_half_width(evenly, open_s=0.0, close_s=10.0) == pytest.approx(0.0, abs=1e-9)


def test_an_interval_of_throughput_does_not_go_below_zero() -> None:
    found = rate_estimate(cumulative(np.array([1.0]), np.array([50.0])), open_s=0.0, close_s=10.0)
    assert found.value == pytest.approx(5.0)
    assert found.ci95[0] == 0.0


def test_where_nothing_arrived_the_rate_is_zero_and_its_doubt_unknown() -> None:
    found = rate_estimate(cumulative(np.empty(0), np.empty(0)), open_s=0.0, close_s=10.0)
    assert (found.value, found.ci95) == (0.0, (None, None))


def in_sections(parts: list[list[float]]) -> Distribution:
    """The distribution of a window whose tenths hold these values."""
    within = np.repeat(np.arange(10), [len(part) for part in parts])
    return distribution(np.concatenate(parts), within=within)


def test_a_percentile_that_differs_from_tenth_to_tenth_has_the_t_interval_over_the_tenths() -> None:
    middles = [1.0, 1.1, 0.9, 1.2, 0.8, 1.3, 0.7, 1.0, 1.0, 1.0]
    found = in_sections([[middle - 0.6, middle, middle + 0.6] for middle in middles])
    half = float(scipy.stats.t.ppf(0.975, 9)) * float(np.std(middles, ddof=1)) / math.sqrt(10)  # 0.125
    alone = distribution(np.concatenate([[middle - 0.6, middle, middle + 0.6] for middle in middles]))
    low, high = quantile(alone, "p50").ci95
    assert low is not None
    assert high is not None
    assert found.p50.value == 1.0
    assert found.p50.ci95 == pytest.approx((min(low, 1 - half), max(high, 1 + half)))


def test_values_that_come_together_count_as_one() -> None:
    """Six tenths of short answers and four of long ones say no more than ten answers would."""
    together = in_sections([[1.0] * 40] * 6 + [[3.0] * 40] * 4)
    mixed = in_sections([[1.0] * 24 + [3.0] * 16] * 10)
    assert together.p50.value == mixed.p50.value == 1.0
    assert together.p50.ci95[1] == 3.0
    assert mixed.p50.ci95 == (1.0, 1.0)


def test_order_statistics_are_the_least_that_an_interval_is() -> None:
    values = np.random.default_rng(4).exponential(size=(10, 40))
    found, alone = in_sections([list(part) for part in values]), distribution(values.ravel())
    for name in QUANTILES:
        (low, high), (least, most) = quantile(found, name).ci95, quantile(alone, name).ci95
        assert least is None or (low is not None and low <= least)
        assert most is None or high is None or high >= most


@pytest.mark.parametrize(("each", "few"), [(1, {"p50", "p90", "p95", "p99"}), (19, {"p95", "p99"}), (20, {"p99"})])
def test_a_tenth_with_too_few_answers_is_said(each: int, few: set[str]) -> None:
    found = in_sections([list(np.arange(each) + part / 10) for part in range(10)])
    known = {name for name in QUANTILES if quantile(found, name).value is not None}
    assert {name for name in QUANTILES if quantile(found, name).too_few} == few & known


def test_a_request_that_was_cut_may_have_been_quick() -> None:
    values = np.arange(1.0, 101.0)
    within = np.arange(120) % 10
    waited = distribution(values, waited=[1.0] * 20, within=within)
    cut = distribution(values, cut=[1.0] * 20, within=within)
    assert cut.p50.value == waited.p50.value == 60
    assert cut.p50.ci95[1] == waited.p50.ci95[1]
    assert cut.p50.ci95[0] is not None
    assert waited.p50.ci95[0] is not None
    assert cut.p50.ci95[0] <= 40 < waited.p50.ci95[0]  # the lower end of 100 answers is the 40th
