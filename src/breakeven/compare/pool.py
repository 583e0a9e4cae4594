"""The levels of a run that can be compared: finished ones, repeats pooled into one."""

import math
from collections.abc import Iterable, Sequence
from statistics import NormalDist, fmean, stdev
from typing import Any, Final, Literal, NamedTuple

from msgspec import Struct

from breakeven.compare.types import LeftOut
from breakeven.compare.words import left_out_text
from breakeven.errors import UsageError, one_line
from breakeven.metrics.slo import LATENCIES, STATISTICS
from breakeven.metrics.summary import Estimate, LevelSummary, Quantile, RunSummary

RATES: Final = ("output_tok_per_s", "total_tok_per_s", "req_per_s")
Z95: Final = NormalDist().inv_cdf(0.975)
_T975: Final = (12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622, 2.2281)
"""Student's t at 0.975 for 1…10 degrees of freedom."""


class Measured(NamedTuple):
    """One figure of one level. `log_half` is half its 95 % interval on the log scale; None where it has none."""

    value: float | None = None
    log_half: float | None = None
    ci95: tuple[float | None, float | None] = (None, None)
    more_than: float | None = None
    """The percentile fell on an answer that never ended: it is more than this, and `value` is None."""

    def estimate(self) -> Estimate:
        return Estimate(value=self.value, ci95=self.ci95)


class PooledLevel(Struct, frozen=True, kw_only=True):
    """One number of users, all its finished repeats together."""

    users: int
    repeats: int
    figures: dict[str, Measured]
    """Every name of RATES and every latency such as `ttft_p99`."""
    extra: dict[str, float]
    """Numbers of LevelSummary.extra, mean over the repeats."""


class Pooled(Struct, frozen=True, kw_only=True):
    """A run, ready to be compared: levels by rising users, and what was left out."""

    run: RunSummary
    levels: tuple[PooledLevel, ...]
    left_out: tuple[LeftOut, ...]


def pool(run: RunSummary) -> Pooled:
    """Pool the finished levels of a run; UsageError when none is left."""
    used: dict[int, list[LevelSummary]] = {}
    left_out = []
    for level in run.levels:
        unusable = _unusable(level)
        if unusable is None and level.users is not None:
            used.setdefault(level.users, []).append(level)
        elif unusable is not None:
            left_out.append(unusable)
    if not used:
        raise UsageError(f"{one_line(run.run.id)}: no level with a throughput to compare; {_why(left_out)}")
    levels = tuple(
        PooledLevel(users=users, repeats=len(each), figures=pool_figures(each), extra=pool_extra(each))
        for users, each in sorted(used.items())
    )
    return Pooled(run=run, levels=levels, left_out=tuple(left_out))


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


def _unusable(level: LevelSummary) -> LeftOut | None:
    value = level.output_tok_per_s.value
    why: Literal["open_loop", "not_done", "no_throughput"] | None = None
    if level.users is None:
        why = "open_loop"
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
    """Every rate and latency of finished repeats of one load, each by `pool_figure`."""
    figures = {name: pool_figure(_rate(level, name) for level in levels) for name in RATES}
    for latency in LATENCIES:
        for statistic in STATISTICS:
            name = f"{latency}_{statistic}"
            figures[name] = pool_figure(_latency(level, latency, statistic) for level in levels)
    return figures


def _rate(level: LevelSummary, name: str) -> Measured:
    estimate: Estimate = getattr(level, name)
    return _measured(estimate.value, estimate.ci95)


def _latency(level: LevelSummary, latency: str, statistic: str) -> Measured:
    distribution = getattr(level, f"{latency}_s")
    if statistic == "mean":
        return _measured(distribution.mean, (None, None))
    quantile: Quantile = getattr(distribution, statistic)
    if quantile.value is None and quantile.more_than is not None:
        return Measured(more_than=quantile.more_than)
    return _measured(quantile.value, quantile.ci95)


def _measured(value: float | None, ci95: tuple[float | None, float | None]) -> Measured:
    if value is None or value <= 0:
        return Measured()
    return Measured(value, _log_half(value, ci95), ci95)


def _log_half(value: float, ci95: tuple[float | None, float | None]) -> float | None:
    """The wider side of an interval on the log scale; a lower end at 0 or less counts as its distance / value."""
    low, high = ci95
    sides = []
    if low is not None:
        sides.append(math.log(value / low) if low > 0 else (value - low) / value)
    if high:
        sides.append(math.log(high / value))
    return max(0.0, *sides) if sides else None


def pool_figure(repeats: Iterable[Measured]) -> Measured:
    """One figure from repeats of a level: the mean of the logs.

    Its interval is the wider of two: within, from the repeats' own intervals, root(sum of squares) / n; and between,
    t(n - 1) x sd of the logs / root(n). A repeat without the figure leaves the level without it.
    """
    figures = list(repeats)
    if len(figures) == 1:
        return figures[0]
    over = [one.more_than for one in figures if one.more_than is not None]
    values = [one.value for one in figures if one.value is not None]
    if len(values) < len(figures):
        return Measured(more_than=max(over)) if over else Measured()
    logs = [math.log(value) for value in values]
    halves = [one.log_half for one in figures if one.log_half is not None]
    within = math.sqrt(sum(half * half for half in halves)) / len(halves) if len(halves) == len(figures) else 0.0
    half = max(within, student_t975(len(logs) - 1) * stdev(logs) / math.sqrt(len(logs)))
    return from_log(fmean(logs), half)


def from_log(log_value: float, half: float) -> Measured:
    """A figure and its interval from the log scale."""
    return Measured(math.exp(log_value), half, (math.exp(log_value - half), math.exp(log_value + half)))


def student_t975(degrees: int) -> float:
    """Student's t at 0.975: a table to 10 degrees of freedom, then its series in 1/degrees (error below 0.001)."""
    if degrees <= len(_T975):
        return _T975[degrees - 1]
    z, n = Z95, degrees
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * n**3)
    return z + (z**3 + z) / (4 * n) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * n**2) + third


def pool_extra(levels: Sequence[LevelSummary]) -> dict[str, float]:
    """The numbers among the further facts that every repeat has: their mean."""
    names = set.intersection(*(set(_numbers(level.extra)) for level in levels))
    return {name: fmean(_numbers(level.extra)[name] for level in levels) for name in sorted(names)}


def _numbers(extra: dict[str, Any]) -> dict[str, float]:
    """The finite numbers among further facts, plain or as `{"value": …}`; flags, texts and None are no numbers."""
    bare = {name: value.get("value") if isinstance(value, dict) else value for name, value in extra.items()}
    plain = {name: value for name, value in bare.items() if isinstance(value, int | float)}
    return {name: float(v) for name, v in plain.items() if not isinstance(v, bool) and math.isfinite(v)}
