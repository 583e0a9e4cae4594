"""A level is known to miss its limits before its end only where nothing that may still come can mend it."""

import pytest

from breakeven.metrics.foregone import Foregone
from breakeven.metrics.goodput import Counted, goodput
from breakeven.metrics.level import summarise_level
from breakeven.metrics.slo import parse_slo
from breakeven.record import Record
from builders import a_record, some_facts

P95 = parse_slo("ttft_p95=1s")


def answers(late: int, of: int) -> list[Record]:
    """Due from 1 s on, one each 0.1 s; the first ones wait for 2 s and the others for 0.5 s."""
    dues = [1.0 + 0.1 * number for number in range(of)]
    return [
        a_record(k=1, due_s=due_s, chunks_at_s=[due_s + (2.0 if number < late else 0.5)])
        for number, due_s in enumerate(dues)
    ]


def seen(records: list[Record], slo: str = "ttft_p95=1s") -> Foregone:
    found = Foregone(parse_slo(slo))
    found.open_s = 1.0
    for record in records:
        found.add(record)
    return found


@pytest.mark.parametrize(
    ("share", "in_flight", "is_missed"),
    [
        (0.5, 0, True),  # 3 x 40 = 120 at most, of which 6 may be late and 10 are
        (0.25, 0, False),  # 7 x 40 = 280, of which 14 may be
        (1 / 3, 0, False),  # 5 x 40 = 200, of which 10 may be
        (0.5, 81, False),  # 201
        (0.5, 79, True),  # 199
    ],
)
def test_so_many_may_come_as_twice_the_pace_so_far_would_bring(share: float, in_flight: int, is_missed: bool) -> None:
    found = seen(answers(10, 40)).missed(share=share, in_flight=in_flight)
    assert found == (Counted(metric="ttft_p95", limit_s=1.0, requests=40, beyond=10) if is_missed else None)


def test_a_count_of_requests_tells_how_many_come() -> None:
    assert seen(answers(5, 5)).missed(share=0.01, in_flight=0, requests=100) is None
    assert seen(answers(6, 6)).missed(share=0.01, in_flight=0, requests=100) is not None


def test_a_level_that_is_ended_so_has_missed() -> None:
    """Two of two are late, and one more may be in flight, which is few for a p95 and no luck: 0.05 x 0.05 x 3."""
    records = answers(2, 2)
    assert seen(records).missed(share=0.9, in_flight=1) is not None
    facts = some_facts(window=(1.0, 4.0), stopped="slo")
    found = goodput(facts, records, level=summarise_level(facts, records), slo=P95)
    assert found is not None
    assert found.verdict == "missed"


def test_one_of_one_may_be_bad_luck() -> None:
    assert seen(answers(1, 1), "ttft_p50=1s").missed(share=1.0, in_flight=0) is None


def test_what_counts_is_what_counts_in_the_verdict() -> None:
    """Not what was due before the window, a first answer's time, or a cut one's; a cut one's wait counts in TTFT."""
    before = a_record(k=1, due_s=0.5, chunks_at_s=[5.0])
    first = a_record(k=0, due_s=1.5, chunks_at_s=[1.6, 9.0])
    cut = a_record(k=1, due_s=1.5, chunks_at_s=[], end_s=9.0, status="cut")
    assert seen([before, first, cut] * 9, "e2e_p50=1s").missed(share=1.0, in_flight=0) == Counted(
        metric="e2e_p50", limit_s=1.0, requests=9, beyond=9
    )
    assert seen([first] * 9, "e2e_p50=1s").missed(share=1.0, in_flight=0) is None
    assert seen([before] * 9).missed(share=1.0, in_flight=0) is None
    assert seen([cut] * 9).missed(share=1.0, in_flight=0) is not None


def test_failed_requests_are_beyond_every_limit() -> None:
    failed = a_record(k=1, due_s=1.5, chunks_at_s=[], end_s=1.6, status="error", error="reset")
    assert seen([failed] * 9 + answers(0, 9)).missed(share=1.0, in_flight=0) is not None


def test_a_mean_and_gaps_are_not_told_before_the_end() -> None:
    for slo in ("e2e_mean=1s", "itl_p95=1ms"):
        assert seen(answers(40, 40), slo).missed(share=1.0, in_flight=0) is None


def test_gaps_are_missed_early_where_requests_fail() -> None:
    failed = a_record(k=1, due_s=1.5, chunks_at_s=[], end_s=1.6, status="error", error="reset")
    assert seen([failed] * 40, "itl_p95=1ms").missed(share=1.0, in_flight=0) is not None


def test_what_ended_a_level_counts_in_its_verdict_though_the_throughput_changed_meanwhile() -> None:
    """For 6 s requests wait for 2 s, then for 0.5 s and bring twice the chunks: a window that may move begins there."""
    late = [a_record(k=1, due_s=1 + i / 10, chunks_at_s=[3 + i / 10], chunk_tokens=[1]) for i in range(60)]
    soon = [
        a_record(k=1, due_s=8 + i / 10, chunks_at_s=[8.5 + i / 10, 8.55 + i / 10], chunk_tokens=[1, 1])
        for i in range(120)
    ]
    assert seen(late).missed(share=0.5, in_flight=0) is not None
    verdicts = []
    for stopped in ("slo", "max"):
        facts = some_facts(window=(1.0, 20.0), stopped=stopped)
        found = goodput(facts, late + soon, level=summarise_level(facts, late + soon), slo=P95)
        assert found is not None
        verdicts.append(found.verdict)
    assert verdicts == ["missed", "met"]
