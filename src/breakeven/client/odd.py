"""What servers say in another form than the OpenAI API's, read as far as it can be: no text is lost for a bad count."""

import json
import math
from typing import Any, Final, NamedTuple

import msgspec
from msgspec import Struct

from breakeven.client.openai import (
    BAD_JSON,
    Choice,
    Delta,
    Event,
    OutputDetails,
    PromptDetails,
    Told,
    Usage,
    decode_told,
)

_MOST: Final = 2**32 - 1
_LONGEST_NUMBER: Final = 20
_REASONING: Final = ("thinking", "reasoning")
"""Kinds of content parts, and the fields of their text."""
_DEEPEST: Final = 8
"""Lists within lists are followed so far."""


class _RareChoice(Struct, gc=False):
    delta: Any = None
    message: Any = None
    usage: Any = None
    """Of the whole answer, beside its finish_reason: Moonshot's place for it."""


class _Rare(Struct, gc=False):
    choices: list[_RareChoice] = []


_decode_rare: Final = msgspec.json.Decoder(_Rare).decode


class Aside(NamedTuple):
    """What an event without text may hold beside it."""

    is_output: bool
    """A refusal, or the name or arguments of a tool that is called."""
    usage: Usage | None


class _UnreadableError(ValueError):
    """Where text could stand there is something that is none."""


def read_odd(data: bytes | bytearray) -> Event | None:
    """The event in bytes that the strict decoder refuses; None where nothing in them is the API's."""
    said = _loads(data)
    if said is None:
        return None
    if said.get("error"):
        return Event(error=said["error"])
    try:
        return Event(choices=_choices(said.get("choices")), usage=_usage(said.get("usage")))
    except _UnreadableError:
        return None


def read_told(data: bytes | bytearray) -> Told:
    """What an event without choices calls itself, and its message."""
    try:
        return decode_told(data)
    except BAD_JSON:
        said = _loads(data) or {}
        return Told(object=said.get("object"), message=said.get("message"))


def read_aside(data: bytes | bytearray) -> Aside:
    """What an event without text holds beside it. It is read apart: most events have text, and none of this."""
    try:
        choices = _decode_rare(data).choices
    except BAD_JSON:
        choices = _rare_choices((_loads(data) or {}).get("choices"))
    if not choices:
        return Aside(is_output=False, usage=None)
    wrote = any(_wrote(delta) for delta in (choices[0].delta, choices[0].message) if isinstance(delta, dict))
    return Aside(is_output=wrote, usage=_usage(choices[0].usage))


def _rare_choices(said: Any) -> list[_RareChoice]:
    first = said[0] if isinstance(said, list) and said and isinstance(said[0], dict) else {}
    return [_RareChoice(delta=first.get("delta"), message=first.get("message"), usage=first.get("usage"))]


def _wrote(delta: dict[str, Any]) -> bool:
    calls = delta.get("tool_calls")
    called = [one.get("function") for one in calls if isinstance(one, dict)] if isinstance(calls, list) else []
    functions = [one for one in (*called, delta.get("function_call")) if isinstance(one, dict)]
    return bool(delta.get("refusal")) or any(one.get("name") or one.get("arguments") for one in functions)


def _loads(data: bytes | bytearray) -> dict[str, Any] | None:
    """JSON as Python's own decoder takes it: half surrogates, NaN, control characters and broken UTF-8 too."""
    try:
        said = json.loads(data.decode("utf-8", "replace"), parse_int=_int, strict=False)
    except (ValueError, RecursionError):
        return None
    return said if isinstance(said, dict) else None


def _int(digits: str) -> int | None:
    return int(digits) if len(digits) <= _LONGEST_NUMBER else None


def _choices(said: Any) -> list[Choice] | None:
    """The first choice, which is the only one that we ask for."""
    if said is None:
        return None
    if said == []:
        return []
    if not isinstance(said, list) or not isinstance(said[0], dict):
        raise _UnreadableError
    first = said[0]
    return [
        Choice(
            delta=_delta(first.get("delta")),
            text=_text(first.get("text")),
            message=_delta(first.get("message")),
            finish_reason=_text(first.get("finish_reason")),
        )
    ]


def _delta(said: Any) -> Delta | None:
    if said is None:
        return None
    if not isinstance(said, dict):
        raise _UnreadableError
    content = said.get("content")
    written, thought = _parts(content) if isinstance(content, list) else (_text(content), "")
    return Delta(
        content=written,
        reasoning_content=thought + _plain(said.get("reasoning_content")) + _plain(said.get("reasoning")),
    )


def _text(said: Any) -> str | None:
    if said is None or isinstance(said, str):
        return said
    raise _UnreadableError


def _parts(parts: list[Any]) -> tuple[str, str]:
    """The text of content parts, and their reasoning: `[{"type": "thinking", "thinking": [{"text": …}]}]`."""
    written, thought = "", ""
    for part in parts:
        inner = part if isinstance(part, dict) else {"text": part}
        reasoning = next((inner[name] for name in _REASONING if name in inner), None)
        if reasoning is not None or inner.get("type") in _REASONING:
            thought += _plain(inner.get("text") if reasoning is None else reasoning)
        else:
            written += _plain(inner.get("text"))
    return written, thought


def _plain(said: Any, *, depth: int = 0) -> str:
    """All text in here: a string, a part with `text`, or a list of these."""
    if isinstance(said, dict):
        said = said.get("text")
    if isinstance(said, list) and depth < _DEEPEST:
        return "".join(_plain(one, depth=depth + 1) for one in said)
    return said if isinstance(said, str) else ""


def _usage(said: Any) -> Usage | None:
    if not isinstance(said, dict):
        return None
    return Usage(
        prompt_tokens=_count(said.get("prompt_tokens")),
        completion_tokens=_count(said.get("completion_tokens")),
        prompt_tokens_details=PromptDetails(cached_tokens=_count_in(said, "prompt_tokens_details", "cached_tokens")),
        completion_tokens_details=OutputDetails(
            reasoning_tokens=_count_in(said, "completion_tokens_details", "reasoning_tokens")
        ),
    )


def _count_in(said: dict[str, Any], details: str, name: str) -> int | None:
    inner = said.get(details)
    return _count(inner.get(name)) if isinstance(inner, dict) else None


def _count(said: Any) -> int | None:
    """A number of tokens, also as a float or a text; None for what is none."""
    if isinstance(said, bool) or not isinstance(said, int | float | str):
        return None
    try:
        value = float(said)
    except (ValueError, OverflowError):
        return None
    return int(value) if math.isfinite(value) and value == int(value) and 0 <= value <= _MOST else None
