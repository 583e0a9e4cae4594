"""Hands out a fleet's jobs, watches them and takes their results; each step is on disk before the next relies on it.

A try is written down as meant before the place is asked for it, so that whoever goes on after a kill first asks the
place whether it has it. Nothing here is remembered elsewhere than in the jobs' files.
"""

import datetime
import time
from collections.abc import Callable, Iterator
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from breakeven.clock import wall_now
from breakeven.errors import UsageError, one_line
from breakeven.fleet.checked import REFUSALS, Refused, Told, from_job, seconds
from breakeven.fleet.job import OUTCOMES, OVER, Job, Outcome
from breakeven.fleet.jobs.folder import Fleet
from breakeven.fleet.jobs.place import Place, Seen, place
from breakeven.fleet.result import find_result, read_result
from breakeven.units import S_PER_H

AGAIN: Final[frozenset[Outcome]] = frozenset({"no_node", "image_failed", "lost"})
"""Outcomes after which a job is given out again, up to `tries`."""
BACK_OFF_S: Final = 30.0
"""Before the second try; twice as long before each further one, at most MOST_BACK_OFF_S."""
MOST_BACK_OFF_S: Final = 1800.0


class Work(Struct, frozen=True, kw_only=True):
    """How jobs are handed out."""

    key: str | None
    """That signs results; None: unsigned ones are taken."""
    poll_s: float = 1.0
    back_off_s: float = BACK_OFF_S
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


def submit(fleet: Fleet, at: Place, work: Work, *, on: str) -> list[Job]:
    """Hand out until every job is over; returns those that the money does not reach.

    UsageError where the place cannot do a job, or where jobs run elsewhere.
    """
    _check(fleet, at, on=on)
    while True:
        for meant in [job for job in fleet.jobs.values() if is_out(job) and job.remote is None]:
            _ask_for(fleet, meant, at)
        collect(fleet, work, at=lambda _: at)
        unpaid = _hand_out(fleet, at, work, on=on)
        out = [job for job in fleet.jobs.values() if is_out(job)]
        if not out and len(_waiting(fleet)) == len(unpaid):
            return unpaid
        time.sleep(work.poll_s)


def _check(fleet: Fleet, at: Place, *, on: str) -> None:
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
            _ask_for(fleet, meant, at)
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


def _ask_for(fleet: Fleet, job: Job, at: Place) -> None:
    """Give it out, unless the place has it."""
    name = try_name(job)
    remote = at.find(name) or at.submit(fleet.task(job), name=name)
    fleet.keep(replace(job, remote=remote, outcome="running"))


def collect(fleet: Fleet, work: Work, *, at: Callable[[str], Place] | None = None) -> None:
    """Take what has come back of every job that is out; a try that was meant and never given out stays so."""
    at = at or (lambda name: place(name, fleet.path))
    digests = dict(_digests(fleet))
    for job in [job for job in fleet.jobs.values() if is_out(job)]:
        there = at(job.place)
        remote = job.remote or there.find(try_name(job))
        if remote is None:
            continue
        now = settled(replace(job, remote=remote), there.look(remote), key=work.key, told=digests)
        if now != job:
            fleet.keep(now)
        if now.outcome in OVER:
            work.tell(now)


def stop(fleet: Fleet, work: Work) -> list[Job]:
    """End every job that is out, take what it left, and return them."""
    out = [job for job in fleet.jobs.values() if is_out(job)]
    for job in out:
        there = place(job.place, fleet.path)
        remote = job.remote or there.find(try_name(job))
        if remote is None:
            fleet.keep(replace(job, outcome="failed", reason="stopped", ended=wall_now().isoformat()))
        else:
            there.stop(remote)
    collect(fleet, work)
    return [fleet.jobs[job.id] for job in out]


def settled(job: Job, seen: Seen, *, key: str | None, told: dict[int, str]) -> Job:
    """The job as its place sees it, with its result where it is one of this job; `told` has who told which levels."""
    job = replace(job, outcome=seen.outcome, node=seen.node or job.node)
    if seen.outcome not in OVER:
        return job
    over = replace(job, ended=wall_now().isoformat(), reason=seen.reason)
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


def _digests(fleet: Fleet) -> Iterator[tuple[int, str]]:
    for job in fleet.jobs.values():
        found = _told(job) if job.result is not None else None
        if isinstance(found, dict):
            yield found["digest"], job.id


def come_back(fleet: Fleet) -> int:
    """Jobs that are out by our record, and over at their place; nothing is written."""
    out = [job for job in fleet.jobs.values() if is_out(job) and job.remote is not None]
    return sum(place(job.place, fleet.path).look(job.remote or "").outcome in OVER for job in out)


def counted(fleet: Fleet) -> dict[Outcome, list[Job]]:
    """Jobs by outcome, in the order of OUTCOMES."""
    found: dict[Outcome, list[Job]] = {outcome: [] for outcome in OUTCOMES}
    for job in fleet.jobs.values():
        found[job.outcome].append(job)
    return {outcome: jobs for outcome, jobs in found.items() if jobs}
