"""Which tokens arrived when: the server's usage is the truth, and what it did not count is estimated and said so."""

import pytest

from breakeven.metrics.arrivals import collect
from builders import a_record, summary_of


def test_a_request_with_usage_gives_each_text_chunk_an_equal_share() -> None:
    found = collect([a_record(chunks_at_s=[1.0, 2.0, 3.0, 4.0], output_tokens=10)])
    assert found.tokens.tolist() == [2.5, 2.5, 2.5, 2.5]
    assert found.times_s.tolist() == pytest.approx([1.0, 2.0, 3.0, 4.0])
    assert found.tokens_from == "usage"
    assert not found.estimated.any()


def test_usage_in_every_chunk_gives_each_chunk_its_own_tokens() -> None:
    found = collect([a_record(chunks_at_s=[1.0, 2.0, 3.0], chunk_tokens=[4, 1, 2], output_tokens=7)])
    assert found.tokens.tolist() == [4, 1, 2]
    assert not found.estimated.any()


def test_a_cut_request_with_usage_in_every_chunk_is_counted_not_estimated() -> None:
    cut = a_record(chunks_at_s=[1.0, 2.0], chunk_tokens=[4, 1], output_tokens=5, status="cut", end_s=2.5)
    found = collect([a_record(chunks_at_s=[1.0], output_tokens=3), cut])
    assert sorted(found.tokens.tolist()) == [1, 3, 4]
    assert not found.estimated.any()


def test_a_cut_request_takes_the_tokens_per_chunk_pooled_over_the_finished_ones() -> None:
    done = [
        a_record(chunks_at_s=[1.0, 2.0], output_tokens=2),
        a_record(chunks_at_s=[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], output_tokens=14),
    ]
    cut = a_record(chunks_at_s=[1.5], status="cut", end_s=2.0)
    found = collect([*done, cut])
    assert found.tokens_per_chunk == pytest.approx(2.0)  # 16 tokens over 8 chunks, not the mean of 1 and 7/3
    assert found.estimated.sum() == pytest.approx(2.0)
    assert found.tokens.sum() == pytest.approx(18.0)
    assert found.tokens_from == "usage"


def test_without_usage_a_chunk_is_one_token_and_tokens_come_from_chunks() -> None:
    found = collect([a_record(chunks_at_s=[1.0, 2.0]), a_record(chunks_at_s=[1.5], status="cut", end_s=2.0)])
    assert found.tokens.tolist() == [1, 1, 1]
    assert found.estimated.tolist() == [1, 1, 1]
    assert found.tokens_from == "chunks"


def test_if_none_finished_a_chunk_is_one_token() -> None:
    found = collect([a_record(chunks_at_s=[1.0, 2.0], status="cut", end_s=3.0)])
    assert (found.tokens_per_chunk, found.tokens_from) == (1.0, "chunks")


def test_tokens_come_from_both_where_some_finished_answers_have_no_usage() -> None:
    found = collect([a_record(chunks_at_s=[1.0], output_tokens=3), a_record(chunks_at_s=[2.0])])
    assert found.tokens_from == "mixed"
    assert found.tokens.tolist() == [3, 3]
    assert found.estimated.tolist() == [0, 3]


def test_an_answer_that_was_counted_before_it_failed_keeps_its_count() -> None:
    failed = a_record(
        chunks_at_s=[1.0, 2.0], output_tokens=8, finish_reason="stop", status="error", error="closed", end_s=3.0
    )
    found = collect([a_record(chunks_at_s=[1.0], output_tokens=1), failed])
    assert sorted(found.tokens.tolist()) == [1, 4, 4]
    assert not found.estimated.any()


def test_a_count_so_far_of_a_cut_answer_is_not_its_total() -> None:
    cut = a_record(chunks_at_s=[1.0, 2.0], output_tokens=1, status="cut", end_s=3.0)
    found = collect([a_record(chunks_at_s=[1.0], output_tokens=3), cut])
    assert found.tokens.tolist() == [3, 3, 3]


def test_throughput_counts_tokens_by_arrival_inside_the_window_of_every_request() -> None:
    records = [
        a_record(due_s=0.0, chunks_at_s=[8.0, 9.0, 10.0, 11.0], output_tokens=8, k=0),  # straddles the opening
        a_record(due_s=12.0, chunks_at_s=[13.0, 14.0], output_tokens=2, user=1),
        a_record(due_s=15.0, chunks_at_s=[18.0, 19.0, 25.0], status="cut", end_s=26.0, user=2),  # and the close
        a_record(due_s=11.0, chunks_at_s=[12.0], status="error", error="reset", end_s=12.0, user=3),
    ]
    level = summary_of(records, window=(9.0, 19.0))
    # 2 chunks of 2 tokens; 2 of 1; 2 cut ones and a failed one at the pooled 10 tokens over 6 chunks
    assert level.output_tokens == round(2 * 2 + 2 + 3 * 10 / 6)
    assert level.output_tok_per_s.value == pytest.approx((4 + 2 + 5) / 10)
    assert level.extra["estimated_token_share"] == pytest.approx(5 / 11)


def test_the_estimated_share_is_null_where_no_token_arrived() -> None:
    assert summary_of([]).extra["estimated_token_share"] is None


def test_prompt_tokens_count_when_their_first_chunk_arrives() -> None:
    records = [
        a_record(due_s=0.0, chunks_at_s=[5.0, 12.0], input_tokens=100, output_tokens=2),
        a_record(due_s=12.0, chunks_at_s=[15.0], input_tokens=30, output_tokens=2),
        a_record(due_s=16.0, chunks_at_s=[18.0], asked_input_tokens=50, status="cut", end_s=20.0),
        a_record(due_s=16.0, chunks_at_s=[19.0], status="cut", end_s=20.0),  # unknown: the mean of 100 and 30
    ]
    level = summary_of(records, window=(10.0, 20.0))
    assert level.input_tokens == 30 + 50 + 65
    assert level.total_tok_per_s.value == pytest.approx((30 + 50 + 65 + 1 + 2 + 1.333333 * 2) / 10)


def test_prompt_tokens_that_nobody_counted_are_null() -> None:
    level = summary_of([a_record(chunks_at_s=[1.0], output_tokens=2)])
    assert level.input_tokens is None
    assert level.total_tok_per_s.value is None
