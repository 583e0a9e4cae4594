"""What is SkyPilot's own of a fleet there; what holds of every server is in test_fleet_servers.py."""

import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from commands import finish
from grid_server import until
from on_server import OnServer, on_server


@pytest.fixture
def handed(tmp_path: Path) -> Iterator[OnServer]:
    with on_server("skypilot", tmp_path) as found:
        yield found


@pytest.mark.parametrize(
    ("how", "outcome", "why"),
    [
        ("no cloud", "no_node", "No cloud is enabled."),
        ("no resources", "no_node", "Failed to acquire resources in all zones in US"),
        ("wrong", "failed", "ValueError: Invalid accelerator: RTX4091"),
        ("restarted", "lost", "server was restarted"),
        ("interrupted", "lost", "server was restarted"),
        ("expired", "timed_out", "time limit"),
        ("driver", "lost", "was killed"),
        ("cancelled", "failed", "stopped"),
        ("preempted", "lost", "its machine is gone: Command python3"),
        ("never", "no_node", "within 0.5 s: Waiting for provider-level resources"),
    ],
)
def test_every_outcome_is_told_with_its_reason_and_no_machine_is_kept(
    handed: OnServer, how: str, outcome: str, why: str
) -> None:
    handed.server.how = how
    handed.render(count=1, wait=0.5)
    assert handed.submit().code == 0
    (job,) = handed.jobs()
    assert (job.outcome, why in (job.reason or "")) == (outcome, True), job
    assert handed.server.under_way() == []
    assert all(one["status"] != "RUNNING" for one in handed.server.requests)


def test_a_job_that_fails_tells_its_exit_code_and_its_last_line(handed: OnServer) -> None:
    handed.server.does = {"exit": 9}
    handed.render(count=1)
    assert handed.submit().code == 0
    (job,) = handed.jobs()
    assert (job.outcome, job.reason) == ("failed", "exit code 9: no engine here")
    assert handed.server.under_way() == []


@pytest.mark.parametrize("how", ["log cut", "log fails"])
def test_a_log_that_did_not_come_whole_is_fetched_again(handed: OnServer, how: str) -> None:
    handed.server.how = how
    handed.render(count=2, head="parallel = 1")
    assert handed.submit().code == 0
    assert handed.outcomes() == ["done"] * 2
    handed.each_once()


@pytest.mark.parametrize("path", ["/queue", "/logs", "/down"])
@pytest.mark.parametrize("does", ["lost", "never", 500, 503])
def test_what_is_asked_of_a_cluster_and_fails_is_asked_again(handed: OnServer, path: str, does: int | str) -> None:
    handed.server.fault("POST", path, does)
    handed.render(count=1)
    done = handed.submit()
    assert done.code == 0, done.err
    assert handed.outcomes() == ["done"]


def test_keys_of_the_environment_are_sent_and_others_left_out(handed: OnServer, tmp_path: Path) -> None:
    (tmp_path / ".sky").mkdir()
    (tmp_path / ".sky" / "user_hash").write_text("1a2b3c4d\n")
    handed.env |= {"HOME": str(tmp_path), "BREAKEVEN_RESULT_KEY": "a-key-that-signs"}
    handed.env.pop("SKYPILOT_USER_ID", None)
    handed.render(count=1)
    assert handed.submit().code == 0
    assert handed.outcomes() == ["done"]
    assert [task["secrets"] for task in handed.server.tasks] == [{"BREAKEVEN_RESULT_KEY": "a-key-that-signs"}]
    assert all(b"a-key-that-signs" not in file.read_bytes() for file in handed.path.rglob("*") if file.is_file())
    assert handed.server.users == {"1a2b3c4d"}


def test_a_task_without_keys_names_none(handed: OnServer) -> None:
    handed.env.pop("BREAKEVEN_RESULT_KEY", None)
    handed.render(count=1)
    assert handed.submit().code == 0
    (task,) = handed.server.tasks
    assert "secrets" not in task
    assert task["resources"]["accelerators"] == "rtx4090:1"


def test_a_name_and_a_password_in_the_address_are_sent_as_such(handed: OnServer) -> None:
    at = handed.server.url.removeprefix("http://")
    handed.env |= {"SKYPILOT_API_SERVER_ENDPOINT": f"http://me:p%40ss@{at}", "SKYPILOT_SERVICE_ACCOUNT_TOKEN": ""}
    handed.render(count=1)
    done = handed.submit()
    assert (done.code, "does not take who asks (HTTP 401" in done.line()) == (1, True)
    assert "p@ss" not in done.err
    assert "p%40ss" not in done.err
    assert handed.server.headers[-1]["Authorization"] == "Basic bWU6cEBzcw=="


@pytest.mark.parametrize(
    ("env", "code", "why"),
    [
        ({"SKYPILOT_API_SERVER_ENDPOINT": "http://sky.example:46580"}, 2, "the key would be sent openly"),
        (
            {
                "SKYPILOT_API_SERVER_ENDPOINT": "http://sky.example:46580",
                "SKYPILOT_SERVICE_ACCOUNT_TOKEN": "",
                "BREAKEVEN_RESULT_KEY": "k",
            },
            2,
            "keys of the environment would be sent openly",
        ),
        ({"SKYPILOT_API_SERVER_ENDPOINT": "here"}, 2, "is no http address"),
        ({"SKYPILOT_API_SERVER_ENDPOINT": "http://127.0.0.1:9"}, 1, "`sky api start` starts one here"),
        ({"SKYPILOT_SERVICE_ACCOUNT_TOKEN": "sky_another"}, 1, "does not take who asks (HTTP 401"),
    ],
)
def test_a_server_that_is_not_there_or_refuses_is_one_line_at_once(
    handed: OnServer, env: Mapping[str, str], code: int, why: str
) -> None:
    handed.render(count=1)
    began_s = time.monotonic()
    done = handed.says("submit", **env)
    assert (done.code, why in done.line()) == (code, True), done.err
    assert time.monotonic() - began_s < 60.0  # what does not answer later is asked for four minutes


def test_a_server_that_is_too_old_is_refused(handed: OnServer) -> None:
    handed.server.version = "23"
    handed.render(count=1)
    done = handed.says("submit")
    assert (done.code, "is too old" in done.line()) == (2, True)
    assert not handed.server.made()


def test_a_machine_that_could_not_be_taken_down_is_told(handed: OnServer) -> None:
    handed.server.how = "hangs"
    handed.render(count=1)
    process = handed.start()
    until(lambda: "running" in handed.outcomes())
    process.kill()
    finish(process)
    handed.server.stays_up = True
    stopped = handed.says("stop")
    (job,) = handed.jobs()
    assert (stopped.code, f"take it down by `sky down {job.id}`" in stopped.line()) == (1, True), stopped.err
    assert job.outcome == "running"
