"""What the OpenAI API says: the parts of its JSON that the instrument reads, and nothing else."""

from typing import Any, Final

import msgspec
from msgspec import Struct


class TokenDetails(Struct, gc=False):
    cached_tokens: int | None = None


class Usage(Struct, gc=False):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: TokenDetails | None = None


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
    object: str | None = None
    message: Any = None


decode_event: Final = msgspec.json.Decoder(Event).decode


def error_text(error: Any) -> str:
    """The readable part of an error object, whatever its shape."""
    if isinstance(error, dict):
        for key in ("message", "detail", "error", "msg"):
            if isinstance(error.get(key), str):
                return str(error[key])
            if isinstance(error.get(key), dict):
                return error_text(error[key])
    return error if isinstance(error, str) else msgspec.json.encode(error).decode()


def error_in_body(body: bytes) -> str:
    """The readable part of an error answer: its JSON message, or else its text."""
    try:
        return error_text(msgspec.json.decode(body))
    except msgspec.DecodeError:
        return body.decode("utf-8", "replace")
