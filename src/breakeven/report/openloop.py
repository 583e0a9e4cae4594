"""What a level of an open loop says: how much of what was due came back, and how late it was sent."""

from breakeven.metrics.summary import LevelSummary
from breakeven.table import Styled
from breakeven.units import short_rate, short_s


def open_loop_line(level: LevelSummary) -> list[Styled] | None:
    """None where the schedule was not kept by us."""
    late_s = level.client.schedule_lag_p99_s
    if late_s is None:
        return None
    answered = level.req_per_s.value
    came = "nothing answered" if answered is None else f"{short_rate(answered)} req/s answered"
    saturated = Styled(" (saturated)" if level.extra.get("saturated") else "", "yellow")
    return [Styled(came), saturated, Styled(f", sent {short_s(late_s)} late at p99")]
