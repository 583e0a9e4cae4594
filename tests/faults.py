"""What the fault server can play: every way in which a server can fail, and PLAYS, all of them by name."""

import json
from collections.abc import Callable
from typing import Any

from fault_answers import Shape, answer, choice, document, event, finish, reply, send_body
from fault_wire import Play, Received, Wire

ERROR_EVENT = {"error": {"message": "the engine ran out of memory", "type": "internal_error", "code": 500}}


def status(code: int, *, message: str = "no", more: str = "") -> Play:
    """An HTTP error with a JSON body, as the OpenAI API words it; `more` are header lines."""
    body = json.dumps({"error": {"message": message, "type": "test", "code": code}})
    return lambda wire: reply(wire, code, body, more=more)


def html(code: int = 200) -> Play:
    """A web page where an answer should be: a proxy's login page, say."""
    return lambda wire: reply(wire, code, "<html><body><h1>Please log in</h1></body></html>", kind="text/html")


def plain_json() -> Play:
    """One JSON document though a stream was asked for."""
    return lambda wire: document(wire, Shape())


def needs_key(key: str, then: Play | None = None) -> Play:
    """401 without `Authorization: Bearer KEY`."""
    good, bad = then or answer(), status(401, message="the key is wrong")
    return lambda wire: (good if wire.request.headers.get("authorization") == f"Bearer {key}" else bad)(wire)


def refuses_field(name: str = "ignore_eos", *, code: int = 422) -> Play:
    """An error for a request with this field, a good answer for one without."""
    detail = [{"type": "extra_forbidden", "loc": ["body", name], "msg": "Extra inputs are not permitted"}]
    good = answer()

    def play(wire: Wire) -> None:
        if name in wire.request.json:
            reply(wire, code, json.dumps({"detail": detail}))
        else:
            good(wire)

    return play


# breaking off


def reset() -> Play:
    """RST before any byte."""
    return Wire.reset


def hang_up() -> Play:
    """Close in good order before any byte."""
    return Wire.close


def stall() -> Play:
    """Take the request and say nothing, for ever."""
    return Wire.stall


def break_off(then: Callable[[Wire, Shape], None], *, after: int = 3, **fields: Any) -> Play:
    """A good answer until `after` writes with text, then something else."""
    return answer(stop_after=after, then=then, **fields)


def then_reset(wire: Wire, shape: Shape) -> None:
    """RST."""
    wire.wait(0.02)  # a reset overtakes bytes that the client has not read yet
    wire.reset()


def then_close(wire: Wire, shape: Shape) -> None:
    """FIN."""
    wire.close()


def then_half_event(wire: Wire, shape: Shape) -> None:
    """Half an event, then FIN."""
    send_body(wire, shape, 'data: {"id": "0", "choices": [{"index": 0, "de')
    wire.close()


def then_stall(wire: Wire, shape: Shape) -> None:
    """Nothing more, for ever, on an open connection."""
    wire.stall()


def then_broken_json(wire: Wire, shape: Shape) -> None:
    """An event whose JSON is broken, then a proper end."""
    send_body(wire, shape, f'data: {{"id": "0", "choices": [{shape.line_end * 2}')
    finish(wire, shape, f"data: [DONE]{shape.line_end * 2}")


def then_error_event(wire: Wire, shape: Shape) -> None:
    """An error inside a stream of status 200, then a proper end."""
    send_body(wire, shape, event(shape, ERROR_EVENT))
    finish(wire, shape, f"data: [DONE]{shape.line_end * 2}")


def then_endless(wire: Wire, shape: Shape) -> None:
    """Tokens for ever, whatever max_tokens says."""
    token = event(shape, choice(wire.request, shape.word))
    while True:
        send_body(wire, shape, token)
        wire.wait(shape.itl_s)


PLAYS: dict[str, Play] = {
    "good": answer(),
    "html": html(),
    "404": status(404, message="no such model"),
    "401": status(401),
    "403": status(403),
    "429": status(429, more="Retry-After: 1\r\n"),
    "500": status(500),
    "503": status(503),
    "422-ignore-eos": refuses_field(),
    "reset": reset(),
    "hang-up": hang_up(),
    "stall": stall(),
    "reset-midstream": break_off(then_reset),
    "close-midstream": break_off(then_close),
    "close-midstream-until-close": break_off(then_close, body="close"),
    "close-midstream-sized": break_off(then_close, body="sized"),
    "half-event": break_off(then_half_event),
    "broken-json": break_off(then_broken_json),
    "error-event": break_off(then_error_event),
    "error-event-first": break_off(then_error_event, after=0),
    "stall-midstream": break_off(then_stall),
    "endless": break_off(then_endless),
    "close-at-once": answer(end="close_at_once"),
    "close-on-next": answer(end="close_on_next"),
    "close-announced": answer(end="close"),
    "no-done": answer(done=False),
    "no-finish": answer(finish=False),
    "no-usage": answer(usage="none"),
    "usage-finish": answer(usage="finish"),
    "usage-every": answer(usage="every"),
    "cached": answer(cached_tokens=4),
    "sized": answer(body="sized"),
    "until-close": answer(body="close"),
    "byte-chunks": answer(chunk_bytes=1),
    "dribble": answer(write_bytes=7),
    "crlf": answer(line_end="\r\n"),
    "comments": answer(comments=True),
    "multi-byte": answer(word=" né漢🙂", write_bytes=5, chunk_bytes=3),
    "burst": answer(events_per_write=3),
    "speculative": answer(tokens_per_event=3),
    "no-role": answer(role=False),
    "empty-first": answer(empty_first=True),
    "reasoning": answer(reasoning=3),
    "wrong-type": answer(kind="text/plain"),
    "plain-json": plain_json(),
    "huge-headers": answer(head_more="".join(f"X-Padding-{i}: {'x' * 1000}\r\n" for i in range(100))),
    "early-hints": answer(head_before="HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n"),
    "continue": answer(head_before="HTTP/1.1 100 Continue\r\n\r\n"),
    "slow-headers": answer(head_pause_s=0.02),
    "silent": answer(tokens=0),
}
"""Every play by the name of the model that asks for it."""


def default_play(request: Received, *, by_model: bool) -> Play:
    """What is played where the script says nothing."""
    if request.asks:
        return PLAYS.get(str(request.model), PLAYS["good"]) if by_model else PLAYS["good"]
    if request.path.endswith("/models"):
        models = json.dumps({"object": "list", "data": [{"id": "good", "object": "model"}]})
        return lambda wire: reply(wire, 200, models)
    return lambda wire: reply(wire, 200, "{}") if wire.request.path == "/health" else status(404)(wire)
