"""Plain connections: read late they are stamped in time, first tokens go first, and nothing is left behind."""

import asyncio
import socket
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from asking import body, route, run, steps_s
from breakeven.client.ask import Asker, Seen
from breakeven.client.reference import ReferenceServer, Settings
from breakeven.client.request import RequestMaker
from breakeven.client.wire import FIRST_READS_AT_ONCE, READS_AT_ONCE, Wire, Wires, open_wire, read_arrived
from breakeven.clock import now_s
from breakeven.workload.base import Ask
from fault_answers import answer
from fault_server import FaultServer

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other systems leave every connection to asyncio")


class Ear:
    """Notes what a wire brings."""

    def __init__(self, name: int = 0, heard: list[int] | None = None) -> None:
        self.name = name
        self.heard = [] if heard is None else heard
        self.data = b""
        self.stamps: list[float] = []
        self.ends: list[Exception | None] = []
        self.eof = False

    def received(self, data: bytes, stamp_s: float) -> None:
        self.stamps.append(stamp_s)
        self.data_received(data)

    def data_received(self, data: bytes) -> None:
        self.data += data
        self.heard.append(self.name)

    def eof_received(self) -> None:
        self.eof = True

    def connection_lost(self, exc: Exception | None) -> None:
        self.ends.append(exc)


def held_up(url: str, *, tokens: int, hold_s: float) -> Seen:
    """Ask while something else has the client's loop most of the time."""

    async def all_of_it() -> Seen:
        asker = Asker(await route(url))
        asked = asyncio.create_task(asker.ask(body(tokens=tokens), due_s=now_s()))
        loop = asyncio.get_running_loop()
        while not asked.done():
            await asyncio.sleep(0.001)
            loop.call_soon(time.sleep, hold_s)
        asker.drop()
        return await asked

    return run(all_of_it)


def test_tokens_that_are_read_late_have_the_time_of_their_arrival() -> None:
    with FaultServer(answer(ttft_s=0.1, itl_s=0.1)) as server:
        seen = held_up(server.url, tokens=5, hold_s=0.07)
        truth = server.asked[0]
    assert seen.sent_s is not None
    late_s = seen.sent_s + np.array(steps_s(seen)) - np.array(truth.write_s[2:7])  # head and role were written before
    assert np.median(late_s) < 0.005  # a stamp taken on the read would be 0.035 s late on average
    assert late_s.min() > -1e-4


def test_stamps_are_counted_by_whose_they_are() -> None:
    left, right = socket.socketpair()  # no TCP: the kernel stamps nothing
    with FaultServer(answer(itl_s=0.02)) as server:

        async def both() -> tuple[int, int, list[float]]:
            to = await route(server.url)
            asker = Asker(to)
            await asker.ask(body(tokens=8), due_s=now_s())
            asker.drop()
            ear = Ear()
            right.setblocking(False)
            wires = Wires(asyncio.get_running_loop())
            wire = Wire(right, wires, ear)
            left.send(b"x")
            await asyncio.sleep(0.05)
            wire.abort()
            assert ear.data == b"x"
            return to.meter.reads, to.meter.own_stamps, ear.stamps

        reads, own, stamps = run(both)
    left.close()
    assert reads >= 8
    assert own <= 2  # the kernel begins to stamp a moment after the first socket asked for it
    assert not stamps


def test_who_waits_for_a_first_token_is_read_before_the_others() -> None:
    many = 3 * READS_AT_ONCE
    pairs = [socket.socketpair() for _ in range(many)]
    heard: list[int] = []

    async def read() -> None:
        wires = Wires(asyncio.get_running_loop())
        own = []
        for number, (_, right) in enumerate(pairs):
            right.setblocking(False)
            own.append(Wire(right, wires, Ear(number, heard)))
        for wire in own:
            wire.awaits_first(False)
        for number, (left, _) in enumerate(pairs):
            left.send(b"x")
            if number == many // 2:
                own[-1].awaits_first(True)
                pairs[-1][0].send(b"x")
        await asyncio.sleep(0.05)
        for wire in own:
            wire.abort()

    run(read)
    for left, _ in pairs:
        left.close()
    assert sorted(set(heard)) == list(range(many))
    assert heard.index(many - 1) <= READS_AT_ONCE


def test_what_has_come_by_now_is_read_at_once() -> None:
    many = FIRST_READS_AT_ONCE + 10
    pairs = [socket.socketpair() for _ in range(many)]
    heard: list[int] = []

    async def read() -> int:
        wires = Wires(asyncio.get_running_loop())
        own = []
        for number, (left, right) in enumerate(pairs):
            right.setblocking(False)
            own.append(Wire(right, wires, Ear(number, heard)))
            own[-1].awaits_first(number % 2 == 0)
            left.send(b"x")
        wires.read_arrived()
        at_once = len(heard)
        for wire in own:
            wire.abort()
        return at_once

    assert run(read) == many
    for left, _ in pairs:
        left.close()


def test_reading_what_has_come_without_any_connection_is_nothing() -> None:
    async def read() -> None:
        read_arrived()

    run(read)


def test_a_body_that_the_socket_does_not_take_at_once_goes_out_whole() -> None:
    words = 4_000_000
    with ReferenceServer(Settings(output_tokens=2)) as server:

        async def send() -> Seen:
            asker = Asker(await route(server.url))
            maker = RequestMaker(api="chat", model=Settings().model, exact_length_body={})
            message = {"role": "user", "content": "x " * words}
            seen = await asker.ask(maker.encode(Ask(messages=[message], output_tokens=2)), due_s=now_s())
            asker.drop()
            return seen

        seen = run(send)
    assert seen.status == "done", seen.error_text
    assert seen.answer is not None
    assert seen.answer.input_tokens == words


@pytest.mark.parametrize("how", ["close", "reset"])
def test_an_end_is_told_once(how: str) -> None:
    async def both() -> Ear:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            ear = Ear()
            address, port = listener.getsockname()
            wire = await open_wire(address, port, ear)
            server, _ = listener.accept()
            if how == "reset":
                server.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            server.close()
            await asyncio.sleep(0.05)
            wire.abort()
            wire.write(b"to nobody")
            wire.awaits_first(False)
            await asyncio.sleep(0.01)
            return ear

    ear = run(both)
    assert len(ear.ends) == 1
    assert ear.eof == (how == "close")
    assert isinstance(ear.ends[0], ConnectionResetError) == (how == "reset")


def test_nothing_is_left_open() -> None:
    def files() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    with FaultServer(answer()) as server:

        async def twice() -> tuple[int, int]:
            counts = []
            for _ in range(2):
                asker = Asker(await route(server.url))
                await asker.ask(body(), due_s=now_s())
                asker.drop()
                await asyncio.sleep(0.05)
                counts.append(files())
            return counts[0], counts[1]

        first, second = run(twice)
    assert first == second
