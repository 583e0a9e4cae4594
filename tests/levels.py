"""Runs whole levels against a real server, on any crew, for tests of the load."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any, NamedTuple

import uvloop

from breakeven.calibrate.cell import Nonces
from breakeven.client.request import RequestMaker
from breakeven.client.target import Access, resolve
from breakeven.clock import now_s
from breakeven.load.crew import Crew, LocalCrew
from breakeven.load.level import Level, LevelPlan, Progress
from breakeven.load.open_loop import Asking
from breakeven.load.pipe_link import PipeLink
from breakeven.load.remote import RemoteCrew
from breakeven.record import LevelFacts, Record

FAST: dict[str, Any] = {"ramp_s": 0.1, "warmup_s": 0.3, "duration_s": 0.8, "max_duration_s": 0.8, "precision": 0.05}


class Run(NamedTuple):
    """One level as it came out; times of records and facts count from `zero_s`."""

    facts: LevelFacts
    records: list[Record]
    zero_s: float


def a_plan(**fields: Any) -> LevelPlan:
    """A short level of four users."""
    return LevelPlan(**FAST | {"users": 4, "salt": 7} | fields)


@contextlib.asynccontextmanager
async def a_crew(
    url: str, *, clients: int = 1, is_open: bool = False, tokens: int = 8, timeout_s: float = 20.0
) -> AsyncIterator[Any]:
    """One worker here, or so many processes; every request's prompt is its nonce, which is its name too."""
    maker = RequestMaker(api="chat", model="truth", exact_length_body={})
    access = Access(url=url, timeout_s=timeout_s)
    asking = Asking(access=access, maker=maker, workload=Nonces(tokens), is_open=is_open)
    if clients == 1:
        yield LocalCrew(asking.worker(await resolve(access)))
        return
    crew = RemoteCrew([PipeLink(number) for number in range(clients)], asking)
    try:
        await crew.make_ready()
        yield crew
    finally:
        await crew.close()


async def a_level(
    crew: Crew, plan: LevelPlan, *, watch: Callable[[Progress], None] | None = None, kept: list[Record] | None = None
) -> Run:
    """Run one level; `watch` sees its progress, `kept` takes the records also of a level that fails."""
    zero_s = now_s()
    records: list[Record] = [] if kept is None else kept
    level = Level(
        plan,
        crew=crew,
        zero_s=zero_s,
        stop=asyncio.Event(),
        progress=watch or (lambda _: None),
        check=lambda: None,
        same_host=True,
    )
    facts = await level.run(records.append, lambda _: None)
    return Run(facts, records, zero_s)


def levels(url: str, *plans: LevelPlan, **crew: Any) -> list[Run]:
    """Run these levels one after the other on one crew."""

    async def go() -> list[Run]:
        async with a_crew(url, **crew) as running:
            return [await a_level(running, plan) for plan in plans]

    return uvloop.run(go())
