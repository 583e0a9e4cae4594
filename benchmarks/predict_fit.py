"""Fit the shipped calibrations and find out how wrong they are on what they have not seen.

    python benchmarks/predict_fit.py [--only-fit] [--points FILE]

Reads src/breakeven/reference/serving.csv; writes calibrations.csv and spreads.csv beside it and, where asked, every
point that was held out, by tier, with its errors. Takes some four minutes on one core.
"""

import csv
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from breakeven.predict.calibrations import TIERS, Calibration, Tier, rows_of
from breakeven.predict.levels import Calibrated, Key, fit_levels
from breakeven.predict.shipped import shipped_points
from breakeven.predict.validate import Miss, factor, held_out
from breakeven.reference import serving

OUT = Path(__file__).parents[1] / "src" / "breakeven" / "reference"
FIGURES = ("ttft_s", "tpot_s", "output_tok_per_s")
ENOUGH = 30
"""Points held out from which on a group has an interval of its own."""
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
    factors = {name: factor([miss.errors[name] for miss in misses]) for name in FIGURES}
    shown = {name: "" if value is None else f"{value:.3f}" for name, value in factors.items()}
    return {"tier": tier, **key._asdict(), "waits": str(waits).lower(), **shown, "points": len(misses)}


def spreads(tier: Tier, misses: Iterable[Miss]) -> list[dict[str, object]]:
    groups: dict[tuple[Key, bool], list[Miss]] = defaultdict(list)
    for miss in misses:
        if miss.errors:
            for key in miss.calibrated.key.chain if tier == "same" else miss.calibrated.key.chain[:1]:
                groups[key, miss.bound == "kv"].append(miss)
    kept = [(*at, rows) for at, rows in sorted(groups.items()) if len(rows) >= ENOUGH or not at[0].engine]
    return [spread(tier, key, waits, rows) for key, waits, rows in kept]


def lines(tier: Tier, misses: Iterable[Miss]) -> list[dict[str, object]]:
    return [
        {"tier": tier, **miss.calibrated.key._asdict(), "model": miss.calibrated.point.model.key, "bound": miss.bound}
        | {name: getattr(miss.calibrated.point, name) for name in ("tp", "input_tokens", "output_tokens", "users")}
        | {name: f"{miss.errors[name]:.4f}" if name in miss.errors else "" for name in FIGURES}
        for miss in misses
    ]


def main() -> None:
    measured, months = shipped_points()
    write(OUT / "calibrations.csv", rows_of(calibrations(measured, months)))
    if "--only-fit" in sys.argv:
        return
    table, points = [], []
    for tier in TIERS:
        misses = held_out(measured, tier, seed=SEED)
        table += spreads(tier, misses)
        points += lines(tier, misses)
        print(tier, len(misses), flush=True)
        write(OUT / "spreads.csv", table)
        if "--points" in sys.argv:
            write(Path(sys.argv[sys.argv.index("--points") + 1]), points)


if __name__ == "__main__":
    main()
