"""Fixed: every prompt and every answer has exactly the same number of tokens."""

from collections.abc import Sequence
from typing import Any, Final

from breakeven.caution import Caution
from breakeven.errors import UsageError
from breakeven.workload.base import Ask, Server, Workload
from breakeven.workload.draw import Draws
from breakeven.workload.filler import Filler, capped
from breakeven.workload.meter import Meter


class Fixed(Workload):
    """`input_tokens` includes the chat template and the nonce; `output_tokens` is exact where the engine can."""

    name: Final = "fixed"

    def __init__(self, *, input_tokens: int, output_tokens: int, seed: int = 0) -> None:
        self._input_tokens = input_tokens
        self._output_tokens = output_tokens
        self._seed = seed
        self._places = Draws(seed, purpose="place")
        self._filler = Filler(seed=seed)

    async def prepare(self, server: Server) -> Sequence[Caution]:
        """UsageError when template and nonce alone are longer than the prompt shall be."""
        cautions = await self._filler.prepare(Meter(server), check_tokens=self._input_tokens)
        least = self._filler.least_tokens
        if self._input_tokens < least:
            raise UsageError(
                f"input-tokens: {self._input_tokens} is less than the {self._filler.overhead_tokens} tokens that the "
                f"server adds and the nonce's {least - self._filler.overhead_tokens}; give at least {least}"
            )
        return cautions

    def make(self, *, nonce: int, user: int, k: int, max_output_tokens: int | None = None) -> Ask:
        content = self._filler.content(nonce, self._places.bits(user, k), input_tokens=self._input_tokens)
        return self._filler.ask(
            content,
            input_tokens=self._input_tokens,
            output_tokens=capped(self._output_tokens, max_output_tokens),
        )

    def describe(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "seed": self._seed,
            "input_tokens": self._input_tokens,
            "output_tokens": self._output_tokens,
            **self._filler.describe(),
        }
