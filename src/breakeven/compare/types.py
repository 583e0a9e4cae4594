"""What a comparison gives: three figures that are never mixed, each with its status and its interval."""

from typing import Literal

from msgspec import Struct, field

from breakeven.metrics.summary import Estimate

Status = Literal["exact", "bound", "none"]
Relation = Literal["=", "<=", ">="]
FigureName = Literal["k_at_slo", "k_same_load", "ratio_equal_users"]
Scope = Literal["machines", "gpu_type"]
NO_INTERVAL: tuple[float | None, float | None] = (None, None)


class NextLevel(Struct, frozen=True, kw_only=True):
    """The level whose measurement would narrow a figure most."""

    run_id: str
    role: str
    """`A`, `B`, or the run's id where one run is looked at alone."""
    users: int
    reason: str


class OperatingPoint(Struct, frozen=True, kw_only=True):
    """Where one run gives its greatest throughput that still meets a service level."""

    run_id: str
    at: str
    status: Status
    """`bound`: the level is still met at the top, so that users and throughput are least values."""
    users: Estimate = field(default_factory=Estimate)
    output_tok_per_s: Estimate = field(default_factory=Estimate)
    extra: dict[str, float] = field(default_factory=dict)
    """Numbers of LevelSummary.extra (power, for example) at this load, linear in users between the two levels."""
    reason: str | None = None


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
    """Sampling error and the spread over interpolants; an open end is None."""
    by_method: dict[str, float] = field(default_factory=dict)
    """The point value by each interpolant that gives one of this kind; `loglog` is `value`."""
    tie: bool | None = None
    """The interval holds 1; None unless exact."""
    whole_cards: int | None = None
    """`value` rounded up, for "N cards"; None for the equal-users ratio and where `value` is only a lower bound."""
    whole_cards_ci95: tuple[int | None, int | None] = (None, None)
    reference_at: OperatingPoint | None = None
    candidate_at: OperatingPoint | None = None
    formula: str
    reason: str | None = None
    """Why it is a bound or none."""
    dominated_by: Literal["sampling", "method"] | None = None
    level_to_measure_next: NextLevel | None = None


class LevelSide(Struct, frozen=True, kw_only=True):
    """One run at one level; repeats are pooled."""

    repeats: int
    output_tok_per_s: Estimate
    output_tok_per_s_per_user: Estimate
    """Throughput / users: the speed that floors are about. It holds the wait for the first token; 1 / TPOT does not."""
    latency_s: dict[str, float | None]
    """`ttft_p50`, `tpot_p95`, …; None where the percentile is undefined."""


class LevelRow(Struct, frozen=True, kw_only=True):
    """One number of users, side by side; None where a run has not measured it."""

    users: int
    reference: LevelSide | None
    candidate: LevelSide | None


class Warned(Struct, frozen=True, kw_only=True):
    """Why the two runs may not be comparable, or what a number in them suffers from."""

    id: str
    text: str


class Comparison(Struct, frozen=True, kw_only=True):
    """One candidate (B) held against the reference (A)."""

    reference_id: str
    candidate_id: str
    reference_label: str
    candidate_label: str
    unit: str
    """`tok/s`, or `words/s` where both runs count words."""
    scope: str
    levels: tuple[LevelRow, ...]
    k_at_slo: tuple[Equivalence, ...]
    k_same_load: tuple[Equivalence, ...]
    ratio_equal_users: tuple[Equivalence, ...]
    warnings: tuple[Warned, ...]
    engine_comparison: str | None = None
    """Set where the engines differ: what the figures then compare."""
    verdict: str


class GateLevel(Struct, frozen=True, kw_only=True):
    """A gate's verdict at one number of users."""

    users: int
    measured: Estimate
    """The candidate's figure, divided by the reference's where the gate names the reference."""
    threshold: float
    verdict: Literal["passed", "failed", "undecided"]
    text: str


class GateResult(Struct, frozen=True, kw_only=True):
    """passed: every level surely meets the condition; failed: one surely misses it; undecided: measure longer."""

    expression: str
    reference_id: str
    candidate_id: str
    verdict: Literal["passed", "failed", "undecided"]
    levels: tuple[GateLevel, ...]
    text: str
