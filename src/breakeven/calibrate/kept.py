"""The calibration of this machine, kept in the user's cache folder, so that each run can be held against it."""

from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct

from breakeven.cachefolder import cache_folder
from breakeven.calibrate.grid import Ceiling
from breakeven.store.log import json_bytes, write_atomically

FILE: Final = "calibration.json"


class Kept(Struct, frozen=True, kw_only=True):
    """A calibration, with what it holds for."""

    made: str
    """ISO 8601."""
    host: dict[str, Any]
    """CPU, cores, versions: another machine, or another version, needs a calibration of its own."""
    ceiling: Ceiling | None
    cells: list[dict[str, Any]]


def path() -> Path:
    """Where it is kept."""
    return cache_folder() / FILE


def keep(kept: Kept) -> Path:
    """Write it; RunFailedError where the disk does not take it."""
    to = path()
    to.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(to, json_bytes(kept, indent=1))
    return to


def kept_ceiling(host: dict[str, Any]) -> Ceiling | None:
    """The ceiling of this machine; None where it was not calibrated, or not with this CPU and version."""
    try:
        kept = msgspec.json.decode(path().read_bytes(), type=Kept)
    except (OSError, msgspec.DecodeError):
        return None
    same = all(kept.host.get(key) == host.get(key) for key in ("cpu", "cpu_cores", "breakeven"))
    return kept.ceiling if same else None
