"""The settings that a search goes through: what `--vary` says, as a finite list of settings."""

import itertools
import math
import random
import re
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from breakeven.errors import UsageError
from breakeven.serving import Setting, typed

MOST_SETTINGS: Final = 512
"""A larger space is drawn from, by the seed."""
_FORM: Final = "write NAME=16..256, NAME=16..256:9 for nine steps, or NAME=a,b,c, and perhaps ` if OTHER=a,b` after it"
_NAME: Final = re.compile(r"\s*([A-Za-z][\w-]*)\s*=\s*(.+?)\s*", re.DOTALL)
_RANGE: Final = re.compile(r"(\d*\.?\d+)\.\.(\d*\.?\d+)(?::(\d+))?")


class Vary(NamedTuple):
    """One setting and the values that it may have."""

    name: str
    values: tuple[Setting, ...]
    needs: tuple[str, tuple[Setting, ...]] | None = None
    """Another setting and the values of it with which this one is said at all."""


def parse_vary(text: str) -> Vary:
    """Read `max_batch=16..256`, `dtype=a,b`, `x=true,false if y=1,2`; ValueError says what is wrong."""
    said, _, condition = text.partition(" if ")
    name, values = _named(said, text)
    if not condition:
        return Vary(name, values)
    return Vary(name, values, _named(condition, text))


def _named(said: str, whole: str) -> tuple[str, tuple[Setting, ...]]:
    match = _NAME.fullmatch(said)
    if match is None:
        raise ValueError(f"'{whole}' says no values; {_FORM}")
    found = _RANGE.fullmatch(match[2])
    values = _steps(found, whole) if found else tuple(typed(one.strip()) for one in match[2].split(","))
    if "" in values or len(set(map(str, values))) < len(values):
        raise ValueError(f"'{whole}': a value is empty or stands twice; {_FORM}")
    return match[1].replace("-", "_"), values


def _steps(found: re.Match[str], whole: str) -> tuple[Setting, ...]:
    """Evenly on a log scale, both ends included: factors of two, or as many as are asked for."""
    low, high = float(found[1]), float(found[2])
    if not 0 < low < high:
        raise ValueError(f"'{whole}': a range rises from above 0; {_FORM}")
    steps = int(found[3]) if found[3] else round(math.log2(high / low)) + 1
    if steps < 2:
        raise ValueError(f"'{whole}': a range has at least two steps; {_FORM}")
    values = [low * (high / low) ** (i / (steps - 1)) for i in range(steps)]
    if found[1].isdigit() and found[2].isdigit():
        return tuple(dict.fromkeys(round(value) for value in values))
    return tuple(float(f"{value:.3g}") for value in values)


def settings_in(varied: Sequence[Vary], *, seed: int) -> list[dict[str, Setting]]:
    """Every combination once, without what its conditions leave out; of a large space as many as MOST_SETTINGS."""
    names = [one.name for one in varied]
    for one in varied:
        if names.count(one.name) > 1:
            raise UsageError(f"--vary: {one.name} stands twice; give all its values at once")
        if any(one.needs and one.needs[0] == other.name and other.needs for other in varied):
            raise UsageError(
                f"--vary: {one.name} hangs on a setting that hangs on another itself; write out one of them"
            )
        if one.needs is not None and one.needs[0] not in names:
            raise UsageError(f"--vary: {one.name} hangs on {one.needs[0]}, which is not varied; vary it too")
    size = math.prod(len(one.values) for one in varied)
    if size > 200_000:
        raise UsageError(f"--vary: {size:,} combinations are too many to look at; give fewer values")
    found: dict[tuple[tuple[str, Setting], ...], dict[str, Setting]] = {}
    for values in itertools.product(*(one.values for one in varied)):
        settings = _said(dict(zip(names, values, strict=True)), varied)
        found.setdefault(tuple(settings.items()), settings)
    every = list(found.values())
    return every if len(every) <= MOST_SETTINGS else random.Random(seed).sample(every, MOST_SETTINGS)


def _said(settings: Mapping[str, Setting], varied: Sequence[Vary]) -> dict[str, Setting]:
    """Those whose condition holds."""
    return {
        one.name: settings[one.name] for one in varied if one.needs is None or settings[one.needs[0]] in one.needs[1]
    }


def next_users(ladder: Sequence[int], verdicts: Mapping[int, bool]) -> int | None:
    """The next number of users on the way to a setting's capacity: up while the service level is met, down while not.

    `verdicts` are the levels measured so far, True where the service level is met; None when what is met and what is
    missed lie side by side, or the ladder ends.
    """
    seen = sorted(verdicts)
    low, high = ladder.index(seen[0]), ladder.index(seen[-1])
    if verdicts[seen[-1]] and high + 1 < len(ladder):
        return ladder[high + 1]
    if not verdicts[seen[0]] and low > 0:
        return ladder[low - 1]
    return None
