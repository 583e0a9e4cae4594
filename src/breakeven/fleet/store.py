"""A set of results: Parquet files of at most PART jobs each, every job once, a later result in the stead of an older.

Readable by DuckDB and Polars as `SET/jobs-*.parquet`. A file appears or changes whole. While an import that replaces
jobs of older files is under way, the file UNFINISHED stands beside them: after a kill a job may be in two files, of
which the one with the higher number is right, as reading and the next import know.
"""

import re
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from breakeven.errors import UsageError
from breakeven.fleet.places import Place, place_of
from breakeven.fleet.rows import FIGURES, LEVELS, TEXTS, Ids, Mask, Rows, joined, pick, spread_out
from breakeven.fleet.table import from_parquet, to_parquet

Places = NDArray[np.int64]

PART: Final = 250_000
"""Jobs of a file; the last one is filled up first."""
MOST_USERS: Final = 64
"""Numbers of users in one set: each is a column of memory."""
UNFINISHED: Final = "unfinished"
_NAME: Final = "jobs-{:05d}.parquet"
_IS_PART: Final = re.compile(r"jobs-\d{5}\.parquet")


class Added(NamedTuple):
    """What became of the jobs that were put into a set."""

    new: int = 0
    superseded: int = 0
    """Took the place of an older result of the same job."""
    same: int = 0
    """Were there already, the same in everything."""
    older: int = 0
    """Ended before the result that is there, which stays."""


def read_set(address: str) -> Rows:
    """Every job of a set; UsageError where there is none, RunFailedError where a file is broken."""
    place = place_of(address)
    names = place.names()
    parts = _parts(names)
    if not parts:
        raise UsageError(f"{address}: no set of results is here; make one with `breakeven fleet import FILE --to SET`")
    rows = from_parquet({f"{address}/{name}": place.read(name) for name in parts})
    return pick(rows, last_of_each(rows.id)) if UNFINISHED in names else rows


def known(address: str) -> Rows | None:
    """The jobs of a set that may not be there yet."""
    return read_set(address) if _parts(place_of(address).names()) else None


def add(address: str, rows: Rows) -> Added:
    """Put jobs into a set, which is made where there is none.

    A job that is there already is replaced, unless what is there ended later by the operator's clock.
    """
    place = place_of(address)
    with place.alone():
        return _add(place, pick(rows, last_of_each(rows.id)))


def _add(place: Place, rows: Rows) -> Added:
    found = place.names()
    names = _parts(found)
    there = [from_parquet({f"{place.address}/{name}": place.read(name)}) for name in names]
    dirty = UNFINISHED in found
    if dirty:
        there = _without_replaced(there)
    stays = np.ones(len(rows), dtype=np.bool_)
    same = older = superseded = 0
    gone: list[Mask] = []
    for part in there:
        mine, old = shared(rows.id, part.id)
        equal = _are_equal(rows, mine, part, old)
        late = ~equal & (rows.ended_s[mine] < part.ended_s[old])  # undefined: not older
        stays[mine[equal | late]] = False
        leaving = np.zeros(len(part), dtype=np.bool_)
        leaving[old[~(equal | late)]] = True
        gone.append(leaving)
        same, older, superseded = same + int(equal.sum()), older + int(late.sum()), superseded + int(leaving.sum())
    fresh = pick(rows, stays)
    _check_users([fresh, *there])
    if len(fresh) or dirty:
        _write(place, names=names, there=there, gone=gone, fresh=fresh, dirty=dirty)
    return Added(len(fresh) - superseded, superseded, same, older)


def _without_replaced(parts: list[Rows]) -> list[Rows]:
    """The files without the jobs of which a later one has a newer result: what a killed import did not get to."""
    found = []
    for i, part in enumerate(parts):
        later = [one.id for one in parts[i + 1 :]]
        found.append(pick(part, ~np.isin(part.id, np.concatenate(later))) if later else part)
    return found


def _write(place: Place, *, names: list[str], there: list[Rows], gone: list[Mask], fresh: Rows, dirty: bool) -> None:
    """First what is new, then the older files without what it replaces: at any moment every job is in some file."""
    fills = bool(there) and len(there[-1]) + len(fresh) <= PART
    last = pick(there[-1], ~gone[-1]) if fills else None
    whole = fresh if last is None else joined([last, fresh])
    number = int(names[-1][5:10]) + (0 if fills else 1) if names else 1
    rewritten = [i for i in range(len(there)) if (dirty or gone[i].any()) and not (fills and i == len(there) - 1)]
    if rewritten:
        place.write(UNFINISHED, b"")
    for i in range(0, len(whole), PART):
        place.write(_NAME.format(number + i // PART), to_parquet(pick(whole, np.arange(i, min(i + PART, len(whole))))))
    for i in rewritten:
        place.write(names[i], to_parquet(pick(there[i], ~gone[i])))
    if rewritten or dirty:
        place.remove(UNFINISHED)


def _parts(names: list[str]) -> list[str]:
    return [name for name in names if _IS_PART.fullmatch(name)]


def last_of_each(ids: Ids) -> Mask:
    """The last job of each name."""
    keep = np.zeros(len(ids), dtype=np.bool_)
    _, first = np.unique(ids[::-1], return_index=True)
    keep[len(ids) - 1 - first] = True
    return keep


def shared(mine: Ids, theirs: Ids) -> tuple[Places, Places]:
    """Places of the names that both have, each once in either: in the first, and in the second."""
    _, first, second = np.intersect1d(mine, theirs, assume_unique=True, return_indices=True)
    return first, second


def _are_equal(one: Rows, places: Places, other: Rows, theirs: Places) -> Mask:
    """Whether two tables say the same of each pair of jobs."""
    a, b = pick(one, places), pick(other, theirs)
    equal = a.digest == b.digest
    for name in TEXTS:
        mine, his = getattr(a, name), getattr(b, name)
        number = {text: i for i, text in enumerate(mine.names)}
        same_as = np.array([*(number.get(text, -2) for text in his.names), -1], dtype=np.int32)
        equal &= mine.codes == same_as[his.codes]
    for name in FIGURES:
        equal &= _same(getattr(a, name), getattr(b, name))
    users = sorted({*a.users, *b.users})
    for name in ("tried", *LEVELS):
        left, right = (spread_out(getattr(rows, name), rows.users, users) for rows in (a, b))
        equal &= (_same(left, right) if name != "tried" else left == right).all(axis=1)
    return np.asarray(equal, dtype=np.bool_)


def _same(one: NDArray[Any], other: NDArray[Any]) -> Mask:
    return np.asarray((one == other) | (np.isnan(one) & np.isnan(other)), dtype=np.bool_)


def _check_users(parts: list[Rows]) -> None:
    users = {n for part in parts for n in part.users}
    if len(users) > MOST_USERS:
        raise UsageError(f"{len(users)} numbers of users, where {MOST_USERS} are allowed in a set")
