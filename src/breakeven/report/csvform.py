"""The findings as CSV: one number a line."""

import csv
import io

from breakeven.findings import Findings
from breakeven.report.numbers import Number, numbers


def to_csv(found: Findings) -> str:
    """Every number with its interval; an empty cell is undefined. A text cannot be taken for a spreadsheet formula."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(Number.__struct_fields__)
    for one in numbers(found):
        writer.writerow([cell(getattr(one, name)) for name in Number.__struct_fields__])
    return out.getvalue()


def cell(value: str | float | None) -> str:
    """A cell: empty where undefined; a text that a spreadsheet would work out is quoted."""
    if value is None:
        return ""
    if isinstance(value, str):
        return f"'{value}" if value.startswith(("=", "+", "-", "@", "\t", "\r")) else value
    return repr(float(value))
