"""Reads recorded arrivals with their lengths: the traces of Azure, BurstGPT, Mooncake and Bailian, or plain CSV."""

import itertools
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from breakeven.errors import UsageError
from breakeven.workload.rows import Row, form_of, read_rows

MOONCAKE_BLOCK: Final = 512
"""Mooncake gives a hash id to each block of this many input tokens; the id stands for all blocks before it too."""
_BAILIAN_BLOCK: Final = 16


class Arrival(NamedTuple):
    """One recorded request; `arrival_s` counts from an origin of the file's own."""

    arrival_s: float
    input_tokens: int
    output_tokens: int
    blocks: tuple[int, ...] = ()
    """Hash ids: equal ids mean equal text up to the end of that block."""


class Recording(NamedTuple):
    """A trace in the order of arrival, the first at 0."""

    form: str
    arrivals: list[Arrival]
    left_out: int
    """Rows that ask for no input or no output, or for more input than was allowed."""
    block_tokens: int
    """Input tokens that a hash id stands for."""


class Form(NamedTuple):
    """A format of traces, known by its columns."""

    columns: tuple[str, ...]
    read: Callable[[Row], Arrival]
    block_tokens: int = MOONCAKE_BLOCK


def read_trace(path: Path, *, max_requests: int | None = None, max_input_tokens: int | None = None) -> Recording:
    """The trace of a file, its format found by its columns; UsageError names the line that is wrong."""
    with read_rows(path) as rows:
        first = next(rows, None)
        if first is None:
            raise UsageError(f"{path}: holds no request")
        name = form_of(first, {name: form.columns for name, form in _FORMS.items()}, what="trace")
        form = _FORMS[name]
        found: list[Arrival] = []
        left_out = 0
        for row in itertools.chain([first], rows):
            if max_requests is not None and len(found) == max_requests:
                break
            arrival = form.read(row)
            if _can_be_asked(arrival, max_input_tokens):
                found.append(arrival)
            else:
                left_out += 1
    if not found:
        raise UsageError(f"{path}: none of its {left_out} requests can be asked")
    return Recording(name, _from_zero(found), left_out, form.block_tokens)


def shared_tokens(arrivals: Sequence[Arrival], *, block_tokens: int) -> list[int]:
    """Of each request the input tokens in blocks whose id an earlier one had, from its first block on."""
    seen: set[int] = set()
    found: list[int] = []
    for arrival in arrivals:
        again = sum(1 for _ in itertools.takewhile(seen.__contains__, arrival.blocks))
        found.append(min(again * block_tokens, arrival.input_tokens))
        seen.update(arrival.blocks)
    return found


def shared_blocks(arrivals: Sequence[Arrival]) -> list[int]:
    """Of each request the number of blocks up to the last that another request has too."""
    asked_by = Counter(itertools.chain.from_iterable(set(arrival.blocks) for arrival in arrivals))

    def shared(arrival: Arrival) -> int:
        backwards = reversed(list(enumerate(arrival.blocks, start=1)))
        return next((count for count, block in backwards if asked_by[block] > 1), 0)

    return [shared(arrival) for arrival in arrivals]


def _can_be_asked(arrival: Arrival, max_input_tokens: int | None) -> bool:
    fits = max_input_tokens is None or arrival.input_tokens <= max_input_tokens
    return arrival.input_tokens > 0 and arrival.output_tokens > 0 and fits


def _from_zero(arrivals: list[Arrival]) -> list[Arrival]:
    arrivals.sort(key=lambda arrival: arrival.arrival_s)
    start_s = arrivals[0].arrival_s
    return [arrival._replace(arrival_s=arrival.arrival_s - start_s) for arrival in arrivals]


def _azure(row: Row) -> Arrival:
    inputs, outputs = row.tokens("ContextTokens", least=0), row.tokens("GeneratedTokens", least=0)
    return Arrival(row.moment_s("TIMESTAMP"), inputs, outputs)


def _burstgpt(row: Row) -> Arrival:
    """Timestamps in s. A failed request has an answer of 0 tokens."""
    inputs, outputs = row.tokens("Request tokens", least=0), row.tokens("Response tokens", least=0)
    return Arrival(row.number("Timestamp"), inputs, outputs)


def _mooncake(row: Row) -> Arrival:
    """Timestamps in ms. The last block may be a part of one, so there are input_length / 512 of them, rounded up."""
    inputs, outputs = row.tokens("input_length", least=0), row.tokens("output_length", least=0)
    blocks = row.whole_numbers("hash_ids")
    if blocks and len(blocks) != -(-inputs // MOONCAKE_BLOCK):
        raise UsageError(
            f"{row.where}: {len(blocks)} hash ids for {inputs} input tokens, where Mooncake has one for each "
            f"{MOONCAKE_BLOCK}; another trace? Write it as plain CSV: {', '.join(_FORMS['plain'].columns)}"
        )
    return Arrival(row.number("timestamp") / 1000, inputs, outputs, blocks)


def _bailian(row: Row) -> Arrival:
    """Timestamps in s. Whether a part of a block has an id is not documented: both are taken."""
    inputs, outputs = row.tokens("input_length", least=0), row.tokens("output_length", least=0)
    blocks = row.whole_numbers("hash_ids")
    if blocks and not inputs // _BAILIAN_BLOCK <= len(blocks) <= -(-inputs // _BAILIAN_BLOCK):
        raise UsageError(
            f"{row.where}: {len(blocks)} hash ids for {inputs} input tokens, where Bailian has one for each "
            f"{_BAILIAN_BLOCK}; another trace? Write it as plain CSV: {', '.join(_FORMS['plain'].columns)}"
        )
    return Arrival(row.number("timestamp"), inputs, outputs, blocks)


def _plain(row: Row) -> Arrival:
    inputs, outputs = row.tokens("input_tokens", least=0), row.tokens("output_tokens", least=0)
    return Arrival(row.number("arrival_s"), inputs, outputs)


_FORMS: Final[dict[str, Form]] = {
    "azure": Form(("TIMESTAMP", "ContextTokens", "GeneratedTokens"), _azure),
    "bailian": Form(("chat_id", "timestamp", "input_length", "output_length"), _bailian, _BAILIAN_BLOCK),
    "burstgpt": Form(("Timestamp", "Request tokens", "Response tokens"), _burstgpt),
    "mooncake": Form(("timestamp", "input_length", "output_length"), _mooncake),
    "plain": Form(("arrival_s", "input_tokens", "output_tokens"), _plain),
}
"""Looked for in this order: Bailian's columns are Mooncake's and some more."""
