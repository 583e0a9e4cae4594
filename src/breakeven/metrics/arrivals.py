"""Which tokens arrived when: every chunk of every request of a level, weighted with its tokens."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from msgspec import Struct

from breakeven.metrics.definitions import arrivals_s
from breakeven.metrics.statistics import Floats
from breakeven.record import Record


class Arrivals(Struct, frozen=True, kw_only=True):
    """The tokens of a level in order of arrival. Arrays are parallel; times are seconds since the run began."""

    times_s: Floats
    tokens: Floats
    estimated: Floats
    """The part of `tokens` that no server counted."""
    gaps_at_s: Floats
    """When the later chunk of each pair of neighbours arrived."""
    gaps_s: Floats
    inputs_at_s: Floats
    """When the first chunk of each request arrived: its prompt had been read by then."""
    inputs_tokens: Floats
    tokens_per_chunk: float
    """Pooled over the finished requests; 1 where no server counted."""
    tokens_from: Literal["usage", "chunks", "mixed"]


def collect(records: Sequence[Record]) -> Arrivals:
    """Give every chunk its share of its answer's tokens, as METHOD's section on tokens says."""
    ratio, tokens_from = _pooled(records)
    times, tokens, estimated, gaps, gaps_at, inputs_at = [], [], [], [], [], []
    seen = [record for record in records if record.chunk_us]
    for record in seen:
        arrived_s = arrivals_s(record)
        share, is_known = _shares(record, len(arrived_s), ratio)
        times.append(arrived_s)
        tokens.append(share)
        estimated.append(np.zeros_like(share) if is_known else share)
        gaps.append(np.diff(arrived_s))
        gaps_at.append(arrived_s[1:])
        inputs_at.append(float(arrived_s[0]))
    order = np.argsort(all_s := _joined(times), kind="stable")
    prompt_tokens = _prompt_tokens(seen)
    inputs_order = np.argsort(inputs_at, kind="stable")
    return Arrivals(
        times_s=all_s[order],
        tokens=_joined(tokens)[order],
        estimated=_joined(estimated)[order],
        gaps_at_s=_joined(gaps_at),
        gaps_s=_joined(gaps),
        inputs_at_s=np.asarray(inputs_at, dtype=np.float64)[inputs_order],
        inputs_tokens=prompt_tokens[inputs_order],
        tokens_per_chunk=ratio,
        tokens_from=tokens_from,
    )


def _pooled(records: Sequence[Record]) -> tuple[float, Literal["usage", "chunks", "mixed"]]:
    """Tokens per chunk over the finished requests, and who counted them."""
    finished = [record for record in records if record.status == "done" and record.chunk_us]
    counted = [record for record in finished if record.output_tokens is not None]
    chunks = sum(len(record.chunk_us) // 4 for record in counted)
    if not chunks:
        return 1.0, "chunks"
    ratio = sum(record.output_tokens or 0 for record in counted) / chunks
    return ratio, "usage" if len(counted) == len(finished) else "mixed"


def _shares(record: Record, chunks: int, ratio: float) -> tuple[Floats, bool]:
    """Tokens of each chunk, and whether the server counted them."""
    if len(record.chunk_tokens) == 4 * chunks:
        return np.frombuffer(record.chunk_tokens, dtype="<u4").astype(np.float64), True
    if record.output_tokens is not None and (record.status == "done" or record.finish_reason is not None):
        return np.full(chunks, record.output_tokens / chunks), True
    return np.full(chunks, ratio), False


def _prompt_tokens(records: Sequence[Record]) -> Floats:
    """Prompt tokens as counted; where a cut request lacks them, as asked, else as the others had on average."""
    known = [record.input_tokens for record in records if record.input_tokens is not None]
    mean = sum(known) / len(known) if known else 0.0

    def of(record: Record) -> float:
        for count in (record.input_tokens, record.asked_input_tokens):
            if count is not None:
                return float(count)
        return mean

    return np.array([of(record) for record in records], dtype=np.float64)


def _joined(parts: list[Floats]) -> Floats:
    return np.concatenate(parts) if parts else np.empty(0)
