"""How far a whole run is: levels that are over, and the longest that is left."""

from collections.abc import Sequence

from breakeven.units import short_s

WIDTH = 12


class Ahead:
    """Levels that were announced with their longest times. What comes after them is counted only."""

    def __init__(self) -> None:
        self._levels_s: list[float | None] = []
        self._over = 0
        self._began_s: float | None = None
        self._level_began_s: float | None = None

    def expect(self, levels_s: Sequence[float | None]) -> None:
        """Each level's longest time; None where nobody can say."""
        self._levels_s += levels_s

    def finished(self) -> None:
        """A level is over."""
        self._over += 1
        self._level_began_s = None

    def text(self, *, now_s: float) -> str:
        """`━━━━╌╌╌╌ 2/5, ≤ 1m40s left`: what share of its time is over, the level under way, the longest to come."""
        if self._began_s is None:
            self._began_s = now_s
        if self._level_began_s is None:
            self._level_began_s = now_s
        at, of = self._over + 1, len(self._levels_s)
        if at > of:
            return f"level {at}"
        left_s = self._left_s(now_s - self._level_began_s)
        took_s = now_s - self._began_s
        share = self._over / of if left_s is None else took_s / (took_s + left_s) if took_s + left_s else 1.0
        full = round(share * WIDTH)
        left = "" if left_s is None else f", ≤ {short_s(round(left_s))} left"
        return f"{'━' * full}{'╌' * (WIDTH - full)} {at}/{of}{left}"

    def _left_s(self, level_took_s: float) -> float | None:
        levels_s = self._levels_s[self._over :]
        known = [seconds for seconds in levels_s if seconds is not None]
        if len(known) < len(levels_s):
            return None
        return max(0.0, known[0] - level_took_s) + sum(known[1:])
