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
from pathlib import Path
from statistics import median

from kernel_steps import known
from predict_article import by_kernels, old_curves, today

from breakeven.predict.calibrations import ELSEWHERE, TIERS, Calibration, Tier, rows_of
from breakeven.predict.levels import Calibrated, Key, fit_levels
from breakeven.predict.shipped import shipped_points
from breakeven.predict.validate import SHARES, Miss, factor, groups, held_out, held_out_by_kernels, held_out_of_curves
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


def spread(tier: Tier, key: Key, waits: bool, misses: Sequence[Miss]) -> dict[str, object]:
    factors = {name: factor([miss.errors[name] for miss in misses], share=SHARES[tier]) for name in FIGURES}
    return line_of(tier, key, waits=waits, factors=factors, points=len(misses))


def line_of(
    tier: Tier,
    key: Key,
    *,
    waits: bool,
    factors: Mapping[str, float | None],
    points: int,
    elsewhere: bool = False,
    users: int = 1,
    own: bool = False,
) -> dict[str, object]:
    flags = {name: str(flag).lower() for name, flag in (("waits", waits), ("elsewhere", elsewhere))}
    flags |= {"users": str(users), "own": str(own).lower()}
    shown = {name: "" if value is None else f"{value:.3f}" for name, value in factors.items()}
    return {"tier": tier, **key._asdict(), **flags, **shown, "points": points}


def spreads(tier: Tier, misses: Iterable[Miss]) -> list[dict[str, object]]:
    rows = [(miss.calibrated.key, miss.bound == "kv", miss) for miss in misses if miss.errors]
    found = groups(rows, tier)
    made = [spread(tier, key, waits, group) for (key, waits), group in found.items()]
    for (key, waits), group in found.items() if tier in ELSEWHERE else ():
        made += elsewhere(tier, key, waits, group, dense=found[Key("dense"), False])
    return made


def own_spreads(misses: Iterable[Miss]) -> list[dict[str, object]]:
    """Lines for a fit of a user's own levels, one for each kind of model."""
    rows = [(miss.calibrated.key, miss.bound == "kv", miss) for miss in misses if miss.errors]
    return [
        {**spread("same", key, waits, group), "own": "true"}
        for (key, waits), group in groups(rows, "same").items()
        if not key.engine
    ]


def elsewhere(
    tier: Tier, key: Key, waits: bool, group: Sequence[Miss], *, dense: Sequence[Miss]
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
    near = factor([miss.errors["output_tok_per_s"] for miss in dense], share=SHARES[tier])
    known = {name: factor([miss.errors[name] for miss in group], share=SHARES[tier]) for name in FIGURES}
    made = []
    for (first, last), named in (((1, 9), False), ((10, 49), False), ((50, 100), tier != "none")):
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
        made.append(line_of(tier, key, waits=waits, elsewhere=True, users=first, factors=wider, points=len(errors)))
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
    write(OUT / "misses.csv", points)
    misses = held_out_by_kernels(measured, known())
    print("kernels", len(misses), medians(misses), flush=True)
    write(OUT / "spreads.csv", [*table, *spreads("kernels", misses)])


if __name__ == "__main__":
    main()
