"""Connections are kept, given up and opened again as they should be; a cut is a result; no socket is left behind."""

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator

import msgspec
import pytest

from asking import ask, body, chunks, open_sockets, record, route, run, steps_s
from breakeven.client.ask import Asker, Seen, fetch
from breakeven.client.target import Access, resolve
from breakeven.clock import now_s
from fault_answers import answer
from fault_server import FaultServer
from fault_wire import Wire
from faults import PLAYS, hang_up, needs_key, reset, status

KEY = "sk-very-secret-0123"


# reuse


@pytest.mark.parametrize("shape", ["good", "sized", "no-done", "burst", "dribble", "plain-json", "404", "500"])
def test_a_connection_is_kept_after_a_whole_answer(shape: str) -> None:
    with FaultServer() as server:
        seen = ask(server.url, shape, shape, shape)
        assert server.connections == 1
    assert [one.connect_s is None for one in seen] == [False, True, True]
    assert not any(one.reconnected for one in seen)


@pytest.mark.parametrize("shape", ["close-announced", "until-close"])
def test_a_connection_whose_end_was_announced_is_not_tried_again(shape: str) -> None:
    with FaultServer() as server:
        seen = ask(server.url, shape, shape, shape)
        assert (server.connections, len(server.asked)) == (3, 3)
    assert all(one.status == "done" and not one.reconnected and one.connect_s is not None for one in seen)


@pytest.mark.parametrize("shape", ["error-event", "broken-json", "stall-midstream", "html"])
def test_after_an_error_the_next_request_is_good(shape: str) -> None:
    with FaultServer() as server:
        seen = ask(server.url, shape, "good", shape, "good", timeout_s=0.3)
    assert [one.status for one in seen] == ["error", "done", "error", "done"]


def test_a_kept_connection_that_closed_meanwhile_costs_nothing_but_a_new_one() -> None:
    async def ask_twice() -> list[Seen]:
        asker = Asker(await route(server.url))
        first = await asker.ask(body("close-at-once"), due_s=now_s())
        await asyncio.sleep(0.1)  # the EOF is seen while nobody asks
        second = await asker.ask(body(), due_s=now_s())
        asker.drop()
        return [first, second]

    with FaultServer() as server:
        first, second = run(ask_twice)
        assert len(server.asked) == 2
    assert (first.status, second.status, second.reconnected) == ("done", "done", False)


def test_a_kept_connection_closed_before_the_first_byte_is_replaced_once_without_an_error() -> None:
    with FaultServer() as server:
        seen = ask(server.url, "close-on-next", "good")
        assert server.connections == 2
    assert [one.status for one in seen] == ["done", "done"]
    assert [one.reconnected for one in seen] == [False, True]
    assert chunks(seen[1]) == 4
    assert seen[1].connect_s is not None


@pytest.mark.parametrize("fault", [hang_up(), reset()])
def test_a_kept_connection_that_breaks_at_the_next_request_is_replaced(fault: Callable[[Wire], None]) -> None:
    with FaultServer([answer(), fault, answer()]) as server:
        seen = ask(server.url, "good", "good")
        assert [one.connection for one in server.asked] == [0, 0, 1]
    assert [(one.status, one.reconnected) for one in seen] == [("done", False), ("done", True)]


def test_a_request_is_sent_again_only_once() -> None:
    with FaultServer([answer(), hang_up(), hang_up(), answer()]) as server:
        seen = ask(server.url, "good", "good", "good")
        assert len(server.asked) == 4
    assert [(one.status, one.error, one.reconnected) for one in seen] == [
        ("done", None, False),
        ("error", "closed", True),
        ("done", None, False),
    ]


@pytest.mark.parametrize(("fault", "kind"), [(hang_up(), "closed"), (reset(), "reset")])
def test_a_fresh_connection_that_breaks_is_an_error(fault: Callable[[Wire], None], kind: str) -> None:
    with FaultServer([fault, answer()]) as server:
        seen = ask(server.url, "good", "good")
        assert len(server.asked) == 2
    assert [(one.error, one.reconnected) for one in seen] == [(kind, False), (None, False)]


def test_a_kept_connection_that_breaks_after_the_first_byte_is_an_error() -> None:
    with FaultServer([answer(), PLAYS["close-midstream"], answer()]) as server:
        seen = ask(server.url, "good", "good", "good")
        assert len(server.asked) == 3
    assert [one.error for one in seen] == [None, "closed", None]


def test_a_server_that_never_keeps_what_it_promised_is_asked_on_fresh_connections() -> None:
    models = ["close-on-next"] * 6
    with FaultServer() as server:
        seen = ask(server.url, *models)
    assert [one.reconnected for one in seen] == [False, True, True, True, False, False]
    assert all(one.status == "done" for one in seen)


def test_the_time_to_connect_again_counts_from_when_the_request_was_due() -> None:
    with FaultServer([answer(), hang_up(), answer(ttft_s=0.05)]) as server:
        seen = ask(server.url, "good", "good")
    kept = record(seen[1])
    assert kept.sent_s is not None
    assert kept.connect_s is not None
    assert kept.end_s - kept.sent_s >= 0.05
    assert steps_s(seen[1])[0] >= 0.049


# cutting


def cut_after(delay_s: float, url: str, model: str, *, timeout_s: float = 10.0) -> tuple[Seen, float]:
    """Ask, cancel the task after a while; what was seen, and how long the cut took."""

    async def cut_it() -> tuple[Seen, float]:
        asker = Asker(await route(url, timeout_s=timeout_s))
        task = asyncio.create_task(asker.ask(body(model, tokens=100), due_s=now_s()))
        await asyncio.sleep(delay_s)
        cut_s = now_s()
        task.cancel()
        seen = await task
        took_s = now_s() - cut_s
        asker.drop()
        assert task.cancelling() == 0
        return seen, took_s

    return run(cut_it)


def test_a_cut_keeps_the_chunks_so_far_and_is_no_error() -> None:
    with FaultServer(answer(itl_s=0.02)) as server:
        seen, took_s = cut_after(0.22, server.url, "good")
    assert (seen.status, seen.error) == ("cut", None)
    assert 5 <= chunks(seen) <= 11
    assert took_s < 0.05
    assert record(seen).output_tokens is None


def test_a_cut_before_the_first_byte_is_a_cut() -> None:
    with FaultServer() as server:
        seen, _ = cut_after(0.05, server.url, "stall")
    assert (seen.status, chunks(seen)) == ("cut", 0)
    assert record(seen).sent_s is not None


@pytest.fixture
def full_port() -> Iterator[str]:
    """URL of a port that takes no more connections: to connect takes for ever."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        waiting = [socket.socket() for _ in range(3)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(listener.getsockname())
        time.sleep(0.05)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        for one in waiting:
            one.close()


def test_a_cut_while_connecting_is_a_cut(full_port: str) -> None:
    seen, took_s = cut_after(0.1, full_port, "good")
    assert (seen.status, seen.sent_s, seen.answer) == ("cut", None, None)
    assert took_s < 0.05


def test_a_timeout_while_connecting_is_a_timeout(full_port: str) -> None:
    began_s = time.perf_counter()
    seen = ask(full_port, "good", timeout_s=0.3)[0]
    assert (seen.status, seen.error, seen.sent_s) == ("error", "timeout", None)
    assert time.perf_counter() - began_s < 1


def test_the_server_sees_a_cut_at_once() -> None:
    with FaultServer(answer(itl_s=0.02)) as server:
        cut_after(0.1, server.url, "good")
        until_s = time.perf_counter() + 2
        while server.in_flight and time.perf_counter() < until_s:
            time.sleep(0.01)
        assert server.in_flight == 0


# sockets


async def left_behind(server: FaultServer, *, before: set[int]) -> set[int]:
    """Sockets that were not open before, looked at until there are none or two seconds have passed."""
    until_s = now_s() + 2
    while open_sockets(server) - before and now_s() < until_s:  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    return open_sockets(server) - before


@pytest.mark.parametrize(
    "plays",
    [
        ["good"] * 5,
        ["reset", "hang-up", "stall", "reset-midstream", "half-event", "endless"],
        ["close-on-next"] * 5,
        ["html", "broken-json", "404", "until-close", "wrong-type"],
    ],
)
def test_no_socket_is_left_behind(plays: list[str]) -> None:
    async def left() -> set[int]:
        before = open_sockets(server)
        asker = Asker(await route(server.url, timeout_s=0.2))
        for model in plays:
            await asker.ask(body(model), due_s=now_s())
        asker.drop()
        return await left_behind(server, before=before)

    with FaultServer() as server:
        assert run(left) == set()


@pytest.mark.parametrize("delay_s", [0.0, 0.0005, 0.001, 0.005, 0.05])
def test_no_socket_is_left_behind_by_a_cut_at_any_time(delay_s: float) -> None:
    async def one(asker: Asker) -> None:
        await asker.ask(body("stall"), due_s=now_s())

    async def left() -> set[int]:
        before = open_sockets(server)
        chosen = await route(server.url)
        askers = [Asker(chosen) for _ in range(20)]
        tasks = [asyncio.create_task(one(asker)) for asker in askers]
        await asyncio.sleep(delay_s)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for asker in askers:
            asker.drop()
        return await left_behind(server, before=before)

    with FaultServer() as server:
        assert run(left) == set()


# TLS and keys


def test_a_good_certificate_is_trusted_by_the_file_of_the_authority() -> None:
    with FaultServer(tls="good") as server:
        seen = ask(server.url, "good", "good", "until-close", ca_file=server.ca_file)
        assert server.connections == 1
    assert [one.status for one in seen] == ["done"] * 3


def test_an_unknown_authority_is_a_clear_error() -> None:
    with FaultServer(tls="good") as server:
        seen = ask(server.url, "good")[0]
    assert (seen.status, seen.error) == ("error", "certificate")
    assert seen.error_text is not None
    assert seen.error_text.startswith("the certificate is not valid: ")
    assert "issuer" in seen.error_text


def test_a_certificate_of_another_name_is_a_clear_error() -> None:
    with FaultServer(tls="other_name") as server:
        seen = ask(server.url, "good", ca_file=server.ca_file)[0]
    assert seen.error == "certificate"
    assert "127.0.0.1" in (seen.error_text or "")


def test_tls_to_a_server_without_tls_is_a_clear_error() -> None:
    def refuse() -> None:
        connected, _ = listener.accept()
        with connected:
            connected.recv(65536)
            connected.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=refuse)
        thread.start()
        seen = ask(f"https://127.0.0.1:{listener.getsockname()[1]}", "good", timeout_s=2)[0]
        thread.join()
    assert (seen.status, seen.error) == ("error", "tls")
    assert (seen.error_text or "").startswith("TLS failed: ")


def test_plain_http_to_a_server_with_tls_is_an_error() -> None:
    with FaultServer(tls="good") as server:
        seen = ask(server.url.replace("https:", "http:"), "good", timeout_s=2)[0]
    assert seen.status == "error"
    assert seen.error in ("closed", "reset", "bad_http")


def test_the_key_is_sent_as_a_bearer() -> None:
    with FaultServer(needs_key(KEY)) as server:
        assert ask(server.url, "good", api_key=KEY)[0].status == "done"
        assert ask(server.url, "good")[0].error == "http_401"
        assert server.asked[0].headers["authorization"] == f"Bearer {KEY}"


def test_a_key_that_the_server_repeats_is_in_no_record() -> None:
    def repeats(wire: Wire) -> None:
        status(401, message=f"the key {KEY} is wrong")(wire)

    def finishes(wire: Wire) -> None:
        text = b'data: {"choices":[{"text":"x","finish_reason":"%b"}]}\n\n' % KEY.encode()
        wire.send(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: %d\r\n\r\n" % len(text) + text
        )

    with FaultServer([repeats, finishes]) as server:
        seen = ask(server.url, "good", "good", api_key=KEY)
    assert KEY not in msgspec.json.encode([record(one) for one in seen]).decode()
    assert [record(one).error_text for one in seen] == ["the key [key] is wrong", None]


def test_a_plain_request_sends_the_key_too() -> None:
    async def models() -> tuple[int, bytes, bytes]:
        return await fetch(await resolve(Access(url=server.url, api_key=KEY)), "/v1/models")

    with FaultServer() as server:
        assert run(models)[0] == 200
        assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"
