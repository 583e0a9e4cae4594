"""The answers of the fault server: a good one, in every shape that servers give it."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from fault_wire import Play, Received, Wire

DEFAULT_TOKENS = 8
PROMPT_TOKENS = 5


@dataclass(frozen=True, kw_only=True)
class Shape:
    """How an answer looks and when its parts come. The default is a good one."""

    tokens: int | None = None
    """None: the request's max_tokens, else 8."""
    ttft_s: float = 0.02
    itl_s: float = 0.005
    """From one write to the next."""
    word: str = " token"
    tokens_per_event: int = 1
    events_per_write: int = 1
    role: bool = True
    """Chat: a role-only event comes first, as soon as the request has come."""
    empty_first: bool = False
    """An event with empty text comes before the first token."""
    reasoning: int = 0
    """So many events of reasoning_content come before the text, one each ITL."""
    usage: Literal["own", "finish", "every", "none"] = "own"
    cached_tokens: int | None = None
    done: bool = True
    """Send [DONE]."""
    finish: bool = True
    """Send a finish event."""
    line_end: str = "\n"
    comments: bool = False
    """A comment line stands before each event."""
    body: Literal["chunked", "sized", "close"] = "chunked"
    chunk_bytes: int | None = None
    """Longest HTTP chunk; None: one a write."""
    write_bytes: int | None = None
    """Longest piece given to the socket at once, with half a millisecond before the next; None: whole writes."""
    kind: str = "text/event-stream"
    head_before: str = ""
    """Sent before the status line, such as a 1xx answer."""
    head_more: str = ""
    """Further header lines, each with its line end."""
    head_pause_s: float = 0.0
    """Pause between the lines of the header."""
    end: Literal["keep", "close", "close_at_once", "close_on_next"] = "keep"
    """Keep the connection; close it as announced; close it though keep-alive is advertised: at once, or when the next
    request has come."""
    stop_after: int | None = None
    """Break off after so many writes with text, and do `then`."""
    then: Callable[[Wire, "Shape"], None] | None = None


def answer(shape: Shape | None = None, **fields: Any) -> Play:
    """Answer with a stream of this shape, or with one JSON document where the request asks for no stream."""
    chosen = replace(shape or Shape(), **fields)

    def play(wire: Wire) -> None:
        if wire.request.json.get("stream"):
            _stream(wire, chosen)
        else:
            document(wire, chosen)

    return play


def _stream(wire: Wire, shape: Shape) -> None:
    before, texts, end = _events(wire.request, shape)
    size = len("".join([*before, *texts, *end]).encode())
    send_head(wire, shape, size=size)
    if before:
        send_body(wire, shape, "".join(before))
    wire.wait(shape.ttft_s)
    for index in range(0, len(texts), shape.events_per_write):
        if index:
            wire.wait(shape.itl_s)
        if shape.stop_after is not None and index // shape.events_per_write == shape.stop_after and shape.then:
            shape.then(wire, shape)
            return
        send_body(wire, shape, "".join(texts[index : index + shape.events_per_write]))
    finish(wire, shape, "".join(end))


def finish(wire: Wire, shape: Shape, end: str) -> None:
    wire.over()
    last = b"0\r\n\r\n" if shape.body == "chunked" else b""
    _write(wire, shape, framed(shape, end.encode()) + last)
    if shape.end == "close_on_next":
        wire.close_on_next_request()
    elif shape.end != "keep" or shape.body == "close":
        wire.close()


def document(wire: Wire, shape: Shape) -> None:
    """The answer to a request without `stream`."""
    count = _count(wire.request, shape)
    wire.wait(shape.ttft_s + shape.itl_s * max(0, count - 1))
    said = {"message": {"role": "assistant", "content": shape.word * count}} if wire.request.chat else {}
    only = {"index": 0, "text": shape.word * count, **said, "finish_reason": "length"}
    body = json.dumps({"id": "0", "choices": [only], "usage": _usage(shape, count)})
    reply(wire, 200, body)


def send_head(wire: Wire, shape: Shape, *, size: int) -> None:
    """Status line and headers."""
    framing = {"chunked": "Transfer-Encoding: chunked\r\n", "sized": f"Content-Length: {size}\r\n", "close": ""}
    alive = "close" if shape.end == "close" or shape.body == "close" else "keep-alive"
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {shape.kind}\r\nConnection: {alive}\r\n{framing[shape.body]}"
    text = f"{shape.head_before}{head}{shape.head_more}\r\n"
    if shape.head_pause_s == 0:
        wire.send(text.encode())
        return
    for line in text.splitlines(keepends=True):
        wire.send(line.encode())
        wire.wait(shape.head_pause_s)


def send_body(wire: Wire, shape: Shape, text: str) -> None:
    """A piece of the body, framed and cut as the shape says."""
    _write(wire, shape, framed(shape, text.encode()))


def framed(shape: Shape, data: bytes) -> bytes:
    """Wrap data into HTTP chunks, where the body has chunks."""
    if shape.body != "chunked":
        return data
    step = shape.chunk_bytes or len(data)
    pieces = [data[i : i + step] for i in range(0, len(data), step)] if data else []
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)


def _write(wire: Wire, shape: Shape, data: bytes) -> None:
    if shape.write_bytes is None:
        wire.send(data)
        return
    for start in range(0, len(data), shape.write_bytes):
        wire.send(data[start : start + shape.write_bytes])
        wire.wait(0.0005)


# the events of an answer


def _events(request: Received, shape: Shape) -> tuple[list[str], list[str], list[str]]:
    """What comes at once, what comes one each ITL, and what comes with the last of those."""
    count = _count(request, shape)
    before = [event(shape, choice(request, "", role=True))] if shape.role and request.chat else []
    before += [event(shape, choice(request, ""))] if shape.empty_first else []
    texts = [event(shape, choice(request, "hm", reasoning=True)) for _ in range(shape.reasoning)]
    for done in range(0, count, shape.tokens_per_event):
        tokens = min(shape.tokens_per_event, count - done)
        usage = {"usage": _usage(shape, done + tokens)} if shape.usage == "every" else {}
        texts.append(event(shape, choice(request, shape.word * tokens) | usage))
    return before, texts, list(_end(request, shape, count))


def _end(request: Received, shape: Shape, count: int) -> Iterator[str]:
    usage = {"usage": _usage(shape, count)}
    if shape.finish:
        yield event(shape, choice(request, "", finish="length") | (usage if shape.usage == "finish" else {}))
    if shape.usage in ("own", "every"):
        yield event(shape, {"id": "0", "choices": [], **usage})
    if shape.done:
        yield f"data: [DONE]{shape.line_end * 2}"


def choice(
    request: Received, text: str, *, role: bool = False, reasoning: bool = False, finish: str | None = None
) -> dict[str, Any]:
    delta: dict[str, Any] = {"role": "assistant"} if role else {}
    delta["reasoning_content" if reasoning else "content"] = text
    said = {"delta": delta} if request.chat else {"text": text}
    return {"id": "0", "choices": [{"index": 0, **said, "finish_reason": finish}]}


def event(shape: Shape, payload: object) -> str:
    ping = f": ping{shape.line_end}" if shape.comments else ""
    return f"{ping}data: {json.dumps(payload, ensure_ascii=False)}{shape.line_end * 2}"


def _count(request: Received, shape: Shape) -> int:
    if shape.tokens is not None:
        return shape.tokens
    return int(request.json.get("max_tokens") or DEFAULT_TOKENS)


def _usage(shape: Shape, output_tokens: int) -> dict[str, Any]:
    usage: dict[str, Any] = {"prompt_tokens": PROMPT_TOKENS, "completion_tokens": output_tokens}
    usage["total_tokens"] = PROMPT_TOKENS + output_tokens
    if shape.cached_tokens is not None:
        usage["prompt_tokens_details"] = {"cached_tokens": shape.cached_tokens}
    return usage


def reply(wire: Wire, code: int, body: str, *, kind: str = "application/json", more: str = "") -> None:
    """A whole answer with its size."""
    data = body.encode()
    wire.over()
    head = f"HTTP/1.1 {code} Said\r\nContent-Type: {kind}\r\nContent-Length: {len(data)}\r\n{more}\r\n"
    wire.send(head.encode() + data)


def spoken(
    *texts: Any,
    end: Sequence[Any] = (),
    ttft_s: float = 0.02,
    itl_s: float = 0.005,
    status: int = 200,
    kind: str | None = "text/event-stream",
    ends: bool = True,
) -> Play:
    """A stream of these objects (bytes: as they are), one each ITL, then those of `end` at once.

    Where it does not end, the server hangs up in good order in the middle of its chunked body.
    """

    def sent(events: Sequence[Any]) -> bytes:
        pieces = [one if isinstance(one, bytes) else json.dumps(one).encode() for one in events]
        data = b"".join(b"data: " + piece + b"\n\n" for piece in pieces)
        return b"%x\r\n%b\r\n" % (len(data), data) if data else b""

    def play(wire: Wire) -> None:
        typed = "" if kind is None else f"Content-Type: {kind}\r\n"
        wire.send(f"HTTP/1.1 {status} Said\r\n{typed}Transfer-Encoding: chunked\r\n\r\n".encode())
        for number, text in enumerate(texts):
            wire.wait(itl_s if number else ttft_s)
            wire.send(sent([text]))
        wire.over()
        wire.send(sent(end) + (b"0\r\n\r\n" if ends else b""))
        if not ends:
            wire.close()

    return play
