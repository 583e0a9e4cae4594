"""The commands that read and write other tools' result files: import, export."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from breakeven.app.commands import console
from breakeven.app.runs import read_bytes, read_run, write_file
from breakeven.clock import wall_now
from breakeven.errors import RunFailedError, UsageError, unknown
from breakeven.exchange import EXPORTERS, SENDERS, Imported, export_run, import_file, merge, send_run
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


def export(path: Path, *, form: str, to: str | None) -> int:
    """Write a run in another form into the folder `to`, or send it to the server there; of a study each cell."""
    if form not in EXPORTERS | SENDERS:
        raise UsageError(unknown("format", form, [*EXPORTERS, *SENDERS]))
    is_address = "://" in (to or "")
    if form in SENDERS and not is_address:
        raise UsageError(f"--as {form} is sent to a server: give its address, such as --to http://127.0.0.1:4318")
    if form in EXPORTERS and is_address:
        raise UsageError(f"--as {form} is written into a folder, and {to} is an address")
    for name, run, folder in _runs(path):
        levels = folder.levels() if folder is not None and folder.is_measured else ()
        if form in SENDERS:
            print(send_run(run, levels, form=form, to=to or ""))
        else:
            _write(export_run(run, form=form, levels=levels), Path(to or "") / name)
    return 0


def _runs(path: Path) -> Iterator[tuple[str, RunSummary, RunFolder | None]]:
    """The run of a folder or summary, or a study's, each with the folder that its files go to."""
    if not is_study(path):
        yield "", read_run(path), RunFolder(path)
        return
    from breakeven.app.study import StoredStudy

    study = StoredStudy(path)
    for name, run in study.runs().items():
        yield name, run, study.folder.cell(name)


def _write(files: Mapping[str, bytes], out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunFailedError(cannot_write(out, error)) from None
    for name, data in files.items():
        write_file(out / name, data)
        print(out / name)
