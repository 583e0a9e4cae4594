"""What a run says of its open loop: of every level, how much of what was due came back, and how late it was sent."""

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from breakeven.metrics.summary import LevelSummary, RunSummary
from breakeven.units import load_text, short_rate, short_s


def open_loop_lines(summary: RunSummary) -> RenderableType | None:
    """A line for each level of an open loop; None where there is none whose schedule was kept by us."""
    opened = [level for level in summary.levels if level.client.schedule_lag_p99_s is not None]
    if not opened:
        return None
    lines: list[RenderableType] = [Text("open loop", style="bold")]
    repeats = any(level.repeat for level in opened)
    lines += [Padding(_line(level, repeats=repeats), (0, 0, 0, 1)) for level in opened]
    return Group(*lines, Text(""))


def _line(level: LevelSummary, *, repeats: bool) -> Text:
    answered = level.req_per_s.value
    came = "nothing answered" if answered is None else f"{short_rate(answered)} req/s answered"
    load = load_text(None, level.req_per_s_offered, repeat=level.repeat if repeats else None)
    return Text.assemble(
        (f"{load}: ", "bold"),
        came,
        (" (saturated)", "yellow") if level.extra.get("saturated") else "",
        f", sent {short_s(level.client.schedule_lag_p99_s or 0.0)} late at p99",
    )
