"""The economics for the page: every formula as JavaScript, and which of them a case goes by."""

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import msgspec

from breakeven.cost import figures, formula
from breakeven.cost.figures import ELSE, NEUTRAL, Row
from breakeven.cost.inputs import Scenario
from breakeven.cost.model import RENAMED, SECTIONS, TWINS, comparison_rows, question_of, rows_of
from breakeven.cost.sensitivity import CROSSINGS

TABLES = (figures.SIDE, figures.RENTED, figures.OWN_USE, figures.COMPARISON, figures.ASSUMED_EQUAL)


@cache
def _numbers() -> Mapping[str, int]:
    """Formula text -> its number on the page."""
    texts = [row.text for table in TABLES for row in table.values()] + [one.text for one in ELSE]
    return {text: number for number, text in enumerate(dict.fromkeys(texts))}


@cache
def script() -> str:
    """`FORMULAS` (needs and function, by number) and the tables that the page's model walks."""
    tables = {
        "ELSE": [[one.name, _numbers()[one.text], one.question] for one in ELSE],
        "NEUTRAL": NEUTRAL,
        "SECTIONS": SECTIONS,
        "RENAMED": RENAMED,
        "TWINS": TWINS,
        "CROSSINGS": CROSSINGS,
    }
    lines = [f"const {name} = {msgspec.json.encode(table).decode()};" for name, table in tables.items()]
    return "\n".join(['"use strict";', "const FORMULAS = [", *_functions(), "];", *lines, ""])


def _functions() -> Iterator[str]:
    for text in _numbers():
        yield f"  [{msgspec.json.encode(formula.needs(text)).decode()}, (v, F) => {formula.javascript(text)}],"


def case_rows(scenario: Scenario) -> dict[str, Any]:
    """What `Money.workOut` needs of a scenario beside its numbers: each part's rows by formula, and the question."""
    parts: dict[str, Mapping[str, Row]] = {"candidate": rows_of(scenario, "candidate")}
    if scenario.reference is not None:
        parts["reference"] = rows_of(scenario, "reference")
        parts["comparison"] = comparison_rows(scenario, both_serve=True)
        parts["equal"] = comparison_rows(scenario, both_serve=False)
    rows = {part: {name: _numbers()[row.text] for name, row in of.items()} for part, of in parts.items()}
    return {"rows": rows, "question": question_of(scenario)}
