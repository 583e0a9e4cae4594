"""What the OpenAI API says: the parts of its JSON that the instrument reads, and nothing else."""

from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct

Count = Annotated[int, Meta(ge=0, le=2**32 - 1)]
"""Tokens. Whatever else stands there is left to `odd`."""
BAD_JSON: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What decoding raises for bytes that are no JSON, not what was expected, or nested without end."""


class PromptDetails(Struct, gc=False):
    cached_tokens: Count | None = None


class OutputDetails(Struct, gc=False):
    reasoning_tokens: Count | None = None


class Usage(Struct, gc=False):
    prompt_tokens: Count | None = None
    completion_tokens: Count | None = None
    prompt_tokens_details: PromptDetails | None = None
    completion_tokens_details: OutputDetails | None = None


class Delta(Struct, gc=False):
    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None


class Choice(Struct, gc=False):
    delta: Delta | None = None
    text: str | None = None
    message: Delta | None = None
    finish_reason: str | None = None


class Event(Struct, gc=False):
    """One event of a stream, or a whole answer."""

    choices: list[Choice] | None = None
    usage: Usage | None = None
    error: Any = None


class Told(Struct, gc=False):
    """What else an event without choices may say: the name of an object, such as `error`, and its message."""

    object: Any = None
    message: Any = None


_SAID_IN: Final = ("message", "detail", "error", "msg")

decode_event: Final = msgspec.json.Decoder(Event).decode
decode_told: Final = msgspec.json.Decoder(Told).decode


def error_text(error: Any) -> str:
    """The readable part of an error object, whatever its shape."""
    while isinstance(error, dict):
        found = next((value for key in _SAID_IN if isinstance(value := error.get(key), str | dict)), None)
        if found is None:
            break
        error = found
    try:
        return error if isinstance(error, str) else msgspec.json.encode(error).decode()
    except (msgspec.EncodeError, UnicodeEncodeError, OverflowError, RecursionError):
        return "an error that cannot be shown"


def error_in_body(body: bytes | bytearray) -> str:
    """The readable part of an error answer: its JSON message, or else its text."""
    try:
        return error_text(msgspec.json.decode(body))
    except BAD_JSON:
        return body.decode("utf-8", "replace")
