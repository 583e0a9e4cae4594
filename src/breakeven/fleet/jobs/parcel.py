"""How a cell's run folder comes home: packed into the job's output between two marks, and unpacked as hostile input."""

import base64
import binascii
import io
import re
import secrets
import shutil
import tarfile
import zlib
from pathlib import Path
from typing import Final

from breakeven.errors import RunFailedError, UsageError, uncoloured
from breakeven.store.folder import is_run
from breakeven.store.log import cannot_write

MARK: Final = "BENCH_FOLDER"
BEGIN, END = f"{MARK} begin", f"{MARK} end"
MOST_PACKED_BYTES: Final = 48 * 1024 * 1024
MOST_OUTPUT_BYTES: Final = 2 * MOST_PACKED_BYTES
"""Of a job's output: base64 makes four bytes of three, and a grid writes about each line."""
MOST_BYTES: Final = 512 * 1024 * 1024
MOST_FILES: Final = 5000
DEEPEST: Final = 4
_LINE: Final = 4000
"""Characters of a line of the parcel: fewer than a container's log cuts lines at."""
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,120}")


def packing(folder: str) -> str:
    """Shell words that print all that is in a folder; nothing where there is none."""
    return f"[ ! -d {folder} ] || {{ echo {BEGIN}; tar -cz -C {folder} . | base64 -w {_LINE}; echo {END}; }}"


def unpack(output: str, to: Path) -> Path | None:
    """The run folder of the last whole parcel in a job's output, as `to`; None where there is none.

    UsageError for one that is too large, or holds anything but plain files under plain names.
    """
    text = _between(output)
    if text is None:
        return None
    inside = to.with_name(f".{to.name}.{secrets.token_hex(4)}")
    try:
        _write(_files(text), inside)
        return take(inside, to)
    except OSError as error:
        raise RunFailedError(cannot_write(to.parent, error)) from None
    finally:
        shutil.rmtree(inside, ignore_errors=True)


def take(runs: Path, to: Path) -> Path | None:
    """The one run folder in `runs`, moved to `to` in the stead of an earlier try's; or the one that is there."""
    found = [path for path in runs.iterdir() if is_run(path)] if runs.is_dir() else []
    if len(found) != 1:
        return to if not found and is_run(to) else None
    shutil.rmtree(to, ignore_errors=True)
    to.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(found[0], to)
    return to


def _between(output: str) -> str | None:
    """The lines of the last parcel, each without what a grid wrote before it."""
    _, *parcels = re.split(rf"{BEGIN}\r?\n", uncoloured(output))
    text, ended, _ = parcels[-1].partition(END) if parcels else ("", "", "")
    if not ended:
        return None
    lines = [line.rpartition(" ")[2] for line in text.splitlines()]  # what stands before END is a grid's own
    if sum(map(len, lines)) > MOST_PACKED_BYTES * 4 // 3:
        raise UsageError(f"its run folder is packed larger than {MOST_PACKED_BYTES >> 20} MiB")
    return "".join(lines)


def _files(text: str) -> dict[str, bytes]:
    try:
        unzip = zlib.decompressobj(zlib.MAX_WBITS | 16)
        packed = base64.b64decode(text, validate=True)
        plain = unzip.decompress(packed, MOST_BYTES + 1)
        if len(plain) > MOST_BYTES:
            raise UsageError(f"its run folder is larger than {MOST_BYTES >> 20} MiB")
        with tarfile.open(fileobj=io.BytesIO(plain), mode="r:") as tar:
            return dict(_members(tar))
    except (binascii.Error, zlib.error, tarfile.TarError, ValueError, EOFError) as error:
        raise UsageError(f"its run folder cannot be unpacked ({type(error).__name__})") from None


def _members(tar: tarfile.TarFile) -> list[tuple[str, bytes]]:
    found: list[tuple[str, bytes]] = []
    for member in tar:
        parts = [part for part in member.name.split("/") if part not in ("", ".")]
        if member.isdir():
            continue
        # dot files are locks and half-written ones: nothing reads them
        if parts and parts[-1].startswith(".") and ".." not in parts:
            continue
        if not member.isfile() or len(parts) > DEEPEST or not all(_NAME.fullmatch(part) for part in parts):
            raise UsageError("its run folder holds something that is no plain file with a plain name")
        data = tar.extractfile(member)
        found.append(("/".join(parts), b"" if data is None else data.read()))
        if len(found) > MOST_FILES:
            raise UsageError(f"its run folder has more than {MOST_FILES} files")
    return found


def _write(files: dict[str, bytes], to: Path) -> None:
    for name, data in files.items():
        path = to / name
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.write_bytes(data)
