"""Whether predictions hold: errors and coverage of 90 % intervals on points that the fit had not seen, by group.

Coverage is nested: the factor of an interval comes from points of other parts than those that it is tried on: five
parts drawn with SEED where the model itself was measured on the card, else the misses of other models, cards or engines
than the one that was left out.
"""

import functools
import math
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Final, NamedTuple

import numpy as np
from msgspec import Struct

from breakeven.hardware import find_gpu
from breakeven.hardware.silicon import Kernels
from breakeven.predict.calibrations import ALL_TIERS, TIERS, Tier
from breakeven.predict.levels import Group, Key, nearest_of
from breakeven.predict.shipped import calibrated, shipped_points
from breakeven.predict.validate import (
    ENOUGH,
    Setting,
    group_of,
    groups,
    half_widths,
    held_out,
    held_out_by_kernels,
    setting,
)
from breakeven.reference.serving import (
    PeerPoint,
    ServingPoint,
    Settings,
    held_out_rows,
    peer_points,
    serving_points,
)

FIGURES: Final = ("tpot_s", "ttft_s", "output_tok_per_s")
SEED: Final = 2
PARTS: Final = 5


class Held(NamedTuple):
    """A point that was held out."""

    point: ServingPoint
    key: Key
    waits: bool
    """Users wait for a place in the cache."""
    errors: Mapping[str, float]
    """log(measured / predicted) by figure."""
    peer: Mapping[str, float]
    """The same of aiconfigurator, where it was asked."""

    @property
    def group(self) -> Group:
        """By which its interval is found."""
        return group_of(self.key, waits=self.waits, users=self.point.users)


class Tried(NamedTuple):
    """A point, and how wide intervals that had not seen it were."""

    held: Held
    factors: Mapping[str, float]

    def holds(self, figure: str) -> bool:
        """The interval of a figure holds what was measured."""
        return abs(self.held.errors[figure]) <= math.log(self.factors[figure])


class Figure(Struct, frozen=True, kw_only=True):
    """Of one figure over a group of points."""

    error: float
    """Median of |predicted / measured - 1|."""
    inside: float
    """Part of the points that lay in their 90 % intervals."""
    factor: float | None
    """Median half-width of those, as a factor."""


class Beside(Struct, frozen=True, kw_only=True):
    """Median errors on the points of a group that aiconfigurator was asked about."""

    points: int
    ours: dict[str, float]
    peers: dict[str, float]


class Row(Struct, frozen=True, kw_only=True):
    """One group of held-out points."""

    tier: Tier
    """How near the nearest measurement was that the fit had seen."""
    by: str
    """What the group has in common: a name of GROUPED, or `all`."""
    name: str
    points: int
    figures: dict[str, Figure]
    beside: Beside | None = None


def _users(one: Held) -> str:
    return next(name for most, name in USERS if one.point.users <= most)


USERS: Final = ((8, "1 to 8 users"), (64, "9 to 64"), (256, "65 to 256"), (math.inf, "more than 256"))
GROUPED: Final[Mapping[str, Callable[[Held], str]]] = MappingProxyType(
    {
        "card": lambda one: find_gpu(one.point.gpu).name,
        "engine": lambda one: one.point.engine,
        "model": lambda one: one.point.model,
        "users": _users,
    }
)
LEFT_OUT: Final[Mapping[str, Callable[[Held], Hashable]]] = MappingProxyType(
    {
        "card": lambda one: (one.point.engine, one.point.gpu, one.point.model),
        "engine": lambda one: (one.point.engine, one.point.gpu),
        "none": lambda one: one.point.engine,
        "kernels": lambda one: (one.point.engine, one.point.gpu),
    }
)


HeldByTier = Mapping[Tier, Sequence[Held]]


def shipped() -> HeldByTier:
    """The table of misses that benchmarks/predict_fit.py made; points that do not fit by our count have none, and those
    without plain kernels none by kernels."""
    points = serving_points()
    keys = [calibrated(point).key for point in points]
    made: dict[Tier, list[Held]] = defaultdict(list)
    for row in held_out_rows():
        errors = {name: value for name in FIGURES if (value := getattr(row, name)) is not None}
        made[row.tier].append(Held(points[row.point], keys[row.point], row.bound == "kv", errors, _peer(row.point)))
    return {tier: [one for one in rows if one.errors] for tier, rows in made.items()}


Tell = Callable[[Tier, int, int], None]
"""What is begun of a tier: the number of a fit or of a setting asked for its kernels, and how many there are."""


def anew(
    *, seed: int = 1, known: Callable[[Setting], Kernels | None] | None = None, tell: Tell | None = None
) -> HeldByTier:
    """The same from fits that are made now, with another draw of the parts of `same`: a minute or two.

    `known` asks for the kernels of a setting; without it nothing is predicted by them.
    """
    measured, _ = shipped_points()
    points = {id(one): index for index, one in enumerate(measured)}
    misses = {tier: held_out(measured, tier, seed=seed, tell=partial(tell, tier) if tell else None) for tier in TIERS}
    if known is not None:
        asked = dict.fromkeys(map(setting, measured))
        found: dict[Setting, Kernels] = {}
        for number, of in enumerate(asked, 1):
            if tell is not None:
                tell("kernels", number, len(asked))
            if steps := known(of):
                found[of] = steps
        misses["kernels"] = held_out_by_kernels(measured, found)
    made: dict[Tier, list[Held]] = {}
    for tier, missed in misses.items():
        at = [(points[id(miss.calibrated)], miss) for miss in missed if miss.errors]
        made[tier] = [
            Held(serving_points()[index], miss.calibrated.key, miss.bound == "kv", miss.errors, _peer(index))
            for index, miss in sorted(at, key=lambda pair: pair[0])
        ]
    return made


def _peer(index: int) -> Mapping[str, float]:
    """How far aiconfigurator was from a point; empty where it was not asked or refused."""
    point = serving_points()[index]
    told = _peers().get(point.settings)
    return {} if told is None else _peer_errors(point, told.peer_ttft_ms, told.peer_tpot_ms)


@functools.cache
def _peers() -> Mapping[Settings, PeerPoint]:
    return {peer.settings: peer for peer in peer_points()}


def _peer_errors(point: ServingPoint, ttft_ms: float | None, tpot_ms: float | None) -> dict[str, float]:
    """log(measured / predicted); its throughput is that of a closed loop with its TTFT and TPOT."""
    if ttft_ms is None or tpot_ms is None:
        return {}
    steps = point.output_tokens - 1
    took = [ttft + steps * tpot for ttft, tpot in ((ttft_ms, tpot_ms), (point.ttft_ms, point.tpot_ms))]
    return {
        "tpot_s": math.log(point.tpot_ms / tpot_ms),
        "ttft_s": math.log(point.ttft_ms / ttft_ms),
        "output_tok_per_s": math.log(took[0] / took[1]),
    }


def tried(tier: Tier, held: Sequence[Held]) -> tuple[Tried, ...]:
    """Every point of a tier with the factors that other parts give it."""
    drawn = np.random.default_rng(SEED).integers(0, PARTS, len(held)).tolist()
    parts: list[Hashable] = [LEFT_OUT[tier](one) for one in held] if tier in LEFT_OUT else drawn
    made: dict[int, Tried] = {}
    for part in dict.fromkeys(parts):
        others = [one for one, at in zip(held, parts, strict=True) if at != part]
        found = groups(((one.group, one) for one in others), tier)
        known = {figure: half_widths(found, tier, partial(_miss, figure)) for figure in FIGURES}
        for index, at in enumerate(parts):
            if at == part:
                widths = {name: nearest_of(held[index].group, known[name]) or math.inf for name in FIGURES}
                made[index] = Tried(held[index], widths)
    return tuple(made[index] for index in sorted(made))


LEAST_HELD: Final = 0.5
"""Part of a card's points in intervals of 90 % below which they are said not to have held."""


class Outside(Struct, frozen=True, kw_only=True):
    """A card whose own points lay outside of such intervals as are told of it."""

    points: int
    inside: float
    """Part of those whose TPOT was inside."""


@functools.cache
def outside(tier: Tier, gpu: str) -> Outside | None:
    """Of a card that was left out as the tier says; None where its intervals held, or too few points tell."""
    if tier == "same" or sum(point.gpu == gpu for point in serving_points()) < ENOUGH:
        return None
    points = [one for one in _tried_of(tier) if one.held.point.gpu == gpu]
    inside = float(np.mean([one.holds("tpot_s") for one in points])) if points else 1.0
    return Outside(points=len(points), inside=inside) if len(points) >= ENOUGH and inside < LEAST_HELD else None


@functools.cache
def _tried_of(tier: Tier) -> tuple[Tried, ...]:
    return tried(tier, shipped()[tier])


def _miss(figure: str, one: Held) -> tuple[str, float]:
    return one.point.engine, one.errors[figure]


def row(points: Sequence[Tried], *, tier: Tier, by: str = "all", name: str = "all") -> Row:
    """Errors and coverage of some points of a tier, with aiconfigurator's beside."""
    return Row(
        tier=tier,
        by=by,
        name=name,
        points=len(points),
        figures={figure: _figure(points, figure) for figure in FIGURES},
        beside=_beside([one.held for one in points if one.held.peer]),
    )


def _beside(asked: Sequence[Held]) -> Beside | None:
    if not asked:
        return None
    return Beside(
        points=len(asked),
        ours={figure: median_error(one.errors[figure] for one in asked) for figure in FIGURES},
        peers={figure: median_error(one.peer[figure] for one in asked) for figure in FIGURES},
    )


def _figure(points: Sequence[Tried], figure: str) -> Figure:
    width = float(np.median([one.factors[figure] for one in points]))
    return Figure(
        error=median_error(one.held.errors[figure] for one in points),
        inside=float(np.mean([one.holds(figure) for one in points])),
        factor=width if math.isfinite(width) else None,
    )


def median_error(errors: Iterable[float]) -> float:
    """Median of |predicted / measured - 1|, of log(measured / predicted)."""
    return float(np.median(np.abs(np.expm1(-np.array(list(errors))))))


def rows(
    held: HeldByTier, is_asked: Callable[[Held], bool], *, grouped: Sequence[Tier] = ("same", "engine")
) -> tuple[Row, ...]:
    """All points that are asked about by tier, and of the tiers of `grouped` by card, engine, model and users."""
    asked = {tier: [one for one in tried(tier, held[tier]) if is_asked(one.held)] for tier in ALL_TIERS if tier in held}
    made = [row(points, tier=tier) for tier, points in asked.items() if points]
    for tier in grouped:
        for by, of in GROUPED.items():
            parts: dict[str, list[Tried]] = defaultdict(list)
            for one in asked[tier]:
                parts[of(one.held)].append(one)
            order = [name for _, name in USERS if name in parts] if by == "users" else sorted(parts)
            made += [row(parts[name], tier=tier, by=by, name=name) for name in order]
    return tuple(made)
