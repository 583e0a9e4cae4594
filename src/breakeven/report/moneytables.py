"""Energy on the page, and every figure of the economics as a table."""

from collections.abc import Mapping

from breakeven.cost.figures import GROUPS
from breakeven.cost.result import Figure, Side
from breakeven.cost.words import set_text
from breakeven.findings import Findings, Money
from breakeven.report import words
from breakeven.report.chart import chart
from breakeven.report.markup import Html, el


def figure_tables(found: Findings, case: Money) -> Html:
    """Every figure of both sides, then of the comparison."""
    report = case.report
    sides = [("reference", report.reference), ("candidate", report.candidate)]
    known = [(name, side) for name, side in sides if side is not None]
    heads = [
        el("th", "Figure", scope="col"),
        *(_side_head(name, side) for name, side in known),
    ]
    names = {name: figure for _, side in known for name, figure in side.figures.items()}
    rows: list[Html] = []
    for group, title in GROUPS.items():
        shown = [
            name
            for name, figure in names.items()
            if figure.group == group and figure.shown and any(_is_known(side, name) for _, side in known)
        ]
        if shown:
            rows.append(
                el(
                    "tr",
                    el("th", words.counted(title, found), colspan=len(known) + 1, scope="colgroup"),
                    class_="group",
                )
            )
        rows += [_figure_row(found, name, known) for name in shown]
    blocks = [
        el("h3", "All figures"),
        el(
            "div",
            el("table", el("thead", el("tr", *heads)), el("tbody", *rows), id="figures", class_="stack"),
            class_="scroll",
        ),
    ]
    if report.comparison:
        blocks += [el("h3", "Candidate against reference"), _comparison(found, report.comparison)]
    return el("div", *blocks, class_="figures")


def _side_head(name: str, side: Side) -> Html:
    return el("th", f"{name}: {set_text(side)}", scope="col", class_="n", data_side=name)


def _is_known(side: Side, name: str) -> bool:
    return name in side.figures and not side.figures[name].is_missing


def _figure_row(found: Findings, name: str, known: list[tuple[str, Side]]) -> Html:
    label = next(side.figures[name].label for _, side in known if name in side.figures)
    cells = [_figure_cell(found, side.figures.get(name), f"{part}.{name}", label=part) for part, side in known]
    return el("tr", el("th", words.counted(label, found), scope="row", class_="wide"), *cells)


def _figure_cell(found: Findings, figure: Figure | None, path: str, *, label: str | None = None) -> Html:
    title = None if figure is None else figure.formula
    shown = el("span", words.figure(figure, unit=found.unit), data_fig=path, title=title)
    return el("td", shown, class_="n", data_label=label)


def _comparison(found: Findings, comparison: Mapping[str, Figure]) -> Html:
    rows = [
        el("tr", el("th", words.counted(figure.label, found), scope="row"), _figure_cell(found, figure, name))
        for name, figure in comparison.items()
        if figure.shown and not figure.is_missing
    ]
    return el("div", el("table", el("tbody", *rows)), class_="scroll")


def energy_section(found: Findings, case: Money | None) -> Html:
    """Energy: measured watts where there are some, and what the scenario makes of it."""
    measured = any(level.tok_per_j is not None for subject in found.subjects for level in subject.levels)
    drawn = (
        chart(
            "energy",
            "Tokens per joule",
            "Board power of all cards, mean over the window.",
            label="Output tokens per joule against users.",
        )
        if measured
        else None
    )
    table = None if case is None else _energy_table(found, case)
    lead = (
        "Measured with the runs."
        if measured
        else "No power was measured with these runs; what stands here is as the scenario declares it."
        if table is not None
        else "No power was measured with these runs."
    )
    return el("section", el("h2", "Energy"), el("p", lead, class_="lead"), drawn, table, id="energy")


def _energy_table(found: Findings, case: Money) -> Html | None:
    report = case.report
    known = [
        (n, s)
        for n, s in (("reference", report.reference), ("candidate", report.candidate))
        if s is not None and "power_load_w" in s.inputs
    ]
    if not known:
        return None
    heads = [el("td"), *(_side_head(n, s) for n, s in known)]
    watts = el(
        "tr",
        el("th", "power of a card under load", scope="row", class_="wide"),
        *(
            el(
                "td",
                f"{s.inputs['power_load_w']:.4g} W",
                el("small", s.source("power") or ""),
                class_="n",
                data_label=n,
            )
            for n, s in known
        ),
    )
    rows = [
        _figure_row(found, name, known)
        for name in ("energy_usd_per_h", "tok_per_j")
        if any(_is_known(s, name) for _, s in known)
    ]
    return el(
        "div", el("table", el("thead", el("tr", *heads)), el("tbody", watts, *rows), class_="stack"), class_="scroll"
    )
