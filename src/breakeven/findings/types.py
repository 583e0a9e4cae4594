"""The types of findings: everything that a report may say, and nothing that it would have to work out."""

from typing import Any, Literal

from msgspec import Struct, field

from breakeven.caution import Caution
from breakeven.compare.types import Comparison, Holds, NextLevel, OperatingPoint, Relation
from breakeven.compare.types import Reason as Why
from breakeven.cost.result import CostReport, Crossing
from breakeven.findings.series import LevelSeries
from breakeven.findings.study import StudyFindings
from breakeven.metrics.bracket import Bracket
from breakeven.metrics.slo import ServiceLevel
from breakeven.metrics.summary import Estimate, LevelSummary

FORMAT = 2
"""Version of the JSON that findings give."""
Interactivity = Literal["tpot", "load"]
NO_ENDS: tuple[float | None, float | None] = (None, None)


class Place(Struct, frozen=True, kw_only=True):
    """A caution with the levels that it holds for, in words; no levels: the whole run."""

    levels: str
    caution: Caution


class Level(Struct, frozen=True, kw_only=True):
    """One level as it is shown."""

    load: str
    summary: LevelSummary
    """Of several repeats: all of them together."""
    repeats: int = 1
    tok_per_s_per_gpu: Estimate
    """Throughput / cards of the machine."""
    power_w: float | None = None
    """Board power of all cards, mean over the window; None where it was not measured."""
    tok_per_j: float | None = None
    tok_per_s_per_user: float | None = None
    """As `Findings.interactivity` says."""
    usd_per_mtok: float | None = None
    """At this level, with the scenario's prices: serving hour of a card / output tokens of a card in it."""
    on_front: bool = False
    """No other level of any run gives more per GPU and more per user."""


class Subject(Struct, frozen=True, kw_only=True):
    """One run."""

    letter: str
    """A for the reference, then B, C …"""
    id: str
    label: str
    hardware: str
    engine: str
    model: str | None
    mark: str
    """`predicted` where nobody measured it, else empty."""
    started: str | None
    unit: str
    gpu_count: int
    levels: tuple[Level, ...]
    series: tuple[LevelSeries, ...]
    cautions: tuple[Place, ...]
    capacity: OperatingPoint | None
    """At the service level of the headline."""
    machine: dict[str, Any]
    engine_facts: dict[str, Any]
    workload: dict[str, Any]
    commands: tuple[str, ...]
    notes: tuple[str, ...] = ()
    limits: str | None = None
    """What its levels were held against when they were measured."""
    found: Bracket | None = None
    """Of a search: the highest load that meets them."""


class Answer(Struct, frozen=True, kw_only=True):
    """What a candidate against the reference, or the only run, comes to; `report.sentence` says it."""

    kind: Literal["compared", "apart", "alone", "nothing"]
    """`apart`: the two cannot be held against each other, for `why`."""
    subject: int
    """Index of the candidate, or of the only run."""
    reference: int | None = None
    k: Estimate = field(default_factory=Estimate)
    """How many of the candidate do the work of one reference, as machines."""
    relation: Relation | None = None
    tie: bool | None = None
    why: tuple[Why, ...] = ()
    """Why k is a bound, or why there is none."""
    k_holds: Holds = "sampling"
    """What the interval of k holds."""
    measure_next: tuple[NextLevel, ...] = ()
    """The levels that would narrow k most."""
    cost_ratio: Estimate = field(default_factory=Estimate)
    """Cost per output token of the candidate / the reference's."""
    speed: Estimate = field(default_factory=Estimate)
    """Of the only run: its output per second."""
    load: str | None = None
    """Where that is; None: at the service level."""
    users: float | None = None
    req_per_s: float | None = None
    """Of an open loop, in place of users."""
    is_least: bool = False
    """The service level is still met at the top of what was measured."""
    usd_per_mtok: float | None = None
    """What a million output tokens of the only run cost."""


class Price(Struct, frozen=True, kw_only=True):
    """What an hour of one card is charged with."""

    usd_per_h: float
    pays: Literal["purchase", "rent"]
    kind: str | None = None
    """Of a rent that is a quote: ask, median, spot."""
    source: str | None = None


class Money(Struct, frozen=True, kw_only=True):
    """The economics of one candidate, perhaps against a reference."""

    candidate: int | None
    """Index of the run that is the candidate; None: as the scenario declares it."""
    reference: int | None
    label: str
    scenario: dict[str, Any]
    """The scenario with what was measured put in: the tables of a scenario file."""
    inputs: dict[str, float]
    """Every number by place; the middle of a range."""
    ranges: dict[str, tuple[float, float]]
    """P10 and P90 of every uncertain input."""
    middles: dict[str, float]
    """What an input counts as in the tornado where the scenario does not give it, but a ready range does."""
    pays: dict[str, str]
    report: CostReport
    answer: Answer | None = None
    k_ci95: tuple[float | None, float | None] = NO_ENDS
    """Of k, per card, as measured; open where it was not."""
    cost_ratio: Estimate = field(default_factory=Estimate)
    """Candidate's cost per output token / the reference's, with the interval of the measurement alone."""
    rents: tuple[float, ...] = ()
    """Rents of a candidate card along which the next two run, USD/h."""
    curves: dict[str, tuple[float | None, ...]] = field(default_factory=dict)
    crossings: tuple[Crossing, ...] = ()
    sweep: str = ""
    """As `breakeven cost --sweep` takes it."""


class Reason(Struct, frozen=True, kw_only=True):
    """Why a line of the ranking has no rank, or holds with a reserve."""

    kind: Literal["no service level", "open loop", "declared", "capacity"]
    """`open loop`: it is read at limits alone, and not beside closed loops."""
    why: Why | None = None
    """Of a capacity that is a bound or none."""


class Ranked(Struct, frozen=True, kw_only=True):
    """One line of the ranking: a GPU with an engine at a price."""

    rank: int | None
    """None where it misses the service level, or nobody knows."""
    run: int | None
    """Index of the run; None for what the scenario only declares."""
    money: int | None
    side: Literal["reference", "candidate"] | None
    label: str
    hardware: str
    engine: str
    price: Price | None
    capacity_tok_per_s: Estimate
    """Per card, at the service level."""
    users: Estimate
    req_per_s: Estimate
    """Of an open loop, in place of users: the highest offered rate that meets the service level."""
    usd_per_mtok: Estimate
    more_than_best: float | None
    """Share by which it costs more than the first; without prices, by which it gives less per card."""
    tie: bool
    """Its interval overlaps that of the line above."""
    reason: Reason | None = None
    cautions: tuple[Place, ...] = ()


class Findings(Struct, frozen=True, kw_only=True):
    """What the runs say. The only type that a report reads."""

    format: int = FORMAT
    version: str
    """Of breakeven."""
    title: str | None
    """As it was asked for; None: from the runs."""
    answer: Answer
    service_level: ServiceLevel | None
    unit: str
    """`tok` or `words`."""
    interactivity: Interactivity
    """How the speed of one user is told: 1 / TPOT at p50, or throughput / users where answers were not streamed."""
    subjects: tuple[Subject, ...]
    ranking: tuple[Ranked, ...]
    comparisons: tuple[Comparison, ...] = ()
    money: tuple[Money, ...] = ()
    best_money: int | None = None
    study: StudyFindings | None = None
    """Of which the runs are the best cells."""
    notes: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    """How to make this report again."""

    @property
    def floor_tok_per_s_per_user(self) -> float | None:
        """The service level, where it is a floor."""
        return None if self.service_level is None else self.service_level.floor_tok_per_s_per_user
