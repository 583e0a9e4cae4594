"""A plan out of the words of a command: what is wrong is told by its option, not by the key of a plan file."""

from collections.abc import Mapping
from typing import Any

from breakeven.errors import UsageError
from breakeven.plan import OPTIONS, Plan, check_given


def plan_given(given: Mapping[str, Any]) -> Plan:
    """The plan with its defaults; UsageError in one line that begins with the option."""
    try:
        check_given(given)
        return Plan(**given)
    except UsageError as error:
        raise UsageError(_by_option(str(error))) from None


def _by_option(text: str) -> str:
    """`requests and rate: …` -> `--requests and --rate: …`."""
    fields, colon, rest = text.partition(": ")
    return " ".join(OPTIONS.get(word, word) for word in fields.split()) + colon + rest
