"""How much of what its hardware allows a run used, in one line."""

from collections.abc import Sequence
from typing import Final

from breakeven.metrics.summary import LevelSummary
from breakeven.say import share
from breakeven.units import load_text

_PARTS: Final = {
    "roofline_bandwidth_share": "{share} of the memory's bandwidth (MBU) at {load}",
    "roofline_compute_share": "{share} of the products (MFU) at {load}",
}


def roofline_line(levels: Sequence[LevelSummary]) -> str | None:
    """The most that any level used of each; None where model or card are not known."""
    told = []
    for name, text in _PARTS.items():
        known = [(level.extra[name], level) for level in levels if level.extra.get(name) is not None]
        if known:
            most, level = max(known, key=lambda one: one[0])
            told.append(text.format(share=share(most), load=load_text(level.users, level.req_per_s_offered)))
    of = next((level.extra["roofline_of"] for level in levels if "roofline_of" in level.extra), None)
    return f"used, at least: {', '.join(told)}; {of}" if told else None
