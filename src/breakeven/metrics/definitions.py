"""What is told of a level: metrics of requests are rows of METRICS, rates of the whole are rows of RATES.

A metric is one function and one row. Its distribution stands in every level's summary, and the tables of levels, CSV,
pooling of repeats and SLO limits walk the rows. A function returns None where the metric has no meaning, never 0.
"""

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from breakeven.metrics.summary import NO_DISTRIBUTION, Estimate, LevelSummary
from breakeven.record import Record
from breakeven.units import US_PER_S


def arrivals_s(record: Record) -> npt.NDArray[np.float64]:
    """When each chunk with output text arrived, in seconds since the run began; empty where there was none."""
    if record.sent_s is None:
        return np.empty(0)
    steps_us = np.frombuffer(record.chunk_us, dtype="<u4")
    return record.sent_s + np.cumsum(steps_us, dtype=np.float64) / US_PER_S


def first_chunk_s(record: Record) -> float | None:
    """When the first chunk with output text arrived, in seconds since the run began; None where there was none."""
    if record.sent_s is None or not record.chunk_us:
        return None
    return record.sent_s + int.from_bytes(record.chunk_us[:4], "little") / US_PER_S


def ttft_s(record: Record) -> float | None:
    """Time to first token: from when the request was due to the first chunk that carried output text."""
    first_s = first_chunk_s(record)
    return None if first_s is None else first_s - record.due_s


def answer_ttft_s(record: Record) -> float | None:
    """Time to first answer token: as TTFT, to the first chunk behind the reasoning that was streamed before it."""
    if not record.reasoning_chunks:
        return ttft_s(record)
    arrived_s = arrivals_s(record)
    behind = record.reasoning_chunks
    return float(arrived_s[behind]) - record.due_s if behind < len(arrived_s) else None


def e2e_s(record: Record) -> float | None:
    """End-to-end latency: from when the request was due to the last chunk that carried output text."""
    if record.sent_s is None or not record.chunk_us:
        return None
    steps_us = int(np.frombuffer(record.chunk_us, dtype="<u4").sum(dtype=np.uint64))
    return record.sent_s + steps_us / US_PER_S - record.due_s


def hidden_tokens(record: Record) -> int:
    """Tokens of reasoning that the server counted and sent no chunk of."""
    return 0 if record.reasoning_chunks else record.reasoning_tokens or 0


def reasoning_tokens(record: Record) -> float:
    """Of the output tokens, those of reasoning: as the server counts them, or else the leading chunks' part of all."""
    if record.reasoning_tokens is not None or not record.reasoning_chunks:
        return float(record.reasoning_tokens or 0)
    return (record.output_tokens or 0) * record.reasoning_chunks / (len(record.chunk_us) // 4)


def tpot_s(record: Record) -> float | None:
    """Time per output token after the first: (E2E - TTFT) / (output tokens - 1), tokens as the server counts them.

    Hidden tokens came before the first chunk, so they are none of these.
    """
    first_s, last_s = ttft_s(record), e2e_s(record)
    if first_s is None or last_s is None or record.output_tokens is None:
        return None
    tokens = record.output_tokens - hidden_tokens(record)
    return (last_s - first_s) / (tokens - 1) if tokens > 1 else None


def tok_per_s_per_user(record: Record) -> float | None:
    """Interactivity: 1 / TPOT, the speed that one user sees."""
    each_s = tpot_s(record)
    return 1 / each_s if each_s else None


def session_s(session: Record) -> float | None:
    """Time to finish a session: from when its first turn was due to the end of its last, pauses included.

    Of the record of a whole session, as `metrics.sessions` makes it; None where it was not played to its end.
    """
    return session.end_s - session.due_s if session.status == "done" else None


def connect_s(record: Record) -> float | None:
    """Time for connection and TLS, inside TTFT; None on a kept connection."""
    return record.connect_s


Over = Literal["due", "ended", "gaps", "sessions"]


class Metric(NamedTuple):
    """A row of METRICS: how a level's distribution is made of its requests, and how tables show it."""

    of: Callable[[Record], float | None]
    """Of one request; of ITL the mean gap, which is TPOT."""
    label: str
    unit: str
    formula: str
    short: str
    """In limits and gates: the `ttft` of `ttft_p99`."""
    over: Over = "ended"
    """What enters it: requests due in the window, answers that ended in it, the gaps between chunks in it, or the
    recorded sessions that ended in it."""
    ranks_late: bool = False
    """What never came to an end ranks last, as infinitely slow; else it is left out."""
    inverse_of: str | None = None
    """The metric whose percentiles, turned round, are this one's: its p95 is what 95 % reach."""
    shown: tuple[str, ...] = ()
    """Percentiles in the tables of levels; p99 joins p95 where it is known and the table has room."""
    is_limited: bool = False
    """An SLO can limit it."""
    unlike: str | None = None
    """Tables show it only where it differs from this one."""


METRICS: dict[str, Metric] = {
    "tok_per_s_per_user": Metric(
        *(tok_per_s_per_user, "interactivity", "tok/s", "1 / TPOT, tok/s while answering"),
        short="interactivity",
        inverse_of="tpot_s",
        shown=("p50",),
    ),
    "ttft_s": Metric(
        *(ttft_s, "TTFT", "s", "first chunk with output text - due"),
        short="ttft",
        over="due",
        ranks_late=True,
        shown=("p50", "p95"),
        is_limited=True,
    ),
    "answer_ttft_s": Metric(
        *(answer_ttft_s, "first answer token", "s", "first chunk behind the reasoning - due"),
        short="answer_ttft",
        over="due",
        ranks_late=True,
        shown=("p50", "p95"),
        is_limited=True,
        unlike="ttft_s",
    ),
    "tpot_s": Metric(
        *(tpot_s, "TPOT", "s", "(E2E - TTFT) / (output tokens - 1)"),
        short="tpot",
        shown=("p50", "p95"),
        is_limited=True,
    ),
    "itl_s": Metric(
        *(tpot_s, "ITL", "s", "gap between neighbouring chunks"), short="itl", over="gaps", is_limited=True
    ),
    "e2e_s": Metric(
        *(e2e_s, "E2E latency", "s", "last chunk with output text - due"),
        short="e2e",
        ranks_late=True,
        is_limited=True,
    ),
    "session_s": Metric(
        *(session_s, "session", "s", "end of a session's last turn - its first due"),
        short="session",
        over="sessions",
        ranks_late=True,
        shown=("p50", "p95"),
        is_limited=True,
        unlike="e2e_s",
    ),
    "connect_s": Metric(*(connect_s, "connect", "s", "TCP and TLS, inside TTFT"), short="connect", over="due"),
}


def shown_metrics(levels: Sequence[LevelSummary]) -> list[tuple[str, Metric]]:
    """The rows that tables of these levels show."""
    return [(name, one) for name, one in METRICS.items() if one.shown and _says_more(name, one.unlike, levels)]


def _says_more(name: str, unlike: str | None, levels: Sequence[LevelSummary]) -> bool:
    """It was measured, and not the same as what it is to be unlike."""
    return unlike is None or any(level.of(name) not in (NO_DISTRIBUTION, level.of(unlike)) for level in levels)


class Rate(NamedTuple):
    """A row of RATES: a figure of a whole level."""

    of: Callable[[LevelSummary], Estimate]
    label: str
    unit: str
    formula: str


def output_tok_per_s_per_user(level: LevelSummary) -> Estimate:
    """The mean speed of a user, the wait for the first token included; None without users."""
    low, high = level.output_tok_per_s.ci95
    return Estimate(value=_each(level, level.output_tok_per_s.value), ci95=(_each(level, low), _each(level, high)))


def _each(level: LevelSummary, value: float | None) -> float | None:
    return None if value is None or not level.users else value / level.users


RATES: dict[str, Rate] = {
    "output_tok_per_s": Rate(
        *(lambda level: level.output_tok_per_s, "output throughput", "tok/s"),
        "output tokens that arrived in the steady window / its length",
    ),
    "total_tok_per_s": Rate(
        *(lambda level: level.total_tok_per_s, "total throughput", "tok/s"), "the same with the prompts' tokens"
    ),
    "req_per_s": Rate(lambda level: level.req_per_s, "req/s", "req/s", "answers that ended in the window / its length"),
    "output_tok_per_s_per_user": Rate(
        *(output_tok_per_s_per_user, "tok/s a user", "tok/s"), "throughput / users, waits included"
    ),
}
