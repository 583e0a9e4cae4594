"""The runs of a cell over time: a mark stands only where the figure changed beyond all intervals together."""

import json
import random
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from breakeven.cli import main
from breakeven.compare.history import Point, history
from breakeven.errors import UsageError
from breakeven.metrics.summary import RunFacts, RunSummary
from breakeven.report.historypage import history_page
from breakeven.report.historytext import answer_text, notes
from browser import Browser, needs_browser
from compare_fixture import a_level, a_run
from test_report_look import axe


def runs(*speeds: float, share: float = 0.02) -> list[RunSummary]:
    return [
        a_run({4: speed}, run_id=f"day{day}", share=share, started=f"2026-11-{day:02}T08:00:00+00:00", model="m")
        for day, speed in enumerate(speeds, 1)
    ]


def marks(found: list[RunSummary]) -> list[str]:
    return [point.run_id for _, point in history(found, "output_tok_per_s").changes()]


def points(found: list[RunSummary]) -> tuple[Point, ...]:
    (only,) = history(found, "output_tok_per_s").loads
    return only.points


def test_a_run_is_marked_where_it_surely_differs_from_the_first_since_the_last_mark() -> None:
    found = runs(100, 101, 80, 81, 100)
    assert marks(found) == ["day3", "day5"]
    told = history(found, "output_tok_per_s")
    assert told.tests == 4
    (only,) = told.loads
    assert (only.users, only.req_per_s) == (4, None)
    assert [point.against for point in only.points] == [None, "day1", "day1", "day3", "day3"]
    assert only.points[2].ratio.value == pytest.approx(0.8)


def test_runs_stand_by_when_they_began_and_not_as_they_were_given() -> None:
    assert marks(runs(100, 101, 80)[::-1]) == ["day3"]


def test_what_the_intervals_cannot_tell_is_no_change() -> None:
    assert marks(runs(100, 97, 103)) == []
    assert marks(runs(100, 80, share=0.3)) == []


def test_what_one_interval_tells_and_all_together_do_not_is_perhaps_a_change() -> None:
    # a quotient of two runs of +-2 % has +-2.8 %; two tests widen it to 2.24 / 1.96 of that, 3.2 %
    told = [(point.is_change, point.is_perhaps) for point in points(runs(100, 100, 103.1))]
    assert told == [(False, False), (False, False), (False, True)]


def rates(*speeds: float, at: tuple[float, ...] = (2.5, 5.0)) -> list[RunSummary]:
    """Open loops; the figure changes at the first rate alone."""
    return [
        RunSummary(
            run=RunFacts(id=f"day{day}", started=f"2026-11-{day:02}T08:00:00+00:00", model="m"),
            levels=tuple(
                a_level(None, speed if rate == at[0] else 300.0, req_per_s_offered=rate, repeat=0) for rate in at
            ),
        )
        for day, speed in enumerate(speeds, 1)
    ]


def test_open_loops_have_a_history_by_the_rates_that_were_offered() -> None:
    told = history(rates(100, 101, 80), "output_tok_per_s")
    assert [(at.users, at.req_per_s) for at in told.loads] == [(None, 2.5), (None, 5.0)]
    assert [(at.req_per_s, point.run_id) for at, point in told.changes()] == [(2.5, "day3")]
    assert told.tests == 4
    said = "Output throughput surely changed at 1 of 3 runs: day3 of 2026-11-03 (-20.0 % at 2.5 req/s)."
    assert answer_text(told) == said
    with pytest.raises(UsageError, match="was measured at rates"):
        history([*rates(100, 101), *runs(100)], "output_tok_per_s")


def test_a_run_without_a_finished_level_is_left_out_by_name() -> None:
    failed = RunSummary(run=RunFacts(id="night", model="m"), levels=())
    told = history([*runs(100, 80), failed], "output_tok_per_s")
    assert told.left_out == ("night",)
    assert list(notes(told))[-1] == "Left out, as no level of it is finished: night."
    with pytest.raises(UsageError, match="fewer than two of the runs have a finished level"):
        history([failed, *runs(100)], "output_tok_per_s")


def test_in_a_hundred_histories_in_which_nothing_changed_hardly_any_has_a_mark() -> None:
    drawn = random.Random(1)
    alarms = sum(bool(marks(runs(*(100 * 1.0102 ** drawn.gauss(0, 1) for _ in range(10))))) for _ in range(100))
    assert alarms <= 10  # of 100, where 5 % are meant at most


def stored(folder: Path, found: list[RunSummary]) -> list[str]:
    paths = [folder / f"{run.run.id}.json" for run in found]
    for path, run in zip(paths, found, strict=True):
        path.write_bytes(msgspec.json.encode(run))
    return [str(path) for path in paths]


def test_the_history_is_printed_and_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["compare", *stored(tmp_path, runs(100, 101, 80)), "--history", "output_tok_per_s"]
    assert main([*words, "--json", str(tmp_path / "out.json")]) == 0
    said = capsys.readouterr().out
    assert "Output throughput with 4 users" in said
    assert "2026-11-03 08:00" in said
    assert "-20.0 % (" in said
    assert "less than day1" in said
    assert said.startswith(
        "Output throughput surely changed at 1 of 3 runs: day3 of 2026-11-03 (-20.0 % with 4 users)."
    )
    assert json.loads((tmp_path / "out.json").read_text())["tests"] == 2
    assert main([*words, "--md", "-"]) == 0
    assert "| 2026-11-03 08:00 | day3 |" in capsys.readouterr().out


def test_what_has_no_history_is_one_clear_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, two = stored(tmp_path, runs(100, 80))
    other = tmp_path / "other.json"
    other.write_bytes(msgspec.json.encode(a_run({4: 100}, run_id="other", model="n")))
    for words, said in (
        ([one, "--history", "output_tok_per_s"], "give two runs of one cell or more"),
        ([one, two, "--history", "speed"], "no metric is called 'speed'"),
        ([one, str(other), "--history", "output_tok_per_s"], "day1 and other differ in model (m, n)"),
        ([one, two, "--history", "ttft_p99"], "no two of the runs have ttft_p99"),
        ([one, two, "--history", "output_tok_per_s", "--gate", "x"], "--history has its own rule"),
        ([one, two, "--history", "output_tok_per_s", "--floor", "5"], "leave --floor, --slo and --at-users out"),
        ([one, two, "--html", "page.html"], "--html goes with --history"),
    ):
        assert main(["compare", *words]) == 2
        err = capsys.readouterr().err
        assert said in err
        assert err.count("\n") == 1


def test_the_runs_of_a_cell_that_every_study_calls_the_same_go_by_their_study(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = []
    for day, run in enumerate(runs(100, 101, 80), 1):
        (tmp_path / f"night{day}").mkdir()
        cell = replace(run, run=replace(run.run, id="chat"))
        paths += stored(tmp_path / f"night{day}", [cell])
    assert main(["compare", *paths, "--history", "output_tok_per_s"]) == 0
    told = capsys.readouterr().out
    assert "surely changed at 1 of 3 runs: night3/chat of 2026-11-03 (" in told
    assert "less than night1/chat" in told
    assert main(["compare", *paths, paths[0], "--history", "output_tok_per_s"]) == 2
    assert "the run night1/chat is given twice" in capsys.readouterr().err


def page_of(folder: Path, found: list[RunSummary]) -> str:
    path = folder / "history.html"
    path.write_text(history_page(history(found, "output_tok_per_s")), encoding="utf-8")
    return path.as_uri()


@needs_browser
@pytest.mark.parametrize(("width", "dark"), [(1280, False), (390, True)])
def test_the_page_marks_a_sure_change_on_its_chart_and_nothing_else(tmp_path: Path, width: int, *, dark: bool) -> None:
    found = runs(100, 101, 80, 82, 81, 79)
    with Browser(tmp_path / "profile") as browser:
        browser.look(width=width, dark=dark, phone=width < 500)
        browser.open(page_of(tmp_path, found))
        assert browser.console == []
        assert browser.run("document.documentElement.scrollWidth") <= width
        assert axe(browser) == []
        marks = browser.run("[...document.querySelectorAll('.chart svg .texts text')].map((one) => one.textContent)")
        assert marks == ["-20.0 %"]
        rows = browser.run("Save.table(document.querySelector('.chart'))").splitlines()
        assert rows[0].split("\t") == ["run", "began", "Output throughput, tok/s", "low", "high", "sure change"]
        assert [row.split("\t")[-1] for row in rows[1:]] == ["", "", "-20.0 %", "", "", ""]
        key = "new KeyboardEvent('keydown', { key: 'End', bubbles: true })"
        browser.run(f"document.querySelector('.chart svg').dispatchEvent({key})")
        assert browser.run("document.querySelector('#reading').textContent").startswith("day6 2026-11-06 08:00")


@needs_browser
def test_runs_that_do_not_say_when_they_began_stand_by_their_order(tmp_path: Path) -> None:
    found = [a_run({4: speed}, run_id=f"run{at}", model="m") for at, speed in enumerate((100, 101, 80))]
    with Browser(tmp_path / "profile") as browser:
        browser.look()
        browser.open(page_of(tmp_path, found))
        assert browser.console == []
        assert "runs, the oldest first" in browser.run("document.querySelector('.chart svg').textContent")
