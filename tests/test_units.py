"""Durations are read in one place; numbers are made short as people write them."""

import pytest

from breakeven.units import load_text, loads_text, parse_duration_s, short_count, short_rate, short_s


@pytest.mark.parametrize(
    ("text", "expected_s"),
    [("90", 90), ("90s", 90), ("2m", 120), ("2min", 120), ("1h", 3600), ("500ms", 0.5), (" 1.5 m ", 90), (".5s", 0.5)],
)
def test_a_duration_is_seconds_unless_a_unit_stands_behind_it(text: str, expected_s: float) -> None:
    assert parse_duration_s(text) == pytest.approx(expected_s)


@pytest.mark.parametrize("text", ["", "s", "-1s", "1d", "1h30m", "1e3", "nan", "inf", "1 2", "１０", "5 s s"])
def test_what_is_no_duration_is_refused_with_the_forms_that_are(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no duration; write seconds or a unit: 90, 90s, 2m, 1h, 500ms"):
        parse_duration_s(text)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0, "0.0"),
        (9.96, "10.0"),
        (99.94, "99.9"),
        (99.95, "100"),
        (2512.4, "2512"),
        (9994, "9994"),
        (9996, "10.0k"),
        (48400, "48.4k"),
        (153_000, "153k"),
        (999_499, "999k"),
        (999_600, "1.00M"),
        (12_345_678, "12.3M"),
        (-48400, "-48.4k"),
    ],
)
def test_a_count_has_three_digits_and_a_letter_from_ten_thousand_on(value: float, expected: str) -> None:
    assert short_count(value) == expected


@pytest.mark.parametrize(
    ("value_s", "expected"),
    [
        (0.0004, "0.4 ms"),
        (0.051, "51.0 ms"),
        (0.0999, "99.9 ms"),
        (0.2, "200 ms"),
        (0.9994, "999 ms"),
        (0.9996, "1.00 s"),
        (4.026, "4.03 s"),
        (12.6, "12.6 s"),
        (99.96, "1m40s"),
        (200, "3m20s"),
        (3599.7, "60m00s"),
    ],
)
def test_a_time_is_told_in_the_unit_that_a_person_would_use(value_s: float, expected: str) -> None:
    assert short_s(value_s) == expected


def test_a_load_is_told_in_users_or_in_requests_per_second() -> None:
    assert [load_text(users, None) for users in (1, 5)] == ["1 user", "5 users"]
    assert [load_text(None, rate) for rate in (2.5, 20.0)] == ["2.5 req/s", "20 req/s"]
    assert load_text(None, None) == "no rate"
    assert [load_text(5, None, repeat=0), load_text(None, 2.5, repeat=1)] == [
        "5 users, repeat 1",
        "2.5 req/s, repeat 2",
    ]


def test_rates_that_are_levels_of_their_own_are_told_apart() -> None:
    assert [load_text(None, rate) for rate in (1234.567, 1234.568, 1_000_000.0, 1 / 3)] == [
        "1234.567 req/s",
        "1234.568 req/s",
        "1000000 req/s",
        "0.333 req/s",
    ]
    assert loads_text([(None, 1234.567), (None, 1234.568)]) == "1234.567 and 1234.568 req/s"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.0, "0.0"),
        (0.05, "0.0500"),
        (0.4, "0.400"),
        (3.826, "3.83"),
        (21.9, "21.9"),
        (99.96, "100"),
        (12340.0, "12.3k"),
    ],
)
def test_a_rate_of_requests_has_three_digits_however_small(value: float, expected: str) -> None:
    assert short_rate(value) == expected
