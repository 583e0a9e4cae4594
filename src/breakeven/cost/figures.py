"""The figures: one row each with its formula, label, unit, and why it may have no value.

The formula is the only text of a figure: Python and the page work it out, `--explain` and docs/ECONOMICS.md print it.
Every table, report and page walks these rows, so that a new row appears everywhere. Amounts are for the whole set
unless a name says card; power is in watts a card, at the operating point of the throughput.
"""

from typing import Final, Literal, NamedTuple

from breakeven.cost import formula

Group = Literal["owner", "income", "life", "returns", "tokens", "api", "both"]

GROUPS: Final[dict[Group, str]] = {
    "owner": "Bought",
    "income": "Rented out",
    "life": "Over its life",
    "returns": "Rented out over its life",
    "tokens": "Output {tokens}",
    "api": "Against the API",
    "both": "Candidate against reference",
}
"""Headings, in the order of a table."""

FROM_RENTERS: Final = ("income", "returns")
"""Groups of a card that others rent: its owner's own use has none of these."""


class Row(NamedTuple):
    """One figure. `{tokens}` in a label stands for what is counted."""

    text: str
    """Formula in the names of inputs and of figures above it: + - * / ** and the functions of `primitives`."""
    label: str
    unit: str
    group: Group
    never: str = ""
    """Why it is never reached, where it comes out as +inf and that is what +inf means."""
    undefined: str = ""
    """Why it has no value where it comes out as not defined, or as +inf without a word of its own."""
    at_no_price: str = ""
    """Why it is +inf where that means that no price will do."""
    shown: bool = True
    """False for a step on the way: explained, in JSON, but not in the table."""

    @property
    def needs(self) -> tuple[str, ...]:
        """Names of what goes in."""
        return formula.needs(self.text)


_NO_PROFIT: Final = "an hour earns no more than it costs, or the rent falls before the purchase is repaid"
_KWH: Final = "availability * usd_per_kwh * pue"
_PAID: Final = "rented_share * availability * (1 - fee_share)"
_NOTHING: Final = "nothing of a rent reaches the owner"
_IDLE: Final = "it serves nothing at this load factor"
_MTOK: Final = "load_factor * 3600"

SIDE: Final[dict[str, Row]] = {
    "investment_usd": Row("count * (purchase_usd + host_usd)", "purchase", "USD", "owner"),
    "rent_usd_per_h_set": Row("count * rent_usd_per_h", "rent of all its cards", "USD/h", "owner"),
    "energy_usd_per_h": Row(
        f"count * {_KWH} * (rented_share * power_load_w + (1 - rented_share) * power_idle_w + host_w) / 1000",
        "energy",
        "USD/h",
        "owner",
    ),
    "running_usd_per_h": Row("energy_usd_per_h + count * opex_usd_per_h", "running cost", "USD/h", "owner"),
    "revenue_usd_per_h": Row(f"rent_usd_per_h_set * {_PAID}", "revenue", "USD/h", "income"),
    "profit_usd_per_h": Row("revenue_usd_per_h - running_usd_per_h", "profit", "USD/h", "income"),
    "break_even_h": Row(
        "repaid_h(investment_usd, profit_usd_per_h, revenue_usd_per_h, price_decline_per_year, 0)",
        "break-even",
        "h",
        "income",
        never=_NO_PROFIT,
    ),
    "break_even_days": Row("break_even_h / 24", "break-even, days", "days", "income", never=_NO_PROFIT, shown=False),
    "roi_per_year": Row(
        "over(profit_usd_per_h * 8766, investment_usd)",
        "ROI a year, at today's rent",
        "share",
        "income",
        undefined="nothing is invested",
    ),
    "months": Row("whole_months(life_years)", "life", "months", "life", shown=False),
    "discount_factor": Row("(1 + discount_per_year)**(-months / 12)", "discount factor", "", "life", shown=False),
    "life_h": Row(
        "present_h(months, 0, discount_per_year)", "hours of its life, at today's worth", "h", "life", shown=False
    ),
    "capital_usd_per_h": Row(
        "investment_usd * (1 - residual_share * discount_factor) / life_h", "capital recovery", "USD/h", "life"
    ),
    "total_usd_per_h": Row("capital_usd_per_h + running_usd_per_h", "total cost", "USD/h", "life"),
    "idle_usd_per_h": Row(
        f"count * (opex_usd_per_h + {_KWH} * (power_idle_w + host_w) / 1000)",
        "an idle hour",
        "USD/h",
        "life",
        shown=False,
    ),
    "busy_usd_per_h": Row(
        f"count * {_KWH} * (power_load_w - power_idle_w) / 1000",
        "a busy hour costs more by",
        "USD/h",
        "life",
        shown=False,
    ),
    "owner_usd_per_h_set": Row(
        "over(capital_usd_per_h + idle_usd_per_h + load_factor * busy_usd_per_h, availability)",
        "owner's cost of a serving hour, set",
        "USD/h",
        "life",
        undefined="it is never up",
        shown=False,
    ),
    "owner_usd_per_h_card": Row(
        "owner_usd_per_h_set / count", "owner's cost per GPU-hour", "USD/h", "life", undefined="it is never up"
    ),
    "rent_or_buy_h": Row(
        "over(investment_usd, rent_usd_per_h_set - over(idle_usd_per_h + busy_usd_per_h, availability))",
        "buying beats renting after",
        "h",
        "life",
        never="the rent is below what the energy costs",
    ),
    "rent_or_buy_share": Row(
        "within(over(capital_usd_per_h + idle_usd_per_h, rent_usd_per_h_set - over(busy_usd_per_h, availability)),"
        " availability)",
        "buying beats renting by the hour above a use of",
        "share",
        "life",
        never="renting is cheaper even around the clock",
    ),
    "rent_kept_share": Row(
        "present_h(months, price_decline_per_year, discount_per_year) / life_h",
        "mean rent over the life, of today's",
        "share",
        "returns",
        shown=False,
    ),
    "floor_rent_usd_per_h_card": Row(
        f"over(total_usd_per_h, {_PAID} * rent_kept_share * count)",
        "least rent today that recovers the capital, a card",
        "USD/h",
        "returns",
        undefined=_NOTHING,
    ),
    "npv_usd": Row(
        "(revenue_usd_per_h * rent_kept_share - running_usd_per_h) * life_h"
        " + investment_usd * residual_share * discount_factor - investment_usd",
        "NPV",
        "USD",
        "returns",
    ),
    "roi_life": Row(
        "over(revenue_usd_per_h * present_h(months, price_decline_per_year, 0)"
        " - running_usd_per_h * present_h(months, 0, 0) + (residual_share - 1) * investment_usd, investment_usd)",
        "ROI over the life",
        "share",
        "returns",
        undefined="nothing is invested",
    ),
    "break_even_rented_share": Row(
        "within(over(capital_usd_per_h + idle_usd_per_h,"
        " rent_usd_per_h_set * rent_kept_share * availability * (1 - fee_share) - busy_usd_per_h), 1)",
        "break-even rented share",
        "share",
        "returns",
        never="rented around the clock it does not recover its capital",
    ),
    "discounted_payback_h": Row(
        "within(repaid_h(investment_usd, profit_usd_per_h, revenue_usd_per_h, price_decline_per_year,"
        " discount_per_year), months * 730.5)",
        "discounted payback",
        "h",
        "returns",
        never="not within its life",
    ),
    "irr_per_year": Row(
        "rate_of_return(investment_usd, revenue_usd_per_h, running_usd_per_h, price_decline_per_year,"
        " residual_share, months)",
        "IRR",
        "share",
        "returns",
        undefined="the cash flow never changes sign, or does so more than once, so that no one rate fits",
    ),
    "usd_per_tok_per_s": Row(
        "investment_usd / (count * tok_per_s)", "capital per unit of work", "USD per tok/s", "tokens"
    ),
    "serving_usd_per_h": Row("owner_usd_per_h_set", "an hour of serving", "USD/h", "tokens"),
    "usd_per_mtok_output": Row(
        f"over(serving_usd_per_h * 1e6, count * tok_per_s * {_MTOK})",
        "cost of output {tokens}",
        "USD/Mtok",
        "tokens",
        undefined=_IDLE,
    ),
    "usd_per_mtok_output_hours_used": Row(
        "usd_per_mtok_output * load_factor",
        "cost of output {tokens}, rented only for the hours used",
        "USD/Mtok",
        "tokens",
        undefined=_IDLE,
    ),
    "usd_per_mtok_blended": Row(
        f"over(serving_usd_per_h * 1e6, count * (tok_per_s + input_tok_per_s) * {_MTOK})",
        "blended at this mix",
        "USD/Mtok",
        "tokens",
        undefined=_IDLE,
    ),
    "usd_per_mtok_output_apart": Row(
        f"over(serving_usd_per_h * 1e6, count * (tok_per_s + input_gpu_s_ratio * input_tok_per_s) * {_MTOK})",
        "output, input apart",
        "USD/Mtok",
        "tokens",
        undefined=_IDLE,
    ),
    "usd_per_mtok_input_apart": Row(
        "input_gpu_s_ratio * usd_per_mtok_output_apart",
        "input, output apart",
        "USD/Mtok",
        "tokens",
        undefined=_IDLE,
    ),
    "usd_per_mtok_good": Row(
        f"over(serving_usd_per_h * 1e6, count * good_tok_per_s * {_MTOK})",
        "good output only (SLO met)",
        "USD/Mtok",
        "tokens",
        undefined="no answer met the SLO",
    ),
    "tok_per_usd": Row(
        "over(1e6, usd_per_mtok_output)",
        "output {tokens} per dollar",
        "tok/USD",
        "tokens",
        undefined="the {tokens} cost nothing",
    ),
    "tok_per_j": Row(
        "over(tok_per_s, power_load_w)",
        "output {tokens} per joule under load",
        "tok/J",
        "tokens",
        undefined="it draws no power",
    ),
    "api_usd_per_h": Row(
        "count * load_factor * (tok_per_s * api_usd_per_mtok_output + input_tok_per_s * api_usd_per_mtok_input)"
        " * 3600 / 1e6",
        "the API charges for an hour's {tokens}",
        "USD/h",
        "api",
    ),
    "api_full_usd_per_h": Row(
        "over(api_usd_per_h, load_factor)", "the same at full load", "USD/h", "api", undefined=_IDLE, shown=False
    ),
    "api_usd_per_mtok_all_on_output": Row(
        f"over(api_usd_per_h * 1e6, count * tok_per_s * {_MTOK})",
        "the API's cost of output {tokens}",
        "USD/Mtok",
        "api",
        undefined=_IDLE,
    ),
    "api_parity_usd_per_h_card": Row("api_usd_per_h / count", "as cheap as the API at, a card", "USD/h", "api"),
    "api_break_even_h": Row(
        "over(investment_usd, api_usd_per_h - over(idle_usd_per_h + load_factor * busy_usd_per_h, availability))",
        "saved API bills repay the purchase after",
        "h",
        "api",
        never="energy alone costs more than the API",
    ),
    "api_flip_load_factor": Row(
        "within(over(capital_usd_per_h + idle_usd_per_h, api_full_usd_per_h * availability - busy_usd_per_h), 1)",
        "cheaper than the API above a load of",
        "share",
        "api",
        never="the API is cheaper even at full load",
    ),
    "api_flip_mtok_per_day": Row(
        "api_flip_load_factor * count * (tok_per_s + input_tok_per_s) * 86400 / 1e6",
        "which is, input and output",
        "Mtok a day",
        "api",
        never="the API is cheaper even at full load",
    ),
}
"""Figures of one side, in the order in which they are worked out."""

RENTED: Final[dict[str, Row]] = {
    "serving_usd_per_h": SIDE["serving_usd_per_h"]._replace(text="rent_usd_per_h_set"),
    "api_flip_load_factor": SIDE["api_flip_load_factor"]._replace(
        text="within(over(rent_usd_per_h_set, api_full_usd_per_h), 1)"
    ),
}
"""What replaces rows of SIDE for a deployment that pays rent; an hour of serving is one of renting."""

RENTED_ONLY: Final = ("usd_per_mtok_output_hours_used",)
"""Figures that a card of one's own does not have."""

OWN_USE: Final[dict[str, Row]] = {
    "energy_usd_per_h": SIDE["energy_usd_per_h"]._replace(
        text=SIDE["energy_usd_per_h"].text.replace("rented_share", "load_factor")
    ),
}
"""What replaces rows of SIDE for a card that its owner uses himself: it is busy for its load, not for its renters."""

_NO_REFERENCE: Final = "the reference never breaks even"
_NO_PARITY: Final = f"{_NO_REFERENCE}, or nothing of a rent reaches the candidate's owner"
_NO_RENT: Final = "nothing of a rent reaches the candidate's owner"
_NO_TOKENS: Final = "a side has no cost per {token}"

COMPARISON: Final[dict[str, Row]] = {
    "k": Row("candidate_count / reference_count", "k: candidate cards per reference card", "", "both"),
    "parity_usd_per_h_set": Row(
        "known(over(candidate_investment_usd / reference_break_even_h + candidate_running_usd_per_h,"
        " candidate_rented_share * candidate_availability * (1 - candidate_fee_share)"
        " * kept(reference_break_even_h, candidate_price_decline_per_year)), reference_break_even_h)",
        "ROI parity rent, all cards",
        "USD/h",
        "both",
        undefined=_NO_REFERENCE,
        at_no_price=_NO_RENT,
    ),
    "parity_usd_per_h_card": Row(
        "parity_usd_per_h_set / candidate_count",
        "ROI parity rent, card",
        "USD/h",
        "both",
        undefined=_NO_REFERENCE,
        at_no_price=_NO_RENT,
    ),
    "ratio": Row(
        "known(over(reference_rent_usd_per_h_set, parity_usd_per_h_set), parity_usd_per_h_set)",
        "times cheaper at ROI parity",
        "x",
        "both",
        undefined=_NO_PARITY,
    ),
    "whole_cards": Row("up(candidate_count)", "whole cards to buy", "", "both"),
    "ratio_whole_cards": Row(
        "known(over(reference_rent_usd_per_h_set, whole_cards * parity_usd_per_h_card), parity_usd_per_h_card)",
        "times cheaper with whole cards",
        "x",
        "both",
        undefined=_NO_PARITY,
    ),
    "k_tokens": Row("reference_tok_per_s / candidate_tok_per_s", "k for equal {tokens}", "", "both", shown=False),
    "cost_parity_usd_per_h_card": Row(
        "reference_rent_usd_per_h / k_tokens", "cost parity rent, card (renter)", "USD/h", "both"
    ),
    "cost_parity_owner_usd_per_h_card": Row(
        "reference_owner_usd_per_h_card / k_tokens",
        "cost parity rent, card (against an owner)",
        "USD/h",
        "both",
        undefined="the reference is never up",
    ),
    "usd_per_mtok_ratio": Row(
        "known(over(reference_usd_per_mtok_output, candidate_usd_per_mtok_output), candidate_usd_per_mtok_output)",
        "times cheaper output {tokens}",
        "x",
        "both",
        undefined=_NO_TOKENS,
    ),
    "capital_ratio": Row(
        "over(reference_investment_usd, candidate_investment_usd)",
        "times less capital to start",
        "x",
        "both",
        undefined="the candidate costs nothing to buy",
    ),
}
"""Figures of the candidate against the reference; names carry `reference_` and `candidate_`."""

ASSUMED_EQUAL: Final[dict[str, Row]] = {"k_tokens": COMPARISON["k_tokens"]._replace(text="k")}
"""What replaces rows of COMPARISON where both sets do the same work and no throughput is given."""

SAME_WORK_ONLY: Final = ("k", "ratio", "whole_cards", "ratio_whole_cards")
"""Figures that mean something only where the candidate's cards do the work of the reference's."""

ROWS: Final[dict[str, Row]] = {**SIDE, **COMPARISON}
"""Every figure by name."""


class Else(NamedTuple):
    """What stands for an input that is not given: a formula in others, or a constant that changes nothing."""

    name: str
    text: str
    why: str = ""
    """Said of one that follows from others; a constant is said as `name=constant`."""
    question: Literal["same work"] | None = None
    """The only question in which it holds."""

    @property
    def is_neutral(self) -> bool:
        """A constant, which changes nothing."""
        return not formula.needs(self.text)


_SET: Final = "the set does the reference's work: the reference's rate * its cards / cards here"

ELSE: Final[tuple[Else, ...]] = (
    Else("fee_share", "fee_markup / (1 + fee_markup)", "a mark-up m on what the owner gets is m / (1 + m) of the rent"),
    Else("rent_usd_per_h", "rent_usd_per_h_of_set / count", "the market's rent for the set / cards in it"),
    *(
        Else(name, f"reference_{name} * reference_count / count", _SET, question="same work")
        for name in ("tok_per_s", "input_tok_per_s", "good_tok_per_s")
    ),
    Else("input_tok_per_s", "tok_per_s * input_per_output", "output tok/s * tokens.input_per_output"),
    *(Else(name, "0") for name in ("host_usd", "host_w", "opex_usd_per_h")),
    *(Else(name, "1") for name in ("pue", "rented_share", "load_factor", "availability")),
    *(Else(name, "0") for name in ("fee_share", "price_decline_per_year", "residual_share")),
    Else("power_idle_w", "power_load_w", "not given, so as much as under load (an upper bound)"),
)
"""In the order in which they are tried; each one used is said in the result."""

NEUTRAL: Final[dict[str, float]] = {one.name: float(one.text) for one in ELSE if one.is_neutral}
"""What an input counts as when nobody gives it."""
