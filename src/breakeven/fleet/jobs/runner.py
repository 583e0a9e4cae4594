"""Runs one local job, once: `python -m breakeven.fleet.jobs.runner FOLDER`, in a session of its own.

`told.json` says what to run. `.lock` is held while anything of the job runs, by the job itself too, so that it is seen
to run where this process was killed. `begun.json` appears once, under the lock: whoever finds it there starts nothing.
`ended.json` has the exit code (128 + signal where a signal ended it), and why it ended.

Only the standard library is used, as in the guard of an engine: it stays in memory beside what is measured.
"""

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

TOLD, LOCK, BEGUN, ENDED, OUTPUT, ERRORS = "told.json", ".lock", "begun.json", "ended.json", "output.txt", "errors.txt"
ENDED_ITSELF, TIMED_OUT, STOPPED = "ended", "timed out", "stopped"
"""Why a job ended."""
GRACE_S: Final = 5.0
POLL_S: Final = 0.1
NOT_STARTED: Final = 127


def main(folder: Path) -> int:
    """Run the job of this folder, unless it runs or has run."""
    lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return 0
    if (folder / BEGUN).exists():
        return 0
    stops: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: stops.append(number))
    told = json.loads((folder / TOLD).read_bytes())
    _write(folder / BEGUN, {"pid": os.getpid()})
    code, why = _run(folder, told, stops, lock=lock)
    _write(folder / ENDED, {"code": code, "why": why})
    os.killpg(0, signal.SIGKILL)  # what it left behind, and so us: the lock is free only then
    return 0


def _run(folder: Path, told: dict[str, object], stops: list[int], *, lock: int) -> tuple[int, str]:
    words, env, limit_s = told["words"], told["env"], told["time_limit_s"]
    assert isinstance(words, list)
    assert isinstance(env, dict)
    assert isinstance(limit_s, int | float)
    end_s, why = time.monotonic() + limit_s, ENDED_ITSELF
    with (folder / OUTPUT).open("wb") as out, (folder / ERRORS).open("wb") as errors:
        try:
            job = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=errors,
                env={**os.environ, **env},
                cwd=folder,
                pass_fds=(lock,),
            )
        except OSError as error:
            errors.write(f"{words[0]}: {error.strerror}\n".encode())
            return NOT_STARTED, ENDED_ITSELF
    while (code := _waited(job)) is None:
        if why == ENDED_ITSELF and (stops or time.monotonic() > end_s):
            why = STOPPED if stops else TIMED_OUT
            end_s = time.monotonic() + GRACE_S
            job.terminate()
        elif time.monotonic() > end_s:
            job.kill()
    return (code if code >= 0 else 128 - code), STOPPED if stops else why


def _waited(job: "subprocess.Popen[bytes]") -> int | None:
    try:
        return job.wait(POLL_S)
    except subprocess.TimeoutExpired:
        return None


def _write(path: Path, told: dict[str, object]) -> None:
    """Whole or not at all."""
    temporary = path.with_name(path.name + ".tmp")
    with temporary.open("wb") as file:
        file.write(json.dumps(told).encode())
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
