"""What writers of other tools' formats share: the name of a level, its figures in one list, what a sender is given."""

import datetime
import itertools
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple, TypeVar

from breakeven.metrics.definitions import METRICS, RATES
from breakeven.metrics.statistics import STATISTICS
from breakeven.metrics.summary import LevelSummary, RunSummary
from breakeven.record import LevelFacts, Record
from breakeven.units import moment, rate_text

COUNTS: Final = {
    "requests": "answers that ended in the window",
    "errors": "failed requests of the whole level",
    "cut": "requests that were cut at the end of the level",
}
_NAME: Final = re.compile(r"[a-z][a-z0-9_]*")

T = TypeVar("T")
Measured = Iterable[tuple[LevelFacts, list[Record]]]
"""The levels of a run folder with their records; none of a run that is a summary alone."""
Sender = Callable[[RunSummary, Measured, str], str]
"""Sends a run to the server at an address, and says in a line what it sent. RunFailedError where it cannot."""


class Figure(NamedTuple):
    """One figure of a level by its name with its unit, such as `ttft_s_p50`; an open end of its interval is None."""

    name: str
    value: float
    low: float | None = None
    high: float | None = None

    def numbers(self) -> Iterator[tuple[str, float]]:
        """Itself and the ends of its interval that are known, `…_low` and `…_high`, for who takes one number a name."""
        for suffix, number in (("", self.value), ("_low", self.low), ("_high", self.high)):
            if number is not None:
                yield f"{self.name}{suffix}", number


def figures(level: LevelSummary) -> Iterator[Figure]:
    """Every row of RATES, every statistic of every row of METRICS, counts, and further numbers; none that is None."""
    for name, rate in RATES.items():
        if (of := rate.of(level)).value is not None:
            yield Figure(name, of.value, *of.ci95)
    for name in METRICS:
        for which in STATISTICS:
            if (at := level.of(name).at(which)).value is not None:
                yield Figure(f"{name}_{which}", at.value, *at.ci95)
    for name in COUNTS:
        yield Figure(name, float(getattr(level, name)))
    yield from further(level)


def further(level: LevelSummary) -> Iterator[Figure]:
    """Numbers that the level holds besides, their units in their names: energy, goodput, what the engine told."""
    for name, value in level.extra.items():
        if isinstance(value, int | float) and not isinstance(value, bool) and name not in {*RATES, *METRICS, *COUNTS}:
            if _NAME.fullmatch(name):
                yield Figure(name, float(value))


def portions(items: Iterable[T], most: int) -> Iterator[list[T]]:
    """One after the other, as many at once as a server takes."""
    left = iter(items)
    while some := list(itertools.islice(left, most)):
        yield some


def known(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Without what is None."""
    return {name: value for name, value in fields.items() if value is not None}


def level_files(run: RunSummary, stem: str, document: Callable[[LevelSummary], Any]) -> dict[str, bytes]:
    """A file of JSON a level: name -> content."""
    return {
        f"{stem}-{level_name(level)}.json": json.dumps(document(level), indent=2).encode() + b"\n"
        for level in run.levels
    }


def level_name(level: LevelSummary | LevelFacts) -> str:
    """`users-50`, `rate-2.5`, `users-50-repeat-1`: the load, for names of files and series."""
    load = f"users-{level.users}" if level.users is not None else f"rate-{rate_text(level.req_per_s_offered or 0.0)}"
    return load + (f"-repeat-{level.repeat}" if level.repeat else "")


def began(run: RunSummary) -> datetime.datetime | None:
    """When the run began; None where it does not say, or not in which zone."""
    found = moment(run.run.started)
    return found if found is not None and found.tzinfo else None


def labels(run: RunSummary, level: LevelSummary) -> dict[str, str]:
    """What tells one series from another; what is not known is no label."""
    facts = run.run
    told = {
        "run": facts.id,
        "model": facts.model,
        "engine": facts.engine.get("name"),
        "gpu": facts.host.get("gpu"),
        "gpus": facts.host.get("gpu_count"),
        "users": level.users,
        "req_per_s_offered": level.req_per_s_offered,
        "repeat": level.repeat,
    }
    return {name: str(value) for name, value in known(told).items()}
