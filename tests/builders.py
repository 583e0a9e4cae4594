"""What tests of the pure rooms are about: a record, facts, a whole level; what does not matter is filled in."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from msgspec.structs import replace

from breakeven.metrics.level import summarise_level
from breakeven.metrics.summary import LevelSummary
from breakeven.record import ClientFacts, LevelFacts, Record

Level = tuple[LevelFacts, list[Record]]


def packed(values: Iterable[int]) -> bytes:
    """Unsigned 32-bit little-endian, as records keep their chunks."""
    return np.asarray(list(values), dtype="<u4").tobytes()


def a_record(
    *, chunks_at_s: Sequence[float] = (), chunk_tokens: Sequence[int] = (), due_s: float = 0.0, **fields: Any
) -> Record:
    """A finished request that was due at 0, sent when due, and over with its last chunk. Times since the run began."""
    sent_s = fields.setdefault("sent_s", due_s)
    stamps_us = [round((at_s - sent_s) * 1e6) for at_s in chunks_at_s]
    last_s = chunks_at_s[-1] if chunks_at_s else due_s
    known: dict[str, Any] = {"user": 0, "k": 1, "end_s": last_s, "status": "done"}
    return Record(
        due_s=due_s,
        chunk_us=packed(np.diff(stamps_us, prepend=0)),
        chunk_tokens=packed(chunk_tokens),
        **known | fields,
    )


def some_facts(*, window: tuple[float, float] = (0.0, 100.0), **fields: Any) -> LevelFacts:
    """A level that ended well, with its window."""
    open_s, close_s = window
    known: dict[str, Any] = {"users": 1, "start_s": 0.0, "open_s": open_s, "close_s": close_s, "end_s": close_s}
    return LevelFacts(**known | {"stopped": "max"} | fields)


def summary_of(records: Sequence[Record], *, window: tuple[float, float] = (0.0, 100.0), **facts: Any) -> LevelSummary:
    """The summary of a level that consists of these records."""
    return summarise_level(some_facts(window=window, **facts), records)


def a_client(**fields: Any) -> ClientFacts:
    """A client that had little to do."""
    known: dict[str, Any] = {"cpu_s": 1.0, "window_s": 20.0, "lag_p50_s": 1e-4, "lag_p99_s": 5e-4, "lag_max_s": 1e-3}
    return ClientFacts(**known | {"reads": 1000} | fields)


def an_honest_level(
    *,
    users: int = 4,
    window: tuple[float, float] = (2.0, 22.0),
    chunks: int = 9,
    tokens_per_chunk: int = 1,
    first_s: float = 0.2,
    gap_s: Callable[[float], float] = lambda _at_s: 0.1,
    think_s: float = 0.0,
    **facts: Any,
) -> Level:
    """A closed loop as it should be: spread starts, first answers of different lengths, a cut at the end.

    An answer takes `first_s` to its first chunk and `gap_s(now)` for each of the others: 1 s unless said otherwise.
    """
    records: list[Record] = []
    for user in range(users):
        due_s, k = 0.05 * user, 0
        while due_s < window[1]:
            length = 1 + (5 * user) % chunks if k == 0 else chunks
            at_s = [due_s + first_s]
            for _ in range(length - 1):
                at_s.append(at_s[-1] + gap_s(at_s[-1]))
            record = a_record(
                chunks_at_s=at_s, due_s=due_s, user=user, k=k, input_tokens=20, output_tokens=length * tokens_per_chunk
            )
            records.append(record if record.end_s <= window[1] else cut_at(record, window[1]))
            due_s, k = record.end_s + think_s, k + 1
    known: dict[str, Any] = {"users": users, "think_s": think_s, "clients": (a_client(),)}
    return some_facts(window=window, **known | facts), records


def cut_at(record: Record, at_s: float) -> Record:
    """The same request, cut: later chunks never came, nor did the server's count."""
    arrived_s = (record.sent_s or 0.0) + np.cumsum(np.frombuffer(record.chunk_us, dtype="<u4")) / 1e6
    kept = int((arrived_s <= at_s).sum())
    return replace(
        record, status="cut", end_s=at_s, chunk_us=record.chunk_us[: 4 * kept], input_tokens=None, output_tokens=None
    )


def changed(level: Level, change: Callable[[Record], dict[str, Any]], **facts: Any) -> Level:
    """The level with some fields of each record, and of its facts, set anew."""
    return replace(level[0], **facts), [replace(record, **change(record)) for record in level[1]]
