"""Seeded draws: the same number for the same seed, user and k, in any order and in any process."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

_MASK: Final = (1 << 64) - 1
_STEP: Final = 0x9E3779B97F4A7C15
_FIRST: Final = 0xBF58476D1CE4E5B9
_SECOND: Final = 0x94D049BB133111EB
_UNIT: Final = 2.0**-53


def mix(value: int) -> int:
    """SplitMix64's output function (Steele, Lea, Flood 2014): one-to-one on 64-bit numbers."""
    value = (value + _STEP) & _MASK
    value = ((value ^ (value >> 30)) * _FIRST) & _MASK
    value = ((value ^ (value >> 27)) * _SECOND) & _MASK
    return value ^ (value >> 31)


def mix_range(seed: int, *, count: int) -> NDArray[np.uint64]:
    """`mix(seed + i * step)` for i in 0…count-1: SplitMix64's own stream from `seed`, all at once."""
    value = np.uint64(seed & _MASK) + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(_STEP)
    value = (value ^ (value >> np.uint64(30))) * np.uint64(_FIRST)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(_SECOND)
    return np.asarray(value ^ (value >> np.uint64(31)), dtype=np.uint64)


class Draws:
    """One stream of draws: `purpose` keeps the draws of one thing (lengths, text) apart from those of another."""

    def __init__(self, seed: int, *, purpose: str) -> None:
        self._base = mix(seed & _MASK) ^ int.from_bytes(purpose.encode()[:8], "big")

    def bits(self, user: int, k: int) -> int:
        """64 random bits for the k-th request of `user`."""
        return mix(mix(self._base + user * _STEP) + k * _STEP)

    def unit(self, user: int, k: int) -> float:
        """A uniform number in (0, 1), neither end included."""
        return ((self.bits(user, k) >> 11) + 0.5) * _UNIT


class Walk:
    """Items in a seeded order that every user walks from a place of its own: none repeats before all had their turn."""

    def __init__(self, seed: int, *, count: int) -> None:
        self._order: list[int] = np.argsort(mix_range(mix(seed & _MASK), count=count), kind="stable").tolist()
        self._starts = Draws(seed, purpose="start")

    def at(self, user: int, k: int) -> int:
        """Number of the item that is the k-th of `user`."""
        return self._order[(self._starts.bits(user, 0) + k) % len(self._order)]


def digits(number: int, *, base: int, count: int) -> list[int]:
    """The last `count` digits of `number` in `base`, the lowest first."""
    found = []
    for _ in range(count):
        number, digit = divmod(number, base)
        found.append(digit)
    return found
