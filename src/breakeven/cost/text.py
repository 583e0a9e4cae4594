"""A cost report as plain text: the answer, the table, how the headline moves, and with `explain` every formula."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Final

from breakeven import say
from breakeven.cost import spread_text, words
from breakeven.cost.result import CostReport, Figure, Side, VariantResult
from breakeven.cost.tables import figure_table, swing_table
from breakeven.table import Table, heads, lines

OPENS: Final[tuple[tuple[tuple[str, ...], str], ...]] = (
    (("market.life_years", "market.discount_per_year"), "NPV, IRR, payback with interest, owner's cost per GPU-hour"),
    (("tok_per_s",), "cost per token, capital per unit of work"),
    (("input_tok_per_s",), "cost blended over input and output"),
    (("tokens.input_gpu_s_ratio",), "input and output apart"),
    (("good_tok_per_s",), "cost of what met the SLO"),
    (("rent_usd_per_h",), "profit, break-even, rent or buy"),
    (("purchase_usd",), "break-even, ROI, rent or buy"),
    (("market.usd_per_kwh",), "energy, profit, break-even"),
    (("power_load_w",), "energy, tokens per joule"),
)

"""Inputs, and the figures that they would open."""

FOLDED: Final = " … (--explain)"


def render(report: CostReport, *, explain: bool = False, warnings: Sequence[str] = ()) -> str:
    """The report for a terminal, with no colour and no more than what fits a wide window.

    `warnings` are what makes measured runs unlike, as `compare` says it.
    """
    answer = [part for line in words.answer_lines(report) for part in say.wrapped(line)]
    blocks = [
        answer,
        _head(report),
        _sides(report),
        _headline(report),
        _variants(report),
        spread_text.uncertainty(report),
        lines(swing_table(report), width=say.WIDTH) if report.tornado else [],
        spread_text.sweep(report),
        _explained(report) if explain else [],
        [part for text in warnings for part in say.wrapped(f"Warning: {text}")],
        _foot(report, explain=explain),
    ]
    return "\n\n".join("\n".join(block) for block in blocks if block) + "\n"


def _head(report: CostReport) -> list[str]:
    title = report.name if report.title is None else f"{report.name}: {report.title}"
    asked = [] if report.reference is None else [f"question: {words.QUESTIONS[report.answer.question]}"]
    source = [] if report.source is None else [f"source: {report.source}"]
    return [title, *source, *asked]


def _parties(report: CostReport) -> list[Side]:
    return [side for side in (report.reference, report.candidate) if side is not None]


def _sides(report: CostReport) -> list[str]:
    """The table of both sides: what is known of either, by group."""
    parties = _parties(report)
    return lines(figure_table(report, unknown="", is_worth_it=lambda name: _worth_a_row(name, parties)))


_REPEATS: Final = {
    "running_usd_per_h": "energy_usd_per_h",
    "revenue_usd_per_h": "rent_usd_per_h_set",
    "rent_or_buy_h": "break_even_h",
    "usd_per_mtok_output_hours_used": "usd_per_mtok_output",
}
"""Rows that say something only where they differ from another."""


def _worth_a_row(name: str, parties: Sequence[Side]) -> bool:
    """Not merely a repetition of the row that it starts from."""
    same = _REPEATS.get(name)
    return same is None or any(
        name in side.figures and (same not in side.figures or side.figures[name].value != side.figures[same].value)
        for side in parties
    )


def _headline(report: CostReport) -> list[str]:
    if report.reference is None:
        return []
    a, b, found = report.reference, report.candidate, report.comparison
    lines = [*_roi_parity(a, b, report), *_cost_parity(a, b, found)]
    ratio, capital = found["usd_per_mtok_ratio"].value, found["capital_ratio"].value
    if ratio is not None and report.answer.kind != "tokens":
        lines.append(
            f"{report.counted.capitalize()}: output of {words.set_text(b)} is {words.cheaper(ratio)} than that of "
            f"{words.set_text(a)}."
        )
    if capital is not None:
        lines.append(
            f"To start: {words.figure_text(b.figures['investment_usd'])} against "
            f"{words.figure_text(a.figures['investment_usd'])}: "
            f"{say.times(capital)} {'less' if capital >= 1 else 'of it'}."
        )
    return lines


def _roi_parity(a: Side, b: Side, report: CostReport) -> list[str]:
    found = report.comparison
    rent_set, rent_card = found["parity_usd_per_h_set"], found["parity_usd_per_h_card"]
    if rent_set.is_missing:
        return []
    if rent_set.value is None or rent_card.value is None:
        why = "" if rent_set.reason is None else words.reason_text(rent_set.reason, counted=report.counted)
        return [f"ROI parity rent: none, because {why}."]
    lines = [
        f"ROI parity: {words.set_text(b)} earn their money back as fast as {words.set_text(a)}",
        f"  at {say.usd_per_h(rent_set.value)} a set, {say.usd_per_h(rent_card.value)} a card",
    ]
    ratio = found["ratio"].value if "ratio" in found else None
    if ratio is None:
        return [lines[0], f"{lines[1]}."]
    than = f": {words.cheaper(ratio)} than {words.figure_text(a.figures['rent_usd_per_h_set'])}."
    lines[1] += than
    whole, cards = found["ratio_whole_cards"].value, found["whole_cards"].value
    if whole is not None and cards is not None and abs(cards - b.count) > 1e-9:
        lines.append(f"  In whole cards ({cards:.0f}): {words.cheaper(whole)}.")
    return lines


def _cost_parity(a: Side, b: Side, found: Mapping[str, Figure]) -> list[str]:
    renter, owner = found["cost_parity_usd_per_h_card"].value, found["cost_parity_owner_usd_per_h_card"].value
    lines = []
    if renter is not None and a.gpu != b.gpu:
        lines.append(
            f"Cost parity, for a renter: the same work costs as much as on {a.name} at {renter:.4g} USD/h a card."
        )
    if owner is not None:
        lines.append(f"Cost parity, against an owner of {a.name}: {owner:.4g} USD/h a card.")
    return lines


_MOVES: Final[tuple[tuple[str, str, str], ...]] = (
    ("k", "cards", "k"),
    ("parity_usd_per_h_set", "USD/h a set", "USD/h"),
    ("parity_usd_per_h_card", "USD/h a card", "USD/h"),
    ("ratio", "cheaper", "x"),
    ("candidate.break_even_h", "break-even h", "h"),
    ("candidate.usd_per_mtok_output", "{USD/Mtok} output", "USD/Mtok"),
    ("usd_per_mtok_ratio", "{tokens} cheaper", "x"),
    ("cost_parity_usd_per_h_card", "cost parity USD/h a card", "USD/h"),
    ("candidate.api_flip_load_factor", "beats API above", "share"),
)


def heading(text: str, report: CostReport) -> str:
    """A column's head by what is counted."""
    return text.format(**{"USD/Mtok": say.unit_of("USD/Mtok", report.counted), "tokens": report.counted})


def _variants(report: CostReport) -> list[str]:
    """How the headline moves: one line a variant, under the heading of its group."""
    if not report.variants:
        return []
    present = [move for move in _MOVES if _moves(report, move[0])]
    groups = [(group, list(members)) for group, members in groupby(report.variants, key=lambda found: found.group)]
    columns = heads("", *(heading(text, report) for _, text, _ in present))
    rows = [[f"    {found.label}", *_moved(found, present)] for _, members in groups for found in members]
    laid = iter(lines(Table(columns, rows)))
    table = [f"How the headline moves{next(laid)[len('How the headline moves') :]}"]
    for group, members in groups:
        table += [_group_title(group, members), *(next(laid) for _ in members)]
    return table


def _moves(report: CostReport, path: str) -> bool:
    """Whether a figure belongs in the table: a parity rent always, some only without it, others where they differ."""
    found = [variant.figures[path] for variant in report.variants if path in variant.figures]
    alone = ("candidate.break_even_h", "cost_parity_usd_per_h_card")
    if path in alone and any("ratio" in variant.figures for variant in report.variants):
        return False
    return bool(found) and (path.startswith("parity") or any(values != found[0] for values in found))


def _group_title(group: str, members: Sequence[VariantResult]) -> str:
    sources = list(dict.fromkeys(member.source for member in members if member.source is not None))
    return f"  {group}" + (f" [{'; '.join(sources)}]" if sources else "")


def _moved(variant: VariantResult, present: Sequence[tuple[str, str, str]]) -> list[str]:
    return [say.between(variant.figures[path], unit) if path in variant.figures else "" for path, _, unit in present]


def _explained(report: CostReport) -> list[str]:
    """Every figure with its formula and the numbers put in."""
    lines = ["Formulas"]
    for side in _parties(report):
        lines += _explain(words.set_text(side), side.figures, report)
    if report.reference is not None:
        both = f"{words.set_text(report.candidate)} against {words.set_text(report.reference)}"
        lines += _explain(both, report.comparison, report)
    return lines


def _explain(title: str, figures: Mapping[str, Figure], report: CostReport) -> list[str]:
    lines = [f"  {title}"]
    for found in figures.values():
        if found.numbers is not None:
            indent = " " * (len(found.name) + 4)
            lines += say.wrapped(f"{found.name} = {found.formula}", first="    ", rest=f"{indent}   ")
            result = _result(found, report)
            if found.value is None or found.numbers != say.plain(found.value):
                result = f"{found.numbers} = {result}"
            lines += say.wrapped(f"= {result}", first=f"{indent} ", rest=f"{indent}   ")
    return lines


def _result(found: Figure, report: CostReport) -> str:
    if found.value is None:
        why = "" if found.reason is None else words.reason_text(found.reason, counted=report.counted)
        return f"none ({why})"
    if found.unit == "share":
        return f"{say.plain(found.value * 100)} %"
    unit = say.unit_of(found.unit, report.counted)
    return f"{say.plain(found.value)}x" if unit == "x" else f"{say.plain(found.value)} {unit}".rstrip()


def _foot(report: CostReport, *, explain: bool) -> list[str]:
    """Sources, reasons, what was not given and notes: in full with `explain`, else a line each."""
    lines = list(notes(report, each=explain))
    if explain:
        return [part for line in lines for part in say.wrapped(line)]
    return [*map(_short, lines), "Every formula with its numbers: --explain"]


def _short(line: str) -> str:
    return line if len(line) <= say.WIDTH else line[: say.WIDTH - len(FOLDED)].rstrip() + FOLDED


def notes(report: CostReport, *, each: bool = True) -> Iterator[str]:
    """Sources, reasons, what was not given and notes; `each`: a line for each source, not one for all."""
    sources = _sources(report)
    yield from (f"From: {one}" for one in (sources if each or not sources else ["; ".join(sources)]))
    yield from _reasons(report)
    neutral = [f"{one.name}={say.plain(one.value)}" for one in report.taken if one.is_neutral]
    if neutral:
        yield f"Not given, so it counts as: {'; '.join(neutral)}"
    derived = [f"{one.name}: {one.why}" for one in report.taken if not one.is_neutral]
    if derived:
        yield f"Follows from what is given: {'; '.join(derived)}"
    yield from _openers(report)
    yield from (f"Note: {words.note_text(note)}" for note in report.notes)


def _sources(report: CostReport) -> list[str]:
    """Each source once, with what comes from it."""
    by_text: dict[str, list[str]] = {}
    for source in report.sources:
        by_text.setdefault(source.text, []).append(source.what)
    for side in _parties(report):
        for source in side.sources:
            by_text.setdefault(source.text, []).append(f"{side.name} {source.what}")
    return [f"{', '.join(what)}: {text}" for text, what in by_text.items()]


def _reasons(report: CostReport) -> list[str]:
    """Why a figure of the table has no value."""
    return [
        f"{side.name}, {say.label_of(found.label, report.counted)}: "
        f"{words.reason_text(found.reason, counted=report.counted)}."
        for side in _parties(report)
        for found in side.figures.values()
        if found.shown and found.reason is not None and not found.is_missing
    ]


def _openers(report: CostReport) -> list[str]:
    """Which inputs would give more figures, for those that are missing."""
    reasons = [figure.reason for figure in report.all_figures().values() if figure.reason is not None]
    missing = {place for reason in reasons for place in reason.missing}
    short = missing | {place.rpartition(".")[2] for place in missing}
    useful = [f"{' and '.join(names)} ({what})" for names, what in OPENS if set(names) & short]
    return [f"More with: {'; '.join(useful)}"] if useful else []
