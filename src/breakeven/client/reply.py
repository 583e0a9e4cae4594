"""A plain HTTP answer as it arrives: the parser's callbacks in, status, headers that matter and body out."""

import asyncio
from typing import Final

import httptools

from breakeven.client.openai import error_in_body
from breakeven.client.sse import EventTooLargeError

_BODY_LIMIT_BYTES: Final = 16 * 1024 * 1024
_ERROR_LIMIT_BYTES: Final = 64 * 1024
"""So much of an error's body is kept: a thousand users may get one at once."""


class Reply:
    """A plain HTTP answer: status, headers that matter, body. The parser calls the `on_` methods."""

    __slots__ = (
        "body",
        "chunked",
        "complete",
        "content_type",
        "encoding",
        "future",
        "has_head",
        "is_sized",
        "keep_alive",
        "location",
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
        self.is_sized = False
        self.encoding = b""
        """How the body is compressed, though we ask for none of it."""
        self.location = b""
        """Where a redirect leads to."""
        self.keep_alive = False
        self.complete = False

    def has_output(self) -> bool:
        """Output text has come; a plain answer has none."""
        return False

    def on_message_begin(self) -> None:
        """An answer begins; what an early one (103 Early Hints) said of itself is forgotten."""
        if self.complete:
            raise httptools.HttpParserError("a second answer that nobody asked for")
        self.content_type, self.chunked, self.is_sized = b"", False, False
        self.encoding = self.location = b""

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
            self.is_sized = True
        elif lower == b"content-encoding":
            self.encoding = value.lower().removeprefix(b"identity")
        elif lower == b"location":
            self.location = value

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
        return self.has_head and not self.chunked and not self.is_sized

    @property
    def is_good(self) -> bool:
        """The status is one of success."""
        return self.status is not None and 200 <= self.status < 300

    def said_wrong(self) -> str:
        """What an answer of another status says: where it leads to, or its error."""
        if self.location:
            return f"a redirect to {self.location.decode('latin-1')}"
        return error_in_body(self.body)

    def wake(self) -> None:
        if not self.future.done():
            self.future.set_result(None)

    def let_go(self) -> None:
        """No more bytes will come. Parser and answer hold each other, and no garbage is collected during a level."""
        self.parser = None


def compressed(encoding: bytes) -> str:
    """A body that cannot be read, and why."""
    return f"the answer comes compressed ({encoding.decode('latin-1')}), though it was asked for as it is"
