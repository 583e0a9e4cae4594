"""Uncertainty and sweep as plain text."""

from typing import Final

from breakeven import say
from breakeven.cost import words
from breakeven.cost.result import CostReport, Outcome
from breakeven.table import Table, heads, lines


def uncertainty(report: CostReport) -> list[str]:
    """What varies, the quantiles of every figure, and the probabilities that decide."""
    found = report.uncertainty
    if found is None:
        return []
    told = [f"Uncertainty: {found.draws:,} draws, seed {found.seed}; one draw of what is shared serves both sides"]
    told += [f"  varies: {place}: {text}" for place, text in found.ranges.items()]
    never, undefined = (
        any(getattr(outcome, name) for outcome in found.outcomes) for name in ("p_never", "p_undefined")
    )
    columns = heads("", "P5", "P50", "P95", *(["never"] if never else []), *(["undefined"] if undefined else []))
    rows = []
    for outcome in found.outcomes:
        chances = [(never, outcome.p_never), (undefined, outcome.p_undefined)]
        rows.append([*_quantiles(outcome, report), *("" if p == 0 else say.chance(p) for shown, p in chances if shown)])
    told += lines(Table(columns, rows), indent="  ")
    said = [(say.label_of(words.SAYS[name], report.counted), p) for name, p in found.probabilities.items()]
    told += [f"  P({text}) = {say.chance(p)}" for text, p in said]
    return told


def _quantiles(outcome: Outcome, report: CostReport) -> list[str]:
    """Label and quantiles of one figure."""
    label, unit = words.label_text(outcome.name, counted=report.counted), say.unit_of(outcome.unit, report.counted)
    values = (outcome.quantiles[p] for p in ("p5", "p50", "p95"))
    head = label if unit in ("x", "share", "") else f"{label}, {unit}"
    return [head, *("never" if value is None else say.bare(value, outcome.unit) for value in values)]


_SWEPT: Final[dict[str, tuple[str, str]]] = {
    "reference.break_even_h": ("ref. break-even h", "h"),
    "candidate.break_even_h": ("cand. break-even h", "h"),
    "k": ("k", "k"),
    "parity_usd_per_h_set": ("parity USD/h a set", "USD/h"),
    "parity_usd_per_h_card": ("a card", "USD/h"),
    "ratio": ("cheaper", "x"),
    "reference.usd_per_mtok_output": ("ref. {USD/Mtok}", "USD/Mtok"),
    "candidate.usd_per_mtok_output": ("cand. {USD/Mtok}", "USD/Mtok"),
    "candidate.npv_usd": ("cand. NPV USD", "USD"),
    "candidate.api_flip_load_factor": ("beats API above", "share"),
}


def sweep(report: CostReport) -> list[str]:
    """The line, a row a value, with the figures that it moves; then where curves cross."""
    found = report.sweep
    if found is None:
        return []
    moving = [path for path in _SWEPT if len(set(found.figures.get(path, ()))) > 1]
    units = {"USD/Mtok": say.unit_of("USD/Mtok", report.counted)}
    columns = heads(found.place, *(_SWEPT[path][0].format(**units) for path in moving))
    rows = []
    for index, value in enumerate(found.values):
        cells = [(found.figures[path][index], _SWEPT[path][1]) for path in moving]
        rows.append([f"{value:.6g}", *("never" if cell is None else say.bare(cell, unit) for cell, unit in cells)])
    crossings = [
        f"  at {crossing.at:.4g}: {say.label_of(crossing.what, report.counted)}" for crossing in found.crossings
    ]
    laid = lines(Table(columns, rows), indent="  ")
    return [f"Sweep of {found.place}", *laid, *(crossings or ["  no curves cross on this line"])]
