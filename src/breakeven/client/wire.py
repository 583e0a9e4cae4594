"""Plain TCP connections, read in an order of our own: first answers before the rest, each with the kernel's stamp.

A client that is a few milliseconds behind has hundreds of sockets to read. Those whose first token is awaited come
first: their bytes would else be joined by those of the next token, and a read has one stamp. Two epolls hold the
sockets, and the loop watches those two; a few reads of the rest are done at a time, so that first tokens never wait
for long.
"""

import asyncio
import select
import socket
import sys
from collections.abc import Callable
from typing import Final, Protocol
from weakref import WeakKeyDictionary

from breakeven.client.arrival import CONTROL_BYTES, Arrivals, Control, ask_for_stamps

HAS_WIRES: Final = sys.platform == "linux"
READ_BYTES: Final = 1 << 16
FIRST_READS_AT_ONCE: Final = 256
READS_AT_ONCE: Final = 32
"""Reads of the rest, about 0.3 ms, between two looks at the first ones."""
CLOCK_LOOK_S: Final = 0.1


class Reader(Protocol):
    """Who takes what a wire brings: an `asyncio.Protocol` that can also take the kernel's stamp."""

    def received(self, data: bytes, stamp_s: float) -> None: ...

    def data_received(self, data: bytes) -> None: ...

    def eof_received(self) -> None: ...

    def connection_lost(self, exc: Exception | None) -> None: ...


Receive = Callable[[int, int], tuple[bytes, Control, int, object]]
Poll = Callable[[float, int], list[tuple[int, int]]]
Received = Callable[[bytes, float], None]


class Wires:
    """All wires of a loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._arrivals = Arrivals()
        self._first = select.epoll()
        self._rest = select.epoll()
        self._wires: dict[int, tuple[Receive, Received, Wire]] = {}
        loop.add_reader(self._first.fileno(), self._read, self._first.poll, FIRST_READS_AT_ONCE)
        loop.add_reader(self._rest.fileno(), self._read, self._rest.poll, READS_AT_ONCE)
        self._look_at_clock()

    def add(self, wire: "Wire", connected: socket.socket) -> None:
        """Read this wire, among the first ones."""
        self._wires[connected.fileno()] = (connected.recvmsg, wire.reader.received, wire)
        self._first.register(connected.fileno(), select.EPOLLIN)

    def put_first(self, fd: int) -> None:
        """An answer is awaited on this one."""
        self._rest.unregister(fd)
        self._first.register(fd, select.EPOLLIN)

    def put_back(self, fd: int) -> None:
        """The first token has come on this one."""
        self._first.unregister(fd)
        self._rest.register(fd, select.EPOLLIN)

    def read_arrived(self) -> None:
        """Read all that has come by now."""
        for epoll in (self._first, self._rest):
            self._read(epoll.poll, max(1, len(self._wires)))

    def remove(self, fd: int, *, is_first: bool) -> None:
        """Read this one no more; after the last one nothing is left open."""
        del self._wires[fd]
        (self._first if is_first else self._rest).unregister(fd)
        if not self._wires:
            self.close()

    def close(self) -> None:
        """Let go of the loop."""
        _WIRES.pop(self.loop, None)
        self._timer.cancel()
        del self._timer  # it holds this object
        for epoll in (self._first, self._rest):
            self.loop.remove_reader(epoll.fileno())
            epoll.close()

    def _look_at_clock(self) -> None:
        self._arrivals.refresh()
        self._timer = self.loop.call_later(CLOCK_LOOK_S, self._look_at_clock)

    def _read(self, poll: Poll, limit: int) -> None:
        """Read what has something. The hot path: it is written out in one piece."""
        wires, stamp_s = self._wires, self._arrivals.stamp_s
        for fd, _ in poll(0, limit):
            try:
                receive, received, wire = wires[fd]
            except KeyError:  # closed by a read before it
                continue
            try:
                data, control, _, _ = receive(READ_BYTES, CONTROL_BYTES)
            except (BlockingIOError, InterruptedError):
                continue
            except OSError as problem:
                wire.end(problem)
                continue
            if control:
                received(data, stamp_s(control))
            elif data:
                wire.reader.data_received(data)
            else:
                wire.reader.eof_received()
                wire.end(None)


_WIRES: "WeakKeyDictionary[asyncio.AbstractEventLoop, Wires]" = WeakKeyDictionary()


class Wire:
    """One connection. It tells its reader once of its end, after the call that ended it, as asyncio's transports do."""

    __slots__ = ("_connected", "_held", "_is_first", "_wires", "reader")

    def __init__(self, connected: socket.socket, wires: Wires, reader: Reader) -> None:
        self.reader = reader
        self._connected: socket.socket | None = connected
        self._wires = wires
        self._is_first = True
        self._held = bytearray()
        """What the socket has not taken yet."""
        wires.add(self, connected)

    def write(self, data: bytes) -> None:
        """Send now what the socket takes, and the rest when it takes more."""
        if self._connected is None:
            return
        if not self._held:
            try:
                sent = self._connected.send(data)
            except (BlockingIOError, InterruptedError):
                sent = 0
            except OSError as problem:
                self.end(problem)
                return
            if sent == len(data):
                return
            data = data[sent:]
            self._wires.loop.add_writer(self._connected.fileno(), self._write_held)
        self._held += data

    def _write_held(self) -> None:
        assert self._connected is not None
        try:
            del self._held[: self._connected.send(self._held)]
        except (BlockingIOError, InterruptedError):
            return
        except OSError as problem:
            self.end(problem)
            return
        if not self._held:
            self._wires.loop.remove_writer(self._connected.fileno())

    def awaits_first(self, awaits: bool) -> None:
        """Whether the first token of an answer is still to come, so that this wire is read before others."""
        if self._connected is None or awaits == self._is_first:
            return
        self._is_first = awaits
        move = self._wires.put_first if awaits else self._wires.put_back
        move(self._connected.fileno())

    def abort(self) -> None:
        """Close at once."""
        self.end(None)

    def end(self, problem: Exception | None) -> None:
        """Close, for this reason."""
        connected, self._connected = self._connected, None
        if connected is None:
            return
        if self._held:
            self._wires.loop.remove_writer(connected.fileno())
            self._held.clear()
        self._wires.remove(connected.fileno(), is_first=self._is_first)
        connected.close()
        self._wires.loop.call_soon(self.reader.connection_lost, problem)


def read_arrived() -> None:
    """Read what has come on the running loop's wires by now: it came before a window that closes now."""
    wires = _WIRES.get(asyncio.get_running_loop())
    if wires is not None:
        wires.read_arrived()


async def open_wire(address: str, port: int, reader: Reader) -> Wire:
    """Connect to a numeric address, or to the path of a unix socket, which brings no stamps; raises OSError."""
    loop = asyncio.get_running_loop()
    is_unix = address.startswith("/")
    family = socket.AF_UNIX if is_unix else socket.AF_INET6 if ":" in address else socket.AF_INET
    connected = socket.socket(family, socket.SOCK_STREAM)
    try:
        connected.setblocking(False)
        if not is_unix:
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        ask_for_stamps(connected)
        await loop.sock_connect(connected, address if is_unix else (address, port))
    except BaseException:
        connected.close()
        raise
    wires = _WIRES.get(loop)
    if wires is None:
        wires = _WIRES[loop] = Wires(loop)
    return Wire(connected, wires, reader)
