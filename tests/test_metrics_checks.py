"""The self-checks: figures that an honest level satisfies, worked out by hand where it does not."""

import random

import pytest
import scipy.stats
from msgspec.structs import replace

from breakeven.metrics.checks import Checks, check_level
from breakeven.record import Record
from builders import Level, a_record, an_honest_level, changed, some_facts


def checked(level: Level) -> Checks:
    found = check_level(*level)
    assert found is not None
    return found


def test_a_level_without_a_window_is_not_checked() -> None:
    assert check_level(replace(some_facts(), open_s=None, close_s=None), []) is None
    assert check_level(some_facts(window=(5.0, 5.0)), []) is None


@pytest.mark.parametrize("think_s", [0.0, 0.7])
@pytest.mark.parametrize("users", [1, 4, 30])
def test_in_flight_equals_users_with_and_without_think_time(users: int, think_s: float) -> None:
    assert checked(an_honest_level(users=users, think_s=think_s)).in_flight == pytest.approx(users, rel=0.01)


def test_in_flight_is_a_time_average_from_due_to_end() -> None:
    records = [a_record(due_s=0.0, end_s=12.0), a_record(due_s=14.0, end_s=17.0), a_record(due_s=19.0, end_s=30.0)]
    assert checked((some_facts(window=(10.0, 20.0)), records)).in_flight == pytest.approx((2 + 3 + 1) / 10)


@pytest.mark.parametrize("think_s", [0.0, 0.7])
def test_a_user_who_stops_asking_is_missed_even_where_users_think(think_s: float) -> None:
    facts, records = an_honest_level(users=4, think_s=think_s)
    gone = [record for record in records if record.user != 3 or record.end_s < 12.0]
    found = checked((facts, gone)).in_flight
    assert found == pytest.approx(3.5, rel=0.03)


def thinking_as_they_like(seed: int) -> Level:
    """Three users whose pauses are their own: requests of 1 s, thinking of up to 2 s."""
    chance, records = random.Random(seed), []
    for user in range(3):
        at_s, k = 0.0, 0
        while at_s < 40.0:
            records.append(a_record(due_s=at_s, end_s=at_s + 1.0, user=user, k=k))
            at_s, k = at_s + 1.0 + chance.uniform(0.5, 2.0), k + 1
    return some_facts(window=(5.0, 35.0), users=3, own_pauses=True), records


@pytest.mark.parametrize("seed", range(3))
def test_pauses_that_the_workload_decides_are_taken_from_what_users_did(seed: int) -> None:
    found = checked(thinking_as_they_like(seed))
    assert found.in_flight == pytest.approx(3)
    assert found.little_users == pytest.approx(3, rel=0.1)


def test_a_user_who_stops_asking_is_missed_also_where_pauses_are_the_workloads() -> None:
    facts, records = thinking_as_they_like(0)
    gone = [record for record in records if record.user != 2 or record.end_s < 15.0]
    found = checked((facts, gone)).in_flight
    assert found is not None
    assert found < 2.5


def test_a_pause_after_an_error_is_not_in_flight() -> None:
    records = [
        a_record(due_s=0.0, end_s=4.0, status="error", error="reset"),
        a_record(due_s=6.0, end_s=20.0, k=2),
    ]
    assert checked((some_facts(window=(0.0, 20.0), think_s=1.0), records)).in_flight == pytest.approx(18 / 20)


def test_halves_are_the_throughput_of_each_half() -> None:
    records = [a_record(due_s=0.0, chunks_at_s=[1.0, 2.0, 3.0, 11.0], output_tokens=40)]
    assert checked((some_facts(window=(0.0, 20.0)), records)).halves_tok_per_s == pytest.approx((3.0, 1.0))


def test_the_doubt_of_the_halves_difference_is_that_of_ten_batches_each() -> None:
    at_s = [0.5, 1.5, 1.6, 4.5, 9.5, 10.5, 12.5, 12.6, 12.7, 19.5]
    found = checked((some_facts(window=(0.0, 20.0)), [a_record(chunks_at_s=at_s, output_tokens=10)]))
    # tokens a second of the halves: 1 2 0 0 1 0 0 0 0 1 and 1 0 3 0 0 0 0 0 0 1: sums of squares 7 and 11, means 0.5
    variances = (7 - 10 * 0.25) / 9 + (11 - 10 * 0.25) / 9
    expected = float(scipy.stats.t.ppf(0.975, 18)) * (variances / 10) ** 0.5
    assert found.halves_doubt_tok_per_s == pytest.approx(expected)


def test_a_window_of_five_to_ten_seconds_has_halves_of_five_batches() -> None:
    assert checked(an_honest_level(window=(2.0, 8.0))).halves_doubt_tok_per_s is not None
    assert checked(an_honest_level(window=(2.0, 6.0))).halves_doubt_tok_per_s is None


def test_little_is_starts_and_ends_over_two_t_times_mean_stay_and_think() -> None:
    records = [a_record(due_s=2.0 * k, end_s=2.0 * k + 1.5, k=k) for k in range(1, 30)]
    found = checked((some_facts(window=(10.0, 30.0), think_s=0.5), records))
    # due at 10, 12 … 28: 10 starts; ended at 11.5 … 29.5: 10 ends; each stays 1.5 s and thinks 0.5 s
    assert found.little_users == pytest.approx(20 / 40 * 2.0)
    assert found.little_tolerance == pytest.approx(2.0 / 20)


def test_little_tolerates_five_percent_or_one_stay_in_the_window() -> None:
    assert checked(an_honest_level(window=(2.0, 22.0))).little_tolerance == pytest.approx(0.05, rel=0.01)
    assert checked(an_honest_level(window=(2.0, 62.0))).little_tolerance == 0.05
    assert checked(an_honest_level(window=(2.0, 10.0))).little_tolerance == pytest.approx(1 / 8, rel=0.05)


def test_little_is_checked_only_if_the_window_holds_five_answers_a_user() -> None:
    assert checked(an_honest_level(window=(2.0, 6.9))).little_users is None
    assert checked(an_honest_level(window=(2.0, 7.1))).little_users is not None


def test_little_counts_failed_requests_as_users_too() -> None:
    def broken(record: Record) -> dict[str, object]:
        return {} if record.k % 2 or record.status == "cut" else {"status": "error", "error": "bad_stream"}

    assert checked(changed(an_honest_level(), broken)).little_users == pytest.approx(4, rel=0.05)


def test_little_holds_in_a_level_of_counted_requests() -> None:
    facts, records = an_honest_level(users=4, window=(2.0, 42.0))
    measured = sorted((r for r in records if r.k and r.due_s >= 2.0), key=lambda r: r.due_s)[:100]
    window = measured[0].due_s, measured[-1].due_s
    counted = replace(facts, open_s=window[0], close_s=window[1], measured_requests=100)
    assert checked((counted, records)).little_users == pytest.approx(4, rel=0.05)


def test_the_shares_of_cached_prompts_and_missed_lengths_are_taken_over_answers() -> None:
    records = [
        a_record(chunks_at_s=[1.0, 2.0], input_tokens=80, cached_tokens=20, asked_input_tokens=80, output_tokens=4),
        a_record(chunks_at_s=[1.0, 2.0], input_tokens=20, cached_tokens=0, asked_input_tokens=25, output_tokens=4),
        a_record(chunks_at_s=[1.0, 2.0], input_tokens=900, asked_output_tokens=5, output_tokens=4),
        a_record(chunks_at_s=[1.0], input_tokens=70, cached_tokens=70, output_tokens=9, asked_output_tokens=1, k=0),
    ]
    found = checked((some_facts(), records))
    assert found.cached_share == pytest.approx(20 / 100)
    assert (found.input_misses, found.output_misses, found.in_one_piece) == (1, 1, 0)


def test_what_the_server_did_not_say_is_null_in_the_checks() -> None:
    found = checked((some_facts(users=None), [a_record(chunks_at_s=[1.0])]))
    assert (found.cached_share, found.tokens_in_first_chunk, found.little_users, found.answers_per_user) == (None,) * 4
