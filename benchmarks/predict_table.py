"""The tables of docs/PREDICTION.md: how wrong predictions were, whether their intervals hold, aiconfigurator beside.

    python benchmarks/predict_table.py

The same rows that `breakeven predict --validate` prints, for the groups that the page speaks of; Markdown on stdout.
benchmarks/predict_fit.py makes what they rest on, benchmarks/predict_peer.py aiconfigurator's predictions.
"""

from collections.abc import Callable, Iterator
from typing import Final

from breakeven.predict.calibrations import ALL_TIERS
from breakeven.predict.coverage import FIGURES, HeldByTier, Tried, row, shipped, tried
from breakeven.reference.serving import PEER

PROVEN: Final = frozenset({"h100-sxm", "h200-sxm"})
"""Cards of the points on which the predictor's worth is shown, with dense models."""


def _is_proven(one: Tried) -> bool:
    return one.held.key.kind == "dense" and one.held.point.gpu in PROVEN


GROUPS: Final[dict[str, Callable[[Tried], bool]]] = {
    "all dense": lambda one: one.held.key.kind == "dense",
    "all experts": lambda one: one.held.key.kind == "experts",
    "dense, H100 and H200": _is_proven,
    "users wait for a place": lambda one: one.held.waits,
    "1 to 64 users": lambda one: one.held.point.users <= 64,
    "65 users and more": lambda one: one.held.point.users > 64,
    "GB200": lambda one: one.held.point.gpu.startswith("gb200"),
}


def tables(held: HeldByTier) -> Iterator[str]:
    """Line by line."""
    points = {tier: tried(tier, held[tier]) for tier in ALL_TIERS}
    proven = {tier: row([one for one in points[tier] if _is_proven(one)], tier=tier) for tier in ALL_TIERS}
    yield "| tier | points | TPOT | TTFT | throughput |\n|---|---|---|---|---|"
    for tier, found in proven.items():
        yield f"| {tier} | {found.points} | {_errors({name: found.figures[name].error for name in FIGURES})} |"
    yield "\n| predicted by | TPOT | TTFT | throughput |\n|---|---|---|---|"
    besides = {tier: found.beside for tier, found in proven.items() if found.beside}
    yield f"| {PEER} | {_errors(besides['same'].peers)} |"
    for tier, beside in besides.items():
        yield f"| ours, {tier} | {_errors(beside.ours)} |"
    yield "\n| tier | points of | n | TPOT | TTFT | throughput |\n|---|---|---|---|---|---|"
    for tier in ALL_TIERS:
        for name, is_in in GROUPS.items():
            members = [one for one in points[tier] if is_in(one)]
            if not members:
                continue
            found = row(members, tier=tier)
            cells = (f"{one.inside:.0%} (x {one.factor or 0:.2f})" for one in map(found.figures.get, FIGURES) if one)
            yield f"| {tier} | {name} | {found.points} | {' | '.join(cells)} |".replace("%", " %")


def _errors(errors: dict[str, float]) -> str:
    return " | ".join(f"{errors[name]:.1%}" for name in FIGURES).replace("%", " %")


if __name__ == "__main__":
    print("\n".join(tables(shipped())))
