"""Which request enters which number, rule by rule."""

from typing import Any

import pytest
from msgspec.structs import replace

from breakeven.metrics.level import summarise_level
from breakeven.metrics.summary import Estimate, LevelSummary, Quantile
from breakeven.record import Record
from builders import a_client, a_record, an_honest_level, some_facts, summary_of


def answer(due_s: float, end_s: float, **fields: Any) -> Record:
    """A finished answer of three chunks, the first in the middle."""
    first_s = (due_s + end_s) / 2
    fields.setdefault("output_tokens", 3)
    return a_record(due_s=due_s, chunks_at_s=[first_s, (first_s + end_s) / 2, end_s], **fields)


def failed(due_s: float, end_s: float, kind: str, **fields: Any) -> Record:
    return a_record(due_s=due_s, end_s=end_s, status="error", error=kind, **fields)


def test_ttft_takes_requests_due_in_the_window_whenever_they_ended() -> None:
    records = [answer(9.0, 11.0), answer(10.0, 14.0), answer(19.0, 29.0), answer(20.0, 22.0)]
    ttft = summary_of(records, window=(10.0, 20.0)).of("ttft_s")
    assert (ttft.n, ttft.mean) == pytest.approx((2, (2.0 + 5.0) / 2))


def test_ttft_of_first_answers_counts_where_they_were_due_in_the_window() -> None:
    assert summary_of([answer(10.0, 14.0, k=0)], window=(10.0, 20.0)).of("ttft_s").n == 1


def test_a_cut_without_a_first_chunk_is_censored_in_ttft_and_one_with_it_is_not() -> None:
    waiting = a_record(due_s=15.0, end_s=20.0, status="cut")
    begun = a_record(due_s=15.0, chunks_at_s=[16.0], end_s=20.0, status="cut")
    ttft = summary_of([waiting, begun], window=(10.0, 20.0)).of("ttft_s")
    assert (ttft.n, ttft.censored, ttft.mean) == (2, 1, None)
    assert ttft.p50.value == pytest.approx(1.0)


def test_an_answer_without_text_is_censored_in_ttft() -> None:
    ttft = summary_of([a_record(due_s=1.0, end_s=3.0, output_tokens=0)]).of("ttft_s")
    assert (ttft.n, ttft.censored) == (1, 1)


def test_a_timeout_ranks_as_infinity_in_ttft_and_e2e() -> None:
    records = [answer(float(at_s), at_s + 2.0) for at_s in range(9)] + [failed(5.0, 65.0, "timeout")]
    level = summary_of(records)
    for metric in (level.of("ttft_s"), level.of("e2e_s")):
        assert (metric.n, metric.censored, metric.mean) == (10, 1, None)
        assert metric.p50.value is not None
    assert level.of("e2e_s").p90.value == pytest.approx(2.0)
    assert level.of("e2e_s").p90.ci95[1] is None


def test_a_percentile_that_falls_on_a_timeout_is_more_than_the_time_it_was_given() -> None:
    records = [answer(1.0, 3.0), failed(2.0, 62.0, "timeout"), failed(3.0, 63.0, "timeout")]
    level = summary_of(records)
    assert level.of("e2e_s").p50 == Quantile(value=None, ci95=(None, None), more_than=60.0)
    assert level.of("ttft_s").p50 == Quantile(value=None, ci95=(None, None), more_than=60.0)


def test_a_timeout_that_had_begun_ranks_last_too_but_bounds_ttft_only_by_its_first_chunk() -> None:
    late = [failed(2.0, 62.0, "timeout", chunks_at_s=[3.0]) for _ in range(2)]
    ttft = summary_of([answer(1.0, 9.0), *late]).of("ttft_s")
    assert (ttft.n, ttft.censored) == (3, 2)
    assert ttft.p50 == Quantile(value=None, ci95=(None, None), more_than=1.0)


@pytest.mark.parametrize("kind", ["reset", "http_503", "bad_stream"])
@pytest.mark.parametrize("chunks_at_s", [[], [3.0, 3.5]])
def test_other_errors_are_left_out_of_every_latency_and_counted_apart(kind: str, chunks_at_s: list[float]) -> None:
    level = summary_of([answer(1.0, 5.0), failed(2.0, 4.0, kind, chunks_at_s=chunks_at_s, output_tokens=2)])
    for metric in (level.of("ttft_s"), level.of("e2e_s"), level.of("tpot_s")):
        assert (metric.n, metric.censored) == (1, 0)
    assert level.of("ttft_s").mean == pytest.approx(2.0)
    assert (level.errors, level.errors_by_kind, level.requests) == (1, {kind: 1}, 1)


def test_errors_are_counted_over_the_whole_level_warm_up_included() -> None:
    records = [failed(1.0, 2.0, "reset"), failed(3.0, 4.0, "timeout"), failed(15.0, 16.0, "reset")]
    level = summary_of(records, window=(10.0, 20.0))
    assert (level.errors, level.errors_by_kind) == (3, {"reset": 2, "timeout": 1})


def test_a_cut_is_not_an_error() -> None:
    level = summary_of([a_record(due_s=15.0, chunks_at_s=[16.0], end_s=20.0, status="cut")], window=(10.0, 20.0))
    assert (level.cut, level.errors, level.requests) == (1, 0, 0)


def test_e2e_tpot_and_req_per_s_take_requests_that_ended_in_the_window() -> None:
    records = [answer(1.0, 10.0), answer(9.0, 13.0), answer(12.0, 20.0), answer(19.0, 21.0)]
    level = summary_of(records, window=(10.0, 20.0))
    assert level.requests == level.of("e2e_s").n == level.of("tpot_s").n == 2
    assert level.of("e2e_s").mean == pytest.approx((4.0 + 8.0) / 2)
    assert level.req_per_s.value == pytest.approx(2 / 10)


def test_first_answers_enter_neither_e2e_nor_tpot_nor_req_per_s() -> None:
    records = [answer(9.0, 13.0, k=0), failed(9.0, 14.0, "timeout", k=0), answer(13.0, 15.0)]
    level = summary_of(records, window=(10.0, 20.0))
    assert level.requests == level.of("e2e_s").n == level.of("tpot_s").n == 1
    assert level.of("e2e_s").censored == 0
    assert level.req_per_s.value == pytest.approx(0.1)


def test_tpot_takes_answers_that_were_counted() -> None:
    level = summary_of([answer(1.0, 5.0, output_tokens=21), answer(2.0, 6.0, output_tokens=None)])
    assert (level.of("tpot_s").n, level.of("e2e_s").n) == (1, 2)
    assert level.of("tpot_s").mean == pytest.approx(2.0 / 20)


def test_itl_pools_the_gaps_whose_later_chunk_arrived_in_the_window_cut_ones_too() -> None:
    records = [
        a_record(due_s=5.0, chunks_at_s=[9.0, 9.5, 10.5, 12.5], output_tokens=4),  # gaps 1.0 and 2.0 end inside
        a_record(due_s=11.0, chunks_at_s=[15.0, 18.0, 21.0], status="cut", end_s=21.0),  # 3.0 inside
    ]
    itl = summary_of(records, window=(10.0, 20.0)).of("itl_s")
    assert (itl.n, itl.mean, itl.p50.value) == pytest.approx((3, 2.0, 2.0))


def test_interactivity_at_p95_is_the_speed_that_95_percent_reach() -> None:
    records = [a_record(due_s=0.0, chunks_at_s=[1.0, 1.0 + number], output_tokens=11) for number in range(1, 101)]
    level = summary_of(records, window=(0.0, 200.0))
    assert level.of("tpot_s").p95.value == pytest.approx(9.5)
    assert level.of("tok_per_s_per_user").p95.value == pytest.approx(1 / 9.5)
    low, high = level.of("tok_per_s_per_user").p95.ci95
    assert low is not None
    assert high is not None
    assert low < 1 / 9.5 < high
    assert level.of("tpot_s").p95.ci95 == pytest.approx((1 / high, 1 / low))


def test_connect_time_takes_requests_due_in_the_window_that_made_a_connection() -> None:
    records = [answer(11.0, 12.0, connect_s=0.25), answer(12.0, 13.0), answer(9.0, 12.0, connect_s=9.0)]
    connect = summary_of(records, window=(10.0, 20.0)).of("connect_s")
    assert (connect.n, connect.mean) == (1, 0.25)


def test_requests_sent_once_more_on_a_fresh_connection_are_counted_as_reconnects() -> None:
    level = summary_of([answer(1.0, 2.0, reconnected=True), answer(2.0, 3.0), answer(3.0, 4.0, reconnected=True)])
    assert (level.reconnects, level.errors) == (2, 0)


def counted_level() -> LevelSummary:
    """Two users; six requests are measured; the window lasts from the first measured start to the last."""
    records = [
        answer(0.0, 6.0, user=0, k=0),
        answer(0.5, 5.0, user=1, k=0),
        answer(5.0, 9.0, user=1, k=1, measured=True),
        answer(6.0, 10.0, user=0, k=1, measured=True),
        answer(9.0, 14.0, user=1, k=2, measured=True),
        answer(10.0, 15.0, user=0, k=2, measured=True),
        answer(14.0, 20.0, user=1, k=3, measured=True),
        answer(15.0, 40.0, user=0, k=3, measured=True),  # the sixth, and the last
        answer(20.0, 24.0, user=1, k=4),
        answer(24.0, 39.0, user=1, k=5),
        a_record(due_s=39.0, end_s=40.0, user=1, k=6, status="cut"),
    ]
    facts = some_facts(window=(5.0, 15.0), users=2, measured_requests=6, end_s=40.0, stopped="requests")
    return summarise_level(facts, list(reversed(records)))


def test_with_requests_n_exactly_the_measured_requests_count_whenever_they_ended() -> None:
    level = counted_level()
    assert (level.requests, level.of("ttft_s").n, level.of("e2e_s").n, level.of("tpot_s").n) == (6, 6, 6, 6)
    assert level.of("e2e_s").mean == pytest.approx((4 + 4 + 5 + 5 + 6 + 25) / 6)
    assert level.of("ttft_s").mean == pytest.approx((4 + 4 + 5 + 5 + 6 + 25) / 12)
    assert (level.of("ttft_s").censored, level.cut) == (0, 1)


def test_with_requests_n_rates_are_still_taken_over_the_window() -> None:
    level = counted_level()
    assert level.window_s == pytest.approx(10.0)
    assert level.req_per_s.value == pytest.approx(4 / 10)  # ended at 9, 10, 14 and 15
    # by arrival in (5, 15]: user 0's first answer ends at 6; 3 + 3 + 3 + 3; of the answer due at 14 nothing yet
    assert level.output_tokens == 1 + 4 * 3


def test_with_requests_n_a_measured_request_that_timed_out_ranks_last_and_one_that_failed_is_left_out() -> None:
    late = failed(10.0, 610.0, "timeout", measured=True)
    records = [answer(10.0, 12.0, measured=True), late, failed(11.0, 12.0, "reset", measured=True), answer(11.0, 12.0)]
    level = summary_of(records, window=(10.0, 11.0), measured_requests=3)
    assert (level.requests, level.errors) == (1, 2)
    for metric in (level.of("ttft_s"), level.of("e2e_s")):
        assert (metric.n, metric.censored) == (2, 1)


def test_a_level_without_a_window_has_counts_and_no_figures() -> None:
    facts = replace(some_facts(), open_s=None, close_s=None, status="interrupted", stopped="interrupted")
    level = summarise_level(facts, [answer(1.0, 2.0), failed(2.0, 3.0, "connect")])
    assert (level.errors, level.steady, level.window_s, level.requests) == (1, False, None, 0)
    assert level.output_tok_per_s == Estimate()
    assert level.of("ttft_s").n == 0


def test_an_empty_window_has_no_figure_but_a_rate_of_zero() -> None:
    level = summary_of([])
    assert (level.output_tok_per_s.value, level.output_tok_per_s.ci95) == (0.0, (None, None))
    assert level.of("e2e_s").mean is None


def test_warm_up_lasts_from_the_levels_start_to_the_windows_opening() -> None:
    level = summary_of([answer(21.0, 22.0)], window=(20.0, 30.0), start_s=12.5)
    assert (level.warm_up_s, level.window_s) == (7.5, 10.0)


def test_what_the_load_knew_beside_the_records_is_passed_on() -> None:
    level = summary_of([], settle_s=0.65, repeat=2, req_per_s_offered=2.5, users=None, extra={"gpu_w": 251.0})
    assert (level.settle_s, level.repeat, level.req_per_s_offered, level.users) == (0.65, 2, 2.5, None)
    assert level.extra["gpu_w"] == 251.0


def test_the_clients_cost_is_its_cpu_over_the_tokens_of_the_window() -> None:
    facts, records = an_honest_level(clients=(a_client(cpu_s=2.0, window_s=20.0),))
    level = summarise_level(facts, records)
    assert level.output_tokens is not None
    assert level.client.cpu_share == pytest.approx(0.1)
    assert level.client.cpu_us_per_token == pytest.approx(2e6 / level.output_tokens, rel=0.01)


def test_of_several_clients_the_worst_counts_and_their_costs_add_up() -> None:
    clients = (a_client(cpu_s=2.0, lag_p99_s=1e-4), a_client(cpu_s=4.0, lag_p99_s=9e-4, client=1))
    facts, records = an_honest_level(clients=clients)
    level = summarise_level(facts, records)
    assert level.client.cpu_share == pytest.approx(0.2)
    assert level.client.lag_p99_s == 9e-4
    assert level.client.cpu_us_per_token == pytest.approx(6e6 / (level.output_tokens or 0), rel=0.01)


@pytest.mark.parametrize(
    ("own", "part"), [((0, 0), 1.0), ((10, 0), 0.995), ((1000, 1000), 0.0), ((None, 0), None), ((None, None), None)]
)
def test_the_part_of_the_reads_that_the_kernel_stamped(own: tuple[int | None, ...], part: float | None) -> None:
    clients = tuple(a_client(reads=1000, own_stamps=count, client=number) for number, count in enumerate(own))
    level = summarise_level(*an_honest_level(clients=clients))
    assert level.client.kernel_stamped == part


def test_a_client_that_read_nothing_has_no_part_of_stamps() -> None:
    assert summarise_level(*an_honest_level(clients=(a_client(reads=0, own_stamps=0),))).client.kernel_stamped is None


def test_a_level_without_facts_of_a_client_has_no_cost() -> None:
    assert summary_of([answer(1.0, 2.0)]).client.cpu_share is None
