"""How much of what its hardware allows a run used, in one line."""

from collections.abc import Sequence

from breakeven.metrics.summary import LevelSummary
from breakeven.report.enginetold import most_of
from breakeven.say import share


def roofline_line(levels: Sequence[LevelSummary]) -> str | None:
    """The most that any level used of each; None where model or card are not known."""
    told = (
        most_of(levels, "roofline_bandwidth_share", "{} of the memory's bandwidth (MBU)", share),
        most_of(levels, "roofline_compute_share", "{} of the products (MFU)", share),
    )
    of = next((level.extra["roofline_of"] for level in levels if "roofline_of" in level.extra), None)
    return f"used, at least: {', '.join(filter(None, told))}; {of}" if any(told) else None
