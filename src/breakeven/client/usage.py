"""What a server's token counts mean: of each chunk alone, up to each chunk, or of the whole answer only."""

from array import array
from typing import Any, Final

import numpy as np

_END_TOKENS: Final = 1
"""The end-of-text token may be counted after the last chunk."""


def token_counts(said: "array[int]", *, chunks: int, total: int | None) -> tuple[bytes, int | None]:
    """Tokens of each chunk, packed unsigned 32-bit (empty: not known one by one), and of the whole answer.

    `said` is what usage said after each chunk, `total` what the last usage said. Counts per chunk are taken where they
    add up to the total, or end at it growing; where no total ever came, the last count is one of them, and their sum is
    meant. None where text came and nobody counted it.
    """
    if not chunks or not total:
        return b"", None if chunks else total
    if len(said) != chunks or chunks < 2:
        return b"", total
    each = np.frombuffer(said, dtype="<u4").astype(np.int64)
    if each.sum() == total and _tells(each):
        return said.tobytes(), total
    steps = np.diff(each, prepend=0)
    if steps.min() >= 0 and _tells(steps) and each[-1] <= total <= each[-1] + _END_TOKENS:
        steps[-1] += total - each[-1]
        return steps.astype("<u4").tobytes(), total
    if each.min() > 0 and total < chunks:
        return said.tobytes(), int(each.sum())
    return b"", total


def _tells(counts: Any) -> bool:
    """Most chunks have a token: a gateway that says 0 until the last one tells nothing of the others."""
    return bool(2 * np.count_nonzero(counts) > len(counts))
