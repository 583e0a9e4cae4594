"""Gates over the cells of a study: each cell against its baseline, with one false-alarm rate for all of them."""

import math
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from msgspec import Struct

from breakeven.compare.gate import Spread, Verdict, gate, gate_levels, parse_gate, repeats_of, squares_of
from breakeven.compare.types import GateResult
from breakeven.errors import UsageError
from breakeven.metrics.bracket import load_of
from breakeven.metrics.summary import RunSummary

DEFAULT_GATE: Final = "output_tok_per_s >= 0.97 * reference"
MOST_BORROWED: Final = 8
"""Degrees of freedom that a cell borrows from the others at most: cells are not all alike."""


class Pair(NamedTuple):
    """A cell and what it is held against."""

    cell: str
    reference: RunSummary | None
    candidate: RunSummary | None
    failure: str | None = None
    """Why the cell could not be measured."""


class CellGate(Struct, frozen=True, kw_only=True):
    """What the gates say of one cell."""

    cell: str
    verdict: Verdict
    gates: tuple[GateResult, ...] = ()
    why: tuple[str, ...] = ()
    """Why nothing, or not everything, could be judged."""


class Family(Struct, frozen=True, kw_only=True):
    """All cells of a study at their gates."""

    verdict: Verdict
    tests: int
    """Questions that were asked together: each interval is as wide as it takes for all of them to hold at 95 %."""
    cells: tuple[CellGate, ...]

    def count(self, verdict: Verdict) -> int:
        """Cells with this verdict."""
        return sum(cell.verdict == verdict for cell in self.cells)


def gate_family(pairs: Sequence[Pair], expressions: Sequence[str]) -> Family:
    """Hold each cell to each condition. A cell that failed has failed; one without a baseline is undecided.

    The number of tests is that of all levels of all cells at all conditions, so that a family of cells in which
    nothing changed raises an alarm in at most 5 % (Bonferroni). Repeats of a cell borrow degrees of freedom from the
    other cells': three starts alone would have an interval too wide to fail anything among fifty.
    """
    for expression in expressions:
        parse_gate(expression)
    tests = sum(_levels(pair, expression) for pair in pairs for expression in expressions)
    spreads = {expression: family_spread(pairs, parse_gate(expression).metric) for expression in expressions}
    cells = tuple(_cell(pair, spreads, tests=max(1, tests)) for pair in pairs)
    return Family(verdict=overall([cell.verdict for cell in cells]), tests=tests, cells=cells)


def overall(verdicts: Sequence[Verdict]) -> Verdict:
    """Failed where one failed, passed where all passed."""
    if "failed" in verdicts:
        return "failed"
    return "passed" if set(verdicts) == {"passed"} else "undecided"


def _levels(pair: Pair, expression: str) -> int:
    if pair.reference is None or pair.candidate is None:
        return 0
    try:
        return gate_levels(expression, pair.reference, pair.candidate)
    except UsageError:
        return 0


def family_spread(pairs: Sequence[Pair], metric: str) -> Spread | None:
    """How far repeats of one load lie apart, pooled over all cells and both sides; None where nothing was repeated."""
    runs = {id(run): run for pair in pairs for run in (pair.reference, pair.candidate) if run is not None}
    own = [
        squares_of(repeats_of(run, metric, load=load))
        for run in runs.values()
        for load in {load_of(level) for level in run.levels}
        if load is not None
    ]
    df = sum(df for _, df in own)
    return None if df == 0 else Spread(math.sqrt(sum(squares for squares, _ in own) / df), min(df, MOST_BORROWED))


def _cell(pair: Pair, spreads: Mapping[str, Spread | None], *, tests: int) -> CellGate:
    if pair.failure is not None:
        return CellGate(cell=pair.cell, verdict="failed", why=(pair.failure,))
    if pair.candidate is None:
        return CellGate(cell=pair.cell, verdict="undecided", why=("it was not measured",))
    if pair.reference is None:
        return CellGate(cell=pair.cell, verdict="undecided", why=("the baseline has no such cell",))
    results, why = [], []
    for expression, spread in spreads.items():
        try:
            results.append(gate(expression, pair.reference, pair.candidate, tests=tests, spread=spread))
        except UsageError as error:
            why.append(error.args[0])
    verdicts: list[Verdict] = [result.verdict for result in results] + ["undecided" for _ in why]
    return CellGate(cell=pair.cell, verdict=overall(verdicts), gates=tuple(results), why=tuple(why))
