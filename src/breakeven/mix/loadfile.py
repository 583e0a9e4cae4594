"""Load files: length classes and a day's curve, read from TOML; every error names the place."""

import math
import tomllib
from collections.abc import Iterator

import msgspec

from breakeven.errors import UsageError
from breakeven.mix.types import Load, LoadClass

MOST_PARTS = 96


def read_load(text: str, *, where: str) -> Load:
    """Read a load; UsageError in one line for what is not known or cannot be."""
    try:
        table = tomllib.loads(text)
        load = msgspec.convert(table, Load)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{where}: {error}") from None
    except msgspec.ValidationError as error:
        raise UsageError(f"{where}: {str(error).replace('$.', '')}") from None
    for problem in problems(load):
        raise UsageError(f"{where}: {problem}")
    return load


def problems(load: Load) -> Iterator[str]:
    """What is wrong with a load, each in one line."""
    if not load.classes:
        yield "has no [[classes]]; give one at least, with users or req_per_s"
    names = [one.name for one in load.classes]
    for one in load.classes:
        if names.count(one.name) > 1:
            yield f"two classes are called {one.name}; give each a name of its own"
        yield from _problems(one)
    if load.hours and not (2 <= len(load.hours) <= MOST_PARTS):
        yield f"hours: give 2 to {MOST_PARTS} numbers, 24 for the hours of a day, not {len(load.hours)}"
    if load.hours and not (all(0 <= share < math.inf for share in load.hours) and max(load.hours) > 0):
        yield "hours: each is a load of 0 or more, and one is above 0"


def _problems(one: LoadClass) -> Iterator[str]:
    if (one.users is None) == (one.req_per_s is None):
        yield f"class {one.name}: say either users or req_per_s"
    for name in ("users", "req_per_s", "input_tokens", "output_tokens"):
        value = getattr(one, name)
        if value is not None and not (math.isfinite(value) and value > 0):
            yield f"class {one.name}: {name} is {value:g}; give a number above 0"
    if one.req_per_s is not None and one.output_tokens is None:
        yield f"class {one.name}: req_per_s needs output_tokens, to know what a request takes"
