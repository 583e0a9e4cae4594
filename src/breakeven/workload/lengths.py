"""Lengths: prompts and answers whose lengths are drawn from distributions or from a file of pairs."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from breakeven.caution import Caution
from breakeven.errors import UsageError
from breakeven.workload.base import Ask, Server, Workload
from breakeven.workload.draw import Draws
from breakeven.workload.filler import Filler, capped
from breakeven.workload.rows import read_rows
from breakeven.workload.spread import Spread, parse_lengths

_LOOKED_AT: Final = 2_000
"""Draws looked at to say how many prompts cannot be as short as drawn."""


class Drawn(NamedTuple):
    """Input and output lengths, each from a distribution of its own."""

    inputs: Spread
    outputs: Spread

    def at(self, first: float, second: float) -> tuple[int, int]:
        """Input and output tokens at two uniform numbers."""
        return self.inputs.count_at(first), self.outputs.count_at(second)


class Listed(NamedTuple):
    """Pairs of a file: both lengths of one row are drawn together, so that their correlation stays."""

    pairs: tuple[tuple[int, int], ...]

    def at(self, first: float, _: float) -> tuple[int, int]:
        """Input and output tokens of the row at a uniform number."""
        return self.pairs[int(first * len(self.pairs))]


class Lengths(Workload):
    """`input_tokens` and `output_tokens` each say a distribution; `file:PATH` for both draws pairs together."""

    name: Final = "lengths"

    def __init__(self, *, input_tokens: str | int, output_tokens: str | int | None = None, seed: int = 0) -> None:
        self._said = (str(input_tokens), None if output_tokens is None else str(output_tokens))
        self._seed = seed
        self._pairs = parse_both(*self._said)
        self._inputs = Draws(seed, purpose="input")
        self._outputs = Draws(seed, purpose="output")
        self._places = Draws(seed, purpose="place")
        self._filler = Filler(seed=seed)

    async def prepare(self, server: Server) -> Sequence[Caution]:
        drawn = [self.lengths(0, k)[0] for k in range(_LOOKED_AT)]
        return await self._filler.prepare_for(server, drawn)

    def lengths(self, user: int, k: int) -> tuple[int, int]:
        """Input and output tokens drawn for the k-th request of `user`."""
        return self._pairs.at(self._inputs.unit(user, k), self._outputs.unit(user, k))

    def make(self, *, nonce: int, user: int, k: int, max_output_tokens: int | None = None) -> Ask:
        wished, output_tokens = self.lengths(user, k)
        input_tokens = max(wished, self._filler.least_tokens)
        content = self._filler.content(nonce, self._places.bits(user, k), input_tokens=input_tokens)
        return self._filler.ask(
            content, input_tokens=input_tokens, output_tokens=capped(output_tokens, max_output_tokens)
        )

    def describe(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "seed": self._seed,
            "input_tokens": self._said[0],
            "output_tokens": self._said[1] or self._said[0],
            **self._filler.describe(),
        }


def parse_both(input_tokens: str, output_tokens: str | None) -> Drawn | Listed:
    """Both distributions, or the pairs of `file:PATH`; UsageError for what is none."""
    if not input_tokens.startswith("file:"):
        if output_tokens is None:
            raise UsageError("output-tokens: say how long answers are, such as 256 or lognormal:200,0.8")
        return Drawn(
            parse_lengths(input_tokens, name="input-tokens"), parse_lengths(output_tokens, name="output-tokens")
        )
    if output_tokens is not None and output_tokens != input_tokens:
        raise UsageError("output-tokens: the file of input-tokens gives both lengths; leave output-tokens out")
    return Listed(tuple(read_pairs(Path(input_tokens.removeprefix("file:")))))


def read_pairs(path: Path) -> list[tuple[int, int]]:
    """Pairs of lengths in tokens from the columns `input,output` or `input_tokens,output_tokens` of a file."""
    pairs = []
    with read_rows(path) as rows:
        for row in rows:
            names = ("input", "output") if "input" in row.fields else ("input_tokens", "output_tokens")
            pairs.append((row.tokens(names[0]), row.tokens(names[1])))
    if not pairs:
        raise UsageError(f"{path}: holds no pair of lengths")
    return pairs
