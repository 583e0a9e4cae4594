"""What a comparison gives: three figures that are never mixed, each with its status and its interval.

No sentence is kept here: `words.py` makes them of these.
"""

from typing import Literal

from msgspec import Struct, field

from breakeven.metrics.goodput import Verdict
from breakeven.metrics.summary import Estimate

Status = Literal["exact", "bound", "none"]
Relation = Literal["=", "<=", ">="]
FigureName = Literal["k_at_slo", "k_same_load", "ratio_equal_users"]
ScopeName = Literal["machines", "gpu_type"]
Holds = Literal["sampling", "levels", "nothing"]
NO_INTERVAL: tuple[float | None, float | None] = (None, None)

WhyLeftOut = Literal["open_loop", "no_rate", "not_done", "no_throughput"]
ReasonId = Literal[
    "no_percentile",
    "misses_somewhere",
    "misses_lowest",
    "meets_top",
    "not_measured",
    "needs_fewer_users",
    "faster_at_top",
    "untold_above",
    "none_known",
    "bracketed",
    "read_between",
    "far_apart",
]


class Reason(Struct, frozen=True, kw_only=True):
    """Why a figure is a bound or none, or why a level should be measured next."""

    id: ReasonId
    role: str
    """`A`, `B`, or the run's id where one run is looked at alone."""
    users: float | None = None
    """The load that it is about: the lowest, the top, or the lower end of a gap."""
    up_to_users: float | None = None
    """The upper end of a gap or of what was measured."""
    req_per_s: float | None = None
    """The rate that it is about, of an open loop."""
    up_to_req_per_s: float | None = None
    between_share: float | None = None
    """For `far_apart`: how much what may lie between the levels spans there."""
    sampling_share: float | None = None
    """For `far_apart`: how much the interval spans by sampling alone."""


class NextLevel(Struct, frozen=True, kw_only=True):
    """The level whose measurement would narrow a figure most, or make one of a bound."""

    run_id: str
    role: str
    """`A`, `B`, or the run's id where one run is looked at alone."""
    users: int | None
    req_per_s: float | None = None
    """Of an open loop, in place of users."""
    reason: Reason
    factor: float | None = None
    """The figure's interval, root(high / low), with the levels measured that stand before it; None: open."""
    factor_then: float | None = None
    """The same with this one too, wherever it lies in the middle half of what the levels allow: a prediction."""


class OperatingPoint(Struct, frozen=True, kw_only=True):
    """Where one run gives its greatest throughput that still meets a service level."""

    run_id: str
    at: str
    status: Status
    """`bound`: the level is still met at the top, so that users and throughput are least values."""
    users: Estimate = field(default_factory=Estimate)
    req_per_s: Estimate = field(default_factory=Estimate)
    """Of an open loop, in place of users: the highest offered rate that meets the level, and its bracket."""
    output_tok_per_s: Estimate = field(default_factory=Estimate)
    extra: dict[str, float] = field(default_factory=dict)
    """Numbers of LevelSummary.extra (power, for example) at this load, linear in users between the two levels."""
    reason: Reason | None = None


class Equivalence(Struct, frozen=True, kw_only=True):
    """One figure: a number of candidates for one reference (k), or a ratio of throughputs."""

    name: FigureName
    at: str
    """The condition, in words: a service level, or a number of users."""
    floor_tok_per_s_per_user: float | None = None
    users: float | None = None
    status: Status
    relation: Relation | None = None
    """`value` is the figure (=), or the figure is at most (<=) or at least (>=) `value`; None with status none."""
    value: float | None = None
    ci95: tuple[float | None, float | None] = NO_INTERVAL
    """What may lie between the levels, and sampling error; an open end is None."""
    interval_holds: Holds = "nothing"
    """`levels`: what may lie between them alone, as no throughput has an interval; `nothing`: there is no interval.

    With `sampling` two open ends mean that the interval has no bound on either side.
    """
    tie: bool | None = None
    """The interval holds 1; None unless exact and with sampling in its interval."""
    whole_cards: int | None = None
    """`value` rounded up, for "N cards"; None for the equal-users ratio and where `value` is only a lower bound."""
    whole_cards_ci95: tuple[int | None, int | None] = (None, None)
    reference_at: OperatingPoint | None = None
    candidate_at: OperatingPoint | None = None
    formula: str
    reasons: tuple[Reason, ...] = ()
    """Why it is a bound or none."""
    dominated_by: Literal["sampling", "levels"] | None = None
    """The greater part of the interval; None unless exact."""
    levels_to_measure_next: tuple[NextLevel, ...] = ()
    """At most two, the one that narrows most first."""


class LevelSide(Struct, frozen=True, kw_only=True):
    """One run at one level; repeats are pooled."""

    repeats: int
    output_tok_per_s: Estimate
    output_tok_per_s_per_user: Estimate
    """Throughput / users: the mean speed of a user, which floors are about. It holds waits; 1 / TPOT does not."""
    latency_s: dict[str, float | None]
    """`ttft_p50`, `tpot_p95`, …; None where the percentile is undefined."""
    verdict: Verdict | None = None
    """Of an open loop: whether the level met the limits."""


class LevelRow(Struct, frozen=True, kw_only=True):
    """One number of users, or one offered rate, side by side; None where a run has not measured it."""

    users: int | None
    req_per_s: float | None = None
    reference: LevelSide | None
    candidate: LevelSide | None


Role = Literal["A", "B"]
WarnedId = Literal[
    "other_model",
    "other_precision",
    "other_workload",
    "other_settings",
    "other_engine_settings",
    "other_host",
    "level_left_out",
    "no_interval",
    "two_repeats",
    "caution",
    "think_time",
    "several_gpus",
]


class Difference(Struct, frozen=True, kw_only=True):
    """One thing in which the two runs differ; None is not known, a list is what only this side's command line has."""

    name: str
    reference: str | list[str] | None
    candidate: str | list[str] | None


class LeftOut(Struct, frozen=True, kw_only=True):
    """A level that cannot be compared."""

    users: int | None
    req_per_s: float | None
    repeat: int
    why: WhyLeftOut
    status: str


class Warned(Struct, frozen=True, kw_only=True):
    """Why the two runs may not be comparable, or what a number in them suffers from."""

    id: WarnedId
    role: Role | None = None
    """Whose number it is; None where it is about both."""
    differences: tuple[Difference, ...] = ()
    host: str | None = None
    """For `other_host`: the difference, as `metrics.hosts` tells it."""
    left_out: LeftOut | None = None
    caution: str | None = None
    """For `caution`: the id of the level's caution, or what none of them says, such as `failed requests`."""
    users: tuple[int, ...] = ()
    """The levels concerned."""
    rates: tuple[float, ...] = ()
    """The same of an open loop, in requests a second."""
    gpus: int | None = None


class SideScope(Struct, frozen=True, kw_only=True):
    """What one side of a comparison stands for, and what of its kind the intervals hold."""

    of: Literal["machine", "data_machine", "node_medians", "prediction"]
    """The machine that ran it; the only machine that a data set has of it; a GPU type, by the medians of its nodes; its
    card as predicted, which nobody has measured."""
    cards: int = 1
    nodes: int | None = None
    """Of how many nodes the levels are medians, the least over the levels; None for a machine that ran it."""
    interval_over_nodes: bool = False
    """Every level has an interval over its nodes, so that the figures' intervals hold the spread between them."""
    node_sd_log: float | None = None
    """Spread between nodes that every draw adds, on the log scale; None where it adds none."""
    node_sd_given: bool = False
    """`node_sd_log` is the user's; else it is our default, which nobody measured."""


class Scope(Struct, frozen=True, kw_only=True):
    """For what a comparison holds."""

    reference: SideScope
    candidate: SideScope


class EngineComparison(Struct, frozen=True, kw_only=True):
    """The engines of the two sides, where they differ: k is then of each machine with its engine."""

    reference: str
    candidate: str


class Comparison(Struct, frozen=True, kw_only=True):
    """One candidate (B) held against the reference (A)."""

    reference_id: str
    candidate_id: str
    reference_label: str
    candidate_label: str
    unit: str
    """`tok/s`, or `words/s` where both runs count words."""
    scope: Scope
    levels: tuple[LevelRow, ...]
    k_at_slo: tuple[Equivalence, ...]
    k_same_load: tuple[Equivalence, ...]
    """None of open loops, which have no users; so of the next."""
    ratio_equal_users: tuple[Equivalence, ...]
    warnings: tuple[Warned, ...]
    engine_comparison: EngineComparison | None = None


class GateLevel(Struct, frozen=True, kw_only=True):
    """A gate's verdict at one load: a number of users, or an offered rate."""

    users: int | None
    req_per_s: float | None = None
    measured: Estimate
    """The candidate's figure, divided by the reference's where the gate names the reference."""
    more_than: float | None = None
    """The percentile fell on an answer that never ended: it is more than this."""
    may_be_narrow: bool = False
    """A side was measured once and says that this interval may be too narrow: it counts as 30 % at least."""
    repeats: tuple[int, ...] = ()
    """How often each side was measured: the reference, where the gate names it, and the candidate."""
    verdict: Literal["passed", "failed", "undecided"]


class GateResult(Struct, frozen=True, kw_only=True):
    """passed: every level surely meets the condition; failed: one surely misses it; undecided: measure longer."""

    expression: str
    metric: str
    threshold: float
    relative: bool
    """The threshold is a share of the reference's figure."""
    in_seconds: bool
    """The figures are latencies, not rates or shares."""
    reference_id: str
    candidate_id: str
    verdict: Literal["passed", "failed", "undecided"]
    levels: tuple[GateLevel, ...]
