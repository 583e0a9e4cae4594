"""The words of the economics: the answer, reasons, notes, and what an input is called."""

from collections.abc import Iterator
from typing import Final

from breakeven import say
from breakeven.cost.figures import ROWS
from breakeven.cost.inputs import Question
from breakeven.cost.result import Answer, CostReport, Figure, Lever, Note, NoteKind, Option, Reason, Side
from breakeven.say import Counted

INPUTS: Final = {
    "rent_usd_per_h": "rent",
    "rent_usd_per_h_set": "rent of a set",
    "purchase_usd": "purchase",
    "host_usd": "machine price",
    "power_load_w": "power under load",
    "power_idle_w": "idle power",
    "host_w": "machine power",
    "opex_usd_per_h": "other cost",
    "tok_per_s": "throughput",
    "input_tok_per_s": "input rate",
    "good_tok_per_s": "good throughput",
    "usd_per_kwh": "energy price",
    "pue": "PUE",
    "rented_share": "rented share",
    "load_factor": "load factor",
    "availability": "availability",
    "fee_share": "platform's fee",
    "fee_markup": "platform's mark-up",
    "price_decline_per_year": "fall of rents",
    "discount_per_year": "interest",
    "life_years": "lifetime",
    "residual_share": "resale",
    "count": "cards",
    "input_per_output": "input per output",
    "input_gpu_s_ratio": "input against output",
    "usd_per_mtok_input": "API price, input",
    "usd_per_mtok_output": "API price, output",
}
_SECTIONS: Final = {"candidate": "candidate: ", "reference": "reference: ", "market": "", "tokens": "", "api": ""}
PLACES: Final = {f"{part}.{name}": words + text for part, words in _SECTIONS.items() for name, text in INPUTS.items()}
"""Every place of a scenario in words."""

NOTES: Final[dict[NoteKind, str]] = {
    "said": "{text}",
    "k_measured": "candidate.count is k = {k:.4g} (service level: {at}; {source})",
    "k_undefined": "k is not defined (service level: {at}); the cards stay as the scenario has them",
    "k_bound": "k is a bound: the candidate needs at {end} this many cards ({reason})",
    "power_measured": "{side}.power_load_w is {watts:.4g} W, measured ({source})",
    "power_declared": "{side}.power_load_w stays as the scenario declares it: the run measured no power",
    "one_card": "one card measured is one card: for the GPU type give node_sd_log, or --ranges default takes 5 % "
    "between cards",
    "operating_points": "the throughputs are as {ratio:.3g} to 1, k is {k:.3g}: not one operating point; "
    "k is what counts",
    "own_quote": "{gpu} rents at its own newest {kind}, {usd_per_h:.4g} USD/h ({source}, {date}); the scenario's "
    "rent of a set is another card's",
    "no_quote": "no rent of {gpu} is known; the scenario's rent of a set is another card's, so give "
    "candidate.rent_usd_per_h",
    "other_kinds": "the rents are of unlike kinds: the reference's a {reference}, the candidate's a {candidate}",
    "other_work": "{k:.4g} candidate cards stand against one reference card, while equal output takes {k_tokens:.4g}: "
    'the sets do not do the same work (question = "own budgets" says so)',
}
"""A line for each kind of note, with its facts put in."""

SAYS: Final[dict[str, str]] = {
    "candidate_breaks_even_first": "the candidate breaks even before the reference",
    "candidate_tokens_cheaper": "the candidate's output {tokens} are cheaper than the reference's",
    "candidate_work_cheaper": "the candidate does the same work for less",
    "candidate_parity_rent_below_reference_rent": "the ROI parity rent is below the reference's rent",
    "candidate_npv_below_0": "the candidate loses money over its life (NPV below 0)",
    "reference_npv_below_0": "the reference loses money over its life (NPV below 0)",
    "candidate_cheaper_than_api": "the candidate is cheaper than the API",
}
"""What a probability is of."""


def note_text(note: Note) -> str:
    """A note as a sentence without its full stop."""
    return NOTES[note.kind].format(**note.facts)


def reason_text(reason: Reason, *, counted: Counted) -> str:
    """Why a figure has no value."""
    if reason.kind == "missing":
        return f"not given: {', '.join(reason.missing)}"
    why = say.label_of(reason.why, counted)
    return f"never: {why}" if reason.kind == "never" else why


def figure_text(found: Figure, *, counted: Counted = "tokens") -> str:
    """A figure's value, or `never` / `-` where it has none."""
    if found.value is not None:
        return say.amount(found.value, found.unit, counted)
    return "never" if found.reason is not None and found.reason.kind == "never" else "-"


def label_text(path: str, *, counted: Counted) -> str:
    """`candidate: break-even`, or a figure of both."""
    part, _, name = path.rpartition(".")
    label = say.label_of(ROWS[name].label, counted)
    return f"{part}: {label}" if part else label


def set_text(side: Side) -> str:
    """`2 × RTX 4090`."""
    if side.count == 1 and side.name != side.gpu:
        return side.name
    return f"{side.count:.3g} × {side.name}"


def cheaper(ratio: float) -> str:
    """`2.5x cheaper`, `1.33x dearer`, `as much`."""
    if say.times(ratio) == "1x":
        return "as much"
    return f"{say.times(ratio)} cheaper" if ratio >= 1 else f"{say.times(1 / ratio)} dearer"


QUESTIONS: Final[dict[Question, str]] = {
    "same work": "same work: the candidate's cards do the work of the reference's",
    "own budgets": "own budgets: each side stands for itself",
}
"""What a scenario of two sides asks."""


def answer_lines(report: CostReport) -> list[str]:
    """The answer, then how sure it is and what it hangs on most."""
    return [_ANSWERS[report.answer.kind](report), " ".join(_sure(report))]


def _tokens(report: CostReport) -> str:
    best, *others = report.answer.options
    unit = say.unit_of("USD/Mtok", report.counted)
    first = f"{_who(report, best)}, {say.short(best.usd_per_mtok)} {unit} of output"
    if not others:
        return f"{first[0].upper()}{first[1:]}."
    load = report.candidate.inputs.get("load_factor", 1.0)
    at = f" at a load of {say.share(load)}" if load < 1 else ""
    if len(others) == 1 and others[0].side != "api":
        times = say.times(others[0].usd_per_mtok / best.usd_per_mtok)
        rest = f"{times} less than {_who(report, others[0])} ({say.short(others[0].usd_per_mtok)})"
    else:
        rest = ", ".join(f"{_who(report, one)} {say.short(one.usd_per_mtok)}" for one in others)
    flip = _flip(report)
    return f"Cheapest{at}: {first}; {rest}.{flip}"


def _who(report: CostReport, option: Option) -> str:
    if option.side == "api":
        return "the API"
    side = report.candidate if option.side == "candidate" else report.reference
    assert side is not None
    ways = {one.how for one in report.answer.options}
    plain = option.how == "rented" or ways == {"owned"} or (side.name != side.gpu and option.how == "owned")
    return side.name if plain else f"{side.name} ({option.how.removeprefix('rented ')})"


def _flip(report: CostReport) -> str:
    """Where owning overtakes renting by the hour, where both are looked at."""
    ways = {one.how for one in report.answer.options}
    found = report.candidate.figures.get("rent_or_buy_share")
    if found is None or "owned" not in ways or "rented for the hours used" not in ways:
        return ""
    if found.value is None:
        return f" Owning {reason_text(found.reason, counted=report.counted)}." if found.reason is not None else ""
    return f" Owning is cheaper than renting by the hour above a use of {say.share(found.value)}."


def _return(report: CostReport) -> str:
    a, b, found = report.reference, report.candidate, report.comparison
    assert a is not None
    times = [_paid_back(side) for side in (b, a)]
    ratio, rent = found["ratio"], found["parity_usd_per_h_card"]
    if ratio.value is None or rent.value is None:
        why = "" if rent.reason is None else reason_text(rent.reason, counted=report.counted)
        return f"{'; '.join(times)}. No rent gives the same return: {why}."
    return (
        f"{'; '.join(times)}. For the same return {b.name} rents out at {say.usd_per_h(rent.value)} a card, "
        f"{cheaper(ratio.value)} for the same work."
    )


def _paid_back(side: Side) -> str:
    hours, one = side.figures["break_even_h"], side.count == 1
    if hours.value is None:
        return f"{set_text(side)} never {'pays' if one else 'pay'} back"
    return f"{set_text(side)} {'pays' if one else 'pay'} back in {figure_text(hours)}"


def _pays_back(report: CostReport) -> str:
    side = report.candidate
    hours, npv = side.figures["break_even_h"], side.figures.get("npv_usd")
    price = figure_text(side.figures["investment_usd"])
    if hours.value is None:
        why = "" if hours.reason is None else hours.reason.why
        text = f"{set_text(side)} for {price}, rented out, never pays back: {why}"
    else:
        text = f"{set_text(side)} for {price}, rented out, pays back in {figure_text(hours)}"
    return text + (
        f"; over its life its NPV is {figure_text(npv)}." if npv is not None and npv.value is not None else "."
    )


def _open(report: CostReport) -> str:
    return f"{set_text(report.candidate)}: nothing can be concluded from what is given."


_ANSWERS: Final = {"tokens": _tokens, "return": _return, "pays back": _pays_back, "open": _open}


def _sure(report: CostReport) -> Iterator[str]:
    answer: Answer = report.answer
    if answer.sure is not None:
        yield _chance(report, *answer.sure)
    elif report.uncertainty is None:
        yield "How sure: open, as no input has a range (--ranges default gives some)."
    if answer.warnings:
        many = answer.warnings > 1
        yield f"{answer.warnings} warning{'s' if many else ''} about the runs stand{'' if many else 's'} below."
    if answer.lever is not None:
        yield _hangs(report, answer.lever)


def _chance(report: CostReport, statement: str, p: float) -> str:
    if statement == "cheapest":
        return f"In {say.chance(p)} of the draws it is the cheapest."
    return f"In {say.chance(p)} of the draws {say.label_of(SAYS[statement], report.counted)}."


def _hangs(report: CostReport, lever: Lever) -> str:
    row = ROWS[lever.path.rpartition(".")[2]]
    first, second = ("never" if end is None else say.amount(end, row.unit, report.counted) for end in lever.ends)
    label, place = label_text(lever.path, counted=report.counted), PLACES.get(lever.place, lever.place)
    if lever.is_ranged:
        return f"It hangs most on {place}: {label} {first} at its P10, {second} at its P90."
    return f"It hangs most on {place}: a tenth more of it makes {label} {second} instead of {first}."
