"""Service levels: a floor on the mean speed of a user, limits on latency, or both."""

import math
import re
from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from breakeven.errors import UsageError, unknown
from breakeven.metrics.definitions import METRICS
from breakeven.metrics.statistics import QUANTILES, STATISTICS
from breakeven.units import exact, parse_duration_s, short_s

PRESETS: Final = {
    "mlperf-server": "ttft_p99=2s,tpot_p99=100ms",
    "mlperf-interactive": "ttft_p99=500ms,tpot_p99=30ms",
}
"""Limits that MLPerf Inference sets for Llama 3.1 8B in a data centre: conversational and interactive, both at p99.

MLCommons, inference_policies/inference_rules.adoc at ac93e89 (2026-07-23); it also asks for 600 s of Poisson arrivals.
"""

LONGEST_BARE_S: Final = 600.0
"""A limit above this needs a unit: other tools take milliseconds, so that 2000 is hardly meant as 33 minutes."""
_LIMIT = re.compile(r"\s*(?P<metric>\w+)\s*(?:<=|<|=)\s*(?P<limit>\S+)\s*")


def limited() -> dict[str, tuple[str, str]]:
    """What a limit can be set on, such as `ttft_p99` or `tpot_mean`, all in seconds: row of METRICS and statistic."""
    rows = ((name, metric.short) for name, metric in METRICS.items() if metric.is_limited)
    return {f"{short}_{statistic}": (name, statistic) for name, short in rows for statistic in STATISTICS}


class Limit(Struct, frozen=True, kw_only=True):
    """The most that one latency figure of a level may be."""

    metric: str
    """One of `limited()`."""
    limit_s: float

    @property
    def of(self) -> tuple[str, str]:
        """The row of METRICS, and which statistic of it."""
        return limited()[self.metric]

    @property
    def allowed_share(self) -> float:
        """Part of the requests that may be beyond the limit: 0.01 for p99; for a mean none, read as 0.01 too."""
        return 1 - QUANTILES.get(self.of[1], 0.99)

    @property
    def least_requests(self) -> int:
        """Requests that the figure needs: 100 for p99, 1 for a mean."""
        quantile = QUANTILES.get(self.of[1])
        return 1 if quantile is None else round(1 / (1 - quantile))

    def text(self) -> str:
        return f"{self.metric} <= {short_s(self.limit_s)}"


class Slo(Struct, frozen=True, kw_only=True):
    """Limits that a level must all meet."""

    limits: tuple[Limit, ...]

    def text(self) -> str:
        return ", ".join(limit.text() for limit in self.limits)


class ServiceLevel(Struct, frozen=True, kw_only=True):
    """What a run must give: the `s` of k(s)."""

    floor_tok_per_s_per_user: float | None = None
    """Least throughput / users, the mean speed of a user, not that of every one; words/s where the run counts words."""
    slo: Slo | None = None

    def text(self, *, unit: str = "tok/s") -> str:
        floor = self.floor_tok_per_s_per_user
        parts = [] if floor is None else [f"at least {exact(floor)} {unit} a user on average"]
        return " and ".join(parts + ([] if self.slo is None else [self.slo.text()]))


def parse_slo(text: str) -> Slo:
    """Read `ttft_p99=2s,tpot_p99=100ms` or the name of a preset; UsageError names the part that cannot be read."""
    limits = tuple(_limit(part) for part in PRESETS.get(text.strip(), text).split(",") if part.strip())
    if not limits:
        raise UsageError("--slo: no limit given; write for example ttft_p99=2s,tpot_p99=100ms")
    names = [limit.metric for limit in limits]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"--slo: {name} is limited twice; keep the stricter limit")
    return Slo(limits=limits)


def _limit(part: str) -> Limit:
    match = _LIMIT.fullmatch(part)
    if match is None and part.strip() in PRESETS:
        raise UsageError(
            f"--slo: {part.strip()} stands alone; write out its limits to add one: {PRESETS[part.strip()]}"
        )
    if match is None:
        raise UsageError(
            f"--slo: '{part.strip()}' is no limit; write metric=duration, such as ttft_p99=2s, "
            f"or a preset: {', '.join(PRESETS)}"
        )
    if match["metric"] not in limited():
        raise UsageError("--slo: " + unknown("metric", match["metric"], limited()))
    try:
        limit_s = parse_duration_s(match["limit"])
    except ValueError as error:
        raise UsageError(f"--slo: {match['metric']}: {error}") from None
    if limit_s > LONGEST_BARE_S and match["limit"][-1].isdigit():
        raise UsageError(
            f"--slo: {match['metric']}: {match['limit']} without a unit is seconds; write {match['limit']}ms or "
            f"{match['limit']}s, whichever is meant"
        )
    if limit_s <= 0:
        raise UsageError(f"--slo: {match['metric']}: a limit of 0 s can never be met")
    return Limit(metric=match["metric"], limit_s=limit_s)


def service_levels(*, floors: Sequence[float], slo: Slo | None) -> tuple[ServiceLevel, ...]:
    """One service level a floor, highest load last to ask, then the SLO; UsageError for a floor that is no speed."""
    for floor in floors:
        if not (math.isfinite(floor) and floor > 0):
            raise UsageError(f"--floor: {exact(floor)} is no speed; give tok/s a user above 0, such as --floor 25,50")
    levels = tuple(ServiceLevel(floor_tok_per_s_per_user=floor) for floor in sorted(set(floors)))
    return levels if slo is None else (*levels, ServiceLevel(slo=slo))
