"""A fleet's jobs are handed out here once each, whatever is killed; what comes back is taken or refused with why."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from breakeven.fleet.job import Job
from breakeven.fleet.jobs.folder import Fleet, open_fleet
from breakeven.fleet.jobs.work import most_usd
from commands import Done, breakeven, finish

HERE = Path(__file__).parent
PLAN = """
[fleet]
name = "here"
{head}
[job]
template = "t"
users = [1, 2]
duration_s = 0.1
time_limit_s = {limit}
[[nodes]]
count = {count}
{node}
"""


class Handed:
    """A fleet folder, and processes that hand out its jobs."""

    def __init__(self, tmp_path: Path) -> None:
        self.path, self.starts = tmp_path / "grid", tmp_path / "starts"
        self.starts.mkdir()
        self.env: dict[str, str] = {"NODE_STARTS": str(self.starts)}

    def render(self, *, count: int, head: str = "", node: str = "", limit: float = 60.0) -> None:
        plan = self.path.with_name("plan.toml")
        plan.write_text(PLAN.format(count=count, head=head, node=node, limit=limit))
        done = breakeven("fleet", "render", "--to", "local", plan, "--out", self.path)
        assert done.code == 0, done.err

    def does(self, what: Mapping[str, Any]) -> None:
        self.env["NODE_DOES"] = json.dumps(what)

    def start(self) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, HERE / "hand_out.py", str(self.path)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **self.env},
        )

    def submit(self) -> Done:
        return finish(self.start())

    def jobs(self) -> list[Job]:
        return list(self.fleet().jobs.values())

    def fleet(self) -> Fleet:
        return open_fleet(self.path, cells_of=lambda _: ())

    def outcomes(self) -> list[str]:
        return [job.outcome for job in self.jobs()]

    def ran(self) -> list[int]:
        """How often each job started."""
        return [len(list(self.starts.glob(f"{job.id}.*"))) for job in self.jobs()]

    def until(self, starts: int) -> None:
        for _ in range(600):
            if len(list(self.starts.iterdir())) >= starts:
                return
            time.sleep(0.05)
        raise AssertionError(f"only {len(list(self.starts.iterdir()))} of {starts} started")


@pytest.fixture
def handed(tmp_path: Path) -> Iterator[Handed]:
    made = Handed(tmp_path)
    yield made
    if made.path.exists():
        breakeven("fleet", "stop", made.path)


def test_jobs_are_handed_out_collected_and_imported(handed: Handed, tmp_path: Path) -> None:
    handed.render(count=3, head="parallel = 2")
    done = handed.submit()
    assert (done.code, done.out) == (0, "0\n"), done.err
    assert handed.outcomes() == ["done"] * 3
    assert handed.ran() == [1, 1, 1]
    assert [job.node for job in handed.jobs()] == ["local-0001", "local-0002", "local-0003"]
    taken = breakeven("fleet", "import", handed.path, "--to", tmp_path / "set")
    assert "3 new" in taken.out, taken.out + taken.err
    again = breakeven("fleet", "import", handed.path, "--to", tmp_path / "set")
    assert "3 the same as before" in again.out
    assert handed.submit().code == 0
    assert handed.ran() == [1, 1, 1]


@pytest.mark.parametrize("after", [1, 2, 3])
def test_a_submitter_killed_at_any_moment_loses_nothing_and_pays_nothing_twice(handed: Handed, after: int) -> None:
    handed.render(count=4, head="parallel = 2")
    handed.does({"sleep_s": 0.7})
    process = handed.start()
    handed.until(after)
    process.send_signal(signal.SIGKILL)
    finish(process)
    assert "done" not in handed.outcomes()[after:]
    done = handed.submit()
    assert done.code == 0, done.err
    assert handed.outcomes() == ["done"] * 4
    assert handed.ran() == [1] * 4


def test_many_kills_at_odd_moments(handed: Handed) -> None:
    handed.render(count=6, head="parallel = 3")
    handed.does({"sleep_s": 0.2})
    for number in range(8):
        process = handed.start()
        time.sleep(0.35 + 0.07 * number)
        process.kill()
        finish(process)
    assert handed.submit().code == 0
    assert (handed.outcomes(), handed.ran()) == (["done"] * 6, [1] * 6)


def test_what_was_meant_and_not_written_down_as_given_out_is_found_again(handed: Handed) -> None:
    """As after a kill between the place's answer and our note of it, and after one before it was asked."""
    handed.render(count=2)
    handed.does({"sleep_s": 0.3})
    fleet = handed.fleet()
    asked, never = fleet.jobs.values()
    for job in (asked, never):
        fleet.keep(Job(**{**{f: getattr(job, f) for f in job.__struct_fields__}, "tries": 1, "submitted": "x"}))
    program = (
        "import sys; from pathlib import Path; from hand_out import NODE, opened, Local\n"
        "f = opened(Path(sys.argv[1])); j = f.jobs[sys.argv[2]]\n"
        "Local(f.path, command=NODE).submit(f.task(j), name=j.id)"
    )
    env = {**os.environ, **handed.env, "PYTHONPATH": str(HERE)}
    subprocess.run([sys.executable, "-W", "ignore", "-c", program, handed.path, asked.id], env=env, check=True)
    handed.until(1)
    assert breakeven("fleet", "collect", handed.path).code == 0
    assert len(list(handed.starts.iterdir())) == 1
    done = handed.submit()
    assert (done.code, handed.outcomes(), handed.ran()) == (0, ["done"] * 2, [1, 1]), done.err


def test_a_second_start_of_one_try_is_harmless(handed: Handed) -> None:
    handed.render(count=1)
    assert handed.submit().code == 0
    (job,) = handed.jobs()
    folder = handed.path / "local" / job.id
    before = (folder / "output.txt").read_bytes()
    runner = [sys.executable, "-m", "breakeven.fleet.jobs.runner", str(folder)]
    assert subprocess.run(runner, env={**os.environ, **handed.env}, check=False).returncode == 0
    assert (folder / "output.txt").read_bytes() == before
    assert handed.ran() == [1]
    (folder / "begun.json").unlink()
    at_once = [subprocess.Popen(runner, env={**os.environ, **handed.env}, start_new_session=True) for _ in range(4)]
    for one in at_once:
        one.wait(30)
    assert handed.ran() == [2]


def test_money_bounds_what_is_under_way_and_what_is_handed_out(handed: Handed) -> None:
    # 1.8 USD a job at its limit of 60 s: two at once
    handed.render(count=4, head="max_usd = 4.0\nparallel = 4", node="usd_per_h = 108.0")
    handed.does({"sleep_s": 25.0})
    process = handed.start()
    handed.until(2)
    time.sleep(0.5)
    jobs = handed.jobs()
    assert [job.tries for job in jobs] == [1, 1, 0, 0]
    assert sum(most_usd(job, time_limit_s=60.0) or 0.0 for job in jobs) == pytest.approx(3.6)
    process.kill()
    finish(process)
    assert breakeven("fleet", "stop", handed.path).code == 0
    assert [job.outcome for job in handed.jobs()] == ["failed", "failed", "waiting", "waiting"]


def test_money_that_does_not_reach_is_said(handed: Handed) -> None:
    handed.render(count=2, head="max_usd = 0.01", node="usd_per_h = 1.0")
    done = breakeven("fleet", "submit", handed.path)
    assert done.code == 3
    assert "2 of 2 jobs are not handed out" in done.line()
    assert "max_usd = 0.01" in done.line()
    assert handed.ran() == [0, 0]


def test_a_lost_job_is_given_out_again_and_no_more_often_than_it_may(handed: Handed) -> None:
    handed.render(count=2, head="tries = 2")
    handed.does({"0001": {"kills_itself": 1}, "0002": {"kills_itself": 9}})
    assert handed.submit().code == 0
    assert handed.outcomes() == ["done", "lost"]
    assert handed.ran() == [2, 2]
    assert [job.tries for job in handed.jobs()] == [2, 2]


@pytest.mark.parametrize(
    ("does", "outcome", "why"),
    [
        ({"exit": 4}, "failed", "exit code 4: no engine here"),
        ({"sleep_s": 60}, "timed_out", "time limit"),
        ({"job": "another-0001"}, "refused", "another job"),
        ({"template": "u"}, "refused", "another template"),
        ({"seed": "beef"}, "refused", "another seed"),
        ({"key": "not ours"}, "refused", "wrong signature"),
        ({"key": None}, "refused", "no signature"),
        ({"rate": 1e9}, "refused", "beyond what any machine"),
    ],
)
def test_what_is_no_result_of_the_job_is_told(handed: Handed, does: dict[str, Any], outcome: str, why: str) -> None:
    handed.render(count=1, limit=3.0 if outcome == "timed_out" else 60.0)
    handed.env["BREAKEVEN_RESULT_KEY"] = "ours"
    handed.does(does)
    assert handed.submit().code == 0
    (job,) = handed.jobs()
    assert (job.outcome, job.result) == (outcome, None)
    assert why in (job.reason or "")
    shown = breakeven("fleet", "status", handed.path)
    assert outcome in shown.out
    assert why in " ".join(shown.out.split())


def test_one_measurement_told_twice_counts_once(handed: Handed) -> None:
    handed.render(count=2, head="parallel = 1")
    handed.does({"rate": 12.0})
    assert handed.submit().code == 0
    first, second = handed.jobs()
    assert (first.outcome, second.outcome) == ("done", "refused")
    assert first.id in (second.reason or "")


def test_stop_ends_what_runs_and_submit_goes_on_with_the_rest(handed: Handed) -> None:
    handed.render(count=2, head="parallel = 1")
    handed.does({"sleep_s": 60})
    process = handed.start()
    handed.until(1)
    refused = breakeven("fleet", "stop", handed.path)
    assert (refused.code, "another breakeven is at work" in refused.line()) == (2, True)
    process.send_signal(signal.SIGINT)
    finish(process)
    shown = breakeven("fleet", "status", handed.path)
    assert "running" in shown.out
    stopped = breakeven("fleet", "stop", handed.path)
    assert stopped.code == 0, stopped.err
    assert [(job.outcome, job.reason) for job in handed.jobs()] == [("failed", "stopped"), ("waiting", None)]
    handed.does({})
    assert handed.submit().code == 0
    assert handed.outcomes() == ["failed", "done"]
    assert handed.ran() == [1, 1]


def test_collect_takes_what_came_back_while_nobody_looked(handed: Handed) -> None:
    handed.render(count=1)
    handed.does({"sleep_s": 1.0})
    process = handed.start()
    handed.until(1)
    process.kill()
    finish(process)
    for _ in range(100):
        shown = breakeven("fleet", "status", handed.path)
        if "came back" in shown.out:
            break
        time.sleep(0.1)
    assert handed.outcomes() in (["waiting"], ["running"])  # as it stood when its submitter was killed
    assert breakeven("fleet", "collect", handed.path).code == 0
    assert handed.outcomes() == ["done"]


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--on", "lokal"), "did you mean 'local'"),
        (("--on", "dstack"), "then `dstack apply -f FILE` for each FILE of FOLDER/files"),
    ],
)
def test_a_place_where_nothing_is_handed_out_is_one_line(handed: Handed, words: tuple[str, ...], why: str) -> None:
    handed.render(count=1)
    done = breakeven("fleet", "submit", handed.path, *words)
    assert (done.code, why in done.line()) == (2, True)


def test_a_folder_that_is_none_is_one_line(tmp_path: Path) -> None:
    for action in ("submit", "status", "collect", "stop"):
        done = breakeven("fleet", action, tmp_path)
        assert (done.code, "no folder of a fleet" in done.line()) == (2, True)
