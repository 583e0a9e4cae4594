"""A stratum in words: what it is of, its speeds and variances, and what it cannot tell."""

import math
from collections.abc import Iterable, Sequence
from typing import Final

from msgspec.structs import replace

from breakeven.errors import one_line
from breakeven.fleet.scores import Stratum
from breakeven.fleet.spread import Icc
from breakeven.hardware import gpus
from breakeven.say import digits, interval, percent

LONGEST_NAME: Final = 40


def card_name(key: str) -> str:
    """`GeForce RTX 4090` of a key of the table; any other name as it is."""
    return gpus()[key].name if key in gpus() else key


def parts_of(one: Stratum) -> tuple[list[str], list[str]]:
    """Market and card; model and template, as far as they are known."""
    pairs = ((one.market, card_name(one.gpu)), (one.model, one.template))
    first, second = ([one_line(part, limit=LONGEST_NAME) for part in pair if part] for pair in pairs)
    return first, second


def name_of(one: Stratum) -> str:
    """`4090 · GeForce RTX 4090 · llama3.1-8b · chat`."""
    return " · ".join(part for parts in parts_of(one) for part in parts)


def short_names(strata: Sequence[Stratum]) -> list[str]:
    """The same, with the template only where there are several."""
    is_one = len({one.template for one in strata}) == 1
    return [name_of(replace(one, template=None) if is_one else one) for one in strata]


def cautions_of(named: Iterable[tuple[str, Iterable[str]]]) -> dict[str, list[str]]:
    """For each row of CAUTIONS the names of the strata that it stands beside."""
    found: dict[str, list[str]] = {}
    for name, cautions in named:
        for caution in cautions:
            found.setdefault(caution, []).append(name)
    return found


def sd_text(variance: float | None) -> str:
    """The sd of a variance of logs, in per cent."""
    return "-" if variance is None else percent(math.sqrt(variance))


def icc_text(one: Icc) -> str:
    """`0.96 (0.94–0.98)`."""
    if one.value is None or one.low is None or one.high is None:
        return "-"
    return f"{digits(one.value)} ({interval(one.low, one.high)})"
