"""A study says which cell is best and what ties with it, what each setting does alone, what failed; in every form."""

import json
import math
import time
from itertools import product
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from breakeven.app.serve import Shelf
from breakeven.cli import main
from breakeven.findings.effects import Row, effects
from breakeven.findings.study import CellRun, StudyFindings, study_findings
from breakeven.metrics.pooling import of_estimate
from breakeven.metrics.slo import ServiceLevel
from breakeven.metrics.summary import Estimate, RunSummary
from breakeven.report.studysection import shade_of
from breakeven.report.studywords import best_text, ends, matrix, ties_text, trouble_lines
from breakeven.study.cells import cells
from breakeven.study.factors import factors, values
from breakeven.study.types import Study
from compare_fixture import a_run, within
from report_findings import ANY_CARDS, scenario

VALUES = {"threads": ("1", "2"), "slots": ("1", "4", "8")}
SPEED = {"1": 100.0, "2": 200.0}
FACTOR = {"1": 1.0, "4": 1.5, "8": 1.2}


def rows(*, share: float = 0.02, together: float = 1.0) -> list[Row]:
    """Six cells whose speeds are products of two parts, but for one pair."""
    found = []
    for threads, slots in product(*VALUES.values()):
        value = SPEED[threads] * FACTOR[slots] * (together if (threads, slots) == ("2", "8") else 1.0)
        found.append(Row({"threads": threads, "slots": slots}, of_estimate(within(value, share))))
    return found


def told(*runs: CellRun, level: ServiceLevel | None = None) -> StudyFindings:
    names = list(dict.fromkeys(name for run in runs for name in run.factors))
    return study_findings(
        "s", runs, level=level, values={name: tuple({run.factors[name]: 0 for run in runs}) for name in names}
    )


def a_cell(threads: str, run: RunSummary | None, **more: object) -> CellRun:
    return CellRun(f"t{threads}", {"threads": threads}, run, **more)  # type: ignore[arg-type]


def test_what_a_setting_does_alone_is_its_ratio_to_the_first_all_else_alike() -> None:
    found, _ = effects(rows(), VALUES)
    assert [(one.factor, one.value, one.against, one.cells) for one in found] == [
        ("threads", "2", "1", 3),
        ("slots", "4", "1", 2),
        ("slots", "8", "1", 2),
    ]
    assert [one.ratio.value for one in found] == [pytest.approx(ratio) for ratio in (2.0, 1.5, 1.2)]
    # three cells a side, each known to +-2 %: sqrt(3 + 3) / 3 of one half-width
    low, high = found[0].ratio.ci95
    assert low is not None
    assert high is not None
    assert math.log(high / low) / 2 == pytest.approx(math.log(1.02) * math.sqrt(6) / 3)


def test_settings_interact_where_a_pair_is_surely_off_what_the_two_alone_would_give() -> None:
    assert not any(one.is_sure for one in effects(rows(), VALUES)[1])
    (one,) = effects(rows(together=1.5), VALUES)[1]
    assert one.is_sure
    assert one.factors == ("threads", "slots")
    assert one.values == ("2", "8")
    # the pair's own cell keeps (1 - 1/2)(1 - 1/3) of its surprise, the rest moves the two parts
    assert one.ratio.value == pytest.approx(1.5 ** (1 / 3))
    assert not any(one.is_sure for one in effects(rows(together=1.5, share=0.5), VALUES)[1])


def test_settings_of_exact_figures_interact_by_how_far_off_they_are() -> None:
    assert not any(one.is_sure for one in effects(rows(share=0.0), VALUES)[1])
    (one,) = effects(rows(share=0.0, together=1.5), VALUES)[1]
    assert (one.is_sure, one.values) == (True, ("2", "8"))
    assert one.ratio.value == pytest.approx(1.5 ** (1 / 3))


def test_factors_that_the_measured_cells_cannot_tell_apart_have_no_effect() -> None:
    both = ({"threads": "1", "slots": "1"}, {"threads": "2", "slots": "4"})
    diagonal = [one for one in rows() if one.factors in both]
    assert effects(diagonal, {"threads": ("1", "2"), "slots": ("1", "4")})[0] == ()


def test_the_best_cell_and_those_that_cannot_be_told_from_it() -> None:
    found = told(
        a_cell("1", a_run({1: 50, 4: 100})), a_cell("2", a_run({1: 60, 4: 101})), a_cell("4", a_run({1: 20, 4: 40}))
    )
    assert found.best == "t2"
    assert [cell.ties for cell in found.cells] == [True, True, False]
    assert best_text(found) == "Best at its best level: threads 2, 101 tok/s (99.0–103) with 4 users."
    assert ties_text(found) == "1 of 2 others cannot be told from it: threads 1."
    assert [shade_of(found, value) for value in (40.0, 101.0)] == [0, 8]


def test_an_interval_over_a_factor_of_a_hundred_is_said_in_words() -> None:
    found = told(a_cell("1", a_run({4: 100})))
    assert ends(found, Estimate(value=10.0, ci95=(0.5, 51.0))) == "hardly known"
    assert ends(found, Estimate(value=10.0, ci95=(0.6, 51.0))) == "0.6–51.0"
    assert ends(found, Estimate(value=10.0, ci95=(9.0, None))) == "9.0, no bound above"


def test_a_cell_without_an_interval_cannot_be_told_from_the_best() -> None:
    found = told(a_cell("1", a_run({1: 50}, share=None)), a_cell("2", a_run({1: 100})))
    assert [cell.ties for cell in found.cells] == [True, True]


def test_of_two_cells_the_other_is_said_to_be_worse_or_not() -> None:
    for speed, verb in {50: "is surely worse than", 100: "cannot be told from"}.items():
        found = told(a_cell("1", a_run({4: 101})), a_cell("2", a_run({4: speed})))
        assert ties_text(found) == f"The only other cell that has a figure {verb} it."


def test_where_many_tie_they_are_counted_and_not_named() -> None:
    found = told(*(a_cell(str(t), a_run({4: 100}, share=None)) for t in range(8)))
    assert ties_text(found) == "None of the 7 other cells that have a figure can be told from it."


def test_where_every_cell_has_a_rent_the_matrix_is_in_money_and_the_cheapest_is_best() -> None:
    found = told(a_cell("1", a_run({4: 1000}), rent_usd_per_h=3.6), a_cell("2", a_run({4: 1500}), rent_usd_per_h=7.2))
    assert found.of == "usd_per_mtok"
    assert [cell.figure.value for cell in found.cells] == [pytest.approx(1.0), pytest.approx(7.2e6 / 3600 / 1500)]
    assert found.best == "t1"
    low, high = found.cells[0].figure.ci95
    assert [low, high] == pytest.approx([1 / 1.02, 1.02])
    half = told(a_cell("1", a_run({4: 1000}), rent_usd_per_h=3.6), a_cell("2", a_run({4: 1500})))
    assert (half.of, half.best) == ("tok_per_s", "t2")


def test_a_cell_that_failed_or_misses_the_service_level_says_why_in_one_line() -> None:
    long = "the engine ended with code 1: out of memory\n" + "Traceback " * 60
    found = told(
        a_cell("1", a_run({1: 50, 4: 100}, run_id="t1")),
        a_cell("2", None, failure=long),
        a_cell("4", None),
        level=ServiceLevel(floor_tok_per_s_per_user=60.0),
    )
    assert [cell.state for cell in found.cells] == ["missed", "failed", "not begun"]
    lines = trouble_lines(found)
    assert lines[0].startswith("t1: gives nothing at at least 60 tok/s a user on average: t1 misses it with 1 user")
    assert lines[1].startswith("t2: the engine ended with code 1: out of memory")
    assert all(len(line) < 200 and "\n" not in line for line in lines)


def test_rates_are_no_cell_that_was_not_begun_where_a_floor_is_asked_for() -> None:
    """A floor is of users, which an open loop has none of."""
    closed = a_run({1: 50, 4: 100})
    rates = tuple(replace(level, users=None, req_per_s_offered=1.0 * (level.users or 0)) for level in closed.levels)
    run = replace(closed, levels=rates)
    (line,) = trouble_lines(told(a_cell("1", run), level=ServiceLevel(floor_tok_per_s_per_user=5.0)))
    assert line == "t1: gives nothing at at least 5 tok/s a user on average: t1 has no rate that is known to meet it"


PLAN = """
[study]
name = "many"
[[engines]]
name = "llamacpp"
[[workloads]]
name = "w"
output_tokens = 16
[levels]
users = [4]
"""


def settings(threads: int, slots: int) -> str:
    return f'[[settings]]\nname = "t{threads}s{slots}"\noptions = {{ threads = {threads}, slots = {slots} }}\n'


def test_a_row_of_settings_is_told_by_each_of_its_settings() -> None:
    text = PLAN + "".join(settings(t, s) for t, s in product((2, 1), (4, 16)))
    found = cells(msgspec.toml.decode(text, type=Study))
    of = factors(found)
    assert of[found[0].name] == {"threads": "2", "slots": "4"}
    assert values(of) == {"threads": ("1", "2"), "slots": ("4", "16")}


def test_settings_that_always_change_together_are_one_factor_and_what_never_changes_is_none() -> None:
    text = PLAN + settings(1, 4) + settings(2, 16)
    assert values(factors(cells(msgspec.toml.decode(text, type=Study)))) == {"threads": ("1", "2")}


def a_stored_study(folder: Path, *, threads: int, slots: int) -> Path:
    """A study of which every cell has a summary; the last one failed."""
    path = folder / "many"
    path.mkdir()
    all_of = list(product(range(1, threads + 1), range(1, slots + 1)))
    (path / "study.toml").write_text(PLAN + "".join(settings(t, s) for t, s in all_of))
    for t, s in all_of:
        cell = path / f"llamacpp-t{t}s{s}-w"
        (cell / "records").mkdir(parents=True)
        (cell / "plan.toml").write_text("users = [4]\n")
        (cell / "summary.json").write_bytes(msgspec.json.encode(a_run({4: 100.0 * t + s}, run_id=cell.name)))
    state = {"failures": {f"llamacpp-t{threads}s{slots}-w": "it died"}, "used_s": 9.0}
    (path / "study.json").write_text(json.dumps(state))
    return path


def test_every_command_that_takes_a_run_takes_a_study(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = a_stored_study(tmp_path, threads=2, slots=3)
    for words in (["show", str(path)], ["compare", str(path)]):
        assert main(words) == 0
        said = capsys.readouterr().out
        assert "Best at its best level: threads 2, slots 3, 203 tok/s" in said
        assert "llamacpp-t2s3-w: it died" in said
    assert main(["runs", "--out", str(tmp_path)]) == 0
    assert "many  study  6 cells, 1 failed" in " ".join(capsys.readouterr().out.split("\n")[1:]).replace("   ", "  ")
    (path / "study.json").rename(path / "kept")
    (path / "study.json").write_text("no JSON")
    assert main(["runs", "--out", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "6 cells" in said
    assert f"unreadable: {path / 'study.json'}: " in said
    (path / "kept").rename(path / "study.json")
    (path / "plan.toml").write_text("users = [4]\n")
    assert main(["runs", "--out", str(tmp_path)]) == 0
    assert "unreadable" not in capsys.readouterr().out, "a study with a plan file beside its own is no run"
    assert "many" not in [row["id"] for row in Shelf(tmp_path).runs()]
    (path / "plan.toml").unlink()
    assert main(["report", str(path), "--md", "-"]) == 0
    assert "| threads | slots 1 | slots 2 | slots 3 |" in capsys.readouterr().out
    forms = [f"--{form}={tmp_path / form}" for form in ("html", "csv", "json")]
    assert main(["report", str(path), *forms]) == 0
    assert capsys.readouterr().out.startswith("Best at its best level: threads 2, slots 3, 203 tok/s")
    assert 'class="n heat-8"' in (tmp_path / "html").read_text()
    assert "study,llamacpp-t2s3-w,,tok_per_s,203.0" in (tmp_path / "csv").read_text()
    assert json.loads((tmp_path / "json").read_text())["study"]["best"] == "llamacpp-t2s3-w"
    assert main(["export", str(path), "--to", str(tmp_path / "out")]) == 0
    assert len(list((tmp_path / "out").glob("llamacpp-*/*.json"))) == 6


def test_a_study_where_one_run_is_wanted_is_told_how_to_name_a_cell(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = a_stored_study(tmp_path, threads=1, slots=2)
    assert main(["compare", str(path), str(path)]) == 2
    assert f"{path} is a study" in capsys.readouterr().err
    assert main(["report", str(path), str(path)]) == 2
    assert "a study is reported by itself" in capsys.readouterr().err


def test_a_study_of_200_cells_is_a_page_and_fits_a_pull_request(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = a_stored_study(tmp_path, threads=20, slots=10)
    began_s = time.process_time()
    assert main(["report", str(path), "--html", str(tmp_path / "page.html")]) == 0
    assert time.process_time() - began_s < 10  # about one second alone on a core
    assert (tmp_path / "page.html").read_text().count("heat-") > 200
    capsys.readouterr()
    assert main(["report", str(path), "--md", "-"]) == 0
    assert len(capsys.readouterr().out) < 65536  # the most that a comment of GitHub holds


def test_threads_are_looked_for_by_their_rows() -> None:
    found = told(*(a_cell(str(t), a_run({4: 100 + t})) for t in range(12)))
    assert matrix(found).columns == ("tok/s",)
    assert [place for place, _ in matrix(found).rows] == [(str(t),) for t in range(12)]


def test_a_study_of_one_setting_is_one_row_of_all() -> None:
    found = matrix(told(*(a_cell(str(t), a_run({4: 100 + t})) for t in (1, 2))))
    assert (found.down, found.columns) == (("cell",), ("threads 1", "threads 2"))
    assert [place for place, _ in found.rows] == [("all",)]


def test_the_served_page_of_a_study_has_the_scenario_that_was_given(tmp_path: Path) -> None:
    a_stored_study(tmp_path, threads=1, slots=2)
    told = {}
    for name, scenarios in {"without": (), "with": (scenario(ANY_CARDS),)}.items():
        told[name] = Shelf(tmp_path, scenarios=scenarios).report(["many"])
    assert "What does a token cost?" in told["without"]
    assert "What does a token cost?" not in told["with"]
    assert 'id="f0"' in told["with"]
