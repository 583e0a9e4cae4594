"""Uncertainty, tornado and sweep as plain text."""

from typing import Final

from breakeven.cost import say
from breakeven.cost.result import CostReport, Outcome, Swing, Tornado

_SAYS: Final[dict[str, str]] = {
    "candidate_breaks_even_first": "the candidate breaks even before the reference",
    "candidate_tokens_cheaper": "the candidate's output tokens are cheaper than the reference's",
    "candidate_work_cheaper": "the candidate does the same work for less",
    "candidate_parity_rent_below_reference_rent": "the ROI parity rent is below the reference's rent",
    "candidate_npv_below_0": "the candidate loses money over its life (NPV below 0)",
    "reference_npv_below_0": "the reference loses money over its life (NPV below 0)",
    "candidate_cheaper_than_api": "the candidate is cheaper than the API",
}
_BAR: Final = 30


def uncertainty(report: CostReport) -> list[str]:
    """What varies, the quantiles of every figure, and the probabilities that decide."""
    found = report.uncertainty
    if found is None:
        return []
    lines = [f"Uncertainty: {found.draws:,} draws, seed {found.seed}; one draw of what is shared serves both sides"]
    lines += [f"  varies: {place}: {text}" for place, text in found.ranges.items()]
    never, undefined = (
        any(getattr(outcome, name) for outcome in found.outcomes) for name in ("p_never", "p_undefined")
    )
    rows = [["", "P5", "P50", "P95", *(["never"] if never else []), *(["undefined"] if undefined else [])]]
    for outcome in found.outcomes:
        chances = [(never, outcome.p_never), (undefined, outcome.p_undefined)]
        rows.append([*_quantiles(outcome), *(_chance(p) for shown, p in chances if shown)])
    lines += say.columns(rows)
    lines += [f"  P({_SAYS[name]}) = {_chance(p) or '0 %'}" for name, p in found.probabilities.items()]
    return lines


def _quantiles(outcome: Outcome) -> list[str]:
    """Label and quantiles of one figure."""
    label = outcome.label if outcome.unit in ("x", "share", "") else f"{outcome.label}, {outcome.unit}"
    values = (outcome.quantiles[p] for p in ("p5", "p50", "p95"))
    return [label, *("never" if value is None else say.bare(value, outcome.unit) for value in values)]


def _chance(p: float) -> str:
    if p == 0:
        return ""
    if p == 1:
        return "100 %"
    return f"{p * 100:.1f} %" if 0.001 <= p <= 0.999 else ("<0.1 %" if p < 0.5 else ">99.9 %")


def tornado(report: CostReport) -> list[str]:
    """One bar an input, the longest first."""
    found = report.tornado
    if found is None:
        return []
    rows = [[f"What moves it most ({found.label})", "P10", "P90", "at P10", "at P90", ""]]
    rows += [
        [
            f"  {swing.place}",
            say.short(swing.p10),
            say.short(swing.p90),
            _end(swing.at_p10, found),
            _end(swing.at_p90, found),
            _bar(swing, found).ljust(_BAR),
        ]
        for swing in found.swings
    ]
    return say.columns(rows, indent="")


def _end(value: float | None, found: Tornado) -> str:
    if value is None:
        return "never" if found.unit == "h" else "none"
    return say.bare(value, found.unit)


def _bar(swing: Swing, found: Tornado) -> str:
    lengths = [_length(other) for other in found.swings]
    longest = max((length for length in lengths if length is not None), default=0.0)
    length = _length(swing)
    if length is None:
        return "#" * _BAR
    return "#" * round(_BAR * length / longest) if longest > 0 else ""


def _length(swing: Swing) -> float | None:
    return None if swing.at_p10 is None or swing.at_p90 is None else abs(swing.at_p90 - swing.at_p10)


_SWEPT: Final[dict[str, tuple[str, str]]] = {
    "reference.break_even_h": ("ref. break-even h", "h"),
    "candidate.break_even_h": ("cand. break-even h", "h"),
    "k": ("k", "k"),
    "parity_usd_per_h_set": ("parity USD/h a set", "USD/h"),
    "parity_usd_per_h_card": ("a card", "USD/h"),
    "ratio": ("cheaper", "x"),
    "reference.usd_per_mtok_output": ("ref. USD/Mtok", "USD/Mtok"),
    "candidate.usd_per_mtok_output": ("cand. USD/Mtok", "USD/Mtok"),
    "candidate.npv_usd": ("cand. NPV USD", "USD"),
    "candidate.api_flip_load_factor": ("beats API above", "share"),
}


def sweep(report: CostReport) -> list[str]:
    """The line, a row a value, with the figures that it moves; then where curves cross."""
    found = report.sweep
    if found is None:
        return []
    moving = [path for path in _SWEPT if len(set(found.figures.get(path, ()))) > 1]
    rows = [[found.place, *(_SWEPT[path][0] for path in moving)]]
    for index, value in enumerate(found.values):
        cells = [(found.figures[path][index], _SWEPT[path][1]) for path in moving]
        rows.append([f"{value:.6g}", *("never" if cell is None else say.bare(cell, unit) for cell, unit in cells)])
    crossings = [f"  at {crossing.at:.4g}: {crossing.what}" for crossing in found.crossings]
    return [f"Sweep of {found.place}", *say.columns(rows), *(crossings or ["  no curves cross on this line"])]
