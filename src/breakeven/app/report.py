"""`breakeven report`: runs and a scenario in, findings, and the forms that were asked for."""

import contextlib
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from breakeven.app.compare import compared
from breakeven.app.level import ANY_LEVEL, Level
from breakeven.app.prices import quotes
from breakeven.app.runs import STDOUT, read_run, write_out
from breakeven.app.study import StoredStudy
from breakeven.compare.types import Comparison
from breakeven.cost.inputs import Scenario
from breakeven.cost.presets import PRESETS, preset_text
from breakeven.cost.scenario import read_scenario
from breakeven.errors import UsageError, unknown
from breakeven.findings import Findings, LevelSeries, Prices, findings, throughput_series
from breakeven.findings.level import choose_level
from breakeven.findings.money import NO_PRICES
from breakeven.findings.study import StudyFindings
from breakeven.metrics.slo import ServiceLevel
from breakeven.metrics.summary import RunSummary
from breakeven.reference import DATA_SETS, find_run
from breakeven.report.sentence import answer_text, sure_text
from breakeven.report.studywords import best_text, ties_text
from breakeven.session.summary import summarise
from breakeven.store.folder import RunFolder, is_run
from breakeven.store.study import is_study
from breakeven.units import exact

MOST_CELLS: Final = 4
"""Cells of a study whose curves its report draws."""
_CALLED: Final = {
    "html": "page",
    "md": "Markdown",
    "csv": "CSV",
    "json": "JSON",
    "png": "pictures",
    "svg": "pictures",
    "pdf": "PDF",
}


class Loaded(NamedTuple):
    """A run as it was found, with its throughput over time where there are records."""

    run: RunSummary
    series: tuple[LevelSeries, ...] = ()


class Asked(Struct, frozen=True, kw_only=True):
    """What the options of `breakeven report` say."""

    runs: tuple[str, ...]
    scenarios: tuple[str, ...] = ()
    """Files or preset names: one for every candidate in turn, the last for those that follow."""
    overrides: tuple[str, ...] = ()
    ranges: str | None = None
    floors: tuple[float, ...] = ()
    slo: str | None = None
    title: str | None = None


def report(asked: Asked, *, forms: Mapping[str, str]) -> int:
    """Make the findings and write each form; a form is a name and where it goes (`-` is stdout)."""
    found = find(asked)
    for form, where in forms.items():
        write(found, form, where=where)
    to_stdout = STDOUT in forms.values()
    if not to_stdout:
        print("\n".join(_answer(found)))
    for form, where in forms.items():
        if where != STDOUT:
            print(f"{_CALLED[form]}: {where}", file=sys.stderr if to_stdout else sys.stdout)
    return 0


def _answer(found: Findings) -> list[str]:
    """The answer and how sure it is."""
    if found.study is not None:
        return [best_text(found.study), *filter(None, [ties_text(found.study)])]
    return [answer_text(found), sure_text(found)]


def find(asked: Asked) -> Findings:
    """Read the runs and the scenario, and work everything out; of a study its best cells stand for the runs."""
    level = Level(floors=asked.floors, slo=asked.slo)
    study = None
    if any(is_study(Path(text)) for text in asked.runs):
        if len(asked.runs) > 1:
            raise UsageError("report: a study is reported by itself; name single cells, STUDY/CELL, to compare them")
        loaded, study, level = best_cells(Path(asked.runs[0]), level)
    else:
        loaded = [load_run(text) for text in asked.runs]
    found = findings_of(
        loaded,
        level=level,
        prices=Prices(
            scenarios=tuple(load_scenario(text) for text in asked.scenarios),
            overrides=asked.overrides,
            ranges=asked.ranges,
            quotes=quotes(),
        ),
        title=asked.title,
        commands=[command(asked, loaded)],
    )
    return replace(found, study=study)


def best_cells(path: Path, level: Level) -> tuple[list[Loaded], StudyFindings, Level]:
    """The runs of its MOST_CELLS best cells, best first, what the study says, and at which service."""
    stored = StoredStudy(path)
    level = stored.level(level)
    study, runs = stored.findings(level), stored.runs()
    if not runs:
        raise UsageError(f"{path} has no measured cell yet; `breakeven run --resume {path}` goes on")
    sign = 1 if study.of == "usd_per_mtok" else -1
    best = sorted((cell for cell in study.cells if cell.figure.value), key=lambda cell: sign * (cell.figure.value or 0))
    names = [cell.name for cell in best[:MOST_CELLS] if cell.name in runs] or list(runs)[:1]
    return [Loaded(runs[name]) for name in names], study, level


def load_run(text: str) -> Loaded:
    """A run folder, a summary.json, a result file of another tool, or `nosana-2024:rtx4090` of a reference data set."""
    path = Path(text)
    if path.is_dir() and is_run(path):
        return load_folder(RunFolder(path))
    if path.is_file():
        return Loaded(read_run(path))
    data, colon, gpu = text.partition(":")
    if colon and data in DATA_SETS and not path.exists():
        return Loaded(find_run(gpu, data=data))
    RunFolder.open(path)
    raise AssertionError(path)


def load_folder(folder: RunFolder) -> Loaded:
    """A stored run; one that is still measured comes as far as it is."""
    series = [throughput_series(facts, records) for facts, records in folder.levels()]
    return Loaded(summarise(folder), tuple(one for one in series if one is not None))


def load_scenario(text: str) -> Scenario:
    """A scenario file, or a ready one by name."""
    path = Path(text)
    if text in PRESETS and not path.exists():
        return read_scenario(preset_text(text), where=text)
    try:
        return read_scenario(path.read_text(encoding="utf-8"), where=text)
    except FileNotFoundError:
        raise UsageError(f"{unknown('scenario', text, PRESETS)}, or give a TOML file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{text}: cannot be read as a scenario ({error})") from None


def findings_of(
    loaded: Sequence[Loaded],
    *,
    level: Level = ANY_LEVEL,
    prices: Prices = NO_PRICES,
    title: str | None = None,
    commands: Sequence[str] = (),
) -> Findings:
    """Compare, price and say. The first run is the reference, each of the others a candidate."""
    runs = [one.run for one in loaded]
    level = _at_own_limits(level, runs)
    comparisons, notes = _compared(runs, level)
    floors, slo = level.floors, level.limits()
    wanted = ServiceLevel(floor_tok_per_s_per_user=floors[len(floors) // 2]) if len(runs) == 1 and floors else None
    return findings(
        runs,
        comparisons=comparisons,
        service_level=wanted or choose_level(runs, comparisons, slo=slo),
        prices=prices,
        series=[one.series for one in loaded],
        notes=notes,
        commands=commands,
        title=title,
    )


def _at_own_limits(level: Level, runs: Sequence[RunSummary]) -> Level:
    """Where no service is asked for: the limits that all these runs were measured against."""
    own = {str(run.run.settings.get("slo") or "") for run in runs}
    if level.floors or level.slo is not None or len(own) != 1 or own == {""}:
        return level
    with contextlib.suppress(UsageError):  # limits of a summary that another version wrote
        return _with_limits(level, own.pop())
    return level


def _with_limits(level: Level, text: str) -> Level:
    known = replace(level, slo=text)
    known.limits()
    return known


def _compared(runs: Sequence[RunSummary], level: Level) -> tuple[tuple[Comparison, ...], list[str]]:
    """The others held against the first; a note where that cannot be, as for open loops."""
    if len(runs) < 2:
        return (), []
    units = {run.run.settings.get("unit", "tokens") for run in runs}
    try:
        return compared(runs[0], runs[1:], level), []
    except UsageError as error:
        if level.floors or len(units) > 1:
            raise
        return (), [f"The runs are shown side by side and not compared: {error}"]


def command(asked: Asked, loaded: Sequence[Loaded]) -> str:
    """How to make the report again; runs and scenarios by their names, without the folders of this machine."""
    import shlex

    words = ["breakeven", "report", *(_name(text, one) for text, one in zip(asked.runs, loaded, strict=False))]
    for text in asked.scenarios:
        words += ["--scenario", Path(text).name]
    for text in asked.overrides:
        words += ["--set", text]
    words += ["--ranges", asked.ranges] if asked.ranges else []
    words += ["--floor", ",".join(map(exact, asked.floors))] if asked.floors else []
    words += ["--slo", asked.slo] if asked.slo else []
    return " ".join(shlex.quote(word) for word in [*words, "--html", "report.html"])


def _name(text: str, loaded: Loaded) -> str:
    if is_study(Path(text)):
        return f"runs/{Path(text).resolve().name}"
    return f"runs/{loaded.run.run.id}" if is_run(Path(text)) else Path(text).name


def write(found: Findings, form: str, *, where: str) -> None:
    """One form into a file, a folder (png, svg) or stdout; RunFailedError where the disk does not take it."""
    if form in ("png", "svg", "pdf"):
        _drawn(found, form, Path(where))
        return
    write_out(_maker(form)(found).encode(), where)


def _drawn(found: Findings, form: str, where: Path) -> None:
    """What a browser makes of the page."""
    from breakeven.report.html import to_html
    from breakeven.report.pictures import write_pdf, write_pictures

    if form == "pdf":
        write_pdf(to_html(found), where)
    else:
        write_pictures(to_html(found), where, form="png" if form == "png" else "svg")


def _maker(form: str) -> Callable[[Findings], str]:
    from breakeven.report.csvform import to_csv
    from breakeven.report.html import to_html
    from breakeven.report.jsonform import to_json
    from breakeven.report.markdown import to_markdown

    return {"html": to_html, "md": to_markdown, "csv": to_csv, "json": to_json}[form]
