"""The figures: one row each with its function, label, unit, formula and why it may be undefined.

Every table, report and page walks these rows, so a new row appears everywhere. The parameters of a row's function
name the inputs and earlier figures that it needs; a test holds each formula text against its function.
"""

import inspect
from collections.abc import Callable
from typing import Any, Final, Literal, NamedTuple

from breakeven.cost import cashflow, owner, parity, tokens

Kind = Literal["usd", "usd_per_h", "usd_per_mtok", "h", "days", "share", "number", "times", "other"]


class Row(NamedTuple):
    """One figure. `formula` is an expression in the names of its inputs, so that numbers can be put in."""

    of: Callable[..., Any]
    label: str
    unit: str
    formula: str
    undefined: str = ""
    """Why it has no value where it comes out as never or not defined."""
    group: str = "owner"
    shown: bool = True
    """False for a step on the way: explained, in JSON, but not in the table."""
    evaluable: bool = True
    """False where the formula text is a sum in words rather than an expression."""

    def needs(self) -> tuple[str, ...]:
        """Names of what the function takes."""
        return tuple(inspect.signature(self.of).parameters)


_E: Final = (
    "count * usd_per_kwh * pue * (rented_share * power_load_w + (1 - rented_share) * power_idle_w + host_w) / 1000"
)
_NO_PROFIT: Final = "never: an hour earns no more than it costs"
_PV: Final = (
    "sum over m = 1..months of (revenue_usd_per_h * (1 - price_decline_per_year)**((m - 1)/12)"
    " - running_usd_per_h) * 730.5"
)

SIDE: Final[dict[str, Row]] = {
    "investment_usd": Row(owner.investment_usd, "purchase", "USD", "count * (purchase_usd + host_usd)"),
    "rent_usd_per_h_set": Row(owner.rent_usd_per_h_set, "rent, set", "USD/h", "count * rent_usd_per_h"),
    "energy_usd_per_h": Row(owner.energy_usd_per_h, "energy", "USD/h", _E),
    "running_usd_per_h": Row(
        owner.running_usd_per_h,
        "running cost",
        "USD/h",
        "energy_usd_per_h + count * opex_usd_per_h",
    ),
    "revenue_usd_per_h": Row(
        owner.revenue_usd_per_h,
        "revenue",
        "USD/h",
        "rent_usd_per_h_set * rented_share * availability * (1 - fee_share)",
    ),
    "profit_usd_per_h": Row(owner.profit_usd_per_h, "profit", "USD/h", "revenue_usd_per_h - running_usd_per_h"),
    "break_even_h": Row(
        owner.break_even_h, "break-even", "h", "investment_usd / profit_usd_per_h", undefined=_NO_PROFIT
    ),
    "break_even_days": Row(
        owner.break_even_days, "break-even, days", "days", "break_even_h / 24", undefined=_NO_PROFIT, shown=False
    ),
    "roi_per_year": Row(
        owner.roi_per_year,
        "ROI a year",
        "share",
        "profit_usd_per_h * 8766 / investment_usd",
        undefined="nothing is invested",
    ),
    "months": Row(cashflow.months, "life", "months", "life_years * 12", group="life", shown=False),
    "discount_factor": Row(
        cashflow.discount_factor,
        "discount factor",
        "",
        "(1 + discount_per_year)**(-months / 12)",
        group="life",
        shown=False,
    ),
    "annuity_years": Row(
        cashflow.annuity_years,
        "annuity",
        "years",
        "(1 - discount_factor) / discount_per_year if discount_per_year > 0 else months / 12",
        group="life",
        shown=False,
    ),
    "capital_usd_per_h": Row(
        owner.capital_usd_per_h,
        "capital recovery",
        "USD/h",
        "investment_usd * (1 - residual_share * discount_factor) / annuity_years / 8766",
        group="life",
    ),
    "total_usd_per_h": Row(
        owner.total_usd_per_h, "total cost", "USD/h", "capital_usd_per_h + running_usd_per_h", group="life"
    ),
    "floor_rent_usd_per_h_card": Row(
        owner.floor_rent_usd_per_h_card,
        "least rent that recovers the capital, a card",
        "USD/h",
        "total_usd_per_h / (rented_share * availability * (1 - fee_share) * count)",
        undefined="nothing of a rent reaches the owner",
        group="life",
    ),
    "npv_usd": Row(
        cashflow.npv_usd,
        "NPV",
        "USD",
        _PV + " * (1 + discount_per_year)**(-m/12) + investment_usd * residual_share * discount_factor"
        " - investment_usd",
        group="life",
        evaluable=False,
    ),
    "roi_life": Row(
        cashflow.roi_life,
        "ROI over the life",
        "share",
        "(" + _PV + " + (residual_share - 1) * investment_usd) / investment_usd",
        undefined="nothing is invested",
        group="life",
        evaluable=False,
    ),
    "idle_usd_per_h": Row(
        owner.idle_usd_per_h,
        "an idle hour",
        "USD/h",
        "count * (opex_usd_per_h + usd_per_kwh * pue * (power_idle_w + host_w) / 1000)",
        group="life",
        shown=False,
    ),
    "busy_usd_per_h": Row(
        owner.busy_usd_per_h,
        "a busy hour costs more by",
        "USD/h",
        "count * usd_per_kwh * pue * (power_load_w - power_idle_w) / 1000",
        group="life",
        shown=False,
    ),
    "break_even_rented_share": Row(
        owner.break_even_rented_share,
        "break-even rented share",
        "share",
        "(capital_usd_per_h + idle_usd_per_h) / (rent_usd_per_h_set * availability * (1 - fee_share) - busy_usd_per_h)",
        undefined="never: rented around the clock it does not recover its capital",
        group="life",
    ),
    "usd_per_tok_per_s": Row(
        owner.usd_per_tok_per_s,
        "capital per unit of work",
        "USD per tok/s",
        "investment_usd / (count * tok_per_s)",
        group="tokens",
    ),
    "owner_usd_per_h_set": Row(
        tokens.owner_usd_per_h_set,
        "owner's cost of a serving hour, set",
        "USD/h",
        "(capital_usd_per_h + idle_usd_per_h + load_factor * busy_usd_per_h) / availability",
        undefined="it is never up",
        group="life",
        shown=False,
    ),
    "owner_usd_per_h_card": Row(
        tokens.owner_usd_per_h_card,
        "owner's cost per GPU-hour",
        "USD/h",
        "owner_usd_per_h_set / count",
        undefined="it is never up",
        group="life",
    ),
    "rent_or_buy_h": Row(
        tokens.rent_or_buy_h,
        "buying beats renting after",
        "h",
        "investment_usd / (rent_usd_per_h_set - idle_usd_per_h - busy_usd_per_h)",
        undefined="never: the rent is below what the energy costs",
        group="life",
    ),
    "rent_or_buy_share": Row(
        tokens.rent_or_buy_share,
        "buying beats renting above a use of",
        "share",
        "(capital_usd_per_h + idle_usd_per_h) / (rent_usd_per_h_set - busy_usd_per_h)",
        undefined="never: renting is cheaper even around the clock",
        group="life",
    ),
    "serving_usd_per_h": Row(
        tokens.serving_from_owner,
        "an hour of serving",
        "USD/h",
        "owner_usd_per_h_set",
        group="tokens",
    ),
    "usd_per_mtok_output": Row(
        tokens.usd_per_mtok_output,
        "all on output",
        "USD/Mtok",
        "serving_usd_per_h * 1e6 / (count * tok_per_s * load_factor * 3600)",
        undefined="it serves nothing at this load factor",
        group="tokens",
    ),
    "usd_per_mtok_blended": Row(
        tokens.usd_per_mtok_blended,
        "blended at this mix",
        "USD/Mtok",
        "serving_usd_per_h * 1e6 / (count * (tok_per_s + input_tok_per_s) * load_factor * 3600)",
        undefined="it serves nothing at this load factor",
        group="tokens",
    ),
    "usd_per_mtok_output_apart": Row(
        tokens.usd_per_mtok_output_apart,
        "output, input apart",
        "USD/Mtok",
        "serving_usd_per_h * 1e6 / (count * (tok_per_s + input_gpu_s_ratio * input_tok_per_s) * load_factor * 3600)",
        undefined="it serves nothing at this load factor",
        group="tokens",
    ),
    "usd_per_mtok_input_apart": Row(
        tokens.usd_per_mtok_input_apart,
        "input, output apart",
        "USD/Mtok",
        "input_gpu_s_ratio * usd_per_mtok_output_apart",
        undefined="it serves nothing at this load factor",
        group="tokens",
    ),
    "usd_per_mtok_good": Row(
        tokens.usd_per_mtok_good,
        "good output only (SLO met)",
        "USD/Mtok",
        "serving_usd_per_h * 1e6 / (count * good_tok_per_s * load_factor * 3600)",
        undefined="no answer met the SLO",
        group="tokens",
    ),
    "tok_per_usd": Row(
        tokens.tok_per_usd,
        "output tokens per dollar",
        "tok/USD",
        "1e6 / usd_per_mtok_output",
        undefined="the tokens cost nothing",
        group="tokens",
    ),
    "tok_per_j": Row(
        tokens.tok_per_j,
        "output tokens per joule (GPU board)",
        "tok/J",
        "tok_per_s / power_load_w",
        undefined="it draws no power",
        group="tokens",
    ),
    "api_usd_per_h": Row(
        tokens.api_usd_per_h,
        "the API charges for an hour's tokens",
        "USD/h",
        "count * load_factor * (tok_per_s * api_usd_per_mtok_output + input_tok_per_s * api_usd_per_mtok_input)"
        " * 3600 / 1e6",
        group="api",
    ),
    "api_full_usd_per_h": Row(
        tokens.api_full_usd_per_h,
        "the same at full load",
        "USD/h",
        "api_usd_per_h / load_factor",
        undefined="it serves nothing at this load factor",
        group="api",
        shown=False,
    ),
    "api_parity_usd_per_h_card": Row(
        tokens.api_parity_usd_per_h_card,
        "as cheap as the API at, a card",
        "USD/h",
        "api_usd_per_h / count",
        group="api",
    ),
    "api_break_even_h": Row(
        tokens.api_break_even_h,
        "saved API bills repay the purchase after",
        "h",
        "investment_usd / (api_usd_per_h - idle_usd_per_h - load_factor * busy_usd_per_h)",
        undefined="never: energy alone costs more than the API",
        group="api",
    ),
    "api_flip_load_factor": Row(
        tokens.api_flip_owned,
        "cheaper than the API above a load of",
        "share",
        "(capital_usd_per_h + idle_usd_per_h) / (api_full_usd_per_h * availability - busy_usd_per_h)",
        undefined="never: the API is cheaper even at full load",
        group="api",
    ),
    "api_flip_mtok_per_day": Row(
        tokens.api_flip_mtok_per_day,
        "which is, input and output",
        "Mtok a day",
        "api_flip_load_factor * count * (tok_per_s + input_tok_per_s) * 86400 / 1e6",
        undefined="never: the API is cheaper even at full load",
        group="api",
    ),
}
"""Figures of one side, in the order in which they are worked out."""

RENTED: Final[dict[str, Row]] = {
    "serving_usd_per_h": SIDE["serving_usd_per_h"]._replace(of=tokens.serving_from_rent, formula="rent_usd_per_h_set"),
    "api_flip_load_factor": SIDE["api_flip_load_factor"]._replace(
        of=tokens.api_flip_rented, formula="rent_usd_per_h_set / api_full_usd_per_h"
    ),
}
"""What replaces rows of SIDE for a deployment that pays rent."""

_NO_BREAK_EVEN: Final = "the reference never breaks even, or nothing of a rent reaches the candidate's owner"

COMPARISON: Final[dict[str, Row]] = {
    "k": Row(parity.k, "k: candidate cards per reference card", "", "candidate_count / reference_count"),
    "parity_usd_per_h_set": Row(
        parity.parity_usd_per_h_set,
        "ROI parity rent, set",
        "USD/h",
        "(candidate_investment_usd / reference_break_even_h + candidate_running_usd_per_h)"
        " / (candidate_rented_share * candidate_availability * (1 - candidate_fee_share))",
        undefined=_NO_BREAK_EVEN,
    ),
    "parity_usd_per_h_card": Row(
        parity.parity_usd_per_h_card,
        "ROI parity rent, card",
        "USD/h",
        "parity_usd_per_h_set / candidate_count",
        undefined=_NO_BREAK_EVEN,
    ),
    "ratio": Row(
        parity.ratio,
        "times cheaper at ROI parity",
        "x",
        "reference_rent_usd_per_h_set / parity_usd_per_h_set",
        undefined=_NO_BREAK_EVEN,
    ),
    "whole_cards": Row(parity.whole_cards, "whole cards to buy", "", "ceil(candidate_count)"),
    "ratio_whole_cards": Row(
        parity.ratio_whole_cards,
        "times cheaper with whole cards",
        "x",
        "reference_rent_usd_per_h_set / (whole_cards * parity_usd_per_h_card)",
        undefined=_NO_BREAK_EVEN,
    ),
    "k_tokens": Row(
        parity.k_from_tokens,
        "k for equal tokens",
        "",
        "reference_tok_per_s / candidate_tok_per_s",
        shown=False,
    ),
    "cost_parity_usd_per_h_card": Row(
        parity.cost_parity_usd_per_h_card,
        "cost parity rent, card (renter)",
        "USD/h",
        "reference_rent_usd_per_h / k_tokens",
    ),
    "cost_parity_owner_usd_per_h_card": Row(
        parity.cost_parity_owner_usd_per_h_card,
        "cost parity rent, card (against an owner)",
        "USD/h",
        "reference_owner_usd_per_h_card / k_tokens",
        undefined="the reference is never up",
    ),
    "usd_per_mtok_ratio": Row(
        parity.usd_per_mtok_ratio,
        "times cheaper output tokens",
        "x",
        "reference_usd_per_mtok_output / candidate_usd_per_mtok_output",
        undefined="a side has no cost per token",
    ),
    "capital_ratio": Row(
        parity.capital_ratio,
        "times less capital to start",
        "x",
        "reference_investment_usd / candidate_investment_usd",
        undefined="the candidate costs nothing to buy",
    ),
}
"""Figures of the candidate against the reference."""

ASSUMED_EQUAL: Final[dict[str, Row]] = {
    "k_tokens": COMPARISON["k_tokens"]._replace(of=parity.k_from_count, formula="k"),
}
"""What replaces rows of COMPARISON where no throughput is given."""

SINGLE: Final[dict[str, Row]] = {
    "discounted_payback_h": Row(
        cashflow.discounted_payback_h,
        "discounted payback",
        "h",
        "first hour at which the sum of (revenue - running) / (1 + discount_per_year)**(m/12) reaches investment_usd",
        undefined="never within its life",
        group="life",
        evaluable=False,
    ),
    "irr_per_year": Row(
        cashflow.irr_per_year,
        "IRR",
        "share",
        "the rate a year at which NPV is 0",
        group="life",
        evaluable=False,
    ),
}
"""Figures that are searched for, month by month: for one scenario, not for 100,000 draws."""
