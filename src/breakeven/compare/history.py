"""Runs of one cell over time: at which of them its figure surely changed, by the gate's rule for the whole history."""

from collections.abc import Sequence

from msgspec import Struct

from breakeven.compare.differences import same_unit
from breakeven.compare.family import Pair, family_spread
from breakeven.compare.gate import Gate, Spread, gate_level
from breakeven.compare.pool import Pooled, pool
from breakeven.errors import UsageError, unknown
from breakeven.metrics.definitions import RATES
from breakeven.metrics.slo import limited
from breakeven.metrics.summary import Estimate, RunSummary
from breakeven.units import moment, unix_s


class Point(Struct, frozen=True, kw_only=True):
    """One run at one load."""

    run_id: str
    started: str | None
    version: str | None
    """Of the engine."""
    figure: Estimate
    against: str | None = None
    """The run that it is held against: the first since the last change."""
    ratio: Estimate = Estimate()
    """Its figure / that run's."""
    is_change: bool = False
    """The ratio is surely not 1, with an interval that holds for the whole history."""
    may_be_narrow: bool = False
    """A side was measured once and says that its interval may be too narrow: it counts as 30 % at least."""

    @property
    def is_perhaps(self) -> bool:
        """No change that is sure, though the interval of this ratio alone does not hold 1."""
        low, high = self.ratio.ci95
        return not self.is_change and low is not None and high is not None and not low <= 1 <= high


class History(Struct, frozen=True, kw_only=True):
    """A figure of one cell over time, by number of users."""

    metric: str
    tests: int
    points: dict[int, tuple[Point, ...]]


def history(runs: Sequence[RunSummary], metric: str) -> History:
    """Hold each run against the first one since the last change; the oldest run comes first.

    An interval is widened for all runs after the first at all their loads (Bonferroni), so that a history in which
    nothing changed has a change in at most 5 %, as far as the runs' intervals know how much runs differ.
    UsageError for fewer than two runs, runs of more than one model, engine or workload, and no load in common.
    """
    if metric not in (known := (*RATES, *limited())):
        raise UsageError("--history: " + unknown("metric", metric, known))
    if len(runs) < 2:
        raise UsageError("--history: give two runs of one cell or more; the oldest is what the others are held against")
    _check_alike(runs)
    ordered = [pool(run) for run in sorted(runs, key=_when)]
    seen = {
        users: [run for run in ordered if _figure(run, metric, users).value is not None] for users in _loads(ordered)
    }
    kept = {users: each for users, each in seen.items() if len(each) > 1}
    if not kept:
        raise UsageError(f"--history: no two of the runs have {metric} at a number of users in common")
    tests = sum(len(each) - 1 for each in kept.values())
    spread = family_spread([Pair("", None, run) for run in runs], metric)
    points = {users: _points(each, metric, users=users, tests=tests, spread=spread) for users, each in kept.items()}
    return History(metric=metric, tests=tests, points=points)


def _points(runs: Sequence[Pooled], metric: str, *, users: int, tests: int, spread: Spread | None) -> tuple[Point, ...]:
    first, points = runs[0], [_point(runs[0], metric, users)]
    either = [Gate(metric, users, at_least, 1.0, relative=True) for at_least in (True, False)]
    for run in runs[1:]:
        same_unit(first, run)
        ends = [gate_level(one, first, run, users=users, tests=tests, spread=spread) for one in either]
        is_change = any(end.verdict == "failed" for end in ends)
        told = {"against": first.run.run.id, "ratio": ends[0].measured, "is_change": is_change}
        told |= {"may_be_narrow": ends[0].may_be_narrow}
        points.append(_point(run, metric, users, **told))
        first = run if is_change else first
    return tuple(points)


def _point(pooled: Pooled, metric: str, users: int, **told: object) -> Point:
    run = pooled.run.run
    given = {"run_id": run.id, "started": run.started, "figure": _figure(pooled, metric, users)}
    version = run.engine.get("version")
    return Point(**given | told, version=None if version is None else str(version))  # type: ignore[arg-type]


def _figure(run: Pooled, metric: str, users: int) -> Estimate:
    level = next((one for one in run.levels if one.users == users), None)
    return Estimate() if level is None else level.figures[metric].estimate()


def _loads(runs: Sequence[Pooled]) -> list[int]:
    return sorted({level.users for run in runs for level in run.levels if level.users is not None})


def _when(run: RunSummary) -> float:
    """Seconds since 1970; what says nothing comes first."""
    started = moment(run.run.started)
    return 0.0 if started is None else unix_s(started)


def _check_alike(runs: Sequence[RunSummary]) -> None:
    for what, of in (
        ("model", [run.run.model for run in runs]),
        ("engine", [run.run.engine.get("name") for run in runs]),
        ("workload", [run.run.workload.get("name") for run in runs]),
    ):
        if len(set(of)) > 1:
            other = next(at for at, one in enumerate(of) if one != of[0])
            raise UsageError(
                f"--history: {runs[0].run.id} and {runs[other].run.id} differ in {what} ({of[0]}, {of[other]}); "
                "a history is of one cell"
            )
