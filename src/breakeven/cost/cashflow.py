"""Money over time: monthly cash flows of an owner, their present value, rate of return and payback.

Months of 730.5 h; each pays at its end; month m (1, 2, …) earns the rent less (m - 1)/12 years of price decline.
"""

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from breakeven.cost.amount import Amount, Array, over
from breakeven.units import H_PER_YEAR

MONTHS_PER_YEAR = 12
H_PER_MONTH = H_PER_YEAR / MONTHS_PER_YEAR


def months(*, life_years: Amount) -> Amount:
    """Whole months of life, at least one."""
    if isinstance(life_years, np.ndarray):
        return np.maximum(np.rint(life_years * MONTHS_PER_YEAR), 1.0)
    return max(float(np.rint(life_years * MONTHS_PER_YEAR)), 1.0)


def discount_factor(*, discount_per_year: Amount, months: Amount) -> Amount:
    """What one dollar at the end of the life is worth today: (1 + r)^-n."""
    factor: Amount = (1 + discount_per_year) ** (-months / MONTHS_PER_YEAR)
    return factor


def annuity_years(*, discount_per_year: Amount, months: Amount) -> Amount:
    """Present value of one dollar a year for the whole life: (1 - (1 + r)^-n) / r; n years where r is 0."""
    years = months / MONTHS_PER_YEAR
    if isinstance(discount_per_year, np.ndarray):
        at_zero, rate = np.broadcast_arrays(years, discount_per_year)
        shrinking = -np.expm1(-at_zero * np.log1p(rate))
        return np.asarray(np.divide(shrinking, rate, out=at_zero.copy(), where=rate > 0), dtype=np.float64)
    rate = discount_per_year
    return -math.expm1(-years * math.log1p(rate)) / rate if rate > 0 else years


def _geometric(ratio: Array, n: Array) -> Array:
    """1 + q + q^2 + … + q^(n-1), exact also where q is nearly 1."""
    special = (ratio == 1) | (ratio == 0)
    safe = np.where(special, 0.5, ratio)
    return np.where(special, np.where(ratio == 1, n, 1.0), np.expm1(n * np.log(safe)) / (safe - 1))


def present_value_usd(
    *,
    revenue_usd_per_h: Array,
    running_usd_per_h: Array,
    price_decline_per_year: Array,
    discount_per_year: Array,
    months: Array,
) -> Array:
    """Present value of all months, resale apart: two geometric sums, so that 10^5 draws cost no loop."""
    monthly = (1 + discount_per_year) ** (-1 / MONTHS_PER_YEAR)
    kept = (1 - price_decline_per_year) ** (1 / MONTHS_PER_YEAR)
    earned = revenue_usd_per_h * monthly * _geometric(kept * monthly, months)
    spent = running_usd_per_h * monthly * _geometric(monthly, months)
    return (earned - spent) * H_PER_MONTH


def npv_usd(
    *,
    revenue_usd_per_h: Array,
    running_usd_per_h: Array,
    price_decline_per_year: Array,
    discount_per_year: Array,
    months: Array,
    investment_usd: Array,
    residual_share: Array,
    discount_factor: Array,
) -> Array:
    """Net present value of buying and renting out: all months and the resale, less the purchase."""
    earned = present_value_usd(
        revenue_usd_per_h=revenue_usd_per_h,
        running_usd_per_h=running_usd_per_h,
        price_decline_per_year=price_decline_per_year,
        discount_per_year=discount_per_year,
        months=months,
    )
    return earned + investment_usd * residual_share * discount_factor - investment_usd


def roi_life(
    *,
    revenue_usd_per_h: Array,
    running_usd_per_h: Array,
    price_decline_per_year: Array,
    months: Array,
    investment_usd: Array,
    residual_share: Array,
) -> Array:
    """Return on investment over the life, without interest: (all months + resale - purchase) / purchase."""
    earned = present_value_usd(
        revenue_usd_per_h=revenue_usd_per_h,
        running_usd_per_h=running_usd_per_h,
        price_decline_per_year=price_decline_per_year,
        discount_per_year=np.zeros_like(investment_usd),
        months=months,
    )
    return over(earned + (residual_share - 1) * investment_usd, investment_usd)


def flows_usd(
    *,
    revenue_usd_per_h: float,
    running_usd_per_h: float,
    price_decline_per_year: float,
    months: float,
    investment_usd: float,
    residual_share: float,
) -> list[float]:
    """The cash flow itself: minus the purchase, then every month, the resale in the last."""
    kept = (1 - price_decline_per_year) ** (1 / MONTHS_PER_YEAR)
    earned = [(revenue_usd_per_h * kept**m - running_usd_per_h) * H_PER_MONTH for m in range(round(months))]
    earned[-1] += residual_share * investment_usd
    return [-investment_usd, *earned]


def npv_of(flows: Sequence[float], *, rate: float) -> float:
    """Present value of cash flows one period apart, the first one now, at `rate` a period."""
    value = 0.0
    for flow in reversed(flows):
        value = value / (1 + rate) + flow
    return value


def irr_per_year(flows: Sequence[float]) -> tuple[float | None, str | None]:
    """Internal rate of return a year of monthly flows, or None and why there is none, or more than one."""
    signs = [flow > 0 for flow in flows if flow != 0]
    changes = sum(a != b for a, b in pairwise(signs))
    if changes == 0:
        return None, "the cash flow never changes sign, so no rate makes it worth nothing"
    if changes > 1:
        return None, f"the cash flow changes sign {changes} times, so several rates may fit"
    rate = _root_rate(flows)
    return float((1 + rate) ** MONTHS_PER_YEAR - 1), None


def _root_rate(flows: Sequence[float]) -> float:
    """The one rate at which the flows are worth nothing, by halving growth = 1 / (1 + rate), scaled for overflow."""
    rising = next(flow for flow in reversed(flows) if flow != 0) > 0
    low, high = 0.0, 1.0
    while (npv_of_growth(flows, high) > 0) != rising and high < 1e9:
        high *= 2
    for _ in range(200):
        middle = (low + high) / 2
        if (npv_of_growth(flows, middle) > 0) == rising:
            high = middle
        else:
            low = middle
    return 2 / (low + high) - 1


def npv_of_growth(flows: Sequence[float], growth: float) -> float:
    """Value of the flows with `growth` = 1 / (1 + rate), scaled by growth^-n above 1 so that it cannot overflow."""
    value = 0.0
    if growth <= 1:
        for flow in reversed(flows):
            value = value * growth + flow
        return value
    for flow in flows:
        value = value / growth + flow
    return value


def discounted_payback_h(flows: Sequence[float], *, discount_per_year: float, resale_usd: float) -> float | None:
    """Hours until the discounted profits have repaid the purchase, even within a month; None if never in its life.

    The resale does not count: it comes at the end, whatever happened before.
    """
    factor = float((1 + discount_per_year) ** (1 / MONTHS_PER_YEAR))
    owed = -flows[0]
    for month, flow in enumerate(flows[1:], start=1):
        profit = flow - (resale_usd if month == len(flows) - 1 else 0.0)
        worth = profit / factor**month
        if worth > 0 and owed <= worth:
            return (month - 1 + owed / worth) * H_PER_MONTH
        owed -= worth
    return None
