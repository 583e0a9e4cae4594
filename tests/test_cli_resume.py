"""A run that was killed goes on where it was: finished levels are kept, the broken one is measured again."""

import contextlib
import signal
import subprocess
import time
from pathlib import Path

import pytest

from commands import LEVELS, breakeven, finish, run_folder, start
from fault_answers import answer, reply
from fault_server import FaultServer
from fault_wire import Wire
from faults import status
from waiting import comes_true

PLAN = ("--users", "2,3,4", "--duration", "0.8", *LEVELS)


def idle(wire: Wire) -> None:
    reply(wire, 200, "vllm:num_requests_running 0\nvllm:num_requests_waiting 0\n", kind="text/plain")


def kill_in_the_third_level(process: "subprocess.Popen[str]") -> None:
    """`kill -9` while four users are being measured."""
    assert process.stderr is not None
    for line in process.stderr:
        if "4 users: measuring" in line:
            break
    else:
        raise AssertionError("the third level never came")
    time.sleep(0.3)
    process.send_signal(signal.SIGKILL)
    finish(process)


def finished_tables(run: Path) -> dict[str, tuple[int, bytes]]:
    """Time of writing and content of each finished level."""
    return {file.name: (file.stat().st_mtime_ns, file.read_bytes()) for file in (run / "records").glob("*.parquet")}


def test_a_killed_run_is_readable_and_goes_on_at_the_level_that_was_broken_off(tmp_path: Path) -> None:
    with FaultServer({"/metrics": idle}) as server:
        kill_in_the_third_level(start("run", "--url", server.url, *PLAN, "--out", tmp_path))
        run = run_folder(tmp_path)
        shown = breakeven("show", run, "--json", "-")
        before, asked = finished_tables(run), len(server.asked)
        done = breakeven("run", "--resume", run, "--json", "-")
        again = server.asked[asked:]
    assert [(one["users"], one["status"]) for one in shown.json["levels"]] == [
        (2, "done"),
        (3, "done"),
        (4, "interrupted"),
    ]
    assert done.code == 0, done.err
    assert [(one["users"], one["status"]) for one in done.json["levels"]] == [(2, "done"), (3, "done"), (4, "done")]
    assert sorted(before) == ["u00002-r0.parquet", "u00003-r0.parquet"]
    after = finished_tables(run)
    assert {name: after[name] for name in before} == before
    assert sorted(after) == [*sorted(before), "u00004-r0.parquet"]
    assert done.json["levels"][:2] == shown.json["levels"][:2]
    # two questions before the load, then one connection for each user of the one level
    assert len({one.connection for one in again}) == 2 + 4
    assert not list((run / "records").glob("*.log"))


def test_a_whole_run_has_nothing_to_resume(tmp_path: Path) -> None:
    with FaultServer({"/metrics": idle}) as server:
        first = breakeven("run", "--url", server.url, "--users", 2, *PLAN[2:], "--out", tmp_path, "--json", "-")
        asked = len(server.requests)
        again = breakeven("run", "--resume", run_folder(tmp_path), "--json", "-")
        assert len(server.requests) == asked
    assert again.code == 0
    assert "nothing is left to measure" in again.err
    assert again.json == first.json


def test_a_failed_level_is_measured_again(tmp_path: Path) -> None:
    with FaultServer({"good": status(503), "/metrics": idle}) as server:
        words = ("run", "--url", server.url, "--users", "4", "--duration", "0.8", *LEVELS[2:], "--warmup", "0.2")
        failed = breakeven(*words, "--out", tmp_path, "--json", "-")
        server.play({"good": answer(), "/metrics": idle})
        again = breakeven("run", "--resume", run_folder(tmp_path), "--json", "-")
    assert (failed.code, failed.json["levels"][0]["status"]) == (1, "failed")
    assert (again.code, again.json["levels"][0]["status"]) == (0, "done")


def test_a_run_that_does_not_say_when_it_began_is_not_added_to(tmp_path: Path) -> None:
    with FaultServer({"good": status(503), "/metrics": idle}) as server:
        words = ("run", "--url", server.url, "--users", "4", "--duration", "0.8", *LEVELS[2:], "--warmup", "0.2")
        breakeven(*words, "--out", tmp_path, "--json", "-")
        host = run_folder(tmp_path) / "host.json"
        host.write_text('{"engine": {}}')
        again = breakeven("run", "--resume", host.parent, "--json", "-")
    assert again.code == 1
    assert f"{host}: does not say when the run began" in again.err
    assert "Traceback" not in again.err


def parents() -> dict[int, int]:
    """Parent of each process, zombies left out."""
    found = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, parent = stat.read_text().rpartition(")")[2].split()[:2]
            if state != "Z":
                found[int(stat.parent.name)] = int(parent)
    return found


def descendants(process: int) -> set[int]:
    """Processes that this one started, and those that they started."""
    table, found = parents(), {process}
    for _ in range(5):
        found |= {child for child, parent in table.items() if parent in found}
    return found - {process}


def lives(process: int) -> bool:
    return process in parents()


@pytest.mark.engine
def test_a_killed_run_of_the_embedded_engine_leaves_no_process_and_goes_on(tmp_path: Path) -> None:
    process = start("run", *PLAN, "--out", tmp_path)
    started: set[int] = set()
    heard_s = time.perf_counter()
    while len(started) < 2 and time.perf_counter() < heard_s + 60:  # the guard and the engine
        started |= descendants(process.pid)
        time.sleep(0.05)
    assert len(started) >= 2
    kill_in_the_third_level(process)
    assert comes_true(lambda: not any(map(lives, started)), within_s=10)
    run = run_folder(tmp_path)
    before = finished_tables(run)
    done = breakeven("run", "--resume", run, "--json", "-")
    assert done.code == 0, done.err
    assert [(one["users"], one["status"]) for one in done.json["levels"]] == [(2, "done"), (3, "done"), (4, "done")]
    after = finished_tables(run)
    assert {name: after[name] for name in before} == before
