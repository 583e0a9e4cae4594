"""The self-checks: figures that a steady, honest level satisfies, taken from the records alone."""

import math
from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from breakeven.metrics.arrivals import Arrivals
from breakeven.metrics.definitions import METRICS, hidden_tokens
from breakeven.metrics.level import Window, estimated_share, input_share, settled_s, window_of
from breakeven.metrics.speed import in_flight
from breakeven.metrics.statistics import BATCH_COUNTS, SHORTEST_BATCH_S, Floats, t_quantile
from breakeven.record import LevelFacts, Record

_PARTS: Final = 20
_FIRST: Final = 10
_LEAST_WAVE: Final = 0.01
_SURE: Final = 3.6
"""2.33 standard deviations (99 %, one-sided) of the rise that a line finds in what wavers: 1.1 x sqrt(2) x that."""


class Backlog(Struct, frozen=True, kw_only=True):
    """Requests that were due and not over yet, as a line through twenty averages of the window."""

    growth_req_per_s: float
    is_growing: bool
    """By more than chance makes, than two requests and than a quarter of their mean; and fewer ended than were due."""


class Checks(Struct, frozen=True, kw_only=True):
    """What was found. None: there was nothing to check it on."""

    in_flight: float | None
    """Time average over the window of requests between due and end (closed loop: plus users that think)."""
    halves_tok_per_s: tuple[float, float] | None
    halves_doubt_tok_per_s: float | None
    """95 % half-width of the difference of the halves, from ten batches each (five in a window under 10 s)."""
    little_users: float | None
    """Starts and ends per second x (mean E2E + think time) of the requests that ended in the window."""
    little_tolerance: float | None
    answers_per_user: float | None
    median_e2e_s: float | None
    think_s: float
    """Pause between an answer and the next question: the plan's, or the mean of those that the workload made."""
    longest_batch_s: float
    estimated_share: float
    """Share of the window's tokens that no server counted."""
    tokens_per_chunk: float
    tokens_in_first_chunk: float | None
    """Mean over answers whose chunks were counted one by one."""
    cached_share: float | None
    """Prompt tokens that the server served from a cache."""
    shared_share: float
    """Prompt tokens that the workload itself put at the start of an earlier prompt."""
    input_misses: int
    output_misses: int
    """Answers of another length than the workload asked for."""
    in_one_piece: int
    """Answers of several tokens that arrived in one chunk."""
    without_done: int = 0
    """Answers whose stream ended without `[DONE]`."""
    hidden_share: float | None = None
    """Share of the answers' tokens that were reasoning which no chunk showed; None where the server counted none."""
    unsettled_s: float = 0.0
    """How long after the window's opening the throughput settled."""
    wavering: float | None = None
    """To how many independent stretches of throughput the window amounts, where they leave a doubt of 1 % or more."""
    one_length: bool = False
    """Several users who do not pause got answers of one length only, so that they keep their places."""
    backlog: Backlog | None = None
    """Of an open loop; None also where the window had closed before the first answers could have filled it."""


def check_level(facts: LevelFacts, records: Sequence[Record], *, window: Window | None = None) -> Checks | None:
    """All self-checks of a level; None where it has no window."""
    window = window or window_of(facts, records)
    if window is None:
        return None
    arrivals, answers = window.arrivals, window.answers()
    e2e = [value for record in answers if (value := METRICS["e2e_s"].of(record)) is not None]
    # what the turns of a recorded session wait for is a part of it: whoever plays it does not pause
    of = replace(facts, own_pauses=False) if facts.session_turns else facts
    think_s = _think_s(of, window)
    little, tolerance = _little(of, window, think_s=think_s)
    halves, doubt = _halves(arrivals, window)
    return Checks(
        in_flight=None if facts.plays_once else _in_flight(of, window),
        halves_tok_per_s=halves,
        halves_doubt_tok_per_s=doubt,
        little_users=little,
        little_tolerance=tolerance,
        answers_per_user=len(answers) / facts.users if facts.users else None,
        median_e2e_s=float(np.median(e2e)) if e2e else None,
        think_s=think_s,
        longest_batch_s=window.length_s / BATCH_COUNTS[0],
        estimated_share=estimated_share(arrivals, window) or 0.0,
        tokens_per_chunk=arrivals.tokens_per_chunk,
        tokens_in_first_chunk=_first_chunk(answers),
        cached_share=input_share(answers, lambda record: record.cached_tokens),
        shared_share=input_share(answers, lambda record: record.asked_shared_tokens) or 0.0,
        input_misses=sum(_misses(record.asked_input_tokens, record.input_tokens) for record in answers),
        output_misses=sum(_misses(record.asked_output_tokens, record.output_tokens) for record in answers),
        in_one_piece=sum(len(record.chunk_us) == 4 and (record.output_tokens or 0) > 1 for record in answers),
        without_done=sum(record.without_done for record in answers),
        hidden_share=_hidden(answers),
        unsettled_s=settled_s(facts, arrivals) - window.open_s,
        wavering=_wavering(window),
        one_length=_one_length(facts, answers),
        backlog=_backlog(facts, records, window) if facts.users is None else None,
    )


def _wavering(window: Window) -> float | None:
    if window.speed is None:
        return None
    rates, found = window.speed
    return found.stretches if found.half_width > _LEAST_WAVE * float(rates.mean()) else None


def _one_length(facts: LevelFacts, answers: Sequence[Record]) -> bool:
    pauses = facts.think_s > 0 or facts.own_pauses
    lengths = {record.output_tokens for record in answers}
    return (facts.users or 0) > 1 and not pauses and len(lengths) == 1 and None not in lengths


def _misses(asked: int | None, got: int | None) -> bool:
    return asked is not None and got is not None and asked != got


def _in_flight(facts: LevelFacts, window: Window) -> float:
    spans = [(record.due_s, record.end_s) for record in window.stays]
    if facts.think_s > 0 or facts.own_pauses:
        spans += _thinking(window.stays, think_s=facts.think_s)
    covered_s = sum(max(0.0, min(end, window.close_s) - max(start, window.open_s)) for start, end in spans)
    return covered_s / window.length_s


def _backlog(facts: LevelFacts, records: Sequence[Record], window: Window) -> Backlog | None:
    """In flight on average over each of twenty parts of the window, and the slope of a line through them.

    A server that keeps up fills until its first answers end, so the line begins there. Then what is in flight wavers:
    its variance is its mean for Poisson arrivals (M/G/infinity), and (1 + CV^2) / 2 of it for gaps of that coefficient
    of variation. As it may waver as slowly as answers last, the line's own residuals do not tell how sure it is.
    """
    due, end = (np.array([getattr(record, name) for record in records]) for name in ("due_s", "end_s"))
    open_s = max(window.open_s, facts.start_s + _filled_s(due, end))
    if open_s >= window.close_s:
        return None
    part_s = (window.close_s - open_s) / _PARTS
    averages = in_flight(records, np.linspace(open_s, window.close_s, _PARTS + 1))
    at_s = part_s * (np.arange(_PARTS) - (_PARTS - 1) / 2)
    slope = float(averages @ at_s / (at_s @ at_s))
    left = averages - averages.mean() - slope * at_s
    doubt = t_quantile(_PARTS - 2) * math.sqrt(float(left @ left) / (_PARTS - 2) / float(at_s @ at_s))
    mean, rise = float(averages.mean()), slope * (window.close_s - open_s)
    chance = _SURE * math.sqrt(mean * (1 + _variation(due, window) ** 2) / 2)
    ended = sum(record.status != "cut" for record in window.all_ended)
    grows = slope > doubt and rise > max(2.0, 0.25 * mean, chance)
    return Backlog(growth_req_per_s=slope, is_growing=grows and ended < 0.98 * len(window.all_due))


def _filled_s(due_s: Floats, end_s: Floats) -> float:
    """The longest of the first ten answers, which came before there was a queue: so long a server fills."""
    first = np.argsort(due_s, kind="stable")[:_FIRST]
    return float((end_s - due_s)[first].max(initial=0.0))


def _variation(due_s: Floats, window: Window) -> float:
    """Coefficient of variation of the gaps between the requests that were due in the window; 1 where there are few."""
    gaps_s = np.diff(np.sort(due_s[(due_s >= window.open_s) & (due_s < window.close_s)]))
    return float(gaps_s.std() / gaps_s.mean()) if len(gaps_s) >= _FIRST and gaps_s.mean() > 0 else 1.0


def _thinking(records: Sequence[Record], *, think_s: float) -> list[tuple[float, float]]:
    """From the end of each good answer until the same user's next request was due; after the last, for a think time.

    That is the plan's, or the longest that was seen where the workload has its own (a conversation). A user who never
    asks again is missing from then on.
    """
    pauses = list(_pauses(records))
    longest_s = max((then - one.end_s for one, then in pauses if then is not None), default=0.0)
    after_last_s = max(think_s, longest_s)
    return [(one.end_s, one.end_s + after_last_s if then is None else then) for one, then in pauses]


def _pauses(records: Sequence[Record]) -> Iterator[tuple[Record, float | None]]:
    """Each good answer with when its user's next request was due; None after the last."""
    by_user: dict[int, list[Record]] = {}
    for record in sorted(records, key=lambda record: record.k):
        by_user.setdefault(record.user, []).append(record)
    for mine in by_user.values():
        for one, after in zip(mine, [*mine[1:], None], strict=True):
            if one.status == "done":
                yield one, None if after is None else after.due_s


def _halves(arrivals: Arrivals, window: Window) -> tuple[tuple[float, float] | None, float | None]:
    """Throughput of the window's two halves and the doubt of their difference (Welch, ten or five batches each)."""
    batches = 20 if window.length_s / 20 >= SHORTEST_BATCH_S else 10
    edges = np.linspace(window.open_s, window.close_s, batches + 1)
    rates = np.diff(arrivals.by(edges)) / (window.length_s / batches)
    first, second = rates[: batches // 2], rates[batches // 2 :]
    halves = float(first.mean()), float(second.mean())
    if window.length_s / batches < SHORTEST_BATCH_S:
        return halves, None
    variance = (float(first.var(ddof=1)) + float(second.var(ddof=1))) / (batches // 2)
    return halves, t_quantile(batches - 2) * math.sqrt(variance)


def _little(facts: LevelFacts, window: Window, *, think_s: float) -> tuple[float | None, float | None]:
    """Users that throughput and latency account for; only where the window holds five answers of each user."""
    ended = [record for record in window.ended_of(window.stays) if record.status != "cut"]
    if not ended or facts.users is None:
        return None, None
    stay_s = sum(record.end_s - record.due_s for record in ended) / len(ended) + think_s
    if window.length_s < 5 * stay_s:
        return None, None
    per_s = (len(window.due_of(window.stays)) + len(ended)) / 2 / window.length_s
    return per_s * stay_s, max(0.05, stay_s / window.length_s)


def _think_s(facts: LevelFacts, window: Window) -> float:
    """The plan's, or the mean pause after the good answers that ended in the window where the workload has its own."""
    if not facts.own_pauses:
        return facts.think_s
    pauses_s = [
        then - one.end_s
        for one, then in _pauses(window.stays)
        if then is not None and window.open_s < one.end_s <= window.close_s
    ]
    return sum(pauses_s) / len(pauses_s) if pauses_s else facts.think_s


def _hidden(answers: Sequence[Record]) -> float | None:
    tokens = sum(record.output_tokens or 0 for record in answers)
    return sum(map(hidden_tokens, answers)) / tokens if tokens else None


def _first_chunk(answers: Sequence[Record]) -> float | None:
    firsts = [int.from_bytes(record.chunk_tokens[:4], "little") for record in answers if record.chunk_tokens]
    return sum(firsts) / len(firsts) if firsts else None
