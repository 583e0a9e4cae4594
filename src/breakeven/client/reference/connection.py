"""One client's connection to the reference server: reads requests, sends answers, holds what the socket refuses."""

import asyncio
import socket
from collections.abc import Callable
from typing import Final

import httptools
from msgspec import Struct

from breakeven.client.arrival import CONTROL_BYTES, Arrivals
from breakeven.client.reference.answers import error
from breakeven.client.reference.schedule import Stream
from breakeven.client.reference.truth import TAG_CHARACTERS
from breakeven.clock import now_s

READ_BYTES: Final = 1 << 16


class Request(Struct, frozen=True, kw_only=True):
    """A whole HTTP request."""

    method: str
    path: str
    body: bytes
    tag: str
    """Its `x-request-id`; empty when it has none."""
    arrival_s: float
    """When its last byte came, by the kernel's stamp; where there is none, when it was read."""
    peer_port: int
    keep_alive: bool


class Connection:
    """Reads when the loop says so, writes when it likes. `handle` takes each request, `answered` is told the end of
    an answer that was begun, `closed` the end of the connection."""

    def __init__(
        self,
        connected: socket.socket,
        loop: asyncio.AbstractEventLoop,
        *,
        arrivals: Arrivals,
        handle: Callable[["Connection", Request], None],
        answered: Callable[["Connection"], None],
        closed: Callable[["Connection"], None],
    ) -> None:
        self._socket = connected
        self._loop = loop
        self._handle = handle
        self._on_answered = answered
        self._on_close = closed
        self._peer_port: int = connected.getpeername()[1]
        self._arrivals = arrivals
        self._parser: httptools.HttpRequestParser | None = httptools.HttpRequestParser(self)
        self._stream: Stream | None = None
        self._held = bytearray()
        self._last_answer = False
        self._arrival_s = 0.0
        self._url, self._body, self._tag = b"", b"", ""
        self.closed = False
        self.is_waiting = False
        """Its request waits for a slot."""
        self.held_writes = 0
        """Writes that the socket did not take whole."""
        loop.add_reader(connected.fileno(), self._readable)

    # called by httptools

    def on_url(self, url: bytes) -> None:
        """Part of the request's target."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Only the request's own id is of interest."""
        if name.lower() == b"x-request-id":
            self._tag = value.decode("latin-1")[:TAG_CHARACTERS]

    def on_body(self, body: bytes) -> None:
        """Part of the body."""
        self._body += body

    def on_message_complete(self) -> None:
        """The request is complete; one that comes before the last answer has ended is not served."""
        if self._parser is None or self._stream is not None or self.is_waiting:
            self.close()
            return
        request = Request(
            method=self._parser.get_method().decode("latin-1"),
            path=self._url.decode("latin-1").partition("?")[0],
            body=self._body,
            tag=self._tag,
            arrival_s=self._arrival_s,
            peer_port=self._peer_port,
            keep_alive=self._parser.should_keep_alive(),
        )
        self._url, self._body, self._tag = b"", b"", ""
        self._handle(self, request)

    # called by the loop

    def _readable(self) -> None:
        self._arrivals.refresh()
        try:
            data, control, _, _ = self._socket.recvmsg(READ_BYTES, CONTROL_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data, control = b"", []
        self._arrival_s = self._arrivals.stamp_s(control) if control else now_s()
        if data and self._parser is not None:
            self._parse(data)
        else:
            self.close()

    def _parse(self, data: bytes) -> None:
        assert self._parser is not None
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as fault:
            self.reply(error(f"not an HTTP request: {fault}", status="400 Bad Request", close=True), close=True)

    def _writable(self) -> None:
        try:
            del self._held[: self._socket.send(self._held)]
        except BlockingIOError:
            return
        except OSError:
            self.close()
            return
        if not self._held:
            self._all_sent()

    def _all_sent(self) -> None:
        self._loop.remove_writer(self._socket.fileno())
        if self._stream is not None:
            self._stream.send = self._socket.send
        elif self._last_answer:
            self.close()

    # called by the server and the schedule

    @property
    def busy(self) -> bool:
        """An answer is under way."""
        return self._stream is not None

    def begin(self, stream: Stream, *, last: bool) -> None:
        """Take up an answer that the schedule will write; the connection closes after its `last` one."""
        self._stream = stream
        self._last_answer = last
        if not self._held:
            stream.send = self._socket.send

    def send(self, data: bytes, /) -> int:
        """Send what the socket takes and hold the rest."""
        try:
            left = data if self._held else data[self._socket.send(data) :]
        except OSError:
            left = data
        if left:
            self.hold(left)
        return len(data)

    def hold(self, data: bytes) -> None:
        """Keep what the socket did not take; when the connection is broken, the next try finds out and closes it."""
        if self.closed:
            return
        self.held_writes += 1
        if not self._held:
            self._loop.add_writer(self._socket.fileno(), self._writable)
        self._held += data
        if self._stream is not None:
            self._stream.send = self.send

    def reply(self, data: bytes, *, close: bool) -> None:
        """Send an answer that is complete at once."""
        self.send(data)
        self._last_answer = close
        self.answered()

    def answered(self) -> None:
        """The last write of an answer has been made."""
        self._free()
        if self._last_answer and not self._held:
            self.close()

    def close(self) -> None:
        """Close now; a stream under way ends."""
        if self.closed:
            return
        self.closed = True
        if self._stream is not None:
            self._stream.gone = True
        self._parser = None
        self._loop.remove_reader(self._socket.fileno())
        self._loop.remove_writer(self._socket.fileno())
        self._socket.close()
        self._free()
        self._on_close(self)

    def _free(self) -> None:
        was_busy, self._stream = self.busy, None
        if was_busy:
            self._on_answered(self)
