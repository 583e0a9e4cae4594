"""Rows of SkyPilot's catalogue read as offers: which card an instance really has, how many, and for how much."""

import csv
import functools
import io
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, Literal

from msgspec import Struct

from breakeven.errors import RunFailedError, one_line
from breakeven.hardware import Gpu, key_of, may_mean, of_size
from breakeven.prices.offers import Offer
from breakeven.prices.quote import Kind

NEEDED: Final = ("InstanceType", "AcceleratorName", "AcceleratorCount", "GpuInfo", "Price", "SpotPrice", "Region")
MOST_USD_PER_H_CARD: Final = 100.0
"""No card is let for as much: files write 700 or more where there is no price."""
_NAMED: Final = 5
"""So many of the names that are not known are printed."""

# GpuInfo is a Python literal in some files, JSON in others, and neither in hyperstack's (`null` among single quotes):
# only two of its fields are needed, and these have one form in all of them.
_SIZE = re.compile(r"""SizeInMiB["']?: ?(\d{1,9}(?:\.\d{1,3})?)""")
_NAME = re.compile(r"""["']Name["']: ?["']([^"']{1,80})["']""")
_LEADING_COUNT = re.compile(r"^\d{1,3}x?(?=[A-Za-z])")
_TRAILING_COUNT = re.compile(r"x\d{1,3}$")
_OTHER_CARD: Final = frozenset(("d", "ti", "super", "laptop", "mobile", "max", "maxq"))
"""Words that make another card of the name before them."""


LeftOut = Literal["no whole number of cards", "no price", "price of a card without its machine"]


class Offers(Struct, frozen=True, kw_only=True):
    """What a file holds; `notes` say what was left out."""

    offers: tuple[Offer, ...]
    notes: tuple[str, ...]


class _Row(Struct, frozen=True, kw_only=True):
    names: tuple[str, ...]
    """What the card is called: by the cloud's own instance type, in GpuInfo, by SkyPilot."""
    cards: int
    size_gb: float | None
    """Memory by GpuInfo, of a card or of the whole set, whichever the file means."""
    region: str
    usd_per_h: Mapping[Kind, float]


def offers_of(cloud: str, data: bytes) -> Offers:
    """Offers of one cloud's file; RunFailedError where it is none. What cannot be told is left out and counted."""
    left_out: Counter[LeftOut] = Counter()
    unknown: Counter[str] = Counter()
    rows = list(_rows(data, left_out))
    of_set = _size_is_of_the_set(rows)
    offers: list[Offer] = []
    for row in rows:
        gpu = _card(row, of_set=of_set)
        if gpu is None:
            unknown[row.names[-1]] += 1
        else:
            offers += _offers(cloud, gpu, row)
    return Offers(offers=tuple(offers), notes=tuple(_notes(cloud, unknown, left_out)))


def _offers(cloud: str, gpu: str, row: _Row) -> Iterator[Offer]:
    for kind, price in row.usd_per_h.items():
        yield Offer(gpu=gpu, provider=cloud, kind=kind, region=row.region, cards=row.cards, usd_per_h=price)


def _notes(cloud: str, unknown: Counter[str], left_out: Counter[LeftOut]) -> Iterator[str]:
    if unknown:
        names = [f"{one_line(name, limit=40)} ({count})" for name, count in unknown.most_common(_NAMED)]
        more = f" and {len(unknown) - _NAMED} more" if len(unknown) > _NAMED else ""
        yield f"{cloud}: left out, no card of the GPU table: {', '.join(names)}{more}"
    for reason, count in sorted(left_out.items()):
        yield f"{cloud}: left out, {reason}: {count}"


def _rows(data: bytes, left_out: Counter[LeftOut]) -> Iterator[_Row]:
    try:
        lines = csv.DictReader(io.StringIO(data.decode("utf-8-sig")), restkey="", restval="", strict=True)
        missing = [name for name in NEEDED if name not in (lines.fieldnames or ())]
        if missing:
            raise RunFailedError(f"no catalogue: it lacks the column {missing[0]}")
        for line in lines:
            if line["AcceleratorName"]:
                row = _row(line)
                if isinstance(row, _Row):
                    yield row
                else:
                    left_out[row] += 1
    except (csv.Error, UnicodeDecodeError) as error:
        raise RunFailedError(f"no CSV in UTF-8: {one_line(str(error), limit=100)}") from None


def _row(line: Mapping[str, str]) -> _Row | LeftOut:
    """The row, or why it is left out."""
    if not line["InstanceType"]:
        return "price of a card without its machine"
    count = _number(line["AcceleratorCount"])
    if count is None or count != int(count) or not 1 <= count <= 1024:
        return "no whole number of cards"
    prices = _prices(line, cards=int(count))
    if not prices:
        return "no price"
    info = line["GpuInfo"][:2000]
    size, name = _SIZE.search(info), _NAME.search(info)
    return _Row(
        names=tuple(filter(None, (line["InstanceType"], name and name[1], line["AcceleratorName"]))),
        cards=int(count),
        size_gb=_size_gb(float(size[1])) if size else None,
        region=one_line(line["Region"].strip(" ,"), limit=60),
        usd_per_h=prices,
    )


def _prices(line: Mapping[str, str], *, cards: int) -> dict[Kind, float]:
    """0 is no price; a spot price equal to the ask is the ask written twice, as RunPod's file has it."""
    ask, spot = _number(line["Price"]), _number(line["SpotPrice"])
    found: dict[Kind, float | None] = {"ask": ask, "spot": None if spot == ask else spot}
    most = MOST_USD_PER_H_CARD * cards
    return {kind: price for kind, price in found.items() if price is not None and 0 < price < most}


def _number(cell: str) -> float | None:
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _size_gb(size: float) -> float | None:
    """Some files write GB where the name says MiB; 0 is not known."""
    if size == 0:
        return None
    return size if size < 1024 else size / 1024


def _size_is_of_the_set(rows: Sequence[_Row]) -> bool:
    """Whether this file's memory is that of all cards together: what more of its cards fit, where only one can be."""
    votes = 0
    for row in rows:
        if row.cards > 1 and row.size_gb is not None:
            found = _named_in(row.names)
            votes += bool(of_size(found, row.size_gb / row.cards)) - bool(of_size(found, row.size_gb))
    return votes > 0


def _card(row: _Row, *, of_set: bool) -> str | None:
    """Key of the card or of the smallest group that it must be of; None where it cannot be told."""
    found = _named_in(row.names)
    if row.size_gb is not None:
        found = of_size(found, row.size_gb / row.cards if of_set else row.size_gb)
    return key_of(found)


def _named_in(names: Sequence[str]) -> tuple[Gpu, ...]:
    """What all names agree on; where they contradict each other, all that any of them means: memory must tell."""
    meant = [found for name in names if (found := _meant(name))]
    agreed = [gpu for gpu in (meant[0] if meant else ()) if all(gpu in found for found in meant)]
    return tuple(agreed) or tuple(dict.fromkeys(gpu for found in meant for gpu in found))


@functools.lru_cache(maxsize=4096)
def _meant(name: str) -> tuple[Gpu, ...]:
    """Cards that the longest run of words in `name` stands for: `2x-RTX_4060_Ti-32-65536`, `n3-H100x8-NVLink`."""
    words = [_TRAILING_COUNT.sub("", word) for word in re.split(r"[^A-Za-z0-9]+", name[:120]) if word][:12]
    for length in range(min(6, len(words)), 0, -1):
        for start in range(len(words) - length + 1):
            run, after = words[start : start + length], words[start + length : start + length + 1]
            if not _OTHER_CARD.intersection(word.lower() for word in after) and (found := _known(run)):
                return found
    return ()


def _known(words: Sequence[str]) -> tuple[Gpu, ...]:
    """Cards of that name, with or without a count in front.

    A number alone is a number of something else, and so is one at the end: `V100-32` may have 32 processors.
    """
    if words[-1].isdigit() and (len(words) == 1 or len(words[-1]) < 4):
        return ()
    return may_mean(" ".join(words)) or may_mean(" ".join([_LEADING_COUNT.sub("", words[0]), *words[1:]]))
