"""No run meets a service level: which comes nearest to each part of it, and how near."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from breakeven.findings.names import labels, unit
from breakeven.metrics.slo import Limit, ServiceLevel
from breakeven.metrics.summary import LevelSummary, RunSummary
from breakeven.say import short
from breakeven.units import load_text, short_s


class _Seen(NamedTuple):
    value: float
    name: str
    level: LevelSummary

    def where(self) -> str:
        return f"{self.name} at {load_text(self.level.users, self.level.req_per_s_offered)}"


def nearest_text(runs: Sequence[RunSummary], service: ServiceLevel) -> str:
    """`nothing meets at least 500 tok/s a user on average: RTX 4090 at 1 user comes nearest with 139 tok/s`."""
    counted = f"{unit(runs[0].run)}/s" if runs else "tok/s"
    levels = [
        (name, level) for name, run in zip(labels([run.run for run in runs]), runs, strict=True) for level in run.levels
    ]
    told = [*_speed(levels, service, counted), *(_latency(levels, limit) for limit in _limits(service))]
    return f"nothing meets {service.text(unit=counted)}: {'; '.join(told) or 'no run says how fast it was'}"


def _limits(service: ServiceLevel) -> tuple[Limit, ...]:
    return service.slo.limits if service.slo else ()


def _speed(levels: Sequence[tuple[str, LevelSummary]], service: ServiceLevel, counted: str) -> Iterator[str]:
    """The most tok/s that a user gets on average."""
    seen = [
        _Seen(level.output_tok_per_s.value / level.users, name, level)
        for name, level in levels
        if level.users and level.output_tok_per_s.value
    ]
    if service.floor_tok_per_s_per_user is not None and seen:
        best = max(seen, key=lambda one: one.value)
        yield f"{best.where()} comes nearest with {short(best.value)} {counted}"


def _latency(levels: Sequence[tuple[str, LevelSummary]], limit: Limit) -> str:
    metric, statistic = limit.of
    seen = [
        _Seen(value, name, level)
        for name, level in levels
        if (value := level.of(metric).at(statistic).value) is not None
    ]
    if not seen:
        return f"no run has a {limit.metric}"
    best = min(seen, key=lambda one: one.value)
    return f"the least {limit.metric} is {short_s(best.value)} ({best.where()})"
