"""The runs of a cell over time: a mark stands only where the figure changed beyond all intervals together."""

import json
import random
from pathlib import Path

import msgspec
import pytest

from breakeven.cli import main
from breakeven.compare.history import history
from breakeven.metrics.summary import RunSummary
from compare_fixture import a_run


def runs(*speeds: float, share: float = 0.02) -> list[RunSummary]:
    return [
        a_run({4: speed}, run_id=f"day{day}", share=share, started=f"2026-11-{day:02}T08:00:00+00:00", model="m")
        for day, speed in enumerate(speeds, 1)
    ]


def marks(found: list[RunSummary]) -> list[str]:
    return [point.run_id for point in history(found, "output_tok_per_s").points[4] if point.is_change]


def test_a_run_is_marked_where_it_surely_differs_from_the_first_since_the_last_mark() -> None:
    found = runs(100, 101, 80, 81, 100)
    assert marks(found) == ["day3", "day5"]
    told = history(found, "output_tok_per_s")
    assert told.tests == 4
    assert [point.against for point in told.points[4]] == [None, "day1", "day1", "day3", "day3"]
    assert told.points[4][2].ratio.value == pytest.approx(0.8)


def test_runs_stand_by_when_they_began_and_not_as_they_were_given() -> None:
    assert marks(runs(100, 101, 80)[::-1]) == ["day3"]


def test_what_the_intervals_cannot_tell_is_no_change() -> None:
    assert marks(runs(100, 97, 103)) == []
    assert marks(runs(100, 80, share=0.3)) == []


def test_what_one_interval_tells_and_all_together_do_not_is_perhaps_a_change() -> None:
    # a quotient of two runs of +-2 % has +-2.8 %; two tests widen it to 2.24 / 1.96 of that, 3.2 %
    points = history(runs(100, 100, 103.1), "output_tok_per_s").points[4]
    assert [(point.is_change, point.is_perhaps) for point in points] == [(False, False), (False, False), (False, True)]


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
    assert "output_tok_per_s with 4 users" in said
    assert "2026-11-03 08:00" in said
    assert "-20.0 % (" in said
    assert "less than day1" in said
    assert "one sure change; " in said
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
    ):
        assert main(["compare", *words]) == 2
        err = capsys.readouterr().err
        assert said in err
        assert err.count("\n") == 1
