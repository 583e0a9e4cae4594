"""Who asks: one worker in this process, or several elsewhere. The level's borders are the coordinator's alone."""

from collections.abc import Callable
from typing import Protocol

from breakeven.caution import Caution
from breakeven.load.worker import Counts, LevelSpec, Worker
from breakeven.record import ClientFacts, Record


class Crew(Protocol):
    """All users of a level, wherever they run."""

    async def make_ready(self) -> None:
        """Get what takes long out of the way before the level's clock starts."""
        ...

    async def start(self, spec: LevelSpec, emit: Callable[[Record], None]) -> None:
        """Start the users; their records go to `emit`, in this process."""
        ...

    async def counts(self) -> Counts:
        """What was seen so far, by all together."""
        ...

    async def open(self, *, measured: int | None) -> float:
        """The window opens now, for all at the same stamp."""
        ...

    async def cut(self) -> float:
        """End the level for all at the same stamp; every record has gone to `emit` when this returns."""
        ...

    def facts(self, *, close_s: float) -> tuple[ClientFacts, ...]:
        """How each client did in the window."""
        ...

    def notes(self) -> tuple[Caution, ...]:
        """Cautions that only the crew could see."""
        ...


class LocalCrew:
    """One worker, on this process's own loop."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker

    async def make_ready(self) -> None:
        """Collect garbage now."""
        self._worker.hush()

    async def start(self, spec: LevelSpec, emit: Callable[[Record], None]) -> None:
        """Start every user here."""
        self._worker.start(spec, range(spec.users) if spec.users else (0, 1), emit)

    async def counts(self) -> Counts:
        """The worker's own."""
        return self._worker.counts()

    async def open(self, *, measured: int | None) -> float:
        """Open now."""
        return self._worker.open(measured=measured)

    async def cut(self) -> float:
        """Cut now."""
        return await self._worker.cut()

    def facts(self, *, close_s: float) -> tuple[ClientFacts, ...]:
        """One client, or none where there was no window."""
        facts = self._worker.facts(close_s=close_s)
        return () if facts is None else (facts,)

    def notes(self) -> tuple[Caution, ...]:
        """Nothing that the records do not say."""
        return ()
