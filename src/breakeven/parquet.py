"""Parquet read with suspicion: what is no such file is one error, a small one that unpacks without end is refused."""

import contextlib
import io
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from breakeven.errors import BreakevenError, one_line

MOST_UNPACKED: Final = 256 << 20
"""Bytes that any file may unpack to."""
MOST_TIMES: Final = 1000
"""A larger one may unpack to so many times its size: text and stamps do by less than a hundred."""
_ALONE: Final = threading.RLock()


class ParquetError(Exception):
    """It is broken, or no Parquet file; the message says why."""


def batches(source: Path | io.BytesIO, *, size_bytes: int, at_once: int | None = None) -> Iterator[Any]:
    """The record batches of a file of that size, `at_once` rows each; ParquetError for what cannot be read."""
    reader = _quietly(lambda: _opened(source, at_once))
    unpacked = 0
    while (batch := _quietly(lambda: next(reader, None))) is not None:
        unpacked += batch.nbytes
        if unpacked > max(MOST_UNPACKED, MOST_TIMES * size_bytes):
            raise ParquetError(
                f"its {size_bytes} bytes unpack to more than {unpacked >> 20} MiB, as no text and no measurement does"
            )
        yield batch


def schema(source: io.BytesIO) -> Any:
    """The schema alone."""
    return _quietly(lambda: _opened(source).schema)


def _opened(source: Path | io.BytesIO, at_once: int | None = None) -> Any:
    from arro3.io import read_parquet

    return read_parquet(source, batch_size=at_once)


def _quietly(read: Any) -> Any:
    """Call the reader, which panics on what it does not expect: that is no Exception, and writes to standard error."""
    with _ALONE, _no_stderr():
        try:
            return read()
        except (BreakevenError, OSError, KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # noqa: BLE001
            raise ParquetError(one_line(str(error), limit=120)) from None


@contextlib.contextmanager
def _no_stderr() -> Iterator[None]:
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
