"""What a run says of recorded sessions: how many ended, and what of their prompts was shared and cached."""

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from breakeven.metrics.summary import LevelSummary, RunSummary
from breakeven.say import percent, share
from breakeven.units import S_PER_H, short_count, short_s


def session_lines(summary: RunSummary) -> RenderableType | None:
    """A line for each level in which sessions were played; None where there is none."""
    played = [level for level in summary.levels if "sessions" in level.extra]
    if not played:
        return None
    repeats = any(level.repeat for level in played)
    lines = [Padding(_line(level, repeats=repeats), (0, 0, 0, 1)) for level in played]
    return Group(Text("sessions", style="bold"), *lines, Text(""))


def _line(level: LevelSummary, *, repeats: bool) -> Text:
    load = "at their recorded times" if level.users is None else f"{level.users} at once"
    again = f", repeat {level.repeat + 1}" if repeats else ""
    return Text.assemble((f"{load}{again}: ", "bold"), "; ".join(_facts(level)))


def _facts(level: LevelSummary) -> list[str]:
    told, time = level.extra, level.of("session_s")
    failed = f", {told['sessions_failed']} failed" if told.get("sessions_failed") else ""
    found = [f"{told['sessions']} ended{failed}"]
    if time.mean is not None:
        found.append(f"{short_s(time.mean)} each on average")
    if told.get("good_session_share") is not None:
        per_h = told["goodput_sessions_per_s"] * S_PER_H
        rate = f", {short_count(per_h)} an hour" if per_h else ""
        found.append(f"{percent(told['good_session_share'], digits=0)} of them within the limits{rate}")
    if "shared_input_share" in told:
        found.append(f"{share(told['shared_input_share'])} of the prompts shared")
    if "cached_input_share" in told:
        found.append(f"{share(told['cached_input_share'])} from the engine's cache")
    return found
