"""The commands over a set of results: fleet import, fleet leaderboard, fleet publish."""

import os
from collections.abc import Sequence
from pathlib import Path

from breakeven.app.runs import STDOUT, write_file, write_out
from breakeven.clock import wall_now
from breakeven.errors import RunFailedError, UsageError, one_line
from breakeven.fleet.board_table import board_csv
from breakeven.fleet.board_text import board_text
from breakeven.fleet.checked import SMALL_PROOF
from breakeven.fleet.intake import take_in
from breakeven.fleet.intake_text import intake_text
from breakeven.fleet.leaderboard import Asked, leaderboard
from breakeven.fleet.proof import LARGEST_SIZE
from breakeven.fleet.publish import FEWEST_NODES, KEY_VARIABLE, published
from breakeven.fleet.store import read_set


def import_results(sources: Sequence[Path], *, into: str, given: Sequence[str], check_proofs: bool) -> int:
    """Take CSVs and folders of jobs into a set, and print what became of every job."""
    missing = next((source for source in sources if not source.exists()), None)
    if missing is not None:
        raise UsageError(f"{missing}: no such file or folder")
    for source in sources:
        found = take_in(
            source,
            into=into,
            given=tuple(given),
            now_s=wall_now().timestamp(),
            largest_proof=LARGEST_SIZE if check_proofs else SMALL_PROOF,
        )
        print(intake_text(found, into=into))
    return 0


def show_leaderboard(address: str, asked: Asked, *, top: int, csv_to: str | None, html_to: str | None) -> int:
    """Rank the nodes of a set: in the terminal, as CSV, as a page."""
    rows = read_set(address)
    board = leaderboard(rows, asked)
    text = board_text(board, top=top)
    if csv_to != STDOUT:
        print(text)
    if csv_to is not None:
        write_out(board_csv(board).encode(), csv_to)
    if html_to is not None:
        from breakeven.fleet.board_page import board_page

        write_file(Path(html_to), board_page(board, rows, title="Leaderboard").encode())
    return 0


def publish(address: str, *, out: Path, licence: str, title: str, records: bool) -> int:
    """Write an anonymised data set with its card into a new folder."""
    if not licence.strip():
        raise UsageError("--licence: say under which licence the data may be used, such as CC-BY-4.0")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"--out {out}: is there already; name a new folder")
    key = os.environ.get(KEY_VARIABLE) or None
    day = f"{wall_now():%Y-%m-%d}"
    found = published(
        read_set(address), licence=one_line(licence), title=one_line(title), day=day, records=records, key=key
    )
    if not found.groups:
        raise RunFailedError(f"{address}: no group has {FEWEST_NODES} nodes, so nothing can be told without naming one")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunFailedError(f"{out}: {error.strerror}") from None
    for name, data in found.files.items():
        write_file(out / name, data)
    print(f"{out}: {found.nodes:,} nodes, {found.jobs:,} jobs, {found.groups:,} groups")
    print(
        f"  left out: {found.left_out_groups} groups of fewer than {FEWEST_NODES} nodes "
        f"({found.left_out_nodes:,} nodes), {found.left_out_jobs:,} jobs of those groups or without any rate"
    )
    print(f"  files: {', '.join(found.files)}")
    if records:
        print("  whoever has the same results with names knows each node of the records by its figures")
    return 0
