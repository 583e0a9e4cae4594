"""The answers of the reference server: every byte is made before the clock runs, so that a token is one write."""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Literal, NamedTuple

import msgspec
from msgspec import Struct

from breakeven.client.reference.script import parse_mix
from breakeven.errors import UsageError

WORD = " token"
"""The text of one token."""
MAX_OUTPUT_TOKENS = 1_000_000
MOST_SPREAD = 2.0


class Settings(Struct, frozen=True, kw_only=True):
    """What the reference server shall do: its true timings, and the shape of its answers."""

    ttft_s: float = 0.05
    """From a request's last byte to its first event with text."""
    itl_s: float = 0.01
    """From one write to the next; a write holds `burst` events."""
    tokens_per_event: int = 1
    burst: int = 1
    """Events in one write."""
    output_tokens: int = 128
    """Length of an answer whose request names none."""
    usage_in: Literal["own", "finish", "every", "none"] = "own"
    """Where usage stands when the request asks for it."""
    body: Literal["chunked", "close"] = "chunked"
    """How a streamed body ends: with its last chunk, or with the connection."""
    close: bool = False
    """Close the connection after each answer, and say so."""
    model: str = "truth"
    metrics: bool = True
    """Answer `/metrics`."""
    lengths: str = ""
    """How long answers are before they end by themselves, such as `lognormal:48,0.75` (script.parse_mix); a request's
    limit cuts them. Empty: as long as asked for."""
    ttft_sigma: float = 0.0
    """Spread of the logarithm of TTFT, whose median is then `ttft_s`."""
    slots: int = 0
    """Answers at a time; further requests wait in the order in which they came. 0: no limit."""
    noise: float = 0.0
    """Spread of the machine's step time, anew each ITL (script.Machine)."""
    wave: float = 0.0
    """Spread of the machine's step time, remembered for `tau_s`."""
    tau_s: float = 1.0
    seed: int = 0
    """Of all that is drawn."""

    def __post_init__(self) -> None:
        problem = _problem(self)
        if self.lengths:
            parse_mix(self.lengths)
        if problem is not None:
            raise UsageError(f"reference server: {problem}")


def _problem(settings: Settings) -> str | None:
    if not (0 <= settings.ttft_s < 86_400 and 0 <= settings.itl_s < 86_400):
        return f"ttft {settings.ttft_s} s, itl {settings.itl_s} s: each must be at least 0 and less than a day"
    for name in ("tokens_per_event", "burst", "output_tokens"):
        value = getattr(settings, name)
        if not 1 <= value <= MAX_OUTPUT_TOKENS:
            return f"{name} {value} is not between 1 and {MAX_OUTPUT_TOKENS}"
    for name in ("ttft_sigma", "noise", "wave"):
        if not 0 <= getattr(settings, name) <= MOST_SPREAD:
            return f"{name} {getattr(settings, name)} is not between 0 and {MOST_SPREAD}"
    if settings.slots < 0 or not 0 < settings.tau_s < 86_400:
        return f"slots {settings.slots}, tau {settings.tau_s} s: at least 0, and more than 0 and less than a day"
    return None


class Answer(NamedTuple):
    """An answer ready to be written: `head` when the request has come, then one of `writes` at a time."""

    head: bytes
    writes: tuple[bytes, ...]


class Asked(NamedTuple):
    """What of a request shapes the bytes of its answer."""

    chat: bool
    input_tokens: int
    output_tokens: int
    usage: bool
    by_itself: bool = False
    """The answer ends before the limit that was asked for."""

    @property
    def finish_reason(self) -> str:
        return "stop" if self.by_itself else "length"


@lru_cache(maxsize=1024)
def streamed(settings: Settings, asked: Asked) -> Answer:
    """Headers (and for chat a role-only event) at once, then `burst` events a write; the last write ends the body."""
    events = list(_text_events(settings, asked))
    writes = [b"".join(events[i : i + settings.burst]) for i in range(0, len(events), settings.burst)]
    writes[-1] += b"".join(_end(settings, asked))
    same = {write: write for write in writes}
    role = _event(settings, _payload(settings, asked, {"role": "assistant", "content": ""})) if asked.chat else b""
    return Answer(_streaming_head(settings) + role, tuple(same[write] for write in writes))


def whole(settings: Settings, asked: Asked) -> Answer:
    """The answer to a request without `stream`: one JSON document when the stream would have ended, nothing before."""
    text = WORD * asked.output_tokens
    said = {"message": {"role": "assistant", "content": text}} if asked.chat else {"text": text}
    document = {
        **_frame(settings, asked, stream=False),
        "choices": [{"index": 0, **said, "logprobs": None, "finish_reason": asked.finish_reason}],
        "usage": _usage(asked, asked.output_tokens),
    }
    writes_before = (asked.output_tokens - 1) // (settings.burst * settings.tokens_per_event)
    return Answer(b"", (b"",) * writes_before + (sized(msgspec.json.encode(document), close=settings.close),))


def sized(body: bytes, *, status: str = "200 OK", kind: str = "application/json", close: bool = False) -> bytes:
    """A whole HTTP answer with a Content-Length."""
    lines = [f"HTTP/1.1 {status}", f"Content-Type: {kind}", f"Content-Length: {len(body)}"]
    return _head([*lines, *_closing(close)]) + body


def error(message: str, *, status: str, close: bool = False) -> bytes:
    """An error as the OpenAI API words it."""
    body = {"error": {"message": message, "type": "invalid_request_error", "code": int(status[:3])}}
    return sized(msgspec.json.encode(body), status=status, close=close)


def _text_events(settings: Settings, asked: Asked) -> Iterator[bytes]:
    known: dict[int, bytes] = {}
    every = asked.usage and settings.usage_in == "every"
    for done in range(0, asked.output_tokens, settings.tokens_per_event):
        tokens = min(settings.tokens_per_event, asked.output_tokens - done)
        if every:
            yield _event(settings, _text(settings, asked, tokens) | {"usage": _usage(asked, done + tokens)})
            continue
        if tokens not in known:
            known[tokens] = _event(settings, _text(settings, asked, tokens))
        yield known[tokens]


def _text(settings: Settings, asked: Asked, tokens: int) -> dict[str, Any]:
    return _payload(settings, asked, {"content": WORD * tokens})


def _end(settings: Settings, asked: Asked) -> Iterator[bytes]:
    """What follows the last text: the finish event, usage, the end mark of SSE and the end of the body."""
    finish = _payload(settings, asked, {"content": ""} if not asked.chat else {}, finish_reason=asked.finish_reason)
    usage = {"usage": _usage(asked, asked.output_tokens)} if asked.usage else {}
    yield _event(settings, finish | (usage if settings.usage_in in ("finish", "every") else {}))
    if usage and settings.usage_in in ("own", "every"):
        yield _event(settings, {**_frame(settings, asked, stream=True), "choices": [], **usage})
    yield _chunk(settings, b"data: [DONE]\n\n")
    if settings.body == "chunked":
        yield b"0\r\n\r\n"


def _payload(
    settings: Settings, asked: Asked, delta: dict[str, str], *, finish_reason: str | None = None
) -> dict[str, Any]:
    said: dict[str, Any] = {"delta": delta} if asked.chat else {"text": delta["content"]}
    choice = {"index": 0, **said, "logprobs": None, "finish_reason": finish_reason}
    return {**_frame(settings, asked, stream=True), "choices": [choice]}


def _frame(settings: Settings, asked: Asked, *, stream: bool) -> dict[str, Any]:
    kind = ("chat.completion.chunk" if stream else "chat.completion") if asked.chat else "text_completion"
    return {"id": "chatcmpl-0" if asked.chat else "cmpl-0", "object": kind, "created": 0, "model": settings.model}


def _usage(asked: Asked, output_tokens: int) -> dict[str, int]:
    return {
        "prompt_tokens": asked.input_tokens,
        "completion_tokens": output_tokens,
        "total_tokens": asked.input_tokens + output_tokens,
    }


def _event(settings: Settings, payload: dict[str, Any]) -> bytes:
    return _chunk(settings, b"data: " + msgspec.json.encode(payload) + b"\n\n")


def _chunk(settings: Settings, data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data) if settings.body == "chunked" else data


def _streaming_head(settings: Settings) -> bytes:
    lines = ["HTTP/1.1 200 OK", "Content-Type: text/event-stream; charset=utf-8", "Cache-Control: no-cache"]
    lines += ["Transfer-Encoding: chunked"] if settings.body == "chunked" else []
    return _head([*lines, *_closing(settings.close or settings.body == "close")])


def _closing(close: bool) -> list[str]:
    return ["Connection: close"] if close else []


def _head(lines: list[str]) -> bytes:
    return "\r\n".join([*lines, "", ""]).encode()
