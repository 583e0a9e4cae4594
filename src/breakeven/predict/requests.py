"""How long the requests of a prediction are: all alike, or drawn from distributions or from pairs."""

import functools
from typing import Final, NamedTuple

from msgspec import Struct

from breakeven.predict.scheduler import LengthsOf
from breakeven.workload.draw import Draws
from breakeven.workload.lengths import Drawn, Listed

LOOKED_AT: Final = 2000
"""Pairs of which means are taken."""
RARE: Final = 5e-4
"""What one request of 2,000 is longer or shorter than is drawn as if it were that."""
_GOLDEN: Final = (5**0.5 - 1) / 2


class Requests(Struct, frozen=True, kw_only=True):
    """Lengths as they were told, and what they are on average."""

    told: tuple[int | str, int | str]
    """Input and output tokens."""
    input_tokens: float
    """Mean."""
    output_tokens: float
    context_tokens: float
    """In the cache of a user who is being answered, on average over the time: long answers take longer."""
    longest_tokens: int
    """Prompt and answer together."""
    drawn: Drawn | Listed | None = None
    """None: all are alike."""

    @property
    def workload(self) -> dict[str, int | str]:
        """As a run tells of it."""
        name = "lengths" if self.drawn else "fixed"
        return {"name": name, "input_tokens": self.told[0], "output_tokens": self.told[1]}

    @property
    def lengths(self) -> LengthsOf:
        """Of a user's k-th request."""
        if self.drawn is None:
            both = (round(self.input_tokens), round(self.output_tokens))
            return lambda _user, _k: both
        return _lengths(self.drawn)


def alike(input_tokens: int, output_tokens: int) -> Requests:
    """All of the same lengths."""
    return Requests(
        told=(input_tokens, output_tokens),
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        context_tokens=input_tokens + output_tokens / 2,
        longest_tokens=input_tokens + output_tokens,
    )


def of_lengths(told: tuple[int | str, int | str], drawn: Drawn | Listed) -> Requests:
    """Drawn as the workload `lengths` draws them."""
    seen = _means(drawn)
    return Requests(
        told=told,
        input_tokens=seen.input_tokens,
        output_tokens=seen.output_tokens,
        context_tokens=seen.context_tokens,
        longest_tokens=seen.longest_tokens,
        drawn=drawn,
    )


class _Means(NamedTuple):
    input_tokens: float
    output_tokens: float
    context_tokens: float
    longest_tokens: int


@functools.lru_cache(maxsize=16)
def _means(drawn: Drawn | Listed) -> _Means:
    """Over pairs of uniform numbers that fill the square evenly, and the rarest."""
    units = ((_inside((i + 0.5) / LOOKED_AT), _inside((0.5 + i * _GOLDEN) % 1)) for i in range(LOOKED_AT))
    pairs = [drawn.at(*unit) for unit in units]
    outputs = sum(output for _, output in pairs)
    return _Means(
        sum(prompt for prompt, _ in pairs) / LOOKED_AT,
        outputs / LOOKED_AT,
        sum(output * (prompt + output / 2) for prompt, output in pairs) / outputs,
        max(sum(pair) for pair in (*pairs, drawn.at(1 - RARE, 1 - RARE))),
    )


def _inside(unit: float) -> float:
    return min(max(unit, RARE), 1 - RARE)


def _lengths(drawn: Drawn | Listed) -> LengthsOf:
    first, second = Draws(0, purpose="input"), Draws(0, purpose="output")
    return lambda user, k: drawn.at(_inside(first.unit(user, k)), _inside(second.unit(user, k)))
