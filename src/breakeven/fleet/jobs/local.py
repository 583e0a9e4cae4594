"""This machine: each job a process in a session of its own, which outlives whoever started it."""

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final

from breakeven.clock import now_s
from breakeven.errors import RunFailedError, UsageError
from breakeven.fleet.job import Outcome
from breakeven.fleet.jobs.place import Seen
from breakeven.fleet.jobs.runner import (
    BEGUN,
    ENDED,
    ERRORS,
    GRACE_S,
    LOCK,
    NOT_STARTED,
    OUTPUT,
    POLL_S,
    STOPPED,
    TIMED_OUT,
    TOLD,
)
from breakeven.fleet.jobs.task import BENCHMARK, RUNS, Task
from breakeven.launch.process import tail
from breakeven.store.log import cannot_write, write_atomically

WORK: Final = "local"
"""Folder of the fleet's folder with one folder a try."""
OURS: Final = (sys.executable, "-P", "-m", *BENCHMARK)
_MOST_OUTPUT_BYTES: Final = 1024 * 1024
"""The end of an output that is read: more than any result is long."""
_ENDS: Final[dict[str, tuple[Outcome, str]]] = {
    TIMED_OUT: ("timed_out", "it ran into its time limit"),
    STOPPED: ("failed", "stopped"),
}
_START_S: Final = 60.0


class Local:
    """Jobs in `FOLDER/local/`, with their output, their errors and their end; see runner.py."""

    ending: ClassVar[str] = "json"
    poll_s: ClassVar[float] = 1.0
    holds_on: ClassVar[bool] = False

    def __init__(self, folder: Path, *, command: Sequence[str] = OURS) -> None:
        """`command` is what stands for `breakeven node`."""
        self._work = folder.absolute() / WORK
        self._command = tuple(command)
        self._started: list[subprocess.Popen[bytes]] = []

    @staticmethod
    def document(task: Task) -> dict[str, Any]:
        """The command line, the variables and the time limit; of a cell its plan."""
        if task.served is not None:
            raise UsageError(
                "engine: local starts no container; give the url of an engine that serves, or leave [engine] out"
                " for the embedded one"
            )
        if task.head.cron is not None:
            raise UsageError("cron: local has no schedule; let cron call `breakeven fleet submit`")
        told = {"words": list(task.words), "env": task.env, "time_limit_s": task.time_limit_s}
        return told if task.plan is None else told | {"plan": task.plan}

    def check(self, task: Task) -> None:
        """UsageError for what no process here can do."""
        self.document(task)

    def submit(self, task: Task, *, name: str) -> str:
        """Start its runner, and wait until it has begun; one that has run before starts nothing."""
        folder = self._work / name
        told = self.document(task)
        plan = told.pop("plan", None)
        if plan is None:
            told["words"] = [*self._command, *task.words[len(BENCHMARK) :]]
        else:
            told["words"] = [*OURS[: -len(BENCHMARK)], *task.words]
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunFailedError(cannot_write(folder, error)) from None
        if plan is not None:
            write_atomically(folder / "plan.toml", plan.encode())
        write_atomically(folder / TOLD, json.dumps(told).encode())
        self._begin(folder)
        return name

    def _begin(self, folder: Path) -> None:
        runner = subprocess.Popen(
            [sys.executable, "-P", "-m", "breakeven.fleet.jobs.runner", str(folder)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C ends who hands out, not what is handed out
        )
        self._started.append(runner)
        begun_s = now_s()
        while not (folder / BEGUN).exists():
            # looked at again after its end: another runner may have begun meanwhile
            if runner.poll() is not None and not (folder / BEGUN).exists() and not _is_held(folder):
                raise RunFailedError(f"{folder}: the job did not start; its runner ended with code {runner.returncode}")
            if now_s() - begun_s > _START_S:
                raise RunFailedError(f"{folder}: the job has not begun after {_START_S:g} s; submit the fleet again")
            time.sleep(POLL_S / 10)

    def find(self, name: str) -> str | None:
        """One that has begun."""
        return name if (self._work / name / BEGUN).exists() else None

    def look(self, remote: str) -> Seen:
        """It runs while its lock is held; then its exit code tells."""
        self._started = [runner for runner in self._started if runner.poll() is None]
        folder = self._work / remote
        node = f"local-{remote.rpartition('-')[2].partition('.')[0]}"
        if _is_held(folder):
            return Seen(outcome="running", node=node)
        outcome, reason = _how_it_ended(folder)
        return Seen(outcome=outcome, reason=reason, node=node, output=_end_of(folder / OUTPUT), runs=folder / RUNS)

    def stop(self, remote: str) -> None:
        """TERM to its session, KILL after a grace; returns when all of it is gone."""
        folder = self._work / remote
        begun = _read(folder / BEGUN)
        for number, wait_s in ((signal.SIGTERM, 2 * GRACE_S), (signal.SIGKILL, GRACE_S)):
            until_s = now_s() + wait_s
            if begun is None or not _is_held(folder):
                return
            with contextlib.suppress(ProcessLookupError):
                os.killpg(begun["pid"], number)
            while _is_held(folder) and now_s() < until_s:
                time.sleep(POLL_S)
        if _is_held(folder):
            raise RunFailedError(f"{folder}: its processes do not end; look for what holds {LOCK}")


def _how_it_ended(folder: Path) -> tuple[Outcome, str | None]:
    ended = _read(folder / ENDED)
    if ended is None:
        return "lost", "its process was killed"
    if ended["why"] in _ENDS:
        return _ENDS[ended["why"]]
    last = next(iter(tail(folder / ERRORS, 1)), "it wrote no error")
    if ended["code"] == NOT_STARTED:
        return "image_failed", last
    return ("failed", f"exit code {ended['code']}: {last}") if ended["code"] else ("done", None)


def _is_held(folder: Path) -> bool:
    """Something of the job runs. Asked only once it has begun: who asks holds the lock for a moment."""
    if not (folder / BEGUN).exists():
        return False
    with (folder / LOCK).open("rb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
    return False


def _read(path: Path) -> Mapping[str, Any] | None:
    try:
        found: dict[str, Any] = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    return found


def _end_of(path: Path) -> str:
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _MOST_OUTPUT_BYTES))
            return file.read().decode(errors="replace")
    except FileNotFoundError:
        return ""
