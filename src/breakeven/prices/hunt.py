"""Live prices of about twenty clouds through gpuhunt, an optional package that is imported when it is first needed."""

import contextlib
import datetime
import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, Protocol

from breakeven.errors import RunFailedError, UsageError, one_line
from breakeven.hardware import gpu_key
from breakeven.prices.offers import Offer, cheapest
from breakeven.prices.quote import Fetched

CATALOG_DIR: Final = "GPUHUNT_CATALOG_DIR"
"""Environment variable of gpuhunt: a folder with one CSV a provider, read in place of the network."""


class Item(Protocol):
    """What is read of gpuhunt's `CatalogItem`; `price` is USD per hour of the whole instance."""

    provider: str
    location: str
    price: float
    gpu_count: int
    gpu_name: str | None
    gpu_memory: float | None
    spot: bool


def read(*, today: datetime.date) -> Fetched:
    """Lowest price a card of every GPU, provider and kind that gpuhunt knows today.

    UsageError when gpuhunt is not installed; RunFailedError when nothing could be fetched.
    """
    with _said() as said:
        fetched = from_gpuhunt(_items(), today=today)
    notes = (*fetched.notes, *dict.fromkeys(said))
    if not fetched.quotes:
        raise RunFailedError(f"gpuhunt gave no prices; {notes[0]}" if notes else "gpuhunt gave no prices")
    return Fetched(quotes=fetched.quotes, notes=notes)


@contextlib.contextmanager
def _said() -> Iterator[list[str]]:
    """What gpuhunt logs meanwhile, as notes: it would print a traceback for each provider that it cannot reach."""
    said: list[str] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: said.append(f"gpuhunt: {one_line(record.getMessage())}")  # type: ignore[method-assign]
    logger = logging.getLogger("gpuhunt")
    propagate, logger.propagate = logger.propagate, False
    logger.addHandler(handler)
    try:
        yield said
    finally:
        logger.removeHandler(handler)
        logger.propagate = propagate


def _items() -> Sequence[Item]:
    try:
        import gpuhunt
    except ImportError:
        raise UsageError("--from gpuhunt needs the package gpuhunt: pip install gpuhunt") from None
    folder = os.environ.get(CATALOG_DIR)
    try:
        if folder is None:
            return _query(gpuhunt.Catalog(), providers=None)
        return _query(gpuhunt.Catalog(auto_reload=False), providers=_local_providers(Path(folder)))
    except (OSError, ValueError, gpuhunt.GPUHuntError) as error:
        raise RunFailedError(f"gpuhunt could not read its prices: {one_line(str(error))}") from None


def _query(catalog: Any, *, providers: list[str] | None) -> Sequence[Item]:
    items: Sequence[Item] = catalog.query(provider=providers, min_gpu_count=1)
    return items


def _local_providers(folder: Path) -> list[str]:
    found = sorted(path.stem for path in folder.glob("*.csv"))
    if not found:
        raise UsageError(f"{CATALOG_DIR}: {folder} holds no CSV of gpuhunt, such as aws.csv")
    return found


def from_gpuhunt(found: Iterable[Item], *, today: datetime.date) -> Fetched:
    """The lowest price per card, for each GPU, provider and kind (`spot` or `ask`).

    Offers without a price are left out, as are GPUs that the table does not know; both are counted in the notes.
    """
    offers: list[Offer] = []
    unknown: set[str] = set()
    unpriced = 0
    for item in found:
        if not item.gpu_name or item.gpu_count < 1:
            continue
        if not item.price > 0:
            unpriced += 1
            continue
        try:
            offers.append(_offer(item, gpu=gpu_key(item.gpu_name, vram_gb=item.gpu_memory)))
        except UsageError:
            unknown.add(item.gpu_name)
    return Fetched(quotes=cheapest(offers, as_of=today, source="gpuhunt"), notes=_notes(unknown, unpriced=unpriced))


def _offer(item: Item, *, gpu: str) -> Offer:
    return Offer(
        gpu=gpu,
        provider=item.provider,
        kind="spot" if item.spot else "ask",
        region=item.location,
        cards=item.gpu_count,
        usd_per_h=item.price,
    )


def _notes(unknown: set[str], *, unpriced: int) -> tuple[str, ...]:
    notes = []
    if unknown:
        notes.append(f"left out, not in the GPU table: {', '.join(sorted(unknown))}")
    if unpriced:
        notes.append(f"left out, without a price: {unpriced} offers")
    return tuple(notes)
