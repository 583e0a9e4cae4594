"""The levels of a run that can be compared: finished ones, repeats pooled into one."""

import math
from collections.abc import Sequence
from statistics import fmean
from typing import Any

from msgspec import Struct

from breakeven.compare.types import LeftOut, WhyLeftOut
from breakeven.compare.words import left_out_text
from breakeven.errors import UsageError, one_line
from breakeven.metrics.bracket import load_of
from breakeven.metrics.definitions import METRICS, RATES
from breakeven.metrics.pooling import Measured, of_estimate, of_quantile, pool_figure
from breakeven.metrics.statistics import STATISTICS
from breakeven.metrics.summary import LevelSummary, RunSummary


class PooledLevel(Struct, frozen=True, kw_only=True):
    """One number of users, or one offered rate, all its finished repeats together."""

    users: int | None
    req_per_s: float | None = None
    """Of an open loop; None where there are users."""
    repeats: int
    figures: dict[str, Measured]
    """Every name of RATES, and every statistic of every row of METRICS, such as `ttft_p99`."""
    extra: dict[str, float]
    """Numbers of LevelSummary.extra, mean over the repeats."""

    @property
    def load(self) -> float:
        """Users, or requests offered a second."""
        return float(self.users if self.users is not None else self.req_per_s or 0.0)


class Pooled(Struct, frozen=True, kw_only=True):
    """A run, ready to be compared: levels by rising load, all of users or all of rates, and what was left out."""

    run: RunSummary
    levels: tuple[PooledLevel, ...]
    left_out: tuple[LeftOut, ...]

    @property
    def is_open(self) -> bool:
        """Its levels are of rates."""
        return self.levels[0].users is None


def pool(run: RunSummary) -> Pooled:
    """Pool the finished levels of a run, those of users where there are some; UsageError when none is left."""
    of_rates = is_open(run)
    used: dict[float, list[LevelSummary]] = {}
    left_out = []
    for level in run.levels:
        unusable = _unusable(level, of_rates=of_rates)
        if unusable is None:
            used.setdefault(load_of(level) or 0.0, []).append(level)
        else:
            left_out.append(unusable)
    if not used:
        raise UsageError(f"{one_line(run.run.id)}: no level with a throughput to compare; {_why(left_out)}")
    levels = tuple(
        PooledLevel(
            users=each[0].users,
            req_per_s=each[0].req_per_s_offered if of_rates else None,
            repeats=len(each),
            figures=pool_figures(each),
            extra=pool_extra(each),
        )
        for _, each in sorted(used.items())
    )
    return Pooled(run=run, levels=levels, left_out=tuple(left_out))


def is_open(run: RunSummary) -> bool:
    """Its levels are of rates."""
    return bool(run.levels) and all(level.users is None for level in run.levels)


def are_open(runs: Sequence[RunSummary]) -> bool:
    """All are open loops; UsageError where some are."""
    kinds = {is_open(run): one_line(run.run.id, limit=80) for run in runs}
    if len(kinds) > 1:
        raise UsageError(
            f"{kinds[True]} was measured at rates (open loop) and {kinds[False]} with users (closed loop): the one "
            "counts latency from when a request was due, the other from when its user was ready, so that no limit "
            "means the same in both; measure both with --rate, or both with --users"
        )
    return kinds.keys() == {True}


def of_users(run: RunSummary, *, what: str) -> Pooled:
    """A run whose levels are of users, pooled; UsageError for an open loop: `what` is asked of users."""
    found = pool(run)
    if found.is_open:
        raise UsageError(f"{one_line(run.run.id)}: an open loop has no number of users, which {what}")
    return found


def repeats_at(run: RunSummary, load: float) -> list[LevelSummary]:
    """The finished levels of one number of users, or of one offered rate where the run's levels are of rates."""
    of_rates = is_open(run)
    same = [level for level in run.levels if (level.users is None) == of_rates and load_of(level) == load]
    return [level for level in same if level.status == "done"]


def _why(left_out: Sequence[LeftOut]) -> str:
    return "; ".join(map(left_out_text, left_out)) if left_out else "the run holds no level at all"


def unit_of(pooled: Pooled) -> str:
    """`tok/s`, or what the run's settings say it counts: `words/s`."""
    unit = pooled.run.run.settings.get("unit")
    return (
        "tok/s" if unit in (None, "tokens", "tok", "tok/s") else f"{one_line(str(unit), limit=20).removesuffix('/s')}/s"
    )


def nodes_of(pooled: Pooled) -> int:
    """Of how many nodes the levels are medians, where a data set says so (least over the levels); 0: a run."""
    return min(int(level.extra.get("nodes", 0)) for level in pooled.levels)


def _unusable(level: LevelSummary, *, of_rates: bool) -> LeftOut | None:
    value = level.output_tok_per_s.value
    why: WhyLeftOut | None = None
    if level.users is None and not of_rates:
        why = "open_loop"
    elif not load_of(level):
        why = "no_rate"
    elif level.status != "done":
        why = "not_done"
    elif value is None or value <= 0:
        why = "no_throughput"
    if why is None:
        return None
    return LeftOut(
        users=level.users, req_per_s=level.req_per_s_offered, repeat=level.repeat, why=why, status=level.status
    )


def pool_figures(levels: Sequence[LevelSummary]) -> dict[str, Measured]:
    """Every rate and metric of finished repeats of one load, each by `pool_figure`."""
    figures = {name: pool_figure([of_estimate(rate.of(level)) for level in levels]) for name, rate in RATES.items()}
    for name, metric in METRICS.items():
        for which in STATISTICS:
            figures[f"{metric.short}_{which}"] = pool_figure(
                [of_quantile(level.of(name).at(which)) for level in levels]
            )
    return figures


def pool_extra(levels: Sequence[LevelSummary]) -> dict[str, float]:
    """The numbers among the further facts that every repeat has: their mean."""
    names = set.intersection(*(set(_numbers(level.extra)) for level in levels))
    return {name: fmean(_numbers(level.extra)[name] for level in levels) for name in sorted(names)}


def _numbers(extra: dict[str, Any]) -> dict[str, float]:
    """The finite numbers among further facts, plain or as `{"value": …}`; flags, texts and None are no numbers."""
    bare = {name: value.get("value") if isinstance(value, dict) else value for name, value in extra.items()}
    plain = {name: value for name, value in bare.items() if isinstance(value, int | float)}
    return {name: float(v) for name, v in plain.items() if not isinstance(v, bool) and math.isfinite(v)}
