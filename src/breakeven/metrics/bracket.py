"""Between which loads a service level is lost, and which load to measure next to know it better."""

import math
from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from breakeven.metrics.goodput import Verdict, judged
from breakeven.metrics.slo import Limit, Slo
from breakeven.metrics.summary import Distribution, LevelSummary

CLOSE_ENOUGH: Final = 0.05
"""The bracket's width over its lower end at which it is closed; one user is always close enough."""
MOST_USERS: Final = 10_000
_RATES: Final = (1e-3, 1e6)
_MARGIN: Final = 0.02
"""A level is put so far below (or above) where the limit is expected to be crossed, so that both ends close in."""
_FAR_BELOW: Final = 0.25
_MIDDLE_EACH: Final = 3
"""Every third level is put into the middle, whatever the line says: it may be wrong for ever."""


class Outcome(Struct, frozen=True, kw_only=True):
    """What one load gave."""

    load: float
    verdict: Verdict
    worst: float | None
    """The largest figure over its limit: 1 where the limit is just met; None where one cannot be told."""
    is_broken: bool = False
    """It cannot be told since clients were lost: the load has to be measured again."""


class Bracket(Struct, frozen=True, kw_only=True):
    """The highest load that met the SLO and the lowest above it that did not. None: there is none."""

    met: float | None
    missed: float | None
    unit: str
    """`users` or `req/s`."""
    slo: str
    is_closed: bool
    """No load worth measuring lies between."""
    text: str


def outcome(level: LevelSummary, slo: Slo) -> Outcome | None:
    """How a level did; None where it was not measured to its end."""
    load = load_of(level)
    if load is None or level.status == "interrupted":
        return None
    verdict = judged(level, slo)[0]
    is_broken = verdict == "unknown" and bool(level.extra.get("clients_lost"))
    return Outcome(load=float(load), verdict=verdict, worst=_worst(level, slo), is_broken=is_broken)


def load_of(level: LevelSummary) -> float | None:
    """Users of a closed loop, requests per second offered by an open one."""
    return level.users if level.users is not None else level.req_per_s_offered


def _worst(level: LevelSummary, slo: Slo) -> float | None:
    found = [_figure(level, limit) for limit in slo.limits]
    known = [value / limit.limit_s for value, limit in zip(found, slo.limits, strict=True) if value is not None]
    return max(known) if len(known) == len(slo.limits) and max(known) > 0 else None


def _figure(level: LevelSummary, limit: Limit) -> float | None:
    name, _, statistic = limit.metric.rpartition("_")
    of: Distribution = getattr(level, f"{name}_s")
    value: float | None = of.mean if statistic == "mean" else getattr(of, statistic).value
    return value


def outcomes(levels: Sequence[LevelSummary], slo: Slo) -> list[Outcome]:
    """Outcomes by rising load; of several levels at one load all must meet the SLO."""
    worst_first: dict[float, Outcome] = {}
    order: tuple[Verdict, ...] = ("missed", "unknown", "met")
    for found in filter(None, (outcome(level, slo) for level in levels)):
        before = worst_first.get(found.load, found)
        worst_first[found.load] = min(before, found, key=lambda one: order.index(one.verdict))
    return sorted(worst_first.values(), key=lambda one: one.load)


def bracket(levels: Sequence[LevelSummary], *, slo: Slo) -> Bracket:
    """What the levels of a run say of the highest load. A load that met the SLO above one that missed it is luck."""
    unit = "req/s" if any(level.users is None for level in levels) else "users"
    found = outcomes(levels, slo)
    missed = _missed(found)
    met = max((one.load for one in found if one.verdict == "met" and _below(one, missed)), default=None)
    untold = [one for one in found if one.verdict == "unknown" and (met is None or one.load > met)]
    closed = met is not None and missed is not None and _is_close(met, missed, whole=unit == "users")
    text = _text(met, missed, unit=unit, slo=slo) + _untold(untold, unit=unit)
    return Bracket(met=met, missed=missed, unit=unit, slo=slo.text(), is_closed=closed, text=text)


def _missed(found: Sequence[Outcome]) -> float | None:
    return min((one.load for one in found if one.verdict == "missed"), default=None)


def _below(one: Outcome, missed: float | None) -> bool:
    return missed is None or one.load < missed


def _is_close(low: float, high: float, *, whole: bool) -> bool:
    return high - low <= max(1.0 if whole else 0.0, CLOSE_ENOUGH * low)


def next_load(found: Sequence[Outcome], *, first: float, whole: bool) -> float | None:
    """The load to measure next; None when the bracket is closed, or no load is left to try.

    Doubles (fourfold, far below the limit) until one misses, halves until one does not; then where the worst figure
    should cross its limit, by a straight line between the ends on logarithmic scales. A load that cannot be told of is
    passed upwards: more load brings more answers to tell from.
    """
    missed = _missed(found)
    low = max((one for one in found if one.verdict != "missed" and _below(one, missed)), key=_load, default=None)
    high = next((one for one in found if one.load == missed), None)
    if low is None and high is None:
        return first
    if high is None:
        return _tried(low.load * _step(low), whole=whole) if low is not None else None
    if low is None:
        return _tried(high.load / 2, whole=whole) if high.load > 1 or not whole else None
    if _is_close(low.load, high.load, whole=whole):
        return None
    return _between(low, high, whole=whole, middle=len(found) % _MIDDLE_EACH == 0)


def _load(one: Outcome) -> float:
    return one.load


def _step(low: Outcome) -> int:
    return 4 if low.worst is not None and low.worst < _FAR_BELOW else 2


def _tried(load: float, *, whole: bool) -> float | None:
    if whole:
        return float(int(load)) if 1 <= load <= MOST_USERS else None
    return load if _RATES[0] <= load <= _RATES[1] else None


def _between(low: Outcome, high: Outcome, *, whole: bool, middle: bool) -> float:
    """Where the limit should be crossed, or a little past it, so that the longer side goes; else the middle."""
    span = math.log(high.load / low.load)
    at = 0.5
    if not middle and low.worst is not None and high.worst is not None and low.worst < 1 < high.worst:
        at = -math.log(low.worst) / math.log(high.worst / low.worst)
        at += _MARGIN / span * (1 if at < 0.5 else -1)
        at = min(max(at, _MARGIN / span), 1 - _MARGIN / span)
    load = low.load * math.exp(span * at)
    return min(max(float(round(load)), low.load + 1), high.load - 1) if whole else load


def _text(met: float | None, missed: float | None, *, unit: str, slo: Slo) -> str:
    if met is None:
        least = "" if missed is None else f", not even {missed:g} {unit}"
        return f"no load that was measured is known to meet {slo.text()}{least}"
    if missed is None:
        return f"{met:g} {unit} still meet {slo.text()}; no higher load was measured"
    return f"at most {met:g} {unit} meet {slo.text()}; {missed:g} do not"


def _untold(untold: Sequence[Outcome], *, unit: str) -> str:
    """Loads above the highest that met it which cannot be told of, by why."""
    few = _loads([one for one in untold if not one.is_broken], unit=unit)
    broken = _loads([one for one in untold if one.is_broken], unit=unit)
    return (f" (too few answers to tell at {few}: measure longer with --max-duration)" if few else "") + (
        f" (clients were lost at {broken}: measure again with --resume)" if broken else ""
    )


def _loads(found: Sequence[Outcome], *, unit: str) -> str:
    return f"{', '.join(f'{one.load:g}' for one in found)} {unit}" if found else ""
