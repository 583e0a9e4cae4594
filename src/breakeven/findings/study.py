"""What a study says: its matrix, the best cell and what ties with it, what each setting does, what failed and why."""

import math
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from breakeven.compare.gate import quotient, widening
from breakeven.compare.pool import is_open, pool
from breakeven.compare.types import Reason
from breakeven.errors import UsageError
from breakeven.findings.effects import Effect, Interaction, Row, effects
from breakeven.findings.level import point_at
from breakeven.findings.nodes import output_cost
from breakeven.metrics.pooling import Measured, of_estimate
from breakeven.metrics.slo import ServiceLevel
from breakeven.metrics.summary import Estimate, RunSummary

Of = Literal["tok_per_s", "usd_per_mtok", "users"]
State = Literal["measured", "missed", "failed", "not begun"]


class CellRun(NamedTuple):
    """A cell as it is stored."""

    name: str
    factors: Mapping[str, str]
    run: RunSummary | None = None
    failure: str | None = None
    rent_usd_per_h: float | None = None
    """Of all its cards together."""


class StudyCell(Struct, frozen=True, kw_only=True):
    """One cell of the matrix."""

    name: str
    factors: dict[str, str]
    state: State
    figure: Estimate = Estimate()
    """In what the study is told in: tok/s or USD per million output tokens."""
    tok_per_s: Estimate = Estimate()
    """At the service level; without one the most at any level."""
    users_at: Estimate = Estimate()
    """Where that is."""
    reason: Reason | None = None
    """Why it gives nothing, or no more than a bound, at the service level."""
    failure: str | None = None
    """Why it could not be measured, the last time."""
    ties: bool = False
    """It is the best, or cannot be told from it."""


class StudyFindings(Struct, frozen=True, kw_only=True):
    """All that is said of a study."""

    name: str
    of: Of
    service_level: ServiceLevel | None
    factors: dict[str, tuple[str, ...]]
    """Every factor with its values."""
    cells: tuple[StudyCell, ...]
    best: str | None = None
    effects: tuple[Effect, ...] = ()
    interactions: tuple[Interaction, ...] = ()
    used_s: float | None = None
    used_usd: float | None = None

    def cell(self, name: str | None) -> StudyCell | None:
        """A cell by its name."""
        return next((cell for cell in self.cells if cell.name == name), None)


def study_findings(
    name: str,
    runs: Sequence[CellRun],
    *,
    level: ServiceLevel | None,
    values: Mapping[str, Sequence[str]],
    goal: Of | None = None,
    used_s: float | None = None,
    used_usd: float | None = None,
) -> StudyFindings:
    """The matrix at a service level, in what `goal` says.

    Without a goal in USD per million tokens where every measured cell has a rent, else in tok/s.
    """
    cells = [_cell(run, level) for run in runs]
    rents = {run.name: run.rent_usd_per_h for run in runs}
    priced = [rents[cell.name] for cell in cells if cell.tok_per_s.value is not None]
    of = goal or ("usd_per_mtok" if priced and None not in priced else "tok_per_s")
    cells = [replace(cell, figure=_shown(cell, rents[cell.name], of=of)) for cell in cells]
    best = best_of(cells, of=of)
    cells = _with_ties(cells, best, of=of)
    rows = [Row(cell.factors, of_estimate(cell.figure)) for cell in cells if cell.figure.value is not None]
    seen = {name: tuple(v for v in each if any(r.factors[name] == v for r in rows)) for name, each in values.items()}
    alone, together = effects(rows, seen)
    return StudyFindings(
        name=name,
        of=of,
        service_level=level,
        factors={factor: tuple(each) for factor, each in values.items()},
        cells=tuple(cells),
        best=None if best is None else best.name,
        effects=alone,
        interactions=together,
        used_s=used_s,
        used_usd=used_usd,
    )


def best_of(cells: Sequence[StudyCell], *, of: Of) -> StudyCell | None:
    """The cheapest, or the fastest, of those that have a figure."""
    known = [cell for cell in cells if cell.figure.value is not None]
    sign = 1 if of == "usd_per_mtok" else -1
    return min(known, key=lambda cell: sign * (cell.figure.value or 0.0), default=None)


def is_surely_worse(one: Measured, best: Measured, *, of: Of, tests: int) -> bool:
    """The quotient of the two is beyond 1, with an interval that holds for `tests` such questions together."""
    found = quotient(one, best) if of == "usd_per_mtok" else quotient(best, one)
    if found.value is None or found.log_half is None or found.ci95[0] is None:
        return False
    return math.log(found.value) > found.log_half * widening(tests, found.df)


def _with_ties(cells: Sequence[StudyCell], best: StudyCell | None, *, of: Of) -> list[StudyCell]:
    known = sum(cell.figure.value is not None for cell in cells)

    def ties(cell: StudyCell) -> bool:
        if best is None or cell.figure.value is None:
            return False
        one, other = of_estimate(cell.figure), of_estimate(best.figure)
        return cell is best or not is_surely_worse(one, other, of=of, tests=max(1, known - 1))

    return [replace(cell, ties=ties(cell)) for cell in cells]


def goal_figure(run: RunSummary, level: ServiceLevel | None, *, goal: Of, rent_usd_per_h: float | None) -> Estimate:
    """What a search looks at: throughput, cost or users of one run at the service level; empty where it gives none."""
    return _shown(_cell(CellRun(run.run.id, {}, run), level), rent_usd_per_h, of=goal)


def _shown(cell: StudyCell, rent_usd_per_h: float | None, *, of: Of) -> Estimate:
    return cell.users_at if of == "users" else _figure(cell.tok_per_s, rent_usd_per_h, of=of)


def _cell(run: CellRun, level: ServiceLevel | None) -> StudyCell:
    told = StudyCell(name=run.name, factors=dict(run.factors), state="not begun", failure=run.failure)
    if run.failure is not None:
        told = replace(told, state="failed")
    if run.run is None or not run.run.levels:
        return told
    if level is None:
        most = _most(run.run)
        return (
            told
            if most is None
            else replace(told, state="measured", tok_per_s=most[0], users_at=Estimate(value=most[1]))
        )
    point = point_at(run.run, level)
    if point is None:
        unread = is_open(run.run) and level.slo is None  # rates have no floor
        return replace(told, state="missed", reason=Reason(id="none_known", role=run.name)) if unread else told
    state: State = "missed" if point.output_tok_per_s.value is None else "measured"
    return replace(told, state=state, tok_per_s=point.output_tok_per_s, users_at=point.users, reason=point.reason)


def _most(run: RunSummary) -> tuple[Estimate, int | None] | None:
    """The greatest throughput of a level, repeats together, and its users; None of an open loop."""
    try:
        levels = pool(run).levels
    except UsageError:  # requests that all came at one moment have no rate
        done = [one.output_tok_per_s for one in run.levels if one.status == "done" and one.output_tok_per_s.value]
        return max(((one, None) for one in done), key=lambda one: one[0].value or 0.0, default=None)
    found = [(one.figures["output_tok_per_s"].estimate(), one.users) for one in levels]
    return max(found, key=lambda one: one[0].value or 0.0)


def _figure(speed: Estimate, rent_usd_per_h: float | None, *, of: Of) -> Estimate:
    if of == "tok_per_s" or rent_usd_per_h is None or speed.value is None:
        return speed if of == "tok_per_s" else Estimate()
    return output_cost(speed, usd_per_h=rent_usd_per_h)
