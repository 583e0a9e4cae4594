"""What a mix is made of and what it comes to: offers, loads, fleets. No sentence is kept here; `text.py` makes them."""

from typing import Final

from msgspec import Struct, field

from breakeven.compare.types import Reason
from breakeven.metrics.summary import Estimate

FORMAT = 1
MOST_RIVALS: Final = 5
"""Kinds of mixes whose cost is worked out in every draw, and told."""


class LoadClass(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Requests of one length: so many users who all get the service, or so many requests a second. At the peak."""

    name: str = "all"
    users: int | None = None
    req_per_s: float | None = None
    input_tokens: float | None = None
    output_tokens: float | None = None

    @property
    def amount(self) -> float:
        """How much of it there is, in users or requests per second."""
        return self.req_per_s or self.users or 0.0

    @property
    def unit(self) -> str:
        return "users" if self.req_per_s is None else "req/s"


class Load(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to be served."""

    classes: tuple[LoadClass, ...]
    hours: tuple[float, ...] = ()
    """How much there is in equal parts of a day, 24 for hours, the largest being the peak; none: the peak all day."""


class Offer(Struct, frozen=True, kw_only=True):
    """One node that can be rented: the machine of a run at a price."""

    label: str
    runs: tuple[str, ...]
    """The run of each class, an empty text where none was measured at its lengths."""
    card: str
    cards: int = 1
    usd_per_h: float
    """Of the whole node."""
    usd_per_h_range: tuple[float, float] | None = None
    """The dated quotes of this kind; None where there are no two."""
    kind: str
    source: str
    capacity: tuple[Estimate, ...]
    """Of one node by class of the load, in its unit; without a value where the node cannot serve it."""
    at_least: bool = False
    """A run still met the service at its top level, so that the node may do more."""
    predicted: bool = False
    """A run of it was predicted and not measured."""
    least_nodes: int = 1
    """Fewer are not let."""
    away_share: float = 0.0
    """Part of the time that such a node is taken away; paid for and counted on is the rest."""


class Wanted(Struct, frozen=True, kw_only=True):
    """What else is asked of a mix."""

    available: dict[str, int] = field(default_factory=dict)
    """Cards that can be had at most, by name; others are not limited."""
    spare: int = 0
    """1: whichever node is lost, the others carry the load."""
    cold_start_s: float = 300.0
    """From renting a node to its first answer, paid for at every start."""
    draws: int = 200
    seed: int = 0


class Fleet(Struct, frozen=True, kw_only=True):
    """Whole nodes of each offer, in the offers' order, and what an hour of them costs."""

    nodes: tuple[int, ...]
    usd_per_h: float


class Rival(Struct, frozen=True, kw_only=True):
    """Kinds of nodes that are the cheapest mix in some draws, or in the mix that was found."""

    offers: tuple[int, ...]
    share: float
    """Of the draws."""
    fleet: Fleet | None = None
    """The cheapest with a node of each of them and of no other, as measured; None where there is none, or unasked."""
    usd_per_h: Estimate = Estimate()
    """What that costs, and the middle 95 % of the draws; no upper end where in some of them they carry it not."""


class Doubt(Struct, frozen=True, kw_only=True):
    """What draws of capacities and prices, each from its interval, say of the fleet."""

    draws: int
    enough: float
    """Share in which the fleet carries the load."""
    kinds: tuple[Rival, ...] = ()
    """Kinds of nodes that are the cheapest mix, whatever their numbers, the most frequent first.

    The first five, and those of the mix that was found, have their cost.
    """
    none: float = 0.0
    """Share in which what is available cannot carry the load."""


class Day(Struct, frozen=True, kw_only=True):
    """A load that changes over the day: as many nodes as each part of it needs, against those of the peak all day."""

    fleets: tuple[Fleet, ...]
    """By part of the day."""
    starts: int
    """Nodes started a day."""
    usd_per_day: float
    """With what starting them costs."""
    always_on_usd_per_day: float
    within: float
    """The cheapest day is at most this share cheaper."""


class Alone(Struct, frozen=True, kw_only=True):
    """The load on one kind of node only; None where it cannot carry it, or there are too few of it."""

    offer: int
    fleet: Fleet | None = None


class Left(Struct, frozen=True, kw_only=True):
    """A run that offers nothing, and why."""

    label: str
    reason: Reason | None = None
    """Why it has no capacity at the service level; None where it was measured at no length of the load."""


class MixReport(Struct, frozen=True, kw_only=True):
    """The cheapest mix, what else was possible, and how sure that is."""

    format: int = FORMAT
    at: str
    """The service level in words."""
    load: Load
    wanted: Wanted
    offers: tuple[Offer, ...]
    fleet: Fleet
    within: float
    """The cheapest fleet of all is at most this share cheaper; 0 where none is."""
    used: float
    """Part of the fleet's capacity that the load takes at the peak, whatever is spare included."""
    served: float | None = None
    """Part of the time that the fleet carries the peak, where nodes may be taken away; None where none may."""
    alone: tuple[Alone, ...]
    careful: Fleet | None = None
    """The cheapest where each node does only what the lower end of its 95 % interval says; None: not known, or none."""
    doubt: Doubt | None = None
    day: Day | None = None
    left_out: tuple[Left, ...] = ()
    usd_per_mtok_output: float | None = None
    """At the peak, where the load says how long answers are and how many there are a second."""
