"""Running levels of the real load against a real server, for tests of the load."""

import asyncio
from collections.abc import Callable
from typing import Any, NamedTuple

from asking import run
from breakeven.client.request import RequestMaker
from breakeven.client.target import Access, resolve
from breakeven.clock import now_s
from breakeven.load.crew import LocalCrew
from breakeven.load.level import Level, LevelPlan, Progress
from breakeven.load.worker import Worker
from breakeven.record import LevelFacts, Record
from breakeven.workload.chat import Chat

DEFAULTS: dict[str, Any] = {
    "users": 3,
    "ramp_s": 0.1,
    "warmup_s": 0.2,
    "duration_s": 0.5,
    "max_duration_s": 5.0,
    "precision": 0.05,
}


class Measured(NamedTuple):
    """One level. Times of facts and records are seconds since `zero_s`."""

    facts: LevelFacts
    records: list[Record]
    zero_s: float

    def of(self, user: int) -> list[Record]:
        """One user's records in order."""
        return sorted((record for record in self.records if record.user == user), key=lambda record: record.k)


class Loaded:
    """A worker and what happens around its levels."""

    def __init__(
        self,
        *,
        model: str = "good",
        workload: Chat | None = None,
        worker: type[Worker] = Worker,
        timeout_s: float = 10.0,
        stop_after_s: float | None = None,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        self.model = model
        self.workload: Any = workload or Chat(output_tokens=8)
        self.worker_class = worker
        self.timeout_s = timeout_s
        self.stop_after_s = stop_after_s
        self.check = check
        self.progress: list[Progress] = []

    def levels(self, url: str, *plans: dict[str, Any]) -> list[Measured]:
        """Measure levels one after the other with the same worker."""

        async def measure_all() -> list[Measured]:
            worker = self.worker_class(
                target=await resolve(Access(url=url, timeout_s=self.timeout_s)),
                maker=RequestMaker(api="chat", model=self.model, exact_length_body={}),
                workload=self.workload,
            )
            return [await self._level(worker, plan) for plan in plans]

        return run(measure_all)

    async def _level(self, worker: Worker, plan: dict[str, Any]) -> Measured:
        stop, zero_s = asyncio.Event(), now_s()
        level = Level(
            LevelPlan(**(DEFAULTS | plan)),
            crew=LocalCrew(worker),
            zero_s=zero_s,
            stop=stop,
            progress=self.progress.append,
            check=self.check,
            same_host=True,
        )
        if self.stop_after_s is not None:
            asyncio.get_running_loop().call_later(self.stop_after_s, stop.set)
        records: list[Record] = []
        return Measured(await level.run(records.append, lambda facts: None), records, zero_s)


def level(url: str, *, loaded: Loaded | None = None, **plan: Any) -> Measured:
    """Measure one level."""
    return (loaded or Loaded()).levels(url, plan)[0]
