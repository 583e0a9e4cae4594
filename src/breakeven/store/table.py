"""Records as a Parquet table: one file a level, readable by DuckDB and Polars, its facts in the file's metadata.

Between the columns and the footer, where readers do not look, stands a CRC-32 of all the rest: without it a flipped bit
changes figures unseen, or makes the Parquet reader panic.
"""

import io
import itertools
import struct
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from breakeven.errors import RunFailedError
from breakeven.parquet import ParquetError, batches, schema
from breakeven.record import LevelFacts, Record, facts_of
from breakeven.store.log import stored_bytes, write_atomically

_PARQUET: Final = b"PAR1"
_TAIL: Final = struct.Struct("<I4s")
"""How a Parquet file ends: length of the footer before this, and the format's name."""
_SEAL: Final = struct.Struct("<8sI")
_SEAL_NAME: Final = b"bkeven01"
_KEY: Final = "breakeven.level"
_WHAT_TO_DO: Final = "move it away and measure its level again with --resume"
_LISTS: Final = ("chunk_us", "chunk_tokens")
_INTS: Final = (
    "user",
    "k",
    "http_status",
    "input_tokens",
    "output_tokens",
    "cached_tokens",
    "reasoning_tokens",
    "reasoning_chunks",
    "asked_input_tokens",
    "asked_shared_tokens",
    "asked_output_tokens",
    "client",
    "replica",
)
_FLOATS: Final = ("due_s", "sent_s", "connect_s", "end_s")
_TEXTS: Final = ("status", "error", "error_text", "finish_reason", "prompt", "model")
_BOOLS: Final = ("reconnected", "measured", "without_done")
_LATER: Final = frozenset(
    {"reasoning_tokens", "reasoning_chunks", "without_done", "model", "asked_shared_tokens", "replica"}
)
"""Columns that files of older versions lack: their records have the default."""


def write_level(path: Path, *, facts: LevelFacts, records: Sequence[Record]) -> None:
    """Write a level's records and facts, atomically. `users`, `repeat` and the offered rate become columns too."""
    from arro3.core import Array, DataType, Table

    def column(kind: Any) -> Callable[[list[Any]], Any]:
        return lambda values: Array(values, type=kind)

    count = len(records)
    columns: dict[str, Any] = {
        "users": column(DataType.int64())([facts.users] * count),
        "req_per_s_offered": column(DataType.float64())([facts.req_per_s_offered] * count),
        "repeat": column(DataType.int64())([facts.repeat] * count),
    }
    for names, make in (
        (_INTS, column(DataType.int64())),
        (_FLOATS, column(DataType.float64())),
        (_TEXTS, column(DataType.utf8())),
        (_BOOLS, column(DataType.bool())),
        (_LISTS, _list_column),
    ):
        columns |= {name: make([getattr(record, name) for record in records]) for name in names}
    metadata = {_KEY: msgspec.json.encode(facts).decode()}
    write_table(path, Table.from_pydict(columns), metadata=metadata)


def write_table(path: Path, table: Any, *, metadata: dict[str, str]) -> None:
    """Write an arro3 table as Parquet, sealed and atomically; `read_table` reads it back."""
    write_atomically(path, table_bytes(table, metadata=metadata))


def table_bytes(table: Any, *, metadata: dict[str, str]) -> bytes:
    """An arro3 table as the bytes of a sealed Parquet file."""
    from arro3.io import write_parquet

    buffer = io.BytesIO()
    write_parquet(table, buffer, compression="zstd(3)", key_value_metadata=metadata)
    return _sealed(buffer.getvalue())


def _list_column(values: list[bytes]) -> Any:
    from arro3.core import Array, list_array

    ends = np.cumsum([0, *(len(value) // 4 for value in values)], dtype=np.int32)
    flat = np.frombuffer(b"".join(values), dtype="<u4")
    return list_array(Array.from_numpy(ends), Array.from_numpy(flat))


def read_level(path: Path) -> tuple[LevelFacts, list[Record]]:
    """The facts and records of a level; RunFailedError where the file is none of ours or broken."""
    table = read_table(path)
    facts = _facts_of(table.schema, path)
    has = set(table.column_names)
    names = [name for name in (*_INTS, *_FLOATS, *_TEXTS, *_BOOLS) if name in has or name not in _LATER]
    missing = [name for name in (*names, *_LISTS) if name not in has]
    if missing:
        raise RunFailedError(f"{path}: the column {missing[0]} is missing; the file was not written by breakeven")
    plain = [table.column(name).to_pylist() for name in names]
    lists = [_list_values(table.column(name)) for name in _LISTS]
    return facts, [
        Record(**dict(zip(names, row, strict=True)), chunk_us=chunk_us, chunk_tokens=chunk_tokens)
        for *row, chunk_us, chunk_tokens in zip(*plain, *lists, strict=True)
    ]


def read_facts(path: Path) -> LevelFacts:
    """The facts of a level alone."""
    return _facts_of(_read(path, lambda data: schema(io.BytesIO(data))), path)


def read_table(path: Path) -> Any:
    """A whole Parquet file as a table of arro3; RunFailedError where it cannot be read or is broken."""
    from arro3.core import Table

    def whole(data: bytes) -> Any:
        found = list(batches(io.BytesIO(data), size_bytes=len(data)))
        return Table.from_batches(found, schema=schema(io.BytesIO(data)))

    return _read(path, whole)


def _read(path: Path, read: Callable[[bytes], Any]) -> Any:
    data = stored_bytes(path)
    if not data.startswith(_PARQUET) or not data.endswith(_PARQUET):
        raise RunFailedError(f"{path}: is no whole Parquet file; {_WHAT_TO_DO}")
    if not is_sealed(data):
        raise RunFailedError(f"{path}: is broken, or was not written by breakeven; {_WHAT_TO_DO}")
    try:
        return read(data)
    except ParquetError as error:
        raise RunFailedError(f"{path}: cannot be read ({error})") from None


def _sealed(data: bytes) -> bytes:
    """A Parquet file with the seal between its columns and its footer."""
    at = _footer_at(data)
    return data[:at] + _SEAL.pack(_SEAL_NAME, zlib.crc32(data)) + data[at:]


def is_sealed(data: bytes) -> bool:
    """It is a whole Parquet file, the seal is there and its CRC is that of the rest."""
    if not data.startswith(_PARQUET) or not data.endswith(_PARQUET):
        return False
    at = _footer_at(data) - _SEAL.size if len(data) > _TAIL.size else 0
    if at < len(_PARQUET):
        return False
    name, crc = _SEAL.unpack_from(data, at)
    view = memoryview(data)
    return bool(name == _SEAL_NAME and crc == zlib.crc32(view[at + _SEAL.size :], zlib.crc32(view[:at])))


def _footer_at(data: bytes) -> int:
    length, _ = _TAIL.unpack_from(data, len(data) - _TAIL.size)
    return len(data) - _TAIL.size - int(length)


def _facts_of(schema: Any, path: Path) -> LevelFacts:
    text = schema.metadata_str.get(_KEY)
    try:
        return facts_of(msgspec.json.decode(text or ""))
    except msgspec.DecodeError as error:
        raise RunFailedError(f"{path}: its metadata holds no level of breakeven ({error})") from None


def _list_values(column: Any) -> list[bytes]:
    from arro3.core import list_flatten, list_offsets

    found: list[bytes] = []
    for chunk in column.chunks:
        ends = list_offsets(chunk).to_numpy()
        flat = np.ascontiguousarray(list_flatten(chunk).to_numpy()[ends[0] :], dtype="<u4").view(np.uint8).data
        edges = ((ends - ends[0]) * 4).tolist()
        found += [bytes(flat[low:high]) for low, high in itertools.pairwise(edges)]
    return found
