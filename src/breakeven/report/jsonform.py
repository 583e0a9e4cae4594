"""The findings as JSON, format 2."""

import msgspec

from breakeven.findings import Findings


def to_json(found: Findings) -> str:
    """Every field; None is null, numbers with all their digits."""
    return msgspec.json.format(msgspec.json.encode(found), indent=1).decode() + "\n"
