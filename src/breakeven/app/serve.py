"""`breakeven report --serve`: a folder of runs as pages that follow what is being measured."""

import contextlib
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from msgspec.structs import replace

from breakeven.app.level import Level
from breakeven.app.prices import quotes
from breakeven.app.report import Loaded, best_cells, findings_of, load_folder, load_scenario
from breakeven.app.runs import readable
from breakeven.compare.history import history
from breakeven.cost.inputs import Scenario
from breakeven.errorkinds import kind_of
from breakeven.errors import BreakevenError, RunFailedError, UsageError
from breakeven.findings import Findings, Prices, names, throughput_series
from breakeven.findings.scrub import clean, scrubbed
from breakeven.metrics.failures import has_mostly_failed
from breakeven.metrics.summary import RunFacts, RunSummary
from breakeven.report.historypage import history_page
from breakeven.report.html import to_html
from breakeven.report.pagedata import series_data
from breakeven.report.server import Source, make_server
from breakeven.session.measure import missing
from breakeven.session.summary import fresh_summary
from breakeven.store.folder import RECORDS, RunFolder, find_runs
from breakeven.store.study import StudyFolder, find_studies, runs_outside_studies
from breakeven.units import counted, load_text, loads_text

QUIET_S: Final = 15.0
"""A run whose records have not grown for so long is not running."""


def serve(
    out: Path,
    *,
    host: str,
    port: int,
    scenarios: Sequence[str] = (),
    floors: Sequence[float] = (),
    slo: str | None = None,
) -> int:
    """Serve until interrupted. RunFailedError where the address cannot be taken."""
    shelf = Shelf(
        out,
        scenarios=[load_scenario(text) for text in scenarios],
        floors=floors,
        slo=slo,
    )
    try:
        server = make_server(shelf.source(), host=host, port=port)
    except OSError as error:
        raise RunFailedError(f"cannot serve on {host}:{port}: {error.strerror}; try another --port") from None
    with server:
        print(f"runs in {out}: http://{_name(host)}:{server.server_address[1]}/  (Ctrl+C ends it)", flush=True)
        server.serve_forever(poll_interval=0.2)
    return 0


def _name(host: str) -> str:
    return f"[{host}]" if ":" in host else host


class Shelf:
    """The runs of a folder, read when they are asked for; what has not changed is not read again."""

    def __init__(
        self, out: Path, *, scenarios: Sequence[Scenario] = (), floors: Sequence[float] = (), slo: str | None = None
    ) -> None:
        find_runs(out)
        self._out, self._scenarios, self._floors, self._slo = out, scenarios, floors, slo
        self._rows: dict[str, tuple[object, dict[str, Any]]] = {}

    def source(self) -> Source:
        """What a server needs."""
        return Source(
            runs=self.runs,
            studies=self.studies,
            report=self.report,
            history=self.history,
            live=self.live,
            note=self._alone_text() or "",
        )

    def runs(self) -> list[dict[str, Any]]:
        """A line for each run, newest first; runs of a study have its name before theirs."""
        rows = [self._row(name, folder) for name, folder in self._all().items()]
        return sorted(rows, key=lambda row: (row["running"], row["started"] or "", row["id"]), reverse=True)

    def studies(self) -> list[dict[str, Any]]:
        """A line for each study: its runs, and how many cells could not be measured."""
        return [_study(folder) for folder in find_studies(self._out)]

    def _all(self) -> dict[str, RunFolder]:
        """Every run of this folder, and of the studies in it, by its name."""
        found = {folder.id: folder for folder in runs_outside_studies(self._out)}
        for study in find_studies(self._out):
            found |= {f"{study.path.name}/{folder.id}": folder for folder in study.begun()}
        return found

    def _study_page(self, path: Path, ids: Sequence[str]) -> str:
        """The page of a study."""
        if len(ids) > 1:
            raise UsageError("a study has a page by itself; pick runs to compare them")
        loaded, study, level = best_cells(path, self._level())
        return to_html(replace(self._findings(loaded, level), study=study))

    def report(self, ids: Sequence[str]) -> str:
        """The page of some runs."""
        studies = [study for study in find_studies(self._out) if study.path.name in ids]
        if studies:
            return self._study_page(studies[0].path, ids)
        return to_html(self._findings([load_folder(self._folder(name)) for name in ids], self._level()))

    def history(self, ids: Sequence[str]) -> str:
        """The throughput of some runs of one cell over time, as a page."""
        runs = [(name, scrubbed(fresh_summary(self._folder(name)))) for name in ids]
        named = [replace(run, run=replace(run.run, id=name)) for name, run in runs]
        return history_page(history(named, "output_tok_per_s"))

    def _level(self) -> Level:
        return Level(floors=tuple(self._floors), slo=self._slo)

    def _findings(self, loaded: Sequence[Loaded], level: Level) -> Findings:
        """At the scenarios, as far as they fit: one without a reference prices a run alone, and the page says so."""
        left_out = self._alone_text() if len(loaded) > 1 else None
        prices = Prices(scenarios=() if left_out else tuple(self._scenarios), quotes=quotes())
        found = findings_of(loaded, level=level, prices=prices)
        return found if left_out is None else replace(found, notes=(*found.notes, left_out))

    def _alone_text(self) -> str | None:
        """What several runs that are picked are not priced by, and why; None where every scenario fits."""
        found = [one.name for one in self._scenarios if one.reference is None]
        if not found:
            return None
        whose = f"scenario {found[0]} has" if len(found) == 1 else f"scenarios {' and '.join(found)} have"
        return f"The {whose} no [reference] and prices one run alone; several that are picked take the newest quotes."

    def live(self, name: str) -> dict[str, Any]:
        """The levels of a run over time, and how far it is."""
        folder = self._folder(name)
        found = [(facts, throughput_series(facts, records), len(records)) for facts, records in folder.levels()]
        series = [series_data(one) for _, one, _ in found if one is not None]
        now = ""
        if found:
            facts, _, records = found[-1]
            load = load_text(facts.users, facts.req_per_s_offered)
            state = "window open" if facts.open_s is not None else "warming up"
            now = f"{load}: {state}, {counted(records, 'answer')} so far; {counted(len(found) - 1, 'level')} done"
        return {"id": folder.id, "now": now, "unit": _unit(folder), "series": series}

    def _folder(self, name: str) -> RunFolder:
        """A run of this folder by its name, and nothing else on the disk."""
        found = self._all().get(name)
        if found is None:
            raise UsageError("no run of that name is here")
        return found

    def _row(self, name: str, folder: RunFolder) -> dict[str, Any]:
        running = _is_running(folder)
        stamp = (_stamp(folder), running)
        known = self._rows.get(name)
        if known is None or known[0] != stamp:
            known = (stamp, _about(folder, running=running))
            self._rows[name] = known
        return {**known[1], "id": name, "running": running}


def _unit(folder: RunFolder) -> str:
    """What the run counts; its records are not read for that."""
    settings = folder.host().get("run", {}).get("settings", {})
    return names.unit(RunFacts(id=folder.id, settings=settings))


def _study(folder: StudyFolder) -> dict[str, Any]:
    runs = [f"{folder.path.name}/{run.id}" for run in folder.begun()]
    try:
        failures = {clean(name): clean(why) for name, why in folder.state().failures.items()}
    except BreakevenError as error:
        failures = {"study.json": clean(f"{error}")}
    return {"id": folder.path.name, "runs": runs, "failures": failures}


def _files(folder: RunFolder) -> dict[Path, os.stat_result]:
    """The files of records as they are now; one may be gone, or a folder not ours to look into, at any moment."""
    found = {}
    with contextlib.suppress(OSError):
        for path in sorted((folder.path / RECORDS).iterdir()):
            with contextlib.suppress(OSError):
                found[path] = path.stat()
    return found


def _stamp(folder: RunFolder) -> object:
    return tuple((path.name, stat.st_mtime_ns, stat.st_size) for path, stat in _files(folder).items())


def _is_running(folder: RunFolder) -> bool:
    """Its log grew a moment ago."""
    now = time.time()
    return any(path.suffix == ".log" and now - stat.st_mtime < QUIET_S for path, stat in _files(folder).items())


def _about(folder: RunFolder, *, running: bool) -> dict[str, Any]:
    told = readable(folder, lambda folder: _told(folder, running=running))
    if isinstance(told, str):
        fields = ("started", "hardware", "engine", "model", "workload", "load", "levels", "best", "unit")
        return {"error": clean(told), "status": "unreadable", "why": "", "errors": 0, **dict.fromkeys(fields)}
    return told


def _told(folder: RunFolder, *, running: bool) -> dict[str, Any]:
    run = scrubbed(fresh_summary(folder))
    speeds = [level.output_tok_per_s.value for level in run.levels if level.output_tok_per_s.value is not None]
    status, why = _status(folder, run, running=running)
    return {
        "error": None,
        "status": status,
        "why": why,
        "started": run.run.started,
        "hardware": names.hardware(run.run.host),
        "engine": names.engine(run.run.engine, version=True),
        "model": run.run.model,
        "workload": run.run.workload.get("name"),
        "load": loads_text((level.users, level.req_per_s_offered) for level in run.levels),
        "levels": sum(level.status == "done" for level in run.levels),
        "errors": sum(level.errors for level in run.levels),
        "best": max(speeds, default=None),
        "unit": names.unit(run.run),
    }


def _status(folder: RunFolder, run: RunSummary, *, running: bool) -> tuple[str, str]:
    """How a run stands, and why where it did not come to its end."""
    if run.run.kind != "measured" or not folder.is_measured:
        return run.run.kind, ""
    code = run.run.engine.get("exit_code")
    if code is not None:
        return "engine died", f"exit code {code}"
    mostly = next((level for level in run.levels if has_mostly_failed(level)), None)
    if mostly is not None:
        kind = str(mostly.extra.get("commonest_error") or "")
        load = load_text(mostly.users, mostly.req_per_s_offered)
        return "failed", f"most requests failed at {load}" + (f": {kind_of(kind).what}" if kind else "")
    if running:
        return "running", ""
    plan = folder.plan()
    is_open = plan.find_max or plan.auto or plan.is_replay
    broken_off = any(level.status == "interrupted" for level in run.levels)
    if broken_off or not run.levels or (not is_open and missing(plan, folder)):
        return "ended early", "not every level of its plan is measured"
    return "done", ""
