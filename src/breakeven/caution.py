"""A reason to doubt a number: two sentences with slots, and the figures that fill them when they are shown."""

import re
from collections.abc import Callable, Mapping
from typing import Final

from msgspec import Struct

from breakeven.say import more, percent
from breakeven.units import short_s

Value = float | int | str | Mapping[str, float | int] | None
_SLOT: Final = re.compile(r"{(\w+)(?::(\w+))?}")
_SAID: Final[dict[str, Callable[[float], str]]] = {
    "time": short_s,
    "whole": "{:.0f}".format,
    "one": "{:.1f}".format,
    "two": "{:.2f}".format,
    "few": "{:.2g}".format,
    "plain": "{:g}".format,
    "share": lambda value: percent(value, digits=0),
    "change": more,
}


class Caution(Struct, frozen=True, kw_only=True):
    """A reason to doubt a number, and what to do about it.

    A slot is `{name}` or `{name:kind}`, where the kind says how a number is written. What a server said is a value.
    """

    id: str
    seen: str
    advice: str
    values: Mapping[str, Value] = {}

    @property
    def text(self) -> str:
        return _filled(self.seen, self.values)

    @property
    def remedy(self) -> str:
        return _filled(self.advice, self.values)

    @property
    def kind(self) -> tuple[object, ...]:
        """The same for cautions that differ in nothing but their figures."""
        return self.id, self.seen, self.advice, *((name, _words(value)) for name, value in self.values.items())


def _words(value: Value) -> object:
    """What of a value is no figure."""
    return tuple(value) if isinstance(value, Mapping) else value if isinstance(value, str) else None


def _filled(sentence: str, values: Mapping[str, Value]) -> str:
    return _SLOT.sub(lambda slot: _said(values[slot[1]], slot[2]) if slot[1] in values else slot[0], sentence)


def _said(value: Value, kind: str | None) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_said(one, kind)}" if kind else f"{one} x {name}" for name, one in value.items())
    if isinstance(value, str):
        return value
    return "unknown" if value is None else _SAID.get(kind or "", str)(value)
