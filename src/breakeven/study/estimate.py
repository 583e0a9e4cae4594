"""How long levels and cells may take and what that may cost: estimates from the plan, as upper bounds."""

import math
from collections.abc import Sequence
from typing import Final, Protocol

from breakeven.plan import Plan
from breakeven.units import S_PER_H

SETTLE_S: Final = 2.0
"""Taken for the wait until the engine is idle; 30 s is the longest that it can be."""
START_EMBEDDED_S: Final = 5.0
START_S: Final = 120.0
"""Taken for an engine that was never started in this study: most of it is loading the model."""


class LevelLength(Protocol):
    """What a level's length depends on."""

    @property
    def ramp_s(self) -> float: ...
    @property
    def warmup_s(self) -> float: ...
    @property
    def longest_warmup_s(self) -> float: ...
    @property
    def duration_s(self) -> float | None: ...
    @property
    def requests(self) -> int | None: ...
    @property
    def max_duration_s(self) -> float: ...


def level_s(level: LevelLength) -> float | None:
    """Ramp + warm-up + longest window + settling; None where a count of requests, or a trace, ends the level."""
    window_s = level.max_duration_s if level.duration_s is None else level.duration_s
    if level.requests is not None or math.isinf(window_s):
        return None
    return level.ramp_s + max(level.warmup_s, level.longest_warmup_s) + window_s + SETTLE_S


def start_s(plan: Plan, *, seen_s: float | None = None) -> float:
    """Start-up of the cell's engine: as it was seen last, else what is taken for its kind; 0 for a URL."""
    if plan.url is not None:
        return 0.0
    if seen_s is not None:
        return seen_s
    return START_EMBEDDED_S if plan.is_embedded else START_S


def turn_s(plan: Plan, levels: Sequence[LevelLength]) -> float | None:
    """One start of the engine and all its levels, once; None where a level has no known end."""
    known = [seconds for seconds in map(level_s, levels) if seconds is not None]
    return None if len(known) < len(levels) else start_s(plan) + sum(known)


def cost_usd(seconds: float | None, *, usd_per_h: float | None) -> float | None:
    """Rent for that time; None where the time or the rent is not known."""
    return None if seconds is None or usd_per_h is None else seconds / S_PER_H * usd_per_h
