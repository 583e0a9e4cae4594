"""A study in Markdown for a pull request: the answer, the matrix, what each setting does, what failed."""

from collections.abc import Iterator
from typing import Final

from breakeven.findings.study import StudyCell, StudyFindings
from breakeven.report import studywords as words
from breakeven.report.forms import markdown
from breakeven.report.mdtext import table, text
from breakeven.table import Table

MOST_ROWS: Final = 40
"""Rows of a table; more do not fit a pull request, and the page has them all."""


def study_markdown(found: StudyFindings) -> Iterator[str]:
    """Lines."""
    yield from (f"**{text(words.best_text(found))}**", "", text(words.ties_text(found)), "")
    laid = words.matrix(found)
    heads = [text(one) for one in (*laid.down, *laid.columns)]
    rows = [[*map(text, place), *(_cell(found, cell) for cell in cells)] for place, cells in laid.rows[:MOST_ROWS]]
    yield from table(heads, rows, left=len(laid.down))
    if len(laid.rows) > MOST_ROWS:
        yield from (f"{len(laid.rows) - MOST_ROWS} more rows stand on the page.", "")
    yield from (f"<sub>{text(line)}</sub>" for line in words.caveat_lines(found))
    yield ""
    if found.effects:
        effects = [[text(one) for one in words.effect_row(row)] for row in found.effects[:MOST_ROWS]]
        yield from (*markdown(Table(words.EFFECTS, effects)), "")
    lines = (*words.interaction_lines(found), *words.trouble_lines(found)[:MOST_ROWS])
    yield from (f"- {text(line)}" for line in lines)
    yield from ("", text(words.used_text(found)), "")


def _cell(found: StudyFindings, cell: StudyCell | None) -> str:
    shown = text(words.cell_text(found, cell))
    if cell is None or cell.figure.value is None:
        return shown
    inside = words.ends(found, cell.figure)
    return f"{f'**{shown}**' if cell.ties else shown}{f' <sub>{inside}</sub>' if inside else ''}"
