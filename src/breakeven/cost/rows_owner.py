"""Rows of one side: what it costs and earns by the hour, and over its life."""

from typing import Final

from breakeven.cost import cashflow, owner, tokens
from breakeven.cost.row import Row

_E: Final = (
    "count * usd_per_kwh * pue * (rented_share * power_load_w + (1 - rented_share) * power_idle_w + host_w) / 1000"
)
_NO_PROFIT: Final = "never: an hour earns no more than it costs"
_PV: Final = (
    "sum over m = 1..months of (revenue_usd_per_h * (1 - price_decline_per_year)**((m - 1)/12)"
    " - running_usd_per_h) * 730.5"
)

OWNER: Final[dict[str, Row]] = {
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
        "(1 - (1 + discount_per_year)**(-months / 12)) / discount_per_year if discount_per_year > 0 else months / 12",
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
}
"""In the order in which they are worked out."""
