"""In which order cells are measured, so that drift does not fall on one of them."""

import random
from collections.abc import Sequence
from typing import NamedTuple

from breakeven.study.cells import Cell
from breakeven.study.types import Order


class Turn(NamedTuple):
    """One start of one cell's engine: all levels of the cell, once."""

    cell: Cell
    repeat: int


def turns(found: Sequence[Cell], *, repeats: int, order: Order, seed: int) -> tuple[Turn, ...]:
    """Round by round, each cell once a round.

    `interleaved` goes through the cells forwards and backwards in turn, so that a linear drift gives every cell the
    same sum over two rounds. `shuffled` draws a new order each round; the same seed gives the same.
    """
    rng = random.Random(seed)
    return tuple(Turn(cell, repeat) for repeat in range(repeats) for cell in _round(found, repeat, order, rng))


def _round(found: Sequence[Cell], repeat: int, order: Order, rng: random.Random) -> Sequence[Cell]:
    if order == "shuffled":
        return rng.sample(found, len(found))
    return found if repeat % 2 == 0 else found[::-1]
