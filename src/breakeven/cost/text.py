"""A cost report as plain text: the table, the headline and how it moves, and with `explain` every formula."""

from collections.abc import Mapping
from itertools import groupby
from typing import Final

from breakeven.cost import say, spread_text
from breakeven.cost.result import CostReport, Figure, Side, VariantResult, plain

GROUPS: Final[dict[str, str]] = {
    "owner": "Bought and rented out",
    "life": "Over its life",
    "tokens": "Tokens",
    "api": "Against the API",
}
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


def render(report: CostReport, *, explain: bool = False) -> str:
    """The report for a terminal, with no colour and no more than what fits a wide window."""
    tables = [
        _head(report),
        _sides(report),
        _headline(report),
        _variants(report),
        spread_text.uncertainty(report),
        spread_text.tornado(report),
        spread_text.sweep(report),
    ]
    said = [[say.counted_in(line, report.counted) for line in block] for block in tables]
    blocks = [*said, _explained(report) if explain else [], _foot(report, explain=explain)]
    return "\n\n".join("\n".join(block) for block in blocks if block) + "\n"


def _head(report: CostReport) -> list[str]:
    title = report.name if report.title is None else f"{report.name}: {report.title}"
    return [title] if report.source is None else [title, f"source: {report.source}"]


def name_of(side: Side) -> str:
    """`2 × RTX 4090`."""
    return f"{side.count:.4g} × {side.gpu}"


def _parties(report: CostReport) -> list[Side]:
    return [side for side in (report.reference, report.candidate) if side is not None]


def _sides(report: CostReport) -> list[str]:
    """The table of both sides: what is known of either, by group."""
    parties = _parties(report)
    rows = [["", *(name_of(side) for side in parties)]]
    for group, heading in GROUPS.items():
        names = [name for name, found in report.candidate.figures.items() if found.group == group and found.shown]
        lines = [_side_row(name, parties) for name in names if _worth_a_row(name, parties)]
        if lines and not (group == "owner" and all(side.figures["profit_usd_per_h"].missing for side in parties)):
            rows.append([heading, *("" for _ in parties)])
        rows += lines
    return say.columns(rows, indent="")


_REPEATS: Final = {
    "running_usd_per_h": "energy_usd_per_h",
    "revenue_usd_per_h": "rent_usd_per_h_set",
    "rent_or_buy_h": "break_even_h",
}
"""Rows that say something only where they differ from another."""


def _worth_a_row(name: str, parties: list[Side]) -> bool:
    """Worked out for a side, and not merely a repetition of the row that it starts from."""
    if all(side.figures[name].missing for side in parties):
        return False
    same = _REPEATS.get(name)
    return same is None or any(side.figures[name].value != side.figures[same].value for side in parties)


def _side_row(name: str, parties: list[Side]) -> list[str]:
    found = [side.figures[name] for side in parties]
    return [f"  {found[0].label}", *("" if figure.missing else say.figure(figure) for figure in found)]


def _headline(report: CostReport) -> list[str]:
    if report.reference is None:
        return []
    a, b, found = report.reference, report.candidate, report.comparison
    lines = [*_roi_parity(a, b, found), *_cost_parity(a, found)]
    ratio, capital = found["usd_per_mtok_ratio"].value, found["capital_ratio"].value
    if ratio is not None:
        lines.append(f"Tokens: output of {name_of(b)} is {_cheaper(ratio)} than that of {name_of(a)}.")
    if capital is not None:
        lines.append(
            f"To start: {say.figure(b.figures['investment_usd'])} against {say.figure(a.figures['investment_usd'])}: "
            f"{say.times(capital)} {'less' if capital >= 1 else 'of it'}."
        )
    return lines


def _cheaper(ratio: float) -> str:
    return f"{say.times(ratio)} cheaper" if ratio >= 1 else f"{say.times(1 / ratio)} dearer"


def _roi_parity(a: Side, b: Side, found: Mapping[str, Figure]) -> list[str]:
    rent_set, rent_card, ratio = (found[name] for name in ("parity_usd_per_h_set", "parity_usd_per_h_card", "ratio"))
    if rent_set.missing:
        return []
    if rent_set.value is None or rent_card.value is None or ratio.value is None:
        return [f"ROI parity rent: none, because {rent_set.reason or ratio.reason}."]
    than = f"{_cheaper(ratio.value)} than {say.figure(a.figures['rent_usd_per_h_set'])}"
    lines = [
        f"ROI parity: {name_of(b)} earn their money back as fast as {name_of(a)}",
        f"  at {say.usd_per_h(rent_set.value)} a set, {say.usd_per_h(rent_card.value)} a card: {than}.",
    ]
    whole, cards = found["ratio_whole_cards"].value, found["whole_cards"].value
    if whole is not None and cards is not None and abs(cards - b.count) > 1e-9:
        lines.append(f"  In whole cards ({cards:.0f}): {_cheaper(whole)}.")
    return lines


def _cost_parity(a: Side, found: Mapping[str, Figure]) -> list[str]:
    renter, owner = found["cost_parity_usd_per_h_card"].value, found["cost_parity_owner_usd_per_h_card"].value
    lines = []
    if renter is not None:
        lines.append(
            f"Cost parity, for a renter: the same work costs as much as on {a.gpu} at {renter:.4g} USD/h a card."
        )
    if owner is not None:
        lines.append(f"Cost parity, against an owner of {a.gpu}: {owner:.4g} USD/h a card.")
    return lines


_MOVES: Final[tuple[tuple[str, str, str], ...]] = (
    ("k", "cards", "k"),
    ("parity_usd_per_h_set", "USD/h a set", "USD/h"),
    ("parity_usd_per_h_card", "USD/h a card", "USD/h"),
    ("ratio", "cheaper", "x"),
    ("candidate.break_even_h", "break-even h", "h"),
    ("candidate.usd_per_mtok_output", "USD/Mtok output", "USD/Mtok"),
    ("usd_per_mtok_ratio", "tokens cheaper", "x"),
    ("cost_parity_usd_per_h_card", "cost parity USD/h a card", "USD/h"),
    ("candidate.api_flip_load_factor", "beats API above", "share"),
)


def _variants(report: CostReport) -> list[str]:
    """How the headline moves: one line a variant, under the heading of its group."""
    if not report.variants:
        return []
    present = [move for move in _MOVES if _moves(report, move[0])]
    groups = [(group, list(members)) for group, members in groupby(report.variants, key=lambda found: found.group)]
    rows = [["", *(heading for _, heading, _ in present)]]
    rows += [[f"    {found.label}", *_moved(found, present)] for _, members in groups for found in members]
    lines = iter(say.columns(rows, indent=""))
    table = [f"How the headline moves{next(lines)[len('How the headline moves') :]}"]
    for group, members in groups:
        table += [_group_title(group, members), *(next(lines) for _ in members)]
    return table


def _moves(report: CostReport, path: str) -> bool:
    """Whether a figure belongs in the table: a parity rent always, some only without it, others where they differ."""
    found = [variant.figures[path] for variant in report.variants if path in variant.figures]
    alone = ("candidate.break_even_h", "cost_parity_usd_per_h_card")
    if path in alone and any("ratio" in variant.figures for variant in report.variants):
        return False
    return bool(found) and (path.startswith("parity") or any(values != found[0] for values in found))


def _group_title(group: str, members: list[VariantResult]) -> str:
    sources = list(dict.fromkeys(member.source for member in members if member.source is not None))
    return f"  {group}" + (f" [{'; '.join(sources)}]" if sources else "")


def _moved(variant: VariantResult, present: list[tuple[str, str, str]]) -> list[str]:
    return [say.between(variant.figures[path], unit) if path in variant.figures else "" for path, _, unit in present]


def _explained(report: CostReport) -> list[str]:
    """Every figure with its formula and the numbers put in."""
    lines = ["Formulas"]
    for side in _parties(report):
        lines += _explain(name_of(side), side.figures)
    if report.reference is not None:
        lines += _explain(f"{name_of(report.candidate)} against {name_of(report.reference)}", report.comparison)
    return lines


def _explain(title: str, figures: Mapping[str, Figure]) -> list[str]:
    lines = [f"  {title}"]
    for found in figures.values():
        if found.numbers is not None:
            indent = " " * (len(found.name) + 4)
            lines += say.wrapped(f"{found.name} = {readable(found.formula)}", first="    ", rest=f"{indent}   ")
            result = _result(found)
            if found.numbers != result.partition(" ")[0]:
                result = f"{readable(found.numbers)} = {result}"
            lines += say.wrapped(f"= {result}", first=f"{indent} ", rest=f"{indent}   ")
    return lines


def _result(found: Figure) -> str:
    if found.value is None:
        return f"none ({found.reason})"
    if found.unit == "share":
        return f"{plain(found.value * 100)} %"
    return f"{plain(found.value)}x" if found.unit == "x" else f"{plain(found.value)} {found.unit}".rstrip()


def readable(formula: str) -> str:
    """A formula with the signs of print instead of a programming language's."""
    return formula.replace("**", "^").replace(" * ", " × ")


def _foot(report: CostReport, *, explain: bool) -> list[str]:
    lines = [f"From: {line}" for line in _sources(report)]
    lines += _reasons(report)
    if report.taken:
        lines.append("Not given, so it counts as: " + "; ".join(report.taken))
    lines += _openers(report)
    lines += [f"Note: {note}" for note in report.notes]
    folded = [part for line in lines for part in say.wrapped(line)]
    return folded if explain else [*folded, "Every formula with its numbers: --explain"]


def _sources(report: CostReport) -> list[str]:
    """Each source once, with what comes from it."""
    by_text: dict[str, list[str]] = {}
    for source in report.sources:
        what, _, text = source.partition(": ")
        by_text.setdefault(text, []).append(what)
    for side in _parties(report):
        for source in side.sources:
            what, _, text = source.partition(": ")
            by_text.setdefault(text, []).append(f"{side.gpu} {what}")
    return [f"{', '.join(what)}: {text}" for text, what in by_text.items()]


def _reasons(report: CostReport) -> list[str]:
    """Why a figure of the table has no value."""
    return [
        f"{side.gpu}, {found.label}: {found.reason}."
        for side in _parties(report)
        for found in side.figures.values()
        if found.shown and found.reason is not None and not found.missing
    ]


def _openers(report: CostReport) -> list[str]:
    """Which inputs would give more figures, for those that are missing."""
    missing = {place for figure in report.all_figures().values() for place in figure.missing}
    short = missing | {place.partition(".")[2] for place in missing}
    useful = [f"{' and '.join(names)} ({what})" for names, what in OPENS if set(names) & short]
    return [f"More with: {'; '.join(useful)}"] if useful else []
