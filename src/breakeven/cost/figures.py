"""The figures: one row each with its function, label, unit, formula and why it may be undefined.

Every table, report and page walks these rows, so a new row appears everywhere. The parameters of a row's function
name the inputs and earlier figures that it needs; a test holds each formula text against its function.
"""

from typing import Final

from breakeven.cost import cashflow, parity, tokens
from breakeven.cost.row import Row
from breakeven.cost.rows_owner import OWNER
from breakeven.cost.rows_tokens import TOKENS

SIDE: Final[dict[str, Row]] = OWNER | TOKENS
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
