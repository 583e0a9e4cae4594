"""Answers in other forms than the OpenAI API's: no text that came is lost, and no token is invented."""

import json
from typing import Any

import numpy as np
import pytest

from asking import ask, chunks, raw, record, sse
from breakeven.client.usage import token_counts
from breakeven.record import Record
from fault_answers import answer
from fault_server import FaultServer
from fault_wire import Play

DONE = b"[DONE]"
TEXT = {"choices": [{"delta": {"content": "x"}}]}
END = {"choices": [{"delta": {}, "finish_reason": "stop"}]}


def streamed(*events: Any, done: bool = True) -> Play:
    """A stream of these objects, or bytes as they are."""
    return sse(*(one if isinstance(one, bytes) else json.dumps(one).encode() for one in events), *([DONE] * done))


def asked(play: Play) -> Record:
    """What is kept of the answer; the next request to the same server must go well."""
    with FaultServer([play, answer()]) as server:
        seen, after = ask(server.url, "good", "good")
    assert after.status == "done"
    return record(seen)


def said(tokens: Any, **more: Any) -> dict[str, Any]:
    return {"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": tokens, **more}}


UNUSABLE = {
    "zero": 0,
    "null": None,
    "negative": -1,
    "half a token": 1.5,
    "no number": float("nan"),
    "infinite": float("inf"),
    "beyond 32 bits": 2**32,
    "beyond 64 bits": 10**40,
    "words": "many",
    "true": True,
    "a list": [2],
}


@pytest.mark.parametrize("tokens", UNUSABLE.values(), ids=UNUSABLE)
def test_text_with_no_usable_count_is_a_good_answer_without_one(tokens: Any) -> None:
    kept = asked(streamed(TEXT, TEXT, END, said(tokens)))
    assert (kept.status, len(kept.chunk_us) // 4, kept.output_tokens, kept.input_tokens) == ("done", 2, None, 5)


@pytest.mark.parametrize("tokens", [2, 2.0, "2", "2.0", " 2 "])
def test_a_count_that_can_be_read_is_used(tokens: Any) -> None:
    assert asked(streamed(TEXT, TEXT, END, said(tokens))).output_tokens == 2


def test_a_count_of_5000_digits_loses_no_answer() -> None:
    kept = asked(streamed(TEXT, END, b'{"choices":[],"usage":{"completion_tokens":' + b"9" * 5000 + b"}}"))
    assert (kept.status, kept.output_tokens) == ("done", None)


@pytest.mark.parametrize(
    "details",
    [
        {"prompt_tokens_details": {"cached_tokens": -1}},
        {"prompt_tokens_details": []},
        {"completion_tokens_details": {"reasoning_tokens": -3}},
        {"completion_tokens_details": "none"},
    ],
)
def test_details_that_cannot_be_read_lose_nothing_else(details: dict[str, Any]) -> None:
    kept = asked(streamed(TEXT, TEXT, END, said(2, **details)))
    assert (kept.output_tokens, kept.cached_tokens, kept.reasoning_tokens) == (2, None, None)


@pytest.mark.parametrize("usage", [[], "none", 7])
def test_usage_that_is_no_object_loses_no_text(usage: Any) -> None:
    kept = asked(streamed(TEXT | {"usage": usage}, TEXT | {"usage": usage}, END))
    assert (kept.status, len(kept.chunk_us) // 4, kept.output_tokens) == ("done", 2, None)


def test_usage_beside_the_finish_reason_is_read() -> None:
    end = {"choices": [{"delta": {}, "finish_reason": "stop", "usage": {"prompt_tokens": 5, "completion_tokens": 7}}]}
    kept = asked(streamed(TEXT, TEXT, end))
    assert (kept.input_tokens, kept.output_tokens) == (5, 7)


@pytest.mark.parametrize("nothing", [None, "", {}, False])
def test_an_error_that_says_nothing_is_none(nothing: Any) -> None:
    assert asked(streamed(TEXT | {"error": nothing}, END)).status == "done"


# where text stands

OUTPUT = {
    "content in parts": {"content": [{"type": "text", "text": "x"}]},
    "content in strings": {"content": ["x"]},
    "a thought in parts": {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "x"}]}]},
    "a thought that is a string": {"content": [{"type": "thinking", "thinking": "x"}]},
    "a part of reasoning": {"content": [{"type": "reasoning", "text": "x"}]},
    "reasoning in parts": {"reasoning_content": [{"text": "x"}]},
    "a refusal": {"refusal": "no"},
    "a tool": {"tool_calls": [{"index": 0, "id": "1", "function": {"name": "f", "arguments": ""}}]},
    "arguments of a tool": {"content": None, "tool_calls": [{"index": 0, "function": {"arguments": "{"}}]},
    "a function": {"function_call": {"name": "f"}},
}
REASONING = {name for name in OUTPUT if "reasoning" in name or "thought" in name}


@pytest.mark.parametrize("name", OUTPUT)
def test_output_in_any_place_has_its_stamp(name: str) -> None:
    kept = asked(streamed({"choices": [{"delta": OUTPUT[name]}]}, TEXT, END, said(2)))
    assert (kept.status, len(kept.chunk_us) // 4, kept.output_tokens) == ("done", 2, 2)
    assert kept.reasoning_chunks == (name in REASONING)


@pytest.mark.parametrize(
    "delta",
    [
        {"content": []},
        {"content": [{"type": "text", "text": ""}]},
        {"content": [{"type": "image"}]},
        {"tool_calls": []},
        {"tool_calls": [{"index": 0, "function": {"name": None, "arguments": ""}}]},
        {"tool_calls": "none"},
        {"tool_calls": [None, 7]},
        {"refusal": ""},
        {"function_call": None},
    ],
)
def test_what_says_nothing_is_no_output(delta: dict[str, Any]) -> None:
    assert not asked(streamed({"choices": [{"delta": delta}]}, END)).chunk_us


@pytest.mark.parametrize("text", [b'"\xff\xfe"', b'"\\ud800"', b'"\x00"'], ids=["no UTF-8", "half a surrogate", "NUL"])
def test_text_in_broken_characters_is_text(text: bytes) -> None:
    kept = asked(streamed(b'{"choices":[{"text":' + text + b"}]}", TEXT, END))
    assert (kept.status, len(kept.chunk_us) // 4) == ("done", 2)


def test_the_answers_first_chunk_is_the_first_behind_the_reasoning() -> None:
    thought = {"choices": [{"delta": {"reasoning": "hm"}}]}
    assert asked(streamed(thought, thought, thought, TEXT, thought, TEXT, END)).reasoning_chunks == 3
    assert asked(streamed(TEXT, thought, END)).reasoning_chunks == 0


def test_hidden_reasoning_is_counted_apart() -> None:
    kept = asked(streamed(TEXT, TEXT, END, said(130, completion_tokens_details={"reasoning_tokens": 128})))
    assert (kept.output_tokens, kept.reasoning_tokens, kept.reasoning_chunks) == (130, 128, 0)


# usage in every chunk


@pytest.mark.parametrize(
    ("after", "total", "each", "tokens"),
    [
        ([1, 2, 3], 3, [1, 1, 1], 3),
        ([3, 6, 7], 7, [3, 3, 1], 7),
        ([1, 3, 4], 5, [1, 2, 2], 5),
        ([1, 1, 2], 4, [1, 1, 2], 4),
        ([2, 1, 3], 6, [2, 1, 3], 6),
        ([1, 1, 1], 1, [1, 1, 1], 3),
        ([0, 0, 0], 8, [], 8),
        ([0, 0, 8], 8, [], 8),
        ([1, 1, 1], 40, [], 40),
        ([1, 2, 3], 40, [], 40),
        ([5, 3, 4], 4, [], 4),
        ([0, 0, 0], 0, [], None),
        ([1, 2], 9, [1, 1, 7], 9),
    ],
)
def test_counts_of_chunks_are_used_where_they_agree_with_the_whole(
    after: list[int], total: int, each: list[int], tokens: int | None
) -> None:
    usages = [TEXT | {"usage": {"completion_tokens": count}} for count in after]
    silent = [TEXT] * (3 - len(after))
    kept = asked(streamed(*usages, *silent, END, *([said(total)] if total != after[-1] else [])))
    assert np.frombuffer(kept.chunk_tokens, dtype="<u4").tolist() == each
    assert kept.output_tokens == tokens
    assert sum(each) in (0, tokens)


def test_counts_of_a_single_chunk_are_those_of_the_answer() -> None:
    assert token_counts(np.array([4], dtype="<u4"), chunks=1, total=4) == (b"", 4)  # type: ignore[arg-type]


# ends, statuses, types


@pytest.mark.parametrize("end", [b"[DONE] ", b" [DONE]", b"[DONE]\t"])
def test_done_with_a_space_is_done(end: bytes) -> None:
    kept = asked(streamed(TEXT, end, done=False))
    assert (kept.status, kept.without_done) == ("done", False)


@pytest.mark.parametrize("reason", ["abort", "error"])
@pytest.mark.parametrize("in_one_piece", [False, True])
def test_an_answer_that_the_server_gave_up_is_failed_and_keeps_its_text(reason: str, in_one_piece: bool) -> None:
    whole = {"choices": [{"message": {"content": "x"}, "finish_reason": reason}]}
    end = {"choices": [{"delta": {}, "finish_reason": reason}]}
    kept = asked(
        head(200, json.dumps(whole).encode(), kind="application/json") if in_one_piece else streamed(TEXT, end)
    )
    assert (kept.status, kept.error, len(kept.chunk_us)) == ("error", "stream_error", 4)
    assert kept.error_text == f"the server ended the answer with finish_reason '{reason}'"


def test_an_empty_finish_reason_is_none() -> None:
    begun = {"choices": [{"delta": {"content": "x"}, "finish_reason": ""}]}
    assert asked(streamed(begun, begun, done=False)).error == "bad_stream"


def head(status: int, body: bytes, *, kind: str | None, more: str = "") -> Play:
    typed = f"Content-Type: {kind}\r\n" if kind else ""
    return raw(f"HTTP/1.1 {status} Said\r\n{typed}{more}Content-Length: {len(body)}\r\n\r\n".encode() + body)


STREAM = b'data: {"choices":[{"text":"x","finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'


@pytest.mark.parametrize("kind", [None, "text/plain", "application/json", "application/octet-stream", "text/html"])
@pytest.mark.parametrize("before", [b"", b": hello\n\n", b"\xef\xbb\xbf", b"\n", b"event: message\n"])
@pytest.mark.parametrize("status", [200, 201])
def test_a_stream_is_known_by_its_lines_whatever_its_type_says(kind: str | None, before: bytes, status: int) -> None:
    kept = asked(head(status, before + STREAM, kind=kind))
    assert (kept.status, len(kept.chunk_us) // 4) == ("done", 1), kept.error_text


@pytest.mark.parametrize("kind", [None, "text/plain", "application/json"])
def test_a_stream_of_no_type_may_come_byte_by_byte(kind: str | None) -> None:
    with FaultServer(answer(kind=kind or "", chunk_bytes=1)) as server:
        seen = ask(server.url, "good")[0]
    assert (seen.status, chunks(seen)) == ("done", 4)


@pytest.mark.parametrize("kind", [None, "text/plain"])
def test_a_whole_answer_is_known_by_its_brace(kind: str | None) -> None:
    kept = asked(head(201, b'{"choices":[{"text":"x","finish_reason":"stop"}]}', kind=kind))
    assert (kept.status, len(kept.chunk_us)) == ("done", 4)


def test_a_compressed_answer_is_named() -> None:
    kept = asked(head(200, STREAM, kind="text/event-stream", more="Content-Encoding: gzip\r\n"))
    assert kept.error == "not_openai"
    assert kept.error_text == "the answer comes compressed (gzip), though it was asked for as it is"


def test_an_encoding_of_identity_is_none() -> None:
    assert asked(head(200, STREAM, kind=None, more="Content-Encoding: identity\r\n")).status == "done"


@pytest.mark.parametrize("status", [301, 307, 308])
def test_a_redirect_names_its_target(status: int) -> None:
    kept = asked(head(status, b"moved", kind=None, more="Location: https://other.example/v1\r\n"))
    assert (kept.error, kept.error_text) == (f"http_{status}", "a redirect to https://other.example/v1")
