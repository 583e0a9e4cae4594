"""The owner's money: what the hardware costs an hour, what it earns, and when it has paid for itself.

Every function takes floats or NumPy columns of draws. Amounts are for the whole set unless a name says card.
+inf stands for never; the results (`Figure`) turn it into None with the reason.
"""

from breakeven.cost.amount import Amount, at_most_all, over
from breakeven.units import H_PER_DAY, H_PER_YEAR, W_PER_KW


def investment_usd(*, count: Amount, purchase_usd: Amount, host_usd: Amount) -> Amount:
    """What the set costs to buy: every card with its share of the machine."""
    return count * (purchase_usd + host_usd)


def energy_usd_per_h(
    *,
    count: Amount,
    usd_per_kwh: Amount,
    pue: Amount,
    rented_share: Amount,
    power_load_w: Amount,
    power_idle_w: Amount,
    host_w: Amount,
) -> Amount:
    """Energy of the set: E(u) = e PUE [u P_load + (1 - u) P_idle + P_host], power of all cards in kW."""
    drawn_w = rented_share * power_load_w + (1 - rented_share) * power_idle_w + host_w
    return count * usd_per_kwh * pue * drawn_w / W_PER_KW


def running_usd_per_h(*, energy_usd_per_h: Amount, count: Amount, opex_usd_per_h: Amount) -> Amount:
    """What each hour costs once the hardware is bought: energy and the rest."""
    return energy_usd_per_h + count * opex_usd_per_h


def rent_usd_per_h_set(*, count: Amount, rent_usd_per_h: Amount) -> Amount:
    """What the renter pays for the whole set."""
    return count * rent_usd_per_h


def revenue_usd_per_h(
    *, rent_usd_per_h_set: Amount, rented_share: Amount, availability: Amount, fee_share: Amount
) -> Amount:
    """What reaches the owner in an average hour: rent for the hours up and rented, less the platform's share."""
    return rent_usd_per_h_set * rented_share * availability * (1 - fee_share)


def profit_usd_per_h(*, revenue_usd_per_h: Amount, running_usd_per_h: Amount) -> Amount:
    """Revenue less running cost, per average hour."""
    return revenue_usd_per_h - running_usd_per_h


def break_even_h(*, investment_usd: Amount, profit_usd_per_h: Amount) -> Amount:
    """Hours until the profit has repaid the purchase (the article's ROI); +inf where there is no profit."""
    return over(investment_usd, profit_usd_per_h)


def break_even_days(*, break_even_h: Amount) -> Amount:
    """The same in days of 24 h."""
    return break_even_h / H_PER_DAY


def roi_per_year(*, profit_usd_per_h: Amount, investment_usd: Amount) -> Amount:
    """Profit of one year / investment, at today's rent."""
    return over(profit_usd_per_h * H_PER_YEAR, investment_usd)


def capital_usd_per_h(
    *, investment_usd: Amount, residual_share: Amount, discount_factor: Amount, annuity_years: Amount
) -> Amount:
    """Capital recovery: the level amount per hour that repays the purchase with interest over its life.

    A = (C - S / (1 + r)^n) r / (1 - (1 + r)^-n), here as (C - S v) / annuity, per hour of a year of 8,766 h.
    """
    return investment_usd * (1 - residual_share * discount_factor) / annuity_years / H_PER_YEAR


def total_usd_per_h(*, capital_usd_per_h: Amount, running_usd_per_h: Amount) -> Amount:
    """Everything an owner pays per hour: capital recovery and running cost."""
    return capital_usd_per_h + running_usd_per_h


def floor_rent_usd_per_h_card(
    *, total_usd_per_h: Amount, rented_share: Amount, availability: Amount, fee_share: Amount, count: Amount
) -> Amount:
    """Least rent per card at which the owner recovers the capital over its life, at a rent that stays."""
    return over(total_usd_per_h, rented_share * availability * (1 - fee_share) * count)


def break_even_rented_share(
    *,
    capital_usd_per_h: Amount,
    idle_usd_per_h: Amount,
    rent_usd_per_h_set: Amount,
    availability: Amount,
    fee_share: Amount,
    busy_usd_per_h: Amount,
) -> Amount:
    """Rented share at which revenue just covers capital recovery and running cost; +inf where even 1 does not."""
    earned = rent_usd_per_h_set * availability * (1 - fee_share) - busy_usd_per_h
    return at_most_all(over(capital_usd_per_h + idle_usd_per_h, earned))


def idle_usd_per_h(
    *,
    count: Amount,
    opex_usd_per_h: Amount,
    usd_per_kwh: Amount,
    pue: Amount,
    power_idle_w: Amount,
    host_w: Amount,
) -> Amount:
    """What an hour costs in which nobody uses the set, capital apart."""
    return count * (opex_usd_per_h + usd_per_kwh * pue * (power_idle_w + host_w) / W_PER_KW)


def busy_usd_per_h(
    *, count: Amount, usd_per_kwh: Amount, pue: Amount, power_load_w: Amount, power_idle_w: Amount
) -> Amount:
    """What an hour under load costs more than an idle one."""
    return count * usd_per_kwh * pue * (power_load_w - power_idle_w) / W_PER_KW


def usd_per_tok_per_s(*, investment_usd: Amount, count: Amount, tok_per_s: Amount) -> Amount:
    """Capital per unit of work, the barrier to entry: purchase / output tokens per second of the set."""
    return investment_usd / (count * tok_per_s)
