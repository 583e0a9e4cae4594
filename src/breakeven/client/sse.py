"""Server-sent events out of bytes that may be split anywhere."""

from typing import Final

_EVENT_LIMIT_BYTES: Final = 16 * 1024 * 1024
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


class EventTooLargeError(ValueError):
    """An event did not end within 16 MiB; the server is no event stream."""


class SseDecoder:
    """Turns body parts into the `data` of whole events (WHATWG HTML, section 9.2.6), bytes in and bytes out.

    Line ends may be LF, CRLF or CR, and an event is given as soon as its last line end has begun. Comments and fields
    other than `data` and `event` are passed over. An `event: error` field is kept in `named_error`, since some servers
    name their errors there.
    """

    __slots__ = ("_after_cr", "_begun", "_tail", "is_at_rest", "named_error")

    def __init__(self) -> None:
        self._tail = b""
        self._after_cr = False
        """The last part ended with CR: an LF at the start of the next one belongs to it."""
        self._begun = False
        self.is_at_rest = False
        """A block has been seen whole, and the next part begins a new one."""
        self.named_error = False

    def feed(self, part: bytes) -> list[bytes]:
        """Whole events that end within `part`, in order."""
        *blocks, self._tail = (self._tail + self._with_lf(part)).split(b"\n\n")
        if len(self._tail) > _EVENT_LIMIT_BYTES:
            raise EventTooLargeError(f"an event of more than {_EVENT_LIMIT_BYTES >> 20} MiB")
        found = [data for block in blocks if (data := self._data(block)) is not None]
        self.is_at_rest = self._begun and not self._tail and not self._after_cr
        return found

    def _with_lf(self, part: bytes) -> bytes:
        """The part with every line end as one LF."""
        if self._after_cr and part:
            self._after_cr = False
            part = part.removeprefix(b"\n")
        if b"\r" in part:
            self._after_cr = part.endswith(b"\r")
            part = part.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        return part

    def close(self) -> bytes | None:
        """What the stream's end left unfinished: the data of an event without its blank line, or None."""
        tail, self._tail = self._tail.rstrip(b"\n"), b""
        return self._data(tail) if tail else None

    def _data(self, block: bytes) -> bytes | None:
        if not self._begun:
            self._begun = True
            block = block.removeprefix(_BYTE_ORDER_MARK)
        found = None
        for line in block.split(b"\n"):
            name, _, value = line.partition(b":")
            if name == b"data":
                value = value.removeprefix(b" ")
                found = value if found is None else found + b"\n" + value
            elif name == b"event" and value.strip() == b"error":
                self.named_error = True
        return found
