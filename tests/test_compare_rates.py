"""Open loops: the capacity is the highest offered rate whose level meets an SLO, and k the quotient of two of them."""

from collections.abc import Mapping
from typing import Any

import pytest

from breakeven.compare.capacity import operating_point
from breakeven.compare.gate import gate
from breakeven.compare.runs import compare_runs
from breakeven.compare.text import render
from breakeven.compare.types import Comparison, Equivalence
from breakeven.errors import UsageError
from breakeven.metrics.slo import ServiceLevel, parse_slo
from breakeven.metrics.summary import Estimate, Quantile, RunFacts, RunSummary
from compare_fixture import a_level, a_run, one_metric, quantile

SLO = parse_slo("ttft_p99=1s")
Level = tuple[float, float | None]
"""Output tok/s, and TTFT p99 in seconds; None of too few answers."""


def an_open_run(
    levels: Mapping[float, Level], *, run_id: str = "run", share: float | None = None, **more: Any
) -> RunSummary:
    """A run with a level at each offered rate; `share` is the half width of the throughput's intervals."""
    return RunSummary(
        run=RunFacts(id=run_id),
        levels=tuple(
            a_level(
                None,
                tput,
                share=share,
                req_per_s_offered=rate,
                distributions={}
                if ttft_s is None
                else one_metric("ttft_s", p99=Quantile(value=ttft_s, ci95=(None, None))),
                **more,
            )
            for rate, (tput, ttft_s) in levels.items()
        ),
    )


A = {1.0: (100.0, 0.2), 4.0: (400.0, 0.8), 8.0: (500.0, 3.0)}
B = {1.0: (100.0, 0.3), 2.0: (200.0, 0.5), 3.0: (250.0, 2.0)}


def compared(a: RunSummary, b: RunSummary, **more: Any) -> Comparison:
    (found,) = compare_runs(a, [b], slo=SLO, **more)
    return found


def k_of(a: Mapping[float, Level], b: Mapping[float, Level]) -> Equivalence:
    return compared(an_open_run(a, run_id="a"), an_open_run(b, run_id="b")).k_at_slo[0]


def test_k_is_the_quotient_of_the_throughputs_at_the_highest_rates_that_meet_the_limits() -> None:
    """A meets 4 req/s (400 tok/s) and misses 8, B meets 2 (200 tok/s) and misses 3.

    So A gives 400 to 400 x 8/4 = 800, B 200 to 200 x 3/2 = 300: k = 400/200, from 400/300 to 800/200.
    """
    found = k_of(A, B)
    assert (found.status, found.relation, found.value) == ("exact", "=", 2.0)
    assert found.ci95 == pytest.approx((4 / 3, 4.0))
    assert found.interval_holds == "levels"
    assert found.reference_at is not None
    assert found.reference_at.req_per_s == Estimate(value=4.0, ci95=(4.0, 8.0))
    assert found.reference_at.output_tok_per_s == Estimate(value=400.0, ci95=(400.0, 800.0))
    assert found.reference_at.users == Estimate()
    assert found.candidate_at is not None
    assert found.candidate_at.req_per_s == Estimate(value=2.0, ci95=(2.0, 3.0))


def test_a_card_is_one_of_itself_and_k_turned_round_is_its_inverse() -> None:
    assert k_of(A, A).value == 1.0
    turned = k_of(B, A)
    assert turned.value == 0.5
    assert turned.ci95 == pytest.approx((1 / 4, 3 / 4))


def test_a_side_that_misses_the_limits_nowhere_makes_k_a_bound_with_an_open_end() -> None:
    found = k_of({rate: A[rate] for rate in (1.0, 4.0)}, B)
    assert (found.status, found.relation, found.value) == ("bound", ">=", 2.0)
    assert found.ci95 == pytest.approx((4 / 3, None))
    assert [(one.id, one.role, one.req_per_s) for one in found.reasons] == [("meets_top", "A", 4.0)]
    assert [(one.role, one.req_per_s) for one in found.levels_to_measure_next] == [("A", 8.0)]
    other = k_of(A, {rate: B[rate] for rate in (1.0, 2.0)})
    assert (other.relation, other.value) == ("<=", 2.0)
    assert other.ci95 == pytest.approx((None, 4.0))
    neither = k_of({1.0: A[1.0]}, {1.0: B[1.0]})
    assert (neither.status, neither.value, neither.ci95) == ("none", None, (None, None))


def test_a_side_that_misses_the_limits_at_its_lowest_rate_has_no_k() -> None:
    found = k_of({8.0: A[8.0]}, B)
    assert (found.status, found.value) == ("none", None)
    assert [(one.id, one.req_per_s) for one in found.reasons] == [("misses_lowest", 8.0)]
    assert found.reference_at is not None
    assert found.reference_at.output_tok_per_s == Estimate()


def test_a_rate_that_meets_the_limits_above_one_that_missed_is_luck() -> None:
    assert k_of(A | {16.0: (900.0, 0.5)}, B).value == 2.0


def test_a_rate_that_nobody_can_tell_of_widens_the_bracket_and_is_never_met() -> None:
    """Between 1, which is met, and 8, which is missed, 4 has too few answers: 100 to 800 tok/s."""
    point = operating_point(an_open_run(A | {4.0: (400.0, None)}), ServiceLevel(slo=SLO))
    assert point.req_per_s == Estimate(value=1.0, ci95=(1.0, 8.0))
    assert point.output_tok_per_s == Estimate(value=100.0, ci95=(100.0, 800.0))
    above = operating_point(an_open_run({1.0: A[1.0], 4.0: (400.0, None)}), ServiceLevel(slo=SLO))
    assert above.reason is not None
    assert (above.status, above.reason.id) == ("bound", "untold_above")
    alone = operating_point(an_open_run({4.0: (400.0, None)}), ServiceLevel(slo=SLO))
    assert alone.reason is not None
    assert (alone.status, alone.reason.id) == ("none", "none_known")


def test_a_rate_at_which_all_requests_failed_ends_the_bracket() -> None:
    run = an_open_run({1.0: A[1.0], 4.0: A[4.0]})
    failed = a_level(None, None, req_per_s_offered=6.0, status="failed")
    point = operating_point(RunSummary(run=run.run, levels=(*run.levels, failed)), ServiceLevel(slo=SLO))
    assert point.req_per_s == Estimate(value=4.0, ci95=(4.0, 6.0))
    assert point.output_tok_per_s.ci95 == pytest.approx((400.0, 600.0))


def test_a_saturated_level_meets_no_limit_however_fast_its_answers_were() -> None:
    run = an_open_run({1.0: A[1.0], 4.0: A[4.0]})
    full = an_open_run({5.0: (450.0, 0.1)}, extra={"saturated": True}).levels
    point = operating_point(RunSummary(run=run.run, levels=(*run.levels, *full)), ServiceLevel(slo=SLO))
    assert point.req_per_s.ci95 == (4.0, 5.0)


def test_repeats_of_a_rate_must_all_meet_the_limits() -> None:
    """TTFT p99 at 4 req/s is 0.8 s, then 1.2 s: it counts as missed, and the interval holds that it may be met."""
    first, second = an_open_run(A), an_open_run({4.0: (400.0, 1.2)}, repeat=1)
    point = operating_point(RunSummary(run=first.run, levels=(*first.levels, *second.levels)), ServiceLevel(slo=SLO))
    assert point.req_per_s == Estimate(value=1.0, ci95=(1.0, 8.0))


def test_the_interval_holds_the_sampling_error_of_throughput_too() -> None:
    """400 ± 10 %, and what lies between: from 400 / 1.1 to 800 x 1.1."""
    point = operating_point(an_open_run(A, share=0.1), ServiceLevel(slo=SLO))
    low, high = point.output_tok_per_s.ci95
    assert low == pytest.approx(400 / 1.1, rel=0.02)
    assert high == pytest.approx(800 * 1.1, rel=0.02)


def test_the_interval_holds_that_a_level_near_the_limit_may_be_on_its_other_side() -> None:
    """TTFT p99 at 4 req/s is 0.98 s ± 5 % of a limit of 1 s: perhaps no more than 1 req/s meets it."""
    sure = an_open_run(A).levels
    near = a_level(
        None, 400.0, share=None, req_per_s_offered=4.0, distributions=one_metric("ttft_s", p99=quantile(0.98, 0.05))
    )
    run = RunSummary(run=RunFacts(id="run"), levels=(sure[0], near, sure[2]))
    point = operating_point(run, ServiceLevel(slo=SLO))
    assert point.req_per_s == Estimate(value=4.0, ci95=(1.0, 8.0))
    assert point.output_tok_per_s.ci95 == pytest.approx((100.0, 800.0))


def test_the_bracket_goes_on_where_a_missed_level_may_have_met_the_limits() -> None:
    """TTFT p99 at 8 req/s is 1.02 s ± 5 %: it may meet 1 s, and the next rate that surely does not is 16 req/s."""
    levels = an_open_run(A | {16.0: (600.0, 5.0)}).levels
    near = a_level(
        None, 500.0, share=None, req_per_s_offered=8.0, distributions=one_metric("ttft_s", p99=quantile(1.02, 0.05))
    )
    run = RunSummary(run=RunFacts(id="run"), levels=(*levels[:2], near, levels[3]))
    point = operating_point(run, ServiceLevel(slo=SLO))
    assert point.req_per_s == Estimate(value=4.0, ci95=(4.0, 16.0))
    top = operating_point(RunSummary(run=run.run, levels=run.levels[:3]), ServiceLevel(slo=SLO))
    assert top.req_per_s == Estimate(value=4.0, ci95=(4.0, None))


def test_a_percentile_without_an_upper_end_is_not_sure_to_be_within_its_limit() -> None:
    open_ended = one_metric("ttft_s", p99=Quantile(value=0.8, ci95=(0.6, None)))
    near = a_level(None, 400.0, share=None, req_per_s_offered=4.0, distributions=open_ended)
    first, _, last = an_open_run(A).levels
    point = operating_point(RunSummary(run=RunFacts(id="run"), levels=(first, near, last)), ServiceLevel(slo=SLO))
    assert point.req_per_s == Estimate(value=4.0, ci95=(1.0, 8.0))
    only = operating_point(RunSummary(run=RunFacts(id="run"), levels=(near, last)), ServiceLevel(slo=SLO))
    assert only.req_per_s == Estimate(value=4.0)  # open at both ends: perhaps no rate meets it


def test_a_predicted_backlog_of_a_card_that_may_be_fast_enough_gives_no_upper_end() -> None:
    """At 8 req/s 4 to 8 may be answered: then the limits may be met there, and nobody looked further."""
    run = an_open_run({4.0: (400.0, 0.5)}, share=0.05)
    for most, high in ((8.0, None), (7.0, 8.0)):
        full = a_level(
            None,
            600.0,
            share=0.3,
            req_per_s_offered=8.0,
            extra={"saturated": True},
            req_per_s=Estimate(value=6.0, ci95=(4.0, most)),
        )
        predicted = RunSummary(run=RunFacts(id="run", settings={"predicted": {}}), levels=(*run.levels, full))
        point = operating_point(predicted, ServiceLevel(slo=SLO))
        assert point.req_per_s == Estimate(value=4.0, ci95=(4.0, high))


def test_what_the_terminal_says_of_open_loops_names_rates_and_never_users() -> None:
    text = render([compared(an_open_run(A, run_id="a"), an_open_run(B, run_id="b"))])
    assert "One A does the work of 2.00 B (1.33–4.00 by what may lie between the levels alone)" in text
    assert "400 at 4 req/s" in text
    assert "200 at 2 req/s" in text
    assert "met" in text
    assert "missed" in text
    assert "users" not in text
    assert "to narrow it, measure A (a) at 5.66 req/s and B (b) at 2.45 req/s" in text


def test_without_an_slo_open_loops_are_refused_in_one_line_that_says_what_to_give() -> None:
    runs = an_open_run(A, run_id="a"), an_open_run(B, run_id="b")
    asks: list[dict[str, Any]] = [{}, {"floors": (25.0,)}, {"floors": (25.0,), "slo": SLO}]
    for asked in asks:
        with pytest.raises(
            UsageError, match=r"a: an open loop has no number of users.*such as --slo ttft_p99=2s"
        ) as said:
            compare_runs(runs[0], [runs[1]], **asked)
        assert "\n" not in str(said.value)
    with pytest.raises(UsageError, match="--at-users: a is an open loop"):
        compare_runs(runs[0], [runs[1]], slo=SLO, users=(5.0,))


def test_an_open_loop_is_not_held_against_a_closed_one() -> None:
    closed, opened = a_run({1: 100.0, 10: 500.0}, run_id="closed"), an_open_run(A, run_id="open")
    for a, b in ((closed, opened), (opened, closed)):
        with pytest.raises(UsageError, match=r"open was measured at rates \(open loop\) and closed with users.*--rate"):
            compare_runs(a, [b], slo=SLO)


def test_a_gate_is_not_tested_at_rates() -> None:
    run = an_open_run(A, run_id="a")
    with pytest.raises(UsageError, match=r"a: an open loop has no number of users, which a gate is tested at"):
        gate("output_tok_per_s >= reference", run, run)
