"""Every shape of a good answer is read right: text, tokens, stamps and end, over real sockets."""

import time
from typing import Any

import numpy as np
import pytest

from asking import ask, chunks, raw, record, sse, steps_s
from breakeven.client.answer import StreamAnswer
from breakeven.client.ask import Seen
from fault_answers import Shape, answer, choice, event, send_body
from fault_server import FaultServer
from fault_wire import Wire
from faults import PLAYS

GOOD = [
    *("good", "close-at-once", "close-on-next", "close-announced", "no-done", "no-finish", "usage-finish"),
    *("usage-every", "sized", "until-close", "byte-chunks", "dribble", "crlf", "comments", "multi-byte", "burst"),
    *("no-role", "empty-first", "huge-headers", "early-hints", "continue", "slow-headers", "cached"),
]


def heard(seen: Seen) -> StreamAnswer:
    assert seen.status == "done", (seen.error, seen.error_text)
    assert seen.answer is not None
    return seen.answer


@pytest.mark.parametrize("api", ["chat", "completions"])
@pytest.mark.parametrize("shape", GOOD)
def test_a_good_answer_in_any_shape_is_read_in_full(shape: str, api: str) -> None:
    with FaultServer(PLAYS[shape]) as server:
        seen = heard(ask(server.url, "good", api=api)[0])
    assert (len(seen.steps_us), seen.output_tokens, seen.input_tokens) == (4, 4, 5)
    assert seen.finish_reason == (None if shape == "no-finish" else "length")
    assert seen.cached_tokens == (4 if shape == "cached" else None)


def test_an_answer_without_usage_has_no_tokens_of_the_servers() -> None:
    with FaultServer(PLAYS["no-usage"]) as server:
        seen = heard(ask(server.url, "good")[0])
    assert (len(seen.steps_us), seen.output_tokens, seen.input_tokens) == (4, None, None)


def test_several_tokens_in_an_event_are_one_chunk() -> None:
    with FaultServer(PLAYS["speculative"]) as server:
        seen = heard(ask(server.url, "good", tokens=7)[0])
    assert (len(seen.steps_us), seen.output_tokens) == (3, 7)


def test_several_events_in_a_read_are_as_many_chunks_at_one_time() -> None:
    with FaultServer(answer(events_per_write=3, itl_s=0.05)) as server:
        steps = steps_s(ask(server.url, "good", tokens=6)[0])
    assert steps[0] == steps[1] == steps[2]
    assert steps[3] == steps[4] == steps[5]
    assert steps[3] - steps[0] > 0.03


def test_usage_in_every_chunk_gives_each_chunk_the_difference() -> None:
    with FaultServer(answer(usage="every", tokens_per_event=3)) as server:
        kept = record(ask(server.url, "good", tokens=7)[0])
    assert np.frombuffer(kept.chunk_tokens, dtype="<u4").tolist() == [3, 3, 1]
    assert kept.output_tokens == 7


def test_usage_only_at_the_end_says_nothing_about_single_chunks() -> None:
    with FaultServer() as server:
        assert record(ask(server.url, "good")[0]).chunk_tokens == b""


def chunk(text: str, tokens: int) -> bytes:
    usage = b'"usage":{"prompt_tokens":5,"completion_tokens":%d}' % tokens
    return b'{"choices":[{"delta":{"content":"%b"}}],%b}' % (text.encode(), usage)


def test_tokens_of_an_empty_chunk_belong_to_the_next_chunk_with_text() -> None:
    # vLLM: half of a character is a token whose text is empty; the first usage comes with the role and counts none
    events = [chunk("", 0), chunk("a", 1), chunk("", 2), chunk("b", 3), b"[DONE]"]
    with FaultServer(sse(*events)) as server:
        kept = record(ask(server.url, "good")[0])
    assert np.frombuffer(kept.chunk_tokens, dtype="<u4").tolist() == [1, 2]
    assert kept.output_tokens == 3


@pytest.mark.parametrize("shape", ["good", "empty-first", "early-hints"])
def test_the_first_token_is_the_first_chunk_with_text_not_a_role_or_an_empty_one(shape: str) -> None:
    with FaultServer({"good": PLAYS[shape]}) as server:
        seen = ask(server.url, "good")[0]
    assert len(steps_s(seen)) == 4
    assert steps_s(seen)[0] >= 0.018  # the role comes at once, the text after 20 ms


def test_reasoning_is_output_text() -> None:
    with FaultServer(answer(reasoning=2, itl_s=0.03)) as server:
        seen = ask(server.url, "good", tokens=2)[0]
    assert len(steps_s(seen)) == 4
    assert steps_s(seen)[0] < steps_s(seen)[2] - 0.05


@pytest.mark.parametrize(
    "said",
    [
        b'"delta":{"content":"x"}',
        b'"delta":{"reasoning_content":"x"}',
        b'"delta":{"reasoning":"x"}',
        b'"delta":{"content":"","reasoning":"x"}',
        b'"text":"x"',
        b'"message":{"content":"x"}',
    ],
)
def test_output_text_is_found_wherever_it_stands(said: bytes) -> None:
    with FaultServer(sse(b'{"choices":[{%b,"finish_reason":"stop"}]}' % said)) as server:
        seen = heard(ask(server.url, "good")[0])
    assert (len(seen.steps_us), seen.finish_reason) == (1, "stop")


@pytest.mark.parametrize(
    "said", [b'"delta":{}', b'"delta":{"role":"assistant","content":null}', b'"text":""', b'"x":1']
)
def test_chunks_without_text_are_no_output(said: bytes) -> None:
    with FaultServer(sse(b'{"choices":[{%b,"finish_reason":"stop"}]}' % said)) as server:
        assert len(heard(ask(server.url, "good")[0]).steps_us) == 0


def test_the_end_is_known_by_done_by_a_finish_reason_or_by_usage_behind_the_text_and_nothing_else() -> None:
    unsure = [
        answer(done=False, finish=False),
        *(answer(done=False, finish=False, usage=how) for how in ("none", "finish")),
    ]
    with FaultServer([answer(done=False), answer(finish=False), *unsure]) as server:
        *good, cut, also_cut = ask(server.url, *["good"] * 5)
    assert [record(one).without_done for one in good] == [True, False, True]
    assert [one.status for one in good] == ["done"] * 3
    for one in (cut, also_cut):
        assert (one.status, one.error, chunks(one)) == ("error", "bad_stream", 4)


@pytest.mark.parametrize("body", ["chunked", "close"])
def test_a_server_that_hangs_up_in_order_behind_the_end_has_given_a_whole_answer(body: Any) -> None:
    def hang_up(wire: Wire, shape: Shape) -> None:
        send_body(wire, shape, event(shape, choice(wire.request, "", finish="stop")))
        wire.close()

    with FaultServer(answer(body=body, stop_after=3, then=hang_up)) as server:
        seen = heard(ask(server.url, "good")[0])
    assert (len(seen.steps_us), seen.finish_reason) == (3, "stop")


def test_a_body_until_close_without_done_ends_with_its_connection() -> None:
    with FaultServer(answer(body="close", done=False)) as server:
        assert len(heard(ask(server.url, "good")[0]).steps_us) == 4


def test_an_empty_answer_is_an_answer() -> None:
    with FaultServer(PLAYS["silent"]) as server:
        seen = heard(ask(server.url, "good")[0])
    assert (len(seen.steps_us), seen.output_tokens) == (0, 0)


def test_an_answer_in_one_piece_is_one_chunk_with_its_usage() -> None:
    with FaultServer(PLAYS["plain-json"]) as server:
        seen = heard(ask(server.url, "good", tokens=3)[0])
        also = heard(ask(server.url, "good", api="completions", tokens=3)[0])
    for one in (seen, also):
        assert (len(one.steps_us), one.output_tokens, one.finish_reason) == (1, 3, "length")


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r"])
def test_line_ends_of_every_kind_end_a_line(line_end: bytes) -> None:
    with FaultServer(sse(b'{"choices":[{"text":"x"}]}', b"", b"[DONE]", line_end=line_end)) as server:
        assert len(heard(ask(server.url, "good")[0]).steps_us) == 1


def test_a_body_until_close_is_over_at_done_though_the_server_keeps_the_socket_open() -> None:
    text = b'data: {"choices":[{"text":"x"}]}\n\ndata: [DONE]\n\n'
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
    with FaultServer(raw(head + text)) as server:
        began_s = time.perf_counter()
        assert len(heard(ask(server.url, "good")[0]).steps_us) == 1
        assert time.perf_counter() - began_s < 1


@pytest.mark.parametrize("framing", [b"Transfer-Encoding: chunked", b"Content-Length: 9999"])
def test_a_body_whose_announced_end_never_comes_is_over_soon_after_done(framing: bytes) -> None:
    text = b'data: {"choices":[{"text":"x"}]}\n\ndata: [DONE]\n\n'
    chunked = b"%x\r\n%b\r\n" % (len(text), text) if framing.startswith(b"T") else text
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n%b\r\n\r\n" % framing
    with FaultServer(raw(head + chunked)) as server:
        began_s = time.perf_counter()
        assert len(heard(ask(server.url, "good")[0]).steps_us) == 1
        assert time.perf_counter() - began_s < 1


def test_stamps_agree_with_the_servers_own() -> None:
    with FaultServer(answer(ttft_s=0.05, itl_s=0.02)) as server:
        seen = ask(server.url, "good", tokens=5)[0]
        truth = server.asked[0]
    assert seen.sent_s is not None
    arrived_s = [seen.sent_s + step for step in steps_s(seen)]
    late_s = np.array(arrived_s) - np.array(truth.write_s[2:7])  # head and role were written before
    assert late_s.min() > -1e-4
    assert np.median(late_s) < 0.01


def test_a_web_page_with_upgrade_headers_is_no_protocol_change() -> None:
    text = b'data: {"choices":[{"text":"x","finish_reason":"stop"}]}\n\n'
    head = b"HTTP/1.1 200 OK\r\nUpgrade: h2,h2c\r\nConnection: Upgrade, Keep-Alive\r\n"
    head += b"Content-Type: text/event-stream\r\nContent-Length: %d\r\n\r\n" % len(text)
    with FaultServer(raw(head + text)) as server:
        assert [seen.status for seen in ask(server.url, "good", "good")] == ["done", "done"]
        assert server.connections == 1
