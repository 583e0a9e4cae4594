"""The findings as Markdown for a pull request: the answer, the ranking, and the rest folded away."""

import re
from collections.abc import Iterator
from typing import Final

from breakeven.cost.tables import comparison_table, figure_table
from breakeven.findings import Findings
from breakeven.report.cautions import caution_table
from breakeven.report.kpis import money_figures
from breakeven.report.leveltable import footnote, level_table, limits_text, verdict_lines
from breakeven.report.mdtext import text, told
from breakeven.report.ranking import ranking_table
from breakeven.report.sentence import answer_text, level_text, sure_text
from breakeven.report.studymarkdown import study_markdown
from breakeven.report.studywords import runs_text
from breakeven.report.words import called
from breakeven.table import plain

FEW: Final = 10
"""Runs whose levels are listed."""


def to_markdown(found: Findings) -> str:
    """Short, and safe in a pull request: no text of a server becomes markup, a mention or a link."""
    return (
        "\n".join([*_head(found), *_ranking(found), *_money(found), *_cautions(found), *_folded(found)]).rstrip() + "\n"
    )


def _head(found: Findings) -> Iterator[str]:
    if found.study is not None:
        yield from study_markdown(found.study)
        yield from (f"### {runs_text(len(found.subjects))}", "")
    said = text(answer_text(found))
    yield from (said if found.study is not None else f"**{said}**", "", text(sure_text(found)), "")


def _ranking(found: Findings) -> Iterator[str]:
    yield from told(ranking_table(found))
    level = level_text(found)
    if level is not None:
        yield from (f"<sub>At {text(level)}; in brackets 95 % intervals.</sub>", "")


def _money(found: Findings) -> Iterator[str]:
    shown = " · ".join(text(f"{one.label}: {one.text}") for one in money_figures(found))
    if shown:
        yield from (f"{text(found.money[found.best_money or 0].label)}: {shown}.", "")


def _cautions(found: Findings) -> Iterator[str]:
    rows = caution_table(found, found.subjects[:FEW]).rows
    cells = ([text(plain(cell)) for cell in row] for row in rows)
    yield from (f"- ⚠ {where}: {what} <sub>{remedy}</sub>" for where, what, remedy in cells)
    if rows:
        yield ""


def _folded(found: Findings) -> Iterator[str]:
    yield from ("<details><summary>Level by level, and how to repeat it</summary>", "")
    for subject in found.subjects[:FEW]:
        yield from (f"**{text(called(found, subject))}** {text(subject.model or '')}".rstrip(), "")
        yield from told(level_table(subject))
        if limits := limits_text(subject):
            yield from (text(limits), "", *(f"- {text(line)}" for line in verdict_lines(subject)), "")
        if note := footnote(subject):
            yield from (f"<sub>{text(note)}</sub>", "")
    if len(found.subjects) > FEW:
        yield from (f"{len(found.subjects) - FEW} more runs are not listed here.", "")
    if found.money:
        report = found.money[found.best_money or 0].report
        for table in (figure_table(report), comparison_table(report)):
            yield from told(table) if table.rows else ()
    commands = [command for subject in found.subjects[:FEW] for command in subject.commands] + list(found.commands)
    if commands:
        fence = "`" * max(3, 1 + max(len(run) for command in commands for run in re.findall(r"`+|$", command)))
        yield from (f"{fence}sh", *commands, fence, "")
    yield from (f"<sub>breakeven {text(found.version)}</sub>", "", "</details>")
