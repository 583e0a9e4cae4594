"""The stop rule looks rarely, wants two good looks in a row, and enough answers and time."""

import numpy as np
import pytest

from breakeven.load.stop import FIRST_LOOK_S, Series, StopRule


def series(rate_at: "np.ndarray[tuple[int], np.dtype[np.float64]]", *, step_s: float = 0.1) -> Series:
    """A series that counts this rate in each step, noted at each step's end."""
    found = Series()
    counts = np.concatenate([[0], np.cumsum(rate_at * step_s)])
    for index, count in enumerate(counts):
        found.add(index * step_s, int(count))
    return found


STEADY = series(np.full(1000, 500.0))
NOISY = series(np.random.default_rng(1).uniform(0, 1000, 1000))
ANSWERS = [0.5] * 100


def looks(rule: StopRule, seen: Series, *, e2e_s: list[float] = ANSWERS, until_s: float = 99.0) -> list[float]:
    """Times at which the rule looked; the last one is when it stopped, if it did."""
    times = []
    for now_s in np.arange(0.1, until_s, 0.1):
        before = rule._next_look_s
        stops = rule.should_stop(seen, open_s=0.0, now_s=float(now_s), e2e_s=e2e_s)
        if rule._next_look_s != before:
            times.append(round(float(now_s), 1))
        if stops:
            return times
    return [*times, float("inf")]


def test_a_steady_rate_stops_at_the_second_look() -> None:
    assert looks(StopRule(precision=0.05), STEADY) == [5.0, 7.5]


def test_looks_come_at_lengths_that_grow_by_half() -> None:
    times = looks(StopRule(precision=1e-9), NOISY)
    assert times[-1] == float("inf")
    assert times[0] == FIRST_LOOK_S
    ratios = np.diff(np.log(times[:-1]))
    assert ratios == pytest.approx(np.log(1.5), abs=0.02)


def test_too_few_answers_or_too_short_a_window_do_not_stop() -> None:
    assert looks(StopRule(precision=0.05), STEADY, e2e_s=[0.5] * 29)[-1] == float("inf")
    # three median answers of 10 s: the looks at 38 s and 57 s are the first two that are long enough
    assert looks(StopRule(precision=0.05), STEADY, e2e_s=[10.0] * 30)[-1] == pytest.approx(57, abs=1)


def test_one_good_look_between_bad_ones_is_not_enough() -> None:
    rule = StopRule(precision=0.05)
    rule.should_stop(STEADY, open_s=0.0, now_s=5.0, e2e_s=ANSWERS)
    assert not rule.should_stop(NOISY, open_s=0.0, now_s=7.5, e2e_s=ANSWERS)
    assert not rule.should_stop(STEADY, open_s=0.0, now_s=11.3, e2e_s=ANSWERS)
    assert rule.should_stop(STEADY, open_s=0.0, now_s=17.0, e2e_s=ANSWERS)


def test_between_looks_nothing_stops() -> None:
    rule = StopRule(precision=0.05)
    rule.should_stop(STEADY, open_s=0.0, now_s=5.0, e2e_s=ANSWERS)
    assert not rule.should_stop(STEADY, open_s=0.0, now_s=7.4, e2e_s=ANSWERS)
    assert rule.half_width == pytest.approx(0.0, abs=1e-6)


def test_a_rate_over_no_time_is_none() -> None:
    assert STEADY.rate(start_s=1.0, end_s=1.0) is None
    assert STEADY.rate(start_s=1.0, end_s=3.0) == pytest.approx(500)
    assert series(np.zeros(100)).relative_half_width(open_s=0.0, now_s=9.0) is None
    assert STEADY.relative_half_width(open_s=0.0, now_s=2.0) is None
