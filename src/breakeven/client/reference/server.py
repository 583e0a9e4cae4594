"""The endpoints of the reference server: what it answers to which request, and what it tells of itself."""

import asyncio
import contextlib
import errno
import resource
import socket
import sys
from collections import deque
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np
from msgspec import Struct

from breakeven.client.arrival import Arrivals, ask_for_stamps
from breakeven.client.reference.answers import MAX_OUTPUT_TOKENS, Asked, Settings, error, sized, streamed, whole
from breakeven.client.reference.connection import Connection, Request
from breakeven.client.reference.schedule import Schedule, Stream
from breakeven.client.reference.script import Answers, Machine
from breakeven.client.reference.truth import TAG_CHARACTERS, Seconds, Stamps, Trace, dump, gather, lateness_figures
from breakeven.clock import cpu_s, now_s

ACCEPTS_AT_ONCE: Final = 128
ACCEPT_PAUSE_S: Final = 0.1
MISSING: Final = error("no such endpoint", status="404 Not Found")


class _StreamOptions(Struct):
    include_usage: bool | None = False


class _Message(Struct):
    role: str
    content: str | list[dict[str, Any]] | None = None

    def text(self) -> str:
        if isinstance(self.content, list):
            return " ".join(str(part.get("text", "")) for part in self.content)
        return self.content or ""


class _Body(Struct):
    """What the server reads of a request; other fields are ignored."""

    model: str | None = None
    messages: list[_Message] | None = None
    prompt: str | list[int] | None = None
    content: str | None = None
    stream: bool | None = False
    stream_options: _StreamOptions | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None

    def text(self) -> str:
        if self.messages is not None:
            return " ".join(message.text() for message in self.messages)
        return self.prompt if isinstance(self.prompt, str) else self.content or ""

    def tag(self) -> str:
        return (self.messages[-1].text() if self.messages else self.text())[:TAG_CHARACTERS]

    def input_tokens(self) -> int:
        """A token is a word between white space, or an id of the list."""
        return len(self.prompt) if isinstance(self.prompt, list) else len(self.text().split())


_BODY = msgspec.json.Decoder(_Body)


class _Waiting(NamedTuple):
    """A request without a slot."""

    connection: Connection
    asked: Asked
    trace: Trace
    close: bool


class Server:
    """Listens, answers, remembers."""

    def __init__(self, settings: Settings, *, loop: asyncio.AbstractEventLoop, stamps: Path | None) -> None:
        self.settings = settings
        self._loop = loop
        self._stamps = stamps
        self._arrivals = Arrivals()
        self._schedule = Schedule(loop, itl_s=settings.itl_s)
        self._connections: dict[Connection, Trace | None] = {}
        self._traces: list[Trace] = []
        self._held_writes = 0
        self._warned = False
        self._started_s = now_s()
        self._waiting: deque[_Waiting] = deque()
        self._at_work = 0
        self._answers = Answers(
            lengths=settings.lengths, ttft_s=settings.ttft_s, ttft_sigma=settings.ttft_sigma, seed=settings.seed
        )
        self._machine = Machine(
            zero_s=self._started_s,
            cell_s=settings.itl_s,
            noise=settings.noise,
            wave=settings.wave,
            tau_s=settings.tau_s,
            seed=settings.seed,
        )

    # connections

    def listen(self, host: str, port: int) -> int:
        """Take connections on this port (0: any free one); returns the port."""
        listener = socket.create_server((host, port), backlog=4096)
        listener.setblocking(False)
        _send_at_once(listener)
        self._loop.add_reader(listener.fileno(), self._accept, listener)
        chosen: int = listener.getsockname()[1]
        return chosen

    def _accept(self, listener: socket.socket) -> None:
        for _ in range(ACCEPTS_AT_ONCE):
            try:
                connected, _peer = listener.accept()
                connection = self._connection(connected)
            except BlockingIOError:
                return
            except OSError as fault:
                self._pause(listener, fault)
                return
            self._connections[connection] = None

    def _connection(self, connected: socket.socket) -> Connection:
        connected.setblocking(False)
        ask_for_stamps(connected)
        return Connection(
            connected,
            self._loop,
            arrivals=self._arrivals,
            handle=self._handle,
            answered=self._answered,
            closed=self._closed,
        )

    def _pause(self, listener: socket.socket, fault: OSError) -> None:
        """Out of files: say so once, and look again a little later instead of spinning."""
        if fault.errno not in (errno.EMFILE, errno.ENFILE):
            return
        self._loop.remove_reader(listener.fileno())
        self._loop.call_later(ACCEPT_PAUSE_S, self._loop.add_reader, listener.fileno(), self._accept, listener)
        if not self._warned:
            self._warned = True
            limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
            text = f"no more than {len(self._connections)} connections: the limit of open files is {limit} (ulimit -n)"
            sys.stderr.write(f"reference server: {text}; raise it and start again\n")

    def _closed(self, connection: Connection) -> None:
        trace = self._connections.pop(connection)
        self._held_writes += connection.held_writes
        if trace is not None:
            trace.gone = len(trace.write_s) < self._writes(trace)

    # requests

    def _handle(self, connection: Connection, request: Request) -> None:
        close = self.settings.close or not request.keep_alive
        if request.method == "POST" and request.path in ("/v1/chat/completions", "/v1/completions", "/tokenize"):
            self._handle_body(connection, request, close=close)
        else:
            connection.reply(self._small_answer(request), close=close)

    def _small_answer(self, request: Request) -> bytes:
        match request.method, request.path:
            case "GET", "/health":
                return sized(b"", kind="text/plain")
            case "GET", "/v1/models":
                model = {"id": self.settings.model, "object": "model", "created": 0, "owned_by": "breakeven"}
                return sized(msgspec.json.encode({"object": "list", "data": [model]}))
            case "GET", "/metrics" if self.settings.metrics:
                return sized(self._gauges().encode(), kind="text/plain; version=0.0.4; charset=utf-8")
            case "GET", "/truth":
                return sized(msgspec.json.encode(self.truth()))
            case "POST", "/truth/dump":
                return self._dumped()
            case _:
                return MISSING

    def _handle_body(self, connection: Connection, request: Request, *, close: bool) -> None:
        try:
            body = _BODY.decode(request.body)
        except msgspec.MsgspecError as fault:
            connection.reply(error(f"request body: {fault}", status="400 Bad Request"), close=close)
            return
        refused = self._refused(body)
        if refused is not None:
            connection.reply(refused, close=close)
        elif request.path == "/tokenize":
            connection.reply(_tokenized(body), close=close)
        else:
            self._stream(connection, request, body=body, close=close)

    def _refused(self, body: _Body) -> bytes | None:
        if body.model not in (None, self.settings.model):
            return error(f"no model is called '{body.model}'; known: {self.settings.model}", status="404 Not Found")
        if not 1 <= self._output_tokens(body) <= MAX_OUTPUT_TOKENS:
            return error(f"max_tokens is not between 1 and {MAX_OUTPUT_TOKENS}", status="400 Bad Request")
        return None

    def _output_tokens(self, body: _Body) -> int:
        for given in (body.max_completion_tokens, body.max_tokens):
            if given is not None:
                return given
        return self.settings.output_tokens

    def _stream(self, connection: Connection, request: Request, *, body: _Body, close: bool) -> None:
        number, most = len(self._traces), self._output_tokens(body)
        tokens = self._answers.tokens(number, at_most=most)
        asked = Asked(
            chat=request.path == "/v1/chat/completions",
            input_tokens=body.input_tokens(),
            output_tokens=tokens,
            by_itself=tokens < most,
            usage=bool(body.stream_options and body.stream_options.include_usage) and self.settings.usage_in != "none",
        )
        trace = Trace(
            arrival_s=request.arrival_s,
            ttft_s=self._answers.ttft_s(number),
            peer_port=request.peer_port,
            tag=request.tag or body.tag(),
            input_tokens=asked.input_tokens,
            output_tokens=asked.output_tokens,
            streamed=bool(body.stream),
        )
        self._traces.append(trace)
        self._connections[connection] = trace
        if self.settings.slots and self._at_work >= self.settings.slots:
            connection.is_waiting = True
            self._waiting.append(_Waiting(connection, asked, trace, close))
        else:
            self._begin(connection, asked, trace=trace, close=close)

    def _answered(self, connection: Connection) -> None:
        """A slot is free: who has waited longest takes it from the moment at which the answer's end was due."""
        self._at_work -= 1
        freed_s = self._freed_s(self._connections[connection])
        while self._waiting and self._at_work < self.settings.slots:
            waiting = self._waiting.popleft()
            if waiting.connection.closed:
                continue
            waiting.connection.is_waiting = False
            waiting.trace.begun_s = max(waiting.trace.arrival_s, freed_s)
            self._begin(waiting.connection, waiting.asked, trace=waiting.trace, close=waiting.close)

    def _freed_s(self, trace: Trace | None) -> float:
        is_whole = trace is not None and len(trace.write_s) == self._writes(trace)
        return float(self._due_s(trace)[-1]) if trace is not None and is_whole and self._waiting else now_s()

    def _begin(self, connection: Connection, asked: Asked, *, trace: Trace, close: bool) -> None:
        self._at_work += 1
        answer = streamed(self.settings, asked) if trace.streamed else whole(self.settings, asked)
        until_close = trace.streamed and self.settings.body == "close"
        dues_s = None if self._machine.is_steady else self._due_s(trace).tolist()
        due_s = trace.begun_s + trace.ttft_s if dues_s is None else dues_s[0]
        connection.send(answer.head)
        stream = Stream(connection, answer.writes, due_s=due_s, stamps=trace.write_s, dues_s=dues_s)
        connection.begin(stream, last=close or until_close)
        self._schedule.add(stream)

    # what it tells of itself

    def _writes(self, trace: Trace) -> int:
        step = self.settings.burst * self.settings.tokens_per_event
        return -(-trace.output_tokens // step)

    def _due_s(self, trace: Trace) -> Seconds:
        steps_s = self.settings.itl_s * np.arange(self._writes(trace), dtype=np.float64)
        return self._machine.due_s(trace.begun_s, trace.ttft_s + steps_s)

    def _gauges(self) -> str:
        running = sum(connection.busy for connection in self._connections)
        label = f'{{model_name="{self.settings.model}"}}'
        return (
            f"# TYPE vllm:num_requests_running gauge\nvllm:num_requests_running{label} {running:.1f}\n"
            f"# TYPE vllm:num_requests_waiting gauge\nvllm:num_requests_waiting{label} {self._waits():.1f}\n"
        )

    def _waits(self) -> int:
        return sum(not waiting.connection.closed for waiting in self._waiting)

    def stamps(self) -> Stamps:
        """All that was kept so far."""
        return gather(self._traces, due=self._due_s)

    def truth(self) -> dict[str, Any]:
        """Counts, lateness and the settings, for `GET /truth`. Takes milliseconds where millions of stamps are kept."""
        stamps = self.stamps()
        wall_s = now_s() - self._started_s
        complete = sum(len(trace.write_s) == self._writes(trace) for trace in self._traces)
        return {
            "requests": len(self._traces),
            "complete": complete,
            "gone": sum(trace.gone for trace in self._traces),
            "running": sum(connection.busy for connection in self._connections),
            "connections": len(self._connections),
            "writes": int(stamps.write_s.size),
            "held_writes": self._held_writes + sum(c.held_writes for c in self._connections),
            **lateness_figures(stamps),
            "cpu_s": cpu_s(),
            "wall_s": wall_s,
            "settings": self.settings,
        }

    def save(self) -> None:
        """Write the stamps to their file, if one was named."""
        if self._stamps is not None:
            dump(self.stamps(), self._stamps)

    def _dumped(self) -> bytes:
        if self._stamps is None:
            return error("started without --stamps FILE: there is nowhere to write to", status="409 Conflict")
        self.save()
        return sized(msgspec.json.encode({"stamps": str(self._stamps)}))


def _tokenized(body: _Body) -> bytes:
    count = body.input_tokens()
    return sized(
        msgspec.json.encode({"count": count, "tokens": list(range(count)), "max_model_len": MAX_OUTPUT_TOKENS})
    )


def _send_at_once(listener: socket.socket) -> None:
    """Have the kernel send when we write: no waiting for more bytes, and no pacing as with BBR, a common default."""
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if hasattr(socket, "TCP_CONGESTION"):
        with contextlib.suppress(OSError):
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, b"reno")
