"""No path of the user's machine and no secret leaves in a report: they are taken out of every text."""

import re
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import msgspec

from breakeven.errors import one_line

T = TypeVar("T", bound=msgspec.Struct)

HIDDEN: Final = "(hidden)"
LONGEST_TEXT: Final = 2000
_SECRET_KEY: Final = re.compile(
    r"(api[_-]?key|token|secret|passwd|password|authorization|credential)s?$", re.IGNORECASE
)
_NOT_SECRET: Final = re.compile(
    r"(_env$|tok(en)?s?_(per|from)|(input|output|cached|prompt|batch|context|max)[_a-z]*tokens$|^tokens$)"
)
_SECRET_FLAG: Final = re.compile(r"--?[\w-]*(api[_-]?key|token|secret|password)", re.IGNORECASE)
_KEY_TEXT: Final = re.compile(
    r"\b(sk-|hf_|ghp_|gho_|github_pat_|nvapi-|xox[abp]-|AKIA)[A-Za-z0-9_-]{8,}|\b[Bb]earer\s+[\w.~+/-]{8,}=*"
)
_ASSIGNED: Final = re.compile(
    r"((?:api[_-]?key|secret|password|passwd|(?<![a-z])token)\s*[=:]\s*)[^\s,;&]+", re.IGNORECASE
)
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
    found = _KEY_TEXT.sub(HIDDEN, found)
    found = _ASSIGNED.sub(rf"\g<1>{HIDDEN}", found)
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
        return HIDDEN if _is_secret(key) and value else clean(value)
    if isinstance(value, dict):
        return {clean(str(name)): _walk(item, str(name)) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return _words(value, key)
    return value


def _words(values: list[Any] | tuple[Any, ...], key: str) -> list[Any]:
    """A list; in a command line, the word after `--api-key` is hidden."""
    found: list[Any] = []
    hide = False
    for value in values:
        if isinstance(value, str) and hide:
            found.append(HIDDEN)
            hide = False
            continue
        found.append(_flag(value) if isinstance(value, str) else _walk(value, key))
        hide = isinstance(value, str) and _is_open_flag(value)
    return found


def _flag(word: str) -> str:
    flag, equals, _ = word.partition("=")
    return f"{flag}={HIDDEN}" if equals and _is_open_flag(flag) else clean(word)


def _is_open_flag(word: str) -> bool:
    return bool(_SECRET_FLAG.fullmatch(word)) and not word.endswith("-env")


def _is_secret(key: str) -> bool:
    return bool(_SECRET_KEY.search(key)) and not _NOT_SECRET.search(key)
