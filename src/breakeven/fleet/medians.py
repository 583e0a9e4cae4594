"""Medians of many groups at once: one sort of whole numbers, each a group and a value together."""

from concurrent.futures import ThreadPoolExecutor
from typing import Final

import numpy as np
from numpy.typing import NDArray

Figures = NDArray[np.float64]
Groups = NDArray[np.int64]

_LARGEST_TABLE: Final = 1 << 24
_MANY: Final = 1 << 20
_SIGN: Final = np.uint32(0x80000000)


def counts_of(groups: Groups, count: int) -> Groups:
    """How many members each group has."""
    return np.bincount(groups, minlength=count).astype(np.int64)


def compact(codes: Groups, size: int) -> tuple[Groups, Groups]:
    """Codes below `size` as numbers without gaps in the same order, and for each number a place where it stands."""
    if size > _LARGEST_TABLE:
        _, first, numbers = np.unique(codes, return_index=True, return_inverse=True)
        return numbers.astype(np.int64), first.astype(np.int64)
    place = np.full(size, -1, dtype=np.int64)
    place[codes[::-1]] = np.arange(len(codes) - 1, -1, -1)
    is_there = place >= 0
    return (np.cumsum(is_there) - 1)[codes], place[is_there]


def group_medians(values: NDArray[np.float32] | Figures, groups: Groups, *, count: int) -> Figures:
    """Median of each of `count` groups, to 7 digits; NaN where a group has none. Undefined values are left out.

    Many values are shared out between two threads, half of the groups each.
    """
    if len(values) < _MANY:
        return _medians(values, groups, count=count)
    lower = groups < count // 2
    parts = (
        (values[lower], groups[lower], count // 2),
        (values[~lower], groups[~lower] - count // 2, count - count // 2),
    )
    with ThreadPoolExecutor(len(parts)) as threads:
        return np.concatenate(list(threads.map(lambda part: _medians(part[0], part[1], count=part[2]), parts)))


def _medians(values: NDArray[np.float32] | Figures, groups: Groups, *, count: int) -> Figures:
    known = np.isfinite(values)
    own, groups = values[known].astype(np.float32), groups[known]
    bits = own.view(np.uint32)
    rising = np.where(bits & _SIGN, ~bits, bits | _SIGN)
    keys = np.sort((groups.astype(np.uint64) << np.uint64(32)) | rising.astype(np.uint64))
    low = (keys & np.uint64(0xFFFFFFFF)).astype(np.uint32)
    ordered = np.where(low & _SIGN, low & ~_SIGN, ~low).astype(np.uint32).view(np.float32).astype(np.float64)
    sizes = counts_of(groups, count)
    first = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    found = np.full(count, np.nan)
    some = sizes > 0
    below, above = first[some] + (sizes[some] - 1) // 2, first[some] + sizes[some] // 2
    found[some] = (ordered[below] + ordered[above]) / 2
    return found


def row_medians(values: NDArray[np.float32]) -> Figures:
    """Median of each row without what is undefined; NaN where all of it is."""
    ordered = np.sort(values, axis=1)
    sizes = np.isfinite(ordered).sum(axis=1)
    rows = np.arange(len(ordered))
    below, above = np.maximum(sizes - 1, 0) // 2, np.minimum(sizes // 2, max(ordered.shape[1] - 1, 0))
    found = (ordered[rows, below].astype(np.float64) + ordered[rows, above]) / 2
    return np.where(sizes > 0, found, np.nan)
