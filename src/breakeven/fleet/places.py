"""Where a set of results lies: a folder, or an address such as s3://bucket/fleet (needs breakeven[grid])."""

import contextlib
import datetime
import fcntl
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Protocol

from breakeven.errors import RunFailedError, UsageError, one_line
from breakeven.store.log import cannot_write, write_atomically

_ADDRESS: Final = re.compile(r"[a-z][a-z0-9+]*://")
_SCHEMES: Final = ("s3://", "gs://", "az://")
_LOCK: Final = ".lock"
_EXTRA: Final = "an address needs breakeven[grid]: pip install 'breakeven[grid]'"


class Place(Protocol):
    """Names are plain file names. Every method raises RunFailedError where the place does not play along."""

    address: str

    def names(self) -> list[str]:
        """Every file there, sorted; none where there is no such place yet."""

    def read(self, name: str) -> bytes:
        """The whole file."""

    def write(self, name: str, data: bytes) -> None:
        """The whole file or none of it, in the stead of one of that name."""

    def remove(self, name: str) -> None:
        """The file goes, if it is there."""

    def alone(self) -> contextlib.AbstractContextManager[None]:
        """While this holds nobody else changes the set, where the place can promise that."""


def place_of(address: str) -> Place:
    """The place that an address names; UsageError where it is none."""
    if not _ADDRESS.match(address):
        return Folder(Path(address))
    if not address.startswith(_SCHEMES):
        raise UsageError(
            f"{one_line(address)} is no address of a set; write a folder, s3://BUCKET/NAME, gs://… or az://…"
        )
    return Bucket(address)


class Folder:
    """A folder of this machine."""

    def __init__(self, path: Path) -> None:
        self.address = str(path)
        self._path = path

    def names(self) -> list[str]:
        try:
            return sorted(one.name for one in self._path.iterdir() if one.is_file())
        except FileNotFoundError:
            return []
        except OSError as error:
            raise self._failed(error) from None

    def read(self, name: str) -> bytes:
        try:
            return (self._path / name).read_bytes()
        except OSError as error:
            raise self._failed(error) from None

    def write(self, name: str, data: bytes) -> None:
        write_atomically(self._path / name, data)

    def remove(self, name: str) -> None:
        try:
            (self._path / name).unlink(missing_ok=True)
        except OSError as error:
            raise self._failed(error) from None

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Waits for another import of this machine into the same folder."""
        try:
            self._path.mkdir(parents=True, exist_ok=True)
            handle = os.open(self._path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise RunFailedError(cannot_write(self._path, error)) from None
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def _failed(self, error: OSError) -> RunFailedError:
        return RunFailedError(f"{self.address}: {error.strerror or error}")


class Bucket:
    """Objects under an address; keys, region and endpoint as the service's own client reads them: AWS_ENDPOINT, ….

    One import at a time is the caller's affair here.
    """

    def __init__(self, address: str) -> None:
        try:
            import obstore
            from obstore.store import from_url
        except ImportError:
            raise UsageError(_EXTRA) from None
        self.address = address
        self._client: Any = obstore
        with self._told():
            self._store = from_url(
                address, retry_config={"max_retries": 3, "retry_timeout": datetime.timedelta(seconds=30)}
            )

    def names(self) -> list[str]:
        with self._told():
            found = [str(one["path"]) for batch in self._client.list(self._store) for one in batch]
        return sorted(name for name in found if "/" not in name)

    def read(self, name: str) -> bytes:
        with self._told():
            return bytes(self._client.get(self._store, name).bytes())

    def write(self, name: str, data: bytes) -> None:
        with self._told():
            self._client.put(self._store, name, data)

    def remove(self, name: str) -> None:
        with self._told(), contextlib.suppress(FileNotFoundError):
            self._client.delete(self._store, name)

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        yield

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        from obstore.exceptions import BaseError

        try:
            yield
        except (BaseError, OSError) as error:
            raise RunFailedError(f"{one_line(self.address)}: {one_line(str(error))}") from None
