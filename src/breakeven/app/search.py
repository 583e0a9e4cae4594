"""`--find-max`: the highest load that still meets the SLO, in as few levels as can be."""

from collections.abc import Awaitable, Callable

from msgspec import Struct

from breakeven.app.defaults import level_plan
from breakeven.load.level import LevelPlan
from breakeven.metrics.goodput import judge
from breakeven.metrics.slo import Slo
from breakeven.metrics.summary import LevelSummary
from breakeven.plan import Plan

MOST_USERS = 10_000
CLOSE_ENOUGH = 0.05
"""The bracket's width over its lower end at which the search stops; one user is always close enough."""


class Bracket(Struct, frozen=True, kw_only=True):
    """Between which loads the SLO is lost. None: no level met it, or none missed it."""

    met: float | None
    missed: float | None

    @property
    def is_closed(self) -> bool:
        """No load worth measuring lies between."""
        if self.met is None or self.missed is None:
            return False
        return self.missed - self.met <= max(1.0, CLOSE_ENOUGH * self.met)


def next_load(bracket: Bracket, *, first: float, whole: bool) -> float | None:
    """The load to measure next: double until one misses, halve until one meets, then the geometric middle."""
    met, missed = bracket.met, bracket.missed
    if met is None and missed is None:
        load = first
    elif missed is None:
        assert met is not None
        load = met * 2
    elif met is None:
        load = missed / 2
    elif bracket.is_closed or (not whole and missed / met <= 1 + CLOSE_ENOUGH):
        return None
    else:
        load = (met * missed) ** 0.5
    if not whole:
        return load if 1e-3 <= load <= 1e6 else None
    rounded = float(round(load))
    if met is not None and missed is not None:
        rounded = min(max(rounded, met + 1), missed - 1)
    return rounded if 1 <= rounded <= MOST_USERS else None


async def search_levels(
    plan: Plan,
    *,
    slo: Slo,
    measure: Callable[[LevelPlan], Awaitable[LevelSummary | None]],
    salt: int,
    say: Callable[[str], None],
) -> Bracket:
    """Measure levels until the bracket is closed; says what it found. `measure` gives None to stop early."""
    whole = plan.rate is None
    first = float(plan.users[0] if whole else (plan.rate or (1.0,))[0])
    bracket = Bracket(met=None, missed=None)
    while (load := next_load(bracket, first=first, whole=whole)) is not None:
        level = level_plan(
            plan, users=int(load) if whole else None, req_per_s=None if whole else round(load, 3), salt=salt
        )
        summary = await measure(level)
        if summary is None:
            break
        is_met = meets(summary, slo)
        bracket = Bracket(met=load if is_met else bracket.met, missed=bracket.missed if is_met else load)
    say(_found(bracket, slo=slo, unit="users" if whole else "req/s"))
    return bracket


def meets(level: LevelSummary, slo: Slo) -> bool:
    """Every limit is met for sure: what cannot be told counts as missed."""
    return level.status == "done" and all(judge(level, limit)[0] == "met" for limit in slo.limits)


def _found(bracket: Bracket, *, slo: Slo, unit: str) -> str:
    if bracket.met is None:
        least = "" if bracket.missed is None else f", not even {bracket.missed:g} {unit}"
        return f"no load that was measured meets {slo.text()}{least}"
    if bracket.missed is None:
        return f"{bracket.met:g} {unit} still meet {slo.text()}; no higher load was measured"
    return f"at most {bracket.met:g} {unit} meet {slo.text()}; {bracket.missed:g} do not"
