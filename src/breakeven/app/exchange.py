"""The commands that read and write other tools' result files: import, export."""

import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from breakeven.app.commands import console
from breakeven.app.runs import SOURCE, read_bytes, read_run, write_file
from breakeven.clock import wall_now
from breakeven.errors import RunFailedError
from breakeven.exchange import Imported, export_run, import_file, merge
from breakeven.report.terminal import print_run
from breakeven.store.folder import SUMMARY, slug
from breakeven.store.log import cannot_write, write_atomically


def import_files(paths: Sequence[Path], *, out: Path) -> int:
    """Make runs of other tools' files; several files of one sweep become one run."""
    found: list[Imported] = []
    for path in paths:
        found += import_file(read_bytes(path), where=str(path))
    runs = found if len(paths) == 1 else [merge(found)]
    for imported in runs:
        folder = _keep(imported, paths, out=out)
        print_run(console(sys.stdout), imported.run, where=str(folder))
        for note in imported.notes:
            print(f"note: {note}")
    return 0


def _keep(imported: Imported, paths: Sequence[Path], *, out: Path) -> Path:
    """A folder with the summary and the files that it came from."""
    stem = f"{wall_now():%Y-%m-%dT%H%M}-{slug(f'{imported.tool}-{imported.run.run.model or imported.run.run.id}')}"
    folder = next(path for number in range(1, 1000) if not (path := _numbered(out / stem, number)).exists())
    try:
        (folder / SOURCE).mkdir(parents=True)
    except OSError as error:
        raise RunFailedError(cannot_write(folder, error)) from None
    for number, path in enumerate(paths):
        is_second = path.name in {earlier.name for earlier in paths[:number]}
        write_file(folder / SOURCE / (f"{number + 1}-{path.name}" if is_second else path.name), read_bytes(path))
    run = msgspec.structs.replace(imported.run, run=msgspec.structs.replace(imported.run.run, id=folder.name))
    write_atomically(folder / SUMMARY, msgspec.json.format(msgspec.json.encode(run), indent=1) + b"\n")
    return folder


def _numbered(path: Path, number: int) -> Path:
    return path if number == 1 else path.with_name(f"{path.name}-{number}")


def export(path: Path, *, form: str, out: Path) -> int:
    """Write a run in another tool's format, one file a level."""
    files = export_run(read_run(path), form=form)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunFailedError(cannot_write(out, error)) from None
    for name, data in files.items():
        write_file(out / name, data)
        print(out / name)
    return 0
