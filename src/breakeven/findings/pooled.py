"""The repeats of a load as one level, so that a page has one row and one point for each."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeVar

from msgspec.structs import replace

from breakeven.compare.pool import pool_extra, pool_figures
from breakeven.metrics.bracket import load_of
from breakeven.metrics.definitions import METRICS
from breakeven.metrics.goodput import VERDICTS
from breakeven.metrics.pooling import Measured
from breakeven.metrics.statistics import QUANTILES, STATISTICS
from breakeven.metrics.summary import Distribution, LevelSummary, Quantile

Number = TypeVar("Number", int, float)

REPEATS: Final = "repeats"
"""Name among a level's further facts under which stands of how many it was made."""


def one_a_load(levels: Sequence[LevelSummary]) -> tuple[LevelSummary, ...]:
    """Levels by load, in the order given: the finished repeats of one together, as `compare` puts them together.

    Rates and percentiles are means of logs with the wider of two intervals, within and between the repeats; counts are
    sums; cautions are those of any repeat; requests of an open loop went out as late as in the worst. Of a load that no
    repeat has finished, the first one stands for all. Levels whose load nobody knows, as in some files of other tools,
    are no repeats of one another.
    """
    groups: dict[tuple[float | None, int], list[LevelSummary]] = {}
    for number, level in enumerate(levels):
        load = load_of(level)
        groups.setdefault((load, number if load is None else 0), []).append(level)
    return tuple(_together([one for one in group if one.status == "done"] or group[:1]) for group in groups.values())


def _together(group: Sequence[LevelSummary]) -> LevelSummary:
    if len(group) == 1:
        return group[0]
    figures = pool_figures(group)
    last = group[-1]
    kinds: Counter[str] = Counter()
    for level in group:
        kinds.update(level.errors_by_kind)
    return replace(
        last,
        repeat=0,
        steady=all(level.steady for level in group),
        window_s=_sum([level.window_s for level in group]),
        input_tokens=_sum([level.input_tokens for level in group]),
        output_tokens=_sum([level.output_tokens for level in group]),
        requests=sum(level.requests for level in group),
        cut=sum(level.cut for level in group),
        errors=sum(level.errors for level in group),
        errors_by_kind=dict(kinds),
        reconnects=sum(level.reconnects for level in group),
        output_tok_per_s=figures["output_tok_per_s"].estimate(),
        total_tok_per_s=figures["total_tok_per_s"].estimate(),
        req_per_s=figures["req_per_s"].estimate(),
        distributions={name: _distribution(group, figures, name) for name in METRICS},
        client=replace(last.client, schedule_lag_p99_s=_worst([level.client.schedule_lag_p99_s for level in group])),
        cautions=tuple({caution.id: caution for level in group for caution in level.cautions}.values()),
        extra={**last.extra, **pool_extra(group), **_verdict(group), REPEATS: len(group)},
    )


def _verdict(group: Sequence[LevelSummary]) -> dict[str, Any]:
    """Of several repeats all must meet the limits: what the worst of them says."""
    judged = [level.extra for level in group if level.extra.get("verdict") in VERDICTS]
    worst = min(judged, key=lambda extra: VERDICTS.index(extra["verdict"]), default=None)
    return {} if worst is None else {name: worst.get(name, ()) for name in ("verdict", "missed", "met")}


def _sum(values: Sequence[Number | None]) -> Number | None:
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None


def _worst(values: Sequence[float | None]) -> float | None:
    return max((value for value in values if value is not None), default=None)


def _distribution(group: Sequence[LevelSummary], figures: Mapping[str, Measured], name: str) -> Distribution:
    each = [level.of(name) for level in group]
    found = {which: figures[f"{METRICS[name].short}_{which}"] for which in STATISTICS}
    return Distribution(
        n=sum(one.n for one in each),
        censored=sum(one.censored for one in each),
        mean=found["mean"].value,
        **{which: _quantile(found[which]) for which in QUANTILES},
    )


def _quantile(found: Measured) -> Quantile:
    return Quantile(value=found.value, ci95=found.ci95, more_than=found.more_than)
