"""Jobs out of a CSV, by a map of its columns: every row becomes a job or is refused with its line and reason."""

import csv
import hashlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from breakeven.errors import RunFailedError, UsageError, one_line
from breakeven.fleet.checked import Refused, Told, checked, gpu_of, seconds
from breakeven.fleet.maps import Column, Plan
from breakeven.fleet.rows import FIGURES, TEXTS

LONGEST_CELL: Final = 100_000
_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
_TIMES: Final = {"started": "started_s", "submitted": "submitted_s", "ended": "ended_s"}
_CLOCKS_AND_WATTS: Final = ("power_mean_w", "energy_j", "level_clock_mean_mhz")


def header(path: Path) -> list[str]:
    """The columns of a CSV; UsageError where it has none or one twice, RunFailedError where it cannot be read."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            found = next(csv.reader(lines), [])
    except UnicodeDecodeError:
        raise UsageError(f"{path}: is no text in UTF-8") from None
    except csv.Error as error:
        raise UsageError(f"{path}: no CSV ({error})") from None
    except OSError as error:
        raise RunFailedError(f"{path}: {error.strerror}") from None
    if not found:
        raise UsageError(f"{path}: is empty")
    twice = next((name for name in found if found.count(name) > 1), None)
    if twice is not None:
        raise UsageError(f"{path}: two columns are called {one_line(twice)!r}")
    return found


def jobs(path: Path, plan: Plan, *, now_s: float) -> Iterator[Told | Refused]:
    """Every row in turn; UsageError, with its line, for a file that is no CSV to its end."""
    csv.field_size_limit(LONGEST_CELL)
    with path.open(encoding="utf-8-sig", newline="") as lines:
        reader = csv.DictReader(lines, strict=True)
        try:
            for row in reader:
                yield _job(row, plan, line=reader.line_num, now_s=now_s)
        except (csv.Error, UnicodeDecodeError) as error:
            raise UsageError(f"{path}, line {reader.line_num + 1}: {error}") from None


def _job(row: Mapping[Any, Any], plan: Plan, *, line: int, now_s: float) -> Told | Refused:
    place = f"line {line}"
    if None in row or None in row.values():
        return Refused(place, "unreadable", "more or fewer cells than columns")
    try:
        told = _told(row, plan)
    except ValueError as error:
        return Refused(place, "unreadable", one_line(str(error)))
    found = checked(told, now_s=now_s)
    return found._replace(job=place) if isinstance(found, Refused) else found


def _told(row: Mapping[str, str], plan: Plan) -> Told:
    """ValueError for a cell that is no figure, or a name that is none."""
    told: Told = {name: text for name, text in plan.map.constants.items() if name in TEXTS}
    for name, column in plan.columns.items():
        cell = row[column.column].strip()
        if name in TEXTS:
            told[name] = one_line(cell, limit=200) or told.get(name)
        elif name in FIGURES:
            told[name] = _figure(cell, column)
        elif name in _TIMES:
            told[_TIMES[name]] = seconds(cell or None)
    told["levels"] = _levels(row, plan)
    told["gpu"] = gpu_of(told.get("gpu") or told.get("card_name"), told.get("memory_bytes"))
    told.setdefault("counted", "tokens")
    told["marks"] = []
    told["id"] = _id(row, plan)
    if not told.get("outcome"):
        told["outcome"] = _outcome(told["levels"])
    return told


def _levels(row: Mapping[str, str], plan: Plan) -> dict[int, dict[str, float | None]]:
    """Levels whose throughput is not empty; without the watts and clocks of cards that were idle."""
    found = {}
    for users, columns in plan.levels.items():
        level = {name: _figure(row[column.column].strip(), column) for name, column in columns.items()}
        if level["output_tok_per_s"] is not None:
            busy = level.get("level_utilisation_share")
            if plan.map.busy_share and (busy is None or busy < plan.map.busy_share):
                level |= dict.fromkeys(set(_CLOCKS_AND_WATTS) & level.keys())
            found[users] = level
    return found


def _figure(cell: str, column: Column) -> float | None:
    if not cell:
        return None
    try:
        return float(cell) * column.times
    except ValueError:
        raise ValueError(f"{column.column}: {one_line(cell, limit=60)!r} is no figure") from None


def _id(row: Mapping[str, str], plan: Plan) -> str:
    """The job's own name, else one made of all that stands in its row, so that the same row is the same job."""
    if "id" in plan.columns:
        name = row[plan.columns["id"].column].strip()
        if not _ID.fullmatch(name):
            raise ValueError(f"{one_line(name, limit=60)!r} is no name of a job: letters, digits, . _ - and at most 64")
        return name
    body = "\x1f".join(f"{key}\x1e{value}" for key, value in row.items())
    stem = re.sub(r"[^A-Za-z0-9]+", "-", plan.map.name).strip("-")[:24] or "csv"
    return f"{stem}-{hashlib.sha256(body.encode()).hexdigest()[:16]}"


def _outcome(levels: Mapping[int, Mapping[str, float | None]]) -> str:
    measured = [bool(level["output_tok_per_s"]) for level in levels.values()]
    return "done" if measured and all(measured) else "partial" if any(measured) else "failed"
