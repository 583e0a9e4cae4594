"""Fit the shipped calibrations and find out how wrong they are on what they have not seen.

    python benchmarks/predict_fit.py [--only-fit]

Reads src/breakeven/reference/serving.csv; writes calibrations.csv, spreads.csv and misses.csv beside it, the last with
the errors of every point, held out in each tier. Takes a minute or two on one core.
"""

import csv
import math
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import median

from kernel_steps import known
from predict_article import by_kernels, old_curves, today

from breakeven.predict.calibrations import ELSEWHERE, TIERS, Calibration, Tier, rows_of
from breakeven.predict.levels import Calibrated, Group, Key, fit_levels
from breakeven.predict.shipped import shipped_points
from breakeven.predict.validate import (
    SHARES,
    Miss,
    factor,
    group_of,
    groups,
    half_widths,
    held_out,
    held_out_by_kernels,
    held_out_of_curves,
)
from breakeven.reference import serving

OUT = Path(__file__).parents[1] / "src" / "breakeven" / "reference"
FIGURES = ("ttft_s", "tpot_s", "output_tok_per_s")
SEED = 1


def write(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        out = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        out.writeheader()
        out.writerows(rows)


def calibrations(measured: Sequence[Calibrated], months: Mapping[Key, set[str]]) -> list[Calibration]:
    below: dict[Key, list[Calibrated]] = defaultdict(list)
    for one in measured:
        for key in one.key.chain:
            below[key].append(one)
    made = []
    for key, found in sorted(fit_levels(measured).items()):
        dates = sorted({month for one in below[key] for month in months[one.key] if month})
        made.append(
            Calibration(
                **key._asdict(),
                parameters=found,
                models=tuple(sorted({one.point.model.key for one in below[key]})),
                points=len(below[key]),
                measured="…".join(dict.fromkeys((dates[0], dates[-1]))) if dates else "",
                source=serving.NAME,
                licence=serving.LICENCE,
            )
        )
    return made


Widths = Mapping[Group, Mapping[str, float | None]]
"""By group and figure."""


def widths_of(found: Mapping[Group, Sequence[Miss]], tier: Tier) -> Widths:
    by_figure = {name: half_widths(found, tier, partial(_error, name)) for name in FIGURES}
    return {group: {name: widths.get(group) for name, widths in by_figure.items()} for group in found}


def _error(name: str, miss: Miss) -> tuple[str, float]:
    return miss.calibrated.key.engine, miss.errors[name]


def line_of(
    tier: Tier,
    group: Group,
    *,
    factors: Mapping[str, float | None],
    points: int,
    elsewhere: bool = False,
    own: bool = False,
) -> dict[str, object]:
    flags = {name: str(flag).lower() for name, flag in (("waits", group.waits), ("elsewhere", elsewhere))}
    flags |= {"users": str(group.users), "own": str(own).lower()}
    shown = {name: "" if value is None else f"{value:.3f}" for name, value in factors.items()}
    return {"tier": tier, **group.key._asdict(), **flags, **shown, "points": points}


def by_group(misses: Iterable[Miss], tier: Tier) -> dict[Group, list[Miss]]:
    rows = [
        (group_of(miss.calibrated.key, waits=miss.bound == "kv", users=miss.calibrated.point.users), miss)
        for miss in misses
        if miss.errors
    ]
    return groups(rows, tier)


def spreads(tier: Tier, misses: Iterable[Miss]) -> list[dict[str, object]]:
    found = by_group(misses, tier)
    widths = widths_of(found, tier)
    made = [line_of(tier, group, factors=widths[group], points=len(members)) for group, members in found.items()]
    for group in found if tier in ELSEWHERE else ():
        if not group.users:
            continue
        dense = widths[group_of(Key("dense"), waits=False, users=group.users)]
        made += elsewhere(tier, group, known=widths[group], near=dense["output_tok_per_s"])
    return made


def own_spreads(misses: Iterable[Miss]) -> list[dict[str, object]]:
    """Lines for a fit of a user's own levels, for each kind of model."""
    found = by_group(misses, "same")
    widths = widths_of(found, "same")
    return [
        line_of("same", group, factors=widths[group], points=len(members), own=True)
        for group, members in found.items()
        if not group.key.engine
    ]


def elsewhere(
    tier: Tier, group: Group, *, known: Mapping[str, float | None], near: float | None
) -> list[dict[str, object]]:
    """Lines for cards of architectures that no shipped point is of, by users.

    2024's cards tell how far their throughput lies from what the shipped points say. With few users the card decides,
    and all curves count; with many, how the engine of its year schedules, so that where an engine's other cards were
    measured only curves of named engines count. There prompts were short: TPOT's interval is at least that of the
    throughput. TTFT, the models with experts and who waits were not measured: as much wider as that of the throughput.
    By kernels the cards that have some count as these say.
    """
    curves = [curve for curves in old_curves() for curve in curves]
    kernels = {id(miss.curve): miss for miss in by_kernels(curves)} if tier == "kernels" else {}
    misses = [kernels.get(id(miss.curve), miss) for miss in today(curves)]
    bands = (((1, 9), False), ((10, 49), False), ((50, 100), tier != "none"))
    made = []
    for (first, last), named in (band for band in bands if band[0][1] >= group.users):
        errors = [
            error
            for miss in misses
            for error, point in zip(miss.errors, miss.curve.points, strict=True)
            if error is not None and first <= point.users <= last and (miss.curve.engine or not named)
        ]
        far = factor(errors, share=SHARES[tier])
        assert near is not None
        assert far is not None
        wider = {name: value and value * max(1.0, far / near) for name, value in known.items()}
        if known["tpot_s"] and wider["output_tok_per_s"]:
            wider["tpot_s"] = max(known["tpot_s"], wider["output_tok_per_s"])
        of = group._replace(users=max(first, group.users))
        made.append(line_of(tier, of, elsewhere=True, factors=wider, points=len(errors)))
    return made


def lines(tier: Tier, misses: Iterable[Miss], places: Mapping[int, int]) -> list[dict[str, object]]:
    """Of misses.csv, in the order of serving.csv."""
    made = [
        {"tier": tier, "point": places[id(miss.calibrated)], "bound": miss.bound}
        | {name: f"{miss.errors[name]:.4f}" if name in miss.errors else "" for name in FIGURES}
        for miss in misses
    ]
    return sorted(made, key=lambda line: str(line["point"]).zfill(9))


def medians(misses: Iterable[Miss]) -> dict[str, float]:
    """Of |predicted / measured - 1|, H100 and H200."""
    near = [miss for miss in misses if miss.calibrated.key.gpu[:4] in {"h100", "h200"}]
    return {name: median(abs(math.expm1(-miss.errors[name])) for miss in near if miss.errors) for name in FIGURES}


def main() -> None:
    measured, months = shipped_points()
    write(OUT / "calibrations.csv", rows_of(calibrations(measured, months)))
    if "--only-fit" in sys.argv:
        return
    places = {id(one): index for index, one in enumerate(measured)}
    table, points = own_spreads(held_out_of_curves(measured)), []
    for tier in TIERS:
        misses = held_out(measured, tier, seed=SEED)
        table += spreads(tier, misses)
        points += lines(tier, misses, places)
        print(tier, len(misses), flush=True)
        write(OUT / "spreads.csv", table)
    misses = held_out_by_kernels(measured, known())
    write(OUT / "misses.csv", [*points, *lines("kernels", misses, places)])
    print("kernels", len(misses), medians(misses), flush=True)
    write(OUT / "spreads.csv", [*table, *spreads("kernels", misses)])


if __name__ == "__main__":
    main()
