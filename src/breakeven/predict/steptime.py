"""How long one step of an engine takes: the bytes that it reads and the products that it makes, over what the card
does of them.

A step reads prompts and gives each answering user a token. Its parts are the matrices of the layers, the experts, the
head, the attention over what is cached, the attention inside the prompts, and the sums between cards; a part that
both reads and multiplies takes as long as the longer of the two, rounded off where both are near (`ROUNDING`). To
that comes what a step, a layer and a user cost whatever the card: launching kernels, scheduling, sampling.
"""

import math
from typing import Final

from msgspec import Struct

from breakeven.errors import UsageError
from breakeven.hardware import Gpu, ModelShape, Numbers, peak_flop_per_s
from breakeven.hardware.model import BITS
from breakeven.predict.memory import check_split

ROUNDING: Final = 3.0
"""max(a, b) is taken as (a^p + b^p)^(1/p): a matrix product that is near both limits reaches neither. Of p from 1 to
12, 3
fitted the shipped points best."""
PROMPT_ATTENTION: Final = 0.6
"""What the attention inside a prompt reaches of the rate, as a part of what the matrix products reach."""


class Efficiency(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an engine of some version gets out of a kind of card. Shares are of the card's figures on paper."""

    bandwidth: float = 0.8
    """Share of the memory bandwidth that reading weights reaches."""
    compute: float = 0.6
    """Share of the dense rate that matrix products reach."""
    kv_bandwidth: float = 0.75
    """Share of the memory bandwidth that reading the key-value cache reaches."""
    step_s: float = 1.7e-3
    """Of every step."""
    layer_s: float = 1.4e-5
    """Of every layer in every step."""
    user_s: float = 3e-5
    """Of every answering user in every step."""
    hop_s: float = 5e-6
    """Of every sum between cards, for each doubling of their number."""
    link: float = 0.8
    """Share of the link that sums between cards reach."""
    request_s: float = 0.04
    """Between a request and the engine, and back with its first token: HTTP, tokenizer, first look of the scheduler."""


PERFECT: Final = Efficiency(
    bandwidth=1, compute=1, kv_bandwidth=1, step_s=0, layer_s=0, user_s=0, hop_s=0, link=1, request_s=0
)
"""All that a card has on paper, and nothing that costs time beside it."""


class StepTime(Struct, frozen=True, kw_only=True):
    """The time of a step of one model on one set of cards, worked out as far as it can be before the step is known."""

    fixed_s: float
    user_s: float
    token_s: float
    """Sums between cards, a token."""
    linear_read_s: float
    linear_token_s: float
    head_read_s: float
    head_token_s: float
    expert_read_s: float
    """Reading every expert of every layer."""
    expert_token_s: float
    experts: int
    experts_per_token: int
    cached_s: float
    """Reading one token's keys and values in all layers without a window."""
    windowed_s: float
    """The same in those with one."""
    pair_s: float
    """Attention of one token of a prompt to one before it, layers without a window."""
    windowed_pair_s: float
    window: float

    def step_s(
        self, prefill_tokens: float, prefill_context_tokens: float, decode_users: float, decode_context_tokens: float
    ) -> float:
        """Seconds of a step that reads `prefill_tokens` of prompts and gives `decode_users` users a token each.

        `prefill_context_tokens` are those of the same prompt that were read in steps before; of several prompts as much
        less as each looks back at its own tokens alone (`replica.StepTime`). `decode_context_tokens`: what the
        answering users have in the cache, all together.
        """
        tokens = prefill_tokens + decode_users
        if not tokens:
            return 0.0
        given = decode_users + (1 if prefill_tokens else 0)
        seconds = self.fixed_s + self.user_s * given + self.token_s * tokens
        seconds += _longer(self.linear_read_s, self.linear_token_s * tokens)
        seconds += _longer(self.head_read_s, self.head_token_s * given)
        if self.experts:
            touched = 1 - (1 - self.experts_per_token / self.experts) ** tokens
            seconds += _longer(self.expert_read_s * touched, self.expert_token_s * tokens)
        seconds += self.cached_s * decode_context_tokens
        if prefill_tokens:
            before = prefill_context_tokens + prefill_tokens / 2
            seconds += prefill_tokens * (self.pair_s * before + self.windowed_pair_s * min(before, self.window))
        if self.windowed_s and decode_users:
            seconds += self.windowed_s * min(decode_context_tokens, self.window * decode_users)
        return seconds


def _longer(one_s: float, other_s: float) -> float:
    """The longer of two times, rounded off where they are alike."""
    long, short = (one_s, other_s) if one_s > other_s else (other_s, one_s)
    return long * (1 + (short / long) ** ROUNDING) ** (1 / ROUNDING) if short else long


def step_time(model: ModelShape, gpu: Gpu, efficiency: Efficiency, *, tp: int = 1) -> StepTime:
    """The step time of a model spread over `tp` equal cards (tensor parallel).

    Each card reads and multiplies its part; keys and values are split no further than there are heads for them. After
    attention and after the MLP the cards sum: a ring moves 2 (tp - 1) / tp of hidden x 2 bytes a token over each link.
    UsageError for a number of cards that the heads cannot be split over, and for a card with an unknown rate.
    """
    check_split(model, tp)
    read_s = 1 / (gpu.mem_bw_gb_per_s * 1e9 * efficiency.bandwidth * tp)
    cached_s = 1 / (gpu.mem_bw_gb_per_s * 1e9 * efficiency.kv_bandwidth * min(tp, model.kv_heads))
    linear = model.attention_weights + model.mlp_weights
    products = model.kept.products
    wide_s = _multiply_s(gpu, efficiency, "bf16", tp)
    plain_s = wide_s if model.kept.covers == "experts" else _multiply_s(gpu, efficiency, products, tp)
    routed = model.expert_weights
    full = model.layers - model.window_layers
    pair_s = 2 * model.heads * model.head_dim * wide_s / PROMPT_ATTENTION
    sums = 2 * model.layers if tp > 1 else 0
    return StepTime(
        fixed_s=efficiency.step_s + efficiency.layer_s * model.layers + sums * efficiency.hop_s * math.log2(tp),
        user_s=efficiency.user_s,
        token_s=sums * _sum_s(gpu, efficiency, model, tp),
        linear_read_s=linear * model.linear_bytes_per_weight * read_s,
        linear_token_s=linear * plain_s,
        head_read_s=model.head_weights * model.head_bytes_per_weight * read_s,
        head_token_s=model.head_weights * wide_s,
        expert_read_s=model.experts * routed * model.expert_bytes_per_weight * read_s,
        expert_token_s=model.experts_per_token * routed * _multiply_s(gpu, efficiency, products, tp),
        experts=model.experts,
        experts_per_token=model.experts_per_token,
        cached_s=full * model.kv_bytes_per_token_layer * cached_s,
        windowed_s=model.window_layers * model.kv_bytes_per_token_layer * cached_s,
        pair_s=full * pair_s,
        windowed_pair_s=model.window_layers * pair_s,
        window=model.window or math.inf,
    )


def _multiply_s(gpu: Gpu, efficiency: Efficiency, products: Numbers, tp: int) -> float:
    """Two operations, a product and a sum, for one weight and one token, spread over the cards."""
    return 2 / (peak_flop_per_s(gpu, products) * efficiency.compute * tp)


def _sum_s(gpu: Gpu, efficiency: Efficiency, model: ModelShape, tp: int) -> float:
    """One token's part of one sum between the cards."""
    if tp == 1:
        return 0.0
    if gpu.link_gb_per_s is None:
        raise UsageError(f"{gpu.key}: how fast its cards speak with each other is not known")
    moved_bytes = 2 * (tp - 1) / tp * model.hidden * 16 / BITS
    return moved_bytes / (gpu.link_gb_per_s * 1e9 * efficiency.link)
