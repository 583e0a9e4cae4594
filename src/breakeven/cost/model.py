"""The model: inputs in, every figure out, for one set of numbers or for columns of draws alike."""

from collections.abc import Mapping
from typing import Final

import numpy as np
from msgspec import Struct, field

from breakeven.cost.amount import Array
from breakeven.cost.figures import ASSUMED_EQUAL, COMPARISON, RENTED, SIDE
from breakeven.cost.inputs import Market, Scenario, inputs
from breakeven.cost.limits import RULES
from breakeven.cost.row import Row
from breakeven.cost.uncertain import nominal

NEUTRAL: Final[dict[str, float]] = {
    "host_usd": 0.0,
    "host_w": 0.0,
    "opex_usd_per_h": 0.0,
    "pue": 1.0,
    "rented_share": 1.0,
    "load_factor": 1.0,
    "availability": 1.0,
    "fee_share": 0.0,
    "price_decline_per_year": 0.0,
    "residual_share": 0.0,
}
"""What an input counts as when nobody gives it: it changes nothing. Each one used is said in the result."""

PLACES: Final[dict[str, str]] = {
    "input_gpu_s_ratio": "tokens.input_gpu_s_ratio",
    "api_usd_per_mtok_input": "api.usd_per_mtok_input",
    "api_usd_per_mtok_output": "api.usd_per_mtok_output",
    **{
        name: f"market.{name}"
        for name in Market.__struct_fields__
        if name in RULES and not name.startswith(("rent_", "fee_"))
    },
}
"""Where an input that is not the side's own is given."""

_WORK: Final = ("tok_per_s", "input_tok_per_s", "good_tok_per_s")


class Sheet(Struct, frozen=True, kw_only=True):
    """Everything worked out about one side, or about both together: columns by name."""

    values: dict[str, Array]
    rows: dict[str, Row]
    missing: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Figure -> inputs that would have to be given."""
    neutral: tuple[str, ...] = ()
    """Inputs that were not given and count as NEUTRAL."""
    derived: dict[str, str] = field(default_factory=dict)
    """Input -> how it follows from others."""


class Worked(Struct, frozen=True, kw_only=True):
    """The whole scenario worked out."""

    candidate: Sheet
    reference: Sheet | None = None
    comparison: Sheet | None = None

    def column(self, path: str) -> Array | None:
        """Column of `candidate.break_even_h`, or of `ratio` for the comparison; None where it was not worked out."""
        part, dot, name = path.rpartition(".")
        sheet: Sheet | None = getattr(self, part) if dot else self.comparison
        return None if sheet is None else sheet.values.get(name)


def columns(scenario: Scenario) -> dict[str, Array]:
    """The scenario's own numbers, as columns of one: what an uncertain input is in the middle."""
    return {place: np.array([nominal(value)]) for place, value in inputs(scenario).items()}


def replaced(given: Mapping[str, Array], changes: Mapping[str, Array]) -> dict[str, Array]:
    """The columns with others in their place; a fee given one way goes before a fee that stood there the other way."""
    twins = {"fee_share": "fee_markup", "fee_markup": "fee_share"}
    parts = [place.partition(".") for place in changes]
    gone = {f"{section}.{twins[name]}" for section, _, name in parts if name in twins}
    return {place: column for place, column in given.items() if place not in gone} | dict(changes)


def work_out(scenario: Scenario, given: Mapping[str, Array]) -> Worked:
    """Every figure that the inputs allow. `given` holds columns by place; they may differ in length (1 or n)."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        if scenario.reference is None:
            return Worked(candidate=_side(scenario, "candidate", given, reference={}))
        reference = _side(scenario, "reference", given, reference={})
        candidate = _side(scenario, "candidate", given, reference=reference.values)
        return Worked(candidate=candidate, reference=reference, comparison=_comparison(reference, candidate))


def _side(scenario: Scenario, side: str, given: Mapping[str, Array], *, reference: Mapping[str, Array]) -> Sheet:
    values, derived = _own(side, given)
    _derive_rent(values, derived)
    _derive_work(values, reference, derived)
    neutral = [name for name in NEUTRAL if name not in values]
    values |= {name: np.array([NEUTRAL[name]]) for name in neutral}
    if "power_idle_w" not in values and "power_load_w" in values:
        values["power_idle_w"] = values["power_load_w"]
        derived["power_idle_w"] = "not given, so as much as under load (an upper bound)"
    rows = _rows(scenario, side)
    missing = _walk(rows, values)
    used = {name for figure, row in rows.items() if figure not in missing for name in row.needs()}
    return Sheet(
        values=values,
        rows=rows,
        missing={figure: tuple(_place(side, name) for name in names) for figure, names in missing.items()},
        neutral=tuple(name for name in neutral if name in used),
        derived={name: text for name, text in derived.items() if name in used},
    )


def _rows(scenario: Scenario, side: str) -> dict[str, Row]:
    rows = SIDE | RENTED if _pays(scenario, side) == "rent" else SIDE
    return {name: row for name, row in rows.items() if row.group != "api" or scenario.api is not None}


def _own(side: str, given: Mapping[str, Array]) -> tuple[dict[str, Array], dict[str, str]]:
    """Inputs of one side: the market's, overlaid with its own; a mark-up becomes a share."""
    values: dict[str, Array] = {}
    derived: dict[str, str] = {}
    for section, prefix in (("market", ""), ("tokens", ""), ("api", "api_"), (side, "")):
        own = {
            prefix + place.partition(".")[2]: value
            for place, value in given.items()
            if place.partition(".")[0] == section
        }
        if "fee_markup" in own:
            markup = own.pop("fee_markup")
            own["fee_share"] = markup / (1 + markup)
            derived["fee_share"] = "a mark-up m on what the owner gets is m / (1 + m) of what the renter pays"
        elif "fee_share" in own:
            derived.pop("fee_share", None)
        values |= own
    return values, derived


def _derive_rent(values: dict[str, Array], derived: dict[str, str]) -> None:
    rent_set = values.pop("rent_usd_per_h_set", None)
    if "rent_usd_per_h" not in values and rent_set is not None and "count" in values:
        values["rent_usd_per_h"] = rent_set / values["count"]
        derived["rent_usd_per_h"] = "the market's rent for the set / cards in it"


def _derive_work(values: dict[str, Array], reference: Mapping[str, Array], derived: dict[str, str]) -> None:
    """A candidate whose throughput is not given does the reference's work; input follows from the mix."""
    if "tok_per_s" not in values and "tok_per_s" in reference:
        share = reference["count"] / values["count"]
        values |= {name: reference[name] * share for name in _WORK if name in reference and name not in values}
        derived["tok_per_s"] = "the set does the reference's work: reference tok/s * its cards / cards here"
    if "input_tok_per_s" not in values and {"input_per_output", "tok_per_s"} <= values.keys():
        values["input_tok_per_s"] = values["tok_per_s"] * values["input_per_output"]
        derived["input_tok_per_s"] = "output tok/s * tokens.input_per_output"


def _pays(scenario: Scenario, side: str) -> str:
    part = getattr(scenario, side)
    return part.pays or ("purchase" if part.purchase_usd is not None else "rent")


def _comparison(reference: Sheet, candidate: Sheet) -> Sheet:
    values = {f"reference_{name}": value for name, value in reference.values.items()}
    values |= {f"candidate_{name}": value for name, value in candidate.values.items()}
    both = "tok_per_s" in reference.values and "tok_per_s" in candidate.values
    rows = COMPARISON if both else COMPARISON | ASSUMED_EQUAL
    missing = _walk(rows, values)
    inherited = {f"reference_{name}": places for name, places in reference.missing.items()}
    inherited |= {f"candidate_{name}": places for name, places in candidate.missing.items()}
    return Sheet(values=values, rows=rows, missing={name: _roots(needs, inherited) for name, needs in missing.items()})


def _roots(needs: tuple[str, ...], inherited: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    places = [place for need in needs for place in inherited.get(need, (_both_sides(need),))]
    return tuple(dict.fromkeys(places))


def _both_sides(need: str) -> str:
    side, _, name = need.partition("_")
    return _place(side, name)


def _walk(rows: Mapping[str, Row], values: dict[str, Array]) -> dict[str, tuple[str, ...]]:
    """Work out row after row, adding to `values`; figure -> missing inputs for those that cannot be."""
    missing: dict[str, tuple[str, ...]] = {}
    for name, row in rows.items():
        lacking = [root for need in row.needs() if need not in values for root in missing.get(need, (need,))]
        if lacking:
            missing[name] = tuple(dict.fromkeys(lacking))
        else:
            values[name] = row.of(**{need: values[need] for need in row.needs()})
    return missing


def _place(side: str, name: str) -> str:
    return PLACES.get(name, f"{side}.{name}")
