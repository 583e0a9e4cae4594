"""The tables of docs/PREDICTION.md: how wrong predictions were, whether their intervals hold, aiconfigurator beside.

    python benchmarks/predict_fit.py --points held_out.csv
    python benchmarks/predict_table.py held_out.csv

Every error is of a point that the fit had not seen. Coverage is nested: the factor of an interval comes from points of
other parts than those that it is tried on, 5 parts drawn with seed 2 for `same`, and for the other tiers the misses of
other models, cards or engines than the one that was left out. benchmarks/results/predict_peer.csv has aiconfigurator's
predictions. Markdown on stdout.
"""

import csv
import math
import sys
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np

from breakeven.predict.calibrations import TIERS, Tier
from breakeven.predict.levels import Key, nearest
from breakeven.predict.validate import SHARES, factor, groups
from breakeven.reference.serving import serving_points

HERE: Final = Path(__file__).parent
FIGURES: Final = {"tpot_s": "TPOT", "ttft_s": "TTFT", "output_tok_per_s": "throughput"}
SIZES: Final = ("tp", "input_tokens", "output_tokens", "users")
SEED: Final = 2
LEFT_OUT: Final[Mapping[str, Callable[["Held"], Hashable]]] = {
    "card": lambda one: (one.key.engine, one.key.gpu, one.model),
    "engine": lambda one: (one.key.engine, one.key.gpu),
    "none": lambda one: one.key.engine,
}


class Held(NamedTuple):
    """A point that was held out."""

    key: Key
    model: str
    waits: bool
    settings: tuple[int, ...]
    """Cards, input and output tokens, users."""
    errors: dict[str, float]
    """log(measured / predicted)."""

    @property
    def is_ours_to_prove(self) -> bool:
        """Of the dense models on H100 and H200."""
        return self.key.kind == "dense" and self.key.gpu in {"h100-sxm", "h200-sxm"}


def read(path: Path) -> dict[str, list[Held]]:
    made: dict[str, list[Held]] = defaultdict(list)
    with path.open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            key = Key(*(row[name] for name in Key._fields))  # type: ignore[arg-type]
            settings = tuple(int(row[name]) for name in SIZES)
            errors = {name: float(row[name]) for name in FIGURES if row[name]}
            made[row["tier"]].append(Held(key, row["model"], row["bound"] == "kv", settings, errors))
    return made


def median(errors: Iterable[float]) -> float:
    """Median of |predicted / measured - 1|."""
    return float(np.median(np.abs(np.expm1(-np.array(list(errors))))))


def by_tier(held: Mapping[str, Sequence[Held]]) -> None:
    print("| tier | points | TPOT | TTFT | throughput |\n|---|---|---|---|---|")
    for tier in TIERS:
        rows = [one.errors for one in held[tier] if one.is_ours_to_prove and one.errors]
        cells = (f"{median(row[name] for row in rows):.1%}" for name in FIGURES)
        print(f"| {tier} | {len(rows)} | {' | '.join(cells)} |")


def covered(tier: Tier, held: Sequence[Held]) -> None:
    """How many figures lay in intervals that had not seen them, a line for each group."""
    held = [one for one in held if one.errors]
    drawn = np.random.default_rng(SEED).integers(0, 5, len(held)).tolist()
    parts = [LEFT_OUT[tier](one) for one in held] if tier in LEFT_OUT else drawn
    tried: dict[str, dict[str, list[tuple[bool, float]]]] = defaultdict(lambda: defaultdict(list))
    for part in dict.fromkeys(parts):
        others = [one for one, at in zip(held, parts, strict=True) if at != part]
        found = groups(((one.key, one.waits, one) for one in others), tier)
        for figure in FIGURES:
            known = {at: factor([one.errors[figure] for one in rows], share=SHARES[tier]) for at, rows in found.items()}
            for one in (one for one, at in zip(held, parts, strict=True) if at == part):
                width = _nearest(one, known)
                for name in names(one):
                    tried[name][figure].append((abs(one.errors[figure]) <= math.log(width), width))
    for name, figures in sorted(tried.items()):
        cells = " | ".join(
            f"{np.mean([inside for inside, _ in rows]):.0%} (x {np.median([width for _, width in rows]):.2f})"
            for rows in figures.values()
        )
        print(f"| {tier} | {name} | {len(figures['tpot_s'])} | {cells} |")


def names(one: Held) -> Iterable[str]:
    """The groups that a point counts in."""
    yield f"all {one.key.kind}"
    if one.is_ours_to_prove:
        yield "dense, H100 and H200"
        yield f"dense, H100 and H200, {one.key.engine}"
    if one.waits:
        yield "users wait for a place"


def _nearest(one: Held, known: Mapping[tuple[Key, bool], float | None]) -> float:
    widths = {key: width for (key, waits), width in known.items() if waits == one.waits and width}
    key = nearest(one.key, widths)
    return widths[key] if key else math.inf


def beside(held: Mapping[str, Sequence[Held]], path: Path) -> None:
    """aiconfigurator and ours on the same points."""
    ours = {tier: {(one.model, one.key, one.settings): one.errors for one in held[tier]} for tier in TIERS}
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    measured = {settings_of(row): row for row in map(msgspec.structs.asdict, serving_points())}
    refused = 0
    with path.open(encoding="utf-8") as file:
        for line in csv.DictReader(file):
            refused += bool(line["peer_error"])
            if line["peer_error"]:
                continue
            at = settings_of(line)
            for name, error in peer_errors(line, measured[at]).items():
                found["aiconfigurator 0.12.0"][name].append(error)
            for tier in TIERS:
                for name, error in ours[tier][at].items():
                    found[f"ours, {tier}"][name].append(error)
    points = len(found["aiconfigurator 0.12.0"]["tpot_s"])
    print(f"\n{points} points, {refused} more that aiconfigurator refused\n")
    print("| predicted by | TPOT | TTFT | throughput |\n|---|---|---|---|")
    for name, errors in found.items():
        print(f"| {name} | {' | '.join(f'{median(errors[it]):.1%}' for it in FIGURES)} |")


def settings_of(row: Mapping[str, Any]) -> tuple[str, Key, tuple[int, ...]]:
    """What a line of serving.csv and of the peer's are the same in."""
    key = Key("dense", row["engine"], row["gpu"], row["precision"], row["version"] or row["measured"])
    return row["model"], key, tuple(int(row[name]) for name in SIZES)


def peer_errors(line: Mapping[str, str], row: Mapping[str, Any]) -> dict[str, float]:
    """log(measured / predicted); its throughput is that of a closed loop with its TTFT and TPOT."""
    steps = row["output_tokens"] - 1
    true = {"tpot_s": row["tpot_ms"], "ttft_s": row["ttft_ms"]}
    said = {"tpot_s": float(line["peer_tpot_ms"]), "ttft_s": float(line["peer_ttft_ms"])}
    took = [one["ttft_s"] + steps * one["tpot_s"] for one in (said, true)]
    return {name: math.log(true[name] / said[name]) for name in true} | {
        "output_tok_per_s": math.log(took[0] / took[1])
    }


def main() -> None:
    held = read(Path(sys.argv[1]))
    by_tier(held)
    print("\n| tier | points of | n | TPOT | TTFT | throughput |\n|---|---|---|---|---|---|")
    for tier in TIERS:
        covered(tier, held[tier])
    beside(held, HERE / "results" / "predict_peer.csv")


if __name__ == "__main__":
    main()
