"""Between measured levels: the lowest and the highest curve that the levels allow.

Between two levels a curve lies between the chord and the secants of its neighbours: a concave one (throughput as a
server fills up) above the chord and below the secants, a convex one below the chord and above them.

| curve | left of the first level | right of the last one | taken for |
|---|---|---|---|
| throughput | the line from the origin | flat; not known where it falls | concave, but where levels show the contrary |
| latency | flat or rising | flat or rising | either, whichever side of the chord a secant is on |

Two levels that lie near give a secant that their sampling error turns far. So of the secants through a level the one
is taken that bounds best with two standard errors added. Where throughput falls to the right of a level, it may have
fallen from a peak left of that level by the same power of the load, which is steeper than the secant; where it fell to
the left of a level, it does not rise again.
"""

import math
from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
_ERRORS: Final = 2.0
"""Standard errors that are added to a secant, and beyond which levels show a bend."""
_HAIR: Final = 1e-12
_HALVINGS: Final = 40


class Lines(NamedTuple):
    """Straight lines through knots, from the first level to the last; two knots at one load are a step."""

    users: Array
    values: Array


class Envelope(NamedTuple):
    """No curve through the levels lies below `low` or above `high`."""

    low: Lines
    high: Lines


class _Slope(NamedTuple):
    """Of a line through a level, with its standard error."""

    slope: float
    error: float


_FLAT: Final = _Slope(0.0, 0.0)


def _rises(line: _Slope) -> bool:
    return line.slope > _ERRORS * line.error


def _falls(line: _Slope) -> bool:
    return line.slope < -_ERRORS * line.error


class _Levels(NamedTuple):
    users: list[float]
    values: list[float]
    errors: list[float]
    """Standard errors of the values."""

    def slope(self, i: int, j: int) -> _Slope:
        """Of the secant through two levels."""
        width = abs(self.users[j] - self.users[i])
        rise = (self.values[j] - self.values[i]) * (1 if j > i else -1)
        return _Slope(rise / width, math.hypot(self.errors[i], self.errors[j]) / width)

    def fall(self, i: int, j: int, rise: float) -> _Slope:
        """Of the line above a fall to level i + 1, by a power of the load as steep as from there to level j.

        It begins where the line that leaves level i by `rise` meets the power: that of a longer part lies far above.
        """
        (u0, u1), (y0, y1) = self.users[i : i + 2], self.values[i : i + 2]
        power = (math.log(y1 / self.values[j]) + _ERRORS * self.apart(i + 1, j)) / math.log(self.users[j] / u1)
        top = y1 * (u1 / u0) ** power
        if top <= y0:
            return _Slope((y1 - (y0 if y0 <= top * math.exp(_ERRORS * self.apart(i, i + 1)) else top)) / (u1 - u0), 0.0)
        low, high = u0, u1
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            low, high = (middle, high) if y0 + rise * (middle - u0) < y1 * (u1 / middle) ** power else (low, middle)
        return _Slope((y1 - y1 * (u1 / low) ** power) / (u1 - low), 0.0)

    def apart(self, i: int, j: int) -> float:
        """Standard error of the log of two levels' quotient."""
        return math.hypot(self.errors[i] / self.values[i], self.errors[j] / self.values[j])

    def origin(self, i: int) -> _Slope:
        """Of the line from the origin."""
        return _Slope(self.values[i] / self.users[i], self.errors[i] / self.users[i])


def throughput_envelope(users: Array, tput: Array, sd_log: Array) -> Envelope:
    """Of throughput whose speed per user does not increase from level to level; `sd_log` is its sampling error."""
    levels = _Levels(users.tolist(), tput.tolist(), (tput * sd_log).tolist())
    last = len(levels.users) - 1

    def low(i: int) -> _Rises:
        chord = levels.slope(i, i + 1)
        left = [levels.slope(i, j) for j in range(i)]
        right = [levels.slope(i + 1, j) for j in range(i + 2, last + 1)]
        if i + 1 == last:
            right = [_FLAT] if chord.slope < 0 else []
        found = (_bent(chord, one, -1) for one in left), (_bent(chord, one, 1) for one in right)
        return _Rises(_least(found[0]), _least(found[1]), None, max(0.0, levels.origin(i + 1).slope - chord.slope))

    def high(i: int) -> _Rises:
        chord = levels.slope(i, i + 1)
        left = [levels.origin(i), *(levels.slope(i, j) for j in range(i))]
        right = [levels.slope(i + 1, j) for j in range(i + 2, last + 1)]
        if any(_falls(one) for one in left) or not (right or _falls(chord) or chord.slope > 0):
            left.append(_FLAT)
        steepest = max(0.0, levels.origin(i).slope - chord.slope)
        rise = _least(_rise(chord, one, 1) for one in left)
        if right and any(_falls(one) for one in right) and not _rises(right[0]):
            up = chord.slope + (steepest if rise is None else rise)
            right = [levels.fall(i, j, up) for j, one in enumerate(right, i + 2) if _falls(one)]
        elif not right and not _falls(chord) and chord.slope > 0:
            right = [_FLAT]
        return _Rises(rise, _least(_rise(chord, one, -1) for one in right), steepest, None)

    return _envelope(levels, [low(i) for i in range(last)], [high(i) for i in range(last)])


def latency_envelope(users: Array, latency: Array, sd_log: Array) -> Envelope:
    """Of a latency that does not decrease from level to level."""
    levels = _Levels(users.tolist(), latency.tolist(), (latency * sd_log).tolist())
    last = len(levels.users) - 1

    def rises(i: int, sign: int) -> _Rises:
        chord = levels.slope(i, i + 1)
        left = [levels.slope(i, j) for j in range(i)] or [_FLAT]
        right = [levels.slope(i + 1, j) for j in range(i + 2, last + 1)] or ([_FLAT] if sign > 0 else [])
        found = _least(_rise(chord, one, sign) for one in left), _least(_rise(chord, one, -sign) for one in right)
        return _Rises(*found, *((None, chord.slope) if sign > 0 else (chord.slope, None)))

    return _envelope(levels, *([rises(i, sign) for i in range(last)] for sign in (-1, 1)))


class _Rises(NamedTuple):
    """How steeply two lines leave a chord to one side, from its left end and from its right one; None: no such line."""

    left: float | None
    right: float | None
    left_instead: float | None
    """What bounds where only the right line does; None: nothing has to."""
    right_instead: float | None


class _Rise(NamedTuple):
    with_error: float
    """Two standard errors of the line added."""
    steep: float


def _rise(chord: _Slope, line: _Slope, sign: int) -> _Rise | None:
    """How steeply a line leaves the chord to the wanted side; None where it is surely on the other."""
    steep = sign * (line.slope - chord.slope)
    surely = -steep > _ERRORS * math.hypot(chord.error, line.error)
    return None if surely else _Rise(steep + _ERRORS * line.error, max(0.0, steep))


def _bent(chord: _Slope, line: _Slope, sign: int) -> _Rise | None:
    """The same, only where it is surely on the wanted side."""
    steep = sign * (line.slope - chord.slope)
    surely = steep > _ERRORS * math.hypot(chord.error, line.error)
    return _Rise(steep + _ERRORS * line.error, steep) if surely else None


def _least(rises: Iterator[_Rise | None]) -> float | None:
    """The rise of the line that bounds best; None where no line is on that side of the chord."""
    best = min((one for one in rises if one is not None), default=None)
    return None if best is None else best.steep


def _envelope(levels: _Levels, low: list[_Rises], high: list[_Rises]) -> Envelope:
    return Envelope(_lines(levels, low, -1), _lines(levels, high, 1))


def _lines(levels: _Levels, gaps: list[_Rises], sign: int) -> Lines:
    """Each gap's bound: of two lines up to their crossing, of one to a step, of none the chord."""
    users, values = levels.users[:1], levels.values[:1]
    for i, gap in enumerate(gaps):
        (u0, u1), (y0, y1) = levels.users[i : i + 2], levels.values[i : i + 2]
        left = gap.left_instead if gap.left is None and gap.right is not None else gap.left
        right = gap.right_instead if gap.right is None and gap.left is not None else gap.right
        if left is not None and right is not None:
            share = right / (left + right) if left + right > 0 else 0.5
            knots = [(share, left * share)]
        else:
            knots = [(0.0, right)] if right is not None else [(1.0, left)] if left is not None else []
        for share, rise in knots:
            users.append(u0 + share * (u1 - u0))
            values.append(y0 + share * (y1 - y0) + sign * rise * (u1 - u0))
        users.append(u1)
        values.append(y1)
    return Lines(np.array(users), np.array(values))


def load_above(lines: Lines, speed: float) -> float:
    """Greatest load up to which value / load is at least `speed`, which the first level has."""
    return _last(lines, lines.values - (1 - _HAIR) * speed * lines.users)


def load_within(lines: Lines, limit: float) -> float:
    """Greatest load up to which the value is at most `limit`, which the first level is."""
    return _last(lines, limit - lines.values)


def _last(lines: Lines, spare: Array) -> float:
    """Up to where `spare`, linear between the knots, is not below 0; at least the first level."""
    below = np.flatnonzero(spare[1:] < 0)
    if not below.size:
        return float(lines.users[-1])
    right = int(below[0]) + 1
    (x0, x1), (y0, y1) = lines.users[right - 1 : right + 1], spare[right - 1 : right + 1]
    return float(x0 + (x1 - x0) * max(0.0, y0) / (max(0.0, y0) - y1))


def value_at(lines: Lines, load: float) -> float:
    """The value at a load within the levels; at a step, that at its left."""
    return float(np.interp(load, lines.users, lines.values)) if load not in lines.users else _at_knot(lines, load)


def _at_knot(lines: Lines, load: float) -> float:
    return float(lines.values[int(np.flatnonzero(lines.users == load)[0])])


def greatest_up_to(lines: Lines, load: float) -> tuple[float, float]:
    """Where at or below a load the value is greatest, and how great."""
    knots = [(float(value), float(u)) for u, value in zip(*lines, strict=True) if u <= load]
    value, users = max([*knots, (value_at(lines, load), load)])
    return users, value
