"""What a level of recorded sessions says: how many ended, and what of their prompts was shared and cached."""

from collections.abc import Iterator

from breakeven.metrics.summary import LevelSummary
from breakeven.say import percent, share
from breakeven.table import Styled
from breakeven.units import S_PER_H, short_count, short_s


def session_line(level: LevelSummary) -> list[Styled] | None:
    """None where no sessions were played."""
    return [Styled("; ".join(_facts(level)))] if "sessions" in level.extra else None


def _facts(level: LevelSummary) -> Iterator[str]:
    told, time = level.extra, level.of("session_s")
    failed = f", {told['sessions_failed']} failed" if told.get("sessions_failed") else ""
    yield f"{told['sessions']} ended{failed}" + (", begun at their recorded times" if level.users is None else "")
    if time.mean is not None:
        yield f"{short_s(time.mean)} each on average"
    if told.get("good_session_share") is not None:
        per_h = told["goodput_sessions_per_s"] * S_PER_H
        rate = f", {short_count(per_h)} an hour" if per_h else ""
        yield f"{percent(told['good_session_share'], digits=0)} of them within the limits{rate}"
    if "shared_input_share" in told:
        yield f"{share(told['shared_input_share'])} of the prompts shared"
    if "cached_input_share" in told:
        yield f"{share(told['cached_input_share'])} from the engine's cache"
