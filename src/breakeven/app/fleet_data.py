"""The commands over a set of results: fleet import, fleet leaderboard, fleet publish."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from breakeven.app.runs import write_file
from breakeven.clock import wall_now
from breakeven.errors import UsageError
from breakeven.fleet.board_table import board_csv
from breakeven.fleet.board_text import board_text
from breakeven.fleet.intake import take_in
from breakeven.fleet.intake_text import intake_text
from breakeven.fleet.leaderboard import Asked, leaderboard
from breakeven.fleet.store import read_set

STDOUT: Final = "-"


def import_results(sources: Sequence[Path], *, into: str, given: Sequence[str]) -> int:
    """Take CSVs and folders of jobs into a set, and print what became of every job."""
    missing = next((source for source in sources if not source.exists()), None)
    if missing is not None:
        raise UsageError(f"{missing}: no such file or folder")
    for source in sources:
        print(intake_text(take_in(source, into=into, given=tuple(given), now_s=wall_now().timestamp()), into=into))
    return 0


def show_leaderboard(address: str, asked: Asked, *, top: int, csv_to: str | None, html_to: str | None) -> int:
    """Rank the nodes of a set: in the terminal, as CSV, as a page."""
    rows = read_set(address)
    board = leaderboard(rows, asked)
    text = board_text(board, top=top)
    if csv_to == STDOUT:
        sys.stdout.write(board_csv(board))
    else:
        print(text)
    if csv_to is not None and csv_to != STDOUT:
        write_file(Path(csv_to), board_csv(board).encode())
    if html_to is not None:
        from breakeven.fleet.board_page import board_page

        write_file(Path(html_to), board_page(board, rows, title="Leaderboard").encode())
    return 0
