"""Which card to rent for a model: every candidate at its own price, ranked, and the one run that would tell most."""

import math
from collections.abc import Sequence
from typing import Final, Literal

from msgspec import Struct, field
from msgspec.structs import replace

from breakeven.compare.types import Reason
from breakeven.findings.make import findings
from breakeven.findings.money import Prices
from breakeven.findings.names import card, gpu_count
from breakeven.findings.types import Price
from breakeven.metrics.slo import ServiceLevel
from breakeven.metrics.summary import Estimate, RunFacts, RunSummary
from breakeven.predict.nextrun import NextRun, next_run
from breakeven.units import H_PER_YEAR

FORMAT: Final = 1
H_PER_MONTH: Final = H_PER_YEAR / 12
RankedBy = Literal["usd_per_month", "usd_per_mtok"]


class Candidate(Struct, frozen=True, kw_only=True):
    """One card, or several that serve together, with an engine, at its price."""

    run_id: str
    label: str
    kind: Literal["measured", "imported", "data_set", "predicted"]
    card: str
    cards: int
    """Of one node: that serve together."""
    price: Price | None = None
    """Of one card."""
    tok_per_s: Estimate = field(default_factory=Estimate)
    """Of one node at the service level."""
    users: Estimate = field(default_factory=Estimate)
    """Whom one node serves at the service level."""
    at_least: bool = False
    """The service level is still met at the highest load that was looked at."""
    usd_per_mtok: Estimate = field(default_factory=Estimate)
    nodes: Estimate = field(default_factory=Estimate)
    """Whole nodes for all users."""
    usd_per_month: Estimate = field(default_factory=Estimate)
    """Of those nodes, around the clock: 730.5 hours."""
    bound: str | None = None
    """What holds the node back there, where it was predicted."""
    reason: Reason | None = None
    """Why it does not serve at this level."""

    def cost(self, by: "RankedBy") -> Estimate:
        """What a ranking goes by."""
        return self.usd_per_month if by == "usd_per_month" else self.usd_per_mtok


class Left(Struct, frozen=True, kw_only=True):
    """A card that is no candidate."""

    gpu: str
    why: Literal["does not fit", "no price", "not modelled"]
    detail: str


class Choice(Struct, frozen=True, kw_only=True):
    """The answer: candidates in order of cost, those that miss the level last."""

    format: int = FORMAT
    model: str
    precision: str
    level: ServiceLevel
    at: str
    users: float | None
    """Whom all nodes together serve; None: not said, and nothing is counted in nodes."""
    input_tokens: int | str
    """As they were told: a number or a distribution."""
    output_tokens: int | str
    ranked_by: RankedBy
    candidates: tuple[Candidate, ...]
    left_out: tuple[Left, ...]
    next_run: NextRun | None
    """Its index is one of `candidates`; what it saves is in USD of what the ranking goes by."""


def ranked(
    runs: Sequence[RunSummary], *, level: ServiceLevel, users: float | None, prices: Prices
) -> tuple[tuple[Candidate, ...], NextRun | None]:
    """Every run at the service level and its card's newest quote, the cheapest first, and what to measure next."""
    by = ranked_by(users)

    def place(one: Candidate) -> tuple[bool, float]:
        value = one.cost(by).value
        return value is None, value or 0.0

    ordered = sorted((_candidate(run, level=level, users=users, prices=prices) for run in runs), key=place)
    costs = [one.cost(by) for one in ordered]
    return tuple(ordered), next_run(costs, is_open=[one.kind == "predicted" for one in ordered])


def ranked_by(users: float | None) -> RankedBy:
    """By the month where the users of all nodes are said."""
    return "usd_per_mtok" if users is None else "usd_per_month"


def _candidate(run: RunSummary, *, level: ServiceLevel, users: float | None, prices: Prices) -> Candidate:
    found = findings([run], service_level=level, prices=prices)
    row, point, cards = found.ranking[0], found.subjects[0].capacity, gpu_count(run.run.host)
    nodes = _nodes(users, row.users)
    node_usd_per_h = None if row.price is None else row.price.usd_per_h * cards
    return Candidate(
        run_id=run.run.id,
        label=row.label,
        kind=run.run.kind,
        card=card(run.run.host),
        cards=cards,
        price=row.price,
        tok_per_s=_times(row.capacity_tok_per_s, cards),
        users=row.users,
        at_least=point is not None and point.status == "bound",
        usd_per_mtok=row.usd_per_mtok,
        nodes=nodes,
        usd_per_month=Estimate() if node_usd_per_h is None else _times(nodes, node_usd_per_h * H_PER_MONTH),
        bound=_bound(run.run, row.users.value),
        reason=None if point is None or point.reason is None else replace(point.reason, role="this node"),
    )


def _nodes(users: float | None, capacity: Estimate) -> Estimate:
    """ceil(users / whole users of a node), and the same at both ends; an end at which a node serves nobody is open."""
    if users is None:
        return Estimate()
    value, low, high = (_whole(users, each) for each in (capacity.value, *capacity.ci95))
    return Estimate(value=value, ci95=(high, low))


def _whole(users: float, each: float | None) -> float | None:
    served = 0 if each is None else math.floor(each + 1e-9)
    return float(math.ceil(users / served)) if served else None


def _times(one: Estimate, factor: float) -> Estimate:
    value, low, high = (None if number is None else number * factor for number in (one.value, *one.ci95))
    return Estimate(value=value, ci95=(low, high))


def _bound(run: RunFacts, users: float | None) -> str | None:
    """Of the predicted level that is nearest from below."""
    bounds = (run.settings.get("predicted") or {}).get("bounds", {})
    known = [int(level) for level in bounds if users is None or int(level) <= users + 1e-9]
    return str(bounds[str(max(known))]) if known else None
