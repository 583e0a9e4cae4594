"""Writes YAML that people can read: block style, and every text in quotes that could be anything else."""

import json
import re
from collections.abc import Iterator
from typing import Any, Final

_PLAIN: Final = re.compile(r"[A-Za-z][A-Za-z0-9_./-]*(:[A-Za-z0-9_./-]+)*")
_NOT_TEXT: Final = frozenset({"true", "false", "yes", "no", "on", "off", "null", "y", "n"})


def to_yaml(value: Any) -> str:
    """Tables, lists, texts, numbers, booleans and None as YAML 1.1 and 1.2 read it alike."""
    return "\n".join(_lines(value)) + "\n"


def _lines(value: Any) -> Iterator[str]:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _under(f"{_scalar(key)}:", inner, is_item=False)
    elif isinstance(value, list | tuple) and value:
        for inner in value:
            yield from _under("-", inner, is_item=True)
    else:
        yield _scalar(value)


def _under(head: str, value: Any, *, is_item: bool) -> Iterator[str]:
    if isinstance(value, str) and "\n" in value and _is_block(value):
        yield f"{head} |"
        yield from (f"  {line}" if line else "" for line in value.removesuffix("\n").split("\n"))
    elif isinstance(value, dict | list | tuple) and value:
        lines = list(_lines(value))
        if is_item:
            yield f"{head} {lines[0]}"
            lines = lines[1:]
        else:
            yield head
        yield from (f"  {line}" if line else "" for line in lines)
    else:
        yield f"{head} {_scalar(value)}"


def _is_block(text: str) -> bool:
    """A literal block holds it as it is: it ends in one line feed, begins without a space, and has nothing odd."""
    return (
        text.endswith("\n")
        and not text.endswith("\n\n")
        and not text.startswith((" ", "\n"))
        and all(line.isprintable() for line in text.split("\n"))
    )


def _scalar(value: Any) -> str:
    if isinstance(value, dict):
        return "{}"
    if isinstance(value, list | tuple):
        return "[]"
    if isinstance(value, str) and _PLAIN.fullmatch(value) and value.lower() not in _NOT_TEXT:
        return value
    return json.dumps(value, ensure_ascii=True)
