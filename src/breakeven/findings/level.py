"""Which service level the headline is told at, and what each run gives there."""

from collections.abc import Sequence

import msgspec

from breakeven.compare.capacity import operating_point
from breakeven.compare.nextlevel import levels_for
from breakeven.compare.pool import is_open
from breakeven.compare.runs import compare_runs
from breakeven.compare.types import Comparison, Equivalence, NextLevel, OperatingPoint
from breakeven.errors import UsageError
from breakeven.metrics.slo import ServiceLevel, Slo, parse_slo, service_levels
from breakeven.metrics.summary import LevelSummary, RunSummary

INPUT_RATE = "input_tok_per_s"


def choose_level(
    runs: Sequence[RunSummary], comparisons: Sequence[Comparison], *, slo: Slo | None = None
) -> ServiceLevel | None:
    """The SLO where one is asked for; else, of the floors compared, the middle one of those that say most.

    An exact figure says more than a bound, a bound more than none. None where no run can be read at a floor.
    """
    if slo is not None:
        return ServiceLevel(slo=slo)
    told = comparisons or _alone(runs)
    floors: dict[float, list[Equivalence]] = {}
    for comparison in told:
        for figure in comparison.k_at_slo:
            if figure.floor_tok_per_s_per_user is not None:
                floors.setdefault(figure.floor_tok_per_s_per_user, []).append(figure)
    for enough in (("exact",), ("exact", "bound"), ("exact", "bound", "none")):
        fit = [floor for floor, found in floors.items() if all(figure.status in enough for figure in found)]
        if fit:
            return ServiceLevel(floor_tok_per_s_per_user=sorted(fit)[len(fit) // 2])
    return None


def _alone(runs: Sequence[RunSummary]) -> tuple[Comparison, ...]:
    """A single run against itself, which chooses floors that it can give."""
    try:
        return compare_runs(runs[0], [runs[0]]) if len(runs) == 1 else ()
    except UsageError:
        return ()


def point_at(run: RunSummary, level: ServiceLevel | None) -> OperatingPoint | None:
    """Where a run reaches its capacity, with its input tokens per second in `extra`; None where no level fits."""
    if level is None:
        return None
    try:
        return operating_point(with_input_rate(run), level)
    except UsageError:
        return None


def points_at(runs: Sequence[RunSummary], level: ServiceLevel | None) -> list[OperatingPoint | None]:
    """Of each run. Open loops that stand beside closed ones have none: a limit means another thing in each."""
    mixed = len({is_open(run) for run in runs}) > 1
    return [None if mixed and is_open(run) else point_at(run, level) for run in runs]


def narrowing(run: RunSummary, level: ServiceLevel | None) -> tuple[NextLevel, ...]:
    """The levels that would narrow the run's capacity there most; empty where it has none to be told at."""
    if level is None:
        return ()
    try:
        return levels_for(run, level)
    except UsageError:
        return ()


def own_levels(run: RunSummary) -> tuple[ServiceLevel, ...]:
    """What a run was measured for: floors of a user's speed, limits. None where another version wrote them."""
    floors, slo = (run.run.settings.get(name) for name in ("floors", "slo"))
    try:
        return service_levels(floors=floors or (), slo=parse_slo(str(slo)) if slo else None)
    except UsageError:
        return ()


def with_input_rate(run: RunSummary) -> RunSummary:
    """The run with the input tokens per second of each level among its further facts."""
    return msgspec.structs.replace(run, levels=tuple(_with_rate(level) for level in run.levels))


def _with_rate(level: LevelSummary) -> LevelSummary:
    if level.input_tokens is None or not level.window_s:
        return level
    return msgspec.structs.replace(level, extra={**level.extra, INPUT_RATE: level.input_tokens / level.window_s})


def figure_at(comparison: Comparison, level: ServiceLevel | None) -> Equivalence | None:
    """The comparison's k at a service level."""
    if level is None:
        return None
    floor = level.floor_tok_per_s_per_user
    return next((one for one in comparison.k_at_slo if one.floor_tok_per_s_per_user == floor), None)
