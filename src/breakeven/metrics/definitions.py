"""The per-request metrics: each is one function and one row of METRICS.

Every exporter, table and page walks METRICS, so a new row appears everywhere.
A function returns None where the metric has no meaning, never 0.
"""

from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

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


def e2e_s(record: Record) -> float | None:
    """End-to-end latency: from when the request was due to the last chunk that carried output text."""
    arrived_s = arrivals_s(record)
    return float(arrived_s[-1]) - record.due_s if len(arrived_s) else None


def hidden_tokens(record: Record) -> int:
    """Tokens of reasoning that the server counted and sent no chunk of."""
    return 0 if record.reasoning_chunks else record.reasoning_tokens or 0


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


def connect_s(record: Record) -> float | None:
    """Time for connection and TLS, inside TTFT; None on a kept connection."""
    return record.connect_s


class Metric(NamedTuple):
    of: Callable[[Record], float | None]
    label: str
    unit: str
    better: Literal["lower", "higher"]
    formula: str


METRICS: dict[str, Metric] = {
    "ttft_s": Metric(ttft_s, "TTFT", "s", "lower", "first chunk with output text - due"),
    "tpot_s": Metric(tpot_s, "TPOT", "s", "lower", "(E2E - TTFT) / (output tokens - 1)"),
    "e2e_s": Metric(e2e_s, "E2E latency", "s", "lower", "last chunk with output text - due"),
    "tok_per_s_per_user": Metric(tok_per_s_per_user, "tok/s per user", "tok/s", "higher", "1 / TPOT"),
    "connect_s": Metric(connect_s, "connect", "s", "lower", "TCP and TLS, inside TTFT"),
}
