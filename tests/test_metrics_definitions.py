"""The per-request metrics, worked out by hand."""

import numpy as np
import pytest

from breakeven.metrics.definitions import (
    METRICS,
    answer_ttft_s,
    arrivals_s,
    connect_s,
    e2e_s,
    tok_per_s_per_user,
    tpot_s,
    ttft_s,
)
from breakeven.record import Record
from builders import a_record, packed


def test_ttft_counts_from_due_not_from_sent() -> None:
    record = a_record(due_s=10.0, sent_s=10.5, chunks_at_s=[11.25, 12.0])
    assert ttft_s(record) == pytest.approx(1.25)


def test_the_answers_first_token_comes_behind_its_reasoning() -> None:
    record = a_record(due_s=0.5, chunks_at_s=[1.0, 2.0, 3.5, 4.0], reasoning_chunks=2)
    assert ttft_s(record) == pytest.approx(0.5)
    assert answer_ttft_s(record) == pytest.approx(3.0)


def test_an_answer_that_is_still_reasoning_has_no_first_answer_token() -> None:
    record = a_record(chunks_at_s=[1.0, 2.0], reasoning_chunks=2, status="cut")
    assert answer_ttft_s(record) is None


def test_without_reasoning_both_first_tokens_are_one() -> None:
    record = a_record(chunks_at_s=[1.0, 2.0])
    assert answer_ttft_s(record) == ttft_s(record)


def test_tokens_of_hidden_reasoning_are_none_of_those_between_the_chunks() -> None:
    record = a_record(chunks_at_s=[1.0, 2.0, 3.0], output_tokens=103, reasoning_tokens=100)
    assert tpot_s(record) == pytest.approx(1.0)
    assert tpot_s(a_record(chunks_at_s=[1.0, 2.0], output_tokens=100, reasoning_tokens=100)) is None


def test_connect_time_is_inside_ttft() -> None:
    record = a_record(due_s=0.0, sent_s=0.3, connect_s=0.3, chunks_at_s=[0.5])
    assert ttft_s(record) == pytest.approx(0.5)
    assert connect_s(record) == 0.3


def test_e2e_lasts_from_due_to_the_last_text_chunk_and_not_to_the_end() -> None:
    record = a_record(due_s=1.0, sent_s=1.5, chunks_at_s=[2.0, 4.0], end_s=9.0)
    assert e2e_s(record) == pytest.approx(3.0)


def test_tpot_counts_tokens_not_chunks() -> None:
    record = a_record(chunks_at_s=[1.0, 2.0], output_tokens=11)
    assert tpot_s(record) == pytest.approx(0.1)


def test_interactivity_is_one_over_tpot() -> None:
    record = a_record(chunks_at_s=[1.0, 2.0], output_tokens=11)
    assert tok_per_s_per_user(record) == pytest.approx(10.0)


@pytest.mark.parametrize("tokens", [None, 0, 1])
def test_tpot_of_fewer_than_two_tokens_or_of_uncounted_ones_is_none(tokens: int | None) -> None:
    record = a_record(chunks_at_s=[1.0, 2.0], output_tokens=tokens)
    assert tpot_s(record) is None
    assert tok_per_s_per_user(record) is None


def test_an_answer_in_one_piece_has_no_speed() -> None:
    record = a_record(chunks_at_s=[2.0], output_tokens=8)
    assert tpot_s(record) == 0.0
    assert tok_per_s_per_user(record) is None


@pytest.mark.parametrize("name", ["ttft_s", "tpot_s", "e2e_s", "tok_per_s_per_user"])
def test_without_a_chunk_a_latency_is_none(name: str) -> None:
    assert METRICS[name].of(a_record(output_tokens=5, end_s=3.0)) is None


@pytest.mark.parametrize("name", METRICS)
def test_a_request_that_was_never_sent_has_no_metric(name: str) -> None:
    assert METRICS[name].of(a_record(sent_s=None, due_s=0.0, end_s=1.0, status="error", error="connect")) is None


def test_chunks_are_microsecond_steps_from_sent() -> None:
    record = Record(
        user=0, k=0, due_s=99.0, sent_s=100.0, end_s=103.0, status="done", chunk_us=packed([250_000, 1, 2**32 - 1])
    )
    assert arrivals_s(record).tolist() == pytest.approx([100.25, 100.250001, 100.250001 + 4294.967295])
    assert ttft_s(record) == pytest.approx(1.25)


def test_steps_that_add_up_to_hours_do_not_overflow() -> None:
    record = a_record(chunks_at_s=np.arange(3000.0, 15001.0, 3000.0).tolist())
    assert e2e_s(record) == 15000.0


@pytest.mark.parametrize("name", METRICS)
def test_every_metric_says_its_label_unit_and_formula(name: str) -> None:
    metric = METRICS[name]
    assert metric.label
    assert metric.formula
    assert metric.unit in name.replace("tok_per_s", "tok/s")
