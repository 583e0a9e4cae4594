"""A closed loop in its steady state, worked out in one go: TTFT, TPOT and throughput of users who always ask again.

For calibrating, where the scheduler of `scheduler` would be asked tens of thousands of times; both take the same step
times.
"""

import math
from typing import Final, Literal

from msgspec import Struct

from breakeven.hardware import Gpu, ModelShape
from breakeven.predict.memory import memory, sequences
from breakeven.predict.steptime import Efficiency, StepTime, step_time

Bound = Literal["bandwidth", "compute", "kv", "queue"]
FULLEST: Final = 8192
"""Tokens of prompts that a step takes on at most: vLLM's default of chunked prefill on the cards with most memory.
None of the shipped points comes to it; 2,048 would cut the TPOT of 26 of them by up to 38 %, and they had it."""
_ROUNDS: Final = 4
_MOSTLY: Final = 0.5


class Waiting(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long a prompt waits for its turn, in prompts: it depends on the engine's scheduler and on how a load
    begins."""

    prompts: float = 1.0
    """Its own reading, in units of the time that a prompt adds to a step: above 1 where prompts are read in threes and
    fours and all of them wait for the last."""
    burst: float = 0.07
    """Part of the other users whose prompts are ahead, on average: 1 / (2 rounds) where all begin at once and a mean
    over
    that many rounds is taken."""
    interrupts: float = 1.0
    """Part of the other users' prompts that are read while a user is answered: below 1 where users march in step, as
    behind SGLang, which reads all prompts that wait before it goes on answering."""


class Closed(Struct, frozen=True, kw_only=True):
    """What `users` users see, on average."""

    ttft_s: float
    tpot_s: float
    output_tok_per_s: float
    bound: Bound
    """What is nearest to a limit: the memory's bandwidth or the products in a step, room for contexts, prompts in
    line."""
    slots: float
    """Users that are served at once."""


def closed_loop(
    steps: StepTime,
    *,
    users: float,
    input_tokens: float,
    output_tokens: float,
    context_tokens: float | None = None,
    slots: float = math.inf,
    waiting: Waiting,
    request_s: float,
) -> Closed:
    """The steady state of `users` users in a closed loop, by the balance of time.

    With n = min(users, slots) served at once, D the time from a first token to the last, P what a prompt adds to a step
    and C = D + P + a step the cycle of a place: D = (output - 1) x step + `interrupts` x (n - 1) x D / C x P, since
    each of the others has one prompt read a cycle. Then TPOT = D / (output - 1); TTFT = request + `prompts` x (P +
    half a step) + `burst` x n x P + (users / n - 1) x C, the last for those who wait for a place. Lengths are means;
    `context_tokens` is what an answering user has in the cache, where that is not input + output / 2.

    Where answers are shorter than there are users, a step reads n / output prompts, and P is the part of each in what
    they add: products do not hide behind the weights that are read as those of one prompt do. And no cycle is shorter
    than output x step + (1 + `interrupts` x (n - 1)) x P, in which each user's prompt is read once, less half a step
    where few users ask for long answers, which has begun already; what is missing is waited for the first token. No
    step takes on more than FULLEST tokens of prompts, so that D is at most (output - 1) x such a step; the rest of D
    is before the first token too, and part of TTFT.
    """
    at_once = min(float(users), slots)
    context = input_tokens + output_tokens / 2 if context_tokens is None else context_tokens
    answering = at_once
    together = max(1.0, min(at_once / output_tokens, FULLEST / input_tokens))
    before = (1 - together) * input_tokens / 2  # each looks back at its own tokens alone
    for _ in range(_ROUNDS):
        step_s = steps.step_s(0, 0, answering, answering * context)
        read_s = steps.step_s(together * input_tokens, before, answering, answering * context)
        prompt_s = (read_s - step_s) / together
        others_s = waiting.interrupts * (at_once - 1) * prompt_s
        decode_s = _decode_s((output_tokens - 1) * step_s, prompt_s + step_s, others_s)
        cycle_s = decode_s + prompt_s + step_s
        answering = 1 + (at_once - 1) * decode_s / cycle_s
    begun = (1 - min(1.0, at_once / output_tokens)) / 2
    whole_s = (output_tokens - begun) * step_s + prompt_s + waiting.interrupts * (at_once - 1) * prompt_s
    in_line_s = (users / at_once - 1) * max(cycle_s, whole_s)
    first_s = request_s + waiting.prompts * (prompt_s + step_s / 2) + waiting.burst * at_once * prompt_s
    ttft_s = max(first_s, whole_s - decode_s) + in_line_s
    read_tokens = min(FULLEST, (at_once - 1) * input_tokens)
    longer = input_tokens - read_tokens
    read_before = longer if longer > 0 else longer / 2
    beside = min(answering, max(1.0, (output_tokens - 1) * read_tokens / input_tokens))
    fullest_s = steps.step_s(read_tokens, read_before, beside, beside * context)
    answered_s = min(decode_s, (output_tokens - 1) * fullest_s)
    return Closed(
        ttft_s=ttft_s + (decode_s - answered_s),
        tpot_s=answered_s / max(1, output_tokens - 1),
        output_tok_per_s=users * output_tokens / (ttft_s + decode_s),
        bound=_bound(steps, answering, reading=at_once * prompt_s / cycle_s, in_line=at_once < users),
        slots=at_once,
    )


def _decode_s(alone_s: float, reading_s: float, others_s: float) -> float:
    """D of D = alone + others x D / (D + reading), the positive root."""
    half = (alone_s + others_s - reading_s) / 2
    return half + math.sqrt(half * half + alone_s * reading_s)


def _bound(steps: StepTime, answering: float, *, reading: float, in_line: bool) -> Bound:
    if in_line:
        return "kv"
    if reading > _MOSTLY:
        return "queue"
    multiplying = steps.linear_token_s * answering + steps.expert_token_s * answering
    return "compute" if multiplying > steps.linear_read_s + steps.expert_read_s else "bandwidth"


def predict_closed(
    model: ModelShape,
    gpu: Gpu,
    efficiency: Efficiency,
    waiting: Waiting,
    *,
    tp: int,
    users: float,
    input_tokens: float,
    output_tokens: float,
    context_tokens: float | None = None,
    max_batch: int | None = None,
) -> Closed | None:
    """`closed_loop` of a model on cards; None where not one context fits.

    It has the places that the memory of the cards has, `max_batch` at most.
    """
    context = input_tokens + output_tokens / 2 if context_tokens is None else context_tokens
    slots = sequences(model, memory(model, gpu, tp=tp), context_tokens=context)
    if slots < 1:
        return None
    return closed_loop(
        step_time(model, gpu, efficiency, tp=tp),
        users=users,
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        context_tokens=context,
        slots=slots if max_batch is None else min(slots, max_batch),
        waiting=waiting,
        request_s=efficiency.request_s,
    )
