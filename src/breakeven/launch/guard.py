"""Keeps an engine from outliving the client: starts it, and ends all of its processes when the client is gone.

Run as `python -m breakeven.launch.guard --parent PID [--then JSON] -- COMMAND …` with a pipe on standard input. The
first line on standard output says the engine's process id, or why it could not be started; what the engine writes goes
to standard error. When the pipe ends, the parent is another one, or TERM or INT comes, the engine's process group gets
TERM, and KILL after GRACE_S. At the very end the command of `--then` (a JSON list of words) is run, such as the removal
of a container. Exits with the engine's code (128 + signal where a signal ended it).

Only the standard library is used: this has to start fast, and it stays in memory for as long as the engine runs.
"""

import contextlib
import ctypes
import json
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

GRACE_S: Final = 5.0
PARENT_CHECK_S: Final = 1.0
THEN_S: Final = 30.0
NOT_FOUND: Final = 127
_PR_SET_PDEATHSIG: Final = 1
_PR_SET_CHILD_SUBREAPER: Final = 36


def main(arguments: Sequence[str]) -> int:
    """Guard one command until it ends; returns its exit code."""
    split = list(arguments).index("--")
    parent, command = int(arguments[1]), list(arguments[split + 1 :])
    then: list[str] = json.loads(arguments[3]) if arguments[2] == "--then" else []
    wake, stop_signal = os.pipe()
    os.set_blocking(stop_signal, False)
    signal.set_wakeup_fd(stop_signal)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda _number, _frame: None)
    _linux_prctl(_PR_SET_CHILD_SUBREAPER, 1)
    try:
        engine = _start(command)
    except OSError as error:
        _report({"error": f"{command[0]}: {error.strerror}"})
        return NOT_FOUND
    _report({"pid": engine.pid})
    ended = threading.Event()
    threading.Thread(target=_end_with_parent, args=(engine.pid, parent, wake, ended), daemon=True).start()
    code = engine.wait()
    ended.set()
    _kill_group(engine.pid, signal.SIGKILL)
    _clean_up(then)
    _kill_orphans()
    return code if code >= 0 else 128 - code


def _start(command: Sequence[str]) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        command,
        # a pipe of which only we hold the other end: an engine that watches it ends even if we are killed
        stdin=subprocess.PIPE,
        stdout=sys.stderr.fileno(),
        start_new_session=True,
        # for engines that do not watch it (Linux only)
        preexec_fn=lambda: _linux_prctl(_PR_SET_PDEATHSIG, signal.SIGKILL),
    )


def _clean_up(then: Sequence[str]) -> None:
    """Run the last command; what it says is in the engine's log."""
    if then:
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            subprocess.run(then, stdin=subprocess.DEVNULL, stdout=2, stderr=2, timeout=THEN_S, check=False)


def _report(line: dict[str, object]) -> None:
    """Tell the client, once; then let go of its pipe. A client that is gone already is seen on standard input."""
    with contextlib.suppress(BrokenPipeError):
        os.write(1, json.dumps(line).encode() + b"\n")
    os.dup2(2, 1)


def _end_with_parent(engine: int, parent: int, wake: int, ended: threading.Event) -> None:
    """Wait until nobody needs the engine any more, then end it."""
    while os.getppid() == parent:
        readable, _, _ = select.select([0, wake], [], [], PARENT_CHECK_S)
        if wake in readable or (0 in readable and not os.read(0, 4096)):
            break
    _kill_group(engine, signal.SIGTERM)
    if not ended.wait(GRACE_S):
        _kill_group(engine, signal.SIGKILL)


def _kill_group(group: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def _kill_orphans() -> None:
    """Kill what the engine started outside of its group: as their subreaper we inherit them (Linux only)."""
    while left := list(_children()):
        for child in left:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(child, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(child, 0)


def _children() -> Iterator[int]:
    """Processes whose parent we are, by /proc."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            if int(stat.read_text().rpartition(")")[2].split()[1]) == os.getpid():
                yield int(stat.parent.name)


def _linux_prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
