"""The commands that read and write other tools' result files: import, export."""

import sys
from collections.abc import Sequence
from pathlib import Path

from breakeven.app.commands import console
from breakeven.app.runs import read_bytes, read_run, write_file
from breakeven.clock import wall_now
from breakeven.errors import RunFailedError
from breakeven.exchange import Imported, export_run, import_file, merge
from breakeven.metrics.summary import RunSummary
from breakeven.report.terminal import print_run
from breakeven.store.folder import RunFolder
from breakeven.store.kept import keep_summary
from breakeven.store.log import cannot_write
from breakeven.store.study import is_study


def import_files(paths: Sequence[Path], *, out: Path) -> int:
    """Make runs of other tools' files; several files of one sweep become one run."""
    found: list[Imported] = []
    for path in paths:
        found += import_file(read_bytes(path), where=str(path))
    runs = found if len(paths) == 1 else [merge(found)]
    sources: dict[str, bytes] = {}
    for number, path in enumerate(paths, 1):
        sources[f"{number}-{path.name}" if path.name in sources else path.name] = read_bytes(path)
    for imported in runs:
        label = f"{imported.tool}-{imported.run.run.model or imported.run.run.id}"
        folder, run = keep_summary(imported.run, out=out, label=label, started=wall_now(), sources=sources)
        print_run(console(sys.stdout), run, where=str(folder))
        for note in imported.notes:
            print(f"note: {note}")
    return 0


def export(path: Path, *, form: str, out: Path) -> int:
    """Write a run in another tool's format, one file a level; of a study each cell into a folder of its own."""
    if not is_study(path):
        return _export(read_run(path), RunFolder(path), form=form, out=out)
    from breakeven.app.study import StoredStudy

    study = StoredStudy(path)
    for name, run in study.runs().items():
        _export(run, study.folder.cell(name), form=form, out=out / name)
    return 0


def _export(run: RunSummary, folder: RunFolder | None, *, form: str, out: Path) -> int:
    levels = folder.levels() if folder is not None and folder.is_measured else ()
    files = export_run(run, form=form, levels=levels)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunFailedError(cannot_write(out, error)) from None
    for name, data in files.items():
        write_file(out / name, data)
        print(out / name)
    return 0
