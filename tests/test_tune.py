"""`breakeven tune` on real servers: it finds the best, keeps failures, obeys its budget, resumes when killed."""

import signal
import socket
import sys
import time
import tomllib
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from breakeven.cli import main
from breakeven.cli.tune import Budget, budget
from breakeven.store.study import StudyFolder
from breakeven.study.cells import cells
from breakeven.study.types import Study
from commands import breakeven, finish, start

SERVER = f"{sys.executable} {Path(__file__).with_name('tunable_engine.py')}"
ENGINE = ("--engine", "openai", "--model", "truth", "--engine-command", SERVER)
SHORT = ("--output-tokens", "16", "--duration", "0.4s", "--warmup", "0s", "--ramp", "0s")


def words(out: Path, *more: str) -> list[str]:
    return ["tune", *ENGINE, *SHORT, "--out", str(out), *more]


def study_in(out: Path) -> StudyFolder:
    (path,) = out.iterdir()
    return StudyFolder.open(path)


def measured(study: StudyFolder) -> dict[str, list[tuple[int | None, int]]]:
    """Users and repeat of every finished level, by cell."""
    return {folder.id: [(one.users, one.repeat) for one in folder.finished()] for folder in study.begun()}


def test_it_finds_the_fastest_setting_and_says_how_to_get_it_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words(tmp_path, "--users", "2", "--vary", "itl=0.002,0.02,0.04", "--vary", "fails=false,true")) == 0
    said = capsys.readouterr()
    assert "Best at its best level: itl 0.002, fails false" in said.out
    assert "failed" in said.out
    assert "out of memory" in said.out
    study = study_in(tmp_path)
    plan = tomllib.loads((study.path / "best.toml").read_text())
    assert plan["launch"]["settings"]["options"] == {"itl": 0.002, "fails": False}
    assert f"measure it again: breakeven run {study.path / 'best.toml'}" in said.out
    assert "--itl 0.002" in said.out.partition("serve with it:")[2]
    # what is ten times slower is measured once, and not again
    assert all(len(levels) <= 1 for name, levels in measured(study).items() if "itl0.04" in name)
    assert main(["run", "--resume", str(study.path)]) == 0
    assert "[try" not in capsys.readouterr().err


def test_a_port_that_is_taken_is_no_failure_of_the_setting_and_is_tried_again_when_resumed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        vary = ("--users", "2", "--vary", f"needs_port=0,{port}", "--vary", "itl=0.002,0.02", "--repeats", "1")
        assert main(words(tmp_path, *vary)) == 0
    said = capsys.readouterr().out
    assert "the port is in use" in said
    assert "2 settings could not be tried for what was in the way" in said
    assert "0 failed, 0 left out" in said
    study = study_in(tmp_path)
    assert len(study.state().in_the_way) == 2
    assert main(["run", "--resume", str(study.path)]) == 0
    assert study.state().failures == {}
    assert study.state().in_the_way == ()
    assert all(measured(study).values())
    assert "the port is in use" not in capsys.readouterr().out


def test_where_something_is_in_the_way_of_every_setting_the_search_says_so_and_ends(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        vary = ("--users", "2", "--vary", f"needs_port={taken.getsockname()[1]}", "--vary", "itl=0.002,0.02")
        assert main(words(tmp_path, *vary)) == 1
    assert "2 settings failed and none went well, so it is not the settings; the last: " in capsys.readouterr().err


def test_levels_are_measured_near_the_capacity_and_the_service_level_is_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = ("--users", "1,2,4,8,16", "--slo", "tpot_p50=15ms", "--for", "users", "--vary", "itl=0.002,0.03")
    assert main(words(tmp_path, *more)) == 0
    assert "gives nothing at tpot_p50 <= 15.0 ms" in capsys.readouterr().out
    found = {name: sorted(users or 0 for users, _ in levels) for name, levels in measured(study_in(tmp_path)).items()}
    fast, slow = (next(levels for name, levels in found.items() if itl in name) for itl in ("itl0.002", "itl0.03"))
    assert slow[:3] == [1, 2, 4]
    assert fast[-1] == 16
    assert 1 not in fast


def test_the_budget_ends_it_in_order_and_it_goes_on_with_more(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    vary = ("--users", "2", "--vary", "itl=0.002,0.004", "--vary", "step=0.0,0.001")
    assert main(words(tmp_path, *vary, "--budget", "1s", "--repeats", "1")) == 1
    assert "the budget does not hold another level" in capsys.readouterr().err
    study = study_in(tmp_path)
    assert measured(study) == {}
    text = (study.path / "study.toml").read_text()
    (study.path / "study.toml").write_text(
        "\n".join(line for line in text.splitlines() if not line.startswith("max_hours"))
    )
    assert main(["run", "--resume", str(study.path)]) == 0
    assert measured(study)


def test_a_search_that_was_killed_goes_on_where_it_was(tmp_path: Path) -> None:
    vary = ("--users", "1,2", "--vary", "itl=0.002,0.004", "--vary", "step=0.0,0.001", "--repeats", "1")
    child = start(*words(tmp_path, *vary))
    until = time.monotonic() + 60
    while time.monotonic() < until and len(list(tmp_path.glob("*/*/records/*.parquet"))) < 3:
        time.sleep(0.02)
    child.send_signal(signal.SIGKILL)
    child.communicate()
    study = study_in(tmp_path)
    before = {path: path.stat().st_mtime_ns for path in levels(study)}
    assert len(before) >= 3
    done = finish(start("run", "--resume", str(study.path)))
    assert done.code == 0, done.err
    assert {path: path.stat().st_mtime_ns for path in before} == before
    found = measured(study)
    assert all(sorted(one) == [(1, 0), (2, 0)] for one in found.values())
    assert "Best at its best level: itl 0.002" in done.out


def levels(study: StudyFolder) -> list[Path]:
    return sorted(study.path.glob("*/records/*.parquet"))


def test_where_no_setting_starts_it_is_not_the_settings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    vary = ("--users", "2", "--vary", "fails=true", "--vary", "itl=1..64")
    assert main(words(tmp_path, *vary)) == 1
    assert "5 settings failed and none went well, so it is not the settings" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--vary", "itl=1,2", "--for", "usd_per_mtok"), "--for usd_per_mtok needs --rent"),
        (("--vary", "itl=1,2", "--budget", "$5"), "--budget in $ needs --rent"),
        (("--vary", "itl=1,2", "--set", "itl=3"), "--vary itl: --set says it already"),
        (("--vary", "itl=1,2", "--users", "auto"), "--users auto is for single runs"),
        (("--vary", "itl=1,2", "--floor", "-1"), "floor: -1 is no speed"),
        (("--vary", "max_batch=a,b"), "max_batch"),
    ],
)
def test_what_cannot_be_searched_is_said_before_anything_is_started(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], more: Sequence[str], said: str
) -> None:
    assert main(words(tmp_path, *more)) == 2
    assert said in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_budget_is_a_time_or_an_amount() -> None:
    assert budget("2h") == Budget(max_hours=2.0)
    assert budget("$5") == Budget(max_usd=5.0)
    for text in ("$", "$-1", "$x", "$inf", "soon"):
        with pytest.raises(ValueError, match=r"is no|write"):
            budget(text)


def test_the_plan_file_of_a_search_can_be_looked_at_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words(tmp_path, "--vary", "itl=1,2", "--rent", "0.5", "--for", "usd_per_mtok", "--dry-run")) == 0
    told = tomllib.loads(capsys.readouterr().out)
    assert told["tune"] == {"goal": "usd_per_mtok", "margin": 0.05, "vary": ["itl=1,2"]}
    assert [row["name"] for row in told["settings"]] == ["itl1", "itl2"]
    assert told["hardware"][0]["rent_usd_per_h"] == 0.5
    path = tmp_path / "plan.toml"
    path.write_text(breakeven(*words(tmp_path, "--vary", "itl=1,2", "--dry-run")).out)
    assert main(["plan", "check", str(path)]) == 0
    assert main(["run", str(path), "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert "search tune: 2 settings, each started up to 5 times" in said
    assert "no estimate: a search takes as many starts as it needs" in said


def test_where_the_number_of_cards_is_searched_a_setting_pays_for_all_of_its_cards(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    vary = ("--vary", "tensor_parallel=1,2", "--rent", "0.5", "--for", "usd_per_mtok")
    engine = ("--engine", "vllm", "--model", "org/m", "--dry-run")
    assert main(["tune", *engine, *vary, "--out", str(tmp_path)]) == 0
    found = cells(msgspec.toml.decode(capsys.readouterr().out, type=Study))
    assert [cell.rent_usd_per_h for cell in found] == [0.5, 1.0]


PREDICTED = ("--engine", "vllm", "--model", "llama-3.1-8b", "--engine-command", SERVER, "--on", "predicted")
REQUESTS = ("--workload", "fixed", "--input-tokens", "64", "--output-tokens", "16")


def predicted(out: Path, *more: str, requests: Sequence[str] = REQUESTS) -> list[str]:
    return ["tune", *PREDICTED, *requests, *SHORT[2:], "--out", str(out), *more]


def test_of_settings_that_are_predicted_first_only_the_finalists_are_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    vary = ("--gpu", "mi300x", "--vary", "max_batch=1..32", "--vary", "kv_cache_dtype=auto", "--users", "16")
    assert main(predicted(tmp_path, *vary, "--dry-run")) == 0
    said = capsys.readouterr()
    told = tomllib.loads(said.out)
    figures = told["tune"]["predicted"]["figures"]
    kept = [row["name"] for row in told["settings"]]
    assert told["tune"]["predicted"]["settings"] == 6
    assert sorted(figures) == sorted(kept)
    # 16 users in 16 places and in 32 are served alike; in one place each waits for the others
    assert figures["max_batch16-kv_cache_dtypeauto"] == figures["max_batch32-kv_cache_dtypeauto"]
    assert "max_batch1-kv_cache_dtypeauto" not in kept
    assert "predicted for" in said.err
    assert "measured by nobody: best of 6 settings is max_batch16" in said.err
    path = tmp_path / "plan.toml"
    path.write_text(said.out)
    assert main(["plan", "check", str(path)]) == 0
    capsys.readouterr()


def test_a_search_after_a_prediction_says_what_it_saved_and_goes_on_when_resumed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    vary = ("--gpu", "mi300x", "--vary", "max_batch=1..32", "--users", "16", "--repeats", "1")
    assert main(predicted(tmp_path, *vary)) == 0
    said = capsys.readouterr().out
    study = study_in(tmp_path)
    kept = tomllib.loads((study.path / "study.toml").read_text())["settings"]
    assert f"of 6 settings predicted for Instinct MI300X only the {len(kept)} likely best are here" in said
    assert "the best as measured was predicted to give" in said
    assert "the full matrix (6 settings, 3 starts each, every level)" in said
    assert len(measured(study)) <= len(kept) < 6
    assert main(["run", "--resume", str(study.path)]) == 0
    assert "of 6 settings predicted" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("more", "requests", "said"),
    [
        (("--gpu", "l40s", "--vary", "block_size=8,16"), REQUESTS, "a prediction does not tell of block_size"),
        (("--gpu", "l40s", "--vary", "dtype=auto,float32"), REQUESTS, "a prediction does not tell of dtype=float32"),
        (("--vary", "max_batch=2,4"), REQUESTS, "--on predicted needs --gpu"),
        (("--gpu", "h100", "--vary", "max_batch=2,4"), REQUESTS, "is it h100-pcie or"),
        (("--gpu", "rtx3060", "--vary", "max_batch=2,4"), REQUESTS, "no setting is foretold to give anything"),
        (("--gpu", "l40s", "--vary", "max_batch=2,4"), (), "--on predicted needs --workload fixed or lengths"),
    ],
)
def test_what_cannot_be_predicted_is_one_clear_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], more: Sequence[str], requests: Sequence[str], said: str
) -> None:
    assert main(predicted(tmp_path, *more, requests=requests)) == 2
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("[tune]", "[tune]\nmargin = 2.0"), "margin: 2 is not between 0 and 1"),
        (("users = [4]", "rate = [4.0]"), "rate: a search goes through numbers of users"),
        (("[tune]", '[tune]\ngoal = "usd_per_mtok"'), "goal: usd_per_mtok needs rent_usd_per_h"),
        (("[tune]", '[tune]\ngaol = "users"'), "unknown key 'gaol' in [tune]; did you mean 'goal'?"),
        (('name = "llamacpp"', 'name = "vllm"\nurl = "http://x"'), "url: an engine that runs already"),
    ],
)
def test_a_plan_file_whose_search_cannot_be_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], change: tuple[str, str], said: str
) -> None:
    text = '[tune]\n[[engines]]\nname = "llamacpp"\n[levels]\nusers = [4]\n'
    (tmp_path / "plan.toml").write_text(text.replace(*change))
    assert main(["plan", "check", str(tmp_path / "plan.toml")]) == 2
    assert said in capsys.readouterr().err
