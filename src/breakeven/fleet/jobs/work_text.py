"""How a fleet's jobs stand, in words: every job stands in one line of the table."""

from collections.abc import Iterator

from breakeven.fleet.job import OUTCOMES, Job
from breakeven.fleet.jobs.folder import RUNS, Fleet
from breakeven.fleet.jobs.work import CameBack, counted, most_usd
from breakeven.say import fixed, number, wrapped
from breakeven.table import Table, heads, lines


def fleet_text(fleet: Fleet, *, came_back: CameBack | None = None) -> str:
    """A line an outcome, with the first reason; what the jobs can have cost; what to do next."""
    return "\n".join(_lines(fleet, came_back or CameBack()))


def _lines(fleet: Fleet, came_back: CameBack) -> Iterator[str]:
    yield f"{fleet.path}: {number(len(fleet.jobs))} {'job' if len(fleet.jobs) == 1 else 'jobs'}"
    rows = [[outcome, number(len(jobs)), _meaning(jobs)] for outcome, jobs in counted(fleet).items()]
    yield from lines(Table(heads("", "", "", left=(0, 2)), rows), indent="  ")
    for outcome, jobs in counted(fleet).items():
        reason = next((f"{job.id}: {job.reason}" for job in jobs if job.reason), None)
        if reason is not None:
            yield from wrapped(f"{outcome}, such as {reason}", first="  ", rest="    ")
    costs = [most_usd(job, time_limit_s=fleet.task(job).time_limit_s) for job in fleet.jobs.values() if job.tries]
    if costs and None not in costs:
        limit = "" if fleet.head.max_usd is None else f"; max_usd is {fixed(fleet.head.max_usd, 2)}"
        yield f"  taken so far, at most: {fixed(sum(cost or 0.0 for cost in costs), 2)} USD{limit}"
    home = sum(job.outcome == "done" for job in fleet.jobs.values()) if fleet.is_study else 0
    if home:
        yield f"  {number(home)} of the cells' run folders are here: `breakeven compare {fleet.path / RUNS}/*`"
    if came_back.over:
        yield f"  {number(came_back.over)} of those under way came back: `breakeven fleet collect {fleet.path}`"
    if came_back.why is not None:
        yield from wrapped(f"as of our last look, since {came_back.why}", first="  ", rest="    ")


def _meaning(jobs: list[Job]) -> str:
    first = jobs[0]
    return "not handed out yet" if all(not job.tries for job in jobs) else OUTCOMES[first.outcome]
