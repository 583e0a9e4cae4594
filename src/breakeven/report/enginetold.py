"""What the engine told of its caches, its queue and its drafts, in one line."""

from collections.abc import Callable, Sequence
from typing import Final

from breakeven.metrics.summary import LevelSummary
from breakeven.say import share
from breakeven.units import load_text, short_count, short_rate

ENGINE_SHARES: Final = {
    "engine_kv_use_max_share": "KV cache",
    "engine_cache_hit_share": "prefix cache hits",
    "engine_accept_share": "drafts kept",
}
"""Shares that an engine tells, and what a table calls them."""


def engine_line(levels: Sequence[LevelSummary]) -> str | None:
    """The most of each over the levels, with the load; None where the engine told of none."""
    told = [most_of(levels, name, f"{head} {{}}", share) for name, head in ENGINE_SHARES.items()]
    told.append(most_of(levels, "engine_accept_length", "{} tokens a step by drafts", short_rate))
    told.append(most_of(levels, "engine_preemptions", "{} requests preempted", short_count))
    known = [one for one in told if one is not None]
    return f"the engine tells, at most: {', '.join(known)}" if known else None


def most_of(levels: Sequence[LevelSummary], name: str, text: str, say: Callable[[float], str]) -> str | None:
    """The most that any level has of it, with the load; None where none has."""
    known = [(level.extra[name], level) for level in levels if level.extra.get(name)]
    if not known:
        return None
    most, level = max(known, key=lambda one: one[0])
    return f"{text.format(say(most))} at {load_text(level.users, level.req_per_s_offered)}"
