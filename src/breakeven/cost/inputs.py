"""What a scenario may say: deployments, a market, a mix of tokens, an API price, and how sure each number is."""

from typing import Any, Literal

from msgspec import Struct, field

Pair = tuple[float, float]


class Spread(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """An uncertain number. Exactly one of these forms:

    `{low, high}` uniform · `{low, mode, high}` triangular · `{mean, sd}` normal, cut at what is possible ·
    `{median, p10, p90}` or `{value, ci95 = [lo, hi]}` log-normal on either side of its middle, so that all
    three numbers hold.
    """

    low: float | None = None
    mode: float | None = None
    high: float | None = None
    mean: float | None = None
    sd: float | None = None
    median: float | None = None
    p10: float | None = None
    p90: float | None = None
    value: float | None = None
    ci95: Pair | None = None


Input = float | Spread
"""A number, or how uncertain it is."""


ANY_CARD = "GPU"
"""A side that names no card: its prices hold for whatever card the run has."""


class Deployment(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A set of equal cards. Everything is per card but `count`; texts say where a number comes from."""

    gpu: str = ANY_CARD
    """The card, as the GPU table or its maker names it: prices are joined to runs by it."""
    label: str | None = None
    """What to call this side where the card alone does not tell the sides apart."""
    count: Input = 1.0
    """Cards in the set: a real number for a fleet; in a comparison the cards that do the reference's work."""
    pays: Literal["purchase", "rent"] | None = None
    """What its tokens are charged with; None: the purchase where there is one, else the rent."""
    use: Literal["rented out", "own"] | None = None
    """Who works on it: renters, or whoever pays for it. None: own where it pays rent and is not bought."""
    currency: str = "USD"
    purchase_usd: Input | None = None
    purchase_from: str | None = None
    host_usd: Input | None = None
    """The card's share of the purchase price of the machine that it sits in."""
    rent_usd_per_h: Input | None = None
    """What the renter pays for one card."""
    rent_from: str | None = None
    rent_kind: str | None = None
    """Kind of the quote (ask, median, spot …), so that unlike ones are not compared unsaid."""
    opex_usd_per_h: Input | None = None
    """Everything else that the owner pays per card and hour: rack, network, work."""
    power_load_w: Input | None = None
    power_idle_w: Input | None = None
    host_w: Input | None = None
    """The card's share of what the machine draws besides its cards."""
    power_from: str | None = None
    tok_per_s: Input | None = None
    """Output tokens per second of one card at the load it has while it serves."""
    input_tok_per_s: Input | None = None
    good_tok_per_s: Input | None = None
    """Output tokens per second of the answers that met the SLO."""
    tok_per_s_from: str | None = None
    node_sd_log: float | None = None
    """Spread between cards of this type, as a standard deviation of log(tok/s)."""
    rented_share: Input | None = None
    availability: Input | None = None
    fee_share: Input | None = None
    fee_markup: Input | None = None

    @property
    def charged(self) -> Literal["purchase", "rent"]:
        """What its tokens are charged with."""
        return self.pays or ("purchase" if self.purchase_usd is not None else "rent")

    @property
    def is_rented_out(self) -> bool:
        """Whether others pay its owner for it."""
        only_rents = self.pays == "rent" and self.purchase_usd is None
        return self.use == "rented out" or (self.use is None and not only_rents)

    @property
    def name(self) -> str:
        """What to call it."""
        return self.label or self.gpu


class Market(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What both sides share; a deployment's own rented share, availability or fee goes first."""

    currency: str = "USD"
    usd_per_kwh: Input | None = None
    energy_from: str | None = None
    pue: Input | None = None
    rent_usd_per_h_set: Input | None = None
    """What a renter pays for a whole set that does the reference's work; a card's own rent goes first."""
    rent_from: str | None = None
    rented_share: Input | None = None
    """Share of the time it is up that somebody rents it (the owner's income)."""
    load_factor: Input | None = None
    """Share of the paid time in which it serves at its measured throughput (the cost of tokens)."""
    availability: Input | None = None
    fee_share: Input | None = None
    """The platform's share of what the renter pays."""
    fee_markup: Input | None = None
    """The platform's mark-up on what the owner gets: m is a share of m / (1 + m)."""
    price_decline_per_year: Input | None = None
    discount_per_year: Input | None = None
    life_years: Input | None = None
    residual_share: Input | None = None
    """What the hardware sells for at the end of its life, as a share of what it cost."""


class Tokens(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The mix of tokens and how input and output share the hour."""

    counted: Literal["tokens", "words"] = "tokens"
    """What the throughput counts; nothing is converted, the figures are labelled."""
    input_per_output: Input | None = None
    """Input tokens per output token, where a deployment does not say its own input rate."""
    input_gpu_s_ratio: Input | None = None
    """r: GPU-seconds of one uncached input token / GPU-seconds of one output token."""
    ratio_from: str | None = None


class Api(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What an API charges for the same tokens."""

    currency: str = "USD"
    usd_per_mtok_input: Input | None = None
    usd_per_mtok_output: Input | None = None
    price_from: str | None = None


class Variant(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The same scenario with other numbers: one line of "how the headline moves"."""

    label: str
    set: dict[str, float | Pair]
    """Place -> number, or the two ends of an interval."""
    source: str | None = None
    group: str = "Other numbers"


class Correlation(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Spearman's rank correlation of two uncertain inputs (Gaussian copula)."""

    between: tuple[str, str]
    rank: float


Question = Literal["same work", "own budgets"]
"""Do the candidate's cards do the work of the reference's, or does each side stand for itself?"""


class Scenario(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One question of money: a candidate, perhaps against a reference, an API price or both."""

    name: str = "scenario"
    title: str | None = None
    source: str | None = None
    question: Question | None = None
    """None: own budgets where both sides say what they serve and the sets do not do the same work."""
    currency: str = "USD"
    candidate: Deployment
    reference: Deployment | None = None
    market: Market = field(default_factory=Market)
    tokens: Tokens = field(default_factory=Tokens)
    api: Api | None = None
    variants: tuple[Variant, ...] = ()
    ranges: dict[str, Spread] = field(default_factory=dict)
    """What `--ranges` takes for inputs of this scenario that it gives as one number, before the ready ranges."""
    correlations: tuple[Correlation, ...] = ()
    notes: tuple[str, ...] = ()


SECTIONS: dict[str, type[Struct]] = {
    "candidate": Deployment,
    "reference": Deployment,
    "market": Market,
    "tokens": Tokens,
    "api": Api,
}
"""The tables of a scenario whose numbers can be set, swept and drawn."""


def inputs(scenario: Scenario) -> dict[str, Input]:
    """Every number that the scenario gives, by its place: `candidate.count`, `market.usd_per_kwh`."""
    found: dict[str, Input] = {}
    for section in SECTIONS:
        part = getattr(scenario, section)
        if part is not None:
            found |= {f"{section}.{name}": value for name, value in _numbers(part)}
    return found


def _numbers(part: Any) -> list[tuple[str, Input]]:
    names = (name for name in part.__struct_fields__ if name != "node_sd_log")
    values = ((name, getattr(part, name)) for name in names)
    return [(name, value) for name, value in values if isinstance(value, (int, float, Spread))]
