"""A plan out of the words of a command: what is wrong is told by its option, not by the key of a plan file."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from breakeven.errors import FieldError
from breakeven.options import option_said
from breakeven.plan import Plan, check_given
from breakeven.serving import Hardware, Launch, engine_settings


def _launch(given: Mapping[str, Any]) -> Launch:
    return Launch(**{**given, "settings": engine_settings(given.get("settings", {}))})


_PARTS: Final[Mapping[str, Callable[[Mapping[str, Any]], Any]]] = {
    "launch": _launch,
    "hardware": lambda given: Hardware(**given),
}


def plan_given(given: Mapping[str, Any]) -> Plan:
    """The plan with its defaults; UsageError in one line that begins with the option."""
    try:
        check_given(given)
        return Plan(**{name: _PARTS[name](value) if name in _PARTS else value for name, value in given.items()})
    except FieldError as error:
        raise FieldError(error.why, *map(option_said, error.fields)) from None
