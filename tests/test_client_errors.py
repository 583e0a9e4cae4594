"""Whatever a server does wrong becomes the error of one request, with the right kind; nothing stops the run."""

import asyncio
import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asking import ask, body, chunks, raw, record, route, run, sse, whole
from breakeven.client import reply as reply_module
from breakeven.client.answer import Meter, StreamAnswer
from breakeven.client.ask import Asker, FetchError, fetch
from breakeven.client.target import Access, resolve
from breakeven.clock import now_s
from fault_answers import answer
from fault_server import FaultServer, closed_port
from fault_wire import Play, Wire
from faults import PLAYS

KINDS = {
    "404": "http_404",
    "401": "http_401",
    "403": "http_403",
    "429": "http_429",
    "500": "http_500",
    "503": "http_503",
    "html": "not_openai",
    "reset": "reset",
    "hang-up": "closed",
    "reset-midstream": "reset",
    "close-midstream": "closed",
    "close-midstream-sized": "closed",
    "close-midstream-until-close": "bad_stream",
    "half-event": "bad_stream",
    "broken-json": "bad_json",
    "error-event": "stream_error",
    "error-event-first": "stream_error",
    "stall": "timeout",
    "stall-midstream": "timeout",
    "endless": "timeout",
}


@pytest.mark.parametrize(("play", "kind"), KINDS.items())
def test_a_fault_has_its_kind_and_the_next_request_goes_well(play: str, kind: str) -> None:
    with FaultServer() as server:
        seen, after = ask(server.url, play, "good", timeout_s=0.4)
    assert (seen.status, seen.error) == ("error", kind)
    assert seen.error_text
    assert after.status == "done"


@pytest.mark.parametrize("play", ["reset-midstream", "close-midstream", "half-event", "broken-json", "stall-midstream"])
def test_the_chunks_before_a_fault_are_kept(play: str) -> None:
    with FaultServer() as server:
        assert chunks(ask(server.url, play, timeout_s=0.4)[0]) == 3


def test_an_error_keeps_what_the_server_said() -> None:
    with FaultServer() as server:
        web, event, page = ask(server.url, "404", "error-event", "html")
    assert (web.error_text, event.error_text) == ("no such model", "the engine ran out of memory")
    assert page.error_text is not None
    assert "Please log in" in page.error_text


def test_a_port_that_nobody_listens_on_refuses() -> None:
    with closed_port() as url:
        seen = ask(url, "good")[0]
    assert (seen.status, seen.error, seen.error_text) == ("error", "connect", "the server refuses connections")
    assert record(seen).sent_s is None


DEEP = 100_000
CHUNK = b'{"choices":[{"text":"x"}]}'
HOSTILE_EVENTS = {
    "a number": b"5",
    "a list": b"[]",
    "null": b"null",
    "words": b"hello",
    "half": b'{"choices":[',
    "choices of the wrong type": b'{"choices":{"0":{}}}',
    "a null choice": b'{"choices":[null]}',
    "text of the wrong type": b'{"choices":[{"text":7}]}',
    "lists without end": b'{"x":' + b"[" * DEEP + b"]" * DEEP + b"}",
    "objects without end": b'{"x":' * DEEP + b"1" + b"}" * DEEP,
    "an error without end": b'{"error":' * DEEP + b"1" + b"}" * DEEP,
    "a finish_reason of the wrong type": b'{"choices":[{"text":"x","finish_reason":{}}]}',
}


@pytest.mark.parametrize("event", HOSTILE_EVENTS.values(), ids=HOSTILE_EVENTS.keys())
def test_hostile_json_in_a_stream_is_an_error_of_that_request(event: bytes) -> None:
    with FaultServer([sse(CHUNK, event, b"[DONE]"), answer()]) as server:
        seen, after = ask(server.url, "good", "good")
    assert (seen.status, seen.error, chunks(seen)) == ("error", "bad_json", 1)
    assert len(record(seen).error_text or "") <= 500
    assert after.status == "done"


@pytest.mark.parametrize("event", HOSTILE_EVENTS.values(), ids=HOSTILE_EVENTS.keys())
def test_hostile_json_in_one_piece_is_an_error_of_that_request(event: bytes) -> None:
    with FaultServer([whole(200, event), whole(500, event), answer()]) as server:
        good, bad, after = ask(server.url, "good", "good", "good")
    assert (good.status, good.error) == ("error", "not_openai")
    assert (bad.status, bad.error) == ("error", "http_500")
    assert after.status == "done"


KEYS = st.sampled_from(
    ["choices", "usage", "error", "object", "delta", "text", "content", "completion_tokens", "message", "finish_reason"]
)
LEAVES = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=3)
JSON = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner), max_leaves=8)


@given(st.lists(JSON.map(json.dumps) | st.text(max_size=9), min_size=1, max_size=3), st.booleans())
def test_no_event_whatever_raises(events: list[str], is_stream: bool) -> None:
    answer = judged(*(event.encode() for event in events), is_stream=is_stream)
    assert answer.error in (None, "bad_json", "bad_stream", "stream_error", "not_openai")


def judged(*events: bytes, is_stream: bool) -> StreamAnswer:
    """An answer that has taken in these events, without a socket."""
    loop = asyncio.new_event_loop()
    try:
        answer = StreamAnswer(loop.create_future(), meter=Meter())
        text = b"".join(b"data: " + event + b"\n\n" for event in events) if is_stream else events[0]
        kind = "text/event-stream" if is_stream else "application/json"
        head = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {len(text)}\r\n\r\n"
        assert answer.parser is not None
        answer.parser.feed_data(head.encode() + text)
        answer.conclude()
    finally:
        loop.close()
    return answer


NO_HTTP = {
    "another protocol": b"SSH-2.0-OpenSSH_9.6\r\n",
    "nothing sensible": b"\x00\xff\x00\xff\r\n\r\n",
    "a status that is none": b"HTTP/1.1 abc OK\r\n\r\n",
    "a length that is none": b"HTTP/1.1 200 OK\r\nContent-Length: lots\r\n\r\n",
    "a length beyond 64 bits": b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 40 + b"\r\n\r\n",
    "a negative length": b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
    "a chunk size that is none": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
    "another protocol after 101": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\nPRI",
}


@pytest.mark.parametrize("data", NO_HTTP.values(), ids=NO_HTTP.keys())
def test_what_is_no_http_is_an_error_of_that_request(data: bytes) -> None:
    with FaultServer([raw(data), answer()]) as server:
        seen, after = ask(server.url, "good", "good", timeout_s=2)
    assert (seen.status, seen.error) == ("error", "bad_http")
    assert after.status == "done"


def test_an_end_after_an_early_hint_is_no_answer() -> None:
    with FaultServer(raw(b"HTTP/1.1 103 Early Hints\r\nContent-Type: text/html\r\n\r\n", close=True)) as server:
        assert ask(server.url, "good")[0].error == "closed"


def test_a_second_answer_that_nobody_asked_for_counts_for_nothing() -> None:
    text = b'data: {"choices":[{"text":"x","finish_reason":"stop"}]}\n\n'
    one = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: %d\r\n\r\n%b" % (len(text), text)
    with FaultServer([raw(one + one), answer()]) as server:
        seen, after = ask(server.url, "good", "good")
        assert server.connections == 2
    assert (seen.status, chunks(seen)) == ("done", 1)
    assert (after.status, chunks(after), after.reconnected) == ("done", 4, False)


@pytest.mark.parametrize(
    ("events", "says"),
    [
        ([b'{"error":"no memory"}'], "no memory"),
        ([b'{"error":{"message":"no memory"}}'], "no memory"),
        ([b'{"error":{"detail":{"msg":"no memory"}}}'], "no memory"),
        ([b'{"error":{"code":7}}'], '{"code":7}'),
        ([b'{"error":17}'], "17"),
        ([b'{"object":"error","message":"no memory"}'], "no memory"),
        ([b'{"object":"error","message":"no \xff memory"}'], "no � memory"),
        ([b'{"object":"error","message":1e400}'], "null"),
        ([b'{"error":{"message":"no memory","code":1e400}}'], "no memory"),
        ([b'{"choices":[{"text":"","finish_reason":"error"}],"error":{"message":"no memory"}}'], "no memory"),
    ],
)
def test_an_error_inside_a_stream_of_status_200_is_read(events: list[bytes], says: str) -> None:
    with FaultServer(sse(CHUNK, *events, b"[DONE]")) as server:
        seen = ask(server.url, "good")[0]
    assert (seen.status, seen.error, seen.error_text) == ("error", "stream_error", says)


@pytest.mark.parametrize("said", [b"no memory", b'{"message":"no memory"}', b'{"error":"no memory"}'])
def test_an_error_named_by_its_event_field_is_read(said: bytes) -> None:
    text = b"event: error\ndata: " + said + b"\n\n"
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: %d\r\n\r\n" % len(text)
    with FaultServer(raw(head + text)) as server:
        seen = ask(server.url, "good")[0]
    assert (seen.error, seen.error_text) == ("stream_error", "no memory")


def test_a_body_without_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reply_module, "_BODY_LIMIT_BYTES", 1000)
    with FaultServer([whole(200, b"x" * 2000), answer()]) as server:
        seen, after = ask(server.url, "good", "good")
    assert seen.error == "bad_stream"
    assert after.status == "done"


def test_a_timeout_counts_from_when_the_request_was_due() -> None:
    async def ask_late() -> tuple[float, str | None]:
        asker = Asker(await route(server.url, timeout_s=0.5))
        began_s = now_s()
        seen = await asker.ask(body("stall"), due_s=began_s - 0.3)
        return now_s() - began_s, seen.error

    with FaultServer() as server:
        took_s, error = run(ask_late)
    assert error == "timeout"
    assert 0.15 < took_s < 0.4


def test_a_timeout_keeps_the_chunks_that_came() -> None:
    with FaultServer(answer(itl_s=0.1)) as server:
        began_s = time.perf_counter()
        seen = ask(server.url, "good", tokens=50, timeout_s=0.5)[0]
        assert time.perf_counter() - began_s < 1.5
    assert seen.error == "timeout"
    assert 3 <= chunks(seen) <= 5


# plain requests


def fetched(play: Play, *, timeout_s: float = 5.0) -> tuple[int, bytes, bytes]:
    async def fetch_it() -> tuple[int, bytes, bytes]:
        return await fetch(await resolve(Access(url=server.url)), "/x", timeout_s=timeout_s)

    with FaultServer({"/x": play}) as server:
        return run(fetch_it)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Type: A/B\r\nContent-Length: 2\r\n\r\nhi", (200, b"a/b", b"hi")),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", (200, b"", b"hi")),
        (b"HTTP/1.1 404 No\r\n\r\nhi", (404, b"", b"hi")),
        (b"HTTP/1.1 204 None\r\n\r\n", (204, b"", b"")),
        (b"HTTP/1.1 103 Hints\r\nContent-Length: 9\r\n\r\nHTTP/1.1 500 No\r\n\r\nhi", (500, b"", b"hi")),
    ],
)
def test_a_plain_request_gives_status_type_and_body(data: bytes, expected: tuple[int, bytes, bytes]) -> None:
    assert fetched(raw(data, close=True)) == expected


def _half(wire: Wire) -> None:
    wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
    wire.close()


@pytest.mark.parametrize(
    ("play", "kind"),
    [
        (PLAYS["stall"], "timeout"),
        (PLAYS["reset"], "reset"),
        (PLAYS["hang-up"], "closed"),
        (_half, "closed"),
        (raw(b"SSH-2.0\r\n"), "bad_http"),
    ],
)
def test_a_plain_request_that_fails_says_how(play: Play, kind: str) -> None:
    with pytest.raises(FetchError) as caught:
        fetched(play, timeout_s=0.3)
    assert caught.value.kind == kind


def test_a_plain_request_to_nobody_says_so() -> None:
    with closed_port() as url, pytest.raises(FetchError, match="refuses") as caught:
        run(lambda: _fetch(url))
    assert caught.value.kind == "connect"


async def _fetch(url: str) -> tuple[int, bytes, bytes]:
    return await fetch(await resolve(Access(url=url)), "/x")
