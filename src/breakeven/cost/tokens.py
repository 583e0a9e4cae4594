"""What tokens cost: the hour shared out over the tokens of that hour, and the API price or rent it competes with.

Every function takes floats or NumPy columns of draws. Amounts are for the whole set unless a name says card.
"""

from breakeven.cost.amount import Amount, at_most_all, over
from breakeven.units import S_PER_H, TOK_PER_MTOK

S_PER_DAY = 86_400.0


def owner_usd_per_h_set(
    *,
    capital_usd_per_h: Amount,
    idle_usd_per_h: Amount,
    load_factor: Amount,
    busy_usd_per_h: Amount,
    availability: Amount,
) -> Amount:
    """Owner's cost of an hour in which the set is up and serves: capital recovery, energy at its load, the rest."""
    return over(capital_usd_per_h + idle_usd_per_h + load_factor * busy_usd_per_h, availability)


def owner_usd_per_h_card(*, owner_usd_per_h_set: Amount, count: Amount) -> Amount:
    """Owner's cost per GPU-hour; buying beats renting where a card's rent is above it."""
    return owner_usd_per_h_set / count


def serving_from_owner(*, owner_usd_per_h_set: Amount) -> Amount:
    """The hour that tokens are charged with: the owner's."""
    return owner_usd_per_h_set


def serving_from_rent(*, rent_usd_per_h_set: Amount) -> Amount:
    """The hour that tokens are charged with: the rent."""
    return rent_usd_per_h_set


def usd_per_mtok_output(*, serving_usd_per_h: Amount, count: Amount, tok_per_s: Amount, load_factor: Amount) -> Amount:
    """USD per million output tokens when they carry the whole hour; idle hours are paid (InferenceX's definition)."""
    return over(serving_usd_per_h * TOK_PER_MTOK, count * tok_per_s * load_factor * S_PER_H)


def usd_per_mtok_blended(
    *, serving_usd_per_h: Amount, count: Amount, tok_per_s: Amount, input_tok_per_s: Amount, load_factor: Amount
) -> Amount:
    """USD per million tokens, input or output alike, at this mix."""
    return over(serving_usd_per_h * TOK_PER_MTOK, count * (tok_per_s + input_tok_per_s) * load_factor * S_PER_H)


def usd_per_mtok_output_apart(
    *,
    serving_usd_per_h: Amount,
    count: Amount,
    tok_per_s: Amount,
    input_gpu_s_ratio: Amount,
    input_tok_per_s: Amount,
    load_factor: Amount,
) -> Amount:
    """USD per million output tokens when input pays for its own GPU-seconds: C 10^6 / [3600 (T_out + r T_in)]."""
    weighed = tok_per_s + input_gpu_s_ratio * input_tok_per_s
    return over(serving_usd_per_h * TOK_PER_MTOK, count * weighed * load_factor * S_PER_H)


def usd_per_mtok_input_apart(*, input_gpu_s_ratio: Amount, usd_per_mtok_output_apart: Amount) -> Amount:
    """USD per million input tokens: r times an output token, so that both together pay the hour once."""
    return input_gpu_s_ratio * usd_per_mtok_output_apart


def usd_per_mtok_good(
    *, serving_usd_per_h: Amount, count: Amount, good_tok_per_s: Amount, load_factor: Amount
) -> Amount:
    """USD per million output tokens of answers that met the SLO; the others were paid for and do not count."""
    return over(serving_usd_per_h * TOK_PER_MTOK, count * good_tok_per_s * load_factor * S_PER_H)


def tok_per_usd(*, usd_per_mtok_output: Amount) -> Amount:
    """Output tokens for one dollar."""
    return over(usd_per_mtok_output * 0 + TOK_PER_MTOK, usd_per_mtok_output)


def tok_per_j(*, tok_per_s: Amount, power_load_w: Amount) -> Amount:
    """Output tokens per joule of the stated power under load, without machine and cooling."""
    return over(tok_per_s, power_load_w)


def rent_or_buy_h(
    *,
    investment_usd: Amount,
    rent_usd_per_h_set: Amount,
    idle_usd_per_h: Amount,
    busy_usd_per_h: Amount,
) -> Amount:
    """Hours of use after which buying has cost less than renting, with no interest and nothing resold."""
    return over(investment_usd, rent_usd_per_h_set - idle_usd_per_h - busy_usd_per_h)


def rent_or_buy_share(
    *, capital_usd_per_h: Amount, idle_usd_per_h: Amount, rent_usd_per_h_set: Amount, busy_usd_per_h: Amount
) -> Amount:
    """Share of all hours in use above which buying is cheaper; +inf where renting is, even around the clock."""
    return at_most_all(over(capital_usd_per_h + idle_usd_per_h, rent_usd_per_h_set - busy_usd_per_h))


def api_usd_per_h(
    *,
    count: Amount,
    load_factor: Amount,
    tok_per_s: Amount,
    api_usd_per_mtok_output: Amount,
    input_tok_per_s: Amount,
    api_usd_per_mtok_input: Amount,
) -> Amount:
    """What the API would charge for the tokens that the set serves in an hour."""
    per_s = tok_per_s * api_usd_per_mtok_output + input_tok_per_s * api_usd_per_mtok_input
    return count * load_factor * per_s * S_PER_H / TOK_PER_MTOK


def api_full_usd_per_h(*, api_usd_per_h: Amount, load_factor: Amount) -> Amount:
    """The same for an hour of full load."""
    return over(api_usd_per_h, load_factor)


def api_parity_usd_per_h_card(*, api_usd_per_h: Amount, count: Amount) -> Amount:
    """Cost per GPU-hour, rent or owner's, at which the tokens cost what the API charges."""
    return api_usd_per_h / count


def api_break_even_h(
    *,
    investment_usd: Amount,
    api_usd_per_h: Amount,
    idle_usd_per_h: Amount,
    load_factor: Amount,
    busy_usd_per_h: Amount,
) -> Amount:
    """Hours until the API bills saved have repaid the purchase."""
    return over(investment_usd, api_usd_per_h - idle_usd_per_h - load_factor * busy_usd_per_h)


def api_flip_owned(
    *,
    capital_usd_per_h: Amount,
    idle_usd_per_h: Amount,
    api_full_usd_per_h: Amount,
    availability: Amount,
    busy_usd_per_h: Amount,
) -> Amount:
    """Load factor above which owning is cheaper than the API; +inf where it is not, even at full load."""
    return at_most_all(over(capital_usd_per_h + idle_usd_per_h, api_full_usd_per_h * availability - busy_usd_per_h))


def api_flip_rented(*, rent_usd_per_h_set: Amount, api_full_usd_per_h: Amount) -> Amount:
    """Load factor above which renting is cheaper than the API; +inf where it is not, even at full load."""
    return at_most_all(over(rent_usd_per_h_set, api_full_usd_per_h))


def api_flip_mtok_per_day(
    *, api_flip_load_factor: Amount, count: Amount, tok_per_s: Amount, input_tok_per_s: Amount
) -> Amount:
    """The same as million tokens a day, input and output."""
    return api_flip_load_factor * count * (tok_per_s + input_tok_per_s) * S_PER_DAY / TOK_PER_MTOK
