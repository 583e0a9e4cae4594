"""Comparing runs: service levels, warnings, scope, units, gates, and what is printed."""

import math
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
from msgspec.structs import replace

from breakeven.caution import Caution
from breakeven.compare.gate import gate, parse_gate
from breakeven.compare.runs import compare_runs
from breakeven.compare.text import render, render_gate, to_json
from breakeven.compare.types import (
    Comparison,
    EngineComparison,
    Holds,
    LeftOut,
    Reason,
    ReasonId,
    Scope,
    SideScope,
    Warned,
    WarnedId,
)
from breakeven.compare.words import (
    engine_comparison_text,
    reason_text,
    rests_on,
    scope_lines,
    verdict_text,
    warned_text,
)
from breakeven.errors import UsageError
from breakeven.metrics.definitions import METRICS, RATES
from breakeven.metrics.slo import limited, parse_slo
from breakeven.metrics.statistics import STATISTICS
from breakeven.metrics.summary import Estimate, Quantile, RunFacts, RunSummary
from breakeven.say import interval
from compare_fixture import a_level, a_run, one_metric, quantile, with_ttft_p99

A = {1: 100.0, 10: 800.0, 100: 3000.0}
B = {1: 80.0, 10: 500.0, 100: 1000.0}


def compared(a: RunSummary, b: RunSummary, **more: Any) -> Comparison:
    (found,) = compare_runs(a, [b], **more)
    return found


def warned(a: dict[str, Any], b: dict[str, Any]) -> dict[str, str]:
    """Warnings by id, between two runs that differ in the given facts only."""
    found = compared(a_run(A, run_id="a", **a), a_run(B, run_id="b", **b))
    return {one.id: warned_text(one) for one in found.warnings}


def test_an_slo_is_read_with_units() -> None:
    slo = parse_slo("ttft_p99=2s, tpot_p99<=100ms")
    assert [(limit.metric, limit.limit_s) for limit in slo.limits] == [("ttft_p99", 2.0), ("tpot_p99", 0.1)]
    assert slo.text() == "ttft_p99 <= 2.00 s, tpot_p99 <= 100 ms"


@pytest.mark.parametrize("metric", limited())
def test_every_latency_can_be_limited(metric: str) -> None:
    assert parse_slo(f"{metric}=1s").limits[0].metric == metric


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "--slo: no limit given"),
        ("ttft_p99", "--slo: 'ttft_p99' is no limit"),
        ("ttft_p98=2s", "no metric is called 'ttft_p98'; did you mean 'ttft_p"),
        ("ttft_p99=fast", "--slo: ttft_p99: 'fast' is no duration"),
        ("ttft_p99=0", "--slo: ttft_p99: a limit of 0 s"),
        ("ttft_p99=1s,ttft_p99=2s", "--slo: ttft_p99 is limited twice"),
    ],
)
def test_an_slo_that_cannot_be_read_is_one_clear_line(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as error:
        parse_slo(text)
    assert "\n" not in str(error.value)


def test_without_floors_three_round_ones_are_chosen_that_both_can_give() -> None:
    # speeds: A 100 … 30, B 80 … 10; both go from meeting to missing between 30 and 80
    found = compared(a_run(A), a_run(B))
    floors = [figure.floor_tok_per_s_per_user for figure in found.k_at_slo]
    assert floors == [40.0, 50.0, 60.0]
    assert {figure.status for figure in found.k_at_slo} == {"exact"}


def test_the_chosen_floors_are_the_same_for_every_candidate() -> None:
    found = compare_runs(a_run(A), [a_run(B), a_run({1: 70.0, 10: 500.0, 100: 900.0})])
    assert len({tuple(figure.at for figure in one.k_at_slo) for one in found}) == 1


def test_cards_with_no_speed_in_common_are_compared_at_speeds_of_the_slower() -> None:
    found = compared(a_run({1: 100.0, 10: 900.0}), a_run({1: 20.0, 10: 100.0}))
    assert {figure.relation for figure in found.k_at_slo} == {">="}


def test_floors_and_slo_each_give_a_k_and_always_name_it() -> None:
    run = with_ttft_p99(A, {u: quantile(0.1 * u) for u in A})
    found = compared(run, run, floors=(50.0, 40.0), slo=parse_slo("ttft_p99=2s"))
    names = ["at least 40 tok/s a user on average", "at least 50 tok/s a user on average", "ttft_p99 <= 2.00 s"]
    assert [figure.at for figure in found.k_at_slo] == names
    assert all(name in verdict_text(found.k_at_slo) for name in names)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"floors": (0.0,)}, "--floor: 0 is no speed"),
        ({"floors": (float("nan"),)}, "--floor: nan is no speed"),
        ({"users": (-1.0,)}, "--at-users: -1 is no number of users"),
        ({"between_node_sd_log": 0.1}, "--node-spread: a spread between nodes belongs to --scope gpu_type"),
        ({"scope": "gpu_type", "between_node_sd_log": 5.0}, "5 is no spread"),
    ],
)
def test_what_makes_no_sense_is_one_clear_line(more: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        compared(a_run(A), a_run(B), **more)


def test_a_comparison_needs_a_candidate() -> None:
    with pytest.raises(UsageError, match="at least one candidate"):
        compare_runs(a_run(A), [])


def test_words_and_tokens_are_never_compared() -> None:
    with pytest.raises(UsageError, match="old counts words/s and new counts tok/s: they cannot be compared"):
        compared(a_run(A, run_id="old", settings={"unit": "words"}), a_run(B, run_id="new"))


def test_runs_in_words_are_printed_in_words() -> None:
    words: dict[str, Any] = {"settings": {"unit": "words"}}
    found = compared(a_run(A, **words), a_run(B, **words), floors=(5.0, 40.0, 90.0))
    assert found.unit == "words/s"
    assert "tok/s" not in render([found])


def test_levels_stand_side_by_side_and_a_missing_one_is_none() -> None:
    found = compared(a_run(A), a_run({1: 80.0, 50: 900.0}))
    sides = {row.users: (row.reference, row.candidate) for row in found.levels}
    assert list(sides) == [1, 10, 50, 100]
    assert sides[10][1] is None
    assert sides[50][0] is None
    reference = sides[10][0]
    assert reference is not None
    assert reference.output_tok_per_s_per_user.value == pytest.approx(80)


def test_loads_are_the_common_levels_unless_given() -> None:
    assert [figure.users for figure in compared(a_run(A), a_run({1: 80.0, 100: 900.0})).ratio_equal_users] == [1, 100]
    given = compared(a_run(A), a_run(B), users=(20, 5))
    assert [figure.users for figure in given.k_same_load] == [5, 20]


def test_alike_runs_carry_no_warning() -> None:
    facts = {"model": "m", "engine": {"name": "vllm", "version": "1", "url": "http://a"}, "workload": {"name": "chat"}}
    assert warned(facts, {**facts, "engine": {"name": "vllm", "version": "1", "url": "http://b"}}) == {}


@pytest.mark.parametrize(
    ("a", "b", "kind", "text"),
    [
        ({"model": "x"}, {"model": "y"}, "other_model", "the models differ (model: A x, B y)"),
        (
            {"engine": {"quantization": "awq"}},
            {"engine": {}},
            "other_precision",
            "the precision differs (quantization: A awq, B not known)",
        ),
        (
            {"workload": {"output_tokens": 64, "seed": 1}},
            {"workload": {"output_tokens": 256, "seed": 2}},
            "other_workload",
            "the workloads differ (output_tokens: A 64, B 256)",
        ),
        (
            {"settings": {"api": "chat", "duration_s": 5}},
            {"settings": {"api": "completions", "duration_s": 9}},
            "other_settings",
            "the settings differ (api: A chat, B completions)",
        ),
        (
            {"engine": {"name": "vllm", "argv": ["vllm", "serve", "m", "--max-num-seqs", "64", "--port", "1"]}},
            {"engine": {"name": "vllm", "argv": ["/x/vllm", "serve", "m", "--port=2"]}},
            "other_engine_settings",
            "the engine's settings differ (argv: A --max-num-seqs 64, B without it)",
        ),
        (
            {"engine": {"settings": {"slots": 8, "threads": 1, "options": {"x": 1}}}},
            {"engine": {"settings": {"slots": 8, "threads": 2, "options": {"x": 3}}}},
            "other_engine_settings",
            "the engine's settings differ (threads: A 1, B 2; x: A 1, B 3)",
        ),
        (
            {"engine": {"settings": {"quantization": "q4_1"}}},
            {"engine": {"settings": {"quantization": "q8_0"}}},
            "other_precision",
            "the precision differs (quantization: A q4_1, B q8_0)",
        ),
    ],
)
def test_what_differs_between_the_runs_is_a_warning(a: dict[str, Any], b: dict[str, Any], kind: str, text: str) -> None:
    assert warned(a, b) == {kind: text}


def test_different_engines_are_an_engine_comparison_and_not_a_warning() -> None:
    found = compared(
        a_run(A, engine={"name": "vllm", "version": "1"}), a_run(B, engine={"name": "lmdeploy", "version": "2"})
    )
    assert found.engine_comparison == EngineComparison(reference="vllm", candidate="lmdeploy")
    assert engine_comparison_text(found.engine_comparison).startswith("Engine comparison: A runs vllm, B runs lmdeploy")
    assert found.warnings == ()


def test_what_a_number_suffers_from_travels_with_it() -> None:
    caution = Caution(id="short_window", seen="t", advice="r")
    levels = (a_level(1, 100.0, share=None), a_level(10, 800.0, cautions=(caution,), errors=2, steady=False))
    b = RunSummary(
        run=RunFacts(id="b", settings={"think_s": 2.0}, host={"gpus": ["x", "y"]}),
        levels=(*levels, a_level(100, 3000.0, cautions=(caution,)), a_level(200, 1.0, status="interrupted")),
    )
    texts = [
        warned_text(one) for one in compared(a_run(A, settings={"think_s": 2.0}, host={"gpu_count": 1}), b).warnings
    ]
    assert [text for text in texts if text.startswith("B")] == [
        "B: 200 users: the level is marked interrupted; the level is left out",
        "B: no interval of throughput at 1 user; taken as exact, so every interval here is too narrow",
        "B: short_window at 10, 100 users",
        "B: failed requests at 10 users",
        "B: not steady at 10 users",
        "B: users think between requests, so that throughput / users is not the speed they see",
        "B: ran on 2 GPUs; k counts such machines, not cards",
    ]


def test_the_scope_is_said_and_a_gpu_type_widens_the_interval() -> None:
    machines = compared(a_run(A), a_run(B), floors=(50.0,))
    kind = compared(a_run(A), a_run(B), floors=(50.0,), scope="gpu_type")
    assert next(scope_lines(machines.scope)).startswith("Holds for the machines that ran A and B")
    assert all("5 % (our default, not measured here)" in line for line in scope_lines(kind.scope))
    given = compared(a_run(A), a_run(B), floors=(50.0,), scope="gpu_type", between_node_sd_log=0.1)
    assert all("10 % (as given)" in line for line in scope_lines(given.scope))
    widths = [(one.k_at_slo[0].ci95[1] or 0) - (one.k_at_slo[0].ci95[0] or 0) for one in (machines, kind, given)]
    assert widths == sorted(widths)
    assert widths[0] < widths[2]


def of_nodes(nodes: int, *, share: float | None = 0.02) -> RunSummary:
    """Medians over nodes, as a data set has them."""
    levels = tuple(a_level(users, tput, share=share, extra={"nodes": nodes}) for users, tput in A.items())
    return RunSummary(run=RunFacts(id=f"{nodes} nodes"), levels=levels)


@pytest.mark.parametrize(
    ("run", "more", "scope", "text"),
    [
        (
            of_nodes(16),
            {},
            SideScope(of="node_medians", nodes=16, interval_over_nodes=True),
            "its GPU type, by the medians of 16 nodes; the intervals hold the spread between those nodes.",
        ),
        (
            of_nodes(2, share=None),
            {},
            SideScope(of="node_medians", nodes=2),
            "its GPU type, by the medians of 2 nodes; the intervals do not hold the spread between those nodes.",
        ),
        (
            of_nodes(1, share=None),
            {},
            SideScope(of="data_machine", nodes=1),
            "one card of the data set; the intervals hold no spread between cards: another of the same type may",
        ),
        (
            of_nodes(16),
            {"scope": "gpu_type"},
            SideScope(of="node_medians", nodes=16, interval_over_nodes=True),
            "its GPU type, by the medians of 16 nodes; the intervals hold the spread between those nodes.",
        ),
        (
            of_nodes(1, share=None),
            {"scope": "gpu_type"},
            SideScope(of="data_machine", nodes=1, node_sd_log=0.05),
            "its GPU type, by one card of the data set; the intervals hold a spread between nodes of 5 % (our default",
        ),
        (
            of_nodes(16),
            {"scope": "gpu_type", "between_node_sd_log": 0.2},
            SideScope(of="node_medians", nodes=16, interval_over_nodes=True, node_sd_log=0.2, node_sd_given=True),
            "the intervals hold the spread between those nodes and a spread between nodes of 20 % (as given).",
        ),
        (
            a_run(A),
            {"scope": "gpu_type", "between_node_sd_log": 0.2},
            SideScope(of="machine", node_sd_log=0.2, node_sd_given=True),
            "its GPU type, by the machine that ran it; the intervals hold a spread between nodes of 20 % (as given).",
        ),
    ],
)
def test_a_side_says_what_it_stands_for_and_what_its_intervals_hold(
    run: RunSummary, more: dict[str, Any], scope: SideScope, text: str
) -> None:
    found = compared(run, run, floors=(50.0,), **more)
    assert found.scope == Scope(reference=scope, candidate=scope)
    (line,) = scope_lines(found.scope)
    assert line.startswith("A and B each stand for ")
    assert text in line


def test_two_sides_of_different_kinds_are_told_apart() -> None:
    lines = list(scope_lines(compared(of_nodes(16), a_run(B)).scope))
    assert [line.split(" stands for ")[0] for line in lines] == ["A", "B"]
    assert "the machine that ran it; the intervals hold no spread between cards" in lines[1]


def test_a_spread_that_is_said_is_in_the_interval() -> None:
    def width(**more: Any) -> float:
        low, high = compared(of_nodes(16), of_nodes(16), floors=(50.0,), **more).k_at_slo[0].ci95
        return (high or 0.0) - (low or 0.0)

    assert width(scope="gpu_type") == width()
    assert width(scope="gpu_type", between_node_sd_log=0.1) > 1.5 * width()


def test_an_interval_is_printed_as_open_as_it_is() -> None:
    assert interval(0.95, 1.2) == "0.95–1.20"
    assert interval(0.99, None) == "0.99, no bound above"
    assert interval(None, 1.2) == "no bound below, 1.20"
    open_ends = compared(a_run(A, share=0.5), a_run(A, share=0.5), floors=(95.0,))
    assert open_ends.k_at_slo[0].ci95 == (None, None)
    assert "One A does the work of 1.00 B (no bound on either side, a tie)" in verdict_text(open_ends.k_at_slo)


def test_an_interval_that_is_wide_for_want_of_a_level_says_so() -> None:
    text = render([compared(of_nodes(16), of_nodes(16), floors=(50.0,))])
    assert "at least 50 tok/s a user on average: most of the interval is what may lie between levels" in text


def test_a_figure_without_any_interval_says_so() -> None:
    bare = compared(a_run(A, share=None), a_run(B, share=None), floors=(80.0, 40.0))
    at_levels, between = bare.ratio_equal_users[0], bare.k_at_slo[0]
    assert (at_levels.interval_holds, at_levels.ci95, at_levels.tie) == ("nothing", (None, None), None)
    assert (between.interval_holds, between.tie) == ("levels", None)
    text = render([bare])
    assert "1.25  no interval" in text
    assert "by what may lie between the levels alone) with at least 40" in text
    assert "levels only: no throughput has an interval" in text
    assert "95 % intervals" not in text


def test_a_bound_has_an_interval_also_where_all_draws_agree() -> None:
    # B is faster at its top in every draw, so that each says "at most 100 / 100"
    found = compared(a_run(B), a_run(A), users=(100,)).k_same_load[0]
    assert (found.relation, found.interval_holds, found.ci95) == ("<=", "sampling", (None, 1.0))
    point = compared(a_run(A), a_run(B), floors=(20.0,)).k_at_slo[0].reference_at
    assert point is not None
    assert point.users.ci95 == (100.0, None)


def test_whole_cards_of_an_interval_without_bounds_are_not_printed_as_sure() -> None:
    found = compared(a_run(A, share=0.5), a_run(A, share=0.5), floors=(95.0,))
    assert "1 (?)" in render([found])


def test_an_open_interval_of_a_level_and_a_wide_one_are_printed_as_they_are() -> None:
    levels = (
        a_level(1, None, output_tok_per_s=Estimate(value=100.0, ci95=(None, 110.0))),
        a_level(10, None, output_tok_per_s=Estimate(value=800.0, ci95=(400.0, 1600.0))),
        a_level(100, 3000.0),
    )
    text = render([compared(RunSummary(run=RunFacts(id="r"), levels=levels), a_run(B))])
    rows = {line.split()[0]: line.split() for line in text.splitlines() if line.split()[1:2] == ["A"]}
    assert [row[3] for users, row in rows.items() if users.isdigit()] == ["open", "400–1600", "2.0"]


def test_a_gate_prints_an_open_interval_open() -> None:
    run = RunSummary(
        run=RunFacts(id="r"), levels=(a_level(1, None, output_tok_per_s=Estimate(value=9.0, ci95=(8, None))),)
    )
    assert "9 (8, no bound above): passed" in render_gate(gate("output_tok_per_s >= 7", run, run))


def test_the_same_seed_gives_the_same_figures() -> None:
    assert compared(a_run(A), a_run(B), seed=3) == compared(a_run(A), a_run(B), seed=3)
    assert compared(a_run(A), a_run(B), seed=3) != compared(a_run(A), a_run(B), seed=4)


def test_the_text_names_the_service_level_the_tie_and_the_level_to_measure() -> None:
    # 30 tok/s per user is A's speed at its top: B's 30 lies between its levels
    found = compared(a_run(A, run_id="a", share=0.001), a_run(B, run_id="b", share=0.001), floors=(30.0, 40.0, 90.0))
    text = render([found, compared(a_run(A), a_run(A))])
    assert "at least 30 tok/s a user on average: A still meets it at its top level, 100 users" in text
    assert "at least 90 tok/s a user on average: B misses it with 1 user" in text
    assert "to narrow it, measure B (b) at" in text
    assert "tie" in text
    assert "whole B" in text
    assert "None" not in text
    assert "nan" not in text


def test_what_a_server_sent_cannot_move_the_terminal() -> None:
    found = compared(
        a_run(A, run_id="a\x1b[2J", model="m\x1b]0;x\x07"), a_run(B, engine={"name": "e\n\x1b", "version": "\x1b[1m"})
    )
    assert "\x1b" not in render([found])


def test_json_holds_the_same_figures_and_null_for_open_ends() -> None:
    found = compared(a_run(A), a_run(B), floors=(20.0,))
    table = msgspec.to_builtins(to_json([found]))
    assert table["format"] == 3
    (one,) = table["comparisons"]
    assert one["k_at_slo"][0]["relation"] == ">="
    assert one["k_at_slo"][0]["ci95"][1] is None
    assert msgspec.convert(one, Comparison) == found
    assert one["text"]["verdict"] == verdict_text(found.k_at_slo)
    assert one["text"]["rests_on"] == list(rests_on(found))


KEEPS_UP = "output_tok_per_s >= 0.97 * reference"


@pytest.mark.parametrize(
    ("factor", "share", "verdict"),
    [(1.0, 0.01, "passed"), (0.9, 0.01, "failed"), (0.97, 0.02, "undecided"), (0.9, 0.2, "undecided")],
)
def test_a_gate_passes_fails_or_is_undecided_by_the_intervals(factor: float, share: float, verdict: str) -> None:
    other = a_run({users: factor * tput for users, tput in A.items()}, share=share)
    assert gate(KEEPS_UP, a_run(A, share=share), other).verdict == verdict


def test_a_gate_without_intervals_is_undecided() -> None:
    result = gate(KEEPS_UP, a_run(A, share=None), a_run(A, share=None))
    assert result.verdict == "undecided"
    assert "no interval: measure it more than once" in render_gate(result)


def test_a_gate_does_not_fail_by_the_number_of_its_levels() -> None:
    # root(2) x 1 % is half the interval: 2 % below 0.98 fails alone, but not as one of many levels
    tput = dict.fromkeys(range(1, 21), 100.0)
    drop = {**tput, 7: 100.0 * 0.98 * 0.982}
    condition = "output_tok_per_s{} >= 0.98 * reference"
    a, b = a_run(tput, share=0.01), a_run(drop, share=0.01)
    assert gate(condition.format("@7"), a, b).verdict == "failed"
    assert gate(condition.format(""), a, b).verdict == "undecided"


@pytest.mark.parametrize(
    ("users", "relative", "factor"),
    [
        ((1,), False, 1.0),
        ((1, 2, 5, 10, 50), False, 2.307),  # t(0.995) / t(0.975) of 2 degrees of freedom: 9.925 / 4.303
        ((1, 2, 5, 10, 50), True, 1.658),  # of 2 + 2: 4.604 / 2.776
    ],
)
def test_a_gate_on_many_levels_of_repeats_is_as_wide_as_their_few_degrees_of_freedom(
    users: tuple[int, ...], *, relative: bool, factor: float
) -> None:
    # logs 0, d and 2d: mean d, sd d, half 4.303 d / root(3); both sides together root(2) of it
    def of(middle: float) -> RunSummary:
        logs = (math.log(middle) + step for step in (-0.01, 0.0, 0.01))
        levels = [a_level(u, math.exp(one), share=None) for one in logs for u in users]
        return RunSummary(run=RunFacts(id="x"), levels=tuple(levels))

    half = 4.3027 * 0.01 / math.sqrt(3) * (math.sqrt(2) if relative else 1)
    expression = "output_tok_per_s >= " + ("1 * reference" if relative else "100")
    verdicts = [gate(expression, of(100), of(100 * math.exp(-half * factor * by))).verdict for by in (0.99, 1.01)]
    assert verdicts == ["undecided", "failed"]


def slower(factor: float, *, caution: str, repeats: int = 1) -> RunSummary:
    """A run at a share of A's speed, whose every level has a caution."""
    doubt = Caution(id=caution, seen="it is so", advice="repeat it")
    levels = [a_level(u, factor * t, share=0.01, cautions=(doubt,)) for u, t in A.items() for _ in range(repeats)]
    return RunSummary(run=RunFacts(id="b"), levels=tuple(levels))


@pytest.mark.parametrize("caution", ["short_window", "speed_wavers"])
def test_a_gate_whose_interval_may_be_too_narrow_fails_beyond_30_percent_or_with_repeats(caution: str) -> None:
    once = gate(KEEPS_UP, a_run(A, share=0.01), slower(0.85, caution=caution))
    assert once.verdict == "undecided"
    assert "the interval may be too narrow, so repeat this level" in render_gate(once)
    assert gate(KEEPS_UP, a_run(A, share=0.01), slower(0.65, caution=caution)).verdict == "failed"
    assert gate(KEEPS_UP, a_run(A, share=0.01), slower(0.85, caution=caution, repeats=3)).verdict == "failed"


def test_a_gate_on_throughput_minds_no_caution_about_latencies() -> None:
    for caution in ("places_kept", "few_answers"):
        assert gate(KEEPS_UP, a_run(A, share=0.01), slower(0.85, caution=caution)).verdict == "failed"


@pytest.mark.parametrize("metric", ["ttft", "e2e", "tpot"])
def test_a_gate_on_a_latency_minds_the_places_of_users(metric: str) -> None:
    """On TPOT too: of one length in a queue A against A failed in 5.5 % of 200 pairs."""
    places = Caution(id="places_kept", seen="it is so", advice="repeat it")

    def at(value_s: float) -> RunSummary:
        level = a_level(10, 100.0, cautions=(places,), distributions=one_metric(f"{metric}_s", p50=quantile(value_s)))
        return RunSummary(run=RunFacts(id="r"), levels=(level,))

    assert gate(f"{metric}_p50 <= 1 * reference", at(1.0), at(1.1)).verdict == "undecided"


@pytest.mark.parametrize(("too_few", "verdict"), [(False, "failed"), (True, "undecided")])
def test_a_gate_on_a_percentile_minds_too_few_answers(*, too_few: bool, verdict: str) -> None:
    slow = {u: replace(quantile(0.115 * u), too_few=too_few) for u in A}
    reference = with_ttft_p99(A, {u: quantile(0.1 * u) for u in A})
    assert gate("ttft_p99 <= 1 * reference", reference, with_ttft_p99(A, slow)).verdict == verdict


@pytest.mark.parametrize(
    ("ci95", "verdicts"),
    [
        ((0.9, None), ("undecided", "failed")),
        ((None, 1.1), ("passed", "undecided")),
        ((0.9, 1.1), ("passed", "failed")),
    ],
)
def test_an_open_end_decides_nothing_on_its_side(
    ci95: tuple[float | None, float | None], verdicts: tuple[str, str]
) -> None:
    run = with_ttft_p99(A, {u: Quantile(value=1.0, ci95=ci95) for u in A})
    assert tuple(gate(f"ttft_p99 <= {limit}", run, run).verdict for limit in ("2s", "0.5s")) == verdicts
    exact = with_ttft_p99(A, {u: quantile(1.0, 0.001) for u in A})
    shares = [gate(f"ttft_p99 <= {share} * reference", exact, run) for share in (2, 0.5)]
    assert tuple(one.verdict for one in shares) == verdicts
    assert [tuple(end is None for end in one.levels[0].measured.ci95) for one in shares] == [
        tuple(end is None for end in ci95)
    ] * 2


def test_a_gate_can_hold_a_latency_to_a_limit_at_one_level() -> None:
    run = with_ttft_p99(A, {u: quantile(0.1 * u) for u in A})
    assert gate("ttft_p99@10 <= 1.5s", run, run).verdict == "passed"
    assert gate("ttft_p99@100 <= 1500ms", run, run).verdict == "failed"
    assert gate("ttft_p95@10 <= 1s", run, run).verdict == "undecided"
    assert "ttft_p99 1.00 s (980 ms–1.02 s): passed" in render_gate(gate("ttft_p99@10 <= 1.5s", run, run))


def test_a_latency_that_never_ended_fails_a_gate_on_latency() -> None:
    never = Quantile(value=None, ci95=(None, None), more_than=600.0)
    run = RunSummary(run=RunFacts(id="r"), levels=(a_level(1, 1.0, distributions=one_metric("ttft_s", p99=never)),))
    result = gate("ttft_p99 <= 2s", run, run)
    assert result.verdict == "failed"
    assert "ttft_p99 more than 10m00s" in render_gate(result)


def test_a_gate_on_a_rate_can_be_absolute() -> None:
    assert parse_gate("req_per_s >= 12.5").threshold == 12.5
    run = RunSummary(run=RunFacts(id="r"), levels=(a_level(1, 1.0, req_per_s=Estimate(value=20.0, ci95=(19.0, 21.0))),))
    assert gate("req_per_s >= 12.5", run, run).verdict == "passed"


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("faster", "'faster' is no condition"),
        ("output_tok_per_sec >= reference", "did you mean 'output_tok_per_s'"),
        ("output_tok_per_s >= 0 * reference", "compares with 0"),
        ("output_tok_per_s >= 2s", "'2s' is no number"),
        ("ttft_p99 <= quick", "'quick' is no duration"),
        ("output_tok_per_s@7 >= reference", "the runs do not have a level of 7 users; they share: 1, 10, 100"),
    ],
)
def test_a_gate_that_cannot_be_read_is_one_clear_line(expression: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        gate(expression, a_run(A), a_run(A))


def test_a_gate_needs_a_level_in_common() -> None:
    with pytest.raises(UsageError, match="do not have any level in common; they share: none"):
        gate(KEEPS_UP, a_run({1: 1.0}), a_run({2: 1.0}))


def test_without_any_k_the_verdict_gives_the_reasons() -> None:
    found = compared(a_run(A), a_run(B), floors=(90.0,))
    assert verdict_text(found.k_at_slo) == "No k: at least 90 tok/s a user on average: B misses it with 1 user."


def test_engines_missing_levels_and_missing_latencies_are_printed() -> None:
    b = a_run({1: 80.0, 50: 900.0}, engine={"name": "sglang"}, share=None)
    levels = tuple(
        a_level(users, 800.0, distributions=one_metric("ttft_s", p50=quantile(0.2 if users == 1 else 0.3)))
        for users in (1, 10)
    )
    a = RunSummary(run=RunFacts(id="a", engine={"name": "vllm"}), levels=(*levels, a_level(100, 3000.0)))
    lines = render([compared(a, b)]).splitlines()
    assert any(line.startswith("Engine comparison: A runs vllm, B runs sglang") for line in lines)
    row = next(line.split() for line in lines if line.split()[:2] == ["100", "A"])
    assert row[-1] == "–"
    assert lines[lines.index(next(line for line in lines if line.split()[:2] == ["100", "A"])) + 1].split() == [
        "B",
        "–",
    ]


def test_floors_are_found_also_where_no_round_number_fits() -> None:
    # speeds from 31 to 33 tok/s per user only
    found = compared(a_run({1: 33.0, 10: 310.0}), a_run({1: 33.0, 10: 310.0}))
    floors = [figure.floor_tok_per_s_per_user or 0 for figure in found.k_at_slo]
    assert floors
    assert all(31 < floor < 33 for floor in floors)


def test_a_figure_that_only_one_run_has_leaves_a_gate_undecided() -> None:
    a = with_ttft_p99({1: 100.0}, {1: quantile(0.1)})
    assert gate("ttft_p99 <= reference", a, a_run({1: 100.0})).verdict == "undecided"


@pytest.mark.parametrize("kind", get_args(ReasonId))
def test_every_reason_has_words(kind: ReasonId) -> None:
    rates = {"req_per_s": 4.0, "up_to_req_per_s": 8.0} if kind in ("untold_above", "none_known", "bracketed") else {}
    reason = Reason(id=kind, role="B", users=10, up_to_users=50, between_share=0.123, sampling_share=0.02, **rates)
    text = reason_text(reason)
    assert "B" in text or "between" in text
    assert ("spans 12 %, the sampling error 2 %" in text) == (kind == "far_apart")
    assert "None" not in text


@pytest.mark.parametrize("kind", get_args(WarnedId))
def test_every_warning_has_words_and_names_its_side(kind: WarnedId) -> None:
    left_out = LeftOut(users=None, req_per_s=3.0, repeat=0, why="open_loop", status="done")
    text = warned_text(Warned(id=kind, role="B", host="driver", left_out=left_out, caution="c", users=(5, 1), gpus=2))
    assert text.startswith("B: ")
    assert "None" not in text


LATENCIES = [metric.short for metric in METRICS.values() if metric.is_limited]
DOC = (Path(__file__).parents[1] / "docs" / "COMPARE.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "word",
    [
        *("k_at_slo", "k_same_load", "ratio_equal_users", "exact", "bound", "none", "passed", "failed", "undecided"),
        *(*RATES, *LATENCIES, *STATISTICS, *get_args(WarnedId), *get_args(Holds)),
        *("machine", "data_machine", "node_medians", "interval_over_nodes", "node_sd_log"),
    ],
)
def test_every_name_stands_in_the_docs(word: str) -> None:
    assert word in DOC
