"""Which tokens arrived when: the server's usage is the truth, and what it did not count is estimated and said so."""

import itertools
import tracemalloc

import numpy as np
import pytest

from breakeven.cautions import judged_level
from breakeven.metrics import arrivals
from breakeven.metrics.arrivals import Arrivals
from breakeven.metrics.definitions import arrivals_s
from breakeven.metrics.summary import Distribution
from breakeven.record import Record
from builders import a_record, some_facts, summary_of


def by(found: Arrivals, *at_s: float) -> list[float]:
    tokens: list[float] = found.by(np.array(at_s)).tolist()
    return tokens


def estimated(found: Arrivals) -> float:
    return float(found.estimated_by(np.array([1e9]))[0])


def test_a_request_with_usage_gives_each_text_chunk_an_equal_share() -> None:
    found = Arrivals([a_record(chunks_at_s=[1.0, 2.0, 3.0, 4.0], output_tokens=10)])
    assert by(found, 0.9, 1.0, 2.0, 3.9, 4.0) == [0, 2.5, 5, 7.5, 10]
    assert found.tokens_from == "usage"
    assert estimated(found) == 0


def test_usage_in_every_chunk_gives_each_chunk_its_own_tokens() -> None:
    found = Arrivals([a_record(chunks_at_s=[1.0, 2.0, 3.0], chunk_tokens=[4, 1, 2], output_tokens=7)])
    assert by(found, 1.0, 2.0, 3.0) == [4, 5, 7]
    assert estimated(found) == 0


def test_a_cut_request_with_usage_in_every_chunk_is_counted_not_estimated() -> None:
    cut = a_record(chunks_at_s=[1.0, 2.0], chunk_tokens=[4, 1], output_tokens=5, status="cut", end_s=2.5)
    found = Arrivals([a_record(chunks_at_s=[1.0], output_tokens=3), cut])
    assert by(found, 1.0, 2.0) == [3 + 4, 3 + 4 + 1]
    assert estimated(found) == 0


def test_a_cut_request_takes_the_tokens_per_chunk_pooled_over_the_finished_ones() -> None:
    done = [
        a_record(chunks_at_s=[1.0, 2.0], output_tokens=2),
        a_record(chunks_at_s=[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], output_tokens=14),
    ]
    cut = a_record(chunks_at_s=[1.5], status="cut", end_s=2.0)
    found = Arrivals([*done, cut])
    assert found.tokens_per_chunk == pytest.approx(2.0)  # 16 tokens over 8 chunks, not the mean of 1 and 7/3
    assert estimated(found) == pytest.approx(2.0)
    assert by(found, 9.0) == pytest.approx([18.0])
    assert found.tokens_from == "usage"


def test_without_usage_a_chunk_is_one_token_and_tokens_come_from_chunks() -> None:
    found = Arrivals([a_record(chunks_at_s=[1.0, 2.0]), a_record(chunks_at_s=[1.5], status="cut", end_s=2.0)])
    assert by(found, 1.0, 1.5, 2.0) == [1, 2, 3]
    assert estimated(found) == 3
    assert found.tokens_from == "chunks"


def test_if_none_finished_a_chunk_is_one_token() -> None:
    found = Arrivals([a_record(chunks_at_s=[1.0, 2.0], status="cut", end_s=3.0)])
    assert (found.tokens_per_chunk, found.tokens_from) == (1.0, "chunks")


def test_tokens_come_from_both_where_some_finished_answers_have_no_usage() -> None:
    found = Arrivals([a_record(chunks_at_s=[1.0], output_tokens=3), a_record(chunks_at_s=[2.0])])
    assert found.tokens_from == "mixed"
    assert by(found, 1.0, 2.0) == [3, 6]
    assert estimated(found) == 3


def test_an_answer_that_was_counted_before_it_failed_keeps_its_count() -> None:
    failed = a_record(
        chunks_at_s=[1.0, 2.0], output_tokens=8, finish_reason="stop", status="error", error="closed", end_s=3.0
    )
    found = Arrivals([a_record(chunks_at_s=[1.0], output_tokens=1), failed])
    assert by(found, 1.0, 2.0) == [1 + 4, 1 + 4 + 4]
    assert estimated(found) == 0


def test_a_count_so_far_of_a_cut_answer_is_not_its_total() -> None:
    cut = a_record(chunks_at_s=[1.0, 2.0], output_tokens=1, status="cut", end_s=3.0)
    found = Arrivals([a_record(chunks_at_s=[1.0], output_tokens=3), cut])
    assert by(found, 1.0, 2.0) == [6, 9]


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


# blocks


def some_records(seed: int) -> list[Record]:
    """Answers of all kinds, chunks at random."""
    chance = np.random.default_rng(seed)
    records = []
    for user in range(30):
        at_s = np.round(np.sort(chance.uniform(0, 20, chance.integers(1, 12))), 6).tolist()
        told = chance.integers(1, 5, len(at_s)).tolist() if user % 4 == 0 else []
        status = "cut" if user % 5 == 0 else "done"
        known = None if user % 3 == 0 else int(chance.integers(1, 40))
        records.append(
            a_record(chunks_at_s=at_s, chunk_tokens=told, output_tokens=known, status=status, end_s=at_s[-1], user=user)
        )
    return records


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("most", [1, 7, 50])
def test_how_records_fall_into_blocks_moves_no_number(seed: int, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    records, at_s = some_records(seed), np.random.default_rng(9).uniform(-1, 21, 40)
    whole = Arrivals(records)
    monkeypatch.setattr(arrivals, "BLOCK_CHUNKS", most)
    parted = Arrivals(records)
    assert parted.by(at_s) == pytest.approx(whole.by(at_s))
    assert parted.estimated_by(at_s) == pytest.approx(whole.estimated_by(at_s))
    assert parted.last_s() == whole.last_s()
    one, other = (found.gaps_s(open_s=3.0, close_s=17.0).distribution() for found in (parted, whole))
    assert one == other


@pytest.mark.parametrize("seed", range(3))
def test_gaps_are_those_between_neighbours_of_one_answer_whose_later_one_came_inside(seed: int) -> None:
    records = some_records(seed)
    gaps_s = [
        round(later - earlier, 6)
        for record in records
        for earlier, later in itertools.pairwise(arrivals_s(record).tolist())
        if 3.0 < later <= 17.0
    ]
    found = Arrivals(records).gaps_s(open_s=3.0, close_s=17.0)
    assert [found.whole[rank] for rank in range(len(found.whole))] == pytest.approx(sorted(gaps_s), abs=2e-6)
    assert found.distribution().mean == pytest.approx(sum(gaps_s) / len(gaps_s), abs=1e-6)


def test_where_nothing_arrived_there_are_no_tokens_and_no_gaps() -> None:
    found = Arrivals([])
    assert by(found, 1.0) == [0]
    assert found.last_s() is None
    assert found.gaps_s(open_s=0.0, close_s=9.0).distribution() == Distribution()


def peak_bytes(answers: int) -> int:
    """Of making the summary of a level of so many long answers, the records themselves not counted."""
    steps = np.full(50_000, 1000, dtype="<u4").tobytes()
    records = [
        Record(user=user, k=1, due_s=0.0, sent_s=0.0, end_s=50.0, chunk_us=steps, output_tokens=50_000, status="done")
        for user in range(answers)
    ]
    tracemalloc.start()
    try:
        judged_level(some_facts(window=(1.0, 49.0)), records)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_summary_takes_no_more_memory_the_longer_the_level_was() -> None:
    assert peak_bytes(200) < 1.2 * peak_bytes(50)  # ten million chunks, and 2.5 million
