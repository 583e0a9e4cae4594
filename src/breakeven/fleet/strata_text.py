"""A stratum in words: what it is of, its speeds and variances, and what it cannot tell."""

import math
from collections.abc import Sequence

from breakeven.fleet.scores import Stratum
from breakeven.fleet.spread import Icc
from breakeven.hardware import gpus
from breakeven.say import digits, interval, percent, short


def card_name(key: str) -> str:
    """`GeForce RTX 4090` of a key of the table; any other name as it is."""
    return gpus()[key].name if key in gpus() else key


def name_of(one: Stratum) -> str:
    """`market 4090 · GeForce RTX 4090 · llama3.1-8b · chat`."""
    market = None if one.market is None else f"market {one.market}"
    return " · ".join(filter(None, (market, card_name(one.gpu), one.model, one.template)))


def short_names(strata: Sequence[Stratum]) -> list[str]:
    """`4090 · GeForce RTX 4090 · llama3.1-8b`, with the template only where there are several."""
    templates = {one.template for one in strata}
    parts = (
        (one.market, card_name(one.gpu), one.model, one.template if len(templates) > 1 else None) for one in strata
    )
    return [" · ".join(filter(None, part)) for part in parts]


def sd_text(variance: float | None) -> str:
    """The sd of a variance of logs, in per cent."""
    return "-" if variance is None else percent(math.sqrt(variance))


def icc_text(one: Icc) -> str:
    """`0.96 (0.94–0.98)`."""
    if one.value is None or one.low is None or one.high is None:
        return "-"
    return f"{digits(one.value)} ({interval(one.low, one.high)})"


def rates_text(one: Stratum) -> str:
    """`62.1 at 1 user, 1,203 at 100`."""
    known = [(n, rate) for n, rate in zip(one.users, one.tok_per_s, strict=True) if rate is not None]
    ends = [known[0], known[-1]] if len(known) > 1 else known
    unit = "words/s" if one.counted == "words" else "tok/s"
    told = ", ".join(f"{short(rate)} at {n} {'user' if n == 1 else 'users'}" for n, rate in ends)
    return f"{told} ({unit})" if told else "-"
