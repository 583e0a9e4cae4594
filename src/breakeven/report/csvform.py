"""The findings as CSV: one number a line."""

from breakeven.findings import Findings
from breakeven.report.forms import csv_text
from breakeven.report.numbers import Number, numbers


def to_csv(found: Findings) -> str:
    """Every number with its interval; an empty cell is undefined."""
    names = Number.__struct_fields__
    return csv_text(names, ([getattr(one, name) for name in names] for one in numbers(found)))
