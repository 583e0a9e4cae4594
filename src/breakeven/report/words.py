"""How the reports write a number: the same in every form."""

from breakeven import say
from breakeven.compare.words import reason_text
from breakeven.cost import words
from breakeven.cost.figures import COMPARISON, SIDE
from breakeven.cost.formula import readable
from breakeven.cost.result import Figure
from breakeven.findings import Findings, Place, Price, Ranked, Subject
from breakeven.metrics.definitions import METRICS, RATES
from breakeven.metrics.summary import Estimate, Quantile
from breakeven.say import DASH, Counted
from breakeven.units import load_text, short_count, short_s

INTERACTIVITY = {"tpot": "1 / TPOT, median answer", "load": "throughput / users"}
"""How the speed of one user is told."""

DEFINED: tuple[tuple[str, str], ...] = (
    ("capacity C(s)", "the greatest throughput within the measured range that still meets the service level s"),
    ("k(s)", "C_A(s) / C_B(s): how many of B do the work of one A at the service level s"),
    ("rented share", "part of the time it is up in which somebody rents the card: the owner's income"),
    ("load factor", "part of the paid time in which a server serves at its measured throughput"),
    ("ROI parity rent", "the rent at which the candidate earns its purchase back in the reference's time"),
    ("cost parity rent", "the rent at which the candidate's tokens cost what the reference's cost"),
    ("95 % interval", "sampling error of the runs; of capacity and k also what may lie between two levels"),
)
"""What no row of a table defines."""


def definitions(found: Findings) -> tuple[tuple[str, str], ...]:
    """Name and formula of everything that is shown; the economics only where there are prices."""
    rates = ((rate.label, rate.formula) for rate in RATES.values())
    measured = (*rates, *((metric.label, metric.formula) for metric in METRICS.values()))
    if not found.money:
        return (*measured, *DEFINED)
    rows = [
        (f"{counted(row.label, found)} ({name})", readable(row.text)) for name, row in {**SIDE, **COMPARISON}.items()
    ]
    return (*measured, *DEFINED, *rows)


def speed_axis(found: Findings) -> str:
    """What the axis of speed is: interactivity, or the mean speed of a user; they are not the same."""
    name = RATES["output_tok_per_s_per_user"] if found.interactivity == "load" else METRICS["tok_per_s_per_user"]
    unit = "" if found.interactivity == "load" else f", {found.unit}/s"
    label = name.label.replace("tok/s", f"{found.unit}/s")
    return f"{label}{unit} ({INTERACTIVITY[found.interactivity]})"


def counted_as(found: Findings) -> Counted:
    """What the runs count."""
    return "words" if found.unit == "words" else "tokens"


def price(found: Price | None) -> str:
    """`0.33 USD/h rent`, `0.40 USD/h ask`, `0.11 USD/h owned`."""
    if found is None:
        return ""
    return f"{say.usd_per_h(found.usd_per_h)} {price_kind(found)}"


def price_kind(found: Price) -> str:
    """What sort of price it is."""
    return "owned" if found.pays == "purchase" else found.kind or "rent"


def reason(row: Ranked) -> str | None:
    """Why a line of the ranking has no rank, or holds with a reserve."""
    if row.reason is None:
        return None
    if row.reason.why is not None:
        return reason_text(row.reason.why)
    return {
        "declared": "as the scenario declares it, not measured here",
        "capacity": None,
        "no service level": "no levels to read a service level from",
        "open loop": "rates are read at --slo alone, and not beside runs of users",
    }[row.reason.kind]


def called(found: Findings, subject: Subject) -> str:
    """A run by its label, with its letter where there are several."""
    return f"{subject.letter}: {subject.label}" if len(found.subjects) > 1 else subject.label


def name(row: Ranked) -> str:
    """What a line of the ranking is called."""
    return row.label if row.run is not None else f"{row.label} (declared)"


def caution(place: Place) -> str:
    """A caution with the loads that have it."""
    return f"{place.levels}: {place.caution.text}"


def rate(value: float | None) -> str:
    """A throughput: `2.51k`, `812`."""
    return DASH if value is None else short_count(value)


def rate_range(estimate: Estimate) -> str:
    """`790–835`; empty where an end is open."""
    return say.closed(estimate.ci95, short_count)


def cost(value: float | None) -> str:
    """USD per million tokens."""
    return DASH if value is None else say.short(value)


def cost_range(estimate: Estimate) -> str:
    """`0.11–0.13`; empty where an end is open."""
    return say.closed(estimate.ci95, say.short)


def load(row: Ranked) -> str:
    """Users at an operating point; of an open loop the highest offered rate that meets the service level."""
    rate = row.req_per_s.value
    return people(row.users.value) if rate is None else load_text(None, rate)


def load_head(found: Findings) -> str:
    """What heads the loads of a ranking."""
    return "Load" if any(row.req_per_s.value is not None for row in found.ranking) else "Users"


def people(value: float | None) -> str:
    """Users at an operating point: whole ones, as there are no halves."""
    return DASH if value is None else f"{int(value + 1e-9):,}"


def latency(quantile: Quantile) -> str:
    """A percentile, that it is more than some time, or a dash."""
    if quantile.value is not None:
        return short_s(quantile.value)
    return DASH if quantile.more_than is None else f"> {short_s(quantile.more_than)}"


def unit(of: str, counted_in: str) -> str:
    """A unit of tokens as the run counts them: `tok/s`, or `words/s`."""
    return of.replace("tok", counted_in)


def margin(row: Ranked, *, priced: bool) -> str:
    """How far a line of the ranking is from the first."""
    if row.more_than_best is None:
        return DASH
    if row.rank == 1:
        return "cheapest" if priced else "most per card"
    sign = "+" if priced else "−"
    tie = ", a tie with the line above" if row.tie else ""
    return f"{sign}{abs(row.more_than_best) * 100:,.0f} %{tie}"


def is_priced(found: Findings) -> bool:
    """Whether the ranking is by cost."""
    return any(row.usd_per_mtok.value is not None for row in found.ranking)


def per_mtok(found: Findings) -> str:
    """`USD per Mtok`, or of words."""
    return say.unit_of("USD/Mtok", counted_as(found))


def figure(found: Figure | None, *, unit: str) -> str:
    """A figure of the economics with its unit; `never`, or a dash where it is not known."""
    if found is None:
        return DASH
    text = words.figure_text(found, counted="words" if unit == "words" else "tokens")
    return DASH if text == "-" else text


def counted(text: str, found: Findings) -> str:
    """A label with tokens called words where words were counted."""
    return say.label_of(text, counted_as(found))
