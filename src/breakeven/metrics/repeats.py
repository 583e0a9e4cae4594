"""Whole repeats of a level: their mean, and which interval to believe, that between them or that within each."""

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np

from breakeven.metrics.definitions import METRICS, RATES
from breakeven.metrics.statistics import t_quantile
from breakeven.metrics.summary import Estimate, LevelSummary, RepeatFigure, RepeatSummary

Interval = tuple[float | None, float | None]


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
    """Mean over the repeats with both intervals; nothing where one repeat lacks the figure.

    Between: mean +- t x sd / sqrt(n) over the repeats' values, n - 1 degrees of freedom. Within: the half-widths of the
    single repeats put together as those of independent windows, sqrt(sum of squares) / n. The wider one is to be
    believed: a single window cannot know what changes from one repeat to the next.
    """
    values = [estimate.value for estimate in estimates if estimate.value is not None]
    if len(values) < len(estimates):
        return RepeatFigure()
    mean = float(np.mean(values))
    between = t_quantile(len(values) - 1) * float(np.std(values, ddof=1)) / math.sqrt(len(values))
    within = _within(estimates)
    believe: Literal["between", "within"] = "within" if within is not None and within > between else "between"
    return RepeatFigure(mean=mean, between=_around(mean, between), within=_around(mean, within), believe=believe)


def _within(estimates: Sequence[Estimate]) -> float | None:
    halves = []
    for estimate in estimates:
        low, high = estimate.ci95
        if low is None or high is None:
            return None
        halves.append((high - low) / 2)
    return math.sqrt(sum(half**2 for half in halves)) / len(halves)


def _around(mean: float, half: float | None) -> Interval:
    return (None, None) if half is None else (max(0.0, mean - half), mean + half)
