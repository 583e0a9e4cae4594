"""The log of a level under way: appended by a thread, readable after a kill at any moment.

A frame is its length and CRC-32 (both little-endian unsigned 32-bit) and a msgpack payload: a Record, or the LevelFacts
as far as they were known. Reading stops at the first frame that is not whole.
"""

import contextlib
import errno
import os
import queue
import struct
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

import msgspec

from breakeven.client.openai import BAD_JSON
from breakeven.errors import RunFailedError, one_line
from breakeven.newfile import new_file
from breakeven.record import LevelFacts, Record, facts_of

FLUSH_S: Final = 1.0
_MAGIC: Final = b"breakeven level log 1\n"
_FRAME: Final = struct.Struct("<II")
_RECORD, _FACTS = b"R", b"F"
_encode: Final = msgspec.msgpack.Encoder().encode
_decode_record: Final = msgspec.msgpack.Decoder(Record).decode

_REMEDIES: Final = {
    errno.ENOSPC: "free some space or use --out",
    errno.EDQUOT: "free some space or use --out",
    errno.EFBIG: "raise the limit on the size of files (ulimit -f) or use --out",
}
"""What to do about a disk that takes no more; anything else is a matter of the place."""


class LevelLog:
    """Takes records in a microsecond or two and has them on disk within a second."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.error: OSError | None = None
        """Set when the disk did not take what was written; what it took stays readable."""
        self._closing = threading.Event()
        self._frames: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        try:
            self._file = _begun(path)
        except OSError as error:
            raise RunFailedError(cannot_write(path, error)) from None
        self._thread = threading.Thread(target=self._write, name="level log", daemon=True)
        self._thread.start()

    def put(self, record: Record) -> None:
        """Append a record."""
        self._frames.put(_frame(_RECORD + _encode(record)))

    def note(self, facts: LevelFacts) -> None:
        """Append what is known of the level by now."""
        self._frames.put(_frame(_FACTS + _encode(facts)))

    def close(self) -> None:
        """Write what is left; RunFailedError if the disk did not take everything."""
        self._frames.put(None)
        self._closing.set()
        self._thread.join()
        self._file.close()
        self.check()

    def check(self) -> None:
        """RunFailedError if something could not be written."""
        if self.error is not None:
            raise RunFailedError(cannot_write(self.path, self.error))

    def _write(self) -> None:
        going_on = True
        while going_on:
            batch = [self._frames.get()]
            if batch[0] is not None:
                self._closing.wait(FLUSH_S / 2)
            while not self._frames.empty():
                batch.append(self._frames.get())
            going_on = None not in batch
            self._write_out(b"".join(frame for frame in batch if frame is not None))

    def _write_out(self, data: bytes) -> None:
        try:
            if self.error is None:
                _write_all(self._file, data)
        except OSError as error:
            self.error = error


def _write_all(file: BinaryIO, data: bytes) -> None:
    """An unbuffered file takes what it takes."""
    left = memoryview(data)
    while left:
        left = left[file.write(left) :]


def stored_bytes(path: Path) -> bytes:
    """A file of ours; RunFailedError in one line where it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise RunFailedError(f"{path}: cannot be read ({error.strerror or error})") from None


def json_bytes(told: object, *, indent: int = 2) -> bytes:
    """JSON with its lines indented, as it is kept and given out."""
    return msgspec.json.format(msgspec.json.encode(told), indent=indent) + b"\n"


def cannot_write(path: Path, error: OSError) -> str:
    """One line for a disk that does not take what was measured."""
    remedy = _REMEDIES.get(error.errno or 0, "use another place, such as --out FOLDER")
    return f"cannot write {path}: {error.strerror}; {remedy}; what was written before is readable"


def _begun(path: Path) -> BinaryIO:
    file = new_file(path)
    try:
        file.write(_MAGIC)
    except OSError:
        file.close()
        raise
    return file


def _frame(payload: bytes) -> bytes:
    return _FRAME.pack(len(payload), zlib.crc32(payload)) + payload


class LogRead(NamedTuple):
    """Everything whole in a log: the last facts noted, the records as they were put, and how many bytes are not."""

    facts: LevelFacts | None
    records: list[Record]
    lost_bytes: int = 0
    """What stands after the last whole frame: damage, or what a full disk or a power cut broke off."""


def read_log(path: Path) -> LogRead:
    """What a log holds; RunFailedError where it cannot be read or another version wrote it."""
    facts, records, at = None, [], 0
    data = stored_bytes(path)
    try:
        for payload, at in _payloads(data):  # noqa: B007  (where the last whole frame ended)
            if payload[:1] == _RECORD:
                records.append(_decode_record(payload[1:]))
            elif payload[:1] == _FACTS:
                facts = facts_of(msgspec.msgpack.decode(payload[1:]))
    except BAD_JSON as error:  # its CRC is right, so these are not the fields that we know
        raise RunFailedError(
            f"{path}: was written by another version of breakeven ({one_line(str(error))}); read it there"
        ) from None
    return LogRead(facts, records, len(data) - at)


def _payloads(data: bytes) -> Iterator[tuple[bytes, int]]:
    """Each whole frame's payload, and where it ends."""
    if not data.startswith(_MAGIC):
        return
    at = len(_MAGIC)
    yield b"", at
    while at + _FRAME.size <= len(data):
        length, crc = _FRAME.unpack_from(data, at)
        payload = data[at + _FRAME.size : at + _FRAME.size + length]
        if len(payload) < length or zlib.crc32(payload) != crc:
            return
        at += _FRAME.size + length
        yield payload, at


def sync_folder(folder: Path) -> None:
    """Make a rename in `folder` outlast a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_atomically(path: Path, data: bytes) -> None:
    """Write a whole file under a temporary name, sync it, and rename it into place; RunFailedError where that fails."""
    temporary = path.with_name(path.name + ".tmp")
    try:
        with new_file(temporary) as file:
            _write_all(file, data)
            os.fsync(file.fileno())
        temporary.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise RunFailedError(cannot_write(path, error)) from None
