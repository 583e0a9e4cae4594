"""The commands over a set of results: fleet import, fleet leaderboard, fleet publish."""

from collections.abc import Sequence
from pathlib import Path

from breakeven.clock import wall_now
from breakeven.errors import UsageError
from breakeven.fleet.intake import take_in
from breakeven.fleet.intake_text import intake_text


def import_results(sources: Sequence[Path], *, into: str, given: Sequence[str]) -> int:
    """Take CSVs and folders of jobs into a set, and print what became of every job."""
    missing = next((source for source in sources if not source.exists()), None)
    if missing is not None:
        raise UsageError(f"{missing}: no such file or folder")
    for source in sources:
        print(intake_text(take_in(source, into=into, given=tuple(given), now_s=wall_now().timestamp()), into=into))
    return 0
