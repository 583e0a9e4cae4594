"""One run as a set of curves: the measured one, then draws from its intervals."""

import math
from typing import Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from breakeven.compare.envelope import Envelope, latency_envelope, throughput_envelope
from breakeven.compare.isotonic import non_decreasing, non_increasing
from breakeven.compare.pool import Pooled, nodes_of, pool, unit_of
from breakeven.metrics.pooling import Z95, Measured
from breakeven.metrics.slo import ServiceLevel
from breakeven.metrics.summary import RunSummary

Array = NDArray[np.float64]
Bool = NDArray[np.bool_]

DRAWS: Final = 2000


class Side(NamedTuple):
    """A run's levels and draws; row 0 of every table is what was measured."""

    role: str
    """How reasons call it: `A`, `B`, or the run's id."""
    pooled: Pooled
    users: Array
    """Of every level; of an open loop the rates that were offered."""
    throughput: Array
    """Of every level as measured, one row a draw."""
    curve: Array
    """Throughput whose speed per user does not increase with load: isotonic regression of T(u)/u, times u."""
    error_log: Array
    """Sampling error of each level's throughput on the log scale, as far as levels have it apart from one another."""
    node: Array
    """Log of each draw's node effect, the same for all levels."""
    node_sd_log: float
    seed: tuple[int, int]

    @property
    def run_id(self) -> str:
        return self.pooled.run.run.id

    @property
    def is_open(self) -> bool:
        return self.pooled.is_open

    @property
    def sampled(self) -> bool:
        """Draws differ in throughput: some level has an interval, or there is a spread between nodes."""
        return bool((self.throughput != self.throughput[0]).any())

    @property
    def unit(self) -> str:
        return unit_of(self.pooled)


class Range(NamedTuple):
    """The levels that can say whether a service level is met."""

    keep: NDArray[np.intp]
    missed_at: int | None = None
    """Users of the level that surely misses an SLO by unknown much: the range ends below it."""


def make_side(
    run: RunSummary, *, role: str, seed: int = 0, index: int = 0, node_sd_log: float = 0.0, draws: int = DRAWS
) -> Side:
    """Pool a run and prepare its draws; the same seed and index give the same draws."""
    return side_of(pool(run), role=role, seed=(seed, index), node_sd_log=node_sd_log, draws=draws)


def side_of(pooled: Pooled, *, role: str, seed: tuple[int, int], node_sd_log: float = 0.0, draws: int = DRAWS) -> Side:
    """The draws of a pooled run.

    Where the levels are medians over nodes, their intervals are of which nodes those were, the same at every level (in
    the fleet of 2024 the logs of neighbouring levels mostly correlate by 0.9 to 1.0): a draw moves the whole curve.
    What a predicted curve is wrong by is its calibration's, and moves it as a whole too, to either side as far as that
    end of its intervals: no card gives more than it does on paper.
    """
    rng = np.random.default_rng(seed)
    noise = _noise(rng, pooled, draws + 1)
    measured = [level.figures["output_tok_per_s"] for level in pooled.levels]
    error_log = _sd_log(measured)
    if nodes_of(pooled) > 1 or is_predicted(pooled):
        error_log = np.zeros_like(error_log)
    node = node_sd_log * rng.standard_normal(draws + 1)
    noise[0], node[0] = 0.0, 0.0
    users = np.array([level.load for level in pooled.levels])
    tput = _draw(measured, noise, node, apart=is_predicted(pooled))
    return Side(role, pooled, users, tput, _fitted(users, tput), error_log, node, node_sd_log, seed)


def curve_of(side: Side, keep: NDArray[np.intp]) -> Array:
    """The curve through some of the levels."""
    if keep.size == side.users.size:
        return side.curve
    return _fitted(side.users[keep], side.throughput[:, keep])


def _fitted(users: Array, tput: Array) -> Array:
    return non_increasing(tput / users) * users


def latency(side: Side, metric: str, keep: NDArray[np.intp]) -> Array:
    """Draws of a latency that does not decrease with load."""
    return non_decreasing(latency_drawn(side, metric, keep, apart=is_predicted(side.pooled)))


def latency_drawn(side: Side, metric: str, keep: NDArray[np.intp], *, apart: bool) -> Array:
    """Draws of a latency, each level by itself; a slower node is slower in both figures. `apart` is that of `_draw`."""
    rng = np.random.default_rng((*side.seed, *metric.encode()))
    noise = _noise(rng, side.pooled, len(side.throughput))
    noise[0] = 0.0
    figures = [level.figures[metric] for level in side.pooled.levels]
    chosen = [figures[i] for i in keep]
    return _draw(chosen, noise[:, keep], -side.node, apart=apart)


def _noise(rng: np.random.Generator, pooled: Pooled, draws: int) -> Array:
    """A row a draw, a column a level: all alike where what the levels are wrong by is the same at every one of them."""
    levels = len(pooled.levels)
    if is_predicted(pooled):
        return np.repeat(rng.standard_normal((draws, 1)), levels, axis=1)
    noise = rng.standard_normal((draws, levels))
    if nodes_of(pooled) > 1:
        noise[:] = noise[:, :1]
    return noise


def is_predicted(pooled: Pooled) -> bool:
    """Nobody measured the run."""
    return pooled.run.run.kind == "predicted"


def _draw(figures: list[Measured], noise: Array, node: Array, *, apart: bool) -> Array:
    """Log-normal draws: value x exp(half width / 1.96 x normal + node effect); without interval, no noise.

    With `apart` each side of the interval has its own half width, else the wider one is that of both.
    """
    values = np.array([one.value or np.nan for one in figures])
    sd_log = _sd_log(figures)
    if apart:
        below, above = (_end_sd_log(figures, end) for end in (0, 1))
        sd_log = np.where(noise > 0, above, below)
    return np.asarray(values * np.exp(sd_log * noise + node[:, None]))


def _end_sd_log(figures: list[Measured], end: Literal[0, 1]) -> Array:
    """From the value to one end of its interval; 0 where that is open."""
    ends = ((one.value, one.ci95[end]) for one in figures)
    return np.array([abs(math.log(limit / value)) / Z95 if value and limit else 0.0 for value, limit in ends])


def _sd_log(figures: list[Measured]) -> Array:
    return np.array([(one.log_half or 0.0) / Z95 for one in figures])


def throughput_between(side: Side, keep: NDArray[np.intp] | None = None) -> Envelope:
    """Between which curves the throughput as measured lies, by all levels or by some of them."""
    keep = np.arange(side.users.size) if keep is None else keep
    return throughput_envelope(side.users[keep], curve_of(side, keep)[0], side.error_log[keep])


def latency_between(side: Side, metric: str, keep: NDArray[np.intp]) -> Envelope:
    """Between which curves a latency as measured lies."""
    errors = _sd_log([side.pooled.levels[i].figures[metric] for i in keep])
    return latency_envelope(side.users[keep], latency(side, metric, keep)[0], errors)


def usable_range(side: Side, level: ServiceLevel) -> Range:
    """The levels with every latency that the SLO limits.

    A level without such a percentile (too few answers) is left out. One whose percentile fell on an answer that never
    ended, beyond the limit, surely misses: it ends the range, because nobody knows by how much.
    """
    keep: list[int] = []
    for i, one in enumerate(side.pooled.levels):
        figures = [(limit, one.figures[limit.metric]) for limit in (level.slo.limits if level.slo else ())]
        if any(f.more_than is not None and f.more_than >= limit.limit_s for limit, f in figures):
            return Range(np.array(keep, dtype=np.intp), one.users)
        if all(f.value is not None for _, f in figures):
            keep.append(i)
    return Range(np.array(keep, dtype=np.intp))
