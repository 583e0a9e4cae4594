"""Between which loads a service level is lost, and which load to measure next to know it better."""

import math
from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from breakeven.metrics.goodput import VERDICTS, Verdict, figure, judged
from breakeven.metrics.slo import Slo
from breakeven.metrics.summary import LevelSummary, longer_with
from breakeven.plan import LEAST_REQ_PER_S, MOST_REQ_PER_S
from breakeven.units import load_text, rate_text

CLOSE_ENOUGH: Final = 0.05
"""The bracket's width over its lower end at which it is closed; one user is always close enough."""
MOST_USERS: Final = 10_000
_MARGIN: Final = 0.02
"""A level is put so far below (or above) where the limit is expected to be crossed, so that both ends close in."""
_FAR_BELOW: Final = 0.25
_MIDDLE_EACH: Final = 3
"""Every third level is put into the middle, whatever the line says: it may be wrong for ever."""
_DIGITS: Final = 3
"""Significant digits of a rate that a search tries."""


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
    found = [figure(level, limit) for limit in slo.limits]
    known = [value / limit.limit_s for value, limit in zip(found, slo.limits, strict=True) if value is not None]
    return max(known) if len(known) == len(slo.limits) and max(known) > 0 else None


def outcomes(levels: Sequence[LevelSummary], slo: Slo) -> list[Outcome]:
    """Outcomes by rising load; of several levels at one load all must meet the SLO."""
    worst_first: dict[float, Outcome] = {}
    for found in filter(None, (outcome(level, slo) for level in levels)):
        before = worst_first.get(found.load, found)
        worst_first[found.load] = min(before, found, key=lambda one: VERDICTS.index(one.verdict))
    return sorted(worst_first.values(), key=lambda one: one.load)


def most_load(*, whole: bool, requests: int | None = None) -> float:
    """The highest load that a search tries: MOST_USERS, fewer where N requests must hold two for each, or a rate."""
    if not whole:
        return MOST_REQ_PER_S
    return MOST_USERS if requests is None else min(MOST_USERS, requests // 2)


def bracket(levels: Sequence[LevelSummary], *, slo: Slo, requests: int | None = None) -> Bracket:
    """What the levels of a run say of the highest load. A load that met the SLO above one that missed it is luck.

    `requests` are those of a level, where it ends by their number.
    """
    unit = "req/s" if any(level.users is None for level in levels) else "users"
    found = outcomes(levels, slo)
    missed = _missed(found)
    met = max((one.load for one in found if one.verdict == "met" and _below(one, missed)), default=None)
    untold = [one for one in found if one.verdict == "unknown" and (met is None or one.load > met)]
    closed = met is not None and missed is not None and _is_close(met, missed, whole=unit == "users")
    most = most_load(whole=unit == "users", requests=requests)
    text = _text(met, missed, unit=unit, slo=slo, closed=closed)
    text += _untold(untold, unit=unit, longer=longer_with(levels[-1].stopped)) if untold else ""
    if missed is None and found:
        at_end = found[-1].load >= most
        text += f"; the search ends at {_named(most, unit)}" if at_end else "; no higher load was measured"
    return Bracket(met=met, missed=missed, unit=unit, slo=slo.text(), is_closed=closed, text=text)


def _missed(found: Sequence[Outcome]) -> float | None:
    return min((one.load for one in found if one.verdict == "missed"), default=None)


def _below(one: Outcome, missed: float | None) -> bool:
    return missed is None or one.load < missed


def _is_close(low: float, high: float, *, whole: bool) -> bool:
    return high - low <= max(_least(whole=whole), CLOSE_ENOUGH * low) * (1 + 1e-9)


def _least(*, whole: bool) -> float:
    """The lowest load, which is also the step in which loads are told apart."""
    return 1.0 if whole else LEAST_REQ_PER_S


def next_load(found: Sequence[Outcome], *, first: float, whole: bool, requests: int | None = None) -> float | None:
    """The load to measure next; None when the bracket is closed, or no load is left to try: the last is `most_load`.

    Doubles (fourfold, far below the limit) until one misses, halves until one does not; then where the worst figure
    should cross its limit, by a straight line between the ends on logarithmic scales. A load that cannot be told of is
    passed upwards: more load brings more answers to tell from. No load is given twice, so that every search ends.
    """
    missed = _missed(found)
    low = max((one for one in found if one.verdict != "missed" and _below(one, missed)), key=_load, default=None)
    high = next((one for one in found if one.load == missed), None)
    if low is None and high is None:
        return first
    if high is None:
        assert low is not None
        return _above(low, most=most_load(whole=whole, requests=requests), whole=whole)
    if low is None:
        return _below_all(high, whole=whole)
    if _is_close(low.load, high.load, whole=whole):
        return None
    return _between(low, high, whole=whole, middle=len(found) % _MIDDLE_EACH == 0)


def _load(one: Outcome) -> float:
    return one.load


def _above(low: Outcome, *, most: float, whole: bool) -> float | None:
    step = 4 if low.worst is not None and low.worst < _FAR_BELOW else 2
    return _rounded(min(low.load * step, most), whole=whole) if low.load < most else None


def _below_all(high: Outcome, *, whole: bool) -> float | None:
    least = _least(whole=whole)
    half = high.load // 2 if whole else high.load / 2
    return max(_rounded(half, whole=whole), least) if high.load > least else None


def _rounded(load: float, *, whole: bool) -> float:
    """To whole users, or to a rate of few digits that a level's name can hold."""
    return float(round(load)) if whole else round(float(f"{load:.{_DIGITS}g}"), 3)


def _between(low: Outcome, high: Outcome, *, whole: bool, middle: bool) -> float:
    """Where the limit should be crossed, or a little past it, so that the longer side goes; else the middle."""
    span = math.log(high.load / low.load)
    at = 0.5
    if not middle and low.worst is not None and high.worst is not None and low.worst < 1 < high.worst:
        at = -math.log(low.worst) / math.log(high.worst / low.worst)
        at += _MARGIN / span * (1 if at < 0.5 else -1)
        at = min(max(at, _MARGIN / span), 1 - _MARGIN / span)
    load, least = _rounded(low.load * math.exp(span * at), whole=whole), _least(whole=whole)
    return round(min(max(load, low.load + least), high.load - least), 3)


def _named(load: float, unit: str) -> str:
    return load_text(int(load), None) if unit == "users" else load_text(None, load)


def _text(met: float | None, missed: float | None, *, unit: str, slo: Slo, closed: bool) -> str:
    if met is None:
        least = "" if missed is None else f", not even {_named(missed, unit)}"
        return f"no load that was measured is known to meet {slo.text()}{least}"
    one = unit == "users" and met == 1
    if missed is None:
        return f"{_named(met, unit)} still {'meets' if one else 'meet'} {slo.text()}"
    most = "at most" if closed else "at least"
    return f"{most} {_named(met, unit)} {'meets' if one else 'meet'} {slo.text()}; {rate_text(missed)} do not"


def _untold(untold: Sequence[Outcome], *, unit: str, longer: str) -> str:
    """Loads above the highest that met it which cannot be told of, by why."""
    few = _loads([one for one in untold if not one.is_broken], unit=unit)
    broken = _loads([one for one in untold if one.is_broken], unit=unit)
    return (f" (too few answers to tell at {few}: measure for longer with {longer})" if few else "") + (
        f" (clients were lost at {broken}: measure again with --resume)" if broken else ""
    )


def _loads(found: Sequence[Outcome], *, unit: str) -> str:
    """`10, 20 users`; empty of none."""
    if not found:
        return ""
    *others, last = [one.load for one in found]
    return "".join(f"{rate_text(load)}, " for load in others) + _named(last, unit)
