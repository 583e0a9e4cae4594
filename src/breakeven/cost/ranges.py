"""Ready ranges, applied only by name (`--ranges default`): our judgement of what an input may be, each one listed."""

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

import msgspec

from breakeven.cost.inputs import Correlation, Input, Scenario, Spread, inputs
from breakeven.cost.scenario import with_numbers
from breakeven.cost.uncertain import form, nominal
from breakeven.errors import UsageError, unknown

NODE_SD_LOG: Final = 0.05
"""Spread between cards of one type where only one was measured: our judgement, on the log scale."""


class RentQuotes(NamedTuple):
    """The range of dated quotes of one kind for a side's card, as the caller found them."""

    low_usd_per_h: float
    high_usd_per_h: float
    source: str


def _within(share: float) -> Callable[[float], Spread]:
    return lambda value: Spread(low=value * (1 - share), high=value * (1 + share))


_FIXED: Final[dict[str, Spread]] = {
    "market.rented_share": Spread(low=0.3, mode=0.6, high=0.9),
    "market.life_years": Spread(low=3.0, high=6.0),
    "market.residual_share": Spread(low=0.0, high=0.3),
    "market.discount_per_year": Spread(low=0.06, high=0.15),
    "market.pue": Spread(low=1.0, high=1.6),
}
_AROUND: Final[dict[str, Callable[[float], Spread]]] = {
    "market.usd_per_kwh": _within(0.30),
    "candidate.purchase_usd": _within(0.20),
    "reference.purchase_usd": _within(0.20),
}
_CORRELATED: Final = (("rent_usd_per_h", "rented_share", -0.3), ("rent_usd_per_h", "purchase_usd", 0.5))

RANGES: Final[dict[str, str]] = {
    "default": "ranges for what the scenario gives as one number or not at all",
    "correlated": "the same, with rent and rented share at rank -0.3 and rent and purchase at +0.5",
}
"""Names that `--ranges` takes."""


def ranged(scenario: Scenario, name: str, *, quotes: Mapping[str, RentQuotes]) -> Scenario:
    """The scenario with ready ranges; a range that the scenario gives itself stays. UsageError: no such name."""
    if name not in RANGES:
        raise UsageError(f"--ranges: {unknown('set of ranges', name, RANGES)}")
    given = inputs(scenario)
    chosen: dict[str, Input] = {place: spread for place, spread in _FIXED.items() if _is_plain(given.get(place))}
    for place, around in _AROUND.items():
        value = given.get(place)
        if isinstance(value, (int, float)) and value > 0:
            chosen[place] = around(value)
    chosen |= _rents(scenario, given, quotes)
    chosen |= {place: spread for place, spread in scenario.ranges.items() if _is_plain(given.get(place))}
    changed = _with_node_spread(with_numbers(scenario, chosen))
    return _correlated(changed) if name == "correlated" else changed


def _is_plain(value: Input | None) -> bool:
    return not isinstance(value, Spread)


def _rents(scenario: Scenario, given: Mapping[str, Input], quotes: Mapping[str, RentQuotes]) -> dict[str, Input]:
    """Rents that the scenario gives as one number, as wide as the quotes for that card and itself.

    The rent of a set is the reference's: it moves with the quotes for its card.
    """
    rents: dict[str, Input] = {}
    cards = 1.0 if scenario.reference is None else nominal(scenario.reference.count)
    for place, side, times in (
        ("candidate.rent_usd_per_h", "candidate", 1.0),
        ("reference.rent_usd_per_h", "reference", 1.0),
        ("market.rent_usd_per_h_set", "reference", cards),
    ):
        own, found = given.get(place), quotes.get(side)
        if found is None or not isinstance(own, int | float):
            continue
        low, high = min(own, times * found.low_usd_per_h), max(own, times * found.high_usd_per_h)
        if low < high:
            rents[place] = Spread(low=low, high=high)
    return rents


def _with_node_spread(scenario: Scenario) -> Scenario:
    """A spread between cards for each side whose throughput was measured or follows from one that was."""
    changed = scenario
    known = [part is not None and part.tok_per_s is not None for part in (scenario.reference, scenario.candidate)]
    for side, measured in (("reference", known[0]), ("candidate", any(known))):
        part = getattr(changed, side)
        if measured and part is not None and part.node_sd_log is None:
            part = msgspec.structs.replace(part, node_sd_log=NODE_SD_LOG)
            changed = msgspec.structs.replace(changed, **{side: part})
    return changed


def _correlated(scenario: Scenario) -> Scenario:
    """The ready correlations between those inputs that are uncertain; pairs that the scenario correlates stay."""
    given = inputs(scenario)
    pairs = {frozenset(pair.between): pair for pair in scenario.correlations}
    for side in ("candidate", "reference"):
        for a, b, rank in _CORRELATED:
            places = (f"{side}.{a}", "market.rented_share" if b == "rented_share" else f"{side}.{b}")
            if all(isinstance(given.get(place), Spread) for place in places):
                pairs.setdefault(frozenset(places), Correlation(between=places, rank=rank))
    return msgspec.structs.replace(scenario, correlations=tuple(pairs.values()))


def describe(value: Input) -> str:
    """A spread in words: `triangular 0.3, 0.6, 0.9`."""
    if not isinstance(value, Spread):
        return f"{value:g}"
    numbers = {name: getattr(value, name) for name in value.__struct_fields__ if getattr(value, name) is not None}
    ends = numbers.pop("ci95", None)
    text = f"{form(value)} " + ", ".join(f"{name} {number:g}" for name, number in numbers.items())
    return text if ends is None else f"{text}, 95 % interval {ends[0]:g} to {ends[1]:g}"


def ranges_of(scenario: Scenario) -> dict[str, str]:
    """Every uncertain input of a scenario, in words."""
    found = {place: describe(value) for place, value in inputs(scenario).items() if isinstance(value, Spread)}
    for side in ("reference", "candidate"):
        part = getattr(scenario, side)
        if part is not None and part.node_sd_log:
            found[f"{side}.node_sd_log"] = f"between cards, sd {part.node_sd_log:g} of log(tok/s)"
    return found
