"""The cautions of several levels, each kind once: alike are those that differ in nothing but their figures."""

from collections.abc import Sequence

from msgspec import Struct

from breakeven.caution import Caution
from breakeven.metrics.bracket import load_of
from breakeven.metrics.summary import LevelSummary
from breakeven.units import load_text, loads_text


class Alike(Struct, frozen=True, kw_only=True):
    """A kind of caution and the levels that have it."""

    levels: tuple[LevelSummary, ...]
    caution: Caution
    """As the level with the most load has it."""
    figures_of: LevelSummary | None
    """That level, where the figures of others differ."""

    def where(self, every: Sequence[LevelSummary] = ()) -> str:
        """The levels' loads, and whose figures are told; `all levels` where it holds for `every` one of several."""
        loads, known = ({(one.users, one.req_per_s_offered) for one in levels} for levels in (self.levels, every))
        told = "all levels" if len(known) > 1 and loads == known else loads_text(loads)
        most = self.figures_of
        return told if most is None else f"{told} (figures of {load_text(most.users, most.req_per_s_offered)})"


def alike(levels: Sequence[LevelSummary]) -> list[Alike]:
    """Every kind of caution, in the order in which they come up."""
    found: dict[tuple[object, ...], list[tuple[LevelSummary, Caution]]] = {}
    for level in levels:
        for caution in level.cautions:
            found.setdefault(caution.kind, []).append((level, caution))
    return [_alike(group) for group in found.values()]


def _alike(group: Sequence[tuple[LevelSummary, Caution]]) -> Alike:
    most, caution = max(group, key=lambda one: load_of(one[0]) or 0.0)
    differ = any(one != caution for _, one in group)
    return Alike(levels=tuple(level for level, _ in group), caution=caution, figures_of=most if differ else None)
