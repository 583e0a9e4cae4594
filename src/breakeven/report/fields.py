"""The what-if fields of the page: which inputs can be moved, between which ends, in which words."""

from msgspec import Struct

from breakeven.cost.figures import NEUTRAL
from breakeven.cost.limits import RULES
from breakeven.cost.words import INPUTS
from breakeven.findings import Money


class Field(Struct, frozen=True, kw_only=True):
    """One slider with its number."""

    place: str
    """Place of the input; `k` and `cards` stand for both counts."""
    label: str
    unit: str
    value: float
    high: float
    """The end of the slider; the number may go beyond."""
    least: float
    most: float


def fields(case: Money) -> list[Field]:
    """What can be moved: k and cards, rents, purchases, energy, use, life; only what the scenario knows of."""
    gpus = gpus_of(case)
    found = _counts(case, gpus)
    for name, unit in (("rent_usd_per_h", "USD/h a card"), ("purchase_usd", "USD a card")):
        found += [_field(case, f"{side}.{name}", f"{_cap(INPUTS[name])}, {{{side}}}", unit) for side in gpus]
    found += [
        _field(case, "market.rent_usd_per_h_set", "Rent of a set, either side", "USD/h"),
        _field(case, "market.usd_per_kwh", "Energy price", "USD/kWh"),
        *_shares(case, "rented_share", "Rented share (owner's income)"),
        *_shares(case, "load_factor", "Load factor (how busy it serves)"),
        _field(case, "market.life_years", "Lifetime", "years"),
        _field(case, "market.discount_per_year", "Interest a year", "1 = 100 %"),
        _field(case, "api.usd_per_mtok_output", "API price, output", "USD/Mtok"),
    ]
    return [field for field in found if field is not None]


def gpus_of(case: Money) -> dict[str, str]:
    """The cards of both sides; labels stand for them as `{candidate}` and `{reference}`."""
    report = case.report
    found = {"candidate": report.candidate.name}
    return found if report.reference is None else found | {"reference": report.reference.name}


def _counts(case: Money, gpus: dict[str, str]) -> list[Field | None]:
    count = case.inputs.get("candidate.count", 1.0)
    if "reference" not in gpus:
        return [_made("candidate.count", "Number of {candidate}", count, high=max(4 * count, 8))]
    cards = case.inputs.get("reference.count", 1.0)
    k = count / cards
    return [
        _made("k", "{candidate} that do the work of one {reference} (k)", k, high=max(3 * k, 2)),
        _made("cards", "Number of {reference} to replace", cards, high=max(4 * cards, 8)),
    ]


def _made(place: str, label: str, value: float, *, high: float) -> Field:
    return Field(place=place, label=label, unit="cards", value=value, high=high, least=1e-3, most=1e6)


def _shares(case: Money, name: str, label: str) -> list[Field | None]:
    """The market's, or each side's own where it goes first."""
    own = [side for side in ("candidate", "reference") if f"{side}.{name}" in case.inputs]
    if own:
        return [_field(case, f"{side}.{name}", f"{label}, {side}", "0 to 1") for side in own]
    return [_field(case, f"market.{name}", label, "0 to 1")]


def _field(case: Money, place: str, label: str, unit: str) -> Field | None:
    name = place.partition(".")[2]
    value = case.inputs.get(place, NEUTRAL.get(name) if name in ("rented_share", "load_factor") else None)
    if value is None:
        return None
    rule = RULES[name]
    most = min(rule.limits[1], 1e9)
    high = most if most <= 1 else 2.5 * value if value else 1.0
    least = rule.limits[0] + (1e-3 if rule.above else 0.0)
    return Field(place=place, label=label, unit=unit, value=value, high=high, least=least, most=most)


def _cap(text: str) -> str:
    return text[0].upper() + text[1:]
