"""Whole repeats of a level: their mean, and which interval to believe, that between them or that within each."""

import math
from collections.abc import Sequence

from breakeven.metrics.definitions import METRICS, RATES
from breakeven.metrics.pooling import from_log, halves, of_estimate
from breakeven.metrics.summary import Estimate, LevelSummary, RepeatFigure, RepeatSummary


def _figures(group: Sequence[LevelSummary]) -> dict[str, RepeatFigure]:
    """Every rate, and the median of every metric."""
    rates = {name: figure([rate.of(level) for level in group]) for name, rate in RATES.items()}
    return rates | {f"{name}_p50": figure([_median(level, name) for level in group]) for name in METRICS}


def _median(level: LevelSummary, metric: str) -> Estimate:
    found = level.of(metric).p50
    return Estimate(value=found.value, ci95=found.ci95)


def repeats(levels: Sequence[LevelSummary]) -> tuple[RepeatSummary, ...]:
    """One entry for each load that was measured to its end more than once, in the order of the levels."""
    groups: dict[tuple[int | None, float | None], list[LevelSummary]] = {}
    for level in levels:
        if level.status == "done":
            groups.setdefault((level.users, level.req_per_s_offered), []).append(level)
    return tuple(
        RepeatSummary(
            users=users,
            req_per_s_offered=rate,
            n=len(group),
            figures=_figures(group),
        )
        for (users, rate), group in groups.items()
        if len(group) > 1
    )


def figure(estimates: Sequence[Estimate]) -> RepeatFigure:
    """Mean of the logs over the repeats with both intervals; nothing where one repeat lacks the figure.

    The wider one is to be believed: a single window cannot know what changes from one repeat to the next.
    """
    found = halves([of_estimate(estimate) for estimate in estimates])
    if found is None:
        return RepeatFigure()
    within = (None, None) if found.within is None else from_log(found.middle, found.within).ci95
    return RepeatFigure(
        mean=math.exp(found.middle),
        between=from_log(found.middle, found.between).ci95,
        within=within,
        believe="within" if found.within is not None and found.within > found.between else "between",
    )
