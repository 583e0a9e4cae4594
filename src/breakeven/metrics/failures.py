"""What failed in a level: how much of it, and the commonest failure with an example of what the server said."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from breakeven.errorkinds import UNKNOWN, commonest
from breakeven.metrics.summary import LevelSummary
from breakeven.record import Record

MOST: Final = 0.5
"""Of the requests that came to an end: where more failed, the figures speak of the lesser part."""


def kinds_in(records: Sequence[Record]) -> Counter[str]:
    """How many requests failed with each kind of error."""
    return Counter(record.error or UNKNOWN for record in records if record.status == "error")


def failures(records: Sequence[Record]) -> dict[str, Any]:
    """Facts for `extra` of a level; empty where nothing failed. What was cut has neither failed nor been answered."""
    kinds = kinds_in(records)
    if not kinds:
        return {}
    failed, answered = kinds.total(), sum(record.status == "done" for record in records)
    kind = commonest(kinds)
    says = next((record.error_text for record in records if record.error == kind and record.error_text), None)
    return {
        "failed_share": failed / (failed + answered),
        "commonest_error": kind,
        "commonest_errors": kinds[kind],
        "commonest_error_says": says,
    }


def has_mostly_failed(level: LevelSummary) -> bool:
    """More than half of the requests that came to an end failed: the command's exit code is 1."""
    return level.status == "failed" or float(level.extra.get("failed_share") or 0.0) > MOST
