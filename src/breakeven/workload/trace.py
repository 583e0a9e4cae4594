"""Trace: the arrival times and lengths of recorded traffic, with text of our own."""

from bisect import bisect_right
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from msgspec.structs import replace

from breakeven.caution import Caution
from breakeven.workload.base import Ask, Server, Workload
from breakeven.workload.draw import Draws, mix
from breakeven.workload.filler import Filler, capped, check_replay, left_out, shared_prefixes
from breakeven.workload.text import Piece
from breakeven.workload.tracefile import read_trace, shared_blocks, shared_tokens

_KEPT_TOKENS: Final = 1 << 20
"""Text of blocks that is kept at once: some 6 MB."""


class Trace(Workload):
    """User 0 asks the trace's requests in order, as an open loop does; other users start elsewhere and go round.

    Where the trace says which blocks of text requests share (hash ids of Mooncake and Bailian), equal ids give equal
    text and no nonce stands in front: sharing is what such a trace is for. `salt` (of the run and level) then keeps the
    blocks of one level from being the cached ones of the level before. `speed` 2 halves the time between arrivals.
    """

    name: Final = "trace"

    def __init__(
        self,
        *,
        path: str | Path,
        seed: int = 0,
        salt: int = 0,
        speed: float = 1.0,
        max_requests: int | None = None,
        max_input_tokens: int | None = None,
    ) -> None:
        check_replay(speed, max_requests=max_requests, max_input_tokens=max_input_tokens)
        self._path = Path(path)
        self._seed = seed
        self._salt = salt
        self._speed = speed
        self._form, self._arrivals, self._left_out, self._block_tokens = read_trace(
            self._path, max_requests=max_requests, max_input_tokens=max_input_tokens
        )
        self._shared_blocks = shared_blocks(self._arrivals)
        self._shared_tokens = shared_tokens(self._arrivals, block_tokens=self._block_tokens)
        self._asked = len(self._arrivals)
        self._starts = Draws(seed, purpose="start")
        self._places = Draws(seed, purpose="place")
        self._filler = Filler(seed=seed)
        self._kept: dict[int, Piece] = {}

    def arrivals_s(self) -> list[float]:
        return [arrival.arrival_s / self._speed for arrival in self._arrivals]

    def end_after(self, duration_s: float) -> None:
        self._asked = max(1, bisect_right(self.arrivals_s(), duration_s))

    def shared_input_share(self) -> float:
        """Input tokens that stood at the start of an earlier prompt / all input tokens, of what is asked in order."""
        inputs = sum(arrival.input_tokens for arrival in self._arrivals[: self._asked])
        return sum(self._shared_tokens[: self._asked]) / inputs

    def use_salt(self, salt: int) -> None:
        self._salt = salt
        self._kept.clear()

    async def prepare(self, server: Server) -> Sequence[Caution]:
        self._kept.clear()
        cautions = await self._filler.prepare_for(server, [arrival.input_tokens for arrival in self._arrivals])
        rows = self._left_out + len(self._arrivals)
        cautions += left_out(self._left_out, of=rows, why="no input, no output, or more than max-input-tokens")
        return [*cautions, *shared_prefixes(self.shared_input_share())]

    def make(self, *, nonce: int, user: int, k: int, max_output_tokens: int | None = None) -> Ask:
        number = self._number(user, k)
        arrival = self._arrivals[number]
        input_tokens = max(arrival.input_tokens, self._filler.least_tokens)
        place = self._places.bits(user, k)
        if arrival.blocks:
            content = self._blocks(number, place, count=input_tokens - self._filler.overhead_tokens)
        else:
            content = self._filler.content(nonce, place, input_tokens=input_tokens)
        ask = self._filler.ask(
            content,
            input_tokens=input_tokens,
            output_tokens=capped(arrival.output_tokens, max_output_tokens),
            name=f"request-{number}",
        )
        return replace(ask, shared_tokens=self._shared_tokens[number]) if arrival.blocks else ask

    def describe(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "seed": self._seed,
            "path": str(self._path),
            "form": self._form,
            "speed": self._speed,
            "requests": len(self._arrivals),
            "left_out": self._left_out,
            "shared_input_share": round(self.shared_input_share(), 4),
            "nonce": "none, blocks are shared" if self._shares() else "in front",
            **self._filler.describe(),
        }

    def _shares(self) -> bool:
        return any(arrival.blocks for arrival in self._arrivals)

    def _number(self, user: int, k: int) -> int:
        start = 0 if user == 0 else self._starts.bits(user, 0)
        return (start + k) % len(self._arrivals)

    def _blocks(self, number: int, place: int, *, count: int) -> Piece:
        """`count` tokens: the blocks' own text, cut at the end; what no block covers is the request's own.

        Blocks at the end that no other request has are made in one piece, which is quicker.
        """
        source, blocks, shared = self._filler.source, self._arrivals[number].blocks, self._shared_blocks[number]
        parts: list[Piece] = []
        for index, block in enumerate(blocks[: min(shared + 1, -(-count // self._block_tokens))]):
            is_whole = index < shared and count >= self._block_tokens
            parts.append(self._whole(block) if is_whole else self._head(block, count=count))
            count -= self._block_tokens if is_whole else count
        return source.join([*parts, source.take(place, count=count)])

    def _whole(self, block: int) -> Piece:
        """The text of a block that others have too; kept for them, since small blocks are many."""
        text = self._kept.get(block)
        if text is None:
            if len(self._kept) * self._block_tokens >= _KEPT_TOKENS:
                self._kept.clear()
            text = self._kept[block] = self._head(block, count=self._block_tokens)
        return text

    def _head(self, block: int, *, count: int) -> Piece:
        number = mix(mix(self._seed ^ self._salt) ^ (block & 0xFFFF_FFFF_FFFF_FFFF))
        return self._filler.source.head(number, count=count)
