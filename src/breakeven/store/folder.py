"""A run's folder: the plan as given, the host, the records level by level, and a summary that can be made again."""

import datetime
import fcntl
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Self

import msgspec
import tomli_w

from breakeven.errors import RunFailedError, UsageError, one_line
from breakeven.metrics.summary import RunSummary
from breakeven.plan import Plan, plan_table, read_plan
from breakeven.record import LevelFacts, Record
from breakeven.store.log import LevelLog, cannot_write, read_log, write_atomically
from breakeven.store.table import read_facts, read_level, write_level

PLAN: Final = "plan.toml"
HOST: Final = "host.json"
SUMMARY: Final = "summary.json"
RECORDS: Final = "records"


def level_name(*, users: int | None, req_per_s: float | None, repeat: int) -> str:
    """`u100-r0` or `rate2.5-r0`: the name of a level's files, which sorts by load."""
    load = f"u{users:05d}" if users is not None else f"rate{req_per_s or 0.0:010.3f}"
    return f"{load}-r{repeat}"


class RunFolder:
    """One run on disk. `create` makes it, `open` finds it again; holding `lock` keeps a second writer away."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: int | None = None

    @classmethod
    def create(cls, out: Path, *, started: datetime.datetime, label: str, plan: Plan) -> Self:
        """Make a new folder under `out`, named by date and label."""
        stem = f"{started:%Y-%m-%dT%H%M}-{slug(label)}"
        try:
            out.mkdir(parents=True, exist_ok=True)
            path = next(path for path in _candidates(out / stem) if _made(path))
            (path / RECORDS).mkdir()
        except OSError as error:
            raise RunFailedError(cannot_write(out, error)) from None
        folder = cls(path)
        write_atomically(path / PLAN, tomli_w.dumps(plan_table(plan)).encode())
        return folder

    @classmethod
    def open(cls, path: Path) -> Self:
        """Find a run; UsageError where the folder is none."""
        if not (path / PLAN).is_file():
            what = "is no run folder (it has no plan.toml)" if path.is_dir() else "does not exist"
            raise UsageError(f"{path} {what}; `breakeven runs` lists the runs")
        return cls(path)

    @property
    def id(self) -> str:
        """The folder's name."""
        return self.path.resolve().name

    def lock(self) -> None:
        """Keep other processes from measuring into this folder, for as long as this one lives."""
        try:
            self._lock = os.open(self.path / PLAN, os.O_RDONLY)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RunFailedError(f"{self.path} is being measured by another process; wait for it or end it") from None
        except OSError as error:
            raise RunFailedError(f"{self.path}: {error.strerror}") from None

    def unlock(self) -> None:
        """Let other processes measure into this folder again."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def plan(self) -> Plan:
        """The plan as given."""
        path = self.path / PLAN
        return read_plan(_read(path).decode("utf-8", "replace"), where=str(path))

    def write_host(self, host: dict[str, Any]) -> None:
        """Store what is known of machine, engine and run; nothing secret may be in it."""
        write_atomically(self.path / HOST, msgspec.json.format(msgspec.json.encode(host), indent=2) + b"\n")

    def host(self) -> dict[str, Any]:
        """What `write_host` stored; empty where the run was killed before that."""
        path = self.path / HOST
        if not path.is_file():
            return {}
        try:
            return msgspec.json.decode(_read(path), type=dict[str, Any])
        except msgspec.DecodeError as error:
            raise RunFailedError(f"{path}: {error}") from None

    def start_level(self, facts: LevelFacts, *, client: int = 0) -> LevelLog:
        """Open the log of a level; what an earlier try left of it is replaced."""
        log = LevelLog(self._file(facts, f".client{client}.log"))
        log.note(facts)
        return log

    def seal_level(self, facts: LevelFacts) -> list[Record]:
        """Turn a level's logs into its Parquet file, which makes it a finished level; gives its records.

        Logs that an earlier try left, with another start, are not mixed in.
        """
        logs = self._logs(facts)
        read = [read_log(log) for log in logs]
        records = [record for noted, part in read if noted and noted.start_s == facts.start_s for record in part]
        write_level(self._file(facts, ".parquet"), facts=facts, records=records)
        for log in logs:
            log.unlink(missing_ok=True)
        return records

    def finished(self) -> list[LevelFacts]:
        """Facts of the levels that need not be measured again: one that lost a client is not what was asked for."""
        known = [read_facts(path) for path in self._tables()]
        return [facts for facts in known if facts.status == "done" and not facts.clients_lost]

    def levels(self) -> Iterator[tuple[LevelFacts, list[Record]]]:
        """Every level with its records, in the order measured; one that a kill broke off comes as `interrupted`.

        One level is read at a time, so that a run of many takes no more memory than the largest.
        """
        tables = {path.stem: path for path in self._tables()}
        found = {stem: read_facts(path) for stem, path in tables.items()}
        broken_off = self._broken_off()
        for stem, (facts, _) in broken_off.items():
            if stem not in found or _is_newer(facts, found[stem]):
                found[stem] = facts
                tables.pop(stem, None)
        for stem in sorted(found, key=lambda stem: found[stem].start_s):
            yield read_level(tables[stem]) if stem in tables else broken_off.pop(stem)

    def write_summary(self, summary: RunSummary) -> None:
        """Store what was derived; it may be deleted and made again."""
        write_atomically(self.path / SUMMARY, msgspec.json.format(msgspec.json.encode(summary), indent=1) + b"\n")

    def _broken_off(self) -> dict[str, tuple[LevelFacts, list[Record]]]:
        """What logs hold, by the stem of their name; of several tries the last."""
        found: dict[str, tuple[LevelFacts, list[Record]]] = {}
        for path in sorted((self.path / RECORDS).glob("*.log")):
            facts, records = read_log(path)
            stem = path.name.split(".client")[0]
            if facts is None or (stem in found and found[stem][0].start_s > facts.start_s):
                continue
            if stem in found and found[stem][0].start_s == facts.start_s:
                records = found[stem][1] + records
            found[stem] = (_interrupted(facts, records), records)
        return found

    def _file(self, facts: LevelFacts, end: str) -> Path:
        name = level_name(users=facts.users, req_per_s=facts.req_per_s_offered, repeat=facts.repeat)
        return self.path / RECORDS / (name + end)

    def _logs(self, facts: LevelFacts) -> list[Path]:
        stem = self._file(facts, "").name
        return sorted((self.path / RECORDS).glob(f"{stem}.client*.log"))

    def _tables(self) -> list[Path]:
        return sorted((self.path / RECORDS).glob("*.parquet"))


def _interrupted(facts: LevelFacts, records: list[Record]) -> LevelFacts:
    """Facts of a level that a kill broke off: its window closes with the last record that was kept."""
    end_s = max((record.end_s for record in records), default=facts.start_s)
    return msgspec.structs.replace(
        facts,
        status="interrupted",
        stopped="interrupted",
        end_s=end_s,
        close_s=end_s if facts.open_s is not None and end_s > facts.open_s else None,
    )


def _is_newer(broken_off: LevelFacts, sealed: LevelFacts) -> bool:
    """A log beside a Parquet file is a later try, unless the kill came between sealing and removing the log."""
    return sealed.status != "done" and broken_off.start_s > sealed.start_s


def find_runs(out: Path) -> list[RunFolder]:
    """The run folders in `out`, oldest first."""
    if not out.is_dir():
        raise UsageError(f"{out} is no folder; runs are kept in runs/ unless --out said otherwise")
    return [RunFolder(path) for path in sorted(out.iterdir()) if (path / PLAN).is_file()]


def slug(text: str) -> str:
    """A text that a server or user gave, made safe as part of a file name."""
    return re.sub(r"[^a-z0-9.]+", "-", one_line(text, limit=80).lower()).strip("-.")[:60] or "run"


def _candidates(path: Path) -> Iterator[Path]:
    yield path
    for number in range(2, 1000):
        yield path.with_name(f"{path.name}-{number}")


def _made(path: Path) -> bool:
    try:
        path.mkdir()
    except FileExistsError:
        return False
    return True


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise RunFailedError(f"{path}: {error.strerror}") from None
