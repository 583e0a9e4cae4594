"""Server-sent events come out the same however their bytes are split, by WHATWG's own words on the format."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from breakeven.client import sse as sse_module
from breakeven.client.sse import EventTooLargeError, SseDecoder

LINES = st.sampled_from(
    [
        "data: {}",
        "data:x",
        "data",
        "data:  two",
        ": a comment",
        ":",
        "event: error",
        "id: 7",
        "retry: 3",
        "",
        "é漢🙂",
        "data: é漢🙂",
    ]
)
LINE_ENDS = st.sampled_from(["\n", "\r\n", "\r"])
STREAMS = st.lists(st.tuples(LINES, LINE_ENDS), max_size=12).map(
    lambda lines: "".join(a + b for a, b in lines).encode()
)


def events_by_line(stream: bytes) -> list[bytes]:
    """The standard's own procedure, line by line: an oracle that shares nothing with the decoder."""
    text = stream.replace(b"\r\n", b"\n").replace(b"\r", b"\n").removeprefix(b"\xef\xbb\xbf")
    found: list[bytes] = []
    data: list[bytes] = []
    for line in text.split(b"\n")[:-1]:
        if not line:
            found += [b"\n".join(data)] if data else []
            data = []
        elif line == b"data" or line.startswith(b"data:"):
            value = line[5:]
            data.append(value[1:] if value.startswith(b" ") else value)
    return found


def decoded(parts: list[bytes]) -> list[bytes]:
    decoder = SseDecoder()
    return [event for part in parts for event in decoder.feed(part)]


@given(STREAMS, st.lists(st.integers(0, 200)))
def test_any_split_of_any_stream_gives_the_standards_events(stream: bytes, cuts: list[int]) -> None:
    places = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    parts = [stream[a:b] for a, b in itertools.pairwise(places)]
    assert decoded(parts) == events_by_line(stream)


@given(st.binary(max_size=60), st.lists(st.integers(0, 60)))
def test_no_bytes_whatever_break_the_decoder(stream: bytes, cuts: list[int]) -> None:
    places = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    assert decoded([stream[a:b] for a, b in itertools.pairwise(places)]) == decoded([stream])


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_a_stream_cut_at_every_byte_gives_the_same_events(line_end: str) -> None:
    lines = [": hi", "data: é漢🙂", "", "event: x", "data: a", "data: b", "", "", "data: [DONE]", "", ""]
    stream = line_end.join(lines).encode()
    for cut in range(len(stream) + 1):
        assert decoded([stream[:cut], stream[cut:]]) == ["é漢🙂".encode(), b"a\nb", b"[DONE]"]
    assert decoded([bytes([byte]) for byte in stream]) == ["é漢🙂".encode(), b"a\nb", b"[DONE]"]


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r"])
def test_an_event_is_given_with_the_read_that_ends_it(line_end: bytes) -> None:
    decoder = SseDecoder()
    assert decoder.feed(b"data: a" + line_end + line_end) == [b"a"]
    assert decoder.feed(b"data: b" + line_end + line_end) == [b"b"]


def test_a_byte_order_mark_is_passed_over_only_at_the_start() -> None:
    assert decoded([b"\xef\xbb", b"\xbfdata: a\n\n\xef\xbb\xbfdata: b\n\n"]) == [b"a"]
    assert decoded([b"data: a\n\n", b"\xef\xbb\xbfdata: b\n\n"]) == [b"a"]


def test_an_error_that_an_event_field_names_is_kept() -> None:
    decoder = SseDecoder()
    assert decoder.feed(b"event: error\ndata: {}\n\n") == [b"{}"]
    assert decoder.named_error


def test_what_the_end_leaves_unfinished_is_told() -> None:
    decoder = SseDecoder()
    assert decoder.feed(b"data: a\n\ndata: hal") == [b"a"]
    assert decoder.close() == b"hal"
    assert decoder.close() is None


def test_an_event_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse_module, "_EVENT_LIMIT_BYTES", 100)
    decoder = SseDecoder()
    decoder.feed(b"data: " + b"x" * 94)
    with pytest.raises(EventTooLargeError, match="event of more than"):
        decoder.feed(b"x")
