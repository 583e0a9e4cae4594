"""One connection to the server: the stamp first, then everything else.

Plain connections are wires of ours, which bring the kernel's stamps. TLS is left to asyncio, and so are machines that
are not Linux; there the stamp is taken when the loop hands the bytes over.
"""

import asyncio
import errno
import re
import socket
import ssl
from typing import Final, Protocol, cast

import httptools

from breakeven.client.answer import Meter, StreamAnswer
from breakeven.client.reply import Reply
from breakeven.client.sse import EventTooLargeError
from breakeven.client.target import Target
from breakeven.client.wire import HAS_WIRES, Wire, open_wire
from breakeven.clock import now_s

CRLF: Final = b"\r\n"
_TUNNELLED: Final = re.compile(rb"HTTP/1\.[01] 2\d\d[ \r]")
_PROXY_SAYS_BYTES: Final = 16_384


class Sender(Protocol):
    """The half of a transport that a connection uses."""

    def write(self, data: bytes) -> None: ...

    def abort(self) -> None: ...


class Connection(asyncio.Protocol):
    """A socket that is asked one thing at a time."""

    __slots__ = ("_awaits_first", "_sender", "_wire", "answer", "failure", "has_read", "is_open", "meter")

    def __init__(self, meter: Meter) -> None:
        self.meter = meter
        self.answer: Reply | None = None
        self.is_open = False
        self.has_read = False
        """Bytes of the answer under way have come."""
        self.failure: BaseException | None = None
        self._sender: Sender | None = None
        self._wire: Wire | None = None
        self._awaits_first = False
        """The wire is told when the first token comes."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._sender = cast("asyncio.Transport", transport)  # uvloop's transports are no subclass of asyncio's
        self.is_open = True

    async def open_wire(self, target: Target) -> None:
        """Connect without asyncio's transports; raises OSError."""
        self._sender = self._wire = await open_wire(target.address, target.proxy_port or target.port, self)
        self.is_open = True

    def data_received(self, data: bytes) -> None:
        """Take in what came without a stamp of the kernel's."""
        stamp_s = now_s()
        self.meter.own_stamps += 1
        self.received(data, stamp_s)

    def received(self, data: bytes, stamp_s: float) -> None:
        """Take in what came at `stamp_s`."""
        self.meter.reads += 1
        self.has_read = True
        answer = self.answer
        if answer is None or answer.parser is None:  # bytes that nobody asked for: this connection is of no more use
            self.close()
            return
        if stamp_s > answer.now:  # not so only where somebody set the clock back
            answer.now = stamp_s
        try:
            answer.parser.feed_data(data)
        except httptools.HttpParserCallbackError as problem:
            self._broken(problem.__context__ or problem)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as problem:
            self._broken(problem)
        if self._awaits_first and answer.has_output():
            self._awaits_first = False
            if self._wire is not None:
                self._wire.awaits_first(False)

    def _broken(self, problem: BaseException) -> None:
        if isinstance(problem, httptools.HttpParserError | httptools.HttpParserUpgrade | EventTooLargeError):
            self._fail(problem)
        elif self.answer is not None and not self.answer.future.done():
            self.answer.future.set_exception(problem)  # a fault of ours must stop the run
        self.close()

    def _fail(self, problem: BaseException) -> None:
        """Keep the reason without the frames that it came through: they hold this connection."""
        self.failure = problem.with_traceback(None)
        problem.__context__ = None

    def eof_received(self) -> None:
        self.is_open = False

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_open = False
        self._sender = self._wire = None  # they hold this connection, and no garbage is collected during a level
        answer = self.answer
        if answer is None:
            return
        if self.failure is None and exc is not None:
            self._fail(exc)
        if exc is None and not answer.complete and answer.ends_with_connection():
            answer.complete = True
        answer.wake()

    def send(self, data: bytes, answer: Reply) -> float:
        """Send a whole request and take its answer in; returns the stamp taken before the write."""
        assert self._sender is not None
        self.answer, self.failure, self.has_read = answer, None, False
        if self._wire is not None:
            self._awaits_first = True
            self._wire.awaits_first(True)
        sent_s = answer.now = now_s()
        if isinstance(answer, StreamAnswer):
            answer.sent_s = sent_s
        self._sender.write(data)
        return sent_s

    def release(self) -> None:
        """The answer is over: keep the connection if both sides want to, else close it."""
        answer, self.answer = self.answer, None
        if answer is None or not (answer.complete and answer.keep_alive) or self.failure is not None:
            self.close()

    def close(self) -> None:
        """Drop the connection at once."""
        self.is_open = False
        if self._sender is not None:
            self._sender.abort()


async def connect(target: Target, meter: Meter) -> Connection:
    """Open a connection (and TLS); raises OSError or ssl.SSLError."""
    connection = Connection(meter)
    tunnel = target.tunnel_head()
    if tunnel is not None:
        await asyncio.get_running_loop().create_connection(
            lambda: connection,
            sock=await _through_proxy(target, tunnel),
            ssl=target.ssl_context,
            server_hostname=target.host,
        )
    elif HAS_WIRES and target.ssl_context is None:
        await connection.open_wire(target)
    elif target.unix_path is not None:
        await asyncio.get_running_loop().create_unix_connection(lambda: connection, target.unix_path)
    else:
        await asyncio.get_running_loop().create_connection(
            lambda: connection,
            target.address,
            target.proxy_port or target.port,
            ssl=target.ssl_context,
            server_hostname=target.host if target.ssl_context else None,
        )
    return connection


async def _through_proxy(target: Target, asking: bytes) -> socket.socket:
    """A connection to the server that a proxy holds; raises OSError, also where the proxy refuses."""
    loop = asyncio.get_running_loop()
    connected = socket.socket(socket.AF_INET6 if ":" in target.address else socket.AF_INET, socket.SOCK_STREAM)
    try:
        connected.setblocking(False)
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await loop.sock_connect(connected, (target.address, target.proxy_port))
        await loop.sock_sendall(connected, asking)
        said = b""
        while not said.endswith(b"\r\n\r\n") and len(said) < _PROXY_SAYS_BYTES:
            part = await loop.sock_recv(connected, 1)  # not a byte of what the server says then
            if not part:
                raise ConnectionError("the proxy closed the connection")
            said += part
        if not _TUNNELLED.match(said):
            raise ConnectionError(f"the proxy answers {said.partition(CRLF)[0].decode('latin-1')}")
    except BaseException:
        connected.close()
        raise
    return connected


_OURS: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.EADDRNOTAVAIL, errno.ENOBUFS, errno.ENOMEM})
"""What the client's machine lacks: files, ports, memory. The server has no part in it."""


def why(problem: BaseException | None) -> tuple[str, str]:
    """Kind (a row of ERROR_KINDS) and text of what ended a connection."""
    if problem is None:
        return "closed", "the server closed the connection before the answer was complete"
    if isinstance(problem, TimeoutError | asyncio.TimeoutError):
        return "timeout", "no complete answer in time"
    if isinstance(problem, ssl.SSLCertVerificationError):
        return "certificate", f"the certificate is not valid: {problem.verify_message}"
    if isinstance(problem, ssl.SSLError):
        return "tls", f"TLS failed: {problem.reason or problem}"
    if isinstance(problem, ConnectionResetError | BrokenPipeError):
        return "reset", "the server reset the connection"
    if isinstance(problem, ConnectionRefusedError):
        return "connect", "the server refuses connections"
    if isinstance(problem, httptools.HttpParserError):
        return "bad_http", f"the answer is not HTTP: {problem}"
    if isinstance(problem, httptools.HttpParserUpgrade):
        return "bad_http", "the server wants to change the protocol (101)"
    if isinstance(problem, EventTooLargeError | ValueError):
        return "bad_stream", str(problem)
    return _no_connection(problem)


def _no_connection(problem: BaseException) -> tuple[str, str]:
    said = getattr(problem, "strerror", None) or str(problem) or type(problem).__name__
    if isinstance(problem, OSError) and problem.errno in _OURS:
        return "client_limit", f"this client can open no more connections: {said}"
    return "connect", said
