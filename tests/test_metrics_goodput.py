"""Limits that a level must meet, and the part of its work that met them."""

import pytest
from msgspec.structs import replace

from breakeven.errors import UsageError
from breakeven.metrics.goodput import Goodput, at_least, goodput, judge, judged
from breakeven.metrics.level import summarise_level
from breakeven.metrics.slo import PRESETS, Limit, Slo, limited, parse_slo, service_levels
from breakeven.metrics.summary import ClientSummary, Distribution, LevelSummary, Quantile
from breakeven.record import Record
from builders import a_record, some_facts, summary_of


def found(records: list[Record], slo: str, *, window: tuple[float, float] = (0.0, 10.0)) -> Goodput:
    facts = some_facts(window=window)
    good = goodput(facts, records, level=summary_of(records, window=window), slo=parse_slo(slo))
    assert good is not None
    return good


def level_with(**latencies: Distribution) -> LevelSummary:
    return LevelSummary(users=1, status="done", distributions=latencies)


def at(value: float | None, *, more_than: float | None = None) -> Distribution:
    return Distribution(n=50, p99=Quantile(value=value, ci95=(None, None), more_than=more_than), mean=value)


def test_a_request_is_good_if_it_met_every_limit_by_itself() -> None:
    records = [
        a_record(chunks_at_s=[1.0, 2.0], output_tokens=11),  # TTFT 1 s, TPOT 0.1 s
        a_record(chunks_at_s=[3.0, 3.5], output_tokens=11),  # begins too late
        a_record(chunks_at_s=[1.0, 6.0], output_tokens=11),  # goes on too slowly
        a_record(chunks_at_s=[2.0], output_tokens=1),  # one token has no TPOT to miss
    ]
    good = found(records, "ttft_p99=2s,tpot_p99=100ms")
    assert good.goodput_req_per_s == pytest.approx(2 / 10)
    assert good.goodput_tok_per_s == pytest.approx(12 / 10)
    assert good.good_share == pytest.approx(2 / 4)


def test_goodput_by_a_count_of_requests_is_the_rate_of_those_that_ended_in_the_window() -> None:
    records = [a_record(chunks_at_s=[end_s], output_tokens=5, k=k, measured=True) for k, end_s in ((1, 4.0), (2, 12.0))]
    facts = some_facts(window=(0.0, 10.0), measured_requests=2)
    level = summarise_level(facts, records)
    good = goodput(facts, records, level=level, slo=parse_slo("e2e_p50=20s"))
    assert good is not None
    assert good.goodput_req_per_s == level.req_per_s.value == pytest.approx(0.1)
    assert (good.goodput_tok_per_s, good.good_share) == (0.5, 1.0)


def test_an_answer_without_text_never_came_in_time() -> None:
    assert found([a_record(end_s=0.5, output_tokens=0)], "ttft_p99=2s").good_share == 0.0
    assert found([a_record(end_s=0.5, output_tokens=0)], "e2e_p99=2s").good_share == 0.0


def test_failed_requests_are_not_good_but_count_among_those_that_ended() -> None:
    failed = a_record(end_s=2.0, status="error", error="reset")
    assert found([a_record(chunks_at_s=[1.0]), failed], "ttft_p99=2s").good_share == 0.5


def test_first_answers_cut_ones_and_those_outside_the_window_are_not_counted() -> None:
    records = [
        a_record(chunks_at_s=[1.0], k=0),
        a_record(chunks_at_s=[1.0], status="cut"),
        a_record(chunks_at_s=[11.0]),
        a_record(chunks_at_s=[2.0]),
    ]
    good = found(records, "e2e_p99=5s")
    assert (good.goodput_req_per_s, good.good_share) == (0.1, 1.0)


def test_where_nothing_ended_the_share_is_null() -> None:
    assert found([], "ttft_p99=2s").good_share is None


def test_a_level_without_a_window_has_no_goodput() -> None:
    facts = some_facts(window=(5.0, 5.0))
    assert goodput(facts, [], level=level_with(), slo=parse_slo("ttft_p99=1s")) is None


def test_a_percentile_within_its_limit_is_met_and_one_beyond_it_missed() -> None:
    limit = Limit(metric="ttft_p99", limit_s=2.0)
    assert judge(level_with(ttft_s=at(2.0)), limit) == ("met", "ttft_p99 was 2.00 s")
    assert judge(level_with(ttft_s=at(2.1)), limit) == ("missed", "ttft_p99 was 2.10 s")


def test_a_percentile_that_is_more_than_its_limit_is_missed() -> None:
    limit = Limit(metric="ttft_p99", limit_s=2.0)
    assert judge(level_with(ttft_s=at(None, more_than=600.0)), limit) == ("missed", "ttft_p99 was more than 10m00s")


def test_a_percentile_of_too_few_requests_decides_nothing() -> None:
    limit = Limit(metric="ttft_p99", limit_s=2.0)
    assert judge(level_with(ttft_s=at(None)), limit)[0] == "unknown"
    assert judge(level_with(ttft_s=at(None, more_than=1.0)), limit)[0] == "unknown"


def test_a_mean_can_be_limited_too() -> None:
    assert judge(level_with(tpot_s=at(0.05)), Limit(metric="tpot_mean", limit_s=0.04))[0] == "missed"


def test_a_level_is_missed_by_one_limit_and_unknown_where_one_cannot_be_told() -> None:
    records = [a_record(chunks_at_s=[1.0 + 0.01 * k, 2.0 + 0.01 * k], output_tokens=11, k=k) for k in range(1, 40)]
    assert found(records, "ttft_p50=2s").verdict == "met"
    assert found(records, "ttft_p50=2s,ttft_p99=2s").verdict == "unknown"
    missed = found(records, "ttft_p50=1s,ttft_p99=2s")
    assert missed.verdict == "missed"
    assert missed.missed == (
        "ttft_p50 was 1.20 s",
        "ttft_p99 cannot be told from 39 requests; it needs 100: measure for longer",
    )


def test_a_limit_that_is_met_says_how_much_of_it_was_used() -> None:
    records = [a_record(chunks_at_s=[0.05, 1.05], output_tokens=11, k=k) for k in range(1, 40)]
    assert found(records, "ttft_p50=2s,tpot_mean=250ms,ttft_p99=2s").met == (
        "ttft_p50 50.0 ms of 2.00 s",
        "tpot_mean 100 ms of 250 ms",
    )


@pytest.mark.parametrize("name", limited())
def test_every_figure_that_can_be_limited_is_one_of_a_level(name: str) -> None:
    assert judge(level_with(), Limit(metric=name, limit_s=1.0))[0] == "unknown"


@pytest.mark.parametrize("text", ["ttft_p99=2s,tpot_p99=100ms", " ttft_p99 <= 2s , tpot_p99 < 0.1 ", "mlperf-server"])
def test_limits_are_read_in_each_way_that_people_write_them(text: str) -> None:
    limits = Limit(metric="ttft_p99", limit_s=2.0), Limit(metric="tpot_p99", limit_s=0.1)
    assert parse_slo(text) == Slo(limits=limits)
    assert parse_slo(text).text() == "ttft_p99 <= 2.00 s, tpot_p99 <= 100 ms"


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_can_be_read(name: str) -> None:
    assert parse_slo(name).limits


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no limit given"),
        ("ttft_p99", "'ttft_p99' is no limit; write metric=duration"),
        ("ttft_p98=2s", "no metric is called 'ttft_p98'; did you mean 'ttft_p9"),
        ("ttft_p99=soon", "ttft_p99: 'soon' is no duration"),
        ("ttft_p99=2000", "ttft_p99: 2000 without a unit is seconds; write 2000ms or 2000s, whichever is meant"),
        ("mlperf-server,e2e_p99=9s", "mlperf-server stands alone; write out its limits to add one: ttft_p99=2s,tpot_"),
        ("ttft_p99=0s", "a limit of 0 s can never be met"),
        ("ttft_p99=1s,ttft_p99=2s", "ttft_p99 is limited twice"),
    ],
)
def test_what_is_no_limit_is_one_line_that_names_the_part(text: str, says: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_slo(text)
    assert str(caught.value).startswith("--slo: ")
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_long_limit_is_taken_with_its_unit() -> None:
    assert [parse_slo(f"e2e_p99={text}").limits[0].limit_s for text in ("2000s", "2000ms", "600", "20m")] == [
        2000.0,
        2.0,
        600.0,
        1200.0,
    ]


def test_service_levels_are_the_floors_in_order_and_then_the_limits() -> None:
    slo = parse_slo("ttft_p99=2s")
    levels = service_levels(floors=[50, 25, 50], slo=slo)
    assert [level.floor_tok_per_s_per_user for level in levels] == [25, 50, None]
    assert levels[0].text() == "at least 25 tok/s a user on average"
    assert levels[2].text() == "ttft_p99 <= 2.00 s"


@pytest.mark.parametrize("floor", [0.0, -1.0, float("nan"), float("inf")])
def test_a_floor_that_is_no_speed_is_a_usage_error(floor: float) -> None:
    with pytest.raises(UsageError, match=r"--floor: .* is no speed"):
        service_levels(floors=[floor], slo=None)


# what no percentile tells


@pytest.mark.parametrize(
    ("beyond", "within", "slo", "verdict"),
    [
        (6, 0, "ttft_p95=500ms", "missed"),
        (1, 0, "ttft_p95=500ms", "missed"),
        (1, 0, "ttft_p90=500ms", "unknown"),  # one in ten servers that just meet it begin so
        (3, 7, "ttft_p95=500ms", "missed"),
        (2, 8, "ttft_p95=500ms", "unknown"),
        (0, 10, "ttft_p95=500ms", "unknown"),
        (4, 0, "e2e_p99=500ms", "missed"),
    ],
)
def test_so_many_beyond_a_limit_decide_it_before_there_are_enough_for_the_percentile(
    beyond: int, within: int, slo: str, verdict: str
) -> None:
    late = [a_record(chunks_at_s=[1.0], user=user, k=1) for user in range(beyond)]
    soon = [a_record(chunks_at_s=[0.1], user=100 + user, k=1) for user in range(within)]
    good = found(late + soon, slo)
    assert good.verdict == verdict
    if verdict == "missed":
        limit = parse_slo(slo).limits[0].metric
        assert good.missed == (f"{limit}: {within} of {beyond + within} were within 500 ms",)


def test_what_still_waits_counts_by_how_long_it_has_waited() -> None:
    waiting = [a_record(status="cut", end_s=9.0, user=user, k=1) for user in range(5)]
    assert found(waiting, "ttft_p95=500ms").verdict == "missed"
    assert found(waiting, "ttft_p95=20s").verdict == "unknown"


def test_the_chance_of_so_many_beyond_is_that_of_a_binomial() -> None:
    assert at_least(0, of=7, share=0.05) == 1.0
    assert at_least(1, of=1, share=0.05) == pytest.approx(0.05)
    assert at_least(2, of=3, share=0.5) == pytest.approx(0.5)
    assert at_least(3, of=10, share=0.05) == pytest.approx(0.01150, abs=1e-5)


@pytest.mark.parametrize(("failed", "slo", "verdict"), [(1, "ttft_p95=2s", "met"), (3, "ttft_p95=2s", "missed")])
def test_a_server_that_fails_more_than_may_be_late_meets_nothing(failed: int, slo: str, verdict: str) -> None:
    answers = [a_record(chunks_at_s=[1.0, 2.0], output_tokens=11, user=user) for user in range(40)]
    refused = [a_record(end_s=1.0, status="error", error="http_503", user=user) for user in range(failed)]
    good = found(answers + refused, slo)
    assert good.verdict == verdict
    assert good.failed_share == pytest.approx(failed / (40 + failed))
    assert ("falls on failed requests" in "".join(good.missed)) == (verdict == "missed")


SLO = parse_slo("ttft_p99=2s")


def test_a_backlog_that_grows_meets_nothing() -> None:
    level = replace(level_with(ttft_s=at(1.0)), extra={"saturated": True, "backlog_growth_req_per_s": 0.5})
    assert judged(level, SLO) == ("missed", ("the backlog grew by 0.5 requests each second",))
    assert judged(replace(level, extra={"saturated": False}), SLO) == ("met", ())


def test_a_load_that_the_client_could_not_offer_is_not_met() -> None:
    level = level_with(ttft_s=at(1.0))
    verdict, reasons = judged(replace(level, client=ClientSummary(schedule_lag_p99_s=4.4)), SLO)
    assert verdict == "missed"
    assert "the client sent 4.40 s late at p99" in reasons[0]
    assert judged(replace(level, client=ClientSummary(schedule_lag_p99_s=0.004)), SLO) == ("met", ())


def test_why_a_percentile_cannot_be_told_is_said() -> None:
    limit = Limit(metric="ttft_p99", limit_s=2.0)
    waiting = Distribution(n=2686, censored=28, p99=Quantile(value=None, ci95=(None, None), more_than=0.5))
    few = Distribution(n=47)
    assert "28 of 2686 requests had not come so far" in judge(level_with(ttft_s=waiting), limit)[1]
    (of_sessions,) = parse_slo("session_p50=1s").limits
    assert "28 of 2686 sessions had not come so far" in judge(level_with(session_s=waiting), of_sessions)[1]
    assert "from 47 requests; it needs 100" in judge(level_with(ttft_s=few), limit)[1]
