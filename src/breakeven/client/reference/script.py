"""What a script makes of the reference server: how long each answer is, and how fast its machine runs at each moment.

The same seed gives the same script, so that what a load comes to in the long run can be worked out beside the server.
"""

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from breakeven.errors import UsageError
from breakeven.workload.draw import Draws
from breakeven.workload.spread import Spread, parse_lengths, parse_spread

Seconds = NDArray[np.float64]

_FIRST_CELLS: Final = 1 << 16
_CELL_S: Final = 0.01
"""Length of a piece of the machine's time where tokens take no time."""


class Part(NamedTuple):
    """A share of all answers, and how long those are."""

    share: float
    of: Spread


class Mix(NamedTuple):
    """Lengths of answers in tokens: one distribution, or several by their shares."""

    parts: tuple[Part, ...]

    def count_at(self, unit: float) -> int:
        """The length at a uniform number (0 < unit < 1): its place among the shares, then within the one."""
        for part in self.parts[:-1]:
            if unit < part.share:
                return part.of.count_at(unit / part.share)
            unit -= part.share
        return self.parts[-1].of.count_at(unit / self.parts[-1].share)


def parse_mix(text: str) -> Mix:
    """Read `lognormal:48,0.75` or, with shares that add up to 1, `0.55*uniform:13,19+0.45*uniform:98,148`."""
    if "*" not in text:
        return Mix((Part(1.0, parse_lengths(text, name="lengths")),))
    parts = tuple(_part(one) for one in text.split("+"))
    if not math.isclose(sum(part.share for part in parts), 1.0, abs_tol=1e-9) or min(parts).share <= 0:
        raise UsageError(f"lengths: the shares of '{text}' do not add up to 1")
    return Mix(parts)


def _part(text: str) -> Part:
    share, star, spread = text.partition("*")
    try:
        if not star:
            raise ValueError
        return Part(float(share), parse_lengths(spread, name="lengths"))
    except ValueError:
        raise UsageError(f"lengths: '{text}' is no share of a distribution; write it like 0.5*uniform:10,20") from None


class Answers:
    """The lengths and first-token times of answers, by their number."""

    def __init__(self, *, lengths: str, ttft_s: float, ttft_sigma: float, seed: int) -> None:
        self._mix = parse_mix(lengths) if lengths else None
        self._ttft = parse_spread(f"lognormal:{ttft_s!r},{ttft_sigma!r}" if ttft_sigma else ttft_s, name="ttft")
        self._lengths = Draws(seed, purpose="length")
        self._ttfts = Draws(seed, purpose="ttft")

    def tokens(self, number: int, *, at_most: int) -> int:
        """Where the answer ends by itself, or `at_most`."""
        return at_most if self._mix is None else min(at_most, self._mix.count_at(self._lengths.unit(0, number)))

    def ttft_s(self, number: int) -> float:
        """From the moment that it has a slot to its first token, at full speed."""
        return self._ttft.at(self._ttfts.unit(0, number))


class Machine:
    """A machine whose speed changes: a second of work takes exp(noise x z + wave x w) seconds.

    z is drawn anew for each cell of `cell_s`; w remembers for `tau_s`: w' = a w + root(1 - a2) z', a = exp(-cell/tau).
    Both have mean 0 and sd 1, so that in the long run it does exp((noise2 + wave2) / 2) seconds of work a second.
    """

    def __init__(self, *, zero_s: float, cell_s: float, noise: float, wave: float, tau_s: float, seed: int) -> None:
        self._zero_s, self._cell_s = zero_s, cell_s or _CELL_S
        self._noise, self._wave = noise, wave
        self._keep = math.exp(-self._cell_s / tau_s)
        self._rng = np.random.default_rng(seed)
        self._last = float(self._rng.standard_normal())
        self._work_s: Seconds = np.zeros(1)
        self._edges: Seconds = np.zeros(1)
        if not self.is_steady:
            self._extend(_FIRST_CELLS)

    @property
    def is_steady(self) -> bool:
        """Its speed is 1 for ever."""
        return not (self._noise or self._wave)

    def due_s(self, begin_s: float, work_s: Sequence[float] | Seconds) -> Seconds:
        """When so much work is done that was begun at `begin_s`."""
        if self.is_steady:
            return begin_s + np.asarray(work_s)
        wanted_s = self._work_at(begin_s) + np.asarray(work_s)
        while wanted_s[-1] >= self._work_s[-1]:
            self._extend(len(self._work_s))
        return np.asarray(self._zero_s + self._cell_s * np.interp(wanted_s, self._work_s, self._edges))

    def _work_at(self, at_s: float) -> float:
        place = (at_s - self._zero_s) / self._cell_s
        while place >= len(self._work_s) - 1:
            self._extend(len(self._work_s))
        return float(np.interp(place, self._edges, self._work_s))

    def _extend(self, cells: int) -> None:
        noise, fresh = self._rng.standard_normal(cells), self._rng.standard_normal(cells).tolist()
        wave, last, new = [], self._last, math.sqrt(1 - self._keep**2)
        for one in fresh:
            last = self._keep * last + new * one
            wave.append(last)
        self._last = last
        speed = np.exp(-(self._noise * noise + self._wave * np.array(wave)))
        more_s = self._work_s[-1] + np.cumsum(self._cell_s * speed)
        self._work_s = np.concatenate([self._work_s, more_s])
        self._edges = np.arange(len(self._work_s), dtype=np.float64)
