"""A run's folder: the plan as given, the host, the records level by level, and a summary that can be made again."""

import datetime
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, Self

import msgspec
import tomli_w

from breakeven.caution import Caution
from breakeven.errors import LONGEST_NAME, RunFailedError, UsageError, one_line
from breakeven.metrics.summary import RunSummary
from breakeven.plan import Plan, plan_table, read_plan
from breakeven.record import LevelFacts, Record
from breakeven.store.facts import host_facts
from breakeven.store.held import Held, new_folder
from breakeven.store.log import LevelLog, LogRead, cannot_write, json_bytes, read_log, stored_bytes, write_atomically
from breakeven.store.mark import leave_mark
from breakeven.store.sound import check_sound
from breakeven.store.table import read_facts, read_level, write_level

PLAN: Final = "plan.toml"
HOST: Final = "host.json"
SUMMARY: Final = "summary.json"
RECORDS: Final = "records"
_LEVEL_NAME: Final = re.compile(r"(?:u([0-9]{5,8})|rate([0-9]{1,9}[.][0-9]{3}))-r([0-9]{1,6})", re.ASCII)


def level_name(*, users: int | None, req_per_s: float | None, repeat: int) -> str:
    """`u100-r0` or `rate2.5-r0`: the name of a level's files, which sorts by load."""
    load = f"u{users:05d}" if users is not None else f"rate{req_per_s or 0.0:010.3f}"
    return f"{load}-r{repeat}"


class RunFolder(Held):
    """One run on disk. `create` makes it, `open` finds it again; holding `lock` keeps a second writer away."""

    by = PLAN

    @classmethod
    def create(cls, out: Path, *, started: datetime.datetime, label: str, plan: Plan) -> Self:
        """Make a new folder under `out`, named by date and label."""
        path = new_folder(out, started=started, label=label)
        try:
            (path / RECORDS).mkdir()
        except OSError as error:
            raise RunFailedError(cannot_write(out, error)) from None
        folder = cls(path)
        leave_mark(path)
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
        return one_line(self.path.resolve().name, limit=LONGEST_NAME)

    @property
    def is_measured(self) -> bool:
        """It has a plan and records; else it is a summary alone."""
        return (self.path / PLAN).is_file()

    def plan(self) -> Plan:
        """The plan as given."""
        path = self.path / PLAN
        return read_plan(stored_bytes(path).decode("utf-8", "replace"), where=str(path))

    def write_host(self, host: dict[str, Any]) -> None:
        """Store what is known of machine, engine and run; nothing secret may be in it."""
        write_atomically(self.path / HOST, json_bytes(host))

    def host(self) -> dict[str, Any]:
        """What `write_host` stored; empty where the run was killed before that."""
        path = self.path / HOST
        if not path.is_file():
            return {}
        return host_facts(stored_bytes(path), where=path)

    def start_level(self, facts: LevelFacts, *, client: int = 0) -> LevelLog:
        """Open the log of a level; what an earlier try left of it is replaced."""
        log = LevelLog(self._file(facts, f".client{client}.log"))
        log.note(facts)
        return log

    def seal_level(self, facts: LevelFacts) -> tuple[LevelFacts, list[Record]]:
        """Turn a level's logs into its Parquet file, which makes it a finished level; gives what it holds.

        Logs that an earlier try left, with another start, are not mixed in.
        """
        logs = self._logs(facts)
        read = [(log.name, read_log(log)) for log in logs]
        records = [record for _, found in read if _is_of(found, facts) for record in found.records]
        facts = _with_damage(facts, [name for name, found in read if found.lost_bytes])
        write_level(self._file(facts, ".parquet"), facts=facts, records=records)
        for log in logs:
            log.unlink(missing_ok=True)
        return facts, records

    def finished(self) -> list[LevelFacts]:
        """Facts of the levels that need not be measured again: one that lost a client or records is not whole."""
        known = [read_facts(path) for path in self._tables()]
        return [facts for facts in known if facts.status == "done" and facts.is_whole]

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
            facts, records = read_level(tables[stem]) if stem in tables else broken_off.pop(stem)
            check_sound(facts, records, where=self.path / RECORDS / stem)
            yield facts, records

    def write_summary(self, summary: RunSummary) -> None:
        """Store what was derived; it may be deleted and made again."""
        write_atomically(self.path / SUMMARY, json_bytes(summary, indent=1))

    def _broken_off(self) -> dict[str, tuple[LevelFacts, list[Record]]]:
        """What logs hold, by the stem of their name; of several tries the last."""
        found: dict[str, tuple[LevelFacts, list[Record]]] = {}
        damaged: dict[str, list[str]] = {}
        for path in self._kept("*.log"):
            noted, records, lost_bytes = read_log(path)
            stem = path.name.split(".client")[0]
            if lost_bytes:
                damaged.setdefault(stem, []).append(path.name)
            facts = noted or (_named(stem) if lost_bytes else None)
            if facts is None or (stem in found and found[stem][0].start_s > facts.start_s):
                continue
            if stem in found and found[stem][0].start_s == facts.start_s:
                records = found[stem][1] + records
            found[stem] = (_interrupted(facts, records), records)
        return {stem: (_with_damage(facts, damaged.get(stem, ())), kept) for stem, (facts, kept) in found.items()}

    def _file(self, facts: LevelFacts, end: str) -> Path:
        name = level_name(users=facts.users, req_per_s=facts.req_per_s_offered, repeat=facts.repeat)
        return self.path / RECORDS / (name + end)

    def _logs(self, facts: LevelFacts) -> list[Path]:
        stem = self._file(facts, "").name
        return sorted((self.path / RECORDS).glob(f"{stem}.client*.log"))

    def _tables(self) -> list[Path]:
        return self._kept("*.parquet")

    def _kept(self, pattern: str) -> list[Path]:
        """Files of records by name; what is no plain file is none, and a pipe would be waited for."""
        return sorted(path for path in (self.path / RECORDS).glob(pattern) if path.is_file())


def _is_of(found: LogRead, facts: LevelFacts) -> bool:
    return found.facts is not None and found.facts.start_s == facts.start_s


def _with_damage(facts: LevelFacts, logs: Sequence[str]) -> LevelFacts:
    """The facts with a caution where logs hold bytes that nobody can read."""
    if not logs:
        return facts
    note = Caution(
        id="log_damaged",
        seen="records are lost, since {logs} cannot be read to its end",
        advice="measure this level again with --resume",
        values={"logs": " and ".join(logs)},
    )
    return msgspec.structs.replace(facts, notes=(*facts.notes, note))


def _named(stem: str) -> LevelFacts | None:
    """A level of which only the name of its log is known."""
    found = _LEVEL_NAME.fullmatch(stem)
    if found is None:
        return None
    users, rate, repeat = found.groups()
    return LevelFacts(
        users=None if users is None else int(users),
        req_per_s_offered=None if rate is None else float(rate),
        repeat=int(repeat),
        start_s=0.0,
    )


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
    """The run folders in `out`, oldest first. A link is none: what it leads to may be anything on this machine."""
    if not out.is_dir():
        raise UsageError(f"{out} is no folder; runs are kept in runs/ unless --out said otherwise")
    return [RunFolder(path) for path in sorted(out.iterdir()) if is_run(path) and not path.is_symlink()]


def is_run(path: Path) -> bool:
    """It holds a run that was measured, or the summary of one that was imported or predicted.

    A folder that we may not look into is none.
    """
    try:
        return (path / PLAN).is_file() or (path / SUMMARY).is_file()
    except OSError:
        return False
