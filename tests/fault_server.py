"""A real TCP server that plays scripted faults (see faults.py) and keeps what it received, for tests of the client.

    with FaultServer([status(503), answer()]) as server:   # 503 to the first request, a good answer to all others
        ...                                                # ask server.url
        assert server.max_in_flight == 1

A script is one play, a list of plays (the n-th request gets the n-th, the last goes on for ever), or a dict of either:
its keys are model names, paths (`/v1/models`, `/metrics`, …) or `*` for what no other key names. Without a script the
model's name is looked up in `faults.PLAYS`, and any other model gets a good answer.
"""

import contextlib
import socket
import ssl
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, TypeAlias

import trustme

from fault_wire import GoneError, Play, Received, Wire, read_request
from faults import default_play

Plays: TypeAlias = Play | Sequence[Play]
Script: TypeAlias = Plays | Mapping[str, Plays]


class FaultServer:
    """Listens from `with` to its end, a thread for each connection."""

    def __init__(
        self,
        script: Script | None = None,
        *,
        tls: Literal["good", "other_name"] | None = None,
        unix: bool = False,
    ) -> None:
        self._script = _by_key(script)
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._sockets: list[socket.socket] = []
        self._played: dict[str, int] = {}
        self._in_flight = 0
        self._folder = tempfile.TemporaryDirectory()
        self._tls = _tls_context(tls, folder=Path(self._folder.name)) if tls else None
        self._listener = _on_unix(self._folder.name) if unix else socket.create_server(("127.0.0.1", 0), backlog=4096)
        self.port: int = 0 if unix else self._listener.getsockname()[1]
        where = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"
        self.url = f"unix:{self._listener.getsockname()}" if unix else where
        self.ca_file = str(Path(self._folder.name) / "ca.pem") if tls else None
        """With TLS: the CA that the server's certificate comes from. A client that is not given it must refuse."""
        self.closing = threading.Event()
        self.closing_on_next: set[int] = set()
        self.requests: list[Received] = []
        """Every request, in the order of arrival."""
        self.connections = 0
        self.failed_handshakes = 0
        self.max_in_flight = 0
        """Most completion requests that were under way at once."""

    def play(self, script: Script) -> None:
        """From now on play another script, from its beginning."""
        with self._lock:
            self._script, self._played = _by_key(script), {}

    @property
    def asked(self) -> list[Received]:
        """The completion requests alone."""
        return [request for request in self.requests if request.asks]

    @property
    def in_flight(self) -> int:
        return self._in_flight

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.die()
        for thread in self._threads:
            thread.join(10)
            assert not thread.is_alive(), "a play did not end with its server"
        self._folder.cleanup()

    def die(self) -> None:
        """Break off everything and refuse connections from now on."""
        self.closing.set()
        for opened in [self._listener, *self._sockets]:
            with contextlib.suppress(OSError):
                opened.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _start(self, work: Callable[..., None], *arguments: Any) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connected, _ = self._listener.accept()
            except OSError:
                return
            if connected.family != socket.AF_UNIX:
                connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._sockets.append(connected)
            self.connections += 1  # before its thread begins: a quick answer may be over before we go on here
            self._start(self._serve, connected, self.connections - 1)

    def _serve(self, connected: socket.socket, number: int) -> None:
        if self._tls is not None:
            try:
                connected = self._tls.wrap_socket(connected, server_side=True)
            except OSError:
                self.failed_handshakes += 1
                connected.close()
                return
            self._sockets.append(connected)
        with connected, contextlib.suppress(GoneError, OSError):
            self._converse(connected, number)

    def _converse(self, connected: socket.socket, number: int) -> None:
        held = bytearray()
        for count in range(1_000_000):
            request = read_request(connected, held, connection=number, on_connection=count)
            if request is None:
                return
            play = self._begin(request)
            wire = Wire(self, connected, request)
            try:
                if number in self.closing_on_next:
                    wire.close()
                else:
                    play(wire)
            finally:
                self.over(request)
            if wire.closed:
                return

    def _begin(self, request: Received) -> Play:
        with self._lock:
            self.requests.append(request)
            if request.asks:
                self._in_flight += 1
                self.max_in_flight = max(self.max_in_flight, self._in_flight)
            return self._play_for(request)

    def _play_for(self, request: Received) -> Play:
        key = next((key for key in (request.path, request.model) if key in self._script), "*")
        if key == "*" and (key not in self._script or not request.asks):
            return default_play(request, by_model=not self._script)
        plays = self._script[str(key)]
        turn = self._played.get(str(key), 0)
        self._played[str(key)] = turn + 1
        return plays[min(turn, len(plays) - 1)]

    def over(self, request: Received) -> None:
        """Count the request as answered, once."""
        with self._lock:
            if request.ended_s is None:
                request.ended_s = time.perf_counter()
                self._in_flight -= request.asks


@contextlib.contextmanager
def closed_port() -> Iterator[str]:
    """URL of a port that refuses every connection, and that nobody else can take meanwhile."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"


def _on_unix(folder: str) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(f"{folder}/engine.sock")
    listener.listen(4096)
    return listener


def _by_key(script: Script | None) -> dict[str, Sequence[Play]]:
    if script is None:
        return {}
    table: Mapping[str, Plays] = script if isinstance(script, Mapping) else {"*": script}
    return {key: [plays] if callable(plays) else plays for key, plays in table.items()}


def _tls_context(kind: str, *, folder: Path) -> ssl.SSLContext:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    names = ("127.0.0.1", "localhost") if kind == "good" else ("other.example",)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(context)
    return context
