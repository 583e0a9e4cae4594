"""One user's way of asking: a request goes out, an answer comes in, and one observation of it is left."""

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec

from breakeven.client.answer import Meter, StreamAnswer
from breakeven.client.connection import Connection, connect, why
from breakeven.client.reply import Reply, compressed
from breakeven.client.target import Target
from breakeven.client.usage import token_counts
from breakeven.clock import now_s
from breakeven.errors import LONGEST_NAME, one_line
from breakeven.hidden import hidden
from breakeven.record import AGAIN, Record, Status

_STALE_IN_A_ROW = 3
_REFUSED_IN_A_ROW = 20
_LONGEST_WAIT_S = 2.0
_TEXT_LIMIT = 500
"""Characters of a server's text that a record keeps."""


class Route:
    """A path of a server's API that requests go to, and what was learnt of its connections."""

    __slots__ = ("_closed_until_s", "_refusal", "_refused", "_stale", "head", "meter", "target")

    def __init__(self, target: Target, path: str, *, meter: Meter) -> None:
        self.target = target
        self.head = target.head("POST", target.to_api(path))
        self.meter = meter
        self._stale = 0
        self._refused = 0
        self._refusal: tuple[str, str] | None = None
        self._closed_until_s = 0.0

    def closed(self) -> tuple[str, str] | None:
        """Kind and text of the failure for whose sake no connection is tried now: what is down is not stormed."""
        return self._refusal if now_s() < self._closed_until_s else None

    def was_reached(self, refusal: tuple[str, str] | None) -> None:
        """Note a connection, or why there is none. After 20 failures in a row all wait, 0.1 s and then longer."""
        self._refused = 0 if refusal is None else self._refused + 1
        self._refusal = refusal
        if self._refused >= _REFUSED_IN_A_ROW:
            self._closed_until_s = now_s() + min(_LONGEST_WAIT_S, 0.1 * (self._refused - _REFUSED_IN_A_ROW + 1))

    def request(self, body: bytes, named: str | None) -> bytes:
        """All bytes of a request, with its id where it has one."""
        name = b"" if named is None else b"\r\nX-Request-Id: %b" % named.encode()
        return b"%b%d%b\r\n\r\n%b" % (self.head, len(body), name, body)

    @property
    def reuses(self) -> bool:
        """False once the server has shown that it closes connections that it promised to keep."""
        return self._stale < _STALE_IN_A_ROW

    def was_kept(self, kept: bool) -> None:
        """Note whether a reused connection was still good."""
        if self.reuses:
            self._stale = 0 if kept else self._stale + 1


class Seen:
    """What happened to one request, in stamps of the monotonic clock."""

    __slots__ = ("answer", "connect_s", "end_s", "error", "error_text", "reconnected", "replica", "sent_s", "status")

    def __init__(self) -> None:
        self.answer: StreamAnswer | None = None
        self.sent_s: float | None = None
        self.connect_s: float | None = None
        self.end_s = 0.0
        self.status: Status = "done"
        self.error: str | None = None
        self.error_text: str | None = None
        self.reconnected = False
        self.replica: int | None = None
        """Of a deployment of several engines the one that was asked, from 1."""


class Asker:
    """Asks one thing at a time over one connection, which is kept while the server keeps it."""

    __slots__ = ("_connection", "answer", "route")

    def __init__(self, route: Route) -> None:
        self.route = route
        self.answer: StreamAnswer | None = None
        """The answer under way."""
        self._connection: Connection | None = None

    def has_output(self) -> bool:
        """The answer under way has brought output text."""
        return self.answer is not None and self.answer.has_output()

    async def ask(
        self, body: bytes, *, due_s: float, named: str | None = None, meanwhile: Callable[[], None] | None = None
    ) -> Seen:
        """Send `body` and wait for the whole answer. Cancelling cuts the request: that is a result, not an error.

        `named` is the id that it is sent with. `meanwhile` is called when it has been sent, after what is ready on the
        loop by then; a second time where it had to be sent again.
        """
        seen = Seen()
        task = asyncio.current_task()
        left_s = due_s + self.route.target.access.timeout_s - now_s()
        timer = asyncio.get_running_loop().call_later(max(0.0, left_s), _time_out, task, seen)
        try:
            await self._exchange(body, seen, named=named, meanwhile=meanwhile)
        except asyncio.CancelledError:
            assert task is not None
            task.uncancel()
            if seen.status == "done":
                seen.status = "cut"
        finally:
            timer.cancel()
        self._finish(seen)
        return seen

    async def _exchange(
        self, body: bytes, seen: Seen, *, named: str | None, meanwhile: Callable[[], None] | None
    ) -> None:
        if self._connection is not None and self._connection.is_open and self.route.reuses:
            await self._send(self._connection, self.route.request(body, named), seen, meanwhile)
            if not self._was_stale(seen):
                return
            seen.reconnected = True
            named = None if named is None else named + AGAIN
            _let_go(seen.answer)
        self.drop()
        start_s = now_s()
        refusal = self.route.closed()
        if refusal is not None:
            seen.status, (seen.error, seen.error_text) = "error", refusal
            return
        try:
            self._connection = await connect(self.route.target, self.route.meter)
        except OSError as problem:  # ssl.SSLError is one
            seen.status, (seen.error, seen.error_text) = "error", why(problem)
            self.route.was_reached((seen.error, seen.error_text))
            return
        self.route.was_reached(None)
        seen.connect_s = now_s() - start_s
        await self._send(self._connection, self.route.request(body, named), seen, meanwhile)

    async def _send(
        self, connection: Connection, data: bytes, seen: Seen, meanwhile: Callable[[], None] | None
    ) -> None:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        seen.answer = self.answer = StreamAnswer(future, meter=self.route.meter)
        seen.sent_s = connection.send(data, self.answer)
        if meanwhile is not None:
            loop.call_soon(meanwhile)
        await future

    def _was_stale(self, seen: Seen) -> bool:
        """A kept connection that ended before any byte of an answer."""
        assert self._connection is not None
        answer = seen.answer
        assert answer is not None
        gone = not self._connection.is_open and not self._connection.has_read and not answer.complete
        self.route.was_kept(not gone)
        return gone

    def _finish(self, seen: Seen) -> None:
        """Decide what it was, take the end's stamp, and keep or drop the connection."""
        seen.end_s = now_s()
        answer, connection = seen.answer, self._connection
        if seen.status == "done" and answer is not None and connection is not None:
            if answer.error is None and not answer.complete and not _is_whole(answer, connection):
                seen.status, (seen.error, seen.error_text) = "error", self._unfinished(answer, connection)
            else:
                answer.conclude()
                if answer.error is not None:
                    seen.status, seen.error, seen.error_text = "error", answer.error, answer.error_detail
        if connection is not None:
            connection.release()
            if not connection.is_open:
                self._connection = None
        if seen.error_text is not None:
            seen.error_text = self.route.target.hide_key(seen.error_text)
        if answer is not None and answer.finish_reason is not None:
            answer.finish_reason = self.route.target.hide_key(answer.finish_reason)
        _let_go(answer)
        self.answer = None

    def _unfinished(self, answer: StreamAnswer, connection: Connection) -> tuple[str, str]:
        """Why an answer has no end. A stream that breaks off inside an event says so."""
        if connection.failure is None and answer.is_stream and answer.sse.close() is not None:
            return "bad_stream", "the connection ended in the middle of an event"
        return why(connection.failure)

    def drop(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _is_whole(answer: StreamAnswer, connection: Connection) -> bool:
    """All of it has come, though its body never ended: [DONE] has, or the server hung up in order behind its end."""
    return answer.saw_done or (connection.failure is None and answer.is_stream and answer.has_end())


def _let_go(answer: Reply | None) -> None:
    if answer is not None:
        answer.let_go()


def _time_out(task: "asyncio.Task[object] | None", seen: Seen) -> None:
    if seen.status == "done" and task is not None:
        seen.status, seen.error, seen.error_text = "error", "timeout", "no complete answer in time"
        task.cancel()


class FetchError(Exception):
    """A plain request failed; `kind` is a kind of error as in a Record."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind


async def fetch(target: Target, path: str, *, body: object = None, timeout_s: float = 10.0) -> tuple[int, bytes, bytes]:
    """One request outside any measurement: status, content type and body; FetchError where no answer came."""
    data = b"" if body is None else msgspec.json.encode(body)
    head = target.head("GET" if body is None else "POST", path)
    connection: Connection | None = None
    reply = Reply(asyncio.get_running_loop().create_future())
    try:
        async with asyncio.timeout(timeout_s):
            connection = await connect(target, Meter())
            connection.send(b"%b%d\r\n\r\n%b" % (head, len(data), data), reply)
            await reply.future
    except OSError as problem:  # TimeoutError and ssl.SSLError are ones
        raise FetchError(*why(problem)) from None
    finally:
        if connection is not None:
            connection.close()
        reply.let_go()
    if not reply.complete or reply.status is None:
        raise FetchError(*why(connection.failure))
    if 300 <= reply.status < 400 and reply.location:
        raise FetchError(f"http_{reply.status}", reply.said_wrong())
    if reply.encoding:
        raise FetchError("not_openai", compressed(reply.encoding))
    return reply.status, reply.content_type, target.hide_key_in(bytes(reply.body))


def to_record(
    seen: Seen,
    *,
    zero_s: float,
    user: int,
    k: int,
    due_s: float,
    asked_input_tokens: int | None = None,
    asked_shared_tokens: int | None = None,
    asked_output_tokens: int | None = None,
    prompt: str | None = None,
    model: str | None = None,
    measured: bool = False,
    client: int = 0,
) -> Record:
    """The record of one request, in seconds since `zero_s`."""
    return Record(
        user=user,
        k=k,
        due_s=due_s - zero_s,
        sent_s=None if seen.sent_s is None else seen.sent_s - zero_s,
        connect_s=seen.connect_s,
        end_s=seen.end_s - zero_s,
        status=seen.status,
        error=seen.error,
        error_text=None if seen.error_text is None else one_line(hidden(seen.error_text), limit=_TEXT_LIMIT),
        asked_input_tokens=asked_input_tokens,
        asked_shared_tokens=asked_shared_tokens,
        asked_output_tokens=asked_output_tokens,
        reconnected=seen.reconnected,
        prompt=prompt,
        model=model,
        measured=measured,
        client=client,
        replica=seen.replica,
        **({} if seen.answer is None else _observed(seen.answer)),
    )


def _observed(answer: StreamAnswer) -> dict[str, Any]:
    each, tokens = token_counts(answer.said_tokens, chunks=len(answer.steps_us), total=answer.output_tokens)
    return {
        "chunk_us": answer.steps_us.tobytes(),
        "chunk_tokens": each,
        "reasoning_chunks": answer.reasoning_chunks,
        "finish_reason": None if answer.finish_reason is None else one_line(answer.finish_reason, limit=LONGEST_NAME),
        "without_done": answer.is_stream and answer.error is None and answer.has_end() and not answer.saw_done,
        "http_status": answer.status,
        "input_tokens": answer.input_tokens,
        "output_tokens": tokens,
        "cached_tokens": answer.cached_tokens,
        "reasoning_tokens": answer.reasoning_tokens,
    }
