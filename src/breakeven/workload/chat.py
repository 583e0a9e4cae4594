"""Chat: our own varied prompts that ask for long answers; the default."""

from collections.abc import Sequence
from typing import Any, Final

from breakeven.caution import Caution
from breakeven.workload.base import Ask, Server, Workload
from breakeven.workload.draw import Walk
from breakeven.workload.filler import capped
from breakeven.workload.text import Words, resource_lines

PROMPT_FILE: Final = "prompts.txt"


class Chat(Workload):
    """Short questions (nonce and all at most 30 tokens by SmolLM2's tokenizer) whose answers may end when they end."""

    name: Final = "chat"

    def __init__(self, *, output_tokens: int, seed: int = 0) -> None:
        self._output_tokens = output_tokens
        self._seed = seed
        self._prompts = resource_lines(PROMPT_FILE)
        self._names = [f"chat-{number:02d}" for number in range(1, len(self._prompts) + 1)]
        self._walk = Walk(seed, count=len(self._prompts))
        self._words = Words(resource_lines("words.txt"), seed=seed)
        self._chat = True

    async def prepare(self, server: Server) -> Sequence[Caution]:
        self._chat = server.api == "chat"
        return []

    def make(self, *, nonce: int, user: int, k: int, max_output_tokens: int | None = None) -> Ask:
        number = self._walk.at(user, k)
        text = f"{self._words.nonce(nonce)}: {self._prompts[number]}"
        return Ask(
            messages=[{"role": "user", "content": text}] if self._chat else None,
            prompt=None if self._chat else text,
            output_tokens=capped(self._output_tokens, max_output_tokens),
            name=self._names[number],
        )

    def describe(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "seed": self._seed,
            "output_tokens": self._output_tokens,
            "prompts": len(self._prompts),
        }
