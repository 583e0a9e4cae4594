"""Asking one server a few things with the real client on its real loop, for tests of the client."""

import os
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import uvloop

from breakeven.client.answer import Meter
from breakeven.client.ask import Asker, Route, Seen, to_record
from breakeven.client.request import PATHS, RequestMaker
from breakeven.client.target import Access, resolve
from breakeven.clock import now_s
from breakeven.record import Record
from breakeven.workload.base import Ask
from fault_answers import Shape, send_head
from fault_server import FaultServer
from fault_wire import Play, Wire

Result = TypeVar("Result")


def body(model: str = "good", *, api: str = "chat", tokens: int = 4) -> bytes:
    """A request as the tool sends it."""
    maker = RequestMaker(api=api, model=model, exact_length_body={})
    if api == "chat":
        return maker.encode(Ask(messages=[{"role": "user", "content": "hi"}], output_tokens=tokens))
    return maker.encode(Ask(prompt="hi", output_tokens=tokens))


async def route(url: str, *, api: str = "chat", timeout_s: float = 10.0, **to: Any) -> Route:
    return Route(await resolve(Access(url=url, timeout_s=timeout_s, **to)), PATHS[api], meter=Meter())


def ask(url: str, *models: str, api: str = "chat", tokens: int = 4, timeout_s: float = 10.0, **to: Any) -> list[Seen]:
    """Ask for each model in turn, as one user."""

    async def all_of_them() -> list[Seen]:
        asker = Asker(await route(url, api=api, timeout_s=timeout_s, **to))
        seen = [await asker.ask(body(model, api=api, tokens=tokens), due_s=now_s()) for model in models]
        asker.drop()
        return seen

    return run(all_of_them)


def run(work: Callable[[], Awaitable[Result]]) -> Result:
    """Run on the loop that the tool uses."""

    async def main() -> Result:
        return await work()

    return uvloop.run(main())


def record(seen: Seen) -> Record:
    return to_record(seen, zero_s=0.0, user=0, k=0, due_s=0.0)


def steps_s(seen: Seen) -> list[float]:
    """Arrival of each chunk with text, in seconds after the request was sent."""
    assert seen.answer is not None
    steps_us = np.array(seen.answer.steps_us, dtype=np.float64)
    return [float(at_us) / 1e6 for at_us in np.cumsum(steps_us)]


def chunks(seen: Seen) -> int:
    return 0 if seen.answer is None else len(seen.answer.steps_us)


def raw(data: bytes, *, close: bool = False) -> Play:
    """Send these bytes as they are, then keep or close the connection."""

    def play(wire: Wire) -> None:
        wire.over()
        wire.send(data)
        if close:
            wire.close()

    return play


def sse(*events: bytes, line_end: bytes = b"\n") -> Play:
    """A streamed answer whose events have this data."""

    def play(wire: Wire) -> None:
        text = b"".join(b"data: " + data + 2 * line_end for data in events)
        send_head(wire, Shape(body="sized"), size=len(text))
        wire.over()
        wire.send(text)

    return play


def whole(status: int, data: bytes, *, kind: str = "application/json") -> Play:
    """An answer in one piece."""
    head = f"HTTP/1.1 {status} Said\r\nContent-Type: {kind}\r\nContent-Length: {len(data)}\r\n\r\n"
    return raw(head.encode() + data)


def open_sockets(server: FaultServer) -> set[int]:
    """Sockets that this process has open, but for those of a server in it."""
    files = (int(file.name) for file in Path("/proc/self/fd").iterdir())
    return {number for number in files if _port(number) not in (None, server.port)}


def _port(number: int) -> int | None:
    """The local port of a TCP socket, 0 where it has none; None for any other file."""
    try:
        copy = os.dup(number)
    except OSError:
        return None
    try:
        found = socket.socket(fileno=copy)
    except OSError:
        os.close(copy)
        return None
    with found:
        return int(found.getsockname()[1]) if found.family == socket.AF_INET else None
