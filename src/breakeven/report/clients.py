"""Where the clients of a run were, and how well their clocks could be compared."""

from collections.abc import Sequence

from breakeven.metrics.summary import LevelSummary
from breakeven.units import short_s


def clients_line(levels: Sequence[LevelSummary]) -> str | None:
    """One line for a run whose clients were on a cluster; None for clients of this machine."""
    known = [level.extra for level in levels if level.extra.get("client_nodes")]
    if not known:
        return None
    nodes = max(int(extra["client_nodes"]) for extra in known)
    offset, doubt, drift = (
        max(float(extra.get(name) or 0.0) for extra in known)
        for name in ("clock_offset_s", "clock_doubt_s", "clock_drift_s")
    )
    return (
        f"clients on {nodes} node{'' if nodes == 1 else 's'}: clocks differ from ours by up to {short_s(offset)}, "
        f"known to {short_s(doubt)}, drifted by {short_s(drift)} in a level at most; arrivals are aligned by that"
    )
