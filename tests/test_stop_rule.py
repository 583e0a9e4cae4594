"""When a window is long enough."""

import itertools

import numpy as np
import pytest

from breakeven.load.stop import Series, StopRule


def steady(*, until_s: float, per_s: float = 100.0) -> Series:
    """Chunks at a constant rate, noted ten times a second."""
    series = Series()
    for tick in range(int(until_s * 10) + 1):
        series.add(tick / 10, round(tick * per_s / 10))
    return series


def looks(rule: StopRule, series: Series, *, until_s: float, e2e_s: list[float], open_s: float = 0.0) -> list[float]:
    """Ask at every tick until it stops; the window lengths at which it looked (where the half-width was set anew)."""
    found: list[float] = []
    for tick in range(int(until_s * 10) + 1):
        rule.half_width = None
        stops = rule.should_stop(series, open_s=open_s, now_s=open_s + tick / 10, e2e_s=e2e_s)
        if rule.half_width is not None:
            found.append(tick / 10)
        if stops:
            return [*found, -1.0]
    return found


def test_it_looks_only_at_window_lengths_that_grow_by_one_and_a_half() -> None:
    found = looks(StopRule(precision=0.05), steady(until_s=100), until_s=100, e2e_s=[])
    assert found[0] == 5.0
    assert len(found) == 8
    for earlier, later in itertools.pairwise(found):
        assert 1.5 * earlier <= later <= 1.5 * earlier + 0.101


def test_it_stops_at_the_second_good_look_in_a_row() -> None:
    assert looks(StopRule(precision=0.05), steady(until_s=100), until_s=100, e2e_s=[1.0] * 30) == [5.0, 7.5, -1.0]


def test_a_bad_look_between_two_good_ones_starts_the_count_again() -> None:
    series = Series()
    at_s = np.arange(0, 60, 0.1)
    counts = np.cumsum(np.where((at_s > 5.1) & (at_s < 7.0), 40, 10))  # a burst that only the second look is hit by
    for time_s, count in zip(at_s.tolist(), counts.tolist(), strict=True):
        series.add(time_s, count)
    rule = StopRule(precision=0.30)
    widths: list[float | None] = []
    for tick in range(600):
        stops = rule.should_stop(series, open_s=0.0, now_s=tick / 10, e2e_s=[0.5] * 30)
        if not widths or rule.half_width != widths[-1]:
            widths.append(rule.half_width)
        if stops:
            break
    good = [width is not None and width <= 0.30 for width in widths[1:]]
    assert good[:2] == [True, False]
    assert good[-2:] == [True, True]
    assert not any(good[i] and good[i + 1] for i in range(len(good) - 2))


@pytest.mark.parametrize(("answers", "stops"), [(29, False), (30, True)])
def test_at_least_thirty_answers_have_ended(answers: int, stops: bool) -> None:
    found = looks(StopRule(precision=0.05), steady(until_s=60), until_s=60, e2e_s=[1.0] * answers)
    assert (found[-1] == -1.0) is stops


def test_the_window_lasts_at_least_three_times_the_median_e2e() -> None:
    e2e_s = [1.0] * 20 + [6.0] * 21  # median 6: looks at 18 s and later count
    found = looks(StopRule(precision=0.05), steady(until_s=100), until_s=100, e2e_s=e2e_s)
    assert [look for look in found if 0 < look < 18] == [5.0, 7.5, 11.3, 17.0]
    assert len(found) == 4 + 2 + 1


def test_an_interval_that_stays_wide_never_stops_it() -> None:
    series = Series()
    for tick in range(1001):
        series.add(tick / 10, 1000 * (tick // 100))  # all chunks of ten seconds at once
    assert looks(StopRule(precision=0.05), series, until_s=100, e2e_s=[1.0] * 100)[-1] != -1.0


def test_a_late_look_moves_the_next_one_on() -> None:
    rule, series = StopRule(precision=1e-9), steady(until_s=100)
    assert not rule.should_stop(series, open_s=0.0, now_s=20.0, e2e_s=[])
    seen = rule.half_width
    assert not rule.should_stop(series, open_s=0.0, now_s=29.9, e2e_s=[])
    assert rule.half_width is seen
    rule.should_stop(series, open_s=0.0, now_s=30.0, e2e_s=[])
    assert rule.half_width is not seen


def test_the_window_counts_from_its_opening() -> None:
    series = steady(until_s=100)
    assert looks(StopRule(precision=0.05), series, until_s=60, e2e_s=[1.0] * 30, open_s=37.0) == [5.0, 7.5, -1.0]


def test_a_series_that_brought_nothing_has_no_half_width() -> None:
    series = steady(until_s=20, per_s=0.0)
    assert series.relative_half_width(open_s=0.0, now_s=20.0) is None
    assert not StopRule(precision=0.05).should_stop(series, open_s=0.0, now_s=20.0, e2e_s=[1.0] * 30)


def test_the_rate_between_two_notes_is_interpolated() -> None:
    series = Series()
    series.add(0.0, 0)
    series.add(2.0, 20)
    series.add(4.0, 80)
    assert series.rate(start_s=1.0, end_s=3.0) == pytest.approx((50 - 10) / 2)
    assert series.rate(start_s=1.0, end_s=1.0) is None


def test_the_half_width_is_that_of_the_batches_over_the_rate() -> None:
    series = Series()
    counts = [0, 3, 4, 9, 11, 12, 20, 21, 25, 26, 30]
    for second, count in enumerate(counts):
        series.add(float(second), count)
    rates = np.diff(counts)
    expected = 2.2621571628 * rates.std(ddof=1) / 10**0.5 / 3.0  # 20 batches hold pairs of equal halves: narrower
    assert series.relative_half_width(open_s=0.0, now_s=10.0) == pytest.approx(expected)
