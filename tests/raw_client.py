"""A plain reader for tests of servers: blocking sockets, a stamp a read, nothing parsed but what a test asks for."""

import json
import socket
import time
import urllib.parse
from typing import Any, NamedTuple


class Reply(NamedTuple):
    """One answer, byte for byte, and when its bytes came."""

    head: str
    body: bytes
    reads: list[tuple[float, bytes]]
    """(stamp after the read, bytes)."""
    closed: bool
    """The server closed the connection at its end."""

    @property
    def status(self) -> int:
        return int(self.head.split()[1])

    def events(self) -> list[Any]:
        """The JSON of every SSE event; `[DONE]` stays text."""
        texts = [event[len("data: ") :] for event in self.body.decode().split("\n\n") if event]
        return [text if text == "[DONE]" else json.loads(text) for text in texts]


def connect(url: str) -> socket.socket:
    """Open a connection to a server."""
    parts = urllib.parse.urlsplit(url)
    assert parts.hostname is not None
    return socket.create_connection((parts.hostname, parts.port or 80), timeout=10)


def request_bytes(path: str, body: object = None, *, headers: str = "") -> bytes:
    """A whole HTTP request: POST with JSON when there is a body, else GET."""
    if body is None:
        return f"GET {path} HTTP/1.1\r\nHost: test\r\n{headers}\r\n".encode()
    data = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: test\r\nContent-Length: {len(data)}\r\n{headers}\r\n"
    return head.encode() + data


def read_reply(connection: socket.socket) -> Reply:
    """Read one answer to its end: by size, by last chunk, or until the server closes."""
    reads: list[tuple[float, bytes]] = []
    data, closed = bytearray(), False
    while not closed and not _complete(data):
        got = connection.recv(65536)
        reads.append((time.perf_counter(), got))
        data += got
        closed = not got
    head, _, body = bytes(data).partition(b"\r\n\r\n")
    return Reply(head.decode(), unchunk(body) if _chunked(head) else body, reads, closed)


def ask(url: str, path: str, body: object = None) -> Reply:
    """One request on a connection of its own."""
    with connect(url) as connection:
        connection.sendall(request_bytes(path, body))
        return read_reply(connection)


def unchunk(data: bytes) -> bytes:
    """The body inside a chunked body; ends early where the data does."""
    parts: list[bytes] = []
    at = 0
    while (line_end := data.find(b"\r\n", at)) > 0 and (length := int(data[at:line_end], 16)):
        parts.append(data[line_end + 2 : line_end + 2 + length])
        at = line_end + 2 + length + 2
    return b"".join(parts)


def _chunked(head: bytes) -> bool:
    return b"transfer-encoding: chunked" in head.lower()


def _complete(data: bytearray) -> bool:
    head_end = data.find(b"\r\n\r\n", 0, 1 << 20)
    if head_end < 0:
        return False
    head = bytes(data[:head_end])
    if _chunked(head):
        return data.endswith(b"\r\n0\r\n\r\n")
    sizes = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    return bool(sizes) and len(data) - head_end - 4 >= int(sizes[0].split(b":")[1])
