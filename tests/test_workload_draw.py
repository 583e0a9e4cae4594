"""Seeded draws and distributions: known vectors, an independent oracle, hostile text."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from breakeven.errors import UsageError
from breakeven.workload.draw import Draws, Walk, digits, mix, mix_range
from breakeven.workload.spread import parse_lengths, parse_spread

PUBLISHED = [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]
"""The first outputs of SplitMix64 from state 0."""


def test_mix_gives_the_published_numbers_of_splitmix64() -> None:
    assert mix(0) == PUBLISHED[0]
    assert mix_range(0, count=3).tolist() == PUBLISHED


@given(st.integers(min_value=0, max_value=2**64 - 1))
def test_mix_range_starts_where_mix_is(seed: int) -> None:
    assert int(mix_range(seed, count=1)[0]) == mix(seed)


@given(st.integers(min_value=0, max_value=10**12), st.integers(min_value=2, max_value=30_000))
def test_digits_can_be_put_together_again(number: int, base: int) -> None:
    found = digits(number, base=base, count=41)
    assert sum(digit * base**place for place, digit in enumerate(found)) == number


def test_units_of_one_stream_are_uniform() -> None:
    units = [Draws(5, purpose="x").unit(user, k) for user in range(50) for k in range(40)]
    assert stats.kstest(units, "uniform").pvalue > 0.01


def test_streams_differ_by_seed_purpose_user_and_k() -> None:
    seen = {
        Draws(seed, purpose=purpose).bits(user, k)
        for seed in (0, 1)
        for purpose in ("input", "output")
        for user in range(10)
        for k in range(10)
    }
    assert len(seen) == 400


def test_a_walk_visits_every_item_before_one_comes_again() -> None:
    walk = Walk(3, count=20)
    for user in range(5):
        assert sorted(walk.at(user, k) for k in range(20)) == list(range(20))


def test_users_start_their_walk_at_different_places() -> None:
    walk = Walk(3, count=84)
    assert len({walk.at(user, 0) for user in range(100)}) > 50


@given(st.floats(min_value=1e-9, max_value=1 - 1e-9))
def test_spreads_are_the_inverse_distributions_of_scipy(unit: float) -> None:
    expected = {
        "normal:512,128": stats.norm.ppf(unit, loc=512, scale=128),
        "lognormal:200,0.8": stats.lognorm.ppf(unit, 0.8, scale=200),
        "uniform:10,30": stats.uniform.ppf(unit, loc=10, scale=20),
        "7.5": 7.5,
    }
    for text, value in expected.items():
        assert parse_spread(text, name="x").at(unit) == pytest.approx(value, rel=1e-7, abs=1e-7)


def test_a_uniform_length_reaches_both_ends_equally_often() -> None:
    spread = parse_lengths("uniform:3,6", name="x")
    units = (np.arange(4_000) + 0.5) / 4_000
    values, counts = np.unique([spread.count_at(float(unit)) for unit in units], return_counts=True)
    assert values.tolist() == [3, 4, 5, 6]
    assert counts.tolist() == [1_000] * 4


def test_a_length_is_never_below_one_token() -> None:
    assert parse_lengths("normal:10,100", name="x").count_at(0.001) == 1


def test_a_spread_is_described_as_it_was_written() -> None:
    for text in ("1048576", "uniform:100000,1048576", "512", "normal:512,128", "uniform:1,10", "lognormal:200,0.8"):
        assert parse_lengths(text, name="x").text() == text


@pytest.mark.parametrize(
    "text",
    [
        *("", ":", "many", "nan", "inf", "0", "1.5", "gamma:1,2", "uniform:,", "uniform:9,3", "uniform:0.5,3"),
        *("uniform:1e300,1e301", "normal:512", "normal:1,2,3", "normal:-5,1", "normal:nan,1"),
        *("lognormal:0,1", "lognormal:100,50"),
    ],
)
def test_what_is_no_length_is_a_usage_error_that_names_the_setting(text: str) -> None:
    with pytest.raises(UsageError, match=r"^input-tokens: [^\n]+$"):
        parse_lengths(text, name="input-tokens")


def test_lengths_may_be_given_as_numbers() -> None:
    given_as_number: Any = 12
    assert parse_lengths(given_as_number, name="x").count_at(0.3) == 12
