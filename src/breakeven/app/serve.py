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
from breakeven.app.report import best_cells, findings_of, load_folder, load_scenario
from breakeven.app.runs import readable
from breakeven.cost.inputs import Scenario
from breakeven.errors import RunFailedError, UsageError
from breakeven.findings import Prices, names, throughput_series
from breakeven.findings.scrub import clean, scrubbed
from breakeven.report.html import to_html
from breakeven.report.pagedata import series_data
from breakeven.report.server import Source, make_server
from breakeven.session.summary import fresh_summary
from breakeven.store.folder import RECORDS, RunFolder, find_runs
from breakeven.store.study import StudyFolder, find_studies
from breakeven.units import load_text

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
        return Source(runs=self.runs, report=self.report, live=self.live)

    def runs(self) -> list[dict[str, Any]]:
        """A line for each run, newest first, and for each study."""
        rows = [self._row(folder) for folder in find_runs(self._out)]
        rows += [self._study_row(folder) for folder in find_studies(self._out)]
        return sorted(rows, key=lambda row: str(row["id"]), reverse=True)

    def _study_row(self, folder: StudyFolder) -> dict[str, Any]:
        rows = [self._row(cell) for cell in folder.begun()]
        known = dict.fromkeys(("hardware", "model"))
        return {
            **known,
            "id": folder.path.name,
            "error": None,
            "engine": f"study, {len(rows)} cells",
            "levels": sum(row["levels"] or 0 for row in rows),
            "best": max((row["best"] for row in rows if row["best"] is not None), default=None),
            "running": any(row["running"] for row in rows),
        }

    def _study(self, path: Path, ids: Sequence[str]) -> str:
        """The page of a study."""
        if len(ids) > 1:
            raise UsageError("a study has a page by itself; pick runs to compare them")
        level = Level(floors=tuple(self._floors), slo=self._slo)
        loaded, study = best_cells(path, level)
        return to_html(replace(findings_of(loaded, level=level, prices=Prices(quotes=quotes())), study=study))

    def report(self, ids: Sequence[str]) -> str:
        """The page of some runs."""
        studies = [study for study in find_studies(self._out) if study.path.name in ids]
        if studies:
            return self._study(studies[0].path, ids)
        loaded = [load_folder(self._folder(name)) for name in ids]
        scenarios = self._scenarios if len(ids) == 1 or all(one.reference for one in self._scenarios) else ()
        prices = Prices(scenarios=tuple(scenarios), quotes=quotes())
        return to_html(findings_of(loaded, level=Level(floors=tuple(self._floors), slo=self._slo), prices=prices))

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
            now = f"{load}: {state}, {records} answers so far; {len(found) - 1} levels done"
        unit = "tok"
        return {"id": folder.id, "now": now, "unit": unit, "series": series}

    def _folder(self, name: str) -> RunFolder:
        """A run of this folder by its name, and nothing else on the disk."""
        for folder in find_runs(self._out):
            if folder.id == name:
                return folder
        raise UsageError("no run of that name is here")

    def _row(self, folder: RunFolder) -> dict[str, Any]:
        stamp = _stamp(folder)
        running = _is_running(folder)
        key = str(folder.path)
        known = self._rows.get(key)
        if known is None or known[0] != stamp:
            known = (stamp, _about(folder))
            self._rows[key] = known
        return {**known[1], "running": running}


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


def _about(folder: RunFolder) -> dict[str, Any]:
    run = readable(folder, lambda folder: scrubbed(fresh_summary(folder)))
    if isinstance(run, str):
        unknown = dict.fromkeys(("hardware", "engine", "model", "levels", "best"))
        return {"id": folder.id, "error": clean(run), **unknown}
    speeds = [level.output_tok_per_s.value for level in run.levels if level.output_tok_per_s.value is not None]
    return {
        "id": folder.id,
        "error": None,
        "hardware": names.hardware(run.run.host),
        "engine": names.engine(run.run.engine, version=True),
        "model": run.run.model,
        "levels": sum(level.status == "done" for level in run.levels),
        "best": max(speeds, default=None),
    }
