"""Prices of about twenty clouds out of SkyPilot's public catalogue: one CSV of instances a cloud, read over HTTPS."""

import datetime
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

from breakeven.errors import RunFailedError, UsageError, one_line
from breakeven.prices.instances import offers_of
from breakeven.prices.offers import cheapest
from breakeven.prices.quote import Fetched
from breakeven.prices.web import get

CATALOGUE: Final = "https://raw.githubusercontent.com/skypilot-org/skypilot-catalog/master/catalogs/v8"
FROM_ENV: Final = "BREAKEVEN_PRICES_FROM"
"""Environment variable that names another place of prices: an address, a folder, one file, or `gpuhunt`."""
CLOUDS: Final = (
    *("aws", "azure", "cudo", "do", "gcp", "hyperbolic", "hyperstack", "jarvislabs", "lambda", "lium", "nebius"),
    *("oci", "primeintellect", "runpod", "seeweb", "shadeform", "spheron", "vast", "verda", "yotta"),
)
"""Not mithril: it lets by auction, and its file has $1.00 for every card."""
FILE: Final = "vms.csv"
LARGEST_BYTES: Final = 64 * 1024 * 1024
TIMEOUT_S: Final = 30.0


class Cloud(NamedTuple):
    """One cloud's file: how it is read, and the day that its prices are of (None: today, as it was fetched)."""

    name: str
    read: Callable[[], bytes]
    of: datetime.date | None = None


def read(*, today: datetime.date, base: str | None = None, timeout_s: float = TIMEOUT_S) -> Fetched:
    """What each cloud asks now for a card; a cloud that cannot be read is a note and does not end the others.

    `base` is an address, a folder with a folder a cloud, or one CSV; without it the public catalogue is asked.
    RunFailedError where no cloud at all could be read, UsageError for a folder that holds no catalogue.
    """
    place = base or CATALOGUE
    clouds = _clouds(place, timeout_s=timeout_s)
    with ThreadPoolExecutor(max_workers=len(CLOUDS)) as pool:
        answers = list(pool.map(partial(_read_cloud, place=place, today=today), clouds))
    notes = tuple(note for answer in answers for note in answer.notes)
    quotes = tuple(quote for answer in answers for quote in answer.quotes)
    if not quotes:
        said = f"; {notes[0]}" if notes else ""
        raise RunFailedError(f"no prices could be read from {one_line(place, limit=120)}{said}")
    return Fetched(quotes=quotes, notes=notes)


def _clouds(place: str, *, timeout_s: float) -> Sequence[Cloud]:
    if place.startswith(("http://", "https://")):
        by_name = {cloud: f"{place.rstrip('/')}/{cloud}/{FILE}" for cloud in CLOUDS}
        asked = partial(get, timeout_s=timeout_s, most_bytes=LARGEST_BYTES)
        return [Cloud(name, partial(asked, url)) for name, url in by_name.items()]
    path = Path(place).expanduser()
    files = [path] if path.is_file() else sorted(path.glob(f"*/{FILE}"))
    if not files:
        raise UsageError(
            f"{one_line(place, limit=120)} is no address, no CSV and no folder with CLOUD/{FILE} in it; "
            "`breakeven prices --refresh` alone asks the public catalogue"
        )
    return [Cloud(_cloud_name(file), partial(_bytes_of, file), _day_of(file)) for file in files]


def _cloud_name(file: Path) -> str:
    return file.parent.name if file.name == FILE else file.stem


def _day_of(file: Path) -> datetime.date:
    return datetime.datetime.fromtimestamp(file.stat().st_mtime, tz=datetime.UTC).astimezone().date()


def _bytes_of(file: Path) -> bytes:
    if file.stat().st_size > LARGEST_BYTES:
        raise RunFailedError(f"larger than {LARGEST_BYTES >> 20} MiB")
    return file.read_bytes()


def _read_cloud(cloud: Cloud, *, place: str, today: datetime.date) -> Fetched:
    try:
        found = offers_of(cloud.name, cloud.read())
    except (OSError, RunFailedError) as error:
        return Fetched(quotes=(), notes=(f"{cloud.name}: not read: {one_line(str(error), limit=160)}",))
    source = f"SkyPilot catalogue, {cloud.name}/{FILE}, from {one_line(place, limit=120)}"
    quotes = cheapest(found.offers, as_of=min(cloud.of or today, today), source=source)
    return Fetched(quotes=quotes, notes=found.notes)
