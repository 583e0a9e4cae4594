"""Engines as processes: waited for, explained when they fail, and never left behind."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from breakeven.errors import RunFailedError
from breakeven.launch.causes import likely_cause
from breakeven.launch.process import start_process, tail
from waiting import comes_true

psutil = pytest.importorskip("psutil")
PYTHON = [sys.executable, "-c"]
SLEEP = "import time; time.sleep(60)"
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
FAMILY = f"""
import subprocess, sys, time
own_group = subprocess.Popen([sys.executable, "-c", {SLEEP!r}], start_new_session=True)
same_group = subprocess.Popen([sys.executable, "-c", {SLEEP!r}])
print(own_group.pid, same_group.pid, flush=True)
time.sleep(60)
"""
PARENT = """
import sys, time
from pathlib import Path
from breakeven.launch.process import start_process
process = start_process([sys.executable, "-c", sys.argv[2]], log_path=Path(sys.argv[1]))
print(process.pid, flush=True)
time.sleep(60)
"""


def running(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def pids_in(log_path: Path, count: int) -> list[int]:
    assert comes_true(lambda: len(log_path.read_text().split()) == count, within_s=10)
    return [int(word) for word in log_path.read_text().split()]


def test_start_up_time_runs_until_the_probe_says_yes(tmp_path: Path) -> None:
    log_path = tmp_path / "log"
    script = "import time; time.sleep(0.5); print('ready', flush=True); time.sleep(60)"
    with start_process([*PYTHON, script], log_path=log_path) as process:
        start_s = process.wait_ready(lambda: "ready" in log_path.read_text(), timeout_s=20)
        assert 0.5 < start_s < 20
        assert process.exit_code() is None


def test_who_waits_hears_the_last_line_of_the_log(tmp_path: Path) -> None:
    heard: list[tuple[float, str]] = []
    script = "import time; print('loading weights', flush=True); time.sleep(60)"
    with start_process([*PYTHON, script], log_path=tmp_path / "log") as process:
        process.wait_ready(lambda: bool(heard), timeout_s=20, on_wait=lambda s, line: heard.append((s, line)))
    waited_s, line = heard[0]
    assert waited_s >= 1.0
    assert line == "loading weights"


def test_the_engine_gets_our_environment_and_what_we_add(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INHERITED", "one")
    script = "import os; print(os.environ['INHERITED'], os.environ['ADDED'], flush=True)"
    process = start_process([*PYTHON, script], log_path=tmp_path / "log", env={"ADDED": "two"})
    assert comes_true(lambda: process.exit_code() == 0, within_s=10)
    assert process.tail() == ["one two"]
    process.stop()


def test_stop_ends_the_engine(tmp_path: Path) -> None:
    process = start_process([*PYTHON, SLEEP], log_path=tmp_path / "log")
    assert running(process.pid)
    process.stop()
    assert not running(process.pid)
    assert process.exit_code() == 128 + signal.SIGTERM
    process.stop()


def test_stop_ends_an_engine_that_does_not_listen_to_term(tmp_path: Path) -> None:
    process = start_process([*PYTHON, DEAF], log_path=tmp_path / "log")
    assert comes_true(lambda: process.tail() == ["deaf"], within_s=10)
    process.stop()
    assert not running(process.pid)
    assert process.exit_code() == 128 + signal.SIGKILL


def test_stop_ends_all_that_the_engine_started(tmp_path: Path) -> None:
    process = start_process([*PYTHON, FAMILY], log_path=tmp_path / "log")
    children = pids_in(tmp_path / "log", 2)
    process.stop()
    assert [pid for pid in children if running(pid)] == []


def test_workers_of_an_engine_that_ends_by_itself_end_too(tmp_path: Path) -> None:
    process = start_process([*PYTHON, FAMILY], log_path=tmp_path / "log")
    children = pids_in(tmp_path / "log", 2)
    os.kill(process.pid, signal.SIGKILL)
    assert comes_true(lambda: process.exit_code() == 128 + signal.SIGKILL, within_s=10)
    assert [pid for pid in children if running(pid)] == []
    process.stop()


@pytest.mark.parametrize("script", [SLEEP, FAMILY])
def test_nothing_is_left_after_kill_9_of_the_client(tmp_path: Path, script: str) -> None:
    log_path = tmp_path / "log"
    argv = [sys.executable, "-c", PARENT, str(log_path), script]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        engine = int(parent.stdout.readline())
        children = pids_in(log_path, 2) if script == FAMILY else []
        assert running(engine)
        parent.kill()
    assert comes_true(lambda: not any(map(running, [engine, *children])), within_s=10)


def test_the_engine_ends_when_its_guard_is_killed(tmp_path: Path) -> None:
    process = start_process([*PYTHON, SLEEP], log_path=tmp_path / "log")
    psutil.Process(process.pid).parent().kill()
    assert comes_true(lambda: not running(process.pid), within_s=10)
    process.stop()


def test_the_engine_does_not_see_ctrl_c(tmp_path: Path) -> None:
    with start_process([*PYTHON, SLEEP], log_path=tmp_path / "log") as process:
        assert os.getpgid(process.pid) != os.getpgrp()
        assert os.getpgid(psutil.Process(process.pid).ppid()) != os.getpgrp()


def test_ctrl_c_while_waiting_stops_the_engine(tmp_path: Path) -> None:
    process = start_process([*PYTHON, SLEEP], log_path=tmp_path / "log")

    def interrupted() -> bool:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        process.wait_ready(interrupted, timeout_s=20)
    assert not running(process.pid)


def test_an_engine_that_ends_early_is_explained_by_its_log(tmp_path: Path) -> None:
    script = "import sys; print('loading'); sys.exit('AssertionError: Torch not compiled with CUDA enabled')"
    process = start_process([*PYTHON, script], log_path=tmp_path / "log", name="lmdeploy")
    with pytest.raises(RunFailedError) as caught:
        process.wait_ready(lambda: False, timeout_s=20)
    first, *rest = str(caught.value).splitlines()
    assert first.startswith("lmdeploy ended with code 1 before it was ready: no CUDA: ")
    assert rest == [
        f"the end of its log, {tmp_path / 'log'}:",
        "  loading",
        "  AssertionError: Torch not compiled with CUDA enabled",
    ]


def test_an_engine_that_takes_too_long_is_stopped(tmp_path: Path) -> None:
    process = start_process([*PYTHON, SLEEP], log_path=tmp_path / "log", name="vllm")
    with pytest.raises(RunFailedError, match=r"vllm was not ready after 0\.3 s"):
        process.wait_ready(lambda: False, timeout_s=0.3)
    assert not running(process.pid)


def test_a_missing_command_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(RunFailedError) as caught:
        start_process(["no-such-engine", "serve"], log_path=tmp_path / "log")
    assert str(caught.value) == (
        "no-such-engine: No such file or directory: the command is not found: install the engine, or give its full path"
    )


def test_log_lines_are_safe_to_print(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"one\n\n\x1b[31mred\x1b[0m \xff\nlast\n")
    assert tail(tmp_path / "log", 2) == ["[31mred [0m \ufffd", "last"]
    assert tail(tmp_path / "missing") == []


@pytest.mark.parametrize(
    ("line", "exit_code", "start"),
    [
        ("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.", 1, "out of memory"),
        ("ValueError: No available memory for the cache blocks.", 1, "out of memory"),
        ("OSError: [Errno 98] error while attempting to bind: address already in use", 1, "the port is in use"),
        ("RuntimeError: No CUDA GPUs are available", 1, "no CUDA"),
        ("RuntimeError: Failed to infer device type", 1, "no CUDA"),
        ("OSError: You are trying to access a gated repo.", 1, "the model is gated"),
        ("E gguf_init_from_file: failed to open GGUF file 'x.gguf' (No such file or directory)", 1, "the model is not"),
        ("RuntimeError: unable to write to file </torch_1>: No space left on device (28)", 1, "the disk"),
        ("vllm: error: unrecognized arguments: --max-model", 2, "the engine does not know"),
        ("loading weights", 137, "killed from outside"),
        ("loading weights", 127, "the command is not found"),
    ],
)
def test_a_likely_cause_is_found_in_what_engines_really_write(line: str, exit_code: int, start: str) -> None:
    cause = likely_cause(["INFO starting", line, "INFO done"], exit_code=exit_code)
    assert cause is not None
    assert cause.startswith(start)


def test_no_cause_is_made_up() -> None:
    assert likely_cause(["INFO starting", "INFO done"], exit_code=1) is None


def test_the_guard_tells_the_engines_process_id_first_and_ends_with_its_code(tmp_path: Path) -> None:
    script = "import os; print(os.getpid(), flush=True); raise SystemExit(7)"
    argv = [sys.executable, "-m", "breakeven.launch.guard", "--parent", str(os.getpid()), "--", *PYTHON, script]
    ours, its = os.pipe()
    with subprocess.Popen(argv, stdin=ours, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as guard:
        assert guard.stdout is not None
        assert guard.stderr is not None
        told = json.loads(guard.stdout.read())
        assert told == {"pid": int(guard.stderr.read())}
        assert guard.wait() == 7
    os.close(ours)
    os.close(its)
