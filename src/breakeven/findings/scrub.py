"""No path of the user's machine and no secret leaves in a report: they are taken out of every text."""

import re
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import msgspec

from breakeven.errors import one_line
from breakeven.hidden import HIDDEN, hidden, hidden_words, is_secret_name

T = TypeVar("T", bound=msgspec.Struct)

LONGEST_TEXT: Final = 2000
_URL: Final = re.compile(r"https?://[^\s\"'<>)\]]+")
_POSIX: Final = re.compile(r"(?<![\w./…)\]-])(?:~|(?!/v1/))/(?!/)(?:[^\s/'\":,;()<>]+/)+([^\s/'\":,;()<>]*)")
_WINDOWS: Final = re.compile(r"(?<![\w])[A-Za-z]:\\(?:[^\\\s'\":,;]+\\)*([^\\\s'\":,;]*)")


def scrubbed(value: T) -> T:
    """The same struct with every text in it cleaned; numbers stay as they are."""
    return msgspec.convert(_walk(msgspec.to_builtins(value)), type(value))


def clean(text: str) -> str:
    """One line without control characters, paths, addresses' users and queries, and without what looks like a key."""
    found = one_line(text, limit=LONGEST_TEXT)
    found = _URL.sub(lambda match: bare_url(match[0]), found)
    found = hidden(found)
    found = _POSIX.sub(r"…/\1", found)
    return _WINDOWS.sub(r"…/\1", found)


def bare_url(url: str) -> str:
    """An address without user, password, query and fragment."""
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return HIDDEN
    return f"{parts.scheme}://{parts.hostname or ''}{port}{parts.path}"


def _walk(value: Any, key: str = "") -> Any:
    if isinstance(value, str):
        return HIDDEN if is_secret_name(key) and value else clean(value)
    if isinstance(value, dict):
        return {clean(str(name)): _walk(item, str(name)) for name, item in value.items()}
    if isinstance(value, list | tuple):
        words = iter(hidden_words(item for item in value if isinstance(item, str)))
        return [clean(next(words)) if isinstance(item, str) else _walk(item, key) for item in value]
    return value
