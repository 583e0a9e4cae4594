"""For how long the machine's own speed remembers, and what of a throughput is the load's."""

import numpy as np
import numpy.typing as npt
import pytest

from breakeven.metrics.speed import Speed, in_flight, speed
from breakeven.metrics.statistics import Cumulative, Memory, distribution, memory
from breakeven.record import Record

Floats = npt.NDArray[np.float64]


def asked(due_s: float, end_s: float) -> Record:
    return Record(user=0, k=1, due_s=due_s, sent_s=due_s, end_s=end_s, status="done")


def held(load: npt.NDArray[np.int64]) -> list[Record]:
    """So many in flight in each second."""
    return [asked(second, second + 1.0) for second, count in enumerate(load.tolist()) for _ in range(count)]


def at_rates(rates: Floats) -> Cumulative:
    """One rate a second."""
    sums = np.concatenate([[0.0], np.cumsum(rates)])
    return lambda at_s: np.interp(at_s, np.arange(len(sums)), sums)


def slowly(runs: int, *, keep: float) -> Floats:
    """Sixty values with a spread of 1 that keep so much of what they are off by."""
    rng = np.random.default_rng(5)
    off = rng.standard_normal((runs, 60))
    for second in range(1, 60):
        off[:, second] = keep * off[:, second - 1] + (1 - keep**2) ** 0.5 * off[:, second]
    return np.asarray(off)


def test_in_flight_by_hand() -> None:
    """Of 0 to 2 s one is there for 1.5 s and one for 0.5 s; of 2 to 4 s the second for 1 s."""
    records = [asked(0.5, 2.0), asked(1.5, 3.0), asked(9.0, 9.5)]
    assert in_flight(records, np.array([0.0, 2.0, 4.0])).tolist() == [1.0, 0.5]


def test_what_comes_of_more_in_flight_is_not_the_machines_speed() -> None:
    """10 tok/s for each in flight, whose number wavers slowly, and 1 % of noise, which alone is left."""
    (wave,) = np.rint(10 + 3 * slowly(1, keep=0.9)).astype(np.int64)
    noise = np.random.default_rng(1).standard_normal(60)
    found = speed(at_rates(10.0 * wave + noise), held(wave), open_s=0.0, close_s=60.0)
    assert found is not None
    plain = memory(10.0 * wave + noise)
    assert plain is not None
    assert plain.stretches < 15
    assert found.memory.stretches > 20
    assert found.rates.std() < 1.2


def test_the_machines_own_wave_is_left_also_where_it_holds_requests_up() -> None:
    """A slow machine has more in flight: the line would say that more in flight is slower, which is not so."""
    (wave,) = slowly(1, keep=0.9)
    load = np.rint(20 - 3 * wave).astype(np.int64)
    found = speed(at_rates(100 + 10 * wave), held(load), open_s=0.0, close_s=60.0)
    assert found is not None
    assert found.rates == pytest.approx(100 + 10 * wave)


def test_a_request_explains_at_most_its_share_of_the_throughput() -> None:
    """20 in flight give 100 tok/s, so one explains 5 at most, though rates rise by 10 with each."""
    load = 20 + np.arange(60) % 2
    found = speed(at_rates(np.asarray(10.0 * load - 100.0, dtype=np.float64)), held(load), open_s=0.0, close_s=60.0)
    assert found is not None
    assert np.ptp(found.rates) == pytest.approx(10 - 105 / 20.5)


def test_no_speed_in_a_window_under_five_seconds_and_where_nothing_varies() -> None:
    (wave,) = slowly(1, keep=0.9)
    assert speed(at_rates(100 + wave), [], open_s=0.0, close_s=4.9) is None
    assert speed(at_rates(np.full(60, 7.0)), [], open_s=0.0, close_s=60.0) is None


def test_sections_are_widened_by_what_they_lack_of_the_memory() -> None:
    """Ten sections of 1 or 3, t of 9 degrees of freedom 2.262: 2.262 x 1.0541 / sqrt(10) = 0.754."""
    rates = np.repeat([1.0, 3.0], 6).tolist() * 5
    assert Speed(np.array(rates), Memory(stretches=8.0, half_width=1.508)).widening() == pytest.approx(2.0, rel=1e-3)
    assert Speed(np.array(rates), Memory(stretches=8.0, half_width=0.5)).widening() == 1.0
    assert Speed(np.array(rates), Memory(stretches=20.0, half_width=1.508)).widening() == 1.0


def test_a_widening_of_two_doubles_what_the_tenths_say_of_a_percentile() -> None:
    """Medians of the tenths of 10 ± s: t x s / sqrt(10) of 9 degrees of freedom about it, twice as much with 2."""
    middles = 10 + np.array([-0.5, -0.4, -0.3, -0.2, -0.1, 0.1, 0.2, 0.3, 0.4, 0.5])
    values = (middles[:, None] + np.linspace(-3, 3, 401)).ravel()
    within = np.repeat(np.arange(10), 401)
    half = 2.262 * float(np.std(middles, ddof=1)) / 10**0.5
    for widening in (1.0, 2.0):
        low, high = distribution(values, within=within, widening=widening).p50.ci95
        assert low == pytest.approx(10 - widening * half, abs=0.02)
        assert high == pytest.approx(10 + widening * half, abs=0.02)
