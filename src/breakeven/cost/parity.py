"""A candidate against a reference: the rents at which they come out even, and how much cheaper that is.

Every function takes floats or NumPy columns of draws; names say which side, and whether card or set.
"""

import numpy as np

from breakeven.cost.amount import Amount, known_if_finite, over


def k(*, candidate_count: Amount, reference_count: Amount) -> Amount:
    """How many candidate cards do the work of one reference card, as given or measured."""
    return candidate_count / reference_count


def k_from_tokens(*, reference_tok_per_s: Amount, candidate_tok_per_s: Amount) -> Amount:
    """Candidate cards per reference card for equal tokens: the ratio of what one card serves at its own load."""
    return reference_tok_per_s / candidate_tok_per_s


def k_from_count(*, k: Amount) -> Amount:
    """The same where throughputs are not given: both sets do equal work by assumption."""
    return k


def parity_usd_per_h_set(
    *,
    candidate_investment_usd: Amount,
    reference_break_even_h: Amount,
    candidate_running_usd_per_h: Amount,
    candidate_rented_share: Amount,
    candidate_availability: Amount,
    candidate_fee_share: Amount,
) -> Amount:
    """ROI parity rent of the set: the rent at which it earns its money back as fast as the reference.

    p = [I_B / t_A + E_B(u) + opex_B] / [u a (1 - fee)]. NaN (undefined) where the reference never breaks even.
    """
    wanted = over(candidate_investment_usd, reference_break_even_h) + candidate_running_usd_per_h
    rent = over(wanted, candidate_rented_share * candidate_availability * (1 - candidate_fee_share))
    return known_if_finite(rent, reference_break_even_h)


def parity_usd_per_h_card(*, parity_usd_per_h_set: Amount, candidate_count: Amount) -> Amount:
    """ROI parity rent of one card: the figure to hold against a quote."""
    return parity_usd_per_h_set / candidate_count


def ratio(*, reference_rent_usd_per_h_set: Amount, parity_usd_per_h_set: Amount) -> Amount:
    """How many times cheaper the candidate could be rented out for the same return (the article's headline)."""
    return over(reference_rent_usd_per_h_set, parity_usd_per_h_set)


def whole_cards(*, candidate_count: Amount) -> Amount:
    """Cards that one has to buy: the count rounded up."""
    if isinstance(candidate_count, np.ndarray):
        return np.ceil(candidate_count - 1e-9)
    return float(np.ceil(candidate_count - 1e-9))


def ratio_whole_cards(
    *, reference_rent_usd_per_h_set: Amount, whole_cards: Amount, parity_usd_per_h_card: Amount
) -> Amount:
    """The headline for somebody who has to buy whole cards."""
    return over(reference_rent_usd_per_h_set, whole_cards * parity_usd_per_h_card)


def cost_parity_usd_per_h_card(*, reference_rent_usd_per_h: Amount, k_tokens: Amount) -> Amount:
    """Cost parity rent: the rent of a candidate card at which its tokens cost what the rented reference's cost."""
    return reference_rent_usd_per_h / k_tokens


def cost_parity_owner_usd_per_h_card(*, reference_owner_usd_per_h_card: Amount, k_tokens: Amount) -> Amount:
    """Cost parity rent against an owned reference: its capital recovery and energy stand in for the rent."""
    return reference_owner_usd_per_h_card / k_tokens


def usd_per_mtok_ratio(*, reference_usd_per_mtok_output: Amount, candidate_usd_per_mtok_output: Amount) -> Amount:
    """How many times cheaper the candidate's tokens are."""
    return over(reference_usd_per_mtok_output, candidate_usd_per_mtok_output)


def capital_ratio(*, reference_investment_usd: Amount, candidate_investment_usd: Amount) -> Amount:
    """How many times less money it takes to start (the article's barrier to entry)."""
    return over(reference_investment_usd, candidate_investment_usd)
