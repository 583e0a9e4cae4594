"""What the reference server really did during one tool's load, out of its own stamps."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from breakeven.client.reference import Settings, Stamps

Seconds = NDArray[np.float64]


class Truth(NamedTuple):
    """True figures of a load, in the units of a Reading. None: the load was too short to say."""

    output_tok_per_s: float | None
    """Tokens written in the span that the tool's figure speaks of, over its length."""
    middle_tok_per_s: float | None
    """The same over the middle: about half of the span, a whole number of answers long, so that users in step do no
    harm. What start and end of a load take away does not show here."""
    ttft_p50_s: float | None
    tpot_mean_s: float | None
    requests: int
    lateness_p99_s: float | None
    """How far behind its own schedule the server was; it is in the stamps, so it spoils no truth."""


NO_TRUTH = Truth(None, None, None, None, 0, None)


def truth_of(
    stamps: Stamps, *, since: int, settings: Settings, output_tokens: int, span_s: tuple[float, float] | None
) -> Truth:
    """The truth of the requests from number `since` on; `span_s` None is the whole load, first request to last write.

    Requests of another length than `output_tokens` (a tool's probes) make no load where no span is given.
    """
    asked = [
        number
        for number in range(since, len(stamps.arrival_s))
        if span_s is not None or stamps.output_tokens[number] == output_tokens
    ]
    if not asked:
        return NO_TRUTH
    writes = {number: stamps.writes_of(number) for number in asked}
    written_s = np.sort(np.concatenate(list(writes.values())))
    begin_s, end_s = span_s or (float(stamps.arrival_s[asked].min()), float(written_s[-1]))
    inside = [number for number in asked if begin_s <= stamps.arrival_s[number] < end_s and len(writes[number])]
    whole = [writes[number] for number in inside if len(writes[number]) == output_tokens]
    late_s = np.concatenate([_late_s(stamps, number) for number in asked])
    answer_s = settings.ttft_s + (output_tokens - 1) * settings.itl_s
    return Truth(
        output_tok_per_s=_rate(written_s, begin_s, end_s),
        middle_tok_per_s=_middle_rate(written_s, begin_s, end_s, answer_s=answer_s),
        ttft_p50_s=_median([writes[number][0] - stamps.arrival_s[number] for number in inside]),
        tpot_mean_s=_mean([(each[-1] - each[0]) / (output_tokens - 1) for each in whole if output_tokens > 1]),
        requests=len(inside),
        lateness_p99_s=float(np.quantile(late_s, 0.99)) if len(late_s) else None,
    )


def ideal_tok_per_s(settings: Settings, *, users: int, output_tokens: int) -> float:
    """What a client that takes no time would get: users x tokens / (TTFT + (tokens - 1) x ITL)."""
    return users * output_tokens / (settings.ttft_s + (output_tokens - 1) * settings.itl_s)


def _late_s(stamps: Stamps, number: int) -> Seconds:
    part = slice(stamps.first[number], stamps.first[number + 1])
    return stamps.write_s[part] - stamps.due_s[part]


def _rate(written_s: Seconds, begin_s: float, end_s: float) -> float | None:
    """Writes at or after `begin_s` and up to `end_s`, per second; a write is a token."""
    count = np.searchsorted(written_s, end_s, side="right") - np.searchsorted(written_s, begin_s)
    return float(count) / (end_s - begin_s) if end_s > begin_s else None


def _middle_rate(written_s: Seconds, begin_s: float, end_s: float, *, answer_s: float) -> float | None:
    answers = round((end_s - begin_s) / 2 / answer_s)
    if answers < 1:
        return None
    middle_s, half_s = (begin_s + end_s) / 2, answers * answer_s / 2
    return _rate(written_s, middle_s - half_s, middle_s + half_s)


def _median(values: list[float]) -> float | None:
    return float(np.median(values)) if values else None


def _mean(values: list[float]) -> float | None:
    return float(np.mean(values)) if values else None
