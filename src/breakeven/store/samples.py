"""Telemetry of a run on disk: lines of JSON while it is sampled, one Parquet file a start of the run after that."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from breakeven.client.openai import BAD_JSON
from breakeven.errors import RunFailedError, one_line
from breakeven.metrics.series import Samples, Series
from breakeven.store.log import stored_bytes
from breakeven.store.table import read_table, write_table
from breakeven.telemetry.handle import FOLDER

_KEY: Final = "breakeven.telemetry"
_PLACE: Final = ("at_s", "source", "device")
_decode: Final = msgspec.json.Decoder(dict[str, Any]).decode


def seal_samples(run_folder: Path) -> None:
    """Turn what was sampled into Parquet files, readable by DuckDB and Polars; what is sealed already stays."""
    for path in sorted((run_folder / FOLDER).glob("start*.jsonl")):
        rows, missing = _read_lines(path)
        _write(path.with_suffix(".parquet"), rows=rows, missing=missing)
        path.unlink()


def read_samples(run_folder: Path) -> Samples:
    """All samples of a run, sealed or not, also after a kill; empty where there are none."""
    rows: list[dict[str, Any]] = []
    missing: dict[str, str] = {}
    for stem in sorted({path.stem for path in (run_folder / FOLDER).glob("start*.[jp]*")}):
        sealed = run_folder / FOLDER / f"{stem}.parquet"
        found = _read_sealed(sealed) if sealed.is_file() else _read_lines(sealed.with_suffix(".jsonl"))
        rows += found[0]
        missing |= found[1]
    return _samples(rows, missing)


def _samples(rows: Sequence[dict[str, Any]], missing: dict[str, str]) -> Samples:
    found: dict[tuple[str, str | None, str], tuple[list[float], list[float]]] = {}
    for row in rows:
        for name, value in row.items():
            if name not in _PLACE and value is not None:
                at_s, values = found.setdefault((row["source"], row["device"], name), ([], []))
                at_s.append(row["at_s"])
                values.append(value)
    return Samples(series={key: _series(*lists) for key, lists in found.items()}, missing=missing)


def _series(at_s: list[float], values: list[float]) -> Series:
    stamps = np.array(at_s, dtype=np.float64)
    order = np.argsort(stamps, kind="stable")
    return Series(stamps[order], np.array(values, dtype=np.float64)[order])


def _read_lines(path: Path) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Rows and reasons out of the sampler's lines; a line that a kill broke off is passed over."""
    rows: list[dict[str, Any]] = []
    missing: dict[str, str] = {}
    for line in stored_bytes(path).splitlines():
        try:
            found = _decode(line)
        except BAD_JSON:
            continue
        if "missing" in found:
            missing |= _reasons(found["missing"])
        elif _is_reading(found):
            rows.append(found)
    return rows, missing


def _is_reading(row: dict[str, Any]) -> bool:
    """It says when and of what, and all the rest are numbers."""
    texts, numbers = (row.get("source"), row.get("device") or ""), [row[name] for name in row.keys() - set(_PLACE)]
    return (
        all(isinstance(text, str) for text in texts)
        and isinstance(row.get("at_s"), int | float)
        and "device" in row
        and all(number is None or isinstance(number, int | float) for number in numbers)
    )


def _reasons(found: object) -> dict[str, str]:
    return {name: one_line(str(why)) for name, why in found.items()} if isinstance(found, dict) else {}


def _write(path: Path, *, rows: Sequence[dict[str, Any]], missing: dict[str, str]) -> None:
    """One row a reading: `at_s`, `source`, `device`, and a column a value, null where the source does not have it."""
    from arro3.core import Array, DataType, Table

    names = sorted({name for row in rows for name in row} - set(_PLACE))
    columns: dict[str, Any] = {"at_s": Array([row["at_s"] for row in rows], type=DataType.float64())}
    for name in ("source", "device"):
        columns[name] = Array([row[name] for row in rows], type=DataType.utf8())
    for name in names:
        columns[name] = Array([row.get(name) for row in rows], type=DataType.float64())
    metadata = {_KEY: msgspec.json.encode({"missing": missing}).decode()}
    write_table(path, Table.from_pydict(columns), metadata=metadata)


def _read_sealed(path: Path) -> tuple[list[dict[str, Any]], dict[str, str]]:
    table = read_table(path)
    try:
        missing = _reasons(msgspec.json.decode(table.schema.metadata_str.get(_KEY) or "")["missing"])
    except (*BAD_JSON, KeyError, TypeError):
        raise RunFailedError(f"{path}: its metadata holds no telemetry of breakeven") from None
    names = table.column_names
    columns = [table.column(name).to_pylist() for name in names]
    rows = [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]
    return [row for row in rows if _is_reading(row)], missing
