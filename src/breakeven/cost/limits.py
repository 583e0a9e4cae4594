"""What a number of a scenario can be: not negative, a share, above zero; checked with its place."""

import math
from typing import Final, NamedTuple

from breakeven.cost.inputs import SECTIONS, Correlation, Input, Scenario, Spread, inputs
from breakeven.cost.uncertain import ANYTHING, Limits, edges, form, problem
from breakeven.errors import UsageError, unknown


class Rule(NamedTuple):
    """The limits of an input, and what to say when it lies outside."""

    limits: Limits
    says: str
    above: bool = False
    """The lower limit itself is impossible."""


_PRICE: Final = Rule((0.0, math.inf), "is a negative price; give 0 or more")
_POWER: Final = Rule((0.0, math.inf), "is a negative power; give watts, 0 or more")
_SHARE: Final = Rule((0.0, 1.0), "is no share; give 0 to 1 (0.1 stands for 10 %)")
_SPEED: Final = Rule((0.0, math.inf), "is no throughput; give tokens per second above 0", above=True)
_RATIO: Final = Rule((0.0, math.inf), "is negative; give 0 or more")

RULES: Final[dict[str, Rule]] = {
    "count": Rule((0.0, math.inf), "is no number of cards; give one above 0", above=True),
    "purchase_usd": _PRICE,
    "host_usd": _PRICE,
    "rent_usd_per_h": _PRICE,
    "rent_usd_per_h_set": _PRICE,
    "opex_usd_per_h": _PRICE,
    "usd_per_kwh": _PRICE,
    "usd_per_mtok_input": _PRICE,
    "usd_per_mtok_output": _PRICE,
    "power_load_w": Rule((0.0, math.inf), "is no power under load; give watts above 0", above=True),
    "power_idle_w": _POWER,
    "host_w": _POWER,
    "tok_per_s": _SPEED,
    "good_tok_per_s": Rule((0.0, math.inf), "is no throughput; give tokens per second, 0 or more"),
    "input_tok_per_s": Rule((0.0, math.inf), "is no throughput; give tokens per second, 0 or more"),
    "input_per_output": _RATIO,
    "input_gpu_s_ratio": _RATIO,
    "rented_share": _SHARE,
    "availability": _SHARE,
    "load_factor": Rule((0.0, 1.0), "is no load factor; give one above 0, at most 1", above=True),
    "fee_share": _SHARE,
    "fee_markup": Rule((0.0, math.inf), "is a negative mark-up; give 0 or more (0.1 stands for 10 %)"),
    "price_decline_per_year": _SHARE,
    "discount_per_year": Rule((0.0, math.inf), "is a negative rate; give 0 or more (0.1 stands for 10 %)"),
    "life_years": Rule((0.0, 100.0), "is no life; give years above 0, at most 100", above=True),
    "residual_share": _SHARE,
    "pue": Rule((1.0, math.inf), "is no PUE; give 1 or more"),
}
"""Limits by the last part of a place."""


def limits(place: str) -> Limits:
    """Lowest and highest possible value of an input."""
    rule = RULES.get(place.partition(".")[2])
    return rule.limits if rule is not None else ANYTHING


def check(scenario: Scenario, *, where: str) -> None:
    """UsageError with file and place for the first number that cannot be, or mixed currencies."""
    found = inputs(scenario)
    for place, value in found.items():
        _check_number(place, value, where=where)
    _check_currency(scenario, where=where)
    for section in ("candidate", "reference", "market"):
        if {f"{section}.fee_share", f"{section}.fee_markup"} <= found.keys():
            raise UsageError(f"{where}: {section}: give fee_share or fee_markup, not both; a mark-up m is m / (1 + m)")
    for side in ("candidate", "reference"):
        _check_node_spread(scenario, side, where=where)
    for place, spread in scenario.ranges.items():
        if place.partition(".")[2] not in RULES or place.partition(".")[0] not in SECTIONS:
            raise UsageError(f"{where}: ranges: {unknown('input', place, found)}")
        _check_number(place, spread, where=f"{where}: ranges")
    for pair in scenario.correlations:
        _check_correlation(pair, found, where=where)


def _check_number(place: str, value: Input, *, where: str) -> None:
    if isinstance(value, Spread):
        wrong = problem(value)
        if wrong is not None:
            raise UsageError(f"{where}: {place}: {wrong}")
        numbers = edges(value) if form(value) != "normal" else (edges(value)[1],)
    else:
        numbers = (value,)
    rule = RULES[place.partition(".")[2]]
    for number in numbers:
        if not math.isfinite(number):
            raise UsageError(f"{where}: {place}: {number} is no number to calculate with")
        low, high = rule.limits
        if number < low or number > high or (rule.above and number <= low):
            raise UsageError(f"{where}: {place}: {number:g} {rule.says}")


def _check_node_spread(scenario: Scenario, side: str, *, where: str) -> None:
    part = getattr(scenario, side)
    spread = None if part is None else part.node_sd_log
    if spread is not None and not 0 <= spread <= 1:
        raise UsageError(f"{where}: {side}.node_sd_log: {spread:g} is no spread of log(tok/s); 0.05 stands for 5 %")


def _check_currency(scenario: Scenario, *, where: str) -> None:
    named = {"currency": scenario.currency}
    for section in ("candidate", "reference", "market", "api"):
        part = getattr(scenario, section)
        if part is not None:
            named[f"{section}.currency"] = part.currency
    other = next((place for place, currency in named.items() if currency.upper() != "USD"), None)
    if other is not None:
        raise UsageError(
            f"{where}: {other}: amounts are in USD and this says {named[other]}; currencies are never mixed or "
            "converted: write every amount in USD, with the rate in a *_from text"
        )


def _check_correlation(pair: Correlation, found: dict[str, Input], *, where: str) -> None:
    if not -1 < pair.rank < 1:
        raise UsageError(f"{where}: correlations: {pair.rank:g} is no rank correlation; give one between -1 and 1")
    if pair.between[0] == pair.between[1]:
        raise UsageError(f"{where}: correlations: {pair.between[0]} is given twice; name two inputs")
    for place in pair.between:
        if not isinstance(found.get(place), Spread):
            raise UsageError(f"{where}: correlations: {place} is not uncertain here; give it a range first")
