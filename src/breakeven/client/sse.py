"""Server-sent events out of bytes that may be split anywhere."""

from typing import Final

_LF: Final = 10
_CR: Final = 13
_EVENT_LIMIT_BYTES: Final = 16 * 1024 * 1024


class EventTooLargeError(ValueError):
    """An event did not end within 16 MiB; the server is no event stream."""


class SseDecoder:
    """Turns body parts into the `data` of whole events (WHATWG HTML, section 9.2.6), bytes in and bytes out.

    Line ends may be LF, CRLF or CR. Comments and fields other than `data` and `event` are passed over. An
    `event: error` field is kept in `named_error`, since some servers name their errors there.
    """

    __slots__ = ("_tail", "named_error")

    def __init__(self) -> None:
        self._tail = b""
        self.named_error = False

    def feed(self, part: bytes) -> list[bytes]:
        """Whole events that end within `part`, in order."""
        if not self._tail and part.startswith(b"data: ") and part.find(b"\n") == len(part) - 2:
            if part[-1] == _LF and part[-3] != _CR:  # the usual case: one event, one line of data
                return [part[6:-2]]
        return self._feed_slowly(part)

    def _feed_slowly(self, part: bytes) -> list[bytes]:
        text = self._tail + part
        held = b""
        if b"\r" in text:
            if text.endswith(b"\r"):  # its LF may come with the next part
                text, held = text[:-1], b"\r"
            text = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        *blocks, rest = text.split(b"\n\n")
        self._tail = rest + held
        if len(self._tail) > _EVENT_LIMIT_BYTES:
            raise EventTooLargeError(f"an event of more than {_EVENT_LIMIT_BYTES >> 20} MiB")
        return [data for block in blocks if (data := self._data(block)) is not None]

    def close(self) -> bytes | None:
        """What the stream's end left unfinished: the data of an event without its blank line, or None."""
        tail, self._tail = self._tail.rstrip(b"\r\n"), b""
        return self._data(tail) if tail else None

    def _data(self, block: bytes) -> bytes | None:
        found = None
        for line in block.split(b"\n"):
            name, _, value = line.partition(b":")
            if name == b"data":
                value = value.removeprefix(b" ")
                found = value if found is None else found + b"\n" + value
            elif name == b"event" and value.strip() == b"error":
                self.named_error = True
        return found
