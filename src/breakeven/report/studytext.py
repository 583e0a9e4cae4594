"""A study in the terminal."""

from rich.console import Console

from breakeven.errors import printable
from breakeven.findings.study import StudyCell, StudyFindings
from breakeven.report import studywords as words
from breakeven.report.forms import screen as styled
from breakeven.say import room
from breakeven.table import Table, heads


def print_study(screen: Console, found: StudyFindings, *, where: str) -> None:
    """The answer, the matrix, what each setting does, what failed."""
    screen.print(words.best_text(found), style="bold")
    if ties := words.ties_text(found):
        screen.print(ties)
    screen.print()
    screen.print(styled(_matrix(found), width=room()), soft_wrap=True)
    screen.print("* cannot be told from the best" if found.best is not None else "")
    if found.effects:
        screen.print(styled(_effects(found), width=room()), soft_wrap=True)
    for line in (*words.interaction_lines(found), *words.trouble_lines(found)):
        screen.print(f" • {printable(line)}", soft_wrap=True)
    for line in (*words.caveat_lines(found), words.used_text(found)):
        screen.print(line)
    screen.print(f"study folder: {printable(where)}", soft_wrap=True)


def _matrix(found: StudyFindings) -> Table:
    laid = words.matrix(found)
    names = heads(*map(printable, (*laid.down, *laid.columns)), left=range(len(laid.down)))
    rows = [(*map(printable, place), *(_cell(found, cell) for cell in cells)) for place, cells in laid.rows]
    return Table(names, rows)


def _cell(found: StudyFindings, cell: StudyCell | None) -> str:
    text = words.cell_text(found, cell)
    if cell is None or cell.figure.value is None:
        return text
    inside = words.ends(found, cell.figure)
    return f"{text}{f' ({inside})' if inside else ''}{'*' if cell.ties else ' '}"


def _effects(found: StudyFindings) -> Table:
    return Table(words.EFFECTS, [tuple(map(printable, words.effect_row(one))) for one in found.effects])
