"""Jobs on their way into a set: read, checked, held against what is there, and counted, so that none is lost unseen."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
from msgspec import Struct

from breakeven.errors import RunFailedError, UsageError, one_line
from breakeven.fleet import csvjobs
from breakeven.fleet.checked import SMALL_PROOF, Refused, Told, from_job
from breakeven.fleet.job import Job
from breakeven.fleet.jobs.folder import RUNS, is_of_study
from breakeven.fleet.maps import Plan, plan
from breakeven.fleet.result import LARGEST_BYTES
from breakeven.fleet.rows import Rows, joined, make_rows
from breakeven.fleet.store import MOST_USERS, Added, add, known

LARGEST_JOB_BYTES: Final = 4 * LARGEST_BYTES
"""Of a file with one job of an operator's record."""
_AT_ONCE: Final = 20_000
"""Jobs that are held one by one before they become columns."""
_EXAMPLES: Final = 3


class Intake(Struct, kw_only=True):
    """What became of every job of one source."""

    source: str
    map: str | None = None
    read: int = 0
    added: Added = Added()
    twice: int = 0
    """The same job again, in the same source; the last one counts."""
    refused: dict[str, list[Refused]] = {}
    """By row of REFUSALS; of each the first few."""
    refused_counts: dict[str, int] = {}
    marked: dict[str, int] = {}
    """By row of MARKS."""
    failed_levels: int = 0
    """Jobs of which some level, and not all, failed or is missing."""
    failed: int = 0
    """Jobs without any level."""
    unread: tuple[str, ...] = ()
    """Columns that nothing reads."""


class _Seen:
    """Who told which measurement and which card before: in the set, and in this source."""

    def __init__(self, there: Rows | None) -> None:
        self.users = set(there.users) if there is not None else set()
        self._teller: dict[int, str] = {}
        self._holder: dict[str, str] = {}
        if there is not None:
            names = [name.decode() for name in there.id.tolist()]
            self._teller = dict(zip(there.digest.tolist(), names, strict=True))
            for card, node in {*zip(there.card.codes.tolist(), there.node.codes.tolist(), strict=True)}:
                if card >= 0 and node >= 0:
                    self._holder.setdefault(there.card.names[card], there.node.names[node])

    def take(self, told: Told) -> Told | Refused:
        teller = self._teller.setdefault(told["digest"], told["id"])
        if teller != told["id"]:
            return Refused(told["id"], "replay", f"those of {teller}")
        if len(self.users | told["levels"].keys()) > MOST_USERS:
            return Refused(told["id"], "too_many_users")
        self.users |= told["levels"].keys()
        card, node = told.get("card"), told.get("node")
        if card is not None and node is not None and self._holder.setdefault(card, node) != node:
            told["marks"] = " ".join(filter(None, (told["marks"], "card_of_another_node")))
        return told


def take_in(
    source: Path, *, into: str, given: tuple[str, ...] = (), now_s: float, largest_proof: int = SMALL_PROOF
) -> Intake:
    """Import a CSV, or a folder of jobs, into a set, and say what became of every job."""
    found = Intake(source=str(source), refused={}, refused_counts={}, marked={})
    if is_of_study(source):
        raise UsageError(
            f"{source}: its jobs are cells of a study, which a set of nodes' results has no place for;"
            f" `breakeven compare {source / RUNS}/*` compares them"
        )
    laid = None if source.is_dir() else plan(csvjobs.header(source), given)
    if laid is None and given:
        raise UsageError(f"{source}: a folder of results needs no --map")
    if laid is not None:
        found.map, found.unread = laid.map.name, laid.unread
    seen = _Seen(known(into))
    kept = list(_columns(_kept(_read(source, laid, now_s, largest_proof), seen, found)))
    if kept:
        rows = joined(kept)
        kept.clear()
        found.twice = len(rows) - len(np.unique(rows.id))
        found.added = add(into, rows)
    return found


def _read(source: Path, laid: Plan | None, now_s: float, largest_proof: int) -> Iterator[Told | Refused]:
    if laid is not None:
        return csvjobs.jobs(source, laid, now_s=now_s)
    return (
        one if isinstance(one, Refused) else from_job(one, now_s=now_s, largest_proof=largest_proof)
        for one in folder_jobs(source)
    )


def folder_jobs(folder: Path) -> Iterator[Job | Refused]:
    """The jobs of a fleet's folder: one file of JSON each, `jobs/NAME.json`."""
    paths = sorted((folder / "jobs").glob("*.json"))
    if not paths:
        raise UsageError(f"{folder}: holds no jobs; give the folder of `breakeven fleet submit`, or a CSV")
    for path in paths:
        yield _read_job(path)


def _read_job(path: Path) -> Job | Refused:
    name = one_line(path.stem, limit=64)
    try:
        if path.is_symlink() or path.stat().st_size > LARGEST_JOB_BYTES:
            return Refused(name, "unreadable", f"a link, or more than {LARGEST_JOB_BYTES} bytes")
        job = msgspec.json.decode(path.read_bytes(), type=Job)
    except (msgspec.ValidationError, msgspec.DecodeError, UnicodeDecodeError) as error:
        return Refused(name, "unreadable", one_line(str(error)))
    except OSError as error:
        raise RunFailedError(f"{path}: {error.strerror}") from None
    return job if job.id == path.stem else Refused(name, "other_job", job.id)


def _kept(jobs: Iterable[Told | Refused], seen: _Seen, found: Intake) -> Iterator[Told]:
    for job in jobs:
        found.read += 1
        taken = job if isinstance(job, Refused) else seen.take(job)
        if isinstance(taken, Refused):
            found.refused_counts[taken.why] = found.refused_counts.get(taken.why, 0) + 1
            examples = found.refused.setdefault(taken.why, [])
            if len(examples) < _EXAMPLES:
                examples.append(taken)
            continue
        _count(taken, found)
        yield taken


def _count(told: dict[str, Any], found: Intake) -> None:
    for mark in (told["marks"] or "").split():
        found.marked[mark] = found.marked.get(mark, 0) + 1
    measured = [level.get("output_tok_per_s") is not None for level in told["levels"].values()]
    if not any(measured):
        found.failed += 1
    elif told["outcome"] == "partial" or not all(measured):
        found.failed_levels += 1


def _columns(jobs: Iterator[Told]) -> Iterator[Rows]:
    waiting: list[Told] = []
    for told in jobs:
        waiting.append(told)
        if len(waiting) == _AT_ONCE:
            yield _table(waiting)
            waiting = []
    if waiting:
        yield _table(waiting)


def _table(jobs: list[Told]) -> Rows:
    return make_rows(jobs, users=sorted({n for told in jobs for n in told["levels"]}))
