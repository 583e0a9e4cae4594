"""The warm-up's end is found from the data, and noise does not cut windows."""

import math

import numpy as np
import pytest
from msgspec.structs import replace

from breakeven.cautions import judged_level
from breakeven.metrics.checks import check_level
from breakeven.metrics.level import Window, summarise_level
from breakeven.metrics.statistics import Floats, cumulative
from breakeven.metrics.steady import mser5, steady_from_s, warm_up_end_s
from builders import Level, an_honest_level
from slow_start import ENGINES, STARTS, Engine, outcomes


def mser5_by_hand(series: list[float]) -> int | None:
    """The definition, one term after the other: argmin over d of sum (x - mean)^2 / (n - d)^2 on means of five."""
    means = [sum(series[i : i + 5]) / 5 for i in range(0, len(series) - len(series) % 5, 5)]
    scores = []
    for d in range(len(means) - 5):
        rest = means[d:]
        mean = sum(rest) / len(rest)
        scores.append(sum((x - mean) ** 2 for x in rest) / len(rest) ** 2)
    best = scores.index(min(scores))
    return 5 * best if best <= len(means) // 2 else None


@pytest.mark.parametrize("seed", range(10))
def test_mser5_is_its_definition(seed: int) -> None:
    rng = np.random.default_rng(seed)
    series = rng.normal(10, 1, 137) - 8 * np.exp(-np.arange(137) / (5 + 3 * seed))
    assert mser5(series) == mser5_by_hand(series.tolist())


def test_a_step_is_cut_where_it_is() -> None:
    series = np.array([2.0] * 30 + [10.0] * 70)
    assert mser5(series) == 30


def test_a_series_that_is_flat_is_not_cut() -> None:
    assert mser5(np.full(100, 3.3)) == 0


def test_a_series_that_has_not_settled_by_its_middle_tells_nothing() -> None:
    assert mser5(np.array([2.0] * 70 + [10.0] * 30)) is None
    assert mser5(np.arange(20.0)) is None


def arrivals(rates: list[tuple[float, float]]) -> tuple[Floats, Floats]:
    """One token each 1/rate s: (until, rate) after one another."""
    parts, now_s = [], 0.0
    for until_s, rate in rates:
        parts.append(np.arange(now_s, until_s, 1 / rate))
        now_s = until_s
    times_s = np.concatenate(parts)
    return times_s, np.ones_like(times_s)


def test_the_end_of_the_warm_up_is_given_in_seconds() -> None:
    times_s, tokens = arrivals([(6.0, 50.0), (30.0, 100.0)])
    assert warm_up_end_s(cumulative(times_s, tokens), start_s=0.0, close_s=30.0) == pytest.approx(6.0, abs=0.5)


@pytest.mark.parametrize(
    ("rates", "open_s", "from_s"),
    [
        ([(6.0, 50.0), (30.0, 100.0)], 2.0, 6.0),
        ([(6.0, 50.0), (30.0, 100.0)], 8.0, 8.0),  # the window opened later anyway
        ([(6.0, 96.0), (30.0, 100.0)], 2.0, 2.0),  # 4 % are not worth a cut
        ([(6.0, 150.0), (30.0, 100.0)], 2.0, 6.0),  # a card that was faster while it was cool
        ([(6.0, 250.0), (30.0, 100.0)], 2.0, 2.0),  # a fall to less than half is a fault
        ([(18.0, 50.0), (30.0, 100.0)], 2.0, 2.0),  # beyond the middle
        ([(3.0, 50.0), (7.0, 100.0)], 2.0, 2.0),  # less than 5 s would stay
    ],
)
def test_the_window_moves_only_for_a_good_reason(
    rates: list[tuple[float, float]], open_s: float, from_s: float
) -> None:
    times_s, tokens = arrivals(rates)
    found = steady_from_s(cumulative(times_s, tokens), start_s=0.0, open_s=open_s, close_s=rates[-1][0])
    assert found == pytest.approx(from_s, abs=0.5)
    assert found >= open_s


def test_an_empty_window_is_left_alone() -> None:
    nothing = np.empty(0)
    assert steady_from_s(cumulative(nothing, nothing), start_s=0.0, open_s=2.0, close_s=30.0) == 2.0


# levels


def slow_for_8_s(**facts: object) -> Level:
    """Four users; until 10 s after the start an answer takes about twice as long."""

    def gap_s(at_s: float) -> float:
        return (0.2 if at_s < 10 else 0.1) * (1 + 0.3 * math.sin(17 * at_s))

    return an_honest_level(window=(2.0, 42.0), gap_s=gap_s, **facts)  # type: ignore[arg-type]


@pytest.mark.parametrize("stopped", ["precision", "max"])
def test_a_level_of_automatic_length_begins_its_window_when_it_had_settled(stopped: str) -> None:
    facts, records = slow_for_8_s(stopped=stopped)
    level = judged_level(facts, records)
    assert level.warm_up_s == pytest.approx(10, abs=1)
    assert level.window_s == pytest.approx(32, abs=1)
    assert level.output_tok_per_s.value == pytest.approx(36, rel=0.05)  # 4 users x 9 tokens / 1 s
    assert facts.open_s == 2.0
    assert "warm_up_too_short" not in {caution.id for caution in level.cautions}


@pytest.mark.parametrize("stopped", ["duration", "requests", "interrupted"])
def test_a_level_whose_length_was_asked_for_keeps_it_with_a_caution(stopped: str) -> None:
    facts, records = slow_for_8_s(stopped=stopped)
    level = judged_level(facts, records)
    assert (level.warm_up_s, level.window_s) == (2.0, 40.0)
    (caution,) = [caution for caution in level.cautions if caution.id == "warm_up_too_short"]
    assert caution.text.startswith(("the throughput settled only 8.", "the throughput settled only 7."))
    assert "--warmup 1" in caution.remedy
    assert not level.steady


def test_checks_latencies_and_throughput_share_the_moved_window() -> None:
    facts, records = slow_for_8_s(stopped="max")
    window = Window(facts, records)
    assert window.open_s > 9
    checks = check_level(facts, records)
    assert checks is not None
    assert checks.unsettled_s == 0
    assert checks.longest_batch_s == pytest.approx(window.length_s / 10)
    level = summarise_level(facts, records)
    assert level.of("ttft_s").n == len(window.due) < len([r for r in records if r.due_s >= 2.0])


def test_a_trace_is_never_cut() -> None:
    facts, records = slow_for_8_s(stopped="max")
    facts = replace(facts, users=None, arrivals="trace")
    assert Window(facts, records).open_s == facts.open_s


# simulation: docs/STEADY.md has the whole table


@pytest.mark.parametrize("name", [name for name in ENGINES if "waver" not in name])
def test_without_a_trend_hardly_a_window_moves_and_coverage_stays(name: str) -> None:
    plain, moved = outcomes(ENGINES[name], window_s=20.0, runs=150)
    assert moved.moved <= 0.03
    assert moved.covered >= plain.covered - 0.01
    assert moved.covered >= 0.90
    assert moved.error <= plain.error * 1.05


def test_a_slow_start_is_cut_and_the_throughput_is_righter() -> None:
    engine: Engine = ENGINES["20 users, exactly 64 tokens"]._replace(**STARTS["half speed until 4 s into the window"])  # type: ignore[arg-type]
    plain, moved = outcomes(engine, window_s=40.0, runs=100)
    assert moved.moved > 0.9
    assert moved.covered >= 0.95
    assert moved.error < plain.error / 3
    assert moved.width < plain.width / 2
