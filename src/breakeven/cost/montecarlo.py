"""Monte Carlo: 100,000 draws of every uncertain input at once, and what they say about the figures."""

import zlib
from collections.abc import Callable
from typing import Final

import numpy as np

from breakeven.cost.inputs import Scenario, Spread, inputs
from breakeven.cost.limits import limits
from breakeven.cost.model import Worked, columns, row_of, work_out
from breakeven.cost.primitives import Array
from breakeven.cost.ranges import ranges_of
from breakeven.cost.result import Outcome, Uncertainty, one
from breakeven.cost.uncertain import correlate, draw

DRAWS: Final = 100_000
QUANTILES: Final = {"p5": 0.05, "p10": 0.10, "p50": 0.50, "p90": 0.90, "p95": 0.95}
OUTCOMES: Final = (
    "reference.break_even_h",
    "candidate.break_even_h",
    "k",
    "parity_usd_per_h_set",
    "parity_usd_per_h_card",
    "ratio",
    "reference.usd_per_mtok_output",
    "candidate.usd_per_mtok_output",
    "usd_per_mtok_ratio",
    "reference.owner_usd_per_h_card",
    "candidate.owner_usd_per_h_card",
    "reference.npv_usd",
    "candidate.npv_usd",
    "candidate.api_flip_load_factor",
    "candidate.api_break_even_h",
)
"""Figures whose distribution is kept."""


def draws_of(scenario: Scenario, n: int, *, seed: int) -> dict[str, Array]:
    """Columns by place: `n` draws of every uncertain input, one number for the others.

    Each place has a stream of its own, so that a range more or less does not change the other draws. Inputs of the
    market are drawn once and serve both sides.
    """
    found = columns(scenario)
    for place, value in inputs(scenario).items():
        if isinstance(value, Spread):
            found[place] = draw(value, n, rng=_stream(seed, place), limits=limits(place))
    pairs = [(*pair.between, pair.rank) for pair in scenario.correlations]
    correlate(found, pairs, rng=_stream(seed, "correlations"))
    return _with_cards(scenario, found, n, seed=seed)


def _stream(seed: int, name: str) -> np.random.Generator:
    return np.random.default_rng([seed, zlib.crc32(name.encode())])


def _with_cards(scenario: Scenario, found: dict[str, Array], n: int, *, seed: int) -> dict[str, Array]:
    """Each card differs from its type: one effect a side on all its throughputs, and on k where k rests on them."""
    for side, on_count in (("reference", 1), ("candidate", -1)):
        part = getattr(scenario, side)
        if part is None or not part.node_sd_log:
            continue
        effect = np.exp(part.node_sd_log * _stream(seed, f"{side} card").standard_normal(n))
        for name in ("tok_per_s", "input_tok_per_s", "good_tok_per_s"):
            if f"{side}.{name}" in found:
                found[f"{side}.{name}"] = found[f"{side}.{name}"] * effect
        if scenario.reference is not None and scenario.candidate.tok_per_s is None:
            found["candidate.count"] = found["candidate.count"] * effect**on_count
    return found


def uncertainty(scenario: Scenario, *, seed: int, n: int = DRAWS) -> Uncertainty:
    """Quantiles and P(never) of every figure in OUTCOMES, and the probabilities that decide."""
    worked = work_out(scenario, draws_of(scenario, n, seed=seed), wanted=_WANTED)
    found = [(path, worked.column(path)) for path in OUTCOMES]
    return Uncertainty(
        draws=n,
        seed=seed,
        ranges=ranges_of(scenario),
        outcomes=tuple(_outcome(path, column) for path, column in found if column is not None and column.size > 1),
        probabilities=probabilities(worked),
        cheapest=cheapest(worked),
        shared=tuple(
            place
            for place, value in inputs(scenario).items()
            if isinstance(value, Spread) and not place.startswith(("candidate.", "reference."))
        ),
    )


def _outcome(path: str, column: Array) -> Outcome:
    row = row_of(path)
    known = column[~np.isnan(column)]
    return Outcome(
        name=path,
        label=row.label,
        unit=row.unit,
        quantiles={label: quantile_of(known, p) for label, p in QUANTILES.items()},
        p_never=float(np.isposinf(column).mean()),
        p_undefined=float(np.isnan(column).mean()),
    )


def quantile_of(column: Array, p: float) -> float | None:
    """Order statistic of a column, never-draws last; None where it falls on one of them or there is nothing."""
    if column.size == 0:
        return None
    return one(float(np.quantile(column, p, method="inverted_cdf")))


_PROBABILITIES: Final[tuple[tuple[str, str, str | float, Callable[[Array, Array], Array]], ...]] = (
    ("candidate_breaks_even_first", "candidate.break_even_h", "reference.break_even_h", np.less),
    ("candidate_tokens_cheaper", "candidate.usd_per_mtok_output", "reference.usd_per_mtok_output", np.less),
    ("candidate_work_cheaper", "candidate.serving_usd_per_h", "reference.serving_usd_per_h", np.less),
    ("candidate_parity_rent_below_reference_rent", "ratio", 1.0, np.greater),
    ("candidate_npv_below_0", "candidate.npv_usd", 0.0, np.less),
    ("reference_npv_below_0", "reference.npv_usd", 0.0, np.less),
    ("candidate_cheaper_than_api", "candidate.serving_usd_per_h", "candidate.api_usd_per_h", np.less),
)

WAYS: Final = (
    "reference.usd_per_mtok_output",
    "reference.usd_per_mtok_output_hours_used",
    "candidate.usd_per_mtok_output",
    "candidate.usd_per_mtok_output_hours_used",
    "candidate.api_usd_per_mtok_all_on_output",
)
"""Ways to be served, by the figure of what a million output tokens cost in each."""

_WANTED: Final = {path.rpartition(".")[2] for path in (*OUTCOMES, *WAYS)} | {
    side.rpartition(".")[2] for _, left, right, _ in _PROBABILITIES for side in (left, right) if isinstance(side, str)
}


def cheapest(worked: Worked) -> dict[str, float]:
    """Share of the draws in which each way is the cheapest; a way that a draw leaves undefined is not."""
    known = {path: column for path in WAYS if (column := worked.column(path)) is not None}
    if not known:
        return {}
    costs = np.array([np.nan_to_num(one, nan=np.inf) for one in np.broadcast_arrays(*known.values())])
    shares = np.bincount(costs.argmin(axis=0), minlength=len(known)) / costs.shape[1]
    return {path: float(share) for path, share in zip(known, shares, strict=True)}


def probabilities(worked: Worked) -> dict[str, float]:
    """Share of the draws in which a statement holds; a draw with an undefined side does not count for it."""
    found: dict[str, float] = {}
    for name, left, right, holds in _PROBABILITIES:
        a = worked.column(left)
        b = np.array([right]) if isinstance(right, float) else worked.column(right)
        if a is not None and b is not None and max(a.size, b.size) > 1:
            found[name] = float(np.mean(holds(a, b)))
    if "candidate_tokens_cheaper" in found:
        found.pop("candidate_work_cheaper", None)
    return found
