"""What looks like a secret, and how it is hidden: one place for names, options, keys and addresses."""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

HIDDEN: Final = "(hidden)"
_NAME: Final = re.compile(
    r"(?:^|[^a-z])(?:token|secrets?|pass|passwords?|passwd|passphrase|pwd|credentials?|authorization|cookie|sig|signature)$"
    r"|[^a-z]keys?$|(?:api|access|auth|hf)(?:keys?|token)$",
    re.IGNORECASE,
)
_NO_SECRET: Final = re.compile(r"[_-]env$|per[_-]token$", re.IGNORECASE)
"""`--api-key-env` is followed by the name of a variable, `usd_per_token` by a number."""
_KEY: Final = re.compile(
    r"\bsk-(?=[\w-]{0,200}\d)[\w-]{8,}|\b(?:hf_|ghp_|gho_|gsk_)[A-Za-z0-9]{16,}"
    r"|\b(?:github_pat_|glpat-|nvapi-|xai-|xox[abp]-|AKIA|AIza)[\w-]{8,}"
    r"|(?<![\w-])eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*|\b[Bb]earer\s+[\w.~+/-]{8,}=*"
)
"""Keys by how their makers let them begin. What a pattern looks ahead is bounded, so time is linear in the text."""
_ASSIGNED: Final = re.compile(
    r"((?:api[_-]?key|secret|password|passwd|[_-]token|(?<![a-z])token)"
    r"(?:[\"']?\s*[=:]\s*[\"']|\s*=\s*|\s*:\s*(?=\S{0,200}\d)(?=\S{8})))(?!\(hidden\))[^\s,;&\"'}]+",
    re.IGNORECASE,
)
"""What is given to a secret's name: by `=`, in quotation marks, or after a colon where it looks like no word."""
_USER: Final = re.compile(r"(\b[a-z][a-z0-9+.-]{0,30}://)[^\s/@\"']+@", re.IGNORECASE)
"""User and password of an address."""


def is_secret_name(name: str) -> bool:
    """An option, variable or field of that name holds something that must not be written down."""
    return _NAME.search(name) is not None and _NO_SECRET.search(name) is None


def hidden(text: str) -> str:
    """A text without what looks like a key, the value given to a secret's name, and the user of an address."""
    found = _USER.sub(rf"\g<1>{HIDDEN}@", text)
    return _ASSIGNED.sub(rf"\g<1>{HIDDEN}", _KEY.sub(HIDDEN, found))


def holds_key(text: str) -> bool:
    """It holds what begins as keys do, or an address with a user: more than the name of a secret."""
    return _KEY.search(text) is not None or _USER.search(text) is not None


def hidden_words(words: Iterable[str]) -> list[str]:
    """A command line without the values of options named like a secret: all words up to the next option."""
    kept: list[str] = []
    hide = False
    for word in words:
        hide = hide and not word.startswith("-")
        name, equals, _ = word.partition("=")
        is_secret = is_secret_name(name)
        kept.append(HIDDEN if hide else f"{name}={HIDDEN}" if is_secret and equals else hidden(word))
        hide = hide or (is_secret and word.startswith("-") and not equals)
    return kept


def secret_among(words: Sequence[str]) -> str | None:
    """The name of the first word that is, or gives, a secret; None where there is none. The secret is not in it."""
    for number, word in enumerate(words):
        name, equals, value = word.partition("=")
        is_option = name.startswith("-") and is_secret_name(name)
        given = bool(value) if equals else is_option and number + 1 < len(words)
        if given and (is_option or is_secret_name(name)):
            return name
        if hidden(word) != word:
            return hidden(name) if equals else f"a word like {hidden(word)}"
    return None


def secrets_in(value: object, *, name: str = "") -> Iterator[str]:
    """Where in nested tables and lists something looks like a secret, by its name alone."""
    if isinstance(value, str):
        if (value and is_secret_name(name)) or hidden(value) != value:
            yield name
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from secrets_in(item, name=str(key))
    elif isinstance(value, list | tuple):
        words = [item for item in value if isinstance(item, str)]
        if (found := secret_among(words)) is not None:
            yield f"{name}: {found}"
        for item in value:
            if not isinstance(item, str):
                yield from secrets_in(item, name=name)
