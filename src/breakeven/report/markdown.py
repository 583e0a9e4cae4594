"""The findings as Markdown for a pull request: the answer, the ranking, and the rest folded away."""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from breakeven.cost.result import Figure
from breakeven.cost.words import set_text
from breakeven.findings import Findings, Money, Ranked, Subject
from breakeven.report import words
from breakeven.report.mdtext import table, text
from breakeven.report.runsections import footnote, limits_text, table_columns, verdict_lines
from breakeven.report.sentence import answer_text, level_text, sure_text
from breakeven.report.studymarkdown import study_markdown
from breakeven.report.studywords import runs_text

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
    priced = words.is_priced(found)
    heads = [
        "",
        "GPU · engine",
        *(["price, a card"] if priced else []),
        f"{found.unit}/s a card",
        words.load_head(found).lower(),
    ]
    heads += [words.per_mtok(found)] if priced else []
    heads += ["against the first"]
    yield from table(heads, [_rank(found, row, priced=priced) for row in found.ranking], left=3 if priced else 2)
    level = level_text(found)
    if level is not None:
        yield from (f"<sub>At {text(level)}; in brackets 95 % intervals.</sub>", "")


def _rank(found: Findings, row: Ranked, *, priced: bool) -> list[str]:
    letter = found.subjects[row.run].letter if row.run is not None and len(found.subjects) > 1 else ""
    name = text(f"{letter}: {words.name(row)}" if letter else words.name(row))
    reason = words.reason(row)
    missed = f" <sub>{text(reason)}</sub>" if reason and row.rank is None else ""
    return [
        str(row.rank or words.DASH),
        (f"**{name}**" if row.rank == 1 else name) + missed,
        *([text(words.price(row.price)) or words.DASH] if priced else []),
        _with(words.rate(row.capacity_tok_per_s.value), words.rate_range(row.capacity_tok_per_s)),
        words.load(row),
        *([_with(words.cost(row.usd_per_mtok.value), words.cost_range(row.usd_per_mtok))] if priced else []),
        words.margin(row, priced=priced),
    ]


def _with(value: str, interval: str) -> str:
    return f"{value} ({interval})" if interval else value


def _money(found: Findings) -> Iterator[str]:
    if not found.money:
        return
    case = found.money[found.best_money or 0]
    told = [f"{label} {shown}" for label, shown in _headline(case, unit=found.unit)]
    if told:
        yield from (f"{text(case.label)}: {' · '.join(text(one) for one in told)}.", "")


def _headline(case: Money, *, unit: str) -> Iterator[tuple[str, str]]:
    candidate, comparison = case.report.candidate.figures, case.report.comparison
    named: tuple[tuple[str, Figure | None], ...] = (
        ("break-even", candidate.get("break_even_h")),
        ("ROI parity rent, a card,", comparison.get("parity_usd_per_h_card")),
        ("cost parity rent, a card,", comparison.get("cost_parity_usd_per_h_card")),
        ("NPV", candidate.get("npv_usd")),
    )
    for label, figure in named:
        if figure is not None and not figure.is_missing:
            yield label, words.figure(figure, unit=unit)


def _cautions(found: Findings) -> Iterator[str]:
    """Each caution once, with the runs and levels that have it."""
    many = len(found.subjects) > 1
    where: dict[tuple[str, str, str], list[str]] = {}
    for subject in found.subjects[:FEW]:
        for place in subject.cautions:
            key = (place.levels, place.caution.text, place.caution.remedy)
            where.setdefault(key, []).append(subject.letter)
    for (levels, what, remedy), letters in where.items():
        runs = f"{' and '.join(letters)}, " if many else ""
        yield f"- ⚠ {text(runs + levels)}: {text(what)}. <sub>{text(remedy)}</sub>"
    if where:
        yield ""


def _folded(found: Findings) -> Iterator[str]:
    yield from ("<details><summary>Level by level, and how to repeat it</summary>", "")
    for subject in found.subjects[:FEW]:
        yield from _levels(found, subject)
    if len(found.subjects) > FEW:
        yield from (f"{len(found.subjects) - FEW} more runs are not listed here.", "")
    if found.money:
        yield from _figures(found, found.money[found.best_money or 0])
    commands = [command for subject in found.subjects[:FEW] for command in subject.commands] + list(found.commands)
    if commands:
        fence = "`" * max(3, 1 + max(len(run) for command in commands for run in re.findall(r"`+|$", command)))
        yield from (f"{fence}sh", *commands, fence, "")
    yield from (f"<sub>breakeven {text(found.version)}</sub>", "", "</details>")


def _figures(found: Findings, case: Money) -> Iterator[str]:
    """Every figure of the economics: of both sides, then of the comparison."""
    report = case.report
    sides = [side for side in (report.reference, report.candidate) if side is not None]
    names = {name: figure.label for side in sides for name, figure in side.figures.items() if figure.shown}
    rows = [
        [
            text(words.counted(label, found)),
            *(text(words.figure(side.figures.get(name), unit=found.unit)) for side in sides),
        ]
        for name, label in names.items()
    ]
    yield from table(["figure", *(text(set_text(side)) for side in sides)], _known(rows), left=1)
    both = [
        [text(words.counted(one.label, found)), text(words.figure(one, unit=found.unit))]
        for one in report.comparison.values()
        if one.shown
    ]
    if both:
        yield from table(["candidate against reference", ""], _known(both), left=1)


def _known(rows: Sequence[Sequence[str]]) -> list[Sequence[str]]:
    """Those that say something."""
    return [row for row in rows if any(cell != words.DASH for cell in row[1:])]


def _levels(found: Findings, subject: Subject) -> Iterator[str]:
    name = f"{subject.letter}: {subject.label}" if len(found.subjects) > 1 else subject.label
    columns = table_columns(subject)
    yield from (f"**{text(name)}** {text(subject.model or '')}".rstrip(), "")
    rows = [[text(level.load), *(text(_with(*column.cell(level))) for column in columns)] for level in subject.levels]
    yield from table(["load", *(column.head for column in columns)], rows, left=1)
    if limits := limits_text(subject):
        yield from (text(limits), "", *(f"- {text(line)}" for line in verdict_lines(subject)), "")
    if note := footnote(subject):
        yield from (f"<sub>{text(note)}</sub>", "")
