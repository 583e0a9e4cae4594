"""An engine as a process of ours: started under a guard, waited for, ended with all that it started."""

import contextlib
import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, Self

from breakeven.clock import now_s
from breakeven.errors import InTheWayError, RunFailedError, one_line
from breakeven.launch.causes import likely_cause, told_cause
from breakeven.launch.guard import GRACE_S, THEN_S
from breakeven.newfile import new_file

POLL_S: Final = 0.05
TAIL_LINES: Final = 8
_TAIL_BYTES: Final = 65_536


class EngineProcess:
    """A started engine. It ends by `stop`, at the end of a `with` block, and when this process ends in any way."""

    def __init__(
        self,
        *,
        guard: "subprocess.Popen[bytes]",
        pid: int,
        name: str,
        argv: Sequence[str],
        log_path: Path,
        started_s: float,
        then: Sequence[str] = (),
    ) -> None:
        self._guard = guard
        self._then = tuple(then)
        self.name = name
        self.pid = pid
        """Of the engine itself; its group has the same number."""
        self.argv = tuple(argv)
        self.log_path = log_path
        self.started_s = started_s

    def exit_code(self) -> int | None:
        """128 + signal where a signal ended it; None while it runs."""
        return self._guard.poll()

    def tail(self, lines: int = TAIL_LINES) -> list[str]:
        """The last lines of its log, safe to print."""
        return tail(self.log_path, lines)

    def wait_ready(
        self,
        probe: Callable[[], bool],
        *,
        timeout_s: float,
        on_wait: Callable[[float, str], None] | None = None,
    ) -> float:
        """Seconds from start until `probe` says yes; see `wait_all`."""
        (start_s,) = wait_all([(self, probe)], timeout_s=timeout_s, on_wait=on_wait)
        return start_s

    def check_starting(self, *, timeout_s: float) -> None:
        """RunFailedError, with the last lines and the likely cause, if it has ended or takes longer."""
        if self.exit_code() is not None:
            raise self._failure(f"ended with code {self.exit_code()} before it was ready")
        if now_s() - self.started_s > timeout_s:
            raise self._failure(f"was not ready after {timeout_s:g} s")

    def _failure(self, what: str) -> RunFailedError:
        return failure(f"{self.name} {what}", log_path=self.log_path, exit_code=self.exit_code())

    def begin_stop(self) -> None:
        """Tell it to end, and do not wait."""
        if self._guard.stdin is not None:
            self._guard.stdin.close()

    def stop(self) -> None:
        """TERM to the engine's group, KILL after GRACE_S; returns when all of it is gone."""
        self.begin_stop()
        try:
            code = self._guard.wait(2 * GRACE_S + (THEN_S if self._then else 0.0))
        except subprocess.TimeoutExpired:
            self._kill()
            code = self._guard.returncode
        if code == -signal.SIGKILL and self._then:
            # the guard did not come to it
            with contextlib.suppress(OSError, subprocess.TimeoutExpired):
                subprocess.run(self._then, capture_output=True, timeout=THEN_S, check=False)

    def _kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._guard.kill()
        self._guard.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def wait_all(
    waited: Sequence[tuple[EngineProcess, Callable[[], bool]]],
    *,
    timeout_s: float,
    on_wait: Callable[[float, str], None] | None = None,
) -> list[float]:
    """Seconds from its start until each engine's probe says yes, asked every POLL_S.

    `on_wait` hears of each second that passes: seconds since start, last line of a log that is not ready. If one of
    them ends or takes longer, RunFailedError with its last lines and the likely cause; then, and on Ctrl-C, all of
    them are stopped.
    """
    with stopped_on_failure([process for process, _ in waited]):
        return _wait_all(waited, timeout_s=timeout_s, on_wait=on_wait)


def _wait_all(
    waited: Sequence[tuple[EngineProcess, Callable[[], bool]]],
    *,
    timeout_s: float,
    on_wait: Callable[[float, str], None] | None,
) -> list[float]:
    took_s: dict[int, float] = {}
    told_s = 1.0
    while True:
        for place, (process, probe) in enumerate(waited):
            if place not in took_s and probe():
                took_s[place] = now_s() - process.started_s
        starting = [process for place, (process, _) in enumerate(waited) if place not in took_s]
        if not starting:
            return [took_s[place] for place in range(len(waited))]
        for process, _ in waited:
            process.check_starting(timeout_s=timeout_s if process in starting else math.inf)
        waited_s = now_s() - starting[0].started_s
        if on_wait is not None and waited_s >= told_s:
            told_s = waited_s + 1.0
            on_wait(waited_s, next(iter(starting[0].tail(1)), ""))
        time.sleep(POLL_S)


@contextlib.contextmanager
def stopped_on_failure(processes: Sequence[EngineProcess]) -> Iterator[None]:
    """Whatever goes wrong in the block, Ctrl-C too, ends them all; `processes` may grow meanwhile."""
    try:
        yield
    except BaseException:
        stop_all(processes)
        raise


def stop_all(processes: Sequence[EngineProcess]) -> None:
    """End engines, all at once."""
    for process in processes:
        process.begin_stop()
    for process in processes:
        process.stop()


def start_process(
    argv: Sequence[str],
    *,
    log_path: Path,
    env: Mapping[str, str] | None = None,
    name: str | None = None,
    then: Sequence[str] = (),
) -> EngineProcess:
    """Start `argv`, with `env` on top of our environment, its output in `log_path`; RunFailedError if it cannot be.

    `name` is what errors call it; None: its command. `then` is run once it has ended, whatever ended it.
    """
    log_path.parent.mkdir(parents=True, exist_ok=True)
    started_s = now_s()
    with new_file(log_path) as log:
        guard = subprocess.Popen(
            [
                *(sys.executable, "-P", "-m", "breakeven.launch.guard", "--parent", str(os.getpid())),
                *(("--then", json.dumps(list(then))) if then else ()),
                *("--", *argv),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env={**os.environ, **(env or {})},
            # Ctrl-C is ours: the engine shall not see it before its last answers are kept
            start_new_session=True,
        )
    pid = _first_word(guard, log_path=log_path)
    name = name or Path(argv[0]).name
    return EngineProcess(guard=guard, pid=pid, name=name, argv=argv, log_path=log_path, started_s=started_s, then=then)


def _first_word(guard: "subprocess.Popen[bytes]", *, log_path: Path) -> int:
    """The engine's process id, as the guard tells it."""
    assert guard.stdout is not None
    with guard.stdout as pipe:
        word = json.loads(pipe.readline() or b"{}")
    if "pid" in word:
        return int(word["pid"])
    if guard.stdin is not None:
        guard.stdin.close()
    code = guard.wait()
    raise failure(word.get("error", "the engine did not start"), log_path=log_path, exit_code=code)


def tail(path: Path, lines: int = TAIL_LINES) -> list[str]:
    """The last lines of a log, each safe to print; none where there is no log."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL_BYTES))
            text = file.read().decode(errors="replace")
    except FileNotFoundError:
        return []
    return [one_line(line) for line in text.splitlines() if line.strip()][-lines:]


def failure(what: str, *, log_path: Path, exit_code: int | None) -> RunFailedError:
    """One clear line, `what` and its likely cause, then the end of the log; InTheWayError where that may pass."""
    log = tail(log_path, 200)
    known, cause = told_cause(log), likely_cause(log, exit_code=exit_code)
    first = f"{what}: {cause}" if cause is not None else what
    last = tail(log_path)
    more = [f"the end of its log, {log_path}:", *(f"  {line}" for line in last)] if last else []
    return (InTheWayError if known is not None and known.is_passing else RunFailedError)(first, *more)
