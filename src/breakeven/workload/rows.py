"""Rows of a data file (JSONL, JSON, CSV, Parquet, plain text), each with the place that it came from."""

import codecs
import contextlib
import csv
import datetime
import itertools
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from breakeven.errors import UsageError, one_line
from breakeven.parquet import ParquetError, batches
from breakeven.units import moment, unix_s

LONGEST_TOKENS: Final = 10_000_000
"""A length above this is taken for a mistake in the file."""
_LONGEST_CSV_FIELD: Final = 1 << 27
_DELIMITERS: Final = {",": "comma", ";": "semicolon", "\t": "tab"}
_SURPLUS: Final = "\0surplus"
"""Stands for the fields that a row has beyond its columns; no column is called so."""
_MAGIC: Final = b"PAR1"
_GZIP: Final = b"\x1f\x8b"


class Row(NamedTuple):
    """One row: its fields by name, and where it stands (`prompts.csv, line 7`)."""

    where: str
    fields: Mapping[str, object]

    def get(self, column: str) -> object:
        """The field, or with a point that of an object in a field (`body.messages`); None where there is none."""
        if column in self.fields:
            return self.fields[column]
        head, _, tail = column.partition(".")
        inner = self.fields.get(head)
        return Row(self.where, inner).get(tail) if tail and isinstance(inner, dict) else None

    def value(self, column: str) -> object:
        """The field; UsageError says which columns there are."""
        value = self.get(column)
        if value is None:
            raise UsageError(f"{self.where}: no value for '{_short(column)}'; it has: {self.columns()}")
        return value

    def columns(self) -> str:
        """The names of the first fields, as they may stand in an error line."""
        return ", ".join(_short(name) for name in itertools.islice(self.fields, 12)) or "nothing"

    def text(self, column: str) -> str:
        """The field as text that is not blank."""
        value = self.value(column)
        if not isinstance(value, str) or not value.strip():
            raise UsageError(f"{self.where}: '{_short(column)}' must be text, but is {shown(value)}")
        return value

    def number(self, column: str) -> float:
        """The field as a number, finite and not negative."""
        value = self.value(column)
        try:
            number = float(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else -1.0
        except (ValueError, OverflowError):
            number = -1.0
        if not 0 <= number <= 1e15:
            raise UsageError(f"{self.where}: '{_short(column)}' must be a number of at least 0, but is {shown(value)}")
        return number

    def tokens(self, column: str, *, least: int = 1) -> int:
        """The field as a length in tokens."""
        number = self.number(column)
        if not number.is_integer() or not least <= number <= LONGEST_TOKENS:
            raise UsageError(
                f"{self.where}: '{_short(column)}' must be a whole number of tokens from {least} to "
                f"{LONGEST_TOKENS}, but is {shown(self.value(column))}"
            )
        return int(number)

    def whole_numbers(self, column: str) -> tuple[int, ...]:
        """The field as a list of whole numbers; none where there is no field."""
        values = self.get(column) or ()
        if not isinstance(values, list | tuple) or not all(type(value) is int for value in values):
            raise UsageError(
                f"{self.where}: '{_short(column)}' must be a list of whole numbers, but is {shown(values)}"
            )
        return tuple(values)

    def moment_s(self, column: str) -> float:
        """A date with time, as seconds; one without a zone is taken as UTC, since only differences count."""
        value = self.value(column)
        if isinstance(value, str):
            value = moment(value)
        if not isinstance(value, datetime.datetime):
            found = shown(self.value(column))
            raise UsageError(f"{self.where}: '{_short(column)}' must be a date with time, but is {found}")
        return unix_s(value)


Rows = Generator[Row, None, None]


@contextlib.contextmanager
def read_rows(path: Path) -> Iterator[Iterator[Row]]:
    """The rows of a file, read as its name's ending says; UsageError names the file and the line that is wrong.

    The file is closed at the end of the `with`, also where the caller stops at a row that is no good.
    """
    reader = _READERS.get(path.suffix.lower())
    try:
        _refuse_gzip(path)
        if reader is None:
            raise UsageError(f"{path}: files that end in {', '.join(_READERS)} can be read")
        with contextlib.closing(reader(path)) as rows:
            yield rows
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or error}") from None


def form_of(row: Row, forms: Mapping[str, Sequence[str]], *, what: str) -> str:
    """The first of the forms whose fields a row all has; UsageError says which are known."""
    for name, fields in forms.items():
        if all(field in row.fields for field in fields):
            return name
    known = "; ".join(f"{name}: {', '.join(fields)}" for name, fields in forms.items())
    raise UsageError(f"{row.where}: no {what} that is known by the fields {row.columns()}; known are {known}")


def shown(value: object) -> str:
    """A value of a file as it may stand in an error line."""
    return f"{type(value).__name__} {_short(repr(value))}"


def _short(text: str) -> str:
    return one_line(text, limit=40)


def _refuse_gzip(path: Path) -> None:
    with path.open("rb") as file:
        if file.read(len(_GZIP)) == _GZIP:
            raise UsageError(f"{path}: looks like gzip; unpack it first (gunzip)")


def _json_lines(path: Path) -> Rows:
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            text = line.removeprefix(codecs.BOM_UTF8) if number == 1 else line
            if text.strip():
                yield _row(_decoded(text, where=f"{path}, line {number}"), where=f"{path}, line {number}")


def _json_list(path: Path) -> Rows:
    values = _decoded(path.read_bytes().removeprefix(codecs.BOM_UTF8), where=str(path))
    if isinstance(values, dict):
        yield Row(str(path), values)
        return
    if not isinstance(values, list):
        raise UsageError(f"{path}: must be a list of objects or one object, but is {shown(values)}")
    for number, value in enumerate(values, start=1):
        yield _row(value, where=f"{path}, entry {number}")


def _text_lines(path: Path) -> Rows:
    """A prompt a line; lines without text are passed over."""
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                text = line.decode("utf-8-sig" if number == 1 else "utf-8").strip()
            except UnicodeDecodeError as error:
                raise UsageError(f"{path}, line {number}: no text in UTF-8: {one_line(str(error))}") from None
            if text:
                yield Row(f"{path}, line {number}", {"prompt": text})


def _decoded(data: bytes, *, where: str) -> object:
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(f"{where}: no JSON: {one_line(str(error), limit=120)}") from None


def _row(value: object, *, where: str) -> Row:
    """An object's fields; a bare list is a chat, a bare text a prompt."""
    if isinstance(value, dict):
        return Row(where, value)
    if isinstance(value, list):
        return Row(where, {"messages": value})
    if isinstance(value, str):
        return Row(where, {"prompt": value})
    raise UsageError(f"{where}: must be an object, a list of turns or a text, but is {shown(value)}")


def _csv(path: Path) -> Rows:
    csv.field_size_limit(_LONGEST_CSV_FIELD)
    mark = _delimiter(path)
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader: csv.DictReader[str] = csv.DictReader(file, delimiter=mark, restkey=_SURPLUS, skipinitialspace=True)
        try:
            for fields in reader:
                where = f"{path}, line {reader.line_num}"
                surplus = fields.pop(_SURPLUS, None)
                if surplus is not None:
                    count = len(fields) + len(surplus)
                    raise UsageError(
                        f"{where}: {count} fields, but the header names {len(fields)}; a text with a "
                        f'{_DELIMITERS[mark]} in it must stand in quotation marks ("…")'
                    )
                known = {key: value for key, value in fields.items() if value is not None}
                few = "" if len(known) == len(fields) else f" ({len(known)} of {len(fields)} fields)"
                yield Row(where + few, known)
        except (csv.Error, UnicodeDecodeError) as error:
            raise UsageError(f"{path}, after line {reader.line_num}: no CSV in UTF-8: {one_line(str(error))}") from None


def _delimiter(path: Path) -> str:
    """The mark that splits the header into most fields; the comma where none splits it into more."""
    fields: dict[str, int] = {}
    for mark in _DELIMITERS:
        with path.open(encoding="utf-8-sig", newline="") as file, contextlib.suppress(csv.Error, UnicodeDecodeError):
            fields[mark] = len(next(csv.reader(file, delimiter=mark, skipinitialspace=True), ()))
    return max(fields, key=fields.__getitem__, default=",")


def _parquet(path: Path) -> Rows:
    _check_parquet(path)
    number = 0
    try:
        for batch in batches(path, size_bytes=path.stat().st_size):
            columns = {name: batch.column(name).to_pylist() for name in batch.schema.names}
            for values in zip(*columns.values(), strict=True):
                number += 1
                yield Row(f"{path}, row {number}", dict(zip(columns, values, strict=True)))
    except ParquetError as error:
        raise UsageError(f"{path}, after row {number}: no Parquet: {error}") from None


def _check_parquet(path: Path) -> None:
    """The reader panics on what is no Parquet, with a trace on stderr; look at both ends first."""
    with path.open("rb") as file:
        head = file.read(4)
        size = file.seek(0, 2)
        file.seek(max(0, size - 8))
        tail = file.read(8)
    if head != _MAGIC or tail[4:] != _MAGIC or int.from_bytes(tail[:4], "little") + 12 > size:
        raise UsageError(f"{path}: no Parquet file, or only a part of one")


_READERS: Final[dict[str, Callable[[Path], Rows]]] = {
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    ".json": _json_list,
    ".csv": _csv,
    ".parquet": _parquet,
    ".txt": _text_lines,
}
