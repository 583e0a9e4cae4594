"""Calibration from the user's own runs: what they tell of card and engine, with the shipped neighbours as prior."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import Final

from msgspec.structs import replace

from breakeven.metrics.summary import LevelSummary, RunSummary
from breakeven.predict.calibrations import Calibration, choose
from breakeven.predict.fit import Point, Prior, Seen, as_prior, fit
from breakeven.predict.levels import NARROWER, Key, key_of
from breakeven.predict.machine import Machine, fit_machine
from breakeven.predict.roofline import known_parts, replicas_of

BURST: Final = Prior(0.015, 0.7)
"""Users of a run come one after the other, and its window opens when they have spread."""


def own(runs: Iterable[RunSummary]) -> tuple[Calibration, ...]:
    """A row for each engine, card and precision that was measured, and one for the card whatever the precision.

    Taken are `levels` of runs whose model, engine and card are known; others tell nothing here (`machine` of a machine
    without a known card).
    """
    groups: dict[Key, list[Point]] = defaultdict(list)
    of: dict[Key, list[RunSummary]] = defaultdict(list)
    for run in runs:
        if run.run.engine.get("name") and (parts := known_parts(run.run)):
            model, gpu, tp = parts
            for seen in levels(run):
                point = Point(
                    **{name: getattr(seen, name) for name in seen.__struct_fields__}, model=model, gpu=gpu, tp=tp
                )
                key = key_of(str(run.run.engine["name"]), str(run.run.engine.get("version") or ""), point)
                groups[key].append(point)
                of[key] += [run] if run not in of[key] else []
    return tuple(row for key, points in groups.items() for row in _rows(key, points, of[key]))


def machine(run: RunSummary) -> Machine | None:
    """The plain step time of a run's machine, for other loads of the same engine and model on it; None where fewer than
    two numbers of users tell of it."""
    seen = levels(run)
    return fit_machine(seen) if len({one.users for one in seen}) > 1 else None


def levels(run: RunSummary) -> tuple[Seen, ...]:
    """What a run of one engine measured, level by level: medians of closed loops without think time or errors."""
    if run.run.kind != "measured" or run.run.settings.get("think_s") or replicas_of(run.run) > 1:
        return ()
    told = [level for level in run.levels if level.users and level.status == "done" and not level.errors]
    lengths = [length for level in told if (length := _output_tokens(level))]
    return tuple(seen for level in told if (seen := _seen(level, _output_tokens(level) or median(lengths or [0]))))


def _output_tokens(level: LevelSummary) -> float | None:
    """By what the median answer took: 1 + (E2E - TTFT) / TPOT; None where few answers came to their end."""
    ttft_s, tpot_s, e2e_s = (level.of(name).p50.value for name in ("ttft_s", "tpot_s", "e2e_s"))
    return 1 + (e2e_s - ttft_s) / tpot_s if ttft_s and tpot_s and e2e_s else None


def _seen(level: LevelSummary, output_tokens: float) -> Seen | None:
    ttft, tpot = level.of("ttft_s"), level.of("tpot_s")
    if not level.users or not output_tokens or not ttft.n or not ttft.p50.value or not tpot.p50.value:
        return None
    return Seen(
        users=level.users,
        input_tokens=(level.input_tokens or 0) / ttft.n,
        output_tokens=output_tokens,
        ttft_s=ttft.p50.value,
        tpot_s=tpot.p50.value,
        output_tok_per_s=level.output_tok_per_s.value,
    )


def _rows(key: Key, points: Sequence[Point], runs: Sequence[RunSummary]) -> tuple[Calibration, ...]:
    first = points[0]
    likes = choose(first.model, first.gpu, engine=key.engine).calibration
    prior: Mapping[str, Prior] = {**as_prior(likes.parameters, narrower=NARROWER), "burst": BURST}
    months = sorted({run.run.started[:7] for run in runs if run.run.started})
    row = Calibration(
        **key._asdict(),
        parameters=fit(points, prior=prior),
        models=tuple(sorted({point.model.key for point in points})),
        points=len(points),
        measured="…".join(dict.fromkeys((months[0], months[-1]))) if months else "",
        source=", ".join(run.run.id for run in runs),
        own=True,
    )
    return row, replace(row, precision="", version="")
