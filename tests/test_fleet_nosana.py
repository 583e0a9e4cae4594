"""What is Nosana's own of a fleet that is handed out there; what holds of every server is in test_fleet_servers.py."""

import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from commands import finish
from grid_server import until
from on_server import OnServer, on_server


@pytest.fixture
def handed(tmp_path: Path) -> Iterator[OnServer]:
    with on_server("nosana", tmp_path) as found:
        yield found


def test_where_logs_are_cut_the_result_is_what_nosana_found_in_them(handed: OnServer) -> None:
    handed.server.how = "logs cut"
    handed.render(count=3, head="parallel = 2")
    assert handed.submit().code == 0
    assert handed.outcomes() == ["done"] * 3
    handed.each_once()


@pytest.mark.parametrize("does", ["lost", "never", 429, 500, 503])
def test_a_server_that_reads_no_idempotency_key_makes_one_deployment_too(handed: OnServer, does: int | str) -> None:
    handed.server.knows_keys = False
    handed.server.fault("POST", handed.server.create, does, does)
    handed.render(count=2)
    done = handed.submit()
    assert done.code == 0, done.err
    assert handed.outcomes() == ["done"] * 2
    handed.each_once()


@pytest.mark.parametrize("knows_keys", [True, False])
def test_a_draft_that_nobody_started_is_started_and_not_made_again(handed: OnServer, knows_keys: bool) -> None:
    handed.server.autostarts, handed.server.knows_keys = False, knows_keys
    handed.server.fault("POST", handed.server.create, "lost")
    handed.render(count=1)
    assert handed.submit().code == 0
    assert handed.outcomes() == ["done"]
    handed.each_once()


def test_many_kills_at_odd_moments(handed: OnServer) -> None:
    handed.server.knows_keys = False
    handed.render(count=5, head="parallel = 3")
    for number in range(6):
        process = handed.start()
        time.sleep(0.3 + 0.05 * number)
        process.kill()
        finish(process)
    assert handed.submit().code == 0
    assert handed.outcomes() == ["done"] * 5
    handed.each_once()


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
def test_every_outcome_is_told_with_its_reason(handed: OnServer, how: str, outcome: str, why: str) -> None:
    handed.ends_so(how, outcome, why)
    if how in ("never", "no money"):
        assert [one["status"] for one in handed.server.deployments.values()] == ["STOPPED"]


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ("of another form", "of an unknown form: Expected `array | null`, got `int`"),
        ("nested", "nested too deep"),
        ("too large", "larger than 96 MiB"),
    ],
)
def test_what_a_node_tells_and_nobody_can_read_counts_against_its_job_alone(
    handed: OnServer, how: str, why: str
) -> None:
    handed.render(count=3, head="parallel = 1")
    first, *_ = handed.jobs()
    handed.server.by_name = {first.id: how}
    done = handed.submit()
    assert (done.code, done.out) == (0, "0\n"), done.err
    assert handed.outcomes() == ["refused", "done", "done"]
    assert why in (handed.jobs()[0].reason or "")
    handed.each_once()


def test_an_answer_of_nosanas_own_that_cannot_be_read_ends_the_command_and_no_job(handed: OnServer) -> None:
    handed.server.how = "hangs"
    handed.render(count=1)
    process = handed.start()
    until(lambda: "running" in handed.outcomes())
    handed.server.of_another_form = True
    done = finish(process)
    assert (done.code, "of an unknown form" in done.line()) == (1, True), done.err
    assert handed.outcomes() == ["running"]


def test_a_result_that_comes_late_is_waited_for(handed: OnServer) -> None:
    handed.server.result_late_s = 0.5
    handed.render(count=1)
    assert handed.submit().code == 0
    assert handed.outcomes() == ["done"]


@pytest.mark.parametrize(
    ("env", "code", "why"),
    [
        ({"NOSANA_API_KEY": ""}, 2, "needs an API key of your account in NOSANA_API_KEY"),
        ({"NOSANA_API_URL": "http://api.example/api"}, 2, "no https address"),
        ({"NOSANA_API_KEY": "nos_another"}, 1, "does not take the key in NOSANA_API_KEY (HTTP 401"),
    ],
)
def test_a_key_that_is_missing_or_wrong_is_one_line(
    handed: OnServer, env: Mapping[str, str], code: int, why: str
) -> None:
    handed.render(count=1)
    done = handed.says("submit", **env)
    assert (done.code, why in done.line()) == (code, True), done.err
