"""A fleet on Nosana: each job is one deployment, whatever is lost or killed, and its result comes home."""

import signal
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from commands import breakeven, finish
from grid_server import serving, until
from handed import HandedOut
from nosana_server import NosanaServer

MARKET = "97G9NnvBDQ2WpKu6fasoMsAKmfj63C9rhysJnkeWodAf"
CREATE, ONE, JOBS, JOB = (
    "/api/deployments/create",
    "/api/deployments/Dep[0-9]+",
    "/api/deployments/Dep[0-9]+/jobs",
    "/api/deployments/Dep[0-9]+/jobs/JobDep[0-9]+",
)


class Handed(HandedOut):
    """With the server of the test."""

    def __init__(self, server: NosanaServer, folder: Path) -> None:
        env = {"NOSANA_API_URL": f"{server.url}/api", "NOSANA_API_KEY": server.key}
        super().__init__(folder, to="nosana", env=env, node=f'market = "{MARKET}"')
        self.server = server


@pytest.fixture
def server(tmp_path: Path) -> Iterator[NosanaServer]:
    starts = tmp_path / "starts"
    starts.mkdir()
    grid = NosanaServer(starts)
    with serving(grid):
        yield grid


@pytest.fixture
def handed(server: NosanaServer, tmp_path: Path) -> Handed:
    return Handed(server, tmp_path)


def each_once(handed: Handed) -> None:
    """Every job is one deployment, and ran once."""
    assert sorted(handed.server.named()) == [job.id for job in handed.jobs()]
    for job in handed.jobs():
        assert len(list(handed.server.starts.glob(f"{job.id}.*"))) == 1


@pytest.mark.parametrize("how", ["done", "logs cut"])
def test_jobs_become_deployments_and_their_results_come_home(handed: Handed, how: str, tmp_path: Path) -> None:
    handed.server.how = how
    handed.render(count=3, head="parallel = 2")
    done = handed.submit()
    assert (done.code, done.out) == (0, "0\n"), done.err
    assert handed.outcomes() == ["done"] * 3
    each_once(handed)
    assert {job.node for job in handed.jobs()} == {"NodeDep1", "NodeDep2", "NodeDep3"}
    taken = breakeven("fleet", "import", handed.path, "--to", tmp_path / "set")
    assert "3 new" in taken.out, taken.out + taken.err


def test_the_key_is_sent_and_stands_in_no_file(handed: Handed) -> None:
    handed.render(count=1)
    assert handed.submit().code == 0
    assert {headers["Authorization"] for headers in handed.server.headers} == {f"Bearer {handed.server.key}"}
    files = [file for file in handed.path.rglob("*") if file.is_file()]
    assert files
    assert all(handed.server.key.encode() not in file.read_bytes() for file in files)


@pytest.mark.parametrize("knows_keys", [True, False])
@pytest.mark.parametrize("does", ["lost", "never", 429, 500, 503])
def test_a_create_that_is_not_answered_well_makes_one_deployment(
    handed: Handed, does: int | str, knows_keys: bool
) -> None:
    handed.server.knows_keys = knows_keys
    handed.server.fault("POST", CREATE, does, does)
    handed.render(count=2)
    done = handed.submit()
    assert done.code == 0, done.err
    assert handed.outcomes() == ["done"] * 2
    each_once(handed)


def test_looks_that_fail_are_made_again(handed: Handed) -> None:
    for path, does in ((ONE, (500, "never")), (JOBS, (429, "lost")), (JOB, (503, "lost"))):
        handed.server.fault("GET", path, *does)
    handed.render(count=1)
    assert handed.submit().code == 0
    assert handed.outcomes() == ["done"]


def test_a_server_that_asks_to_wait_is_waited_for(handed: Handed) -> None:
    handed.server.fault("POST", CREATE, 429, Retry_After="1")
    handed.render(count=1)
    began_s = time.monotonic()
    assert handed.submit().code == 0
    assert time.monotonic() - began_s > 1.0
    each_once(handed)


def test_a_server_that_stays_away_ends_the_command_in_one_line_and_not_the_jobs(handed: Handed) -> None:
    handed.render(count=1)
    handed.server.how = "hangs"
    process = handed.start()
    until(lambda: handed.server.deployments)
    handed.server.fault("GET", ONE, *[502] * 9)
    done = finish(process)
    assert (done.code, "HTTP 502" in done.line()) == (1, True)
    assert handed.outcomes()[0] in ("waiting", "running")


@pytest.mark.parametrize("knows_keys", [True, False])
def test_a_draft_that_nobody_started_is_started_and_not_made_again(handed: Handed, knows_keys: bool) -> None:
    handed.server.autostarts, handed.server.knows_keys = False, knows_keys
    handed.server.fault("POST", CREATE, "lost")
    handed.render(count=1)
    assert handed.submit().code == 0
    assert handed.outcomes() == ["done"]
    each_once(handed)


@pytest.mark.parametrize("after", [1, 2, 3, 4])
def test_a_submitter_that_is_killed_goes_on_and_pays_nothing_twice(handed: Handed, after: int) -> None:
    handed.server.does = {"sleep_s": 0.3}
    handed.render(count=4, head="parallel = 2")
    process = handed.start()
    until(lambda: sum(path == CREATE for _, path in handed.server.asked) >= after)
    process.send_signal(signal.SIGKILL)
    finish(process)
    assert handed.submit().code == 0
    assert handed.outcomes() == ["done"] * 4
    each_once(handed)


def test_many_kills_at_odd_moments(handed: Handed) -> None:
    handed.server.knows_keys = False
    handed.render(count=5, head="parallel = 3")
    for number in range(6):
        process = handed.start()
        time.sleep(0.3 + 0.05 * number)
        process.kill()
        finish(process)
    assert handed.submit().code == 0
    assert handed.outcomes() == ["done"] * 5
    each_once(handed)


@pytest.mark.parametrize(
    ("how", "outcome", "why"),
    [
        ("image failed", "image_failed", "benchmark: no such image"),
        ("expired", "timed_out", "time limit"),
        ("shut down", "lost", "its node shut down"),
        ("stopped", "failed", "stopped"),
        ("no result", "lost", "told no result"),
        ("not listed", "no_node", "no such market"),
        ("never", "no_node", "no node took it within 0.5 s"),
        ("no money", "no_node", "too few credits"),
    ],
)
def test_every_outcome_is_told_with_its_reason(handed: Handed, how: str, outcome: str, why: str) -> None:
    handed.server.how = how
    handed.render(count=1, wait=0.5)
    assert handed.submit().code == 0
    (job,) = handed.jobs()
    assert (job.outcome, why in (job.reason or "")) == (outcome, True), job
    if how in ("never", "no money"):
        assert [one["status"] for one in handed.server.deployments.values()] == ["STOPPED"]


def test_what_no_node_took_is_given_out_again_under_a_name_of_its_own(handed: Handed) -> None:
    handed.render(count=1, head="tries = 2", wait=0.3)
    (job,) = handed.jobs()
    handed.server.by_name = {job.id: "never"}
    assert handed.submit().code == 0
    assert handed.outcomes() == ["done"]
    assert handed.server.named() == [job.id, f"{job.id}.2"]


def test_a_deployment_that_is_gone_is_a_lost_job(handed: Handed) -> None:
    handed.server.how = "hangs"
    handed.render(count=1)
    process = handed.start()
    until(lambda: "running" in handed.outcomes())
    handed.server.deployments.clear()
    assert finish(process).code == 0
    assert [(job.outcome, job.reason) for job in handed.jobs()] == [("lost", "Nosana knows it no more")]


def test_a_result_that_comes_late_is_waited_for(handed: Handed) -> None:
    handed.server.result_late_s = 0.5
    handed.render(count=1)
    assert handed.submit().code == 0
    assert handed.outcomes() == ["done"]


def test_stop_ends_the_deployments_and_status_tells_how_jobs_stand(handed: Handed) -> None:
    handed.server.how = "hangs"
    handed.render(count=2, head="parallel = 1")
    process = handed.start()
    until(lambda: "running" in handed.outcomes())
    process.kill()
    finish(process)
    assert "a node works on it" in handed.says("status").out
    stopped = handed.says("stop")
    assert stopped.code == 0, stopped.err
    assert handed.outcomes() == ["failed", "waiting"]
    assert [one["status"] for one in handed.server.deployments.values()] == ["STOPPED"]


@pytest.mark.parametrize(
    ("env", "code", "why"),
    [
        ({"NOSANA_API_KEY": ""}, 2, "needs an API key of your account in NOSANA_API_KEY"),
        ({"NOSANA_API_URL": "http://api.example/api"}, 2, "no https address"),
        ({"NOSANA_API_KEY": "nos_another"}, 1, "does not take the key in NOSANA_API_KEY (HTTP 401"),
    ],
)
def test_a_key_that_is_missing_or_wrong_is_one_line(
    handed: Handed, env: Mapping[str, str], code: int, why: str
) -> None:
    handed.render(count=1)
    done = handed.says("submit", **env)
    assert (done.code, why in done.line()) == (code, True), done.err


def test_a_schedule_is_not_submitted(handed: Handed) -> None:
    handed.render(count=1, head='cron = "0 3 * * 0"')
    done = handed.says("submit")
    assert (done.code, "cron" in done.line()) == (2, True)
    assert not handed.server.deployments


def test_a_body_that_is_refused_is_one_line_with_what_nosana_said(handed: Handed) -> None:
    handed.server.fault("POST", CREATE, 400)
    handed.render(count=1)
    done = handed.submit()
    assert (done.code, "HTTP 400 Bad Request: as the test said" in done.line()) == (1, True)
