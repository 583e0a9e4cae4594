"""One answer as it arrives: HTTP callbacks in, what was observed out. Everything is parsed inline, on the read."""

import asyncio
import re
from array import array
from typing import Final

from breakeven.client.odd import read_aside, read_odd, read_told
from breakeven.client.openai import BAD_JSON, Delta, Event, Usage, decode_event, error_text
from breakeven.client.reply import Reply, compressed
from breakeven.client.sse import SseDecoder
from breakeven.units import US_PER_S

_STEP_LIMIT_US: Final = 2**32 - 1
_AFTER_DONE_S: Final = 0.2
"""A late end of the body is not waited for: it would hold up the user, and costs no more than the connection."""
_LF: Final = 10
"""A line end as an integer: `in` asks for bytes ten times as slowly."""
_BROKEN_OFF: Final = frozenset({"abort", "aborted", "error", "cancelled"})
"""Values of finish_reason by which a server says that an answer is not whole."""
_EVENT_STREAM: Final = re.compile(rb"(?:\xef\xbb\xbf)?\s*(?:data|event|id|retry)?:")
_LONGEST_FIELD: Final = len(b"\xef\xbb\xbfevent:")


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


class StreamAnswer(Reply):
    """A streamed answer of an OpenAI server: stamps, tokens, how it ended."""

    __slots__ = (
        "cached_tokens",
        "error",
        "error_detail",
        "finish_reason",
        "has_total",
        "input_tokens",
        "is_stream",
        "last_us",
        "meter",
        "output_tokens",
        "reasoning_chunks",
        "reasoning_tokens",
        "said_tokens",
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
        self.said_tokens = array("I")
        """What the first usage after each chunk said of output tokens; `client.usage` finds out what is meant."""
        self.reasoning_chunks = 0
        """Chunks of reasoning before the answer's first."""
        self.input_tokens: int | None = None
        self.output_tokens: int | None = None
        self.cached_tokens: int | None = None
        self.reasoning_tokens: int | None = None
        self.has_total = False
        """Usage came after the text, in an event of its own, as it does at the end."""
        self.finish_reason: str | None = None
        self.saw_done = False
        self.error: str | None = None
        self.error_detail: str | None = None

    def has_output(self) -> bool:
        return len(self.steps_us) > 0

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        self.is_stream = self.is_good and not self.encoding and self.content_type.startswith(b"text/event-stream")

    def on_body(self, part: bytes) -> None:
        if self.is_stream:
            if self.sse.is_at_rest and part[:7] == b"data: {" and part[-2:] == b"\n\n":
                data = part[6:-2]
                if _LF not in data:  # the usual case: one event of one line, unless a CR ends lines in it
                    try:
                        event = decode_event(data)
                    except BAD_JSON:
                        pass
                    else:
                        self.take(event, data)
                        return
            for data in self.sse.feed(part):
                self.on_event(data)
        else:
            super().on_body(part)
            if len(self.body) - len(part) < _LONGEST_FIELD and self.is_good and _EVENT_STREAM.match(self.body):
                self.is_stream = True  # whatever its content type says
                begun, self.body = bytes(self.body), bytearray()
                self.on_body(begun)

    def on_event(self, data: bytes | bytearray) -> None:
        """Take in the data of one event; its stamp is that of the read."""
        try:
            event: Event | None = decode_event(data)
        except BAD_JSON as problem:  # [DONE] too
            event = self.on_other(data, problem)
        if event is not None:
            self.take(event, data)

    def take(self, event: Event, data: bytes | bytearray) -> None:
        """Take in an event. The hot path: it is written out in one piece."""
        choices = event.choices
        if choices:
            choice = choices[0]
            delta = choice.delta
            if delta is None:
                delta = choice.message
            text = choice.text if delta is None else delta.content
            if text or self.has_other_output(delta, data):
                now_us = int((self.now - self.sent_s) * US_PER_S)
                step_us = now_us - self.last_us
                self.steps_us.append(step_us if step_us < _STEP_LIMIT_US else _STEP_LIMIT_US)
                self.last_us = now_us
                self.meter.chunks += 1
            if choice.finish_reason:
                self.finish_reason = choice.finish_reason
        if event.error:
            self.fail("stream_error", error_text(event.error))
        elif not choices:
            self.on_no_choices(event, data)
        elif event.usage is not None:
            self.on_usage(event.usage)

    def has_other_output(self, delta: Delta | None, data: bytes | bytearray) -> bool:
        """Reasoning, a call of a tool or a refusal has come, where no text of the answer has."""
        if delta is not None and (delta.reasoning_content or delta.reasoning):
            if self.reasoning_chunks == len(self.steps_us):
                self.reasoning_chunks += 1
            return True
        aside = read_aside(data)
        if aside.usage is not None:
            self.on_usage(aside.usage)
        return aside.is_output

    def on_no_choices(self, event: Event, data: bytes | bytearray) -> None:
        """Usage at the end of a stream, or an error that is only called so by the event around it."""
        told = read_told(data)
        if told.object == "error" or self.sse.named_error:
            self.fail("stream_error", shown(data) if told.message is None else error_text(told.message))
        elif event.usage is not None:
            self.on_usage(event.usage)
            self.has_total = self.has_output() and bool(event.usage.completion_tokens)

    def on_other(self, data: bytes | bytearray, problem: Exception) -> Event | None:
        """An event that is not in the API's form: what of it can be read. An empty one is a sign of life."""
        if data.strip() == b"[DONE]":
            self.on_done()
        elif self.sse.named_error:
            self.fail("stream_error", shown(data))
        elif data.strip():
            odd = read_odd(data)
            if odd is None:
                self.fail("bad_json", f"{problem}: {shown(data)}")
            return odd
        return None

    def on_done(self) -> None:
        self.saw_done = True
        self.future.get_loop().call_soon(self.end_soon)

    def end_soon(self) -> None:
        """After [DONE] the end of the body is waited for only where it is announced, and not for long."""
        if not self.complete:
            announced = self.chunked or self.is_sized
            self.future.get_loop().call_later(_AFTER_DONE_S if announced else 0.0, self.wake)

    def on_usage(self, usage: Usage) -> None:
        """Keep the last usage that says anything; where every chunk has one, what it said after each chunk."""
        self.input_tokens = usage.prompt_tokens or self.input_tokens
        if usage.prompt_tokens_details is not None and usage.prompt_tokens_details.cached_tokens is not None:
            self.cached_tokens = usage.prompt_tokens_details.cached_tokens
        if usage.completion_tokens_details is not None:
            self.reasoning_tokens = usage.completion_tokens_details.reasoning_tokens or self.reasoning_tokens
        tokens = usage.completion_tokens
        if tokens is None:
            return
        if len(self.said_tokens) == len(self.steps_us) - 1:  # this chunk's first usage
            self.said_tokens.append(tokens)
        self.output_tokens = tokens or self.output_tokens or 0

    def fail(self, kind: str, detail: str) -> None:
        """Note the first thing that went wrong and end the wait."""
        if self.error is None:
            self.error, self.error_detail = kind, detail
        self.wake()

    def has_end(self) -> bool:
        """The server has said in some way that the answer is over."""
        return self.saw_done or self.finish_reason is not None or self.has_total

    def conclude(self) -> None:
        """Decide how a whole body ended: a good answer, or which error."""
        if self.error is not None:
            return
        if not self.is_good:
            self.fail(f"http_{self.status}", self.said_wrong())
        elif self.encoding:
            self.fail("not_openai", compressed(self.encoding))
        elif self.is_stream:
            self.conclude_stream()
        else:
            self.conclude_body()
        if self.error is None and self.finish_reason in _BROKEN_OFF:
            self.fail("stream_error", f"the server ended the answer with finish_reason '{self.finish_reason}'")

    def conclude_stream(self) -> None:
        rest = self.sse.close()
        if rest:
            self.on_event(rest)
            if self.error == "bad_json":
                self.error, self.error_detail = "bad_stream", "the stream ended in the middle of an event"
        if self.error is None and not self.has_end():
            self.fail("bad_stream", "the stream ended without a finish_reason, without usage and without [DONE]")

    def conclude_body(self) -> None:
        """A good status and no event stream: an answer in one piece, or no OpenAI server at all."""
        if self.body.lstrip()[:1] == b"{":
            self.on_event(self.body)
            if self.error is None and (self.finish_reason or self.has_output()):
                return
        if self.error is None or self.error == "bad_json":
            kind = self.content_type.decode("latin-1") or "no content type"
            told = f"{self.status} with {kind} instead of an answer: {shown(self.body)}"
            self.error, self.error_detail = "not_openai", told


def shown(data: bytes | bytearray) -> str:
    """The beginning of what a server sent, as text."""
    return data[:120].decode("utf-8", "replace")
