"""Text of a wished number of tokens: slices of one long seeded text, and nonces that no two requests share."""

import functools
import importlib.resources
import math
from collections.abc import Sequence
from typing import Any, Final, Protocol

from breakeven.workload.draw import digits, mix, mix_range

NONCE_BITS: Final = 48
"""A nonce carries at least this many bits: two alike among 100,000 requests are to be expected once in 56,000 runs."""
POOL: Final = 1 << 15
"""Length of the long text in tokens; prompts are slices of it, so that making one costs a copy."""
FIRST_ID: Final = 2_000
LAST_ID: Final = 29_999
"""Token ids used as prompts: above the control tokens and bytes that vocabularies begin with (Tekken: the first 1,256)
and below the end of the smallest usual one (Llama 2: 32,000; larger ones keep their control tokens at the end)."""
Piece = str | list[int]


class Source(Protocol):
    """Where prompts of a wished length come from. Pieces of one source join to the sum of their lengths."""

    form: str
    nonce_tokens: int

    def nonce(self, nonce: int) -> Piece:
        """The text of a nonce, `nonce_tokens` long."""
        ...

    def take(self, at: int, *, count: int) -> Piece:
        """`count` tokens from a place that the random number `at` says; fewer from there are the start of more."""
        ...

    def head(self, number: int, *, count: int) -> Piece:
        """`count` tokens that belong to `number`: its nonce, cut if need be, and what follows from it."""
        ...

    def join(self, parts: Sequence[Any]) -> Piece:
        """One piece of several of this source."""
        ...


def nonce_count(choices: int) -> int:
    """Tokens that a nonce needs when each is one of `choices`."""
    return math.ceil(NONCE_BITS / math.log2(choices))


@functools.cache
def resource_lines(name: str) -> tuple[str, ...]:
    """Lines of a data file of this room."""
    text = importlib.resources.files("breakeven.workload").joinpath(name).read_text(encoding="utf-8")
    return tuple(line for line in text.splitlines() if line)


class Words:
    """Text made of words that are one token each, joined by single spaces."""

    def __init__(self, words: Sequence[str], *, seed: int) -> None:
        self.form = "words"
        self.words = tuple(words)
        self.nonce_tokens = nonce_count(len(words))
        chosen = [words[pick] for pick in (mix_range(mix(seed), count=POOL) % len(words)).tolist()]
        self._text = " ".join(chosen + chosen) + " "
        self._starts = _starts(chosen + chosen)

    def nonce(self, nonce: int) -> str:
        """Mixed first, so that two nonces differ from their first word on, however near they are."""
        return " ".join([self.words[i] for i in digits(mix(nonce), base=len(self.words), count=self.nonce_tokens)])

    def take(self, at: int, *, count: int) -> str:
        rounds, rest = divmod(count, POOL)
        start = at % POOL
        text = self._text[self._starts[start] : self._starts[start + rest]]
        if rounds:
            text = self._text[self._starts[start] : self._starts[start + POOL]] * rounds + text
        return text[:-1]

    def head(self, number: int, *, count: int) -> str:
        nonce = self.nonce(number)
        if count < self.nonce_tokens:
            return " ".join(nonce.split()[:count])
        return self.join((nonce, self.take(number, count=count - self.nonce_tokens)))

    def join(self, parts: Sequence[str]) -> str:
        return " ".join([part for part in parts if part])


class TokenIds:
    """Prompts given as token ids, for `completions`: no tokenizer can change their length."""

    def __init__(self, *, seed: int) -> None:
        self.form = "token ids"
        self._choices = LAST_ID - FIRST_ID + 1
        self.nonce_tokens = nonce_count(self._choices)
        self._ids: list[int] = 2 * (mix_range(mix(seed), count=POOL) % self._choices + FIRST_ID).tolist()

    def nonce(self, nonce: int) -> list[int]:
        """Mixed first, so that two nonces differ from their first id on, however near they are."""
        return [FIRST_ID + i for i in digits(mix(nonce), base=self._choices, count=self.nonce_tokens)]

    def take(self, at: int, *, count: int) -> list[int]:
        rounds, rest = divmod(count, POOL)
        start = at % POOL
        ids = self._ids[start : start + rest]
        return self._ids[start : start + POOL] * rounds + ids if rounds else ids

    def head(self, number: int, *, count: int) -> list[int]:
        own = max(0, count - self.nonce_tokens)
        return self.nonce(number)[:count] + self.take(number, count=own)

    def join(self, parts: Sequence[list[int]]) -> list[int]:
        joined: list[int] = []
        for part in parts:
            joined += part
        return joined


def _starts(words: Sequence[str]) -> list[int]:
    """Where each word starts in the joined text, and where the text ends."""
    starts = [0]
    for word in words:
        starts.append(starts[-1] + len(word) + 1)
    return starts
