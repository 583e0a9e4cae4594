"""Runs that have a summary and no records: of another tool's files, or predicted."""

import datetime
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from breakeven.errors import RunFailedError
from breakeven.metrics.summary import RunSummary
from breakeven.store.folder import SUMMARY
from breakeven.store.held import new_folder
from breakeven.store.log import cannot_write, json_bytes, write_atomically

SOURCE: Final = "source"
"""Folder of the files that a summary was made of."""


def keep_summary(
    run: RunSummary, *, out: Path, label: str, started: datetime.datetime, sources: Mapping[str, bytes] = {}
) -> tuple[Path, RunSummary]:
    """A new folder with the summary and what it was made of, and the run with that folder's name.

    RunFailedError where the disk does not take it.
    """
    folder = new_folder(out, started=started, label=label)
    named = replace(run, run=replace(run.run, id=folder.name))
    try:
        for name, data in sources.items():
            (folder / SOURCE).mkdir(exist_ok=True)
            (folder / SOURCE / name).write_bytes(data)
        write_atomically(folder / SUMMARY, json_bytes(named, indent=1))
    except OSError as error:
        raise RunFailedError(cannot_write(folder, error)) from None
    return folder, named
