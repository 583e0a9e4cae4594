"""`--find-max`: the highest load that still meets the SLO, in as few levels as can be."""

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, NamedTuple

from breakeven.load.level import LevelPlan
from breakeven.metrics.bracket import Bracket, bracket, load_of, most_load, next_load, outcome, outcomes
from breakeven.metrics.goodput import Counted
from breakeven.metrics.slo import Slo
from breakeven.metrics.summary import LevelSummary
from breakeven.plan import Plan
from breakeven.record import LevelFacts
from breakeven.session.defaults import first_load, level_plan
from breakeven.units import load_text, short_s

MOST_AGAIN: Final = 2
"""A load whose clients were lost is measured again so often, at most."""


class _Turn(NamedTuple):
    """What is measured next."""

    load: float
    repeat: int


async def search_levels(
    plan: Plan,
    *,
    slo: Slo,
    measure: Callable[[LevelPlan], Awaitable[LevelSummary | None]],
    salt: int,
    say: Callable[[str], None],
    known: Sequence[LevelSummary] = (),
) -> Bracket:
    """Measure levels until the bracket is closed; says what it found. `measure` gives None to stop early.

    A load is measured `plan.repeats` times, or until one of them misses, which settles it. `known` are levels that an
    earlier part of the run has measured. A level that lost clients is measured again, in its own place.
    """
    whole = plan.rate is None
    first = float(next(load for load in first_load(plan) if load is not None))
    levels = list(known)
    if plan.requests is not None:
        most = most_load(whole=whole, requests=plan.requests)
        say(f"the search ends at {most:.0f} users, since {plan.requests} requests must hold two for each")
    again: Counter[_Turn] = Counter()
    while (turn := _turn(levels, plan=plan, slo=slo, first=first)) is not None:
        broken = [one for one in levels if _is_at(one, turn)]
        again[turn] += len(broken)
        if again[turn] > MOST_AGAIN:
            break
        level = level_plan(
            plan,
            users=int(turn.load) if whole else None,
            req_per_s=None if whole else round(turn.load, 3),
            repeat=turn.repeat,
            salt=salt,
        )
        summary = await measure(level)
        if summary is None or outcome(summary, slo) is None:
            break
        levels = [one for one in levels if one not in broken] + [summary]
    found = bracket(levels, slo=slo, requests=plan.requests)
    say(found.text)
    return found


def _turn(levels: Sequence[LevelSummary], *, plan: Plan, slo: Slo, first: float) -> _Turn | None:
    """First what lost its clients, then a load that has met so far but was not measured as often as asked."""
    for level in levels:
        found = outcome(level, slo)
        if found is not None and found.is_broken:
            return _Turn(round(found.load, 3), level.repeat)
    load = _load_to_measure(levels, plan=plan, slo=slo, first=first)
    return None if load is None else _Turn(load, sum(load_of(one) == round(load, 3) for one in levels))


def _is_at(level: LevelSummary, turn: _Turn) -> bool:
    return _Turn(load_of(level) or 0.0, level.repeat) == turn


def _load_to_measure(levels: Sequence[LevelSummary], *, plan: Plan, slo: Slo, first: float) -> float | None:
    """A load that has met so far, but was not measured as often as asked, comes before any other."""
    found = outcomes(levels, slo)
    for one in found:
        if one.verdict != "missed" and sum(load_of(level) == one.load for level in levels) < plan.repeats:
            return one.load
    return next_load(found, first=first, whole=plan.rate is None, requests=plan.requests)


def ended_early_text(missed: Counted, facts: LevelFacts) -> str:
    """Why a level of a search ended before its time."""
    load, took_s = load_text(facts.users, facts.req_per_s_offered), (facts.close_s or 0.0) - (facts.open_s or 0.0)
    limit = f"{missed.metric} <= {short_s(missed.limit_s)}"
    bad = f"{missed.beyond} of {missed.requests} are beyond it"
    return f"{load}: {limit} is missed whatever comes ({bad}); ended after {short_s(took_s)}"
