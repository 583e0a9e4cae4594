"""What fits where, in words for a terminal."""

from collections.abc import Iterator, Sequence
from typing import Final

from breakeven.hardware import PRECISIONS, SIXTEEN, ModelShape
from breakeven.predict.fits import Fit
from breakeven.predict.memory import GB, USABLE
from breakeven.say import fixed, number, percent, room
from breakeven.table import Column, Table, lines

_FIT_COLUMNS: Final = (
    *(Column("card", align="left"), Column("GB", goes=2), Column("cards"), Column("GB for contexts", goes=1)),
    *(Column("users"), Column("longest context"), Column("", align="left")),
)


def fit_text(model: ModelShape, fits: Sequence[Fit], *, context_tokens: int) -> str:
    """The model's needs, then a line a card: the fewest cards that hold it, and whom they serve at once."""
    return "\n".join(_fit_lines(model, fits, context_tokens=context_tokens)) + "\n"


def _fit_lines(model: ModelShape, fits: Sequence[Fit], *, context_tokens: int) -> Iterator[str]:
    kept = PRECISIONS[model.precision]
    yield f"{model.name} in {model.precision} ({kept.weight_bits:g} bits a weight)"
    yield (
        f"  {fixed(model.weights / 1e9, 2)} G weights take {_gb(model.weight_bytes)} GB; a token of context "
        f"{fixed(model.kv_bytes(1) / 1e3, 1)} kB, {context_tokens:,} of them {_gb(model.kv_bytes(context_tokens))} GB"
    )
    yield ""
    yield from lines(Table(_FIT_COLUMNS, [_row(model, fit) for fit in fits]), width=room(), indent="  ")
    yield ""
    yield f"users: contexts of {context_tokens:,} tokens that are held at once; longest context: of a single user"
    yield f"worked out from {share_text()}; nothing was measured"


def share_text() -> str:
    """What of the memory an engine is taken to use."""
    return f"{percent(USABLE, digits=0)} of the memory, less weights and a workspace of up to 3 GB a card"


def _row(model: ModelShape, fit: Fit) -> tuple[str, ...]:
    each = number(fit.vram_gb)
    if fit.cards is None:
        return fit.name, each, "-", "-", "-", "-", f"does not fit: {lacks(fit, model.precision)}"
    return (
        fit.name,
        each,
        str(fit.cards),
        _gb(fit.held.kv_bytes),
        number(fit.users),
        number(fit.longest_context_tokens),
        "; ".join(_notes(model, fit)),
    )


def _notes(model: ModelShape, fit: Fit) -> Iterator[str]:
    if fit.precision is not None and (told := told_precision(model.precision, fit.precision, fit.products)):
        yield f"in {told}"
    if fit.other_precision is not None:
        yield f"{fit.other_precision} fits on {fit.other_cards}"


def told_precision(asked: str, precision: str, products: str) -> str:
    """`fp16, having no bf16`, `fp8, multiplied in bf16`; empty where the card has what was asked for."""
    if precision != asked:
        return f"{precision}, having no {asked}"
    is_widened = products in SIXTEEN and PRECISIONS[precision].products not in SIXTEEN
    return f"{precision}, multiplied in {products}" if is_widened else ""


def lacks(fit: Fit, precision: str) -> str:
    """Why a model does not fit on so many cards, in numbers, and what would: more of them, or another precision.

    Or that they have no products in that precision, and which would do.
    """
    held = fit.held
    has = f"the {round(held.total_bytes / GB)} GB of {_cards(fit.other_cards)}"
    why = (
        f"weights take {_gb(held.weight_bytes)} of {has}"
        if held.kv_bytes <= 0
        else f"{_gb(held.kv_bytes)} of {has} are left, too little for one context"
    )
    if fit.precision is None:
        why = f"it has no {precision}, nor is that widened for it"
    would = [] if fit.needed_cards is None else [_cards(fit.needed_cards)]
    would += [] if fit.other_precision is None else [f"{fit.other_precision} on {fit.other_cards}"]
    return f"{why}; {' or '.join(would)} would hold it" if would else why


def _cards(number: int) -> str:
    return f"{number} card{'s' if number > 1 else ''}"


def _gb(size_bytes: float) -> str:
    return fixed(size_bytes / GB, 1)
