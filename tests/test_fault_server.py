"""The fault server does what its plays say: each fault is seen with plain sockets, byte for byte."""

import contextlib
import http.client
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from fault_answers import answer
from fault_server import FaultServer, closed_port
from faults import PLAYS, break_off, needs_key, refuses_field, status, then_reset
from raw_client import Reply, ask, connect, read_reply, request_bytes
from waiting import comes_true

CHAT = "/v1/chat/completions"


@pytest.fixture(scope="module")
def server() -> Iterator[FaultServer]:
    with FaultServer() as running:
        yield running


def chat(model: str = "good", **fields: object) -> dict[str, object]:
    return {"model": model, "messages": [{"role": "user", "content": "hi"}], "stream": True, **fields}


def said(reply: Reply) -> str:
    """All text of a reply."""
    choices = [event["choices"][0] for event in reply.events() if event != "[DONE]" and event["choices"]]
    return "".join(choice["delta"].get("content") or "" for choice in choices)


def test_without_a_script_the_answer_is_a_good_one_with_known_timings(server: FaultServer) -> None:
    asked_s = time.perf_counter()
    reply = ask(server.url, CHAT, chat(max_tokens=4))
    assert said(reply) == " token" * 4
    assert reply.events()[-1] == "[DONE]"
    assert reply.events()[-2]["usage"]["completion_tokens"] == 4
    assert reply.reads[-1][0] - asked_s >= 0.02 + 3 * 0.005


def test_what_came_in_is_kept() -> None:
    with FaultServer() as server, connect(server.url) as connection:
        connection.sendall(request_bytes(CHAT, chat(seed=7), headers="Authorization: Bearer secret\r\n"))
        read_reply(connection)
        connection.sendall(request_bytes("/v1/models"))
        read_reply(connection)
    first, second = server.requests
    assert first.json["seed"] == 7
    assert first.headers["authorization"] == "Bearer secret"
    assert (first.connection, first.on_connection, second.connection, second.on_connection) == (0, 0, 0, 1)
    assert server.asked == [first]
    assert first.at_s <= first.write_s[0]


def test_the_most_requests_in_flight_are_counted() -> None:
    with FaultServer(answer(ttft_s=0.2)) as server:
        threads = [threading.Thread(target=ask, args=(server.url, CHAT, chat())) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        ask(server.url, CHAT, chat())
        assert server.max_in_flight == 3
        assert server.in_flight == 0


def test_plays_follow_one_another_and_the_last_goes_on() -> None:
    with FaultServer([answer(), status(429), status(503)]) as server:
        assert [ask(server.url, CHAT, chat()).status for _ in range(4)] == [200, 429, 503, 503]


def test_a_script_may_name_models_and_paths() -> None:
    with FaultServer({"sick": [status(500), answer()], "/v1/models": status(404), "*": status(401)}) as server:
        assert [ask(server.url, CHAT, chat("sick")).status for _ in range(2)] == [500, 200]
        assert ask(server.url, CHAT, chat("other")).status == 401
        assert ask(server.url, "/v1/models").status == 404
        assert ask(server.url, "/health").status == 200


def test_a_closed_port_refuses() -> None:
    with closed_port() as url, pytest.raises(ConnectionRefusedError):
        connect(url)


@pytest.mark.parametrize("code", [401, 403, 404, 429, 500, 503])
def test_error_statuses_carry_json(server: FaultServer, code: int) -> None:
    reply = ask(server.url, CHAT, chat(str(code)))
    assert reply.status == code
    assert json.loads(reply.body)["error"]["code"] == code


def test_a_web_page_may_stand_where_an_answer_should(server: FaultServer) -> None:
    reply = ask(server.url, CHAT, chat("html"))
    assert reply.status == 200
    assert reply.body.startswith(b"<html>")


def test_an_unknown_field_is_refused_until_it_is_left_out() -> None:
    with FaultServer(refuses_field("ignore_eos")) as server:
        assert ask(server.url, CHAT, chat(ignore_eos=True)).status == 422
        assert ask(server.url, CHAT, chat()).status == 200


def test_a_wrong_key_is_refused() -> None:
    with FaultServer(needs_key("right")) as server:
        for key, code in (("wrong", 401), ("right", 200)):
            with connect(server.url) as connection:
                connection.sendall(request_bytes(CHAT, chat(), headers=f"Authorization: Bearer {key}\r\n"))
                assert read_reply(connection).status == code


@pytest.mark.parametrize(("model", "events"), [("reset", 0), ("reset-midstream", 4)])
def test_a_reset_comes_as_a_reset(server: FaultServer, model: str, events: int) -> None:
    seen = b""
    with connect(server.url) as connection:
        connection.sendall(request_bytes(CHAT, chat(model)))
        with contextlib.suppress(ConnectionResetError):
            while data := connection.recv(65536):
                seen += data
            pytest.fail("the connection ended without a reset")
    assert seen.count(b"data: ") == events


@pytest.mark.parametrize(
    ("model", "events"),
    [("hang-up", 0), ("close-midstream", 4), ("close-midstream-until-close", 4), ("close-midstream-sized", 4)],
)
def test_a_clean_close_comes_as_the_end_of_the_bytes(server: FaultServer, model: str, events: int) -> None:
    with connect(server.url) as connection:
        connection.sendall(request_bytes(CHAT, chat(model)))
        reply = read_reply(connection)
    assert reply.closed
    assert reply.body.count(b"data: ") == events
    assert b"[DONE]" not in reply.body


def test_half_an_event_is_half_an_event(server: FaultServer) -> None:
    reply = ask(server.url, CHAT, chat("half-event"))
    assert reply.closed
    assert not reply.body.endswith(b"\n")
    with pytest.raises(json.JSONDecodeError):
        reply.events()


def test_broken_json_stands_in_a_stream_that_ends_well(server: FaultServer) -> None:
    reply = ask(server.url, CHAT, chat("broken-json"))
    assert not reply.closed
    assert reply.body.endswith(b"data: [DONE]\n\n")
    with pytest.raises(json.JSONDecodeError):
        reply.events()


@pytest.mark.parametrize(("model", "index"), [("error-event", -2), ("error-event-first", -2)])
def test_an_error_may_stand_inside_a_stream_of_status_200(server: FaultServer, model: str, index: int) -> None:
    reply = ask(server.url, CHAT, chat(model))
    assert reply.status == 200
    assert reply.events()[index]["error"]["code"] == 500


@pytest.mark.parametrize("model", ["stall", "stall-midstream"])
def test_a_stall_says_no_more_and_notices_when_the_client_goes(model: str) -> None:
    with FaultServer() as server:
        with connect(server.url) as connection:
            connection.sendall(request_bytes(CHAT, chat(model)))
            connection.settimeout(0.2)
            with pytest.raises(TimeoutError):
                read_reply(connection)
            assert server.in_flight == 1
        assert comes_true(lambda: server.in_flight == 0)


def test_an_endless_answer_goes_on_beyond_max_tokens(server: FaultServer) -> None:
    with connect(server.url) as connection:
        connection.sendall(request_bytes(CHAT, chat("endless", max_tokens=5)))
        seen = b""
        while seen.count(b"data: ") < 20:
            seen += connection.recv(65536)


@pytest.mark.parametrize(("model", "asked_again"), [("close-at-once", 0), ("close-on-next", 1)])
def test_a_connection_may_close_though_it_was_to_be_kept(model: str, asked_again: int) -> None:
    with FaultServer() as server, connect(server.url) as connection:
        connection.sendall(request_bytes(CHAT, chat(model)))
        reply = read_reply(connection)
        assert "Connection: keep-alive" in reply.head
        assert reply.events()[-1] == "[DONE]"
        if asked_again:
            connection.sendall(request_bytes(CHAT, chat(model)))
        assert connection.recv(100) == b""
        assert len(server.requests) == 1 + asked_again


@pytest.mark.parametrize(
    ("model", "holds"),
    [
        ("no-done", lambda reply: "[DONE]" not in reply.events()),
        ("no-usage", lambda reply: b"usage" not in reply.body),
        ("usage-finish", lambda reply: reply.events()[-2]["choices"] and usage(reply, -2) == 8),
        ("usage-every", lambda reply: [usage(reply, i) for i in range(1, 9)] == list(range(1, 9))),
        ("cached", lambda reply: reply.events()[-2]["usage"]["prompt_tokens_details"] == {"cached_tokens": 4}),
        ("sized", lambda reply: f"Content-Length: {len(reply.body)}\r\n" in reply.head + "\r\n"),
        ("until-close", lambda reply: reply.closed and "Connection: close" in reply.head),
        ("close-announced", lambda reply: "Connection: close" in reply.head),
        ("byte-chunks", lambda reply: sum(read.count(b"1\r\n") for _, read in reply.reads) >= len(reply.body)),
        ("dribble", lambda reply: len(reply.reads) > 50),
        ("comments", lambda reply: reply.body.count(b": ping\n") == 11),
        ("burst", lambda reply: max(read.count(b"data: ") for _, read in reply.reads) >= 3),
        ("speculative", lambda reply: [texts(event) for event in reply.events()[1:4]] == [3, 3, 2]),
        ("empty-first", lambda reply: reply.events()[1]["choices"][0]["delta"] == {"content": ""}),
        ("reasoning", lambda reply: "reasoning_content" in reply.events()[3]["choices"][0]["delta"]),
        ("no-role", lambda reply: "role" not in reply.events()[0]["choices"][0]["delta"]),
        ("wrong-type", lambda reply: "Content-Type: text/plain" in reply.head),
        ("huge-headers", lambda reply: len(reply.head) > 100_000),
        ("slow-headers", lambda reply: reply.reads[-1][0] - reply.reads[0][0] > 0.08),
        ("plain-json", lambda reply: json.loads(reply.body)["usage"]["completion_tokens"] == 8),
    ],
)
def test_an_answer_has_the_shape_of_its_play(server: FaultServer, model: str, holds: Callable[[Reply], bool]) -> None:
    assert holds(ask(server.url, CHAT, chat(model)))


def texts(event: Any) -> int:
    """Tokens in an event."""
    return int(event["choices"][0]["delta"]["content"].count(" token"))


def usage(reply: Reply, index: int) -> int:
    """Output tokens by the usage of an event."""
    return int(reply.events()[index]["usage"]["completion_tokens"])


def test_lines_may_end_with_crlf(server: FaultServer) -> None:
    reply = ask(server.url, CHAT, chat("crlf"))
    assert reply.body.count(b"\r\n\r\n") == reply.body.count(b"\n") / 2 == 12


def test_multi_byte_characters_are_cut_between_writes(server: FaultServer) -> None:
    reply = ask(server.url, CHAT, chat("multi-byte", max_tokens=3))
    assert said(reply) == " né漢🙂" * 3
    pieces = [data for _, data in reply.reads]
    with pytest.raises(UnicodeDecodeError):
        [piece.decode() for piece in pieces]


def test_interim_answers_come_before_the_real_one(server: FaultServer) -> None:
    host = server.url.removeprefix("http://")
    connection = http.client.HTTPConnection(host, timeout=10)
    connection.request("POST", CHAT, json.dumps(chat("continue")))
    answered = connection.getresponse()
    assert answered.status == 200
    assert answered.read().endswith(b"data: [DONE]\n\n")
    connection.close()
    with connect(server.url) as raw:
        raw.sendall(request_bytes(CHAT, chat("early-hints")))
        assert raw.recv(20).startswith(b"HTTP/1.1 103")


def test_a_certificate_is_good_only_with_its_authority_and_its_name() -> None:
    with FaultServer(tls="good") as server:
        trusting = ssl.create_default_context(cafile=server.ca_file)
        with connect(server.url) as raw, trusting.wrap_socket(raw, server_hostname="127.0.0.1") as connection:
            connection.sendall(request_bytes(CHAT, chat()))
            assert said(read_reply(connection)) == " token" * 8
        refused(server, ssl.create_default_context())
        assert comes_true(lambda: server.failed_handshakes == 1)
    with FaultServer(tls="other_name") as server:
        refused(server, ssl.create_default_context(cafile=server.ca_file))


def refused(server: FaultServer, context: ssl.SSLContext) -> None:
    with connect(server.url) as raw, pytest.raises(ssl.SSLCertVerificationError):
        context.wrap_socket(raw, server_hostname="127.0.0.1")


def test_every_play_but_the_endless_ones_comes_to_an_end_by_itself() -> None:
    models = [name for name in PLAYS if name not in ("stall", "stall-midstream", "endless")]
    with FaultServer() as server, contextlib.ExitStack() as stack:
        for model in models:
            stack.enter_context(connect(server.url)).sendall(request_bytes(CHAT, chat(model, max_tokens=4)))
        assert comes_true(lambda: len(server.asked) == len(models))
        assert comes_true(lambda: all(request.ended_s for request in server.asked))


def test_closing_the_server_ends_plays_under_way() -> None:
    with FaultServer(break_off(then_reset, after=1, itl_s=60)) as server:
        connection = socket.create_connection(("127.0.0.1", server.port), timeout=10)
        connection.sendall(request_bytes(CHAT, chat()))
        assert connection.recv(100)
    connection.close()
