"""Rows as Parquet files, and read back: texts as dictionaries, levels as lists beside the list `users`."""

import io
from collections.abc import Mapping, Sequence
from typing import Any, Final, NoReturn

import msgspec
import numpy as np
from msgspec import Struct

from breakeven.arrow import from_codes, from_floats, to_numpy
from breakeven.errors import RunFailedError
from breakeven.fleet.rows import FIGURES, LEVELS, TEXTS, Codes, Rows
from breakeven.parquet import ParquetError, batches, schema
from breakeven.store.table import is_sealed, table_bytes

_KEY: Final = "breakeven.fleet"
_AT_ONCE: Final = 1 << 14
"""Jobs of a batch: larger ones are slower, as they do not fit a core's cache."""


class Head(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a file says of itself."""

    format: int = 1
    jobs: int
    users: tuple[int, ...]


def to_parquet(rows: Rows) -> bytes:
    """The file: one row a job; a text, figure or level that is not known is null."""
    from arro3.core import Array, DataType, Table

    columns: dict[str, Any] = {"id": Array([name.decode() for name in rows.id.tolist()], type=DataType.utf8())}
    columns |= {"digest": Array.from_numpy(rows.digest)}
    columns |= {name: from_codes(*getattr(rows, name)) for name in TEXTS}
    columns |= {name: from_floats(getattr(rows, name)) for name in FIGURES}
    users = np.broadcast_to(np.array(rows.users, dtype=np.int32), rows.tried.shape)
    columns |= {"users": _lists(Array.from_numpy(users[rows.tried]), rows)}
    columns |= {name: _lists(from_floats(getattr(rows, name)[rows.tried]), rows) for name in LEVELS}
    head = msgspec.json.encode(Head(jobs=len(rows), users=rows.users)).decode()
    return table_bytes(Table.from_pydict(columns), metadata={_KEY: head})


def _lists(values: Any, rows: Rows) -> Any:
    from arro3.core import Array, list_array

    ends = np.concatenate([[0], np.cumsum(rows.tried.sum(axis=1))]).astype(np.int32)
    return list_array(Array.from_numpy(ends), values)


def from_parquet(files: Mapping[str, bytes]) -> Rows:
    """The rows of files by their names, in that order; RunFailedError where one is broken or none of ours."""
    heads = {where: _head(where, data) for where, data in files.items()}
    users = tuple(sorted({n for head in heads.values() for n in head.users}))
    filled = _Filled(sum(head.jobs for head in heads.values()), users)
    for where, data in files.items():
        try:
            before = filled.count
            for batch in batches(io.BytesIO(data), size_bytes=len(data), at_once=_AT_ONCE):
                filled.put(batch)
            if filled.count - before != heads[where].jobs:
                _foreign(where, "it does not hold as many jobs as it says")
        except ParquetError as error:
            raise RunFailedError(f"{where}: cannot be read ({error})") from None
        except (KeyError, ValueError, TypeError, IndexError) as error:
            _foreign(where, str(error))
    return filled.rows()


def _head(where: str, data: bytes) -> Head:
    if not is_sealed(data):
        raise RunFailedError(f"{where}: is broken, or was not written by breakeven; import its results again")
    try:
        return msgspec.json.decode(schema(io.BytesIO(data)).metadata_str.get(_KEY) or "", type=Head)
    except (ParquetError, msgspec.DecodeError) as error:
        _foreign(where, str(error))


def _foreign(where: str, why: str) -> NoReturn:
    raise RunFailedError(f"{where}: is no set of results, or of another version of breakeven ({why})") from None


class _Filled:
    """Columns as long as they will be, filled batch by batch, so that nothing is held twice, and what nobody told not
    at all.
    """

    def __init__(self, jobs: int, users: Sequence[int]) -> None:
        self.count = 0
        self._users = np.array(users, dtype=np.int32)
        shape = (jobs, len(users))
        self._ids: list[Any] = []
        self._digest = np.zeros(jobs, dtype=np.uint64)
        self._codes = {name: np.full(jobs, -1, dtype=np.int32) for name in TEXTS}
        self._names: dict[str, dict[str, int]] = {name: {} for name in TEXTS}
        self._translations: dict[str, tuple[Any, Any]] = {}
        self._figures = {name: np.broadcast_to(np.float64(np.nan), jobs) for name in FIGURES}
        self._levels = {name: np.broadcast_to(np.float32(np.nan), shape) for name in LEVELS}
        self._tried = np.zeros(shape, dtype=np.bool_)

    def put(self, batch: Any) -> None:
        from arro3.core import list_flatten, list_offsets

        column, here = batch.column, slice(self.count, self.count + batch.num_rows)
        self.count = here.stop
        self._ids.append(np.array(column("id").to_pylist(), dtype=np.bytes_))
        self._digest[here] = to_numpy(column("digest"))
        for name in TEXTS:
            self._codes[name][here] = self._translated(name, column(name))
        for name in FIGURES:
            values = column(name)
            if values.null_count < len(values):
                _own(self._figures, name)[here] = to_numpy(values)
        ends = list_offsets(column("users")).to_numpy().astype(np.int64)
        users = np.searchsorted(self._users, to_numpy(list_flatten(column("users"))))
        at = np.repeat(np.arange(here.start, here.stop), np.diff(ends)), users
        self._tried[at] = True
        for name in LEVELS:
            values = list_flatten(column(name))
            if values.null_count < len(values):
                _own(self._levels, name)[at] = to_numpy(values)

    def _translated(self, name: str, array: Any) -> Any:
        """Codes of a batch in the names that are known by now; new ones are added."""
        from arro3.core import dictionary_dictionary, dictionary_indices

        texts, known = dictionary_dictionary(array), self._names[name]
        before, new = self._translations.get(name, (None, None))
        if before is None or before != texts:
            told = [-1 if text is None else known.setdefault(text, len(known)) for text in texts.to_pylist()]
            new = np.array([*told, -1], dtype=np.int32)
            self._translations[name] = (texts, new)
        return new[to_numpy(dictionary_indices(array))]

    def rows(self) -> Rows:
        columns: dict[str, Any] = {name: Codes(self._codes[name], tuple(self._names[name])) for name in TEXTS}
        columns |= self._figures
        columns |= self._levels
        columns |= {"id": np.concatenate(self._ids) if self._ids else np.empty(0, dtype="S1")}
        columns |= {"digest": self._digest, "tried": self._tried}
        return Rows(users=tuple(int(n) for n in self._users), **columns)


def _own(columns: dict[str, Any], name: str) -> Any:
    """The column to write into: until something is known of it, it takes no memory."""
    if not columns[name].flags.writeable:
        columns[name] = np.full(columns[name].shape, np.nan, dtype=columns[name].dtype)
    return columns[name]
