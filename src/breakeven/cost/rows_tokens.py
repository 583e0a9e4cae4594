"""Rows of one side: what its tokens cost, and how that compares with an API price."""

from typing import Final

from breakeven.cost import owner, tokens
from breakeven.cost.row import Row

TOKENS: Final[dict[str, Row]] = {
    "usd_per_tok_per_s": Row(
        owner.usd_per_tok_per_s,
        "capital per unit of work",
        "USD per tok/s",
        "investment_usd / (count * tok_per_s)",
        group="tokens",
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
        "output tokens per joule under load",
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
"""In the order in which they are worked out; they need rows of OWNER."""
