"""Whether a model fits on a card: what is left for contexts, how many cards it needs, the precision that would do."""

import math
from typing import Final

from msgspec import Struct

from breakeven.hardware import PRECISIONS, Gpu, ModelShape, Numbers, products_on
from breakeven.predict.memory import Memory, check_split, memory, sequences

CARDS: Final = (1, 2, 4, 8)
"""Cards of one box over which a model is split."""
LONGEST: Final = 1 << 24
"""Tokens at which the search for the longest context ends."""


class Fit(Struct, frozen=True, kw_only=True):
    """A model on one kind of card."""

    gpu: str
    name: str
    cards: int | None
    """That serve together; None where not even eight of them hold the model and one context, or without `precision`."""
    precision: str | None
    """In which the card runs it: fp16 in the place of bf16 where it has none; None where it has no way to run it."""
    products: Numbers
    """In which it multiplies there: 16 bits where narrower weights are widened first."""
    vram_gb: float
    held: Memory
    """On these cards, or on eight."""
    users: int
    """Contexts of the asked length that the cache holds at once."""
    longest_context_tokens: int
    """Of a single user, no longer than the model was made for."""
    other_precision: str | None = None
    """The widest precision in which it fits on `other_cards`, where it does not as it is."""
    other_cards: int = 1
    """The asked number of cards; else one, as many as a box has where not even they hold it as it is, or as few as hold
    `other_precision` where the card has no way to run its own."""
    needed_cards: int | None = None
    """Where it does not fit: the fewest cards that hold it and that its heads can be split over."""


def fit_on(model: ModelShape, gpu: Gpu, *, context_tokens: int, cards: int | None = None) -> Fit:
    """The fewest cards (1, 2, 4, 8) that hold the weights and one context, or `cards` of them.

    UsageError where the model's heads cannot be split over `cards`.
    """
    if cards is not None:
        check_split(model, cards)
    tried = CARDS if cards is None else (cards,)
    here = model.on(gpu)
    found = None if here is None else next((tp for tp in tried if _holds(model, gpu, tp, context_tokens)), None)
    held = memory(model, gpu, tp=found or tried[-1])
    looked = tried if here is None else tried[:1] if found else tried[-1:]
    others = ((name, tp) for tp in looked if (name := _other(model, gpu, tp, context_tokens)))
    other_precision, other_cards = (None, looked[-1]) if found == tried[0] else next(others, (None, looked[-1]))
    return Fit(
        gpu=gpu.key,
        name=gpu.name,
        cards=found,
        precision=None if here is None else here.precision,
        products=products_on(gpu, model.kept.products),
        vram_gb=gpu.vram_gb,
        held=held,
        users=0 if found is None else sequences(model, held, context_tokens=context_tokens),
        longest_context_tokens=longest_context(model, held),
        other_precision=other_precision,
        other_cards=other_cards,
        needed_cards=None if found or here is None else _needed(model, gpu, context_tokens),
    )


def longest_context(model: ModelShape, held: Memory) -> int:
    """Tokens of the longest single context that the cache holds, at most the model's own; 0 where there is none."""
    low, high = 0, min(LONGEST, model.context or LONGEST)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if sequences(model, held, context_tokens=middle) else (low, middle - 1)
    return low


def _needed(model: ModelShape, gpu: Gpu, context_tokens: int) -> int | None:
    return next((tp for tp in range(1, model.heads + 1) if _holds(model, gpu, tp, context_tokens)), None)


def _holds(model: ModelShape, gpu: Gpu, tp: int, context_tokens: int) -> bool:
    """The heads can be split over the cards, and there is room for the weights and one context."""
    return model.heads % tp == 0 and sequences(model, memory(model, gpu, tp=tp), context_tokens=context_tokens) >= 1


def _other(model: ModelShape, gpu: Gpu, tp: int, context_tokens: int) -> str | None:
    """Of the precisions whose numbers the card multiplies, or whose weights every engine widens, the widest narrower
    one that fits; of all of them where it has no way to run the model's own."""
    sixteen = products_on(gpu, "bf16")
    eight = "fp8" if "fp8" in gpu.multiplies else "int8"
    names = [name for name in (sixteen, eight, "int4") if name == "int4" or name in gpu.multiplies]
    bits = math.inf if model.on(gpu) is None else model.kept.weight_bits
    narrower = (name for name in names if PRECISIONS[name].weight_bits < bits)
    return next((name for name in narrower if _holds(model.kept_as(name), gpu, tp, context_tokens)), None)
