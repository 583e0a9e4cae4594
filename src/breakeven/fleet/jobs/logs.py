"""Output of jobs that somebody fetched himself: a file a job, whose name begins with the job's."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

from msgspec.structs import replace

from breakeven.errors import RunFailedError, UsageError
from breakeven.fleet.job import Job
from breakeven.fleet.jobs import parcel
from breakeven.fleet.jobs.folder import Fleet
from breakeven.fleet.jobs.place import Seen
from breakeven.fleet.jobs.work import Work, as_seen, digests
from breakeven.fleet.result import find_result


def collect_logs(fleet: Fleet, work: Work, logs: Path) -> list[Path]:
    """Take the result, or the run folder, of each job that has none yet; the files in which there is none are returned.

    UsageError where no file is called after a job of this fleet.
    """
    files = list(_files(fleet, logs))
    if not files:
        first = next(iter(fleet.jobs), "JOB")
        raise UsageError(f"{logs}: no file is called after a job of {fleet.path}; call them as {first}.log")
    told, without = dict(digests(fleet)), []
    for job, file in files:
        if job.outcome == "done":
            continue
        output = _end_of(file)
        found = parcel.BEGIN in output if fleet.is_study else find_result(output) is not None
        if not found:
            without.append(file)
            continue
        meant = replace(job, tries=max(job.tries, 1), place=job.place or fleet.given.to)
        now = as_seen(fleet, meant, Seen(outcome="done", output=output), work=work, told=told)
        fleet.keep(now)
        work.tell(now)
    return without


def _files(fleet: Fleet, logs: Path) -> Iterator[tuple[Job, Path]]:
    """Each job with the file of its last try: `JOB.2.log` is of its second."""
    try:
        found = sorted(path for path in (logs.iterdir() if logs.is_dir() else [logs]) if path.is_file())
    except OSError as error:
        raise RunFailedError(f"{logs}: {error.strerror}") from None
    for job in fleet.jobs.values():
        called = re.compile(rf"{re.escape(job.id)}(?:\.(\d+))?(?![A-Za-z0-9-])")
        mine = [(int(name[1] or 1), path) for path in found if (name := called.match(path.name))]
        if mine:
            yield job, max(mine)[1]


def _end_of(file: Path) -> str:
    try:
        with file.open("rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - parcel.MOST_OUTPUT_BYTES))
            return log.read().decode(errors="replace")
    except OSError as error:
        raise RunFailedError(f"{file}: {error.strerror}") from None
