"""The three figures: the rules they must keep, their bounds, and their intervals."""

import math

import msgspec
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from breakeven.compare.capacity import operating_point
from breakeven.compare.figures import k_at_slo, k_same_load, ratio_equal_users
from breakeven.compare.interpolate import load_at_speed, throughput_at
from breakeven.compare.nextlevel import levels_for, next_level
from breakeven.compare.side import Side, make_side
from breakeven.compare.types import Equivalence, Reason
from breakeven.compare.words import ONLY, next_levels_text, reason_text, reasons_text
from breakeven.metrics.slo import Limit, ServiceLevel, Slo
from breakeven.metrics.summary import Quantile, RunFacts, RunSummary
from compare_fixture import a_level, a_run, quantile, with_ttft_p99

LEVELS = (1, 5, 10, 50, 100)
A = {1: 100.0, 10: 800.0, 100: 3000.0}
B = {1: 80.0, 10: 500.0, 100: 1000.0}


def floor(value: float) -> ServiceLevel:
    return ServiceLevel(floor_tok_per_s_per_user=value)


def side(run: RunSummary, index: int = 0, *, role: str = "A", draws: int = 200, node_sd_log: float = 0.0) -> Side:
    return make_side(run, role=role, seed=7, index=index, draws=draws, node_sd_log=node_sd_log)


def k(a: Side, b: Side, s: float) -> Equivalence:
    return k_at_slo(a, b, floor(s), unit="tok/s")


@st.composite
def runs(draw: st.DrawFn) -> RunSummary:
    """Any throughput at the five levels, also one that falls with load or a speed that rises."""
    first = draw(st.floats(100, 200))
    growth = draw(st.lists(st.floats(0.7, 2.5), min_size=4, max_size=4))
    tput = first * np.cumprod([1.0, *growth])
    return a_run(dict(zip(LEVELS, map(float, tput), strict=True)), share=draw(st.floats(0.001, 0.1)))


FEW = settings(max_examples=60, deadline=None)


@FEW
@given(run=runs(), s=st.floats(30, 99))
def test_one_card_does_the_work_of_one_like_it(run: RunSummary, s: float) -> None:
    found = k(side(run, 0), side(run, 1), s)
    assume(found.status == "exact")
    assert found.value == 1.0
    assert found.tie is not False
    low, high = found.ci95
    assert (low or 0) <= 1 <= (high or math.inf)


@FEW
@given(run_a=runs(), run_b=runs(), s=st.floats(30, 99))
def test_k_of_a_pair_turned_round_is_its_inverse(run_a: RunSummary, run_b: RunSummary, s: float) -> None:
    ab, ba = k(side(run_a), side(run_b, 1), s), k(side(run_b), side(run_a, 1), s)
    assert ab.status == ba.status
    if ab.value is not None and ba.value is not None:
        assert ab.value * ba.value == pytest.approx(1, rel=1e-12)
        assert {ab.relation, ba.relation} in ({"="}, {"<=", ">="})


@FEW
@given(run_a=runs(), run_b=runs(), run_c=runs(), s=st.floats(30, 99))
def test_k_through_a_third_card_is_the_product(
    run_a: RunSummary, run_b: RunSummary, run_c: RunSummary, s: float
) -> None:
    a, b, c = side(run_a), side(run_b, 1), side(run_c, 2)
    ac, ab, bc = k(a, c, s), k(a, b, s), k(b, c, s)
    assume(ab.status == bc.status == "exact")
    assert ac.value is not None
    assert ab.value is not None
    assert bc.value is not None
    assert ac.value == pytest.approx(ab.value * bc.value, rel=1e-12)


@FEW
@given(run_a=runs(), run_b=runs(), s=st.floats(30, 99))
def test_the_interval_holds_the_value(run_a: RunSummary, run_b: RunSummary, s: float) -> None:
    found = k(side(run_a), side(run_b, 1), s)
    assume(found.value is not None)
    low, high = found.ci95
    assert (low or 0) <= (found.value or 0.0) <= (high or math.inf)


@FEW
@given(run_a=runs(), run_b=runs(), users=st.sampled_from([10.0, 27.0, 50.0, 100.0]))
def test_same_load_k_is_the_least_number_that_is_as_fast_where_a_falls(
    run_a: RunSummary, run_b: RunSummary, users: float
) -> None:
    a, b = side(run_a), side(run_b, 1)
    found = k_same_load(a, b, users)
    assume(found.status == "exact" and found.value is not None)
    n, of_a, of_b = found.value or 0.0, a.curve[:1], b.curve[:1]
    wanted = throughput_at(a.users, of_a, np.array([users]))[0]
    assume(load_at_speed(a.users, of_a, np.array([wanted / users]))[0] < users * (1 + 1e-9))

    def give(count: float) -> float:
        return count * float(throughput_at(b.users, of_b, np.array([users / count]))[0])

    assert give(n) == pytest.approx(wanted, rel=1e-6)
    fewer = 0.999 * n
    if users / fewer <= 100:
        assert give(fewer) < wanted


@FEW
@given(run=runs(), users=st.floats(1, 100))
def test_one_card_shares_its_own_load(run: RunSummary, users: float) -> None:
    found = k_same_load(side(run), side(run, 1), users)
    assert found.status == "exact"
    assert found.value == pytest.approx(1.0, rel=1e-9)
    low, high = found.ci95
    assert (low or 0) <= 1 <= (high or math.inf)


@FEW
@given(run_a=runs(), run_b=runs(), users=st.floats(1, 100))
def test_same_load_k_turned_round_at_the_same_speed_is_its_inverse(
    run_a: RunSummary, run_b: RunSummary, users: float
) -> None:
    a, b = side(run_a), side(run_b, 1)
    ab = k_same_load(a, b, users)
    assume(ab.status == "exact" and ab.value is not None)
    speed = throughput_at(a.users, a.curve, np.full(201, users)) / users
    load = float(load_at_speed(b.users, b.curve, speed)[0])
    ba = k_same_load(b, a, min(load, 100.0))
    assert ba.status == "exact"
    # where the speed is level in one point, rounding of 1e-12 moves the load by its cube root
    assert (ab.value or 0) * (ba.value or 0) == pytest.approx(1.0, rel=1e-3)


def test_a_machine_whose_speed_is_level_is_one_of_itself_at_every_load() -> None:
    # 0.20 before: one user is as fast as five, so "one of it at five users" did the work of one at one user
    run = a_run({1: 100.0, 5: 500.0})
    for users in (1.0, 2.0, 5.0):
        assert k_same_load(side(run), side(run, 1), users).value == pytest.approx(1.0, rel=1e-9)


def test_a_machine_does_its_own_work_where_its_speed_is_level_over_two_levels() -> None:
    run = a_run({1: 100.0, 5: 100.0, 10: 225.0, 50: 225.0, 100: 225.0})
    found = k_same_load(side(run), side(run, 1), 10.0)
    assert found.value == pytest.approx(1.0, rel=1e-9)


def test_a_floor_that_is_the_speed_of_a_level_is_met_there() -> None:
    for tput in (800.0, 799.3, 1003.1, 333.3):
        point = operating_point(a_run({1: 110.0, 10: tput, 100: 1100.0}), floor(tput / 10))
        assert point.users.value == pytest.approx(10, rel=1e-9)


def test_k_is_the_ratio_of_capacities_worked_out_by_hand() -> None:
    # both levels give exactly 50 tok/s per user: A at 20 users, B at 10
    a = a_run({1: 100.0, 20: 1000.0, 100: 2000.0})
    b = a_run({1: 90.0, 10: 500.0, 100: 900.0})
    found = k(side(a), side(b, 1), 50)
    assert found.value == pytest.approx(2.0)
    assert found.whole_cards == 2
    assert found.interval_holds == "sampling"
    assert (found.status, found.relation, found.tie) == ("exact", "=", False)
    assert found.reference_at is not None
    assert found.reference_at.users.value == pytest.approx(20)
    assert found.reference_at.output_tok_per_s.value == pytest.approx(1000)


def test_capacity_is_the_greatest_throughput_and_not_that_of_the_highest_load() -> None:
    point = operating_point(a_run({1: 100.0, 10: 800.0, 50: 600.0, 100: 500.0}), floor(10))
    assert point.users.value == pytest.approx(10)
    assert point.output_tok_per_s.value == pytest.approx(800)
    assert point.status == "exact"


def test_a_reference_that_still_meets_the_level_at_its_top_makes_k_at_least_that() -> None:
    found = k(side(a_run(A)), side(a_run(B), 1), 20)
    assert (found.status, found.relation) == ("bound", ">=")
    assert reasons_text(found.reasons) == "A still meets it at its top level, 100 users"
    assert found.value is not None
    assert found.value > 3000 / 1000
    assert found.ci95[1] is None
    assert found.whole_cards is None
    (named,) = found.levels_to_measure_next
    assert (named.role, named.users) == ("A", 200)


def test_a_candidate_that_still_meets_the_level_at_its_top_makes_k_at_most_that() -> None:
    found = k(side(a_run(B)), side(a_run(A), 1, role="B"), 20)
    assert (found.status, found.relation) == ("bound", "<=")
    assert found.ci95[0] is None
    assert found.whole_cards == 1
    assert reasons_text(found.reasons) == "B still meets it at its top level, 100 users"


def test_two_bounds_give_no_k() -> None:
    found = k(side(a_run(A)), side(a_run(B), 1, role="B"), 5)
    assert (found.status, found.value, found.ci95) == ("none", None, (None, None))
    assert reasons_text(found.reasons) == (
        "A still meets it at its top level, 100 users; B still meets it at its top level, 100 users"
    )


def test_a_side_that_misses_the_level_with_one_user_gives_no_k() -> None:
    found = k(side(a_run(A)), side(a_run(B), 1, role="B"), 90)
    assert (found.status, found.value, reasons_text(found.reasons)) == ("none", None, "B misses it with 1 user")
    assert found.levels_to_measure_next == ()


def test_a_side_measured_from_ten_users_up_is_asked_for_one_user() -> None:
    found = k(side(a_run(A)), side(a_run({10: 500.0, 100: 1000.0}), 1, role="B"), 60)
    assert reasons_text(found.reasons) == "B misses it with 10 users, its lowest level"
    assert [named.users for named in found.levels_to_measure_next] == [1]


def test_a_run_of_one_level_gives_bounds_and_never_more() -> None:
    one = a_run({10: 800.0})
    assert operating_point(one, floor(70)).status == "bound"
    assert operating_point(one, floor(90)).status == "none"
    assert k(side(a_run(B)), side(one, 1), 70).relation == "<="


def test_where_b_may_never_be_so_fast_the_interval_is_open() -> None:
    # at 2 users A gives a user 86 tok/s as its curve is read, and may give 104; B never gives more than 100
    a = side(a_run(dict(zip(LEVELS, (138.0, 276.0, 552.0, 552.0, 552.0), strict=True)), share=0.001))
    b = side(a_run(dict.fromkeys(LEVELS, 100.0), share=0.001), 1, role="B")
    found = k_same_load(a, b, 2.0)
    assert found.status == "exact"
    assert found.ci95[1] is None


def test_same_load_k_is_at_most_users_over_top_where_b_is_as_fast_there() -> None:
    found = k_same_load(side(a_run(B)), side(a_run(A), 1, role="B"), 100)
    assert (found.status, found.relation, found.value) == ("bound", "<=", 1.0)
    assert reasons_text(found.reasons) == "B is faster still at its top level, 100 users"


def test_same_load_k_is_none_where_each_b_would_serve_less_than_one_user() -> None:
    found = k_same_load(side(a_run(A)), side(a_run(B), 1, role="B"), 1)
    assert (found.status, found.value) == ("none", None)
    assert reasons_text(found.reasons) == "each B would have to serve fewer than 1 user to be as fast"


def test_same_load_k_is_worked_out_by_hand() -> None:
    # A gives 40 tok/s to each of 100 users; B gives 40 to each of 25: four B
    found = k_same_load(side(a_run({1: 90.0, 100: 4000.0})), side(a_run({1: 80.0, 25: 1000.0, 100: 2000.0}), 1), 100)
    assert found.value == pytest.approx(4.0)
    assert found.whole_cards == 4


def test_nothing_is_said_of_users_that_were_not_measured() -> None:
    a, b = side(a_run(A)), side(a_run(B), 1, role="B")
    for figure in (k_same_load(a, b, 101), ratio_equal_users(a, b, 0.5)):
        assert (figure.status, figure.value) == ("none", None)
        assert reasons_text(figure.reasons) == "A was measured from 1 to 100 users only"


def test_the_equal_users_ratio_is_that_of_the_measured_throughputs() -> None:
    found = ratio_equal_users(side(a_run(A)), side(a_run(B), 1), 10)
    assert found.value == pytest.approx(800 / 500)
    assert found.whole_cards is None
    # two sides of ± 2 % give about root(2) x 2 %
    low, high = found.ci95
    assert low == pytest.approx(1.6 / 1.028, rel=0.01)
    assert high == pytest.approx(1.6 * 1.028, rel=0.01)


def test_a_spread_between_nodes_widens_the_interval_as_it_should() -> None:
    a, b = (side(a_run(run, share=None), i, draws=4000, node_sd_log=0.05) for i, run in enumerate((A, B)))
    low, high = ratio_equal_users(a, b, 10).ci95
    assert low is not None
    assert high is not None
    # each side 5 % on the log scale: log width 2 x 1.96 x root(2) x 0.05
    assert math.log(high / low) == pytest.approx(2 * 1.96 * math.sqrt(2) * 0.05, rel=0.05)


def test_medians_over_nodes_move_as_a_whole_and_a_run_s_levels_each_by_itself() -> None:
    nodes = msgspec.structs.replace(
        a_run(A), levels=tuple(a_level(users, tput, extra={"nodes": 3}) for users, tput in A.items())
    )
    for run, whole in ((nodes, True), (a_run(A), False)):
        moved = side(run).throughput / np.array(list(A.values()))
        assert bool(np.allclose(moved, moved[:, :1])) is whole


def test_runs_without_intervals_leave_only_what_may_lie_between_the_levels() -> None:
    # the speed of A falls to 40 in the gap from 10 to 100 users, where its throughput lies on the chord at least
    # (800 + 24.4 (u - 10) = 40 u: 35.7 users), and on the line of the first two levels at most, up to 3000
    a, b = (side(a_run(run, share=None), i) for i, run in enumerate((A, {1: 80.0, 10: 400.0, 100: 1000.0})))
    found = k(a, b, 40)
    assert found.interval_holds == "levels"
    assert found.dominated_by == "levels"
    chord = 40 * (800 - 2200 / 9) / (40 - 2200 / 90)
    assert found.ci95 == pytest.approx((chord / 400, 3000 / 400))


def test_the_levels_are_named_that_narrow_k_most_and_by_how_much() -> None:
    found = k(side(a_run(A, share=0.001)), side(a_run(B, share=0.001), 1, role="B"), 40)
    assert found.dominated_by == "levels"
    first, second = found.levels_to_measure_next
    assert {first.role, second.role} == {"A", "B"}
    for named in (first, second):
        assert 10 < (named.users or 0) < 100
        assert (named.reason.users, named.reason.up_to_users) == (10, 100)
    low, high = found.ci95
    assert first.factor == pytest.approx(math.sqrt((high or 0) / (low or 1)), rel=0.02)
    assert second.factor == first.factor_then
    assert (second.factor_then or 0) < (first.factor_then or 0) < (first.factor or 0)
    assert next_levels_text((first, second)).endswith(
        f"the interval would be about ± {100 * ((second.factor_then or 0) - 1):.0f} % instead of "
        f"a factor of {first.factor:.2f} either way; most of the interval is what may lie between levels"
    )


def test_a_data_set_is_asked_for_no_level() -> None:
    nodes = msgspec.structs.replace(
        a_run(A), levels=tuple(a_level(users, tput, extra={"nodes": 3}) for users, tput in A.items())
    )
    found = k(side(nodes), side(nodes, 1, role="B"), 40)
    assert (found.dominated_by, found.levels_to_measure_next) == ("levels", ())
    assert {one.role for one in k(side(nodes), side(a_run(B), 1, role="B"), 40).levels_to_measure_next} == {"B"}


def test_measuring_the_named_level_narrows_the_interval() -> None:
    def true(u: float) -> float:
        return 100 * u / (1 + u / 12)

    def width(levels: tuple[int, ...]) -> float:
        run = a_run({u: true(u) for u in levels}, share=0.001)
        found = k(side(run), side(a_run({1: 80.0, 20: 800.0, 100: 1000.0}, share=0.001), 1), 40)
        low, high = found.ci95
        assert low is not None
        assert high is not None
        return math.log(high / low)

    run = a_run({u: true(u) for u in (1, 5, 100)}, share=0.001)
    named = next_level(run, floors=(40.0,))
    assert named is not None
    assert 5 < (named.users or 0) < 100
    assert width((1, 5, (named.users or 0), 100)) < 0.5 * width((1, 5, 100))


@pytest.mark.parametrize(("peak", "power"), [(17, 1.2), (25, 0.8), (33, 0.6)])
def test_two_named_levels_find_a_peak_that_lies_between_two_others(peak: int, power: float) -> None:
    """A level that is tried on the curve as it is read never finds one: that curve has its peak at a level."""

    def true(u: float) -> float:
        return 100 * u / (1 + u / peak) / math.pow(max(1.0, u / peak), power)

    floor, levels = ServiceLevel(floor_tok_per_s_per_user=15.0), {u: true(u) for u in (1, 5, 10, 50, 100)}
    for _ in range(2):
        named = levels_for(a_run(levels), floor)[0].users
        assert named is not None
        levels = dict(sorted({**levels, named: true(named)}.items()))
    low, high = operating_point(a_run(levels), floor).output_tok_per_s.ci95
    assert low is not None
    assert high is not None
    assert low <= true(peak) <= high
    assert math.sqrt(high / low) < 1.08


def test_no_level_is_named_where_sampling_error_dominates() -> None:
    assert next_level(a_run(A, share=0.8)) is None
    assert next_level(a_run({1: 100.0, 2: 150.0}, share=0.001)) is None


def test_the_levels_of_one_run_that_narrow_its_capacity_most_are_named() -> None:
    """40 tok/s a user is lost between 10 and 100 users; the first of them is the one that `--users auto` measures."""
    level = ServiceLevel(floor_tok_per_s_per_user=40.0)
    run = a_run(A, share=0.001)
    named = levels_for(run, level)
    assert 1 <= len(named) <= 2
    assert all(10 < (one.users or 0) < 100 for one in named)
    assert (named[-1].factor_then or 9) < (named[0].factor or 0)
    assert named[0] == next_level(run, floors=(40.0,))
    only = next_levels_text(named, {"run": ONLY}, figure="the capacity")
    assert only.startswith(f"to narrow the capacity, measure {named[0].users} users")
    assert levels_for(a_run(A, share=0.8), level) == ()


def test_without_service_levels_the_widest_gap_is_named() -> None:
    named = next_level(a_run({1: 100.0, 2: 190.0, 3: 270.0, 100: 3000.0}, share=0.001))
    assert named is not None
    assert 3 < (named.users or 0) < 100


@pytest.mark.parametrize(("floor_value", "users"), [(5.0, 200), (20.0, None)])
def test_a_run_that_never_misses_the_level_is_asked_for_more_users(floor_value: float, users: int | None) -> None:
    named = next_level(a_run(B, share=0.3), floors=(floor_value,))
    assert (None if named is None else named.users) == users


def test_an_slo_is_met_up_to_the_load_where_its_latency_reaches_the_limit() -> None:
    # TTFT p99 is 0.1 s x u, so 2 s is reached at 20 users by every power law
    run = with_ttft_p99({1: 100.0, 10: 800.0, 100: 3000.0}, {u: quantile(0.1 * u) for u in (1, 10, 100)})
    slo = ServiceLevel(slo=Slo(limits=(Limit(metric="ttft_p99", limit_s=2.0),)))
    point = operating_point(run, slo)
    assert point.users.value == pytest.approx(20)
    low, high = point.users.ci95
    assert low is not None
    assert high is not None
    assert low < 20 <= high


def test_a_floor_and_an_slo_together_are_met_where_the_stricter_is() -> None:
    run = with_ttft_p99({1: 100.0, 10: 800.0, 100: 3000.0}, {u: quantile(0.1 * u) for u in (1, 10, 100)})
    slo = Slo(limits=(Limit(metric="ttft_p99", limit_s=2.0),))
    both = ServiceLevel(floor_tok_per_s_per_user=80.0, slo=slo)
    assert operating_point(run, both).users.value == pytest.approx(10)
    assert operating_point(run, both).at == "at least 80 tok/s a user on average and ttft_p99 <= 2.00 s"


def test_levels_without_the_limited_percentile_are_left_out() -> None:
    slo = ServiceLevel(slo=Slo(limits=(Limit(metric="ttft_p99", limit_s=2.0),)))
    run = with_ttft_p99({1: 100.0, 10: 800.0, 100: 3000.0}, {10: quantile(1.0), 100: quantile(3.0)})
    assert operating_point(run, slo).status == "exact"
    bare = operating_point(a_run(A), slo)
    assert (bare.status, bare.reason) == ("none", Reason(id="no_percentile", role="run"))
    assert (
        reasons_text([Reason(id="no_percentile", role="A")]) == "A has no level where every limited percentile is known"
    )


def test_a_latency_that_never_ended_makes_the_capacity_a_least_value() -> None:
    slo = ServiceLevel(slo=Slo(limits=(Limit(metric="ttft_p99", limit_s=2.0),)))
    censored = Quantile(value=None, ci95=(None, None), more_than=600.0)
    run = with_ttft_p99({1: 100.0, 10: 800.0, 100: 3000.0}, {1: quantile(0.1), 10: quantile(1.0), 100: censored})
    point = operating_point(run, slo)
    assert (point.status, point.output_tok_per_s.value) == ("bound", 800.0)
    assert point.reason is not None
    assert reason_text(point.reason) == "run surely misses it at 100 users, by an unknown amount"
    named = next_level(run, slo=slo.slo)
    assert named is not None
    assert 10 < (named.users or 0) < 100


def test_further_numbers_are_read_at_the_operating_point() -> None:
    levels = tuple(
        a_level(users, tput, extra={"gpu_board_w": watts})
        for users, tput, watts in ((1, 100.0, 200.0), (10, 800.0, 300.0), (100, 3000.0, 390.0))
    )
    run = RunSummary(run=RunFacts(id="r"), levels=levels)
    assert operating_point(run, floor(80)).extra == {"gpu_board_w": pytest.approx(300.0)}
    point = operating_point(run, floor(50))
    users = point.users.value
    assert users is not None
    assert point.extra["gpu_board_w"] == pytest.approx(300 + (users - 10))


def test_the_interval_of_k_covers_the_truth() -> None:
    """Throughput 100 u / (1 + u/c): speed s is met up to c (100/s - 1) users, so k = c_A / c_B at every s."""
    rng, hits = np.random.default_rng(3), 0
    for trial in range(60):
        measured = [
            a_run(
                {u: 100 * u / (1 + u / c) * float(np.exp(0.01 * rng.standard_normal())) for u in LEVELS}, share=0.0198
            )
            for c in (30.0, 20.0)
        ]
        a, b = (make_side(run, role="A", seed=trial, index=i, draws=300) for i, run in enumerate(measured))
        low, high = k(a, b, 40).ci95
        hits += (low or 0) <= 1.5 <= (high or math.inf)
    assert hits >= 54


def test_neighbouring_levels_leave_no_level_to_name() -> None:
    # the speed of 45 lies between 2 and 3 users: there is no whole number of users in between
    found = next_level(a_run({1: 100.0, 2: 180.0, 3: 90.0, 4: 40.0}, share=0.0001), floors=(45.0,))
    assert found is None


def test_a_capacity_at_a_measured_level_names_no_level() -> None:
    assert next_level(a_run({1: 100.0, 10: 800.0, 100: 900.0}, share=0.0001), floors=(80.0,)) is None


def test_an_slo_that_no_level_can_judge_names_no_level() -> None:
    assert next_level(a_run(A), slo=Slo(limits=(Limit(metric="ttft_p99", limit_s=2.0),))) is None
