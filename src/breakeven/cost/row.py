"""One row of a table of figures: a function with its label, unit, formula and why it may be undefined."""

import inspect
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple


@cache
def _parameters(of: Callable[..., Any]) -> tuple[str, ...]:
    return tuple(inspect.signature(of).parameters)


class Row(NamedTuple):
    """One figure. `formula` is an expression in the names of its inputs, so that numbers can be put in."""

    of: Callable[..., Any]
    label: str
    unit: str
    formula: str
    undefined: str = ""
    """Why it has no value where it comes out as never or not defined."""
    group: str = "owner"
    shown: bool = True
    """False for a step on the way: explained, in JSON, but not in the table."""
    evaluable: bool = True
    """False where the formula text is a sum in words rather than an expression."""

    def needs(self) -> tuple[str, ...]:
        """Names of what the function takes."""
        return _parameters(self.of)
