"""Finds the line of a TOML file that a key stands in, which the parser does not tell."""

import re
from collections.abc import Iterator, Sequence
from typing import Final

Path = tuple[str | int, ...]
"""Tables and their numbers, as `("engines", 1, "settings")`."""
_HEADER: Final = re.compile(r"\s*(\[\[?)\s*([^\[\]]+?)\s*\]\]?\s*(?:#.*)?")


def line_of(text: str, *, table: Path, key: str) -> int | None:
    """Number of the line that gives `key` in `table`; else of the table's header; None where neither is found."""
    best: tuple[int, int] | None = None
    for number, place, line in _placed(text):
        if place == (*table, key):
            return number
        if place != table[: len(place)]:
            continue
        rest = [str(part) for part in table[len(place) :] if isinstance(part, str)]
        if all(_names(line, word) for word in (*rest, key)):
            return number
        if _HEADER.fullmatch(line) and (best is None or len(place) > best[0]):
            best = (len(place), number)
    return None if best is None else best[1]


def _names(line: str, word: str) -> bool:
    """The line gives something of that name a value."""
    return re.search(rf"""(^|[\s{{,.])["']?{re.escape(word)}["']?\s*[=.]""", line) is not None


def _placed(text: str) -> Iterator[tuple[int, Path, str]]:
    """Every line that is no comment, with its number and the table it is in."""
    place: Path = ()
    counts: dict[Path, int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith("#"):
            continue
        header = _HEADER.fullmatch(line)
        if header is not None:
            words = [word.strip().strip("\"'") for word in header[2].split(".")]
            place = (*_numbered(words[:-1], counts), words[-1])
            if header[1] == "[[":
                counts[place] = counts.get(place, -1) + 1
                place = (*place, counts[place])
        yield number, place, line


def _numbered(words: Sequence[str], counts: dict[Path, int]) -> Path:
    """The path of a header's outer tables, with the number of the latest of each."""
    place: Path = ()
    for word in words:
        place = (*place, word)
        if place in counts:
            place = (*place, counts[place])
    return place
