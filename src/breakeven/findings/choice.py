"""Which card to rent for a model: every candidate at its own price, ranked, and the one run that would tell most."""

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Final, Literal, NamedTuple

from msgspec import Struct, field
from msgspec.structs import replace

from breakeven.compare.types import Reason
from breakeven.findings.make import drafted
from breakeven.findings.money import Prices
from breakeven.findings.names import card, engine, gpu_count, machine
from breakeven.findings.nodes import output_cost
from breakeven.findings.offers import capacity_for
from breakeven.findings.scrub import scrubbed
from breakeven.findings.types import Price
from breakeven.metrics.slo import ServiceLevel
from breakeven.metrics.summary import Estimate, RunFacts, RunSummary
from breakeven.mix.types import Load, LoadClass
from breakeven.predict.calibrations import Unlike
from breakeven.predict.nextrun import NextRun, next_run
from breakeven.units import H_PER_MONTH

FORMAT: Final = 1
RankedBy = Literal["usd_per_month", "usd_per_mtok"]


class Candidate(Struct, frozen=True, kw_only=True):
    """One card, or several that serve together, with an engine, at its price."""

    run_id: str
    label: str
    """Card and engine; `kind` says whether anybody measured it."""
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
    capacity: dict[str, Estimate] = field(default_factory=dict)
    """Of one node by class of the load, in whole users or requests a second, were it to serve that class alone."""
    nodes: Estimate = field(default_factory=Estimate)
    """Whole nodes for the load."""
    usd_per_month: Estimate = field(default_factory=Estimate)
    """Of those nodes, around the clock: 730.5 hours."""
    most: str = ""
    """The class of the load that takes most of it, or that it cannot serve: whose `users`, `bound` and `reason`."""
    bound: str | None = None
    """What holds the node back there, where it was predicted."""
    reason: Reason | None = None
    """Why it does not serve at this level."""
    precision: str | None = None
    """Of the weights, where it was predicted."""
    products: str | None = None
    """The numbers that it multiplies, 16 bits where narrower weights are widened first; where it was predicted."""
    unlike: tuple[Unlike, ...] = ()
    """Of what no measurement is at all: `engine`, `architecture`; where it was predicted."""
    outside: dict[str, float] | None = None
    """Points of the card, and which part of them such an interval held, where that was few (`predict/coverage.py`)."""

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
    load: Load | None
    """What all nodes together serve, at its peak; None: not said, and nothing is counted in nodes."""
    input_tokens: int | str
    """As they were told: a number or a distribution."""
    output_tokens: int | str
    ranked_by: RankedBy
    candidates: tuple[Candidate, ...]
    left_out: tuple[Left, ...]
    next_run: NextRun | None
    """Its index is one of `candidates`; what it saves is in USD of what the ranking goes by."""


class Looked(NamedTuple):
    """A run, and the class of the load whose lengths it has."""

    of: str
    run: RunSummary


def ranked(
    looked: Sequence[Looked], *, level: ServiceLevel, load: Load | None, prices: Prices
) -> tuple[tuple[Candidate, ...], NextRun | None]:
    """Every run at the service level and its card's newest quote, the cheapest first, and what to measure next.

    With a load the runs of one machine are one candidate.
    """
    by = ranked_by(load)

    def place(one: Candidate) -> tuple[bool, float]:
        value = one.cost(by).value
        return value is None, value or 0.0

    found = [_candidate(one.run, level=level, prices=prices) for one in looked]
    ordered = sorted(found if load is None else _of_load(looked, found, load), key=place)
    costs = [one.cost(by) for one in ordered]
    return tuple(ordered), next_run(costs, is_open=[one.kind == "predicted" for one in ordered])


def ranked_by(load: Load | None) -> RankedBy:
    """By the month where the load of all nodes is said."""
    return "usd_per_mtok" if load is None else "usd_per_month"


def _candidate(run: RunSummary, *, level: ServiceLevel, prices: Prices) -> Candidate:
    found = drafted([run], service_level=level, prices=prices)
    row, cards = scrubbed(found.ranking[0]), gpu_count(run.run.host)
    about = run.run.settings.get("predicted") or {}
    point = None if (capacity := found.subjects[0].capacity) is None else scrubbed(capacity)
    return Candidate(
        run_id=run.run.id,
        label=machine(run.run),
        kind=run.run.kind,
        card=card(run.run.host),
        cards=cards,
        price=row.price,
        tok_per_s=_times(row.capacity_tok_per_s, cards),
        users=row.users,
        at_least=point is not None and point.status == "bound",
        usd_per_mtok=row.usd_per_mtok,
        bound=_bound(run.run, row.users.value),
        precision=about.get("precision"),
        products=about.get("products"),
        unlike=tuple(about.get("unlike", ())),
        outside=about.get("outside"),
        reason=None if point is None or point.reason is None else replace(point.reason, role="this node"),
    )


def _of_load(looked: Sequence[Looked], found: Sequence[Candidate], load: Load) -> Iterator[Candidate]:
    """One for each machine; of several runs of a class each is one, and one that lacks a class serves nothing."""
    machines: dict[tuple[str, int, str], dict[str, list[Candidate]]] = {}
    for of, one in zip(looked, found, strict=True):
        key = (one.card, one.cards, engine(of.run.run.engine))
        machines.setdefault(key, {}).setdefault(of.of, []).append(one)
    for runs in machines.values():
        lacks = next((one.name for one in load.classes if one.name not in runs), None)
        if lacks is None:
            yield from (_joined(each, load) for each in itertools.product(*(runs[one.name] for one in load.classes)))
        else:
            [first, *_] = itertools.chain.from_iterable(runs.values())
            none = Estimate()
            yield replace(first, users=none, tok_per_s=none, usd_per_mtok=none, bound=None, reason=None, most=lacks)


def _joined(each: Sequence[Candidate], load: Load) -> Candidate:
    """Nodes that share their time among the classes, as many as the sum of load / capacity says, rounded up."""
    able = [capacity_for(of, run.users, run.tok_per_s) for of, run in zip(load.classes, each, strict=True)]
    parts = [_nodes([of], [can]) for of, can in zip(load.classes, able, strict=True)]
    most = max(range(len(each)), key=lambda i: math.inf if (part := parts[i].value) is None else part)
    whole = _nodes(load.classes, able)
    counted = Estimate(value=_up(whole.value), ci95=(_up(whole.ci95[0]), _up(whole.ci95[1])))
    price = each[most].price
    found = replace(
        each[most],
        capacity={of.name: can for of, can in zip(load.classes, able, strict=True)},
        nodes=counted,
        usd_per_month=Estimate()
        if price is None
        else _times(counted, price.usd_per_h * each[most].cards * H_PER_MONTH),
        most=load.classes[most].name,
    )
    return found if len(each) == 1 else _mixed(found, each, load, nodes=whole)


def _mixed(found: Candidate, each: Sequence[Candidate], load: Load, *, nodes: Estimate) -> Candidate:
    """With the tokens of all classes; predicted where one of them is."""
    tok_per_s = [_tok_per_s(of, run) for of, run in zip(load.classes, each, strict=True)]
    usd_per_mtok = Estimate()
    speed = Estimate()
    if nodes.value is not None and found.price is not None:
        low, high = (None if end is None else sum(tok_per_s) / end for end in nodes.ci95)
        speed = Estimate(value=sum(tok_per_s) / nodes.value, ci95=(high, low))
        usd_per_mtok = output_cost(speed, usd_per_h=found.price.usd_per_h * found.cards)
    marked = next((one for one in each if one.kind == "predicted"), found)
    return replace(
        found,
        kind=marked.kind,
        at_least=any(one.at_least for one in each),
        tok_per_s=speed,
        usd_per_mtok=usd_per_mtok,
    )


def _tok_per_s(of: LoadClass, run: Candidate) -> float:
    """Of a whole class: as its requests say, or as its users get at the capacity of a node."""
    if of.req_per_s is not None:
        return of.req_per_s * (of.output_tokens or 0.0)
    return of.amount * (run.tok_per_s.value or 0.0) / (run.users.value or 1.0)


def _nodes(classes: Sequence[LoadClass], able: Sequence[Estimate]) -> Estimate:
    """Sum of load / capacity, and the same at both ends; an end at which a node serves nobody is open."""

    def taken(capacity: list[float | None]) -> float | None:
        pairs = zip(classes, capacity, strict=True)
        return sum(of.amount / can for of, can in pairs if can) if all(capacity) else None

    most, least = (taken([one.ci95[end] for one in able]) for end in (0, 1))
    return Estimate(value=taken([one.value for one in able]), ci95=(least, most))


def _up(nodes: float | None) -> float | None:
    return None if nodes is None else float(math.ceil(nodes - 1e-9))


def _times(one: Estimate, factor: float) -> Estimate:
    value, low, high = (None if number is None else number * factor for number in (one.value, *one.ci95))
    return Estimate(value=value, ci95=(low, high))


def _bound(run: RunFacts, users: float | None) -> str | None:
    """Of the predicted level that is nearest from below."""
    bounds = (run.settings.get("predicted") or {}).get("bounds", {})
    known = [int(level) for level in bounds if users is None or int(level) <= users + 1e-9]
    return str(bounds[str(max(known))]) if known else None
