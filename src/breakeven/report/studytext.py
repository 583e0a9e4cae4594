"""A study in the terminal."""

from rich.console import Console
from rich.table import Table

from breakeven.errors import printable
from breakeven.findings.study import StudyCell, StudyFindings
from breakeven.report import studywords as words


def print_study(screen: Console, found: StudyFindings, *, where: str) -> None:
    """The answer, the matrix, what each setting does, what failed."""
    for line in filter(None, (words.best_text(found), words.ties_text(found))):
        screen.print(line, style="bold" if line == words.best_text(found) else None)
    screen.print()
    screen.print(_matrix(found))
    screen.print("* cannot be told from the best" if found.best is not None else "")
    if found.effects:
        screen.print(_effects(found))
    for line in (*words.interaction_lines(found), *words.trouble_lines(found)):
        screen.print(f" • {printable(line)}", soft_wrap=True)
    for line in (*words.caveat_lines(found), words.used_text(found)):
        screen.print(line)
    screen.print(f"study folder: {printable(where)}", soft_wrap=True)


def _matrix(found: StudyFindings) -> Table:
    laid = words.matrix(found)
    table = Table(box=None, header_style="bold", title=None)
    for name in laid.down or ("cell",):
        table.add_column(printable(name))
    for column in laid.columns or (words.unit(found),):
        table.add_column(f"{laid.across} {column}" if laid.across else column, justify="right")
    for place, cells in laid.rows:
        table.add_row(*map(printable, place or ("",)), *(_cell(found, cell) for cell in cells))
    return table


def _cell(found: StudyFindings, cell: StudyCell | None) -> str:
    text = words.cell_text(found, cell)
    if cell is None or cell.figure.value is None:
        return text
    inside = words.ends(found, cell.figure)
    return f"{text}{f' ({inside})' if inside else ''}{'*' if cell.ties else ' '}"


def _effects(found: StudyFindings) -> Table:
    table = Table(box=None, header_style="bold")
    for head, justify in (("setting", "left"), ("against", "left"), ("alone", "right"), ("cells", "right")):
        table.add_column(head, justify="left" if justify == "left" else "right")
    for one in found.effects:
        table.add_row(*map(printable, words.effect_row(one)))
    return table
