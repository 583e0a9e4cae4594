"""A plan out of the words of a command: what is wrong is told by its option, not by the key of a plan file."""

from collections.abc import Mapping
from typing import Any

from breakeven.errors import FieldError
from breakeven.plan import OPTIONS, Plan, check_given


def plan_given(given: Mapping[str, Any]) -> Plan:
    """The plan with its defaults; UsageError in one line that begins with the option."""
    try:
        check_given(given)
        return Plan(**given)
    except FieldError as error:
        raise FieldError(error.why, *(OPTIONS.get(field, field) for field in error.fields)) from None
