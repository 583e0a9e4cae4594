"""Hands out a fleet's jobs, watches them and takes their results; each step is on disk before the next relies on it.

A try is written down as meant before the place is asked for it, so that whoever goes on after a kill first asks the
place whether it has it. Nothing here is remembered elsewhere than in the jobs' files.
"""

import contextlib
import datetime
import functools
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from breakeven.clock import now_s, wall_now
from breakeven.errors import BreakevenError, RunFailedError, UsageError, one_line
from breakeven.fleet.checked import REFUSALS, Refused, Told, from_job, seconds
from breakeven.fleet.job import OUTCOMES, OVER, Job, Outcome
from breakeven.fleet.jobs.folder import FILES, Fleet
from breakeven.fleet.jobs.parcel import take, unpack
from breakeven.fleet.jobs.place import NotNowError, Place, Seen, UnreadableError, place
from breakeven.fleet.result import find_result, read_result
from breakeven.units import S_PER_H

AGAIN: Final[frozenset[Outcome]] = frozenset({"no_node", "image_failed", "lost"})
"""Outcomes after which a job is given out again, up to `tries`."""
BACK_OFF_S: Final = 30.0
"""Before the second try; twice as long before each further one, at most MOST_BACK_OFF_S."""
MOST_BACK_OFF_S: Final = 1800.0
ASKS: Final = 9
"""How often a place is asked the same that does not answer: about four minutes in all."""
STOP_S: Final = 60.0
"""How long what a stopped job leaves is waited for."""

STATUS_S: Final = 5.0
"""How long a place is waited for that is only asked how jobs stand."""

T = TypeVar("T")


class Work(Struct, frozen=True, kw_only=True):
    """How jobs are handed out."""

    key: str | None
    """That signs results; None: unsigned ones are taken."""
    poll_s: float | None = None
    """Between two looks; None: as the place wants it."""
    back_off_s: float = BACK_OFF_S
    again_s: float = 1.0
    """Before a place that did not answer is asked again; twice as long each further time."""
    tell: Callable[[Job], object] = lambda _: None
    """Hears of each job that is given out or over."""


def try_name(job: Job) -> str:
    """Our name of a job's present try: nothing else is ever called so."""
    return job.id if job.tries <= 1 else f"{job.id}.{job.tries}"


def is_out(job: Job) -> bool:
    """Given out and not over, as far as we know."""
    return job.tries > 0 and job.outcome not in OVER


def most_usd(job: Job, *, time_limit_s: float) -> float | None:
    """What its tries can have cost at most: rent × time limit for each, rent × time out for one that is over.

    None where the rent is not known.
    """
    if job.usd_per_h is None:
        return None
    last_s = time_limit_s if job.tries else 0.0
    submitted_s, ended_s = seconds(job.submitted), seconds(job.ended)
    if job.outcome in OVER and submitted_s is not None and ended_s is not None:
        last_s = min(max(ended_s - submitted_s, 0.0), time_limit_s)
    return job.usd_per_h * (max(job.tries - 1, 0) * time_limit_s + last_s) / S_PER_H


def patiently(work: Work, ask: Callable[[], T]) -> T:
    """What the place answers; asked again while it does not answer, up to ASKS times."""
    for number in range(ASKS - 1):
        try:
            return ask()
        except NotNowError as error:
            time.sleep(max(error.wait_s, work.again_s * 2.0**number))
    return ask()


def submit(fleet: Fleet, at: Place, work: Work, *, on: str) -> list[Job]:
    """Hand out until every job is over; returns those that the money does not reach.

    UsageError where the place cannot do a job, or where jobs run elsewhere.
    """
    _check(fleet, at, on=on)
    while True:
        for meant in [job for job in fleet.jobs.values() if is_out(job) and job.remote is None]:
            _ask_for(fleet, meant, at, work)
        collect(fleet, work, at=lambda _: at)
        unpaid = _hand_out(fleet, at, work, on=on)
        out = [job for job in fleet.jobs.values() if is_out(job)]
        if not out and len(_waiting(fleet)) == len(unpaid):
            return unpaid
        time.sleep(at.poll_s if work.poll_s is None else work.poll_s)


def _check(fleet: Fleet, at: Place, *, on: str) -> None:
    if fleet.head.cron is not None:
        raise UsageError(
            "cron: submit takes one result a job; leave it out and let your own cron submit, or create"
            f" the files of {fleet.path / FILES} by the grid's own program"
        )
    for job in fleet.jobs.values():
        if job.tries and job.place != on:
            raise UsageError(f"{fleet.path}: its jobs run on {job.place}; submit it there, or render a folder for {on}")
        at.check(fleet.task(job))


def _waiting(fleet: Fleet) -> list[Job]:
    """Jobs that are still to be given out, now or after a while."""
    tries = fleet.head.tries
    return [job for job in fleet.jobs.values() if not job.tries or (job.outcome in AGAIN and job.tries < tries)]


def _hand_out(fleet: Fleet, at: Place, work: Work, *, on: str) -> list[Job]:
    """Give out what is due, as far as `parallel` and `max_usd` go; returns what the money does not reach."""
    now, waiting = wall_now(), _waiting(fleet)
    room = fleet.head.parallel - sum(is_out(job) for job in fleet.jobs.values())
    left_usd = _left_usd(fleet)
    unpaid: list[Job] = []
    for job in waiting:
        needs_usd = _try_usd(fleet, job)
        if left_usd is not None and needs_usd > left_usd * (1 + 1e-9):
            unpaid.append(job)
        elif room > 0 and _is_due(job, work, now=now):
            room -= 1
            left_usd = None if left_usd is None else left_usd - needs_usd
            meant = replace(
                job,
                place=on,
                tries=job.tries + 1,
                submitted=now.isoformat(),
                outcome="waiting",
                remote=None,
                ended=None,
                reason=None,
            )
            fleet.keep(meant)
            _ask_for(fleet, meant, at, work)
            work.tell(fleet.jobs[job.id])
    return unpaid


def _try_usd(fleet: Fleet, job: Job) -> float:
    return (job.usd_per_h or 0.0) * fleet.task(job).time_limit_s / S_PER_H


def _left_usd(fleet: Fleet) -> float | None:
    if fleet.head.max_usd is None:
        return None
    return fleet.head.max_usd - sum(
        most_usd(job, time_limit_s=fleet.task(job).time_limit_s) or 0.0 for job in fleet.jobs.values()
    )


def _is_due(job: Job, work: Work, *, now: datetime.datetime) -> bool:
    """Back-off since its last end: back_off_s × 2^(tries - 1)."""
    ended_s = seconds(job.ended)
    wait_s = min(work.back_off_s * 2.0 ** (job.tries - 1), MOST_BACK_OFF_S)
    return ended_s is None or now.timestamp() - ended_s >= wait_s


def _ask_for(fleet: Fleet, job: Job, at: Place, work: Work) -> None:
    """Give it out, unless the place has it: asked before each time, as an answer that was lost may have been a yes.

    It is out from when it is asked for, however long ago it was meant.
    """
    name, task = try_name(job), fleet.task(job)

    def given() -> str:
        found = at.find(name)
        if found is None:
            fleet.keep(replace(job, submitted=wall_now().isoformat()))
            found = at.submit(task, name=name)
        return found

    remote = patiently(work, given)
    fleet.keep(replace(fleet.jobs[job.id], remote=remote, outcome="waiting"))


def collect(fleet: Fleet, work: Work, *, at: Callable[[str], Place] | None = None) -> None:
    """Take what has come back of every job that is out; a try that was meant and never given out stays so."""
    at = at or _places(fleet)
    told = dict(digests(fleet))
    for job in [job for job in fleet.jobs.values() if is_out(job)]:
        there = at(job.place)
        remote = job.remote or patiently(work, functools.partial(there.find, try_name(job)))
        if remote is None:
            continue
        seen = _seen(fleet, job, remote, there, work)
        now = as_seen(fleet, replace(job, remote=remote), seen, work=work, told=told)
        if now != job:
            fleet.keep(now)
        if now.outcome in OVER:
            if there.holds_on:
                with contextlib.suppress(RunFailedError):  # it gives itself back, only later
                    there.stop(remote)
            work.tell(now)


def _places(fleet: Fleet) -> Callable[[str], Place]:
    return functools.cache(lambda name: place(name, fleet.path))


def _seen(fleet: Fleet, job: Job, remote: str, there: Place, work: Work) -> Seen:
    """How it stands; one that has waited too long for a node is taken back, and one that cannot be started or read."""
    try:
        seen = patiently(work, lambda: there.look(remote))
    except UnreadableError as error:
        seen = Seen(outcome="refused", reason=one_line(str(error)))
    if seen.outcome in ("no_node", "image_failed", "refused"):
        with contextlib.suppress(UnreadableError):
            patiently(work, lambda: there.stop(remote))
    submitted_s = seconds(job.submitted)
    waits_s = 0.0 if submitted_s is None else wall_now().timestamp() - submitted_s
    if seen.outcome != "waiting" or waits_s <= fleet.head.wait_s:
        return seen
    patiently(work, lambda: there.stop(remote))
    why = f"no node took it within {fleet.head.wait_s:g} s"
    return Seen(outcome="no_node", reason=f"{why}: {seen.reason}" if seen.reason else why)


def stop(fleet: Fleet, work: Work) -> list[Job]:
    """End every job that is out, take what it left, and return them."""
    out, at = [job for job in fleet.jobs.values() if is_out(job)], _places(fleet)
    for job in out:
        there = at(job.place)
        remote = job.remote or patiently(work, functools.partial(there.find, try_name(job)))
        if remote is None:
            fleet.keep(_stopped(job))
        else:
            patiently(work, functools.partial(there.stop, remote))
    until_s = now_s() + STOP_S
    collect(fleet, work, at=at)
    while any(is_out(job) for job in fleet.jobs.values()) and now_s() < until_s:
        time.sleep(work.again_s)
        collect(fleet, work, at=at)
    for job in [fleet.jobs[job.id] for job in out]:
        if is_out(job) or job.outcome == "lost":
            fleet.keep(_stopped(job))
    return [fleet.jobs[job.id] for job in out]


def _stopped(job: Job) -> Job:
    return replace(job, outcome="failed", reason="stopped", ended=wall_now().isoformat())


def as_seen(fleet: Fleet, job: Job, seen: Seen, *, work: Work, told: dict[int, str]) -> Job:
    """The job as its place sees it, with what it brought; `told` has who told which levels."""
    if fleet.is_study:
        return come_home(job, seen, fleet.run_of(job))
    return settled(job, seen, key=work.key, told=told)


def come_home(job: Job, seen: Seen, to: Path) -> Job:
    """The job of a cell as its place sees it; once it is over, its run folder is `to`."""
    job = replace(job, outcome=seen.outcome, node=seen.node or job.node, reason=seen.reason)
    if seen.outcome not in OVER:
        return job
    over = replace(job, ended=wall_now().isoformat())
    try:
        found = unpack(seen.output, to) if seen.runs is None else take(seen.runs, to)
    except UsageError as error:
        return replace(over, outcome="refused", reason=one_line(str(error)))
    if found is None and seen.outcome == "done":
        return replace(over, outcome="failed", reason="it ended well and brought no run folder")
    return over


def settled(job: Job, seen: Seen, *, key: str | None, told: dict[int, str]) -> Job:
    """The job as its place sees it, with its result where it is one of this job; `told` has who told which levels."""
    job = replace(job, outcome=seen.outcome, node=seen.node or job.node, reason=seen.reason)
    if seen.outcome not in OVER:
        return job
    over = replace(job, ended=wall_now().isoformat())
    line = find_result(seen.output)
    if line is None:
        missing = seen.reason or "it ended well and told no result"
        return replace(over, outcome="failed" if seen.outcome == "done" else seen.outcome, reason=missing)
    try:
        result = read_result(line, key=key)
    except UsageError as error:
        return replace(over, outcome="refused", reason=one_line(str(error)))
    done = replace(over, outcome="done", reason=result.reason, result=result)
    wrong = _wrong(done, told)
    return done if wrong is None else replace(over, outcome="refused", reason=wrong)


def _wrong(job: Job, told: dict[int, str]) -> str | None:
    """Why the result is none of this job: what an import would refuse, and another seed."""
    found = _told(job)
    if isinstance(found, Refused):
        return f"{REFUSALS[found.why]}{f' ({found.detail})' if found.detail else ''}"
    if job.result is not None and job.result.proof is not None and job.result.proof.seed != job.seed:
        return "its proof of work is of another seed than was handed out"
    teller = told.setdefault(found["digest"], job.id)
    return None if teller == job.id else f"{REFUSALS['replay']} ({teller})"


def _told(job: Job) -> Told | Refused:
    """As an import takes it. Proofs are worked out there, not at each look at a fleet."""
    return from_job(job, now_s=wall_now().timestamp(), largest_proof=0)


def digests(fleet: Fleet) -> Iterator[tuple[int, str]]:
    """The levels that each job told, and who told them first."""
    for job in fleet.jobs.values():
        found = _told(job) if job.result is not None else None
        if isinstance(found, dict):
            yield found["digest"], job.id


class CameBack(NamedTuple):
    """What places say of the jobs that are out by our record."""

    over: int = 0
    why: str | None = None
    """Who did not say it of every job, and why; None: each was told of."""


def come_back(fleet: Fleet) -> CameBack:
    """As far as places answer at once, within STATUS_S in all; nothing is written."""
    out = [job for job in fleet.jobs.values() if is_out(job) and job.remote is not None]
    over: list[Job] = []
    why = [f"{out[0].place} did not answer within {STATUS_S:g} s"] if out else []

    def look() -> None:
        at = _places(fleet)
        try:
            over.extend(job for job in out if at(job.place).look(job.remote or "").outcome in OVER)
            why.clear()
        except BreakevenError as error:
            why[:] = [one_line(str(error))]

    # a thread that is not waited for: a place may keep a question for as long as ANSWER_S
    asks = threading.Thread(target=look, daemon=True)
    asks.start()
    asks.join(STATUS_S)
    return CameBack(len(over), next(iter(why), None))


def counted(fleet: Fleet) -> dict[Outcome, list[Job]]:
    """Jobs by outcome, in the order of OUTCOMES."""
    found: dict[Outcome, list[Job]] = {outcome: [] for outcome in OUTCOMES}
    for job in fleet.jobs.values():
        found[job.outcome].append(job)
    return {outcome: jobs for outcome, jobs in found.items() if jobs}
