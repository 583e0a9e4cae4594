"""Several client processes measure as one would, and none outlives its coordinator."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import psutil  # type: ignore[import-untyped]
import pytest
import uvloop

from breakeven.client.reference import ReferenceServer, Settings, Stamps
from breakeven.errors import RunFailedError, UsageError
from breakeven.load.level import Progress
from breakeven.load.merge import Tally, merged, on_our_clock, shares
from breakeven.load.worker import Counts
from breakeven.metrics.checks import check_level
from breakeven.metrics.level import summarise_level
from breakeven.record import Record
from breakeven.session.crew import parse_clients
from breakeven.store.folder import RunFolder
from fault_answers import answer
from fault_server import FaultServer
from fault_wire import Play
from faults import break_off, reset, stall, status, then_stall
from levels import FAST, Run, a_crew, a_level, a_plan, levels
from waiting import comes_true

STEADY = Settings(ttft_s=0.02, itl_s=0.004)


def children(pid: int | None = None) -> list[psutil.Process]:
    """The client processes of a process."""
    found = psutil.Process(pid).children(recursive=True)
    return [one for one in found if "breakeven.load.client_process" in " ".join(one.cmdline())]


def is_over(process: psutil.Process) -> bool:
    """Ended; where nobody reaps orphans, a zombie is what is left of it."""
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


# as one client


class Seen(NamedTuple):
    """A good level, by its clients and by the server."""

    run: Run
    stamps: Stamps
    open_s: float
    close_s: float


@pytest.fixture(scope="module", params=[(2, 5), (3, 8)], ids=["5 users on 2", "8 users on 3"])
def seen(request: pytest.FixtureRequest) -> Seen:
    clients, users = request.param
    with ReferenceServer(STEADY) as server:
        (run,) = levels(server.url, a_plan(users=users), clients=clients, tokens=20)
        stamps = server.stamps()
    assert run.facts.open_s is not None
    assert run.facts.close_s is not None
    return Seen(run, stamps, run.facts.open_s + run.zero_s, run.facts.close_s + run.zero_s)


def test_all_users_are_in_flight_at_the_server_and_never_more(seen: Seen) -> None:
    stamps, users = seen.stamps, seen.run.facts.users
    ends_s = [stamps.writes_of(i)[-1] if len(stamps.writes_of(i)) else np.inf for i in range(len(stamps.tag))]
    at_s = np.linspace(seen.open_s, seen.close_s, 500)[:, None]
    in_flight = ((stamps.arrival_s <= at_s) & (np.array(ends_s) >= at_s)).sum(axis=1)
    assert in_flight.max() == users
    checks = check_level(seen.run.facts, seen.run.records)
    assert checks is not None
    assert checks.in_flight == pytest.approx(users, rel=0.01)


def test_user_i_belongs_to_client_i_mod_n(seen: Seen) -> None:
    clients = len(seen.run.facts.clients)
    assert [client.client for client in seen.run.facts.clients] == list(range(clients))
    assert {record.client for record in seen.run.records} == set(range(clients))
    assert all(record.client == record.user % clients for record in seen.run.records)


def test_several_clients_read_what_the_server_wrote(seen: Seen) -> None:
    inside = (seen.stamps.write_s > seen.open_s) & (seen.stamps.write_s <= seen.close_s)
    written = inside.sum() / (seen.close_s - seen.open_s)
    read = summarise_level(seen.run.facts, seen.run.records)
    assert read.output_tok_per_s.value == pytest.approx(written, rel=0.02)
    assert seen.run.facts.notes == ()


def test_the_window_of_several_clients_is_as_long_as_was_asked_for(seen: Seen) -> None:
    assert FAST["duration_s"] <= seen.close_s - seen.open_s < FAST["duration_s"] + 0.2


@pytest.mark.parametrize(("clients", "users", "requests"), [(2, 5, 23), (3, 4, 31)])
def test_exactly_n_requests_are_measured(clients: int, users: int, requests: int) -> None:
    plan = a_plan(users=users, requests=requests, duration_s=None, warmup_s=0.0)
    with ReferenceServer(STEADY) as server:
        (run,) = levels(server.url, plan, clients=clients)
    measured = [record for record in run.records if record.measured]
    assert len(measured) == requests
    assert all(record.status == "done" and record.k > 0 for record in measured)
    assert run.facts.stopped == "requests"
    assert run.facts.open_s == pytest.approx(min(record.due_s for record in measured), abs=1e-6)
    assert run.facts.close_s == pytest.approx(max(record.due_s for record in measured), abs=1e-6)


def test_no_request_is_sent_twice_or_lost_between_clients_and_levels() -> None:
    with ReferenceServer(STEADY) as server:
        runs = levels(server.url, a_plan(users=3), a_plan(users=1), a_plan(users=5), clients=2)
        tags = Counter(str(tag) for tag in server.stamps().tag)
    asked = Counter(record.prompt for run in runs for record in run.records)
    assert asked == tags
    assert set(asked.values()) == {1}
    assert [len({record.user for record in run.records}) for run in runs] == [3, 1, 5]


def test_shares_are_whole_and_in_proportion() -> None:
    assert shares(10, [3, 2, 2]) == [4, 3, 3]
    assert shares(7, [1, 1, 1]) == [2, 3, 2]
    assert shares(2, [5]) == [2]
    assert all(sum(shares(n, [4, 3, 1])) == n for n in range(50))


def counted(at_s: float, chunks: int, **fields: Any) -> Counts:
    known: dict[str, Any] = {"users_begun": 2, "users_failed": 0, "in_flight": 2, "done": 0, "errors": 0}
    return Counts(at_s=at_s, chunks=chunks, **known | {"tokens_per_chunk": 1.0, "e2e_s": []} | fields)


def test_what_clients_told_is_summed_at_the_latest_time_that_all_have_told_of() -> None:
    first, second = Tally(2, start_s=10.0), Tally(2, start_s=10.0)
    first.take(counted(10.1, 10))
    assert merged([first, second], now_s=10.15).at_s == 10.0
    second.take(counted(10.15, 30))
    first.take(counted(10.2, 30))
    both = merged([first, second], now_s=10.21)
    assert (both.at_s, both.chunks) == (10.15, 50)  # 20 of the first by then, 30 of the second
    second.is_dead = True
    both = merged([first, second], now_s=10.22)
    assert (both.at_s, both.chunks, both.users_begun, both.in_flight) == (10.2, 60, 4, 2)


def test_every_time_that_a_client_told_is_put_on_our_clock() -> None:
    there = counted(110.5, 7, measured_due_s=(103.0, 108.0), e2e_s=[1.5])
    here = on_our_clock(there, offset_s=100.0)
    assert here == counted(10.5, 7, measured_due_s=(3.0, 8.0), e2e_s=[1.5])
    assert on_our_clock(counted(110.5, 7), offset_s=100.0) == counted(10.5, 7)


@pytest.mark.parametrize("text", ["0", "two", "-1", "ray", "ray:", "slurm:2", "257", "1.5"])
def test_what_is_no_number_of_clients_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--clients"):
        parse_clients(text)


def test_clients_are_counted_here_or_on_ray() -> None:
    assert parse_clients("4") == (False, 4)
    assert parse_clients("ray:16") == (True, 16)


# faults of the server


@pytest.mark.parametrize(
    ("script", "kind"),
    [
        ([*[answer()] * 12, *[status(503)] * 6, answer()], "http_503"),
        ([*[answer()] * 12, *[reset()] * 6, answer()], "reset"),
        ([*[answer()] * 12, break_off(then_stall), stall(), answer()], None),
    ],
    ids=["503", "reset", "stall"],
)
def test_faults_are_records_whichever_client_met_them(script: list[Play], kind: str | None) -> None:
    with FaultServer(script) as server:
        (run,) = levels(server.url, a_plan(users=4), clients=2)
    assert run.facts.status == "done"
    assert run.facts.notes == ()
    errors = Counter(record.error for record in run.records if record.status == "error")
    assert set(errors) == ({kind} if kind else set())
    assert sum(errors.values()) + sum(record.reconnected for record in run.records) == (6 if kind else 0)
    assert len([record for record in run.records if record.status == "done"]) > 10


@pytest.mark.parametrize("clients", [1, 2])
def test_how_long_an_answer_is_waited_for_reaches_every_client(clients: int) -> None:
    with FaultServer([stall()]) as server:
        (run,) = levels(server.url, a_plan(users=4), clients=clients, timeout_s=0.2)
    errors = Counter((record.error, record.client) for record in run.records if record.status == "error")
    assert set(errors) == {("timeout", client) for client in range(clients)}


def test_a_server_that_dies_leaves_errors_and_the_level_goes_on() -> None:
    with ReferenceServer(STEADY) as server:

        def watch(progress: Progress) -> None:
            if progress.phase == "measuring" and progress.phase_s > 0.3 and psutil.pid_exists(server.pid):
                os.kill(server.pid, signal.SIGKILL)

        async def go() -> Run:
            async with a_crew(server.url, clients=2) as crew:
                return await a_level(crew, a_plan(), watch=watch)

        run = uvloop.run(go())
    assert run.facts.stopped == "duration"
    errors = Counter(record.error for record in run.records if record.status == "error")
    assert errors["connect"] > 0
    assert {record.client for record in run.records if record.status == "error"} == {0, 1}


@pytest.mark.parametrize("clients", [1, 2])
def test_a_fault_of_ours_on_a_client_stops_the_run_with_its_reason(clients: int) -> None:
    no_number: Any = None
    with ReferenceServer(STEADY) as server, pytest.raises((TypeError, RunFailedError)) as raised:
        levels(server.url, a_plan(), clients=clients, tokens=no_number)
    if clients > 1:
        assert re.match(r"client process [12] failed: TypeError: unsupported operand", str(raised.value))
    assert children() == []


# death of a client


def test_the_users_of_a_killed_client_are_not_replaced_and_the_next_level_has_all_again() -> None:
    killed: list[int] = []

    def watch(progress: Progress) -> None:
        if progress.phase == "measuring" and progress.phase_s > 0.3 and not killed:
            killed.append(children()[-1].pid)
            os.kill(killed[0], signal.SIGKILL)

    async def go(url: str) -> tuple[Run, Run]:
        async with a_crew(url, clients=2, tokens=20) as crew:
            return await a_level(crew, a_plan(), watch=watch), await a_level(crew, a_plan())

    with ReferenceServer(STEADY) as server:
        first, second = uvloop.run(go(server.url))
    assert first.facts.status == "done"
    (note,) = first.facts.notes
    assert note.id == "client_died"
    assert note.text.startswith("client process 2 of 2 ended in mid-level (exit code -9); its 2 users were not")
    assert first.facts.open_s is not None
    late = [record for record in first.records if record.due_s > first.facts.open_s + 0.6]
    assert {record.client for record in late} == {0}
    assert any(record.client == 1 and record.status == "done" for record in first.records)
    checks = check_level(first.facts, first.records)
    assert checks is not None
    assert checks.in_flight is not None
    assert checks.in_flight < 3.9
    assert second.facts.notes == ()
    assert {record.user for record in second.records} == {0, 1, 2, 3}
    assert children() == []


def test_a_client_lost_in_an_open_loop_leaves_its_share_of_the_requests_unasked() -> None:
    killed: list[int] = []
    begun: list[int] = []

    def watch(progress: Progress) -> None:
        if progress.phase == "measuring" and progress.phase_s > 0.3 and not killed:
            killed.append(children()[-1].pid)
            os.kill(killed[0], signal.SIGKILL)

    async def go(url: str) -> Run:
        async with a_crew(url, clients=2, is_open=True) as crew:
            run = await a_level(crew, a_plan(users=None, req_per_s=60.0, ramp_s=0.0), watch=watch)
            begun.extend(client.tally.users for client in crew._active)
            return run

    with ReferenceServer(STEADY) as server:
        run = uvloop.run(go(server.url))
    (note,) = run.facts.notes
    assert "(exit code -9); its share of the requests was not replaced" in note.text
    assert note.remedy.startswith("measure this level again")
    assert begun == [0, 0]


def test_a_client_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("breakeven.load.remote._LOST_S", 0.5)
    stopped: list[int] = []

    def watch(progress: Progress) -> None:
        if progress.phase == "measuring" and not stopped:
            stopped.append(children()[-1].pid)
            os.kill(stopped[0], signal.SIGSTOP)

    async def go(url: str) -> Run:
        async with a_crew(url, clients=2) as crew:
            return await a_level(crew, a_plan(duration_s=1.5), watch=watch)

    with ReferenceServer(STEADY) as server:
        run = uvloop.run(go(server.url))
    assert run.facts.stopped == "duration"
    (note,) = run.facts.notes
    assert note.text.startswith("client process 2 of 2 told nothing for 0.5 s and was given up; its 2 users were")
    assert not psutil.pid_exists(stopped[0])


def test_a_client_that_hangs_at_the_end_of_a_level_does_not_hold_it_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("breakeven.load.remote._LOST_S", 2.0)
    stopped: list[float] = []

    def watch(progress: Progress) -> None:
        if progress.phase == "measuring" and progress.phase_s > 0.6 and not stopped:
            stopped.append(time.perf_counter())
            os.kill(children()[-1].pid, signal.SIGSTOP)

    async def go(url: str) -> tuple[Run, float]:
        async with a_crew(url, clients=2) as crew:
            run = await a_level(crew, a_plan(duration_s=1.0), watch=watch)
            return run, time.perf_counter() - stopped[0]

    with ReferenceServer(STEADY) as server:
        run, took_s = uvloop.run(go(server.url))
    assert "told nothing for 2 s and was given up" in run.facts.notes[0].text
    assert took_s < 4.0


def test_when_all_clients_are_killed_the_level_fails_and_their_records_are_kept() -> None:
    kept: list[Record] = []

    def watch(progress: Progress) -> None:
        if progress.phase == "measuring" and progress.phase_s > 0.3:
            for child in children():
                child.kill()

    async def go(url: str) -> None:
        async with a_crew(url, clients=2) as crew:
            await a_level(crew, a_plan(), watch=watch, kept=kept)

    with ReferenceServer(STEADY) as server, pytest.raises(RunFailedError, match="every client process ended"):
        uvloop.run(go(server.url))
    assert len(kept) > 10
    assert children() == []


def test_a_client_that_cannot_start_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(RunFailedError, match=r"client process 1 could not start: it ended with exit code 1"):
        levels("http://127.0.0.1:1", a_plan(), clients=2)


# the command


def run_command(url: str, out: Path, *more: str, **environment: str) -> subprocess.Popen[bytes]:
    words = ["run", "--url", url, "--clients", "2", "--users", "4", "--warmup", "0.3s", "--out", str(out), *more]
    return subprocess.Popen(
        [sys.executable, "-m", "breakeven", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | environment,
        bufsize=0,  # so that what `measuring` has not read is left to `communicate`
    )


def measuring(running: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """The client processes, half a second after the window has opened."""
    assert running.stderr is not None
    assert any(b"measuring" in line for line in iter(running.stderr.readline, b""))
    time.sleep(0.5)
    clients = children(running.pid)
    assert len(clients) == 2
    return clients


def test_the_key_reaches_the_clients_through_their_pipe_alone(tmp_path: Path) -> None:
    """Nor do they, nor what samples the machine, get any other variable that they do not need."""
    seen: list[str] = []
    with FaultServer() as server:
        flags = ("--api-key-env", "MY_KEY", "--duration", "1.5s")
        with run_command(server.url, tmp_path, *flags, MY_KEY="hush-hush", OTHERS="hush-hush-too") as running:
            assert comes_true(lambda: len(children(running.pid)) == 2)
            for child in children(running.pid):
                seen += [*child.cmdline(), *(f"{name}={value}" for name, value in child.environ().items())]
            assert running.wait(30) == 0
        asked = server.asked
    assert {request.headers["authorization"] for request in asked} == {"Bearer hush-hush"}
    assert not [text for text in seen if "hush-hush" in text]
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert files
    assert not [path for path in files if b"hush-hush" in path.read_bytes()]


def test_ctrl_c_keeps_the_records_and_leaves_no_process(tmp_path: Path) -> None:
    with ReferenceServer(STEADY) as server, run_command(server.url, tmp_path, "--duration", "60s") as running:
        clients = measuring(running)
        running.send_signal(signal.SIGINT)
        assert running.wait(20) == 130
        assert comes_true(lambda: all(is_over(client) for client in clients))
        server_saw = server.truth()["complete"]
    (folder,) = tmp_path.iterdir()
    ((facts, records),) = RunFolder.open(folder).levels()
    assert facts.status == "interrupted"
    assert sum(record.status == "done" for record in records) >= server_saw - 8


def test_clients_end_with_a_coordinator_that_is_killed(tmp_path: Path) -> None:
    with ReferenceServer(STEADY) as server, run_command(server.url, tmp_path, "--duration", "60s") as running:
        clients = measuring(running)
        running.kill()
        running.wait()
        assert comes_true(lambda: all(is_over(client) for client in clients))
    (folder,) = tmp_path.iterdir()
    ((facts, records),) = RunFolder.open(folder).levels()
    assert facts.status == "interrupted"
    assert records


def test_a_run_whose_clients_all_die_says_so_and_exits_1(tmp_path: Path) -> None:
    with ReferenceServer(STEADY) as server, run_command(server.url, tmp_path, "--duration", "60s") as running:
        for client in measuring(running):
            client.kill()
        _, said = running.communicate(timeout=20)
    assert running.returncode == 1
    assert b"breakeven: every client process ended in mid-level" in said
    (folder,) = tmp_path.iterdir()
    ((facts, records),) = RunFolder.open(folder).levels()
    assert facts.status == "interrupted"
    assert records


def test_a_run_that_lost_a_client_says_so_keeps_what_it_had_and_marks_the_level(tmp_path: Path) -> None:
    flags = ("--duration", "2s", "--json", str(tmp_path / "out.json"))
    with ReferenceServer(STEADY) as server, run_command(server.url, tmp_path / "runs", *flags) as running:
        measuring(running)[0].kill()
        out, err = (text.decode() for text in running.communicate(timeout=30))
    assert running.returncode == 0
    when, finished = err.splitlines()[-2:]
    assert re.fullmatch(r"4 users: client process [12] of 2 ended in mid-level \(exit code -9\); its 2 .*", when)
    assert finished.endswith("stopped by duration  ! 1 client lost")
    assert re.search(r"duration( \?)? !\n", out)
    assert "! a client was lost: not the load that was asked for; --resume measures it again" in out
    (folder,) = (tmp_path / "runs").iterdir()
    shown = subprocess.run([sys.executable, "-m", "breakeven", "show", str(folder)], check=True, capture_output=True)
    for said in (out, shown.stdout.decode()):
        assert "of 2 ended in mid-level (exit code -9); its 2 users were not replaced" in " ".join(said.split())
    (level,) = json.loads((tmp_path / "out.json").read_text())["levels"]
    assert "client_died" in [caution["id"] for caution in level["cautions"]]
    assert level["steady"] is False
    ((facts, records),) = RunFolder.open(folder).levels()
    assert (facts.status, facts.stopped) == ("done", "duration")
    assert {record.client for record in records} == {0, 1}


def test_a_level_that_lost_a_client_is_measured_again_by_resume(tmp_path: Path) -> None:
    with ReferenceServer(STEADY) as server:
        with run_command(server.url, tmp_path, "--duration", "2s") as running:
            measuring(running)[0].kill()
            assert running.wait(30) == 0
        (folder,) = (RunFolder.open(path) for path in tmp_path.iterdir())
        assert folder.finished() == []
        again = [sys.executable, "-m", "breakeven", "run", "--resume", str(folder.path)]
        done = subprocess.run(again, check=True, capture_output=True, text=True)
    assert "nothing is left to measure" not in done.stderr
    ((facts, _),) = folder.levels()
    assert (facts.clients_lost, folder.finished()) == (0, [facts])


def test_shared_text_is_the_same_for_all_clients_of_a_level_and_for_no_other_level(tmp_path: Path) -> None:
    flags = ("--workload", "conversation", "--option", "prefix-tokens=30", "--output-tokens", "4", "--repeats", "2")
    with FaultServer() as server, run_command(server.url, tmp_path, *flags, "--duration", "0.5s") as running:
        assert running.wait(30) == 0
        asked = [request.json for request in server.asked if request.json["max_tokens"] > 1 or request.json["stream"]]
    prefixes: dict[str, list[int]] = {}
    for number, body in enumerate(asked):
        if len(body["messages"]) > 1 and body["messages"][0]["role"] == "system":
            prefixes.setdefault(body["messages"][0]["content"], []).append(number)
    first, second = sorted(prefixes.values())
    assert len(first) > 8
    assert len(second) > 8
    assert first[-1] < second[0]
