"""How wrong predictions are: on points that the fit has not seen, and with a whole model, card or engine left out."""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple, TypeVar

import numpy as np
from msgspec.structs import replace

from breakeven.hardware import ModelShape
from breakeven.hardware.silicon import Kernels
from breakeven.predict.calibrations import Tier
from breakeven.predict.fit import Parameters, Prior, as_prior, errors, fit
from breakeven.predict.levels import NARROWER, Calibrated, Group, Key, fit_levels, nearest
from breakeven.predict.silicon import of_kernels

FOLDS: Final = 5
ENOUGH: Final = 12
"""Points held out from which on a card has an interval of its own. With 30 the points of GB200, which contradict each
other, had that of all cards, and 12 % of them were inside."""
ENOUGH_OF_A_VERSION: Final = 30
"""The same of one version of an engine on it, for which else all versions on the card stand: of a dozen points a single
stray one would make the interval."""
CLASSES: Final = (1, 65)
"""Users from which on errors are counted for themselves. All in one, of the points of 65 users and more that were held
out 72 to 89 % were inside, of those of fewer 95 %; with a third class from 9 users on, of the TTFT of an engine that
was left out 71 % of the points of 1 to 8."""
LEAST_LEVELS: Final = 4
"""Of a curve that two levels are to predict."""
Row = TypeVar("Row")


class Miss(NamedTuple):
    """A point that was held out, and log(measured / predicted) of each of its figures."""

    calibrated: Calibrated
    errors: Mapping[str, float]
    bound: str


def held_out(
    measured: Sequence[Calibrated], tier: Tier, *, seed: int = 1, tell: Callable[[int, int], None] | None = None
) -> list[Miss]:
    """Every point predicted by a fit that saw nothing as near as the tier: 5 parts drawn with `seed` for `same`.

    `tell` hears which of how many fits begins.
    """
    groups = _parts(measured, tier, seed)
    misses = []
    parts = dict.fromkeys(groups)
    for number, part in enumerate(parts, 1):
        if tell is not None:
            tell(number, len(parts))
        seen = [point for point, group in zip(measured, groups, strict=True) if group != part]
        unseen = [point for point, group in zip(measured, groups, strict=True) if group == part]
        misses += predicted(fit_levels(seen), unseen)
    return misses


def held_out_of_curves(measured: Sequence[Calibrated]) -> list[Miss]:
    """Every curve (same settings but the users) of four levels at least, by a fit of two of them, as of a user's own
    short run: that with the fewest users and that nearest to ten. The prior comes from all other cards."""
    misses = []
    for card in dict.fromkeys((one.key.engine, one.key.gpu) for one in measured):
        others = fit_levels([one for one in measured if (one.key.engine, one.key.gpu) != card])
        curves: dict[Hashable, list[Calibrated]] = defaultdict(list)
        for one in (one for one in measured if (one.key.engine, one.key.gpu) == card):
            curves[one.key, replace(one.point, users=0, ttft_s=None, tpot_s=None, output_tok_per_s=None)].append(one)
        for curve in curves.values():
            likes = nearest(curve[0].key, others)
            if len(curve) >= LEAST_LEVELS and likes is not None:
                misses += _of_two(curve, as_prior(others[likes], narrower=NARROWER))
    return misses


class Setting(NamedTuple):
    """What kernels are asked of."""

    model: ModelShape
    gpu: str
    engine: str
    cards: int


def setting(one: Calibrated) -> Setting:
    """That of a point."""
    return Setting(one.point.model, one.key.gpu, one.key.engine, one.point.tp)


def held_out_by_kernels(measured: Sequence[Calibrated], known: Mapping[Setting, Kernels]) -> list[Miss]:
    """Every point whose kernels are known, predicted from them and from the engine on other cards: no point of its card
    under its engine was seen."""
    misses = []
    for card in dict.fromkeys((one.key.engine, one.key.gpu) for one in measured):
        others = fit_levels([one for one in measured if (one.key.engine, one.key.gpu) != card])
        for one in (one for one in measured if (one.key.engine, one.key.gpu) == card):
            likes, steps = nearest(one.key, others), known.get(setting(one))
            if likes is not None and steps is not None:
                found = of_kernels(one.point.model, steps, cards=one.point.tp, likes=others[likes])
                misses += predicted({one.key: found}, [one])
    return misses


def _of_two(curve: Sequence[Calibrated], prior: Mapping[str, Prior]) -> list[Miss]:
    fewest = min(curve, key=lambda one: one.point.users)
    rest = [one for one in curve if one is not fewest]
    ten = min(rest, key=lambda one: abs(one.point.users - 10))
    found = fit([fewest.point, ten.point], prior=prior)
    return predicted({fewest.key: found}, [one for one in rest if one is not ten])


def predicted(found: Mapping[Key, Parameters], unseen: Iterable[Calibrated]) -> list[Miss]:
    """The errors of fitted levels on some points; a point that does not fit on its cards by our count has none."""
    misses = []
    for calibrated in unseen:
        key = nearest(calibrated.key, found)
        if key is None:
            continue
        closed = found[key].of(calibrated.point)
        misses.append(Miss(calibrated, errors(found[key], calibrated.point), closed.bound if closed else "none"))
    return misses


def _parts(measured: Sequence[Calibrated], tier: Tier, seed: int) -> list[Hashable]:
    if tier == "same":
        return [int(part) for part in np.random.default_rng(seed).integers(0, FOLDS, len(measured))]
    of: Mapping[Tier, Callable[[Calibrated], Hashable]] = {
        "card": lambda one: (one.key.engine, one.key.gpu, one.point.model.key),
        "engine": lambda one: (one.key.engine, one.key.gpu),
        "none": lambda one: one.key.engine,
    }
    return [of[tier](one) for one in measured]


def group_of(key: Key, *, waits: bool, users: int) -> Group:
    """That of a single point, by its class of users; those who wait for a place are few enough points as they are."""
    return Group(key, waits, 1 if waits else max(fewest for fewest in CLASSES if fewest <= users))


def groups(rows: Iterable[tuple[Group, Row]], tier: Tier) -> dict[Group, list[Row]]:
    """Rows by what an interval is found on: key, whether users wait for a place in the cache, class of users, and all
    users where a class of them has too few rows.

    Where the model itself was measured on the card every key of the chain with enough points has one; further away, all
    of a kind share one, since what was left out tells how far cards, models and engines lie apart.
    """
    found: dict[Group, list[Row]] = defaultdict(list)
    for group, row in rows:
        for above in group.key.chain if tier == "same" else group.key.chain[:1]:
            found[group._replace(key=above)].append(row)
            found[group._replace(key=above, users=0)].append(row)
    enough = {group: members for group, members in sorted(found.items()) if len(members) >= _enough(group.key)}
    return {
        group: members
        for group, members in enough.items()
        if group.users or not (group.waits or all(group._replace(users=fewest) in enough for fewest in CLASSES))
    }


def _enough(key: Key) -> int:
    if not key.engine:
        return 0
    return ENOUGH_OF_A_VERSION if key.version else ENOUGH


SHARES: Final[Mapping[Tier, float]] = {"same": 0.9, "card": 0.93, "engine": 0.92, "none": 0.92, "kernels": 0.92}
"""Quantile of the misses from which 90 % of what is to come lie within the interval. Further away errors come in whole
groups, a model, card or engine at a time, so that the misses of other groups tell too little by a few hundredths
(docs/PREDICTION.md, coverage)."""


def half_widths(
    found: Mapping[Group, Sequence[Row]], tier: Tier, of: Callable[[Row], tuple[str, float]]
) -> dict[Group, float]:
    """The half-width of an interval by group, as a factor, of log errors by engine; no group that is too small for one.

    Where no point is of the engine it is that of the engine that was missed most, left out: what most points say, all
    of two engines, tells nothing of a third that schedules unlike them.
    """
    widths = {at: factor([of(row)[1] for row in rows], share=SHARES[tier]) for at, rows in found.items()}
    if tier == "none":
        widths = {at: _widest([width, *_by_engine(found, at, of)]) for at, width in widths.items()}
    return {at: width for at, width in widths.items() if width}


def _by_engine(
    found: Mapping[Group, Sequence[Row]], at: Group, of: Callable[[Row], tuple[str, float]]
) -> list[float | None]:
    """Of each engine with ENOUGH points of such users, or of all users together."""
    like = [group for group in found if (group.key, group.waits) == (at.key, at.waits) and group.users] or [at]
    every = [of(row) for group in like for row in found[group]]
    here = [of(row) for row in found[at]]
    widths = []
    for engine in dict.fromkeys(name for name, _ in every):
        mine, whole = ([error for name, error in told if name == engine] for told in (here, every))
        enough = mine if len(mine) >= ENOUGH else whole
        widths.append(factor(enough) if len(enough) >= ENOUGH else None)
    return widths


def _widest(widths: Iterable[float | None]) -> float | None:
    return max((width for width in widths if width), default=None)


def factor(misses: Sequence[float], *, share: float = 0.9) -> float | None:
    """Half-width of an interval as a factor: the `share` quantile of |log error|, n + 1 counted (split conformal).

    A new point of the same kind is within value / f … value x f with that probability, whatever the errors' shape. None
    where there are too few to tell: 9 for 90 %.
    """
    size = np.sort(np.abs(np.array(misses)))
    rank = int(np.ceil(share * (len(size) + 1)))
    return float(np.exp(size[rank - 1])) if rank <= len(size) else None
