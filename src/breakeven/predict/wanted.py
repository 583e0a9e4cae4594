"""What a predicted curve is to be of, and what one replica of it does in a closed loop."""

import math
from typing import Final, Literal

from msgspec import Struct
from msgspec.structs import replace

from breakeven.caution import Caution
from breakeven.errors import UsageError
from breakeven.hardware import Gpu, ModelShape
from breakeven.hardware.silicon import Lacking
from breakeven.predict.calibrations import Chosen, Figure, Unlike
from breakeven.predict.closed import Bound, Closed, Waiting, closed_loop, predict_closed
from breakeven.predict.coverage import Outside, outside
from breakeven.predict.memory import kv_tokens, memory, sequences
from breakeven.predict.requests import Requests
from breakeven.predict.steptime import PERFECT, step_time
from breakeven.predict.tails import wider
from breakeven.predict.told import predicted_caution

UNBOUNDED: Final = 1e6
"""So many times better than predicted is as good as without limit."""
SHORTEST: Final = 100
"""Tokens of the shortest answers among the shipped points."""
PLAIN: Final = Waiting(prompts=1, burst=0, interrupts=1)
"""As the simulated engine lets wait: prompts are read in the order in which they come, while others are answered."""


class Wanted(Struct, frozen=True, kw_only=True):
    """What a curve is to be of."""

    model: ModelShape
    gpu: Gpu
    cards: int
    """That serve together (tensor parallel)."""
    asked_precision: str | None = None
    """What was asked for where the card has none of it, so that `model` is in another."""
    engine: str
    users: tuple[int, ...] = ()
    """Of all replicas together, a level each; or `rates`."""
    rates: tuple[float, ...] = ()
    """Requests a second of an open loop, a level each."""
    arrivals: str = "poisson"
    requests: Requests
    replicas: int = 1
    """Engines side by side, each on `cards`."""
    routing: str = "round-robin"
    max_batch: int | None = None
    """Requests that an engine works on at once at most; None: as many as its memory holds."""
    lacks_kernels: Lacking | None = None
    """Why a prediction by kernels was not to be had, where their package is installed and no point was measured."""
    has_tails: bool = True
    """p90, p95 and p99 are worked out too, on the simulated engine: some hundredths of a second a level."""


def unlike(wanted: Wanted, chosen: Chosen) -> tuple[Unlike, ...]:
    """Of what no point of those that a prediction rests on is at all."""
    return (*chosen.unlike, "answers") if _is_short(wanted, chosen) else chosen.unlike


def _is_short(wanted: Wanted, chosen: Chosen) -> bool:
    return wanted.requests.output_tokens < SHORTEST and not chosen.calibration.own


def missed(wanted: Wanted, chosen: Chosen) -> Outside | None:
    """That points of the card itself lay outside of such intervals, where they did."""
    return None if chosen.calibration.own else outside(chosen.tier, wanted.gpu.key)


def caution_of(
    wanted: Wanted, chosen: Chosen, bound: str, *, load: float, option: Literal["users", "rate"] = "users"
) -> Caution:
    """That nobody measured a level, and what is not known of its like."""
    return predicted_caution(
        bound,
        points=chosen.calibration.points,
        tier=chosen.tier,
        load=load,
        option=option,
        unlike=unlike(wanted, chosen),
        missed=missed(wanted, chosen),
    )


def factor_of(wanted: Wanted, chosen: Chosen, figure: Figure, *, bound: Bound, users: int) -> float | None:
    """The half-width of a figure's 90 % interval as a factor; None where nothing tells how wrong it may be.

    Of answers shorter than any that was measured a fit tells of prompts that are read while others are answered, and a
    scheduler that each takes its time: throughput and TTFT may be as wrong as these two differ.
    """
    width = chosen.factor(figure, bound=bound, users=users)
    if figure == "tpot_s" or not _is_short(wanted, chosen):
        return width
    return wider(width, 1 / min(1.0, chosen.waiting.interrupts))


def closed_of(wanted: Wanted, chosen: Chosen, users: float) -> Closed:
    """One replica's users in a closed loop; UsageError where not one context fits."""
    found = predict_closed(
        wanted.model,
        wanted.gpu,
        chosen.efficiency,
        chosen.waiting,
        tp=wanted.cards,
        users=users,
        input_tokens=wanted.requests.input_tokens,
        output_tokens=wanted.requests.output_tokens,
        context_tokens=wanted.requests.context_tokens,
        max_batch=wanted.max_batch,
    )
    if found is None:
        raise UsageError(
            f"{wanted.model.name} in {wanted.model.precision} does not fit on {wanted.cards} x {wanted.gpu.name}; "
            f"`breakeven fit` shows what does"
        )
    return found


def unlimited(closed: Closed) -> Closed:
    """Where nobody knows what the hardware allows."""
    return replace(closed, ttft_s=0.0, tpot_s=closed.tpot_s / UNBOUNDED, output_tok_per_s=math.inf)


def best_of(wanted: Wanted, users: float, closed: Closed) -> Closed:
    """What the hardware allows at most: the card as on paper, all of its memory, no user interrupted by a prompt.

    Nothing is said of models with experts, whose users take fewer of them than if they chose evenly. TTFT is that of a
    prompt alone; where users wait for a place TPOT is too, since an engine may serve fewer of them at once.
    """
    if wanted.model.experts:
        return unlimited(closed)
    asked = wanted.requests
    held = memory(wanted.model, wanted.gpu, tp=wanted.cards, usable=1.0)
    room = replace(held, kv_bytes=held.total_bytes - held.weight_bytes)
    steps = step_time(wanted.model, wanted.gpu, PERFECT, tp=wanted.cards)
    places = sequences(wanted.model, room, context_tokens=asked.context_tokens)
    alone, together = (
        closed_loop(
            steps,
            users=count,
            input_tokens=asked.input_tokens,
            output_tokens=asked.output_tokens,
            context_tokens=asked.context_tokens,
            slots=places if wanted.max_batch is None else min(places, wanted.max_batch),
            waiting=replace(PLAIN, interrupts=0),
            request_s=0.0,
        )
        for count in (1, users)
    )
    return replace(together, ttft_s=alone.ttft_s, tpot_s=(alone if closed.bound == "kv" else together).tpot_s)


def cache_of(wanted: Wanted) -> int:
    """Tokens that the cache of one replica holds, one request at least."""
    held, longest = memory(wanted.model, wanted.gpu, tp=wanted.cards), wanted.requests.longest_tokens
    return max(longest, kv_tokens(wanted.model, held, context_tokens=longest))
