"""A request leaves nothing that only the garbage collector could free: it is off while a level runs."""

import asyncio
import gc
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from asking import body, route, run
from breakeven.client.ask import Asker
from breakeven.client.reference import ReferenceServer, Settings
from breakeven.clock import now_s
from breakeven.load.crew import LocalCrew
from fault_server import FaultServer, closed_port
from faults import PLAYS
from levels import a_crew, a_level, a_plan

TIMES = 3
OURS = ("breakeven.", "httptools")


@contextmanager
def uncollected() -> Iterator["Counter[str]"]:
    """The client's objects that had to be collected at the end, by their types."""
    found: Counter[str] = Counter()
    gc.collect()
    gc.set_debug(gc.DEBUG_SAVEALL)
    gc.disable()
    try:
        yield found
        gc.collect()
        found.update(type(thing).__name__ for thing in gc.garbage if type(thing).__module__.startswith(OURS))
    finally:
        gc.enable()
        gc.set_debug(0)
        gc.garbage.clear()


async def asked(url: str, play: str, **to: Any) -> None:
    asker = Asker(await route(url, timeout_s=0.3, **to))
    for _ in range(TIMES):
        await asker.ask(body(play), due_s=now_s())
    asker.drop()
    await asyncio.sleep(0.25)  # what waits for a late end of a body, and for closing sockets


@pytest.mark.parametrize("play", PLAYS)
def test_no_answer_and_no_fault_leaves_garbage(play: str) -> None:
    with FaultServer() as server, uncollected() as found:
        run(lambda: asked(server.url, play))
    assert not found


@pytest.mark.parametrize("said", [b"SSH-2.0-OpenSSH_9.6\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"])
def test_what_is_no_http_leaves_no_garbage(said: bytes) -> None:
    with FaultServer(lambda wire: wire.send(said)) as server, uncollected() as found:
        run(lambda: asked(server.url, "good"))
    assert not found


def test_a_server_that_refuses_leaves_no_garbage() -> None:
    with closed_port() as url, uncollected() as found:
        run(lambda: asked(url, "good"))
    assert not found


@pytest.mark.parametrize("play", ["good", "close-announced", "reset-midstream"])
def test_tls_leaves_no_garbage(play: str) -> None:
    with FaultServer(tls="good") as server, uncollected() as found:
        run(lambda: asked(server.url, play, ca_file=str(server.ca_file)))
    assert not found


async def nothing() -> None:
    """Leave the garbage where it is."""


@pytest.mark.parametrize("load", [{"users": 4}, {"users": None, "req_per_s": 100.0}], ids=["closed", "open"])
@pytest.mark.parametrize("close", [False, True], ids=["kept", "closed-by-the-server"])
def test_a_level_leaves_no_garbage(load: dict[str, object], close: bool) -> None:
    ended = 0

    async def measured(url: str) -> None:
        nonlocal ended
        async with a_crew(url, is_open=load["users"] is None) as crew:
            assert isinstance(crew, LocalCrew)
            crew.make_ready = nothing  # type: ignore[method-assign]  # it would freeze what is looked for
            ended = len((await a_level(crew, a_plan(**load, duration_s=1.0))).records)

    with ReferenceServer(Settings(ttft_s=0.005, itl_s=0.001, close=close)) as server, uncollected() as found:
        run(lambda: measured(server.url))
    assert ended > 50
    assert not found
