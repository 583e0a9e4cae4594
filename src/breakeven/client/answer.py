"""One answer as it arrives: HTTP callbacks in, what was observed out. Everything is parsed inline, on the read."""

import asyncio
from array import array
from typing import Final

import httptools

from breakeven.client.openai import BAD_JSON, Event, Usage, decode_event, decode_told, error_in_body, error_text
from breakeven.client.sse import EventTooLargeError, SseDecoder
from breakeven.units import US_PER_S

_STEP_LIMIT_US: Final = 2**32 - 1
_AFTER_DONE_S: Final = 0.2
"""A late end of the body is not waited for: it would hold up the user, and costs no more than the connection."""
_LF: Final = 10
_CR: Final = 13
"""Line ends as integers: `in` asks for bytes ten times as slowly."""
_BODY_LIMIT_BYTES: Final = 16 * 1024 * 1024
_ERROR_LIMIT_BYTES: Final = 64 * 1024
"""So much of an error's body is kept: a thousand users may get one at once."""


class Meter:
    """Counts of one client process that its loop reads while a level runs."""

    __slots__ = ("chunks", "own_stamps", "reads")

    def __init__(self) -> None:
        self.chunks = 0
        """Chunks that carried output text, since the client began."""
        self.reads = 0
        """Times that a socket was read."""
        self.own_stamps = 0
        """Reads that the kernel gave no stamp for, so that they have the client's."""


class Reply:
    """A plain HTTP answer: status, headers that matter, body. The parser calls the `on_` methods."""

    __slots__ = (
        "body",
        "chunked",
        "complete",
        "content_type",
        "future",
        "has_head",
        "keep_alive",
        "length",
        "now",
        "parser",
        "status",
    )

    def __init__(self, future: "asyncio.Future[None]") -> None:
        self.future = future
        self.parser: httptools.HttpResponseParser | None = httptools.HttpResponseParser(self)
        self.status: int | None = None
        """HTTP status; None before the head has arrived."""
        self.now = 0.0
        """Stamp of the read that is being parsed; before the first one, of the sending."""
        self.body = bytearray()
        self.has_head = False
        self.content_type = b""
        self.chunked = False
        self.length: int | None = None
        self.keep_alive = False
        self.complete = False

    def has_output(self) -> bool:
        """Output text has come; a plain answer has none."""
        return False

    def on_message_begin(self) -> None:
        """An answer begins; what an early one (103 Early Hints) said of itself is forgotten."""
        if self.complete:
            raise httptools.HttpParserError("a second answer that nobody asked for")
        self.content_type, self.chunked, self.length = b"", False, None

    def on_headers_complete(self) -> None:
        assert self.parser is not None
        self.status = self.parser.get_status_code()
        self.has_head = self.status >= 200

    def on_header(self, name: bytes, value: bytes) -> None:
        lower = name.lower()
        if lower == b"content-type":
            self.content_type = value.lower()
        elif lower == b"transfer-encoding":
            self.chunked = b"chunked" in value.lower()
        elif lower == b"content-length":
            self.length = int(value)

    def on_body(self, part: bytes) -> None:
        if (self.status or 0) >= 300:
            self.body += part[: max(0, _ERROR_LIMIT_BYTES - len(self.body))]
            return
        self.body += part
        if len(self.body) > _BODY_LIMIT_BYTES:
            raise EventTooLargeError(f"a body of more than {_BODY_LIMIT_BYTES >> 20} MiB")

    def on_message_complete(self) -> None:
        if (self.status or 0) < 200:  # 100 Continue, 103 Early Hints: the answer is still to come
            return
        assert self.parser is not None
        self.complete = True
        self.keep_alive = self.parser.should_keep_alive()
        self.wake()

    def ends_with_connection(self) -> bool:
        """The end of the connection is the end of the body, and the head has arrived."""
        return self.has_head and not self.chunked and self.length is None

    def wake(self) -> None:
        if not self.future.done():
            self.future.set_result(None)

    def let_go(self) -> None:
        """No more bytes will come. Parser and answer hold each other, and no garbage is collected during a level."""
        self.parser = None


class StreamAnswer(Reply):
    """A streamed answer of an OpenAI server: stamps, tokens, how it ended."""

    __slots__ = (
        "cached_tokens",
        "chunk_tokens",
        "chunk_total",
        "error",
        "error_detail",
        "finish_reason",
        "input_tokens",
        "is_stream",
        "last_us",
        "meter",
        "output_tokens",
        "saw_done",
        "sent_s",
        "sse",
        "steps_us",
    )

    def __init__(self, future: "asyncio.Future[None]", *, meter: Meter) -> None:
        super().__init__(future)
        self.meter = meter
        self.sse = SseDecoder()
        self.is_stream = False
        self.sent_s = 0.0
        self.last_us = 0
        self.steps_us = array("I")
        self.chunk_tokens = array("I")
        self.chunk_total = 0
        """Tokens up to the last chunk that said its own."""
        self.input_tokens: int | None = None
        self.output_tokens: int | None = None
        self.cached_tokens: int | None = None
        self.finish_reason: str | None = None
        self.saw_done = False
        self.error: str | None = None
        self.error_detail: str | None = None

    def has_output(self) -> bool:
        return len(self.steps_us) > 0

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        self.is_stream = self.status == 200 and self.content_type.startswith(b"text/event-stream")

    def on_body(self, part: bytes) -> None:
        if self.is_stream:
            if self.sse.is_at_rest and part[:7] == b"data: {" and part[-2:] == b"\n\n":
                data = part[6:-2]
                if _LF not in data and _CR not in data:  # the usual case: one event of one line
                    self.on_event(data)
                    return
            for data in self.sse.feed(part):
                self.on_event(data)
        else:
            super().on_body(part)

    def on_event(self, data: bytes | bytearray) -> None:
        """Take in the data of one event; its stamp is that of the read."""
        if data == b"[DONE]":
            self.saw_done = True
            self.future.get_loop().call_soon(self.end_soon)
            return
        try:
            event = decode_event(data)
        except BAD_JSON as problem:
            self.on_other(data, problem)
            return
        choices = event.choices
        if choices:
            choice = choices[0]
            delta = choice.delta
            if delta is None:
                delta = choice.message
            text = choice.text if delta is None else delta.content or delta.reasoning_content or delta.reasoning
            if text:
                now_us = int((self.now - self.sent_s) * US_PER_S)
                step_us = now_us - self.last_us
                self.steps_us.append(step_us if step_us < _STEP_LIMIT_US else _STEP_LIMIT_US)
                self.last_us = now_us
                self.meter.chunks += 1
            if choice.finish_reason is not None:
                self.finish_reason = choice.finish_reason
        if event.error is not None:
            self.fail("stream_error", error_text(event.error))
        elif not choices:
            self.on_no_choices(event, data)
        elif event.usage is not None:
            self.on_usage(event.usage)

    def on_no_choices(self, event: Event, data: bytes | bytearray) -> None:
        """Usage at the end of a stream, or an error that is only called so by the event around it."""
        told = decode_told(data)
        if told.object == "error" or self.sse.named_error:
            self.fail("stream_error", shown(data) if told.message is None else error_text(told.message))
        elif event.usage is not None:
            self.on_usage(event.usage)

    def on_other(self, data: bytes | bytearray, problem: Exception) -> None:
        """An event that is no JSON of ours: an empty one is a sign of life, one named `error` is an error's text."""
        if self.sse.named_error:
            self.fail("stream_error", shown(data))
        elif data.strip():
            self.fail("bad_json", f"{problem}: {shown(data)}")

    def end_soon(self) -> None:
        """After [DONE] the end of the body is waited for only where it is announced, and not for long."""
        if not self.complete:
            announced = self.chunked or self.length is not None
            self.future.get_loop().call_later(_AFTER_DONE_S if announced else 0.0, self.wake)

    def on_usage(self, usage: Usage) -> None:
        """Keep the last usage; where every chunk has one, keep the tokens of each chunk."""
        if usage.prompt_tokens is not None:
            self.input_tokens = usage.prompt_tokens
        if usage.prompt_tokens_details is not None and usage.prompt_tokens_details.cached_tokens is not None:
            self.cached_tokens = usage.prompt_tokens_details.cached_tokens
        tokens = usage.completion_tokens
        if tokens is None:
            return
        if len(self.chunk_tokens) == len(self.steps_us) - 1:  # this chunk's first usage
            self.chunk_tokens.append(max(0, tokens - self.chunk_total))
            self.chunk_total = tokens
        self.output_tokens = tokens

    def fail(self, kind: str, detail: str) -> None:
        """Note the first thing that went wrong and end the wait."""
        if self.error is None:
            self.error, self.error_detail = kind, detail
        self.wake()

    def conclude(self) -> None:
        """Decide how a whole body ended: a good answer, or which error."""
        if self.error is not None:
            return
        if self.status != 200:
            self.fail(f"http_{self.status}", error_in_body(self.body))
        elif self.is_stream:
            self.conclude_stream()
        else:
            self.conclude_body()

    def conclude_stream(self) -> None:
        rest = self.sse.close()
        if rest:
            self.on_event(rest)
            if self.error == "bad_json":
                self.error, self.error_detail = "bad_stream", "the stream ended in the middle of an event"
        if self.error is None and not (self.saw_done or self.finish_reason):
            self.fail("bad_stream", "the stream ended without a finish_reason and without [DONE]")

    def conclude_body(self) -> None:
        """A 200 that is no event stream: an answer in one piece, or no OpenAI server at all."""
        if b"json" in self.content_type:
            self.on_event(self.body)
            if self.error is None and self.finish_reason:
                return
        if self.error is None or self.error == "bad_json":
            kind = self.content_type.decode("latin-1") or "no content type"
            self.error, self.error_detail = "not_openai", f"200 with {kind} instead of an answer: {shown(self.body)}"


def shown(data: bytes | bytearray) -> str:
    """The beginning of what a server sent, as text."""
    return data[:120].decode("utf-8", "replace")
