"""One request and the connection it came on, as a play of the fault server sees them."""

import contextlib
import json
import select
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias


class GoneError(Exception):
    """The client went away, or the server is being closed: the play is over."""


@dataclass
class Received:
    """One request as it came in. Times are `time.perf_counter`."""

    method: str
    path: str
    """Without the query."""
    headers: dict[str, str]
    """Names in lower case."""
    body: bytes
    at_s: float
    connection: int
    """Connections are counted from 0 in the order in which they were accepted."""
    on_connection: int
    """0 for the first request of its connection."""
    write_s: list[float] = field(default_factory=list)
    """When each piece of the answer was written."""
    query: str = ""
    ended_s: float | None = None
    """When the answer was over; None while it runs."""

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def chat(self) -> bool:
        return self.path.endswith("/chat/completions")

    @property
    def asks(self) -> bool:
        """It asks for an answer, wherever the API is."""
        return self.path.endswith("/completions")

    @property
    def model(self) -> str | None:
        return self.json.get("model") if self.asks else None


class Stage(Protocol):
    """What a play needs of the server."""

    closing: threading.Event
    closing_on_next: set[int]

    def over(self, request: Received) -> None: ...


class Wire:
    """A connection while one request is being answered."""

    def __init__(self, stage: "Stage", connected: socket.socket, request: Received) -> None:
        self._stage = stage
        self._socket = connected
        self.request = request
        self.closed = False

    def send(self, data: bytes) -> None:
        """Write all of `data`."""
        self.request.write_s.append(time.perf_counter())
        self._socket.sendall(data)

    def wait(self, duration_s: float) -> None:
        """Let time pass; GoneError as soon as the client closes its end."""
        until_s = time.perf_counter() + duration_s
        while (left_s := until_s - time.perf_counter()) > 0:
            if self._stage.closing.is_set() or self._client_closed(min(left_s, 0.05)):
                raise GoneError

    def stall(self) -> None:
        """Say nothing more, for ever."""
        self.wait(1e9)

    def _client_closed(self, within_s: float) -> bool:
        ready, _, _ = select.select([self._socket], [], [], within_s)
        if not ready:
            return False
        if isinstance(self._socket, ssl.SSLSocket) or self._socket.recv(1, socket.MSG_PEEK):
            time.sleep(within_s)  # bytes that nobody asked for yet: let them lie
            return False
        return True

    def over(self) -> None:
        """The request no longer counts as in flight: said before its last bytes, for a client may be faster than us."""
        self._stage.over(self.request)

    def close(self) -> None:
        """Close the connection in good order (FIN)."""
        self.over()
        self.closed = True
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def reset(self) -> None:
        """Break the connection (RST)."""
        self.over()
        self.closed = True
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()

    def close_on_next_request(self) -> None:
        """Keep the connection open until its next request has come, then close it without a word."""
        self._stage.closing_on_next.add(self.request.connection)


Play: TypeAlias = Callable[[Wire], None]


def read_request(connected: socket.socket, held: bytearray, *, connection: int, on_connection: int) -> Received | None:
    """The next request; None when the client has closed. `held` keeps bytes that came too early."""
    while (head_end := held.find(b"\r\n\r\n")) < 0:
        if not _more(connected, held):
            return None
    first, *lines = held[:head_end].decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    end = head_end + 4 + int(headers.get("content-length", 0))
    while len(held) < end:
        if not _more(connected, held):
            return None
    body = bytes(held[head_end + 4 : end])
    del held[:end]
    method, path, _ = first.split(" ")
    path, _, query = path.partition("?")
    at_s = time.perf_counter()
    return Received(method, path, headers, body, at_s, connection, on_connection=on_connection, query=query)


def _more(connected: socket.socket, held: bytearray) -> bool:
    data = connected.recv(65536)
    held += data
    return bool(data)
