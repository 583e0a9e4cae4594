"""Studies that really run, on reference servers and the embedded engine: order, resume, budget, and no engine left."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from breakeven.cli import main
from breakeven.store.folder import RunFolder
from breakeven.store.study import StudyFolder
from study_plans import SERVE, TWO_ENGINES
from waiting import comes_true

psutil = pytest.importorskip("psutil")
CELLS = ("m-fast-w", "m-slow-w")


def write(folder: Path, text: str) -> Path:
    path = folder / "plan.toml"
    path.write_text(text)
    return path


def run(path: Path, *words: str) -> int:
    return main(["run", str(path), "--out", str(path.parent / "runs"), *words])


def study_in(folder: Path) -> StudyFolder:
    (path,) = (folder / "runs").iterdir()
    return StudyFolder.open(path)


def measured(study: StudyFolder, cell: str) -> list[tuple[int | None, int]]:
    """Users and repeat of every finished level, in the order measured."""
    folder = study.cell(cell)
    return [] if folder is None else [(f.users, f.repeat) for f, _ in folder.levels() if f.status == "done"]


def host(study: StudyFolder, cell: str) -> dict[str, Any]:
    return RunFolder.open(study.path / cell).host()


def engines_of(folder: Path) -> list[int]:
    """Processes of engines and guards that a study in `folder` has started."""
    return [
        process.pid
        for process in psutil.process_iter(["cmdline", "status"])
        if str(folder) in " ".join(process.info["cmdline"] or ()) and process.pid != os.getpid()
    ]


def commands_of(folder: Path) -> list[str]:
    """Command lines of processes that name `folder`."""
    lines = [" ".join(process.info["cmdline"] or ()) for process in psutil.process_iter(["cmdline"])]
    return [line for line in lines if str(folder) in line]


def test_a_study_measures_every_cell_round_by_round(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(write(tmp_path, TWO_ENGINES), "--json", str(tmp_path / "study.json")) == 0
    study = study_in(tmp_path)
    for cell in CELLS:
        assert measured(study, cell) == [(1, 0), (2, 0), (1, 1), (2, 1)]
        starts = host(study, cell)["engine"]["starts"]
        assert [start["repeat"] for start in starts] == [0, 1]
        assert all(start["start_s"] > 0 for start in starts)
    order = re.findall(r"round (\d) of 2: (\S+)", capsys.readouterr().err)
    assert order == [("1", "m-fast-w"), ("1", "m-slow-w"), ("2", "m-slow-w"), ("2", "m-fast-w")]
    told = json.loads((tmp_path / "study.json").read_text())
    speed = {
        cell["name"]: max(level["output_tok_per_s"]["value"] for level in cell["summary"]["levels"])
        for cell in told["cells"]
    }
    assert speed["m-fast-w"] > speed["m-slow-w"]
    assert 0 < told["used_s"] < 60
    assert main(["run", "--resume", str(study.path)]) == 0
    assert "round" not in capsys.readouterr().err


def test_a_study_that_was_killed_goes_on_where_it_was_and_leaves_no_engine(tmp_path: Path) -> None:
    marked = TWO_ENGINES.replace('"--itl", "0.01"', f'"--itl", "0.01", "--stamps", "{tmp_path}/s.npz"')
    marked = marked.replace('"--itl", "0.002"', f'"--itl", "0.002", "--stamps", "{tmp_path}/s.npz"')
    path = write(tmp_path, marked)
    argv = [sys.executable, "-m", "breakeven", "run", str(path), "--out", str(tmp_path / "runs")]
    with subprocess.Popen(argv, stderr=subprocess.DEVNULL) as first:
        assert comes_true(lambda: any((tmp_path / "runs").glob("*/m-slow-w/records/u00001-r0.parquet")), within_s=30)
        assert len(engines_of(tmp_path)) >= 2
        first.send_signal(signal.SIGKILL)
    assert comes_true(lambda: engines_of(tmp_path) == [], within_s=10)
    study = study_in(tmp_path)
    assert measured(study, "m-fast-w") == [(1, 0), (2, 0)]
    before = (study.path / "m-slow-w/records/u00001-r0.parquet").stat().st_mtime_ns
    assert main(["run", "--resume", str(study.path)]) == 0
    for cell in CELLS:
        assert sorted(measured(study, cell)) == [(1, 0), (1, 1), (2, 0), (2, 1)]
    assert (study.path / "m-slow-w/records/u00001-r0.parquet").stat().st_mtime_ns == before
    assert len(study.state().sessions) == 2
    assert engines_of(tmp_path) == []


@pytest.fixture
def served() -> Iterator[str]:
    """URL of a server that is not ours to end."""
    argv = [sys.executable, "-m", "breakeven.client.reference"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        yield json.loads(server.stdout.readline())["url"]
        assert server.poll() is None
        server.terminate()


def by_url(url: str) -> str:
    """The plan with one engine that runs already, and levels taken as 3 s: a window of 1 s, settling of 2 s."""
    text = re.sub(
        r"\[\[engines\]\].*(?=\[\[workloads)",
        f'[[engines]]\nname = "openai"\nurl = "{url}"\n',
        TWO_ENGINES,
        flags=re.DOTALL,
    )
    return text.replace("duration_s = 0.4", "duration_s = 1")


def test_a_budget_of_time_ends_a_study_before_a_level_that_it_does_not_hold(
    tmp_path: Path, served: str, capsys: pytest.CaptureFixture[str]
) -> None:
    # the first level takes 1 s and more, so the second would end after 4 s
    limit = f"max_hours = {3.8 / 3600}"
    assert run(write(tmp_path, by_url(served).replace("repeats = 2", limit))) == 3
    study = study_in(tmp_path)
    assert measured(study, "m-openai-w") == [(1, 0)]
    assert 1 < study.state().used_s < 3.8
    captured = capsys.readouterr()
    assert "the budget does not hold another level" in captured.err
    assert f"breakeven run --resume {study.path}" in " ".join(captured.out.split())
    assert main(["run", "--resume", str(study.path)]) == 3
    assert measured(study, "m-openai-w") == [(1, 0)]
    path = study.path / "study.toml"
    path.write_text(path.read_text().replace(limit, "max_hours = 1"))
    assert main(["run", "--resume", str(study.path)]) == 0
    assert measured(study, "m-openai-w") == [(1, 0), (2, 0)]


def test_a_budget_of_money_counts_the_stated_rent(tmp_path: Path, served: str) -> None:
    # a dollar a second
    hardware = '[[hardware]]\nname = "box"\nrent_usd_per_h = 3600\n'
    assert run(write(tmp_path, by_url(served).replace("repeats = 2", "max_usd = 3.8") + hardware)) == 3
    study = study_in(tmp_path)
    assert measured(study, "box-m-openai-w") == [(1, 0)]
    assert study.state().used_usd == pytest.approx(study.state().used_s)
    assert 1 < study.state().used_usd < 3.8


def test_a_cell_that_fails_is_told_and_the_others_are_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = TWO_ENGINES.replace('"--itl", "0.002"', '"--no-such-option"').replace("repeats = 2", "repeats = 1")
    assert run(write(tmp_path, broken)) == 1
    study = study_in(tmp_path)
    assert measured(study, "m-fast-w") == []
    assert measured(study, "m-slow-w") == [(1, 0), (2, 0)]
    assert "before it was ready: the engine does not know one of its options" in study.state().failures["m-fast-w"]
    assert "go on:" in capsys.readouterr().out
    (study.path / "study.toml").write_text(TWO_ENGINES)
    assert main(["run", "--resume", str(study.path)]) == 2
    assert "was measured by another plan" in capsys.readouterr().err


def test_ctrl_c_keeps_what_was_measured_and_ends_the_study(tmp_path: Path) -> None:
    text = TWO_ENGINES.replace('"--itl", "0.002"', f'"--stamps", "{tmp_path}/s.npz"')
    path = write(tmp_path, text.replace("duration_s = 0.4", "duration_s = 30"))
    argv = [sys.executable, "-m", "breakeven", "run", str(path), "--out", str(tmp_path / "runs")]
    with subprocess.Popen(argv, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as process:
        assert comes_true(lambda: any((tmp_path / "runs").glob("*/m-fast-w/records/*.log")), within_s=30)
        time.sleep(1.0)
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130
    assert engines_of(tmp_path) == []
    study = study_in(tmp_path)
    assert study.cell("m-slow-w") is None
    folder = study.cell("m-fast-w")
    assert folder is not None
    ((facts, records),) = folder.levels()
    assert facts.status == "interrupted"
    assert records


def test_ctrl_c_while_an_engine_starts_ends_the_study_and_says_how_to_go_on(tmp_path: Path) -> None:
    never = f'"{sys.executable}", "-c", "import time; time.sleep(600)", "{tmp_path}", "{{port}}"'
    first, second = TWO_ENGINES.split('name = "slow"')
    slow = second.replace(second[second.index("command =") : second.index("]") + 1], f"command = [{never}]")
    path = write(tmp_path, f'{first}name = "slow"{slow}'.replace("repeats = 2", "repeats = 1"))
    argv = [sys.executable, "-m", "breakeven", "run", str(path), "--out", str(tmp_path / "runs")]
    with subprocess.Popen(argv, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert comes_true(lambda: any("sleep(600)" in line for line in commands_of(tmp_path)), within_s=60)
        process.send_signal(signal.SIGINT)
        told, _ = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "go on:" in told
    assert "m-fast-w" in told
    assert engines_of(tmp_path) == []
    assert measured(study_in(tmp_path), "m-fast-w") == [(1, 0), (2, 0)]
    assert study_in(tmp_path).state().failures == {}


def test_an_engine_that_runs_already_is_measured_and_not_ended(tmp_path: Path, served: str) -> None:
    assert run(write(tmp_path, by_url(served).replace("repeats = 2", ""))) == 0
    study = study_in(tmp_path)
    assert measured(study, "m-openai-w") == [(1, 0), (2, 0)]
    assert "starts" not in host(study, "m-openai-w")["engine"]


def test_one_run_can_start_an_engine_by_a_users_command(tmp_path: Path) -> None:
    command = f"{sys.executable} -m breakeven.client.reference --port {{port}} --stamps {tmp_path}/s.npz"
    words = ["run", "--engine", "openai", "--model", "truth", "--engine-command", command, "--users", "1"]
    words += ["--duration", "0.4", "--warmup", "0", "--ramp", "0", "--output-tokens", "8", "--out", str(tmp_path)]
    assert main(words) == 0
    (path,) = tmp_path.glob("*-openai-truth")
    engine = RunFolder.open(path).host()["engine"]
    assert engine["argv"][1:4] == ["-m", "breakeven.client.reference", "--port"]
    assert engine["start_s"] > 0
    assert engines_of(tmp_path) == []


def test_what_is_declared_of_the_hardware_stands_with_the_host(tmp_path: Path) -> None:
    hardware = '[[hardware]]\nname = "box"\ncount = 2\npower_w = 90\npower_source = "a meter at the wall"\n'
    path = write(tmp_path, TWO_ENGINES.replace("repeats = 2", "repeats = 1") + hardware)
    assert run(path, "--only", "engine=fast") == 0
    declared = host(study_in(tmp_path), "box-m-fast-w")["host"]["declared"]
    assert {"count": 2, "power_w": 90.0, "power_source": "a meter at the wall"}.items() <= declared.items()


@pytest.mark.engine
def test_the_embedded_engine_and_a_server_are_cells_of_one_study(tmp_path: Path) -> None:
    text = TWO_ENGINES.replace('name = "m"\nmodel = "truth"', 'name = "m"\nby_engine = { slow = "truth" }')
    text = text.replace(f'name = "fast"\nengine = "openai"\ncommand = [{SERVE}, "--itl", "0.002"]', 'name = "llamacpp"')
    assert run(write(tmp_path, text.replace("users = [1, 2]", "users = [1]"))) == 0
    study = study_in(tmp_path)
    assert measured(study, "m-llamacpp-w") == measured(study, "m-slow-w") == [(1, 0), (1, 1)]
    assert host(study, "m-llamacpp-w")["engine"]["name"] == "llamacpp"
    assert len(host(study, "m-llamacpp-w")["engine"]["starts"]) == 2
    summary = msgspec.json.decode((study.path / "m-llamacpp-w/summary.json").read_bytes())
    assert [level["repeat"] for level in summary["levels"]] == [0, 1]
