"""What holds of every place that is a server: whatever is lost, a job is paid once and its result comes home."""

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from breakeven.app.fleet_jobs import opened
from breakeven.fleet.jobs.place import PLACES
from commands import breakeven, finish
from grid_server import until
from on_server import SERVERS, OnServer, on_server


@pytest.fixture(params=[name for name in PLACES if name != "local"])
def handed(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OnServer]:
    with on_server(request.param, tmp_path) as found:
        yield found


def test_every_place_that_is_a_server_has_one_in_the_tests() -> None:
    assert list(SERVERS) == [name for name in PLACES if name != "local"]


def test_jobs_are_made_there_and_their_results_come_home(handed: OnServer, tmp_path: Path) -> None:
    handed.render(count=3, head="parallel = 2")
    done = handed.submit()
    assert (done.code, done.out) == (0, "0\n"), done.err
    assert handed.outcomes() == ["done"] * 3
    handed.each_once()
    assert {job.node for job in handed.jobs()} == handed.server.nodes(3)
    taken = breakeven("fleet", "import", handed.path, "--to", tmp_path / "set")
    assert "3 new" in taken.out, taken.out + taken.err


def test_the_key_is_sent_and_stands_in_no_file(handed: OnServer) -> None:
    handed.render(count=1)
    assert handed.submit().code == 0
    told = {value for one in handed.server.headers for name, value in one.items() if name.lower() == "authorization"}
    assert told == {f"Bearer {handed.server.key}"}
    files = [file for file in handed.path.rglob("*") if file.is_file()]
    assert files
    assert all(handed.server.key.encode() not in file.read_bytes() for file in files)


@pytest.mark.parametrize("does", ["lost", "never", 429, 500, 503])
def test_what_is_asked_for_and_not_answered_well_is_made_once(handed: OnServer, does: int | str) -> None:
    handed.server.fault("POST", handed.server.create, does, does)
    handed.render(count=2)
    done = handed.submit()
    assert done.code == 0, done.err
    assert handed.outcomes() == ["done"] * 2
    handed.each_once()


@pytest.mark.parametrize("does", [(500, "never"), (429, "lost"), (503, "lost")])
def test_looks_that_fail_are_made_again(handed: OnServer, does: tuple[int, str]) -> None:
    for path in handed.server.looks:
        handed.server.fault("GET", path, *does)
    handed.render(count=1)
    done = handed.submit()
    assert done.code == 0, done.err
    assert handed.outcomes() == ["done"]


def test_a_server_that_asks_to_wait_is_waited_for(handed: OnServer) -> None:
    handed.server.fault("POST", handed.server.create, 429, Retry_After="1")
    handed.render(count=1)
    began_s = time.monotonic()
    assert handed.submit().code == 0
    assert time.monotonic() - began_s > 1.0
    handed.each_once()


def test_a_server_that_stays_away_ends_the_command_in_one_line_and_not_the_jobs(handed: OnServer) -> None:
    handed.render(count=1)
    handed.server.how = "hangs"
    process = handed.start()
    until(lambda: handed.server.made())
    handed.server.fault("GET", handed.server.looks[0], *[502] * 9)
    done = finish(process)
    assert (done.code, "HTTP 502" in done.line()) == (1, True)
    assert handed.outcomes()[0] in ("waiting", "running")


@pytest.mark.parametrize("after", [1, 2, 3, 4])
def test_a_submitter_that_is_killed_goes_on_and_pays_nothing_twice(handed: OnServer, after: int) -> None:
    handed.server.does = {"sleep_s": 0.3}
    handed.render(count=4, head="parallel = 2")
    process = handed.start()
    until(lambda: handed.server.asked.count(("POST", handed.server.create)) >= after)
    process.send_signal(signal.SIGKILL)
    finish(process)
    assert handed.submit().code == 0
    assert handed.outcomes() == ["done"] * 4
    handed.each_once()


def test_what_no_node_took_is_given_out_again_under_a_name_of_its_own(handed: OnServer) -> None:
    handed.render(count=1, head="tries = 2", wait=0.3)
    (job,) = handed.jobs()
    handed.server.by_name = {job.id: "never"}
    assert handed.submit().code == 0
    assert handed.outcomes() == ["done"]
    assert handed.server.asked.count(("POST", handed.server.create)) == 2
    assert handed.server.under_way() == ([handed.server.second.format(job.id)] if handed.server.keeps else [])


def test_a_try_that_was_meant_long_ago_waits_for_a_node_from_when_it_is_given_out(handed: OnServer) -> None:
    handed.server.how = "never"
    handed.server.fault("POST", handed.server.create, *[503] * 9)
    handed.render(count=1, wait=3.0)
    assert handed.submit().code == 1
    (job,) = handed.jobs()
    opened(handed.path).keep(replace(job, submitted="2026-11-01T00:00:00+00:00"))
    began_s = time.monotonic()
    assert handed.submit().code == 0
    assert handed.outcomes() == ["no_node"]
    assert time.monotonic() - began_s > 3.0


def test_what_the_server_knows_no_more_is_a_lost_job(handed: OnServer) -> None:
    handed.server.how = "hangs"
    handed.render(count=1)
    process = handed.start()
    until(lambda: "running" in handed.outcomes())
    handed.server.forget()
    assert finish(process).code == 0
    (job,) = handed.jobs()
    assert (job.outcome, "knows it no more" in (job.reason or "")) == ("lost", True)


def test_stop_ends_what_is_there_and_status_tells_how_jobs_stand(handed: OnServer) -> None:
    handed.server.how = "hangs"
    handed.render(count=2, head="parallel = 1")
    process = handed.start()
    until(lambda: "running" in handed.outcomes())
    process.kill()
    finish(process)
    assert "a node works on it" in handed.says("status").out
    stopped = handed.says("stop")
    assert stopped.code == 0, stopped.err
    assert [(job.outcome, job.reason) for job in handed.jobs()] == [("failed", "stopped"), ("waiting", None)]
    assert handed.server.under_way() == []


@pytest.mark.parametrize("does", ["never", "silent", 401, 503])
def test_status_answers_at_once_where_its_place_does_not(handed: OnServer, does: int | str) -> None:
    handed.server.how = "hangs"
    handed.render(count=2)
    process = handed.start()
    until(lambda: handed.outcomes() == ["running"] * 2)
    process.kill()
    finish(process)
    handed.server.fault("GET", handed.server.looks[0], *[does] * 9)
    began_s = time.monotonic()
    shown = handed.says("status")
    assert time.monotonic() - began_s < 60.0  # it asked for more than four minutes
    assert (shown.code, shown.err) == (0, "")
    assert "a node works on it" in shown.out
    assert f"as of our last look, since {handed.to}" in shown.out, shown.out


def test_a_schedule_is_not_submitted(handed: OnServer) -> None:
    if handed.to == "skypilot":
        with pytest.raises(AssertionError, match="skypilot has no schedule"):
            handed.render(count=1, head='cron = "0 3 * * 0"')
        return
    handed.render(count=1, head='cron = "0 3 * * 0"')
    done = handed.says("submit")
    assert (done.code, "cron" in done.line()) == (2, True)
    assert not handed.server.made()


def test_a_body_that_is_refused_is_one_line_with_what_the_server_said(handed: OnServer) -> None:
    handed.server.fault("POST", handed.server.create, 400)
    handed.render(count=1)
    done = handed.submit()
    assert (done.code, "HTTP 400 Bad Request: as the test said" in done.line()) == (1, True)
