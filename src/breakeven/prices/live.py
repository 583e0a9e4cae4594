"""Live prices of about twenty clouds through gpuhunt, an optional extra that is imported when it is first needed."""

import contextlib
import datetime
import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, Protocol

from breakeven.errors import RunFailedError, UsageError, one_line
from breakeven.hardware import find_gpus, gpu_key, same_gpu
from breakeven.prices.quote import Fetched, Kind, Quote

CATALOG_DIR: Final = "GPUHUNT_CATALOG_DIR"
"""Environment variable of gpuhunt: a folder with one CSV a provider, read in place of the network."""


class Offer(Protocol):
    """What is read of gpuhunt's `CatalogItem`; `price` is USD per hour of the whole instance."""

    provider: str
    instance_name: str
    price: float
    gpu_count: int
    gpu_name: str | None
    gpu_memory: float | None
    spot: bool


def read(*, today: datetime.date, gpu: str | None = None) -> Fetched:
    """Lowest price a card of every GPU, provider and kind that gpuhunt knows today, or of `gpu` alone.

    UsageError when gpuhunt is not installed or the GPU is unknown; RunFailedError when nothing could be fetched.
    """
    if gpu is not None:
        find_gpus(gpu)
    with _said() as said:
        fetched = from_gpuhunt(_offers(), today=today)
    quotes = tuple(quote for quote in fetched.quotes if gpu is None or same_gpu(gpu, quote.gpu))
    return Fetched(quotes=quotes, notes=(*fetched.notes, *dict.fromkeys(said)))


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


def _offers() -> Sequence[Offer]:
    try:
        import gpuhunt
    except ImportError:
        raise UsageError("live prices need gpuhunt: pip install 'breakeven[prices]'") from None
    folder = os.environ.get(CATALOG_DIR)
    try:
        if folder is None:
            return _query(gpuhunt.Catalog(), providers=None)
        return _query(gpuhunt.Catalog(auto_reload=False), providers=_local_providers(Path(folder)))
    except (OSError, ValueError, gpuhunt.GPUHuntError) as error:
        raise RunFailedError(f"gpuhunt could not read its prices: {one_line(str(error))}") from None


def _query(catalog: Any, *, providers: list[str] | None) -> Sequence[Offer]:
    offers: Sequence[Offer] = catalog.query(provider=providers, min_gpu_count=1)
    return offers


def _local_providers(folder: Path) -> list[str]:
    found = sorted(path.stem for path in folder.glob("*.csv"))
    if not found:
        raise UsageError(f"{CATALOG_DIR}: {folder} holds no CSV of gpuhunt, such as aws.csv")
    return found


def from_gpuhunt(offers: Iterable[Offer], *, today: datetime.date) -> Fetched:
    """The lowest price per card, for each GPU, provider and kind (`spot` or `ask`).

    price per card = price of the instance / its cards. Offers without a price are left out, as are GPUs that
    the table does not know; both are counted in the notes.
    """
    groups: dict[tuple[str, str, Kind], list[Offer]] = {}
    unknown: set[str] = set()
    unpriced = 0
    for offer in offers:
        if not offer.gpu_name or offer.gpu_count < 1:
            continue
        if not offer.price > 0:
            unpriced += 1
            continue
        try:
            key = gpu_key(offer.gpu_name, vram_gb=offer.gpu_memory)
        except UsageError:
            unknown.add(offer.gpu_name)
            continue
        groups.setdefault((key, offer.provider, "spot" if offer.spot else "ask"), []).append(offer)
    return Fetched(
        quotes=tuple(_lowest(offers, key=key, today=today) for key, offers in sorted(groups.items())),
        notes=_notes(unknown, unpriced=unpriced),
    )


def _lowest(offers: Sequence[Offer], *, key: tuple[str, str, Kind], today: datetime.date) -> Quote:
    gpu, provider, kind = key
    best = min(offers, key=lambda offer: offer.price / offer.gpu_count)
    cards = f"{best.gpu_count} cards" if best.gpu_count > 1 else "1 card"
    return Quote(
        gpu=gpu,
        provider=provider,
        tier="spot" if kind == "spot" else "on-demand",
        usd_per_h_card=best.price / best.gpu_count,
        kind=kind,
        stat=f"lowest of {len(offers)} offers: {best.instance_name}, {cards}",
        as_of=today,
        source="gpuhunt",
    )


def _notes(unknown: set[str], *, unpriced: int) -> tuple[str, ...]:
    notes = []
    if unknown:
        notes.append(f"left out, not in the GPU table: {', '.join(sorted(unknown))}")
    if unpriced:
        notes.append(f"left out, without a price: {unpriced} offers")
    return tuple(notes)
