"""Gates for CI: does a candidate keep up with a reference, as surely as the intervals allow."""

import math
import re
from collections.abc import Sequence
from statistics import fmean
from typing import Final, Literal, NamedTuple

from breakeven.compare.differences import same_unit
from breakeven.compare.pool import Pooled, PooledLevel, of_users, pool_figures, repeats_at
from breakeven.compare.types import GateLevel, GateResult
from breakeven.compare.words import people
from breakeven.errors import UsageError, unknown
from breakeven.metrics.definitions import RATES
from breakeven.metrics.pooling import Measured, from_log, halves
from breakeven.metrics.slo import limited
from breakeven.metrics.statistics import t_quantile
from breakeven.metrics.summary import NARROW, NARROW_LATENCIES, Estimate, LevelSummary, RunSummary
from breakeven.units import parse_duration_s

_FORM: Final = "write METRIC[@USERS] >= FACTOR * reference, such as 'output_tok_per_s >= 0.97 * reference'"
_GATE = re.compile(
    r"\s*(?P<metric>\w+)\s*(?:@\s*(?P<users>\d+))?\s*(?P<sign>>=|<=)\s*"
    r"(?:(?:(?P<factor>\d*\.?\d+)\s*\*\s*)?(?P<reference>reference)|(?P<limit>\S+))\s*",
    re.ASCII,
)
Verdict = Literal["passed", "failed", "undecided"]
LEAST_SURE: Final = math.log(1.3)
"""A failure that an interval which may be too narrow is still believed for; docs/COMPARE.md has the false alarms."""


class Gate(NamedTuple):
    """A condition, read."""

    metric: str
    users: int | None
    """The one level that it is about; None: every level that both runs have."""
    at_least: bool
    threshold: float
    relative: bool
    """The threshold is a share of the reference's figure."""


def parse_gate(expression: str) -> Gate:
    """Read `output_tok_per_s >= 0.97 * reference` or `ttft_p99@50 <= 2s`; UsageError says what is wrong."""
    match = _GATE.fullmatch(expression)
    if match is None:
        raise UsageError(f"--gate: '{expression}' is no condition; {_FORM}")
    known = (*RATES, *limited())
    if match["metric"] not in known:
        raise UsageError("--gate: " + unknown("metric", match["metric"], known))
    relative = match["reference"] is not None
    threshold = float(match["factor"] or 1.0) if relative else _limit(match["metric"], match["limit"])
    if threshold <= 0:
        raise UsageError(f"--gate: '{expression}' compares with 0; {_FORM}")
    users = None if match["users"] is None else int(match["users"])
    return Gate(match["metric"], users, match["sign"] == ">=", threshold, relative)


def _limit(metric: str, text: str) -> float:
    try:
        return float(text) if metric in RATES else parse_duration_s(text)
    except ValueError:
        kind = "number" if metric in RATES else "duration"
        raise UsageError(f"--gate: {metric}: '{text}' is no {kind}; {_FORM}") from None


def gate_levels(expression: str, reference: RunSummary, candidate: RunSummary) -> int:
    """At how many levels a condition is looked at; UsageError where there is none."""
    return len(_users(parse_gate(expression), _gated(reference), _gated(candidate)))


def _gated(run: RunSummary) -> Pooled:
    return of_users(run, what="a gate is tested at")


class Spread(NamedTuple):
    """How far repeats of one load lie apart, as other cells of the same family show it."""

    sd_log: float
    df: int
    """What that counts as, beside a cell's own repeats."""


def gate(
    expression: str,
    reference: RunSummary,
    candidate: RunSummary,
    *,
    tests: int | None = None,
    spread: Spread | None = None,
) -> GateResult:
    """Hold a candidate to a condition at every level that both runs have (or at `@USERS`).

    passed: at each level the 95 % interval lies on the good side. failed: at some level it lies on the bad side, with
    the interval widened for the number of levels (Bonferroni), so that ten sound levels do not fail by chance.
    undecided: neither; a level without an interval is always undecided, and an open end decides nothing on its side.
    Repeats of a level are pooled: it is their mean and the spread between them that is judged.
    Where a level measured once says that the figure's interval may be too narrow, it counts as 30 % at least.
    `tests` are the questions that are asked together, where there are more than this gate's levels; with `spread` a
    level's repeats borrow degrees of freedom from other cells' repeats. Exit codes are the caller's.
    """
    condition, a, b = parse_gate(expression), _gated(reference), _gated(candidate)
    same_unit(a, b)
    users = _users(condition, a, b)
    levels = tuple(gate_level(condition, a, b, load=one, tests=tests or len(users), spread=spread) for one in users)
    return GateResult(
        expression=expression.strip(),
        metric=condition.metric,
        threshold=condition.threshold,
        relative=condition.relative,
        in_seconds=not condition.relative and condition.metric not in RATES,
        reference_id=reference.run.id,
        candidate_id=candidate.run.id,
        verdict=_overall([level.verdict for level in levels]),
        levels=levels,
    )


def _users(condition: Gate, a: Pooled, b: Pooled) -> list[int]:
    of_a, of_b = ([level.users for level in side.levels if level.users is not None] for side in (a, b))
    needed = [users for users in of_a if users in of_b] if condition.relative else of_b
    if condition.users is None and needed:
        return needed
    if condition.users in needed:
        return [one for one in needed if one == condition.users]
    wanted = "any level in common" if condition.users is None else f"a level of {people(condition.users)}"
    raise UsageError(f"--gate: the runs do not have {wanted}; they share: {', '.join(map(str, needed)) or 'none'}")


def gate_level(
    condition: Gate, a: Pooled, b: Pooled, *, load: float, tests: int, spread: Spread | None = None
) -> GateLevel:
    """A condition at one load that reference `a` and candidate `b` have, with the interval of `tests` questions."""
    sides = (a, b) if condition.relative else (b,)
    figure = _level(b, load).figures[condition.metric]
    if condition.relative:
        figure = quotient(figure, _level(a, load).figures[condition.metric])
    if spread is not None:
        figure = _borrowed(figure, [repeats_of(side.run, condition.metric, load=load) for side in sides], spread)
    narrow = any(_may_be_narrow(side, condition.metric, load) for side in sides)
    return GateLevel(
        users=_level(b, load).users,
        req_per_s=_level(b, load).req_per_s,
        measured=Estimate(value=figure.value, ci95=figure.ci95),
        more_than=figure.more_than,
        may_be_narrow=narrow,
        repeats=tuple(_level(side, load).repeats for side in sides),
        verdict=_verdict(condition, figure, tests, least=LEAST_SURE if narrow else 0.0),
    )


def repeats_of(run: RunSummary, metric: str, *, load: float) -> list[Measured]:
    """A figure of each finished repeat of a load."""
    return [pool_figures([level])[metric] for level in repeats_at(run, load)]


def squares_of(repeats: Sequence[Measured]) -> tuple[float, int]:
    """Sum of squares of the logs about their mean, and its degrees of freedom; none where a repeat has no value."""
    logs = [math.log(one.value) for one in repeats if one.value is not None]
    if len(logs) < max(2, len(repeats)):
        return 0.0, 0
    return sum((log - fmean(logs)) ** 2 for log in logs), len(logs) - 1


def _borrowed(figure: Measured, sides: Sequence[Sequence[Measured]], spread: Spread) -> Measured:
    """The interval of repeats by their own spread and that of other cells together (moderated t, Smyth 2004).

    As it is where a side was measured once, and never narrower than the repeats' own intervals make it.
    """
    own = [squares_of(repeats) for repeats in sides]
    if figure.value is None or figure.log_half is None or not all(df for _, df in own):
        return figure
    df = spread.df + sum(df for _, df in own)
    variance = (spread.df * spread.sd_log**2 + sum(squares for squares, _ in own)) / df
    between = t_quantile(df) * math.sqrt(variance * sum(1 / len(repeats) for repeats in sides))
    found = [halves(repeats) for repeats in sides]
    within = math.hypot(*(one.within or 0.0 for one in found if one is not None))
    return from_log(math.log(figure.value), max(between, within))._replace(df=df if between >= within else figure.df)


def _may_be_narrow(pooled: Pooled, metric: str, load: float) -> bool:
    """A level that was measured once says so of this figure. Repeats have the spread between them."""
    levels = repeats_at(pooled.run, load)
    return len(levels) == 1 and _says_narrow(levels[0], metric)


def _says_narrow(level: LevelSummary, metric: str) -> bool:
    latency = limited().get(metric)
    doubts = NARROW if latency is None else NARROW | NARROW_LATENCIES
    too_few = latency is not None and latency[1] != "mean" and level.of(latency[0]).at(latency[1]).too_few
    return too_few or any(caution.id in doubts for caution in level.cautions)


def _level(pooled: Pooled, load: float) -> PooledLevel:
    """The level of a load that the run has."""
    return next(level for level in pooled.levels if level.load == load)


def quotient(one: Measured, other: Measured) -> Measured:
    """one / other on the log scale: half widths add as squares; no interval where a side has none."""
    if one.value is None or other.value is None:
        return Measured()
    log_value = math.log(one.value / other.value)
    if one.log_half is None or other.log_half is None:
        return Measured(math.exp(log_value))
    found = from_log(log_value, math.hypot(one.log_half, other.log_half))
    low, high = found.ci95
    is_open = (None in (one.ci95[0], other.ci95[1]), None in (one.ci95[1], other.ci95[0]))
    return found._replace(ci95=(None if is_open[0] else low, None if is_open[1] else high), df=_joint_df(one, other))


def _joint_df(*sides: Measured) -> int:
    """Of a difference whose sides each have an interval of their own (Welch and Satterthwaite), rounded down."""
    variances = [((side.log_half or 0.0) / t_quantile(side.df)) ** 2 for side in sides]
    below = sum(variance**2 / side.df for variance, side in zip(variances, sides, strict=True))
    return int(sum(variances) ** 2 / below + 1e-9) if below else min(side.df for side in sides)


def _verdict(condition: Gate, figure: Measured, tests: int, *, least: float) -> Verdict:
    """`least` is how far beyond the threshold a failure must be whatever the interval, on the log scale."""
    if figure.more_than is not None and not condition.at_least and figure.more_than >= condition.threshold:
        return "failed"
    if figure.value is None or figure.log_half is None:
        return "undecided"
    margin = math.log(figure.value / condition.threshold) * (1 if condition.at_least else -1)
    good, bad = figure.ci95 if condition.at_least else reversed(figure.ci95)
    if margin >= figure.log_half and good is not None:
        return "passed"
    fails = -margin > max(figure.log_half, least) * widening(tests, figure.df) and bad is not None
    return "failed" if fails else "undecided"


def widening(tests: int, df: int) -> float:
    """How much wider an interval must be for `tests` of them to hold together, at 95 %."""
    return t_quantile(df, tests) / t_quantile(df)


def _overall(verdicts: Sequence[Verdict]) -> Verdict:
    if "failed" in verdicts:
        return "failed"
    return "passed" if set(verdicts) == {"passed"} else "undecided"
