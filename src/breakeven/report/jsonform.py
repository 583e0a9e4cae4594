"""The findings as JSON, format 2."""

import msgspec

from breakeven.errors import RunFailedError
from breakeven.findings import FORMAT, Findings


def to_json(found: Findings) -> str:
    """Every field; None is null, numbers with all their digits."""
    return msgspec.json.format(msgspec.json.encode(found), indent=1).decode() + "\n"


def from_json(text: str) -> Findings:
    """Read it back; RunFailedError where it is no findings of this format."""
    try:
        found = msgspec.json.decode(text, type=Findings)
    except msgspec.MsgspecError as error:
        raise RunFailedError(f"no findings of format {FORMAT}: {error}") from None
    if found.format != FORMAT:
        raise RunFailedError(f"findings of format {found.format}; this version reads format {FORMAT}")
    return found
