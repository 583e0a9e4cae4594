"""Results are taken from output that somebody fetched himself, as from a place."""

import subprocess
from pathlib import Path

import pytest
from msgspec.structs import replace

from breakeven.app.fleet_jobs import opened
from breakeven.fleet.job import Job
from breakeven.fleet.jobs.parcel import packing
from breakeven.fleet.result import Level, NodeResult, result_line
from commands import breakeven
from handed import PLAN
from test_fleet_study import RENTED


@pytest.fixture
def grid(tmp_path: Path) -> Path:
    """A fleet of dstack, whose jobs its own program hands out."""
    plan = tmp_path / "plan.toml"
    plan.write_text(PLAN.format(count=3, head="", wait=600, node='gpu = "rtx4090"'))
    assert breakeven("fleet", "render", "--to", "dstack", plan, "--out", tmp_path / "grid").code == 0
    return tmp_path / "grid"


def line_of(job: Job, rate: float) -> str:
    level = Level(users=1, output_tok_per_s=rate)
    started = "2026-11-29T08:00:00+00:00"
    return result_line(
        NodeResult(
            breakeven="0", template=job.template, job=job.id, started=started, wall_s=1, outcome="done", levels=(level,)
        )
    )


def test_results_are_taken_from_saved_logs_once_and_are_held_against_their_jobs(grid: Path, tmp_path: Path) -> None:
    first, second, third = opened(grid).jobs.values()
    logs = tmp_path / "logs"
    logs.mkdir()
    (logs / f"{first.id}.log").write_text(f"\x1b[36m({first.id}, pid=12)\x1b[0m {line_of(first, 10)}\n")
    (logs / f"{second.id}.log").write_text("the first try brought nothing\n")
    (logs / f"{second.id}.2.log").write_text(f"waiting\n{line_of(first, 20)}\n")
    (logs / f"{third.id}.log").write_text("no engine here\n")
    (logs / "notes.txt").write_text("mine\n")
    taken = breakeven("fleet", "collect", grid, "--logs", logs)
    assert taken.code == 0, taken.err
    assert f"{logs / third.id}.log: no result in it" in taken.err
    jobs = list(opened(grid).jobs.values())
    assert [(job.outcome, job.place, job.tries) for job in jobs] == [
        ("done", "dstack", 1),
        ("refused", "dstack", 1),
        ("waiting", "dstack", 0),
    ]
    (logs / f"{second.id}.2.log").write_text(line_of(second, 20))
    (logs / f"{first.id}.log").write_text(line_of(first, 99))
    assert breakeven("fleet", "collect", grid, "--logs", logs).code == 0
    done = list(opened(grid).jobs.values())
    assert done[0] == jobs[0]
    assert done[1].outcome == "done"
    assert "2 new" in breakeven("fleet", "import", grid, "--to", tmp_path / "set").out


def test_one_measurement_in_two_logs_is_one_result(grid: Path, tmp_path: Path) -> None:
    first, second, _ = opened(grid).jobs.values()
    for job in (first, second):
        (tmp_path / f"{job.id}.txt").write_text(line_of(replace(first, id=job.id), 10))
    assert breakeven("fleet", "collect", grid, "--logs", tmp_path).code == 0
    assert [job.outcome for job in opened(grid).jobs.values()] == ["done", "refused", "waiting"]


def test_a_single_file_does_and_a_folder_of_others_is_refused(grid: Path, tmp_path: Path) -> None:
    first, *_ = opened(grid).jobs.values()
    (tmp_path / f"{first.id}0.log").write_text(line_of(first, 10))
    none = breakeven("fleet", "collect", grid, "--logs", tmp_path)
    assert (none.code, f"call them as {first.id}.log" in none.line()) == (2, True)
    (tmp_path / f"{first.id}.log").write_text(line_of(first, 10))
    assert breakeven("fleet", "collect", grid, "--logs", tmp_path / f"{first.id}.log").code == 0
    assert opened(grid).jobs[first.id].outcome == "done"


def test_a_run_folder_comes_home_from_a_saved_log(tmp_path: Path) -> None:
    plan, grid, run = tmp_path / "plan.toml", tmp_path / "grid", tmp_path / "made" / "2026-x"
    plan.write_text(RENTED)
    assert breakeven("fleet", "render", "--to", "dstack", plan, "--out", grid).code == 0
    (job,) = opened(grid).jobs.values()
    run.mkdir(parents=True)
    (run / "plan.toml").write_text("users = [1]\n")
    said = subprocess.run(["bash", "-c", packing(str(run.parent))], capture_output=True, text=True, check=True).stdout
    (tmp_path / f"{job.id}.log").write_text(f"warming up\n{said}")
    done = breakeven("fleet", "collect", grid, "--logs", tmp_path)
    assert done.code == 0, done.err
    assert opened(grid).jobs[job.id].outcome == "done"
    (home,) = (grid / "runs").iterdir()
    assert (home / "plan.toml").read_text() == "users = [1]\n"
