"""The curves behind a comparison, held against scipy and against hand-worked values."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator
from scipy.optimize import isotonic_regression

from breakeven.compare.envelope import (
    Lines,
    greatest_up_to,
    latency_envelope,
    load_above,
    load_within,
    throughput_envelope,
    value_at,
)
from breakeven.compare.interpolate import load_at_latency, load_at_speed, throughput_at
from breakeven.compare.isotonic import non_decreasing, non_increasing
from breakeven.compare.pchip import hermite, pchip_slopes
from breakeven.compare.pool import pool
from breakeven.compare.words import left_out_text
from breakeven.errors import UsageError
from breakeven.metrics.pooling import Measured, pool_figure
from breakeven.metrics.summary import Distribution, Estimate, RunFacts, RunSummary
from compare_fixture import a_level, a_run

Array = NDArray[np.float64]
VALUES = st.lists(st.floats(0.1, 1000), min_size=1, max_size=9)
USERS = np.array([1.0, 5.0, 10.0, 50.0, 100.0])


@given(VALUES)
def test_non_increasing_is_the_isotonic_regression_of_scipy(values: list[float]) -> None:
    fit = non_increasing(np.array([values]))[0]
    np.testing.assert_allclose(fit, isotonic_regression(values, increasing=False).x, rtol=1e-9)
    assert (np.diff(fit) <= 0).all()


@given(VALUES)
def test_non_decreasing_is_the_isotonic_regression_of_scipy(values: list[float]) -> None:
    np.testing.assert_allclose(non_decreasing(np.array([values]))[0], isotonic_regression(values).x, rtol=1e-9)


def test_neighbours_that_turn_back_are_given_their_mean() -> None:
    assert non_increasing(np.array([[9.0, 4.0, 6.0, 1.0]])).tolist() == [[9.0, 5.0, 5.0, 1.0]]


@given(st.lists(st.floats(-5, 5).map(lambda value: round(value, 6)), min_size=2, max_size=8), st.integers(0, 1000))
def test_pchip_is_the_curve_of_scipy(y: list[float], seed: int) -> None:
    x = np.cumsum(np.random.default_rng(seed).uniform(0.1, 3, len(y)))
    slopes = pchip_slopes(x, np.array([y]))[0]
    expected = PchipInterpolator(x, y)
    np.testing.assert_allclose(slopes, expected(x, 1), rtol=1e-9, atol=1e-12)
    w = np.array([0.0, 0.3, 0.9])
    part = hermite(w, step=x[1] - x[0], y=(np.array(y[0]), np.array(y[1])), slope=(slopes[0], slopes[1]))
    np.testing.assert_allclose(part, expected(x[0] + w * (x[1] - x[0])), rtol=1e-9, atol=1e-9)


@st.composite
def falling_speeds(draw: st.DrawFn) -> Array:
    """Throughput of one run at USERS whose speed per user never rises."""
    shares = draw(st.lists(st.floats(0.05, 1.0), min_size=4, max_size=4))
    speeds = 100 * np.cumprod([1.0, *shares])
    return np.array([speeds * USERS])


ONE_SPEED: Array = np.array([[100.0, *(np.array([69.90739945778388]) * [1, 2, 10, 20]).tolist()]])
"""From 5 users on each is as fast as with more, but for rounding."""


@given(tput=falling_speeds())
def test_between_levels_no_user_gets_faster_with_load(tput: Array) -> None:
    u = np.geomspace(1, 100, 300)
    many = np.repeat(tput, u.size, axis=0)
    speed = throughput_at(USERS, many, u) / u
    assert (np.diff(speed) <= 1e-9 * speed[:-1]).all()


@given(tput=falling_speeds(), share=st.floats(0.001, 0.999))
def test_the_load_at_a_speed_gives_that_speed(tput: Array, share: float) -> None:
    first, last = tput[0, 0], tput[0, -1] / 100
    speed = np.array([last + share * (first - last)])
    u = load_at_speed(USERS, tput, speed)
    assert throughput_at(USERS, tput, u) / u == pytest.approx(speed, rel=1e-6)


def test_every_way_goes_through_the_levels() -> None:
    tput = np.array([[100.0, 450.0, 800.0, 2000.0, 2500.0]])
    for users, value in zip(USERS, tput[0], strict=True):
        assert throughput_at(USERS, tput, np.array([users]))[0] == pytest.approx(value, rel=1e-12)


def test_with_two_levels_loglog_is_a_power_law() -> None:
    users, tput = np.array([1.0, 100.0]), np.array([[10.0, 100.0]])
    # T = 10 root(u), so T/u = 2.5 at 16 users
    assert throughput_at(users, tput, np.array([16.0]))[0] == pytest.approx(40)
    assert load_at_speed(users, tput, np.array([2.5]))[0] == pytest.approx(16)


def test_the_load_at_a_latency_by_loglog_is_a_power_law_with_two_levels() -> None:
    found = load_at_latency(np.array([1.0, 100.0]), np.array([[0.1, 10.0]]), 1.0)
    assert found[0] == pytest.approx(10)


def test_nothing_is_read_beyond_the_measured_levels() -> None:
    users, tput = np.array([2.0, 10.0]), np.array([[100.0, 300.0]])
    assert load_at_speed(users, tput, np.array([20.0]))[0] == 10
    assert np.isnan(load_at_speed(users, tput, np.array([51.0]))[0])
    assert load_at_latency(users, np.array([[1.0, 2.0]]), 9.0)[0] == 10
    assert np.isnan(load_at_latency(users, np.array([[1.0, 2.0]]), 0.5)[0])


def test_between_levels_throughput_lies_above_the_chord_and_below_the_neighbouring_secants() -> None:
    users, tput = np.array([1.0, 10.0, 20.0, 50.0, 100.0]), np.array([100.0, 910.0, 1410.0, 2310.0, 2410.0])
    found = throughput_envelope(users, tput, np.zeros(5))
    # from 20 to 50 users: chord 30 a user; secants 50 before and 2 after, which meet at 37.5 users
    for u, low, high in ((25.0, 1560.0, 1660.0), (37.5, 1935.0, 2285.0), (45.0, 2160.0, 2300.0)):
        assert value_at(found.low, u) == pytest.approx(low)
        assert value_at(found.high, u) == pytest.approx(high)
    # before the first secant the line from the origin, after the last no more than the top
    assert value_at(found.high, 2.0) == pytest.approx(200.0)
    assert value_at(found.high, 52.0) == pytest.approx(2370.0)
    assert value_at(found.high, 90.0) == pytest.approx(2410.0)
    for at, value in zip(users, tput, strict=True):
        assert value_at(found.low, at) == value_at(found.high, at) == value


def test_where_throughput_falls_it_may_have_fallen_by_the_same_power_from_a_peak_before() -> None:
    users, tput = np.array([1.0, 10.0, 50.0, 100.0]), np.array([100.0, 1000.0, 1200.0, 900.0])
    found = throughput_envelope(users, tput, np.full(4, 0.001))
    # the line from the origin, and 1200 at 50 users fallen by the power that is seen beyond: 100 u = 1200 (50 / u)^p
    power = (np.log(1200 / 900) + 2 * 0.001 * np.sqrt(2)) / np.log(2)
    peak = (12 * 50**power) ** (1 / (1 + power))
    assert greatest_up_to(found.high, 50.0) == pytest.approx((peak, 100 * peak))
    assert value_at(found.high, 60.0) == pytest.approx(1250.0)
    # and it may have fallen to the top level at once
    assert value_at(found.low, 60.0) == pytest.approx(900.0)


def test_a_fall_between_two_levels_that_lie_near_is_taken_from_levels_further_on() -> None:
    """The truth rises to 2000 at 20 users and falls as 1 / u: between 40 and 42 users by 5 % ± 1.4 %."""
    users, tput = np.array([1.0, 10.0, 40.0, 42.0, 100.0]), np.array([100.0, 1000.0, 1000.0, 952.4, 400.0])
    found = throughput_envelope(users, tput, np.full(5, 0.01))
    assert 2000 <= greatest_up_to(found.high, 40.0)[1] < 1.03 * 2000
    assert 1333 <= value_at(found.high, 30.0) < 1.15 * 1333
    # also where the near two do not surely fall
    flat = throughput_envelope(users, np.array([100.0, 1000.0, 1000.0, 980.0, 400.0]), np.full(5, 0.01))
    assert 2000 <= greatest_up_to(flat.high, 40.0)[1] < 1.1 * 2000


def test_a_level_on_the_fall_does_not_make_it_steeper_by_its_error() -> None:
    """25 users lie 4 % above the power that 50 and 100 users show, which their errors explain: no peak beyond it."""
    users, tput = np.array([1.0, 10.0, 25.0, 50.0, 100.0]), np.array([100.0, 900.0, 1660.0, 800.0, 400.0])
    found = throughput_envelope(users, tput, np.full(5, 0.01))
    assert value_at(found.high, 37.5) == pytest.approx((1660 + 800) / 2)


def test_what_fell_does_not_rise_again() -> None:
    users, tput = np.array([1.0, 10.0, 50.0, 100.0]), np.array([100.0, 1000.0, 700.0, 400.0])
    found = throughput_envelope(users, tput, np.full(4, 0.01))
    assert value_at(found.high, 99.0) == 700.0
    # where it rose before, the peak may lie beyond
    rose = throughput_envelope(users, np.array([100.0, 500.0, 700.0, 400.0]), np.full(4, 0.01))
    assert value_at(rose.high, 99.0) == pytest.approx(700 + 49 * 5)


def test_levels_that_lie_near_do_not_bound_by_their_error() -> None:
    # the levels of 18 and 20 users are equal but for an error of 2 %: their secant is no bound, the others' are
    users, tput = np.array([1.0, 10.0, 18.0, 20.0, 50.0, 100.0]), np.array([98.0, 700.0, 980.0, 1020.0, 1500.0, 1800.0])
    near = throughput_envelope(users, tput, np.zeros(6))
    far = throughput_envelope(users, tput, np.full(6, 0.02))
    assert value_at(near.high, 22.0) == pytest.approx(1060.0)
    assert value_at(far.high, 22.0) == pytest.approx(1020.0 + 2 * 32.0)


@given(tput=falling_speeds(), share=st.floats(0.001, 0.999), error=st.sampled_from([0.0, 0.02]))
@example(tput=ONE_SPEED, share=0.5, error=0.0)
def test_the_lowest_curve_lies_below_the_highest_and_neither_user_gets_faster(
    tput: Array, share: float, error: float
) -> None:
    found = throughput_envelope(USERS, tput[0], np.full(5, error))
    for lines in found:
        assert (np.diff(lines.users) >= 0).all()
        speed = lines.values / lines.users
        assert (np.diff(speed) <= 1e-9 * speed[:-1]).all()
    u = 1 + share * 99
    assert value_at(found.low, u) <= value_at(found.high, u) * (1 + 1e-9)
    first, last = tput[0, 0], tput[0, -1] / 100
    wanted = last + share * (first - last)
    assert load_above(found.low, wanted) <= load_above(found.high, wanted) * (1 + 1e-9)


def test_a_latency_may_bend_to_either_side_or_jump() -> None:
    users, none = np.array([1.0, 10.0, 50.0, 100.0]), np.zeros(4)
    # flat, then steeper: as late as the crossing of the two secants, as early as the chord
    convex = latency_envelope(users, np.array([1.0, 1.0, 3.0, 13.0]), none)
    assert load_within(convex.low, 1.0) == pytest.approx(40.0)
    assert load_within(convex.high, 2.0) == pytest.approx(30.0)
    # steep, then flat
    concave = latency_envelope(users, np.array([1.0, 2.8, 4.0, 4.1]), none)
    assert load_within(concave.low, 3.0) == pytest.approx(10 + 0.2 / 0.03)
    assert load_within(concave.high, 3.0) == pytest.approx(11.0)
    # flat on both sides of a step: it may be anywhere in the gap
    step = latency_envelope(users, np.array([1.0, 1.0, 9.0, 9.0]), none)
    assert load_within(step.low, 4.0) == 50.0
    assert load_within(step.high, 4.0) == 10.0
    # beyond the last but one level nobody knows when it jumps
    assert load_within(convex.high, 5.0) == pytest.approx(50.0)


def test_one_level_is_its_own_envelope() -> None:
    for made in (throughput_envelope, latency_envelope):
        for lines in made(np.array([7.0]), np.array([3.0]), np.zeros(1)):
            assert lines == Lines(np.array([7.0]), np.array([3.0]))
            assert greatest_up_to(lines, 7.0) == (7.0, 3.0)


def test_repeats_are_pooled_on_the_log_scale_with_the_wider_interval() -> None:
    pooled = pool_figure([Measured(100.0, 0.01), Measured(400.0, 0.01)])
    assert pooled.value == pytest.approx(200)
    # the logs stand log(4) / root(2) apart in sd; t(1) = 12.7062; divided by root(2)
    assert pooled.log_half == pytest.approx(12.7062047 * np.log(4) / 2)
    same = pool_figure([Measured(100.0, 0.03), Measured(100.0, 0.04)])
    assert same.log_half == pytest.approx(0.05 / 2)


def test_a_repeat_without_a_percentile_leaves_the_level_without_it() -> None:
    assert pool_figure([Measured(1.0, 0.1), Measured()]) == Measured()
    assert pool_figure([Measured(1.0, 0.1), Measured(more_than=3.0)]) == Measured(more_than=3.0)


def test_an_interval_that_reaches_below_zero_is_wide_and_not_broken() -> None:
    run = RunSummary(
        run=RunFacts(id="r"),
        levels=(a_level(1, None, output_tok_per_s=Estimate(value=100.0, ci95=(-20.0, 220.0))),),
    )
    assert pool(run).levels[0].figures["output_tok_per_s"].log_half == pytest.approx(1.2)


def test_levels_that_did_not_finish_are_left_out_and_said() -> None:
    run = RunSummary(
        run=RunFacts(id="r"),
        levels=(
            a_level(1, 100.0),
            a_level(5, 100.0, status="failed"),
            a_level(None, 100.0, req_per_s_offered=3.0),
            a_level(10, None),
            a_level(10, 0.0, share=None, repeat=1),
        ),
    )
    pooled = pool(run)
    assert [level.users for level in pooled.levels] == [1]
    assert [left_out_text(level) for level in pooled.left_out] == [
        "5 users: the level is marked failed",
        "3 req/s: an open loop has no number of users",
        "10 users: no throughput",
        "10 users (repeat 1): no throughput",
    ]


def test_a_run_without_a_usable_level_is_one_clear_line() -> None:
    with pytest.raises(UsageError, match="empty: no level with a throughput to compare; the run holds no level at all"):
        pool(a_run({}, run_id="empty"))


def test_mean_latencies_and_further_numbers_are_pooled_over_repeats() -> None:
    levels = tuple(
        a_level(
            1,
            10.0,
            repeat=i,
            distributions={"ttft_s": Distribution(n=9, mean=mean)},
            extra={"gpu_board_w": watts, "flag": True},
        )
        for i, (mean, watts) in enumerate([(1.0, 200.0), (4.0, {"value": 300.0})])
    )
    (level,) = pool(RunSummary(run=RunFacts(id="r"), levels=levels)).levels
    assert level.figures["ttft_mean"].value == pytest.approx(2.0)
    assert level.extra == {"gpu_board_w": 250.0}
    assert level.repeats == 2
