"""What a rule would do to a market: nodes kept, moved and dropped, the speed that is left, and what mistakes cost."""

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from breakeven.fleet.rules import form_of
from breakeven.fleet.scores import FEW_NODES, ORDINARY_GAP, Scores

Figures = NDArray[np.float64]
Mask = NDArray[np.bool_]

TRIED: Final = ("mean - 20 %", "mean - 10 %", "robust", "tested")
DROP: Final = "mean - 20 %"


class Outcome(Struct, frozen=True, kw_only=True):
    """One rule on one stratum."""

    stratum: int
    rule: str
    premium: int
    """Nodes that meet it."""
    community: int
    """Nodes that miss it, but not the line for dropping."""
    dropped: int
    mean_pct: float | None
    """Mean speed of the premium nodes, in per cent of the median of all; None where there is none."""
    sd_log: float | None
    """Spread of the premium nodes' scores, plain sd."""
    before_mean_pct: float
    before_sd_log: float
    wrong: float
    """Expected nodes among those that miss it which are in truth no more than 5 % slower."""
    wrong_usd_per_month: float | None
    """What their hosts lose, by declared inputs."""
    missed: float
    """Expected premium nodes that are in truth more than 5 % slower."""


def simulate(
    scored: Scores,
    slow: Mask,
    *,
    rules: Sequence[str] = TRIED,
    drop: str = DROP,
    lost_usd_per_month: Figures | None = None,
) -> tuple[Outcome, ...]:
    """Each rule on each stratum of at least five nodes; UsageError for a rule that is none.

    A node that misses the rule is dropped where it misses `drop` too, else it moves to the community market.
    """
    found = []
    for place, stratum in enumerate(scored.strata):
        mine = np.flatnonzero(scored.stratum == place)
        if stratum.nodes >= FEW_NODES:
            usd = None if lost_usd_per_month is None else float(lost_usd_per_month[place])
            found += [_one(scored, slow, mine, place, rule, drop=drop, usd=usd) for rule in rules]
    return tuple(found)


def _one(
    scored: Scores, slow: Mask, mine: NDArray[np.int64], place: int, rule: str, *, drop: str, usd: float | None
) -> Outcome:
    speed = 100 * np.exp(scored.score[mine])
    met = _met(rule, speed, slow[mine])
    out = ~met & ~_met(drop, speed, slow[mine])
    fair = fair_chance(scored, mine)
    kept = scored.score[mine][met]
    wrong = float(fair[~met].sum())
    return Outcome(
        stratum=place,
        rule=rule,
        premium=int(met.sum()),
        community=int((~met & ~out).sum()),
        dropped=int(out.sum()),
        mean_pct=float(speed[met].mean()) if met.any() else None,
        sd_log=float(np.std(kept, ddof=1)) if len(kept) > 1 else None,
        before_mean_pct=float(speed.mean()),
        before_sd_log=float(np.std(scored.score[mine], ddof=1)),
        wrong=wrong,
        wrong_usd_per_month=None if usd is None or math.isnan(usd) else wrong * usd,
        missed=float((1 - fair)[met].sum()),
    )


def _met(rule: str, speed: Figures, slow: Mask) -> Mask:
    form, number = form_of(rule)
    limit = form.limit(speed, number, False)
    if limit.by_test:
        return ~slow
    if limit.value is None:
        return np.ones(len(speed), dtype=bool)
    return speed <= limit.value if limit.is_most else speed >= limit.value


def fair_chance(scored: Scores, mine: NDArray[np.int64]) -> Figures:
    """Chance of each node to be no more than 5 % slower, by its interval as a normal: P(gap >= log 0.95)."""
    middle = (scored.low[mine] + scored.high[mine]) / 2
    sd = (scored.high[mine] - scored.low[mine]) / 2 / 1.96
    z = np.divide(
        middle - math.log(1 - ORDINARY_GAP), sd, out=np.where(middle > -ORDINARY_GAP, 9.0, -9.0), where=sd > 0
    )
    return np.array([0.5 * math.erfc(-value / math.sqrt(2)) for value in z], dtype=np.float64)
