"""Repeats of a level are put together, and the wider of their intervals is the one to believe."""

import io
import math

import pytest
from rich.console import Console
from scipy import stats

from breakeven.cautions import judged_together
from breakeven.compare.runs import compare_runs
from breakeven.compare.text import render
from breakeven.findings import findings
from breakeven.metrics.definitions import METRICS, RATES
from breakeven.metrics.repeats import figure, repeats
from breakeven.metrics.summary import Distribution, Estimate, LevelSummary, Quantile, RunFacts, RunSummary
from breakeven.report.html import to_html
from breakeven.report.markdown import to_markdown
from breakeven.report.terminal import print_run, throughput_chart
from breakeven.table import lines


def estimates(*values: float, half: float | None = 1.0) -> list[Estimate]:
    return [
        Estimate(value=value, ci95=(None, None) if half is None else (value - half, value + half)) for value in values
    ]


def a_level(users: int | None, tok_per_s: float, **fields: object) -> LevelSummary:
    latency = Distribution(n=50, p50=Quantile(value=0.1, ci95=(0.09, 0.11)))
    rate = Estimate(value=tok_per_s, ci95=(tok_per_s * 0.98, tok_per_s * 1.02))
    known = {"status": "done", "output_tok_per_s": rate, "distributions": {"ttft_s": latency, "tpot_s": latency}}
    return LevelSummary(users=users, **known | fields)  # type: ignore[arg-type]


def test_the_interval_between_repeats_is_students_t() -> None:
    values = [100.0, 104.0, 99.0, 109.0]
    found = figure(estimates(*values))
    logs = [math.log(value) for value in values]
    ends = stats.t.interval(0.95, 3, loc=sum(logs) / 4, scale=stats.sem(logs))
    assert found.mean == pytest.approx(math.exp(sum(logs) / 4))
    assert found.between == pytest.approx([math.exp(end) for end in ends])


def test_the_interval_within_is_that_of_independent_windows_together() -> None:
    found = figure(estimates(100.0, 100.0, half=3.0))
    half = math.log(100 / 97) / math.sqrt(2)
    assert found.within == pytest.approx((100 * math.exp(-half), 100 * math.exp(half)))
    assert found.between == pytest.approx((100.0, 100.0))


def test_the_wider_interval_is_to_be_believed() -> None:
    assert figure(estimates(100.0, 120.0, 90.0)).believe == "between"
    assert figure(estimates(100.0, 100.1, 99.9, half=8.0)).believe == "within"
    assert figure(estimates(100.0, 100.1, half=None)).believe == "between"


def test_a_figure_that_one_repeat_lacks_has_no_mean() -> None:
    found = figure([*estimates(100.0), Estimate()])
    assert (found.mean, found.between, found.within, found.believe) == (None, (None, None), (None, None), None)


def test_loads_measured_once_or_broken_off_have_no_repeats() -> None:
    levels = [a_level(1, 50), a_level(2, 90), a_level(2, 95, repeat=1), a_level(1, 51, repeat=1, status="interrupted")]
    (found,) = repeats(levels)
    assert (found.users, found.n) == (2, 2)
    assert set(found.figures) == {*RATES, *(f"{name}_p50" for name in METRICS)}
    assert found.figures["output_tok_per_s"].mean == pytest.approx(math.sqrt(90 * 95))
    assert found.figures["ttft_s_p50"].mean == pytest.approx(0.1)
    assert found.figures["total_tok_per_s"].mean is None


def test_open_loops_are_put_together_by_rate() -> None:
    levels = [a_level(None, 50, req_per_s_offered=rate, repeat=r) for r in (0, 1) for rate in (1.0, 2.0)]
    assert [(one.users, one.req_per_s_offered, one.n) for one in repeats(levels)] == [(None, 1.0, 2), (None, 2.0, 2)]


def test_the_table_ends_with_one_row_a_load_for_the_mean() -> None:
    levels = tuple(a_level(users, 50 * users + 10 * r, repeat=r) for r in range(3) for users in (1, 10))
    summary = RunSummary(run=RunFacts(id="x"), levels=levels, repeats=repeats(levels))
    console = Console(file=io.StringIO(), width=100)
    print_run(console, summary)
    told = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    means = [line.split() for line in told if "mean of 3" in line]
    assert [line[:3] for line in means] == [["1", "1–3", "59.4"], ["10", "1–3", "510"]]
    assert means[0][3] == "43"  # of the logs: 4.303 x 0.168 / sqrt(3) = 0.418; (e^0.418 - e^-0.418) / 2 = 0.43


def test_the_chart_shows_the_mean_of_repeats_once() -> None:
    levels = [
        LevelSummary(users=users, repeat=repeat, status="done", output_tok_per_s=Estimate(value=users * 10.0 + repeat))
        for repeat in (0, 1)
        for users in (1, 4)
    ]
    chart = throughput_chart(levels, means=repeats(levels))
    assert chart is not None
    assert [line.split()[2] for line in lines(chart)] == ["10.5", "40.5"]


def two_apart() -> RunSummary:
    """With 10 users 40 and 160 tok/s: t(1) x sd / root(2) of the logs is 8.8."""
    apart = judged_together([a_level(1, 50), a_level(10, 40), a_level(1, 52, repeat=1), a_level(10, 160, repeat=1)])
    return RunSummary(run=RunFacts(id="r", settings={"repeats": 2}), levels=apart, repeats=repeats(apart))


def test_two_repeats_that_lie_apart_cannot_tell_and_every_report_says_so() -> None:
    run = two_apart()
    assert [[one.id for one in level.cautions] for level in run.levels] == [[], ["two_repeats"], [], ["two_repeats"]]
    out = io.StringIO()
    print_run(Console(file=out, width=100), run)
    assert "10 users: two repeats cannot tell" in out.getvalue()
    (mean,) = [line.split() for line in out.getvalue().splitlines() if line.split()[:2] == ["10", "1–2"]]
    assert mean[2:4] == ["80.0", "?"]
    (comparison,) = compare_runs(run, [run], floors=(20.0,))
    assert "A: two repeats cannot tell at 10 users; three can (--repeats 3)" in render([comparison])
    assert [line.split()[2:5] for line in render([comparison]).splitlines() if line.split()[:2] == ["10", "A"]] == [
        ["2", "80.0", "?"]
    ]
    found = findings([run])
    assert "Two repeats cannot tell" in to_markdown(found)
    assert "two repeats cannot tell" in to_html(found)


def test_three_repeats_and_two_that_agree_can_tell() -> None:
    levels = [a_level(1, 50), a_level(1, 51, repeat=1), *(a_level(5, 40 * 4**n, repeat=n) for n in range(3))]
    assert judged_together(levels) == tuple(levels)
