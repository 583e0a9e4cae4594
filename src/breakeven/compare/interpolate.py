"""Between measured levels: how a curve is read, for many draws at once.

Every function takes users (n levels, rising) and a table of values (d draws, n levels). Nothing goes beyond the first
or the last level. Throughput T is PCHIP of log T against log u in which T/u never rises, a latency m PCHIP of log m
against log u. It is one curve of many that the levels allow; `envelope.py` has the lowest and the highest.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from breakeven.compare.pchip import hermite, pchip_slopes

Array = NDArray[np.float64]
Bool = NDArray[np.bool_]
Index = NDArray[np.intp]
_HALVINGS: Final = 48


class Gap(NamedTuple):
    """For each draw the two neighbouring levels between which something lies, and the values there."""

    left: Index
    u: tuple[Array, Array]
    y: tuple[Array, Array]


def gap_at(users: Array, values: Array, left: Index) -> Gap:
    """The gap that begins at level `left`, one index a draw."""
    left = np.clip(left, 0, max(users.size - 2, 0))
    right = np.minimum(left + 1, users.size - 1)
    rows = np.arange(values.shape[0])
    return Gap(left, (users[left], users[right]), (values[rows, left], values[rows, right]))


_HAIR: Final = 1e-12


def throughput_at(users: Array, tput: Array, u: Array) -> Array:
    """T at `u` users (one a draw), which must lie within the levels."""
    gap = gap_at(users, tput, np.searchsorted(users, u, side="right") - 1)
    return np.exp(_loglog(users, tput, gap, steepest=1.0)(np.log(u)))


def load_at_speed(users: Array, tput: Array, speed: Array) -> Array:
    """Greatest u with T(u)/u >= `speed` (one a draw), where T/u does not increase from level to level.

    The last level where even that one meets it; NaN where the first level misses it. Where T/u is level over several
    levels, rounding must not decide at which of them the load ends: a hair below `speed` is as fast.
    """
    speed = speed * (1 - _HAIR)
    meets = tput / users >= speed[:, None]
    gap = gap_at(users, tput, meets.sum(axis=1) - 1)
    between = meets[:, 0] & ~meets[:, -1]
    u = np.where(meets[:, -1], users[-1], np.nan)
    log_t = _loglog(users, tput, gap, steepest=1.0)
    return np.where(between, _halve(lambda x: log_t(x) - x >= np.log(speed), gap), u)


def faster_than(speed: Array, other: Array) -> Bool:
    """Where `speed` is above `other` by more than rounding, and more than what `load_at_speed` gives up for it."""
    return speed * (1 - 10 * _HAIR) > other


def load_at_latency(users: Array, latency: Array, limit_s: float) -> Array:
    """Greatest u whose latency is within `limit_s`, where latency does not decrease from level to level; else NaN."""
    meets = latency <= limit_s
    gap = gap_at(users, latency, meets.sum(axis=1) - 1)
    between = meets[:, 0] & ~meets[:, -1]
    u = np.where(meets[:, -1], users[-1], np.nan)
    log_m = _loglog(users, latency, gap)
    return np.where(between, _halve(lambda x: log_m(x) <= np.log(limit_s), gap), u)


def _share(u: Array, u0: Array, u1: Array) -> Array:
    """How far `u` lies from u0 to u1; 0 where the two are one level."""
    width = np.where(u1 > u0, u1 - u0, 1.0)
    return (u - u0) / width


def _ratio(part: Array, whole: Array) -> Array:
    """part / whole; 0 where the whole is 0, which only draws without a crossing have."""
    return np.where(whole == 0, 0.0, part / np.where(whole == 0, 1.0, whole))


def _loglog(users: Array, values: Array, gap: Gap, *, steepest: float | None = None) -> Callable[[Array], Array]:
    """Log of the value against log u, inside each draw's gap.

    PCHIP alone keeps throughput from turning back but lets it grow faster than the users do, so that the speed of each
    would rise with load. With `steepest` 1 the slopes d of a gap are held where 1 - d is at most 3 (1 - secant): then
    the speed is monotone as well, by the rule (Fritsch and Carlson 1980) that PCHIP applies to throughput.
    """
    x, y = np.log(users), np.log(values)
    slopes = pchip_slopes(x, y)
    right, rows = np.minimum(gap.left + 1, users.size - 1), np.arange(values.shape[0])
    step = x[right] - x[gap.left]
    ends, slope = (y[rows, gap.left], y[rows, right]), (slopes[rows, gap.left], slopes[rows, right])
    if steepest is not None:
        least = steepest - 3 * (steepest - _ratio(ends[1] - ends[0], step))
        slope = (np.clip(slope[0], least, steepest), np.clip(slope[1], least, steepest))
    return lambda at: hermite(_share(at, x[gap.left], x[right]), step=step, y=ends, slope=slope)


def _halve(meets: Callable[[Array], Bool], gap: Gap) -> Array:
    """The u inside the gap up to which `meets` (of log u) holds; it holds on the left end and not on the right."""
    low, high = np.log(gap.u[0]), np.log(gap.u[1])
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        holds = meets(middle)
        low, high = np.where(holds, middle, low), np.where(holds, high, middle)
    return np.exp(low)
