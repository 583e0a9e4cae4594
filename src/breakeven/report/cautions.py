"""The cautions of a report, each once: which runs and loads have it, what there is to doubt, what to do about it."""

from typing import Final

from breakeven.findings import Findings, Subject
from breakeven.report.forms import html
from breakeven.report.markup import Html, section
from breakeven.table import Column, Table

LONGEST: Final = 240
_COLUMNS: Final = tuple(
    Column(head, align="left") for head in ("Where", "What there is to doubt", "What to do about it")
)


def cautions_section(found: Findings) -> Html | None:
    """Every caution of every run with its remedy; None where there is none."""
    table = caution_table(found, found.subjects)
    if not table.rows:
        return None
    return section("cautions", "Cautions", None, html(table, style="stack"))


def caution_table(found: Findings, subjects: tuple[Subject, ...]) -> Table:
    """One row a caution, with the letters of the runs that have it."""
    many = len(found.subjects) > 1
    where: dict[tuple[str, str, str], list[str]] = {}
    for subject in subjects:
        for place in subject.cautions:
            key = (place.levels, place.caution.text, place.caution.remedy)
            where.setdefault(key, []).append(subject.letter)
    rows = [
        (
            ": ".join(filter(None, (", ".join(letters) if many else "", levels))),
            _sentence(_short(what)),
            _sentence(remedy),
        )
        for (levels, what, remedy), letters in where.items()
    ]
    return Table(_COLUMNS, rows)


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}." if text else ""
