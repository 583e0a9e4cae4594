"""Reads a stored summary, of this format or of format 1."""

from typing import Any, Final

import msgspec

from breakeven.errors import UsageError
from breakeven.metrics.summary import FORMAT, RunSummary

_DISTRIBUTIONS: Final = ("ttft_s", "tpot_s", "itl_s", "e2e_s", "tok_per_s_per_user", "connect_s")
"""Of format 1, where each was a field of its level."""


def decode_summary(data: bytes) -> RunSummary:
    """The summary in a JSON file; msgspec's DecodeError for what is none, UsageError for a format yet to come."""
    stored = msgspec.json.decode(data)
    if isinstance(stored, dict) and stored.get("format") == 1:
        stored = _upgraded(stored)
    if isinstance(stored, dict) and isinstance(stored.get("format"), int) and stored["format"] != FORMAT:
        raise UsageError(f"a summary of format {stored['format']}; this version reads formats 1 and {FORMAT}")
    return msgspec.convert(stored, RunSummary)


def _upgraded(stored: dict[str, Any]) -> dict[str, Any]:
    """Format 1 as format 2: a level's distributions in one table, its cautions as sentences without slots."""
    levels = stored.get("levels")
    if not isinstance(levels, list):
        return stored
    return stored | {"format": FORMAT, "levels": [_level(one) for one in levels]}


def _level(level: Any) -> Any:
    if not isinstance(level, dict):
        return level
    kept = {name: value for name, value in level.items() if name not in _DISTRIBUTIONS}
    return kept | {
        "distributions": {name: level[name] for name in _DISTRIBUTIONS if name in level},
        "cautions": [
            {"id": one["id"], "seen": one["text"], "advice": one["remedy"]} for one in level.get("cautions", ())
        ],
    }
