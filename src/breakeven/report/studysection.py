"""A study on the page: its answer, the matrix as a heat map, what each setting does, what failed. Without a script."""

import math
from typing import Final

from breakeven.findings.study import StudyCell, StudyFindings
from breakeven.report import studywords as words
from breakeven.report.forms import html
from breakeven.report.markup import Html, el
from breakeven.table import Table

SHADES: Final = 9
"""Classes `heat-0` (worst) to `heat-8` (best) of page.css."""


def study_head(found: StudyFindings) -> Html:
    """The answer, with which the page begins: the best cell with its interval, and what ties with it."""
    return el(
        "header",
        el("p", f"{found.name} · {words.counted_text(found)}", class_="eyebrow"),
        el("h1", words.best_text(found)),
        el("p", words.ties_text(found), class_="sure"),
    )


def study_section(found: StudyFindings) -> Html:
    """What the answer rests on."""
    lines = (*words.interaction_lines(found), *words.trouble_lines(found))
    return el(
        "section",
        el("h2", "Every cell"),
        _heat_map(found),
        _effects(found),
        el("ul", *(el("li", line) for line in lines)) if lines else None,
        el("p", " ".join((*words.caveat_lines(found), words.used_text(found))), class_="lead"),
        id="study",
    )


def _heat_map(found: StudyFindings) -> Html:
    laid = words.matrix(found)
    heads = [el("th", name, scope="col") for name in laid.down]
    heads += [el("th", one, scope="col", class_="n") for one in laid.columns]
    rows = [
        el("tr", *(el("th", one, scope="row") for one in place), *(_cell(found, cell) for cell in cells))
        for place, cells in laid.rows
    ]
    caption = f"{words.unit(found)} {words.at(found)}; darker is better, * cannot be told from the best."
    table = el("table", el("caption", caption), el("thead", el("tr", *heads)), el("tbody", *rows), class_="heat")
    return el("div", table, class_="scroll")


def _cell(found: StudyFindings, cell: StudyCell | None) -> Html:
    if cell is None or cell.figure.value is None:
        return el("td", words.cell_text(found, cell), class_="n")
    mark = "*" if cell.ties else ""
    inside = words.ends(found, cell.figure)
    shade = f"n heat-{shade_of(found, cell.figure.value)}"
    return el("td", f"{words.cell_text(found, cell)}{mark}", el("small", inside) if inside else None, class_=shade)


def shade_of(found: StudyFindings, value: float) -> int:
    """0 for the worst cell, SHADES - 1 for the best, in between by the log of the figure."""
    known = [math.log(cell.figure.value) for cell in found.cells if cell.figure.value]
    low, high = min(known), max(known)
    part = 1.0 if low == high else (math.log(value) - low) / (high - low)
    return round((1 - part if found.of == "usd_per_mtok" and low < high else part) * (SHADES - 1))


def _effects(found: StudyFindings) -> Html | None:
    if not found.effects:
        return None
    rows = [words.effect_row(one) for one in found.effects]
    return html(Table(words.EFFECTS, rows), caption="What each setting does alone")
