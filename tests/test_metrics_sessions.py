"""Figures of recorded sessions, from records written by hand."""

import numpy as np
import pytest
from msgspec.structs import replace

from breakeven.cautions import judged_level
from breakeven.metrics.slo import parse_slo
from breakeven.record import LevelFacts, Record

SLO = parse_slo("session_mean=6s,ttft_p95=500ms")


def turn(play: int, k: int, due_s: float, *, takes_s: float = 1.0, ttft_s: float = 0.2, **fields: object) -> Record:
    """A turn of 100 prompt tokens, 60 of them shared and 30 cached, and an answer of two tokens."""
    steps_us = np.array([ttft_s * 1e6, (takes_s - ttft_s) * 1e6], dtype="<u4").tobytes()
    known = {"user": play, "k": k, "due_s": due_s, "sent_s": due_s, "end_s": due_s + takes_s, "chunk_us": steps_us}
    tokens = {"input_tokens": 100, "cached_tokens": 30, "asked_shared_tokens": 60, "output_tokens": 2}
    return Record(**{"status": "done", "measured": True} | known | tokens | fields)  # type: ignore[arg-type]


FACTS = LevelFacts(
    users=2,
    start_s=0.0,
    open_s=1.0,
    close_s=12.0,
    end_s=14.0,
    stopped="requests",
    measured_requests=9,
    own_pauses=True,
    session_turns=(3, 2),
)
RECORDS = [
    turn(0, 1, 1.0),
    turn(0, 2, 3.0),
    turn(0, 3, 4.0, takes_s=2.0),  # session 0: 1 to 6 s, 5 s
    turn(1, 1, 1.0),
    turn(1, 2, 8.0, ttft_s=0.9),  # session 1: 1 to 9 s, 8 s, and a slow first token
    turn(2, 1, 7.0),
    turn(2, 2, 9.0, status="error", error="http_500"),  # session 2 of three turns failed
    turn(3, 1, 9.0),
    turn(3, 2, 12.0),  # session 3: 9 to 13 s, 4 s
]


def test_a_session_takes_from_its_first_due_to_its_last_end() -> None:
    level = judged_level(FACTS, RECORDS)
    found = level.of("session_s")
    assert found.n == 3
    assert found.mean == pytest.approx((5 + 8 + 4) / 3)
    assert (level.extra["sessions"], level.extra["sessions_failed"]) == (3, 1)


def test_the_shared_and_the_cached_part_of_the_prompts_are_told() -> None:
    level = judged_level(FACTS, RECORDS)
    assert level.extra["shared_input_share"] == pytest.approx(0.6)
    assert level.extra["cached_input_share"] == pytest.approx(0.3)
    assert "cached_prompts" not in {caution.id for caution in level.cautions}, "it is meant"
    more = [replace(record, cached_tokens=70) for record in RECORDS]
    assert "cached_prompts" in {caution.id for caution in judged_level(FACTS, more).cautions}


def test_a_good_session_meets_the_limits_with_each_turn_and_as_a_whole() -> None:
    level = judged_level(FACTS, RECORDS, slo=SLO)
    assert level.extra["good_session_share"] == pytest.approx(2 / 4)  # 0 and 3; 1 is slow, 2 failed
    assert level.extra["goodput_sessions_per_s"] == pytest.approx(2 / 12)  # from 1 to 13 s
    assert level.extra["goodput_req_per_s"] == pytest.approx(6 / 11)  # turns are held against limits on turns alone


def test_a_limit_on_sessions_is_judged_by_sessions() -> None:
    level = judged_level(replace(FACTS, measured_requests=8), RECORDS[:6] + RECORDS[7:], slo=SLO)
    assert level.extra["verdict"] == "unknown"  # ttft_p95 needs 20 requests
    assert "session_mean 5.67 s of 6.00 s" in level.extra["met"]
    late = judged_level(FACTS, RECORDS, slo=parse_slo("session_p95=1s")).extra
    assert late["counted"][0]["requests"] == 3
    assert late["missed"] == ("session_p95 falls on failed sessions (25 % failed)",), "one turn of nine"
    few = parse_slo("session_p95=9s")
    known = [record for record in RECORDS if record.user != 2]
    (line,) = judged_level(FACTS, known, slo=few).extra["missed"]
    assert line == "session_p95 cannot be told from 3 sessions; it needs 20: measure for longer"


def test_users_are_sessions_in_flight_and_their_pauses_count() -> None:
    """Two sessions at once for 20 s, one behind the other: in flight are two, though requests are fewer."""
    facts = replace(FACTS, open_s=0.0, close_s=20.0, stopped="duration", measured_requests=None, session_turns=(2,))
    records = [
        turn(2 * round_ + lane, k, 4.0 * round_ + 3.0 * (k - 1), measured=False)
        for round_ in range(5)
        for lane in (0, 1)
        for k in (1, 2)
    ]
    ids = {caution.id for caution in judged_level(facts, records).cautions}
    assert not ids & {"users_unaccounted_for", "little"}
    gone = {caution.id for caution in judged_level(facts, records[:-4]).cautions}
    assert "users_unaccounted_for" in gone


def test_of_a_bounded_time_sessions_count_that_ended_in_it() -> None:
    facts = replace(FACTS, stopped="duration", measured_requests=None)
    level = judged_level(facts, [replace(record, measured=False) for record in RECORDS])
    assert level.of("session_s").n == 2  # the fourth ended at 13 s
    assert level.extra["sessions_failed"] == 1


def test_other_levels_have_no_figures_of_sessions() -> None:
    level = judged_level(replace(FACTS, session_turns=()), RECORDS)
    assert level.of("session_s").n == 0
    assert "sessions" not in level.extra
