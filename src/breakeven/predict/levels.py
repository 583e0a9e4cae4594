"""Calibrations in levels: a card under an engine leans on what the engine does elsewhere, and that on all engines."""

import functools
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Literal, NamedTuple

import numpy as np

from breakeven.predict.fit import PRIOR, Parameters, Point, as_prior, fit, logs, parameters

Kind = Literal["dense", "experts"]
NARROWER: Final = 2.0
"""How much surer a group of few points is of what its likes have than PRIOR is of itself."""
ENOUGH: Final = 30
"""Points from which on a group speaks for itself."""
A_FEW: Final = 10
"""Points from which on it has a say in what stands for its likes."""


class Key(NamedTuple):
    """What a calibration stands for; an empty name stands for all."""

    kind: Kind
    engine: str = ""
    gpu: str = ""
    precision: str = ""
    version: str = ""
    """Of the engine; the month of the measurement where the version was not told."""

    @property
    def chain(self) -> tuple["Key", ...]:
        """From all engines down to this one."""
        names = self[1:]
        return tuple(dict.fromkeys(Key(self.kind, *names[:n]) for n in range(len(names) + 1)))


class Group(NamedTuple):
    """What the points of one interval have in common."""

    key: Key
    waits: bool
    """Users wait for a place in the cache."""
    users: int
    """From so many on, up to the next number that there is; 0: all."""


class Calibrated(NamedTuple):
    """A point that was measured, and what it belongs to."""

    key: Key
    point: Point


def key_of(engine: str, version: str, point: Point) -> Key:
    """The deepest key of a point."""
    kind: Kind = "experts" if point.model.experts else "dense"
    return Key(kind, engine, point.gpu.key, point.model.measured_as, version)


def fit_levels(measured: Sequence[Calibrated]) -> dict[Key, Parameters]:
    """Parameters for every key of every chain.

    Each group of points of one deepest key is fitted alone. What stands for several groups is the median of the logs of
    theirs; under a card or a precision it stands only where more than one model was measured, as one model's habits
    tell less of another's than other cards do. A group of fewer points than ENOUGH is fitted once more with its likes
    as prior.
    """
    groups: dict[Key, list[Point]] = defaultdict(list)
    for key, point in measured:
        groups[key].append(point)
    alone = {key: _alone(tuple(points)) for key, points in groups.items()}
    found = {above: _middle(above, alone, groups) for above in _above(groups)}
    for key, points in groups.items():
        likes = nearest(key._replace(version=""), found)
        few = len(points) < ENOUGH and likes is not None and likes.engine
        found[key] = fit(points, prior=as_prior(found[likes], narrower=NARROWER)) if few and likes else alone[key]
    return found


@functools.lru_cache(maxsize=512)
def _alone(points: tuple[Point, ...]) -> Parameters:
    """Remembered, since whoever holds points out fits most groups again as they were."""
    return fit(points)


def nearest(key: Key, known: Iterable[Key]) -> Key | None:
    """The deepest key of the chain that is known; None where not even its kind of model is."""
    kept = set(known)
    return next((above for above in reversed(key.chain) if above in kept), None)


def nearest_of(group: Group, known: Mapping[Group, float]) -> float | None:
    """The width at the deepest key of the chain that has one for so many users; None where none has.

    A card's few users tell less of its many than other cards' many do, so users go before the key. Where a deeper key
    has too few points of so many users, but enough of all, the wider of both: a card may be unlike others.
    """
    chain = group.key.chain
    fitting = [one for one in known if one.waits == group.waits and one.key in chain and one.users <= group.users]
    counted = max(
        (one for one in fitting if one.users), key=lambda one: (one.users, chain.index(one.key)), default=None
    )
    whole = max((one for one in fitting if not one.users), key=lambda one: chain.index(one.key), default=None)
    if counted is None or whole is None:
        return known[one] if (one := counted or whole) else None
    deeper = chain.index(whole.key) > chain.index(counted.key)
    return max(known[counted], known[whole]) if deeper else known[counted]


def _above(groups: Mapping[Key, Sequence[Point]]) -> list[Key]:
    """The levels above the deepest ones that stand for something."""
    models: dict[Key, set[str]] = defaultdict(set)
    for key, points in groups.items():
        for above in key.chain[:-1]:
            models[above] |= {point.model.key for point in points}
    return [above for above, names in models.items() if len(names) > 1 or not above.gpu]


def _middle(above: Key, alone: Mapping[Key, Parameters], groups: Mapping[Key, Sequence[Point]]) -> Parameters:
    below = [key for key in alone if above in key.chain]
    telling = [key for key in below if len(groups[key]) >= A_FEW] or below
    return parameters(np.median([logs(alone[key]) for key in telling], axis=0), PRIOR)
