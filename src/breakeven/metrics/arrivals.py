"""Which tokens arrived when: every chunk of every request of a level, weighted with its tokens.

A level of an hour holds a hundred million chunks. They are laid out a block of records at a time and never all at once,
so that a summary takes little more memory than the records that it is made of.
"""

import functools
from collections.abc import Iterator, Sequence
from typing import Final, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from breakeven.metrics.definitions import first_chunk_s
from breakeven.metrics.statistics import SECTIONS, Counted, Floats, Sample, cumulative, sections
from breakeven.record import Record
from breakeven.units import US_PER_S

BLOCK_CHUNKS: Final = 1 << 20
"""A block takes about 50 MB while it is looked at."""

TokensFrom = Literal["usage", "chunks", "mixed"]


class _Block(NamedTuple):
    """Some records laid out. The arrays have a value a chunk, in the order of the records."""

    times_s: Floats
    steps_us: npt.NDArray[np.uint32]
    tokens: Floats
    is_first: npt.NDArray[np.bool_]
    """The first chunk of its request."""
    estimated: Floats
    """The part of `tokens` that no server counted."""


class Arrivals:
    """The tokens of a level by arrival. Times are seconds since the run began."""

    def __init__(self, records: Sequence[Record]) -> None:
        seen = [record for record in records if record.chunk_us and record.sent_s is not None]
        self.tokens_per_chunk, self.tokens_from = _pooled(records)
        """Pooled over the finished requests, 1 where no server counted; and who counted."""
        self._parts = list(_parts(seen))
        self._known: dict[tuple[str, bytes], Floats] = {}
        self._only = _laid_out(seen, self.tokens_per_chunk) if len(self._parts) == 1 else None
        firsts_s = np.array([first_s for record in seen if (first_s := first_chunk_s(record)) is not None])
        self.inputs_by = cumulative(firsts_s, _prompt_tokens(seen))
        """Prompt tokens of the requests whose first chunk had arrived by each time: they had been read by then."""

    def by(self, at_s: Floats) -> Floats:
        """Output tokens that had arrived by each of these times."""
        return self._sums("tokens", at_s)

    def estimated_by(self, at_s: Floats) -> Floats:
        """Of these the tokens that no server counted."""
        return self._sums("estimated", at_s)

    def gaps_s(self, *, open_s: float, close_s: float) -> Sample:
        """Gaps between neighbouring chunks of one answer, by when the later one arrived: in (open_s, close_s]."""
        parts = [Counted(np.empty(0))] * SECTIONS
        for block in self._blocks():
            inside = ~block.is_first & (block.times_s > open_s) & (block.times_s <= close_s)
            gaps_s = block.steps_us[inside] / US_PER_S
            within = sections(block.times_s[inside], open_s=open_s, close_s=close_s)
            parts = [part.plus(Counted(gaps_s[within == number])) for number, part in enumerate(parts)]
        return Sample(functools.reduce(Counted.plus, parts), tuple(parts))

    def last_s(self) -> float | None:
        """When the last chunk arrived; None where none did."""
        return max((float(block.times_s.max()) for block in self._blocks()), default=None)

    def _sums(self, name: Literal["tokens", "estimated"], at_s: Floats) -> Floats:
        """Summary and checks ask for the same times again and again, so answers are kept."""
        key = name, at_s.tobytes()
        if key not in self._known:
            self._known[key] = self._summed(name, at_s)
        return self._known[key]

    def _summed(self, name: Literal["tokens", "estimated"], at_s: Floats) -> Floats:
        order = np.argsort(at_s, kind="stable")
        edges_s = at_s[order]
        sums = np.zeros(len(at_s) + 1)
        for block in self._blocks():
            first_edge = np.searchsorted(edges_s, block.times_s, side="left")
            sums += np.bincount(first_edge, weights=getattr(block, name), minlength=len(sums))
        found = np.empty(len(at_s))
        found[order] = np.cumsum(sums[:-1])
        return found

    def _blocks(self) -> Iterator[_Block]:
        if self._only is not None:
            yield self._only
            return
        for part in self._parts:
            yield _laid_out(part, self.tokens_per_chunk)


def _parts(records: Sequence[Record]) -> Iterator[Sequence[Record]]:
    """Records in order, some at a time: as many as have a block's chunks together, and one at least."""
    start = chunks = 0
    for number, record in enumerate(records):
        count = len(record.chunk_us) // 4
        if chunks and chunks + count > BLOCK_CHUNKS:
            yield records[start:number]
            start, chunks = number, 0
        chunks += count
    if chunks:
        yield records[start:]


def _laid_out(records: Sequence[Record], ratio: float) -> _Block:
    """Give every chunk its time and its share of its answer's tokens, as METHOD's section on tokens says."""
    counts = np.array([len(record.chunk_us) // 4 for record in records])
    firsts = np.cumsum(counts) - counts
    steps_us = np.frombuffer(b"".join(record.chunk_us for record in records), dtype="<u4")
    since_us = np.cumsum(steps_us, dtype=np.int64)
    since_us -= np.repeat(since_us[firsts] - steps_us[firsts], counts)
    shares = [_share(record, int(count), ratio) for record, count in zip(records, counts, strict=True)]
    tokens = np.repeat(np.array([share for share, _ in shares]), counts)
    for record, first, count in zip(records, firsts.tolist(), counts.tolist(), strict=True):
        if _has_own_counts(record, count):
            tokens[first : first + count] = np.frombuffer(record.chunk_tokens, dtype="<u4")
    is_first = np.zeros(len(steps_us), dtype=np.bool_)
    is_first[firsts] = True
    return _Block(
        times_s=np.repeat(np.array([record.sent_s for record in records], dtype=np.float64), counts)
        + since_us / US_PER_S,
        steps_us=steps_us,
        tokens=tokens,
        is_first=is_first,
        estimated=np.where(np.repeat(np.array([is_known for _, is_known in shares]), counts), 0.0, tokens),
    )


def _pooled(records: Sequence[Record]) -> tuple[float, TokensFrom]:
    """Tokens per chunk over the finished requests, and who counted them."""
    finished = [record for record in records if record.status == "done" and record.chunk_us]
    known = [record for record in finished if _counted(record) is not None]
    chunks = sum(len(record.chunk_us) // 4 for record in known)
    if not chunks:
        return 1.0, "chunks"
    ratio = sum(_counted(record) or 0 for record in known) / chunks
    return ratio, "usage" if len(known) == len(finished) else "mixed"


def _counted(record: Record) -> int | None:
    """Output tokens as the server counted them; None where it counted none in an answer that has text."""
    return record.output_tokens or None


def _has_own_counts(record: Record, chunks: int) -> bool:
    """The server told the tokens of every chunk."""
    return len(record.chunk_tokens) == 4 * chunks


def _share(record: Record, chunks: int, ratio: float) -> tuple[float, bool]:
    """Tokens of each chunk where they are not told one by one, and whether the server counted them."""
    counted = _counted(record)
    if counted is not None and (record.status == "done" or record.finish_reason is not None):
        return counted / chunks, True
    return ratio, _has_own_counts(record, chunks)


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
