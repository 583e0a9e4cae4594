"""Runs by name: a run folder, a summary in JSON, or another tool's result file, each read as a RunSummary."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from breakeven.client.openai import BAD_JSON
from breakeven.errors import BreakevenError, RunFailedError, UsageError, one_line
from breakeven.exchange import import_file
from breakeven.metrics.summary import RunSummary
from breakeven.session.summary import summarise
from breakeven.store.facts import run_summary
from breakeven.store.folder import PLAN, SUMMARY, RunFolder, is_run
from breakeven.store.log import cannot_write, json_bytes
from breakeven.store.study import StudyFolder, is_study

T = TypeVar("T")
F = TypeVar("F", RunFolder, StudyFolder)

STDOUT: Final = "-"
LARGEST_FILE_BYTES: Final = 512 * 1024 * 1024


def read_run(path: Path) -> RunSummary:
    """The run at `path`; UsageError or RunFailedError in one line where it is none."""
    if path.is_dir():
        if is_run(path):
            return summarise(RunFolder(path))
        if is_study(path):
            raise UsageError(f"{path} is a study; this takes one run: name a cell of it, {path}/CELL")
        raise UsageError(f"{path} is no run folder (it has neither {PLAN} nor {SUMMARY}); `breakeven runs` lists them")
    if not path.exists():
        raise UsageError(f"{path} does not exist; `breakeven runs` lists the runs")
    return _read_file(path)


def readable(folder: F, read: Callable[[F], T]) -> T | str:
    """What `read` makes of a run or study, or in one line why it cannot: it ends at most its own row."""
    try:
        return read(folder)
    except BreakevenError as error:
        return str(error)
    except Exception as error:  # noqa: BLE001  (whatever it holds, the other rows are to be seen)
        return f"cannot be read ({type(error).__name__}: {one_line(str(error), limit=120)})"


def _read_file(path: Path) -> RunSummary:
    data = read_bytes(path)
    if _is_ours(data):
        return read_summary(path)
    found = import_file(data, where=str(path))
    if len(found) > 1:
        raise UsageError(f"{path} holds {len(found)} runs; `breakeven import {path}` takes them apart")
    return found[0].run


def _is_ours(data: bytes) -> bool:
    """It is a summary of ours, whatever its format."""
    try:
        msgspec.json.decode(data, type=_Head)
    except BAD_JSON:
        return False
    return True


class _Head(msgspec.Struct):
    """What a summary has, whatever its format."""

    format: int
    run: dict[str, object]
    levels: list[object]


def read_summary(path: Path) -> RunSummary:
    """A stored summary."""
    return run_summary(read_bytes(path), where=path)


def read_bytes(path: Path) -> bytes:
    """A file's bytes; UsageError in one line where it cannot be read."""
    try:
        if path.stat().st_size > LARGEST_FILE_BYTES:
            raise UsageError(f"{path} is larger than {LARGEST_FILE_BYTES >> 20} MiB; is it a result file?")
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from None


def read_text(path: Path) -> str:
    """A text file; UsageError in one line where it cannot be read."""
    try:
        return read_bytes(path).decode()
    except UnicodeDecodeError:
        raise UsageError(f"{path} is no text (UTF-8)") from None


def write_file(path: Path, data: bytes) -> None:
    """Write what was asked for; RunFailedError in one line where the disk does not take it."""
    try:
        path.write_bytes(data)
    except OSError as error:
        raise RunFailedError(cannot_write(path, error)) from None


def write_json(document: object, to: str) -> None:
    """Write a document where `--json` says: into a file, or, for `-`, to stdout."""
    write_out(json_bytes(document), to)


def write_out(data: bytes, to: str) -> None:
    """Write what was asked for into a file, or, for `-`, to stdout."""
    if to != STDOUT:
        write_file(Path(to), data)
        return
    sys.stdout.write(data.decode())  # as text: a notebook's stdout takes no bytes
    sys.stdout.flush()
