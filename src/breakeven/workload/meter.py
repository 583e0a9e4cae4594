"""Learns from a server how many tokens it makes of our text, in a bounded number of questions."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from breakeven.errors import RunFailedError, one_line
from breakeven.workload.base import Ask, Server

PROBES: Final = 8
"""One-token requests that a preparation may send at most; none of them is measured."""
COUNTS: Final = 64
"""Calls of /tokenize that a preparation may make at most."""
SMALLEST_BLOCK: Final = 16
"""A block this small whose count is off is dropped whole: looking further costs more questions than it saves words."""


class Meter:
    """Asks one server for lengths, never more often than the limits say."""

    def __init__(self, server: Server) -> None:
        self.chat = server.api == "chat"
        self.trouble: str | None = None
        """Why the last question had no answer."""
        self._server = server
        self.probes_left = PROBES
        self._counts_left = COUNTS

    def ask(self, content: str | list[int], *, output_tokens: int = 1) -> Ask:
        """The request of one user text, in the server's API."""
        if self.chat and isinstance(content, str):
            return Ask(messages=[{"role": "user", "content": content}], output_tokens=output_tokens)
        return Ask(prompt=content, output_tokens=output_tokens)

    async def prompt_tokens(self, ask: Ask) -> int | None:
        """Length of the prompt by the server's usage; None where it does not say, fails, or was asked too often."""
        if self.probes_left == 0:
            self.trouble = f"{PROBES} questions were not enough"
            return None
        self.probes_left -= 1
        self.trouble = None
        try:
            count = await self._server.prompt_tokens(ask)
        except RunFailedError as error:
            self.trouble = f"the server said: {one_line(str(error), limit=160)}"
            return None
        if count is None:
            self.trouble = "the server does not say how long a prompt is"
        return count

    async def count_tokens(self, text: str) -> int | None:
        """Tokens of a bare text by the server's /tokenize; None as above."""
        if self._counts_left == 0:
            return None
        self._counts_left -= 1
        try:
            return await self._server.count_tokens(text)
        except RunFailedError:
            self._counts_left = 0
            return None


async def single_tokens(
    words: Sequence[str], count: Callable[[Sequence[str]], Awaitable[int | None]]
) -> tuple[str, ...] | None:
    """Those of `words` that are one token each, found by halving the blocks whose count is off.

    Lengths add up, so the count of one half gives that of the other. Words that were not settled when the questions
    ran out are left out. None: the very first question had no answer.
    """
    total = await count(words)
    if total is None:
        return None
    clean: list[str] = []
    blocks = [(words, total)]
    while blocks:
        block, tokens = blocks.pop()
        if tokens == len(block):
            clean += block
        elif tokens > len(block) > SMALLEST_BLOCK:
            left, right = block[: len(block) // 2], block[len(block) // 2 :]
            left_tokens = await count(left)
            if left_tokens is not None:
                blocks += [(right, tokens - left_tokens), (left, left_tokens)]
    return tuple(clean)
