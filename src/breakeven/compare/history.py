"""Runs of one cell over time: at which of them its figure surely changed, by the gate's rule for the whole history."""

from collections.abc import Mapping, Sequence

from msgspec import Struct

from breakeven.compare.differences import same_unit
from breakeven.compare.family import Pair, family_spread
from breakeven.compare.gate import Gate, Spread, gate_level
from breakeven.compare.pool import Pooled, are_open, pool, unit_of
from breakeven.errors import UsageError, unknown
from breakeven.metrics.definitions import RATES
from breakeven.metrics.slo import limited
from breakeven.metrics.summary import Estimate, RunSummary
from breakeven.units import moment, unix_s


class Point(Struct, frozen=True, kw_only=True):
    """One run at one load."""

    run_id: str
    started: str | None
    started_s: float | None
    """Since 1970."""
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


class AtLoad(Struct, frozen=True, kw_only=True):
    """The runs at one number of users, or at one offered rate; the oldest run first."""

    users: int | None
    req_per_s: float | None
    points: tuple[Point, ...]


class History(Struct, frozen=True, kw_only=True):
    """A figure of one cell over time, by rising load."""

    metric: str
    tests: int
    unit: str
    """Of the figure: `tok/s`, `words/s`, `req/s`; `s` of a latency."""
    loads: tuple[AtLoad, ...]
    left_out: tuple[str, ...] = ()
    """Runs without a finished level, by id."""

    def changes(self) -> list[tuple[AtLoad, Point]]:
        """The points that are marked, at each load the oldest first."""
        return [(load, point) for load in self.loads for point in load.points if point.is_change]


def history(runs: Sequence[RunSummary], metric: str) -> History:
    """Hold each run against the first one since the last change; the oldest run comes first.

    An interval is widened for all runs after the first at all their loads (Bonferroni), so that a history in which
    nothing changed has a change in at most 5 %, as far as the runs' intervals know how much runs differ.
    UsageError for fewer than two runs, runs of more than one model, engine or workload, open loops beside closed ones,
    and no load in common.
    """
    if metric not in (known := (*RATES, *limited())):
        raise UsageError("history: " + unknown("metric", metric, known))
    if len(runs) < 2:
        raise UsageError("history: give two runs of one cell or more; the oldest is what the others are held against")
    usable = [pooled for run in runs if (pooled := _pooled(run)) is not None]
    if len(usable) < 2:
        raise UsageError("history: fewer than two of the runs have a finished level to hold against another")
    _check_alike([one.run for one in usable])
    ordered = sorted(usable, key=lambda one: _began_s(one.run) or 0.0)
    for run in ordered[1:]:
        same_unit(ordered[0], run)
    at = {load: [run for run in ordered if _figure(run, metric, load).value is not None] for load in _loads(ordered)}
    kept = {load: each for load, each in at.items() if len(each) > 1}
    if not kept:
        loads = "an offered rate" if ordered[0].is_open else "a number of users"
        raise UsageError(f"history: no two of the runs have {metric} at {loads} in common")
    tests = sum(len(each) - 1 for each in kept.values())
    spread = family_spread([Pair("", None, run) for run in runs], metric)
    points = {load: _points(each, metric, load=load, tests=tests, spread=spread) for load, each in kept.items()}
    known_ids = {one.run.run.id for one in ordered}
    return History(
        metric=metric,
        tests=tests,
        unit=_unit(ordered[0], metric),
        loads=_by_load(ordered[0], points),
        left_out=tuple(run.run.id for run in runs if run.run.id not in known_ids),
    )


def _pooled(run: RunSummary) -> Pooled | None:
    """None where no level of it can be compared, as of one that failed: the others still have a history."""
    try:
        return pool(run)
    except UsageError:
        return None


def _unit(run: Pooled, metric: str) -> str:
    return RATES[metric].unit.replace("tok/s", unit_of(run)) if metric in RATES else "s"


def _by_load(run: Pooled, points: Mapping[float, tuple[Point, ...]]) -> tuple[AtLoad, ...]:
    if run.is_open:
        return tuple(AtLoad(users=None, req_per_s=load, points=each) for load, each in points.items())
    return tuple(AtLoad(users=int(load), req_per_s=None, points=each) for load, each in points.items())


def _points(
    runs: Sequence[Pooled], metric: str, *, load: float, tests: int, spread: Spread | None
) -> tuple[Point, ...]:
    first, points = runs[0], [_point(runs[0], metric, load)]
    either = [Gate(metric, None, at_least, 1.0, relative=True) for at_least in (True, False)]
    for run in runs[1:]:
        ends = [gate_level(one, first, run, load=load, tests=tests, spread=spread) for one in either]
        is_change = any(end.verdict == "failed" for end in ends)
        told = {"against": first.run.run.id, "ratio": ends[0].measured, "is_change": is_change}
        told |= {"may_be_narrow": ends[0].may_be_narrow}
        points.append(_point(run, metric, load, **told))
        first = run if is_change else first
    return tuple(points)


def _point(pooled: Pooled, metric: str, load: float, **told: object) -> Point:
    run, figure = pooled.run.run, _figure(pooled, metric, load)
    given = {"run_id": run.id, "started": run.started, "started_s": _began_s(pooled.run), "figure": figure}
    version = run.engine.get("version")
    return Point(**given | told, version=None if version is None else str(version))  # type: ignore[arg-type]


def _figure(run: Pooled, metric: str, load: float) -> Estimate:
    level = next((one for one in run.levels if one.load == load), None)
    return Estimate() if level is None else level.figures[metric].estimate()


def _loads(runs: Sequence[Pooled]) -> list[float]:
    return sorted({level.load for run in runs for level in run.levels})


def _began_s(run: RunSummary) -> float | None:
    """Seconds since 1970."""
    started = moment(run.run.started)
    return None if started is None else unix_s(started)


def _check_alike(runs: Sequence[RunSummary]) -> None:
    are_open(runs)
    for what, of in (
        ("model", [run.run.model for run in runs]),
        ("engine", [run.run.engine.get("name") for run in runs]),
        ("workload", [run.run.workload.get("name") for run in runs]),
    ):
        if len(set(of)) > 1:
            other = next(at for at, one in enumerate(of) if one != of[0])
            raise UsageError(
                f"history: {runs[0].run.id} and {runs[other].run.id} differ in {what} ({of[0]}, {of[other]}); "
                "a history is of one cell"
            )
