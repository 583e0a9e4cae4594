"""Each caution appears on a level that deserves it and is silent on an honest one."""

import math
from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from breakeven.caution import Caution, Value
from breakeven.cautions import CHECKS, Seen, judged_level
from breakeven.findings.subjects import places
from breakeven.metrics.checks import check_level
from breakeven.metrics.level import summarise_level
from breakeven.metrics.slo import parse_slo
from breakeven.metrics.summary import LevelSummary
from breakeven.record import ClientFacts, Record, facts_of
from breakeven.report.clients import clients_line
from breakeven.report.terminal import grouped
from builders import Level, a_client, a_record, an_honest_level, changed, packed, some_facts

DROPPED = Caution(id="field_dropped", seen="it refuses {field}", advice="see its docs", values={"field": "{x}"})


def every(number: int, **fields: Any) -> Callable[[Record], dict[str, Any]]:
    """Set fields in every n-th answer that is done."""
    return lambda record: fields if record.status == "done" and record.k % number == 0 else {}


def most(**fields: Any) -> Callable[[Record], dict[str, Any]]:
    """Set fields in two of three answers that are done."""
    return lambda record: fields if record.status == "done" and record.k % 3 else {}


def far_away(*, doubt_s: float, drift_s: float) -> ClientFacts:
    """A client on a host of a cluster."""
    return a_client(node="box/1", clock_offset_s=1e5, clock_doubt_s=doubt_s, clock_drift_s=drift_s)


def without_user(user: int) -> Level:
    facts, records = an_honest_level()
    return facts, [record for record in records if record.user != user]


def faster_in_the_second_half() -> Level:
    return an_honest_level(window=(2.0, 32.0), gap_s=lambda at_s: 0.1 if at_s < 17 else 0.08)


def slow_at_first() -> Level:
    return an_honest_level(window=(2.0, 42.0), gap_s=lambda at_s: 0.2 if at_s < 10 else 0.1, stopped="duration")


def an_overrun_queue() -> Level:
    """Ten requests a second are due and eight end."""
    records = [a_record(chunks_at_s=[k / 8], due_s=k / 10, k=k + 1) for k in range(320)]
    return some_facts(window=(0.0, 32.0), users=None, req_per_s_offered=10.0), records


def a_slow_wave() -> Level:
    return an_honest_level(users=20, window=(2.0, 42.0), gap_s=lambda at_s: 0.1 + 0.02 * math.sin(at_s / 6))


def users_who_keep_their_places(queue_s: float = 0.0) -> Level:
    """Every fourth one waits 0.1 s longer for its first token, each time."""
    level = an_honest_level(users=20, window=(2.0, 42.0))
    return changed(level, lambda record: {"due_s": record.due_s - queue_s - 0.1 * (record.user % 4 == 0)})


SPOILED: dict[str, list[tuple[str, Callable[[], Level]]]] = {
    "errors": [("errors", lambda: changed(an_honest_level(), every(5, status="error", error="reset")))],
    "most_failed": [("most_failed", lambda: changed(an_honest_level(), most(status="error", error="reset")))],
    "client_spoiled_it": [
        ("client_suspect", lambda: an_honest_level(clients=(a_client(lag_p99_s=0.006),))),  # 5 % of 0.1 s is 5 ms
        ("client_suspect", lambda: an_honest_level(clients=(a_client(cpu_s=16.2, window_s=20.0),))),
        ("client_suspect", lambda: an_honest_level(clients=(a_client(lag_p99_s=0.0021),), gap_s=lambda _at_s: 0.01)),
        ("client_suspect", lambda: an_honest_level(clients=(a_client(schedule_lag_p99_s=0.011),))),  # 5 % of 0.2 s
    ],
    "beyond_calibration": [  # 4 users at 9 tokens a second each are 36 a second
        ("beyond_calibration", lambda: an_honest_level(extra={"calibrated_events_per_s": 30.0}))
    ],
    "itl_beyond_calibration": [
        ("itl_beyond_calibration", lambda: an_honest_level(extra={"calibrated_itl_events_per_s": 30.0}))
    ],
    "users_unaccounted_for": [("users_unaccounted_for", lambda: without_user(3))],
    "trend": [("trend", faster_in_the_second_half)],
    "warm_up_too_short": [("warm_up_too_short", slow_at_first)],
    "saturated": [("saturated", an_overrun_queue)],
    "little": [
        ("little", lambda: without_user(3)),
        ("little_not_checked", lambda: an_honest_level(window=(2.0, 6.5))),
        ("little_not_checked", lambda: an_honest_level(chunks=200)),
    ],
    "short_window": [
        ("short_window", lambda: an_honest_level(window=(2.0, 6.5))),
        ("short_window", lambda: an_honest_level(window=(2.0, 11.0))),
        ("short_window", lambda: an_honest_level(chunks=500)),
    ],
    "few_answers": [("few_answers", an_honest_level)],  # 76, of which a tenth is less than the 20 that p95 needs
    "speed_wavers": [("speed_wavers", a_slow_wave)],
    "places_kept": [
        ("places_kept", users_who_keep_their_places),
        ("places_kept", lambda: users_who_keep_their_places(queue_s=3.0)),  # 3 % of TTFT, 2 % of E2E
    ],
    "estimated_tokens": [
        ("estimated_tokens", lambda: changed(an_honest_level(), every(1, output_tokens=None))),
        ("estimated_tokens", lambda: an_honest_level(window=(2.0, 7.5), tokens_per_chunk=2, users=10)),
    ],
    "chunks_are_not_tokens": [("inter_chunk", lambda: an_honest_level(tokens_per_chunk=2))],
    "first_chunk_of_many": [
        (
            "tokens_in_first_chunk",
            lambda: changed(
                an_honest_level(), every(1, chunk_tokens=packed([4, *[1] * 7, 0]), chunk_us=packed([100_000] * 9))
            ),
        )
    ],
    "in_one_piece": [
        ("not_streamed", lambda: changed(an_honest_level(), every(1, chunk_us=packed([1_000_000])))),
    ],
    "hidden_reasoning": [("hidden_reasoning", lambda: changed(an_honest_level(), every(1, reasoning_tokens=3)))],
    "ended_without_done": [("no_done", lambda: changed(an_honest_level(), every(3, without_done=True)))],
    "cached_prompts": [("cached_prompts", lambda: changed(an_honest_level(), every(1, cached_tokens=2)))],
    "lengths_off": [
        ("input_length", lambda: changed(an_honest_level(), every(3, asked_input_tokens=21))),
        ("output_length", lambda: changed(an_honest_level(), every(3, asked_output_tokens=10))),
    ],
    "not_settled": [("carry_over", lambda: an_honest_level(settled=False))],
    "clocks_apart": [("clock_offsets", lambda: an_honest_level(clients=(far_away(doubt_s=0.01, drift_s=-0.015),)))],
    "noted": [("field_dropped", lambda: an_honest_level(notes=(DROPPED,)))],
}

CASES = [(check, *case) for check, cases in SPOILED.items() for case in cases]


def found_by(check: str, level: Level) -> list[Caution]:
    checks = check_level(*level)
    assert checks is not None
    return list(CHECKS[check](Seen(facts=level[0], level=summarise_level(*level), checks=checks)))


def test_a_cache_that_serves_what_the_workload_shares_on_purpose_is_meant() -> None:
    def sharing(tokens: int) -> Level:
        return changed(an_honest_level(), every(1, cached_tokens=2, asked_shared_tokens=tokens))

    assert found_by("cached_prompts", sharing(2)) == []
    assert [caution.id for caution in found_by("cached_prompts", sharing(0))] == ["cached_prompts"]


def ids(level: Level) -> set[str]:
    return {caution.id for caution in judged_level(*level).cautions}


def test_every_check_has_a_level_that_deserves_it() -> None:
    assert list(SPOILED) == list(CHECKS)


@pytest.mark.parametrize(("check", "name", "spoil"), CASES, ids=[f"{check}-{name}" for check, name, _ in CASES])
def test_a_check_fires_on_a_level_that_deserves_it(check: str, name: str, spoil: Callable[[], Level]) -> None:
    assert name in [caution.id for caution in found_by(check, spoil())]


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("users", [1, 4, 20])
@pytest.mark.parametrize("think_s", [0.0, 0.5])
def test_a_check_is_silent_on_an_honest_level(check: str, users: int, think_s: float) -> None:
    window = (2.0, 2.0 + 600 / users)
    assert found_by(check, an_honest_level(users=users, window=window, think_s=think_s)) == []


@pytest.mark.parametrize(("check", "name", "spoil"), CASES, ids=[f"{check}-{name}" for check, name, _ in CASES])
def test_a_caution_says_in_plain_words_what_was_seen_and_what_to_do(
    check: str, name: str, spoil: Callable[[], Level]
) -> None:
    for caution in found_by(check, spoil()):
        assert caution.id.replace("_", "").isalpha()
        for words in (caution.text, caution.remedy):
            assert len(words.split()) >= 3
            assert words == words.strip().rstrip(".")
            assert "None" not in words
            assert "nan" not in words.split()
            assert "\n" not in words


def test_an_honest_level_is_steady_without_cautions_and_its_client_is_fine() -> None:
    level = judged_level(*an_honest_level(users=20, window=(2.0, 32.0)))
    assert level.cautions == ()
    assert level.steady
    assert level.client.verdict == "ok"


@pytest.mark.parametrize("spoil", [lambda: without_user(2), faster_in_the_second_half])
def test_a_level_whose_self_checks_fail_is_not_steady(spoil: Callable[[], Level]) -> None:
    assert not judged_level(*spoil()).steady


def test_a_suspect_client_marks_the_level_and_says_where_the_engine_may_be_the_cause() -> None:
    level = judged_level(*an_honest_level(clients=(a_client(lag_p99_s=0.05),), same_host=True))
    assert level.client.verdict == "suspect"
    (caution,) = [caution for caution in level.cautions if caution.id == "client_suspect"]
    assert "the engine on this machine may be the cause" in caution.text
    (elsewhere,) = found_by("client_spoiled_it", an_honest_level(clients=(a_client(lag_p99_s=0.05),)))
    assert "engine" not in elsewhere.text


def test_a_lag_is_suspect_above_two_ms_or_five_percent_of_itl_and_cpu_above_80_percent_of_a_core() -> None:
    assert "client_suspect" not in ids(an_honest_level(clients=(a_client(lag_p99_s=0.0049),)))
    assert "client_suspect" not in ids(an_honest_level(clients=(a_client(cpu_s=15.9, window_s=20.0),)))


def stamped(lag_s: float, *, own: int = 0, itl_s: float = 0.1) -> set[str]:
    """What is said of a late client, `own` of whose 1,000 reads it stamped itself; an answer takes 0.2 s + 8 ITL."""
    return ids(
        an_honest_level(clients=(a_client(lag_p99_s=lag_s, reads=1000, own_stamps=own),), gap_s=lambda _at_s: itl_s)
    )


def test_with_the_kernels_stamps_a_client_may_be_late_by_half_a_token_or_a_twentieth_of_an_answer() -> None:
    assert "client_suspect" not in stamped(0.049)  # 5 % of 1 s
    assert "client_suspect" in stamped(0.051)
    assert "client_suspect" not in stamped(0.0049, itl_s=0.01)  # half of 10 ms
    assert "client_suspect" in stamped(0.0051, itl_s=0.01)
    assert "client_suspect" not in stamped(0.0019, itl_s=0.001)
    assert "client_suspect" in stamped(0.0021, itl_s=0.001)


def test_a_client_that_stamps_more_than_one_percent_itself_may_be_late_by_five_percent_of_a_token() -> None:
    assert "client_suspect" not in stamped(0.03, own=10)
    assert "client_suspect" in stamped(0.03, own=11)


def test_a_load_within_the_calibrated_one_is_fine_and_one_beyond_it_is_suspect() -> None:
    assert ids(an_honest_level(extra={"calibrated_events_per_s": 36.0})) == ids(an_honest_level())
    level = judged_level(*an_honest_level(extra={"calibrated_events_per_s": 30.0}))
    assert level.client.verdict == "suspect"
    assert "36 events/s is more than the 30" in level.cautions[0].text


def test_events_are_chunks_where_a_chunk_holds_several_tokens() -> None:
    level = an_honest_level(tokens_per_chunk=3, extra={"calibrated_events_per_s": 36.0})
    assert "beyond_calibration" not in ids(level)


def test_in_flight_may_be_off_by_one_percent() -> None:
    facts, records = an_honest_level(users=4, window=(2.0, 32.0))
    late = [replace(r, due_s=r.due_s + 0.005) if r.k else r for r in records]  # 5 ms of each second
    assert "users_unaccounted_for" not in ids((facts, late))
    later = [replace(r, due_s=r.due_s + 0.015) if r.k else r for r in records]
    assert "users_unaccounted_for" in ids((facts, later))


@pytest.mark.parametrize(
    ("status", "error", "remedy"),
    [("done", "reset", "look at the errors"), ("interrupted", None, "--resume"), ("done", None, "the client")],
)
def test_missing_users_are_explained_by_what_the_level_went_through(
    status: str, error: str | None, remedy: str
) -> None:
    facts, records = without_user(3)
    if error:
        records = [replace(records[0], status="error", error=error), *records[1:]]
    (caution,) = found_by("users_unaccounted_for", (replace(facts, status=status), records))
    assert remedy in caution.remedy


def test_clocks_that_are_known_well_enough_are_stated_without_a_caution() -> None:
    level = an_honest_level(clients=(far_away(doubt_s=0.004, drift_s=0.009), far_away(doubt_s=0.001, drift_s=-0.0154)))
    assert "clock_offsets" not in ids(level)
    summary = judged_level(*level)
    stated = {
        name: summary.extra[name] for name in ("client_nodes", "clock_offset_s", "clock_doubt_s", "clock_drift_s")
    }
    assert stated == {"client_nodes": 1, "clock_offset_s": 1e5, "clock_doubt_s": 0.004, "clock_drift_s": 0.0154}
    said = clients_line([summary])
    assert said is not None
    assert said.startswith(
        "clients on 1 node: clocks differ from ours by up to 1666m40s, known to 4.0 ms, drifted by 15.4"
    )
    assert clients_line([judged_level(*an_honest_level())]) is None


def test_a_trace_that_was_too_fast_is_to_be_replayed_slower() -> None:
    facts, records = an_overrun_queue()
    (rate,) = found_by("saturated", (facts, records))
    (trace,) = found_by("saturated", (replace(facts, arrivals="trace"), records))
    assert rate.remedy.startswith("offer a lower --rate")
    assert trace.remedy.startswith("replay it at a lower --option speed=")


def test_missing_users_are_explained_by_a_client_that_died() -> None:
    facts, records = without_user(3)
    died = replace(facts, notes=(Caution(id="client_died", seen="it ended", advice="measure again"),))
    (caution,) = found_by("users_unaccounted_for", (died, records))
    assert "a client that died" in caution.remedy
    assert judged_level(died, records).extra["clients_lost"] == 1
    assert judged_level(died, records, slo=parse_slo("e2e_p50=1h")).extra["verdict"] == "unknown"
    assert judged_level(facts, records, slo=parse_slo("e2e_p50=1h")).extra["verdict"] == "met"


def test_estimated_tokens_are_fine_where_a_chunk_is_a_token() -> None:
    level = an_honest_level(window=(2.0, 7.5), tokens_per_chunk=1, users=10)
    assert (judged_level(*level).extra["estimated_token_share"] or 0) > 0.05
    assert "estimated_tokens" not in ids(level)


def test_estimated_tokens_are_fine_up_to_five_percent() -> None:
    level = an_honest_level(window=(2.0, 62.0), tokens_per_chunk=2, users=10)
    assert 0 < (judged_level(*level).extra["estimated_token_share"] or 0) < 0.05
    assert "estimated_tokens" not in ids(level)


def test_a_window_in_which_no_answer_ended_is_a_short_one() -> None:
    (caution,) = found_by("short_window", an_honest_level(chunks=500))
    assert caution.text == "no answer came to its end in a window of 20.0 s; the ± may be too small"


def test_a_window_is_short_too_where_an_answer_and_its_pause_outlast_a_tenth_of_it() -> None:
    """A tenth is 2 s, an answer takes 1 s."""
    facts, records = an_honest_level()
    (caution,) = found_by("short_window", (replace(facts, think_s=1.5), records))
    assert caution.text == (
        "an answer takes 1.00 s and the pause after it 1.50 s, together longer than a tenth of the window; "
        "the ± may be too small"
    )
    assert caution.remedy == "measure for 25.0 s or more with --max-duration"
    assert "short_window" not in ids((replace(facts, think_s=0.9), records))


def test_pauses_of_the_workloads_own_count_as_those_of_the_plan() -> None:
    facts, records = an_honest_level(think_s=1.5)
    (caution,) = found_by("short_window", (replace(facts, think_s=0.0, own_pauses=True), records))
    assert "1.00 s and the pause after it 1.50 s, together" in caution.text


def test_a_short_window_says_how_long_would_do() -> None:
    (caution,) = found_by("short_window", an_honest_level(window=(2.0, 11.0)))
    assert caution.text == "an answer takes 1.00 s, longer than a tenth of the window; the ± may be too small"
    assert caution.remedy == "measure for 10.0 s or more with --max-duration"


@pytest.mark.parametrize(
    ("stopped", "option"),
    [
        ("duration", "--duration"),
        ("requests", "more --requests"),
        ("precision", "--duration"),
        ("slo", "a run without --find-max"),
    ],
)
def test_a_remedy_names_the_option_that_made_the_level_as_short_as_it_is(stopped: str, option: str) -> None:
    level = an_honest_level(window=(2.0, 6.9), chunks=15, stopped=stopped)
    (little,) = found_by("little", level)
    assert little.remedy == f"measure for longer with {option}, so that each user gets five answers"
    (short,) = found_by("short_window", an_honest_level(window=(2.0, 11.0), stopped=stopped))
    assert short.remedy == f"measure for 10.0 s or more with {option}"
    faster = faster_in_the_second_half()
    (trend,) = found_by("trend", (replace(faster[0], stopped=stopped), faster[1]))
    assert trend.remedy == f"lengthen --warmup, or measure for longer with {option}"


def test_a_recording_that_was_played_to_its_end_is_made_longer_by_a_longer_one() -> None:
    facts, records = an_honest_level(window=(2.0, 11.0), stopped="requests")
    (short,) = found_by("short_window", (replace(facts, users=None, arrivals="trace"), records))
    assert short.remedy == "measure for 10.0 s or more with a longer recording"


def test_little_not_checked_says_how_many_answers_a_user_the_window_holds() -> None:
    (caution,) = found_by("little", an_honest_level(window=(2.0, 6.5)))
    # 5 + 4 + 5 + 4 answers of the four users
    assert caution.text == "Little's law is not checked: the window holds 4.5 answers a user"


def test_a_note_becomes_a_caution_with_text_and_remedy() -> None:
    assert found_by("noted", an_honest_level(notes=(DROPPED,))) == [DROPPED]
    assert (DROPPED.text, DROPPED.remedy) == ("it refuses {x}", "see its docs")


def test_a_note_of_an_older_run_is_a_line_that_is_read() -> None:
    stored = {"users": 1, "start_s": 0.0, "notes": ["some_id: what was seen: {this} | do that"]}
    (note,) = facts_of(stored).notes
    assert (note.id, note.text, note.remedy) == ("some_id", "what was seen: {this}", "do that")


def test_a_level_of_nothing_but_errors_has_failed_and_says_with_what() -> None:
    records = [a_record(due_s=float(k), end_s=k + 0.5, k=k, status="error", error="http_500") for k in range(50)]
    level = judged_level(some_facts(window=(5.0, 50.0)), records)
    assert (level.status, level.stopped, level.steady) == ("failed", "failed", False)
    assert [caution.id for caution in level.cautions] == ["nothing_but_errors"]
    assert "50 x http_500" in level.cautions[0].text


def test_a_level_that_failed_before_its_window_says_so() -> None:
    closed = replace(some_facts(), open_s=None, close_s=None, status="failed", stopped="failed")
    level = judged_level(closed, [a_record(end_s=1.0, k=0, status="error", error="connect")])
    assert [caution.id for caution in level.cautions] == ["nothing_but_errors"]


def test_a_level_that_was_interrupted_in_its_warm_up_says_so_and_keeps_its_notes() -> None:
    facts = some_facts(status="interrupted", stopped="interrupted", notes=(DROPPED,))
    level = judged_level(replace(facts, open_s=None, close_s=None), [])
    assert [caution.id for caution in level.cautions] == ["no_window", "field_dropped"]


def test_the_levels_of_a_caution_are_told_by_size_each_once() -> None:
    caution = Caution(id="trend", seen="halves differ", advice="wait")
    closed = [LevelSummary(users=users, status="done", cautions=(caution,)) for users in (10, 100, 1, 10)]
    opened = [
        LevelSummary(users=None, req_per_s_offered=rate, status="done", cautions=(caution,)) for rate in (20.0, 0.5)
    ]
    assert [places for places, _ in grouped(closed)] == ["1, 10 and 100 users"]
    assert [places for places, _ in grouped(opened)] == ["0.5 and 20 req/s"]
    assert [places for places, _ in grouped(closed[2:3])] == ["1 user"]


def said(users: int, seen: str, **values: Value) -> LevelSummary:
    caution = Caution(id="short_window", seen=seen, advice="wait", values=values)
    return LevelSummary(users=users, status="done", cautions=(caution,))


def test_cautions_of_one_id_that_say_different_things_stand_apart() -> None:
    """Where some answers ended and elsewhere none did, no line says that none ended at either."""
    takes = "an answer takes {e2e_s:time}"
    levels = [said(2, takes, e2e_s=200.0), said(8, "no answer came to its end"), said(4, takes, e2e_s=0.051)]
    assert [(places, caution.text) for places, caution in grouped(levels)] == [
        ("2 and 4 users (figures of 4 users)", "an answer takes 51.0 ms"),
        ("8 users", "no answer came to its end"),
    ]
    kinds = [said(users, "failed: {kinds}", kinds={kind: 5}) for users, kind in ((2, "http_500"), (4, "http_503"))]
    assert [caution.text for _, caution in grouped(kinds)] == ["failed: 5 x http_500", "failed: 5 x http_503"]


def test_figures_are_those_of_the_highest_load_whenever_it_was_measured_and_are_said_to_be() -> None:
    levels = [said(users, "it rose by {by:few}", by=by) for users, by in ((64, 190.0), (16, 12.0), (8, 1))]
    assert [(places, caution.text) for places, caution in grouped(levels)] == [
        ("8, 16 and 64 users (figures of 64 users)", "it rose by 1.9e+02")
    ]
    assert [(place.levels, place.caution.text) for place in places(levels)] == [
        ("all levels (figures of 64 users)", "it rose by 1.9e+02")
    ]


def test_every_caution_of_a_kind_is_alike_whatever_its_figures() -> None:
    """Two levels of different length that deserve the same caution share a line."""
    levels = [judged_level(*an_honest_level(window=(2.0, end_s))) for end_s in (6.5, 6.9)]
    alike = [caution for _, caution in grouped(levels) if caution.id == "short_window"]
    assert [caution.text for caution in alike] == ["a window of 4.50 s is too short for an interval of throughput"]
