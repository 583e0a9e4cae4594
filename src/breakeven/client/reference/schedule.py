"""When what is written: all streams in the order of their next write, each write with a stamp right before it."""

import asyncio
from array import array
from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

from breakeven.client.alarm import alarm
from breakeven.clock import now_s

SHORTEST_SLEEP_S: Final = 0.0001
"""Writes that are due closer together than this go out one behind the other, the first of them so much later."""
SLICE_S: Final = 0.002
"""Longest time spent writing before the loop looks at its sockets again."""


class Sink(Protocol):
    """Where a stream's bytes go."""

    def send(self, data: bytes, /) -> int:
        """Bytes that were taken; OSError when none could be."""
        ...

    def hold(self, data: bytes) -> None:
        """Keep what `send` did not take and send it later; a broken connection is dealt with there."""
        ...

    def answered(self) -> None:
        """The last write has been made."""
        ...


class Stream:
    """One answer on its way: what is left to write, and the stamps of what was written."""

    __slots__ = ("due_s", "dues_s", "gone", "index", "send", "sink", "stamp", "writes")

    def __init__(
        self,
        sink: Sink,
        writes: tuple[bytes, ...],
        *,
        due_s: float,
        stamps: "array[float]",
        dues_s: list[float] | None = None,
    ) -> None:
        self.sink = sink
        self.send: Callable[[bytes], int] = sink.send
        """May be replaced while a stream runs, as a connection does when its socket is full."""
        self.writes = writes
        self.index = 0
        self.due_s = due_s
        self.dues_s = dues_s
        """When each write is due; None: one each ITL."""
        self.stamp = stamps.append
        self.gone = False

    def put_off(self, by_s: float) -> None:
        """Write everything so much later."""
        self.due_s += by_s
        if self.dues_s is not None:
            self.dues_s = [due_s + by_s for due_s in self.dues_s]


class Schedule:
    """Streams that write every ITL, the same for all: two queues are always in order, and no heap is needed.

    Where the machine's speed changes, it does so for all of them, and the order stays.

    No asyncio transport takes part: a transport writes when the loop's turn ends, later than a stamp taken before the
    call. Here the stamp and the system call stand next to each other.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, *, itl_s: float) -> None:
        self._alarm = alarm(loop, self._tick)
        self._itl_s = itl_s
        self._first: deque[Stream] = deque()
        self._later: deque[Stream] = deque()
        self._wake_s: float | None = None
        """When the alarm rings; None: it is not set."""

    def add(self, stream: Stream) -> None:
        """Take up a stream. Requests are read in about the order in which they came: it goes to the end, or nearly.

        One whose first write is overdue begins now and stays late, so that no queue loses its order.
        """
        first, late_s = self._first, now_s() - stream.due_s
        if late_s > 0:
            stream.put_off(late_s)
        place = len(first)
        while place and first[place - 1].due_s > stream.due_s:
            place -= 1
        first.insert(place, stream)
        if self._wake_s is None or stream.due_s < self._wake_s:
            self._sleep()

    def _sleep(self) -> None:
        heads = [queue[0].due_s for queue in (self._first, self._later) if queue]
        if heads:
            self._wake_s = max(now_s() + SHORTEST_SLEEP_S, min(heads))
            self._alarm.set(self._wake_s)
        else:
            self._wake_s = None
            self._alarm.clear()

    def _tick(self) -> None:
        """Write what is due; where the time did not suffice, the alarm goes on ringing, after the loop's other work."""
        if self._write_due(until_s=now_s() + SLICE_S):
            self._sleep()

    def _write_due(self, *, until_s: float) -> bool:
        """Write what is due; False when the time is up before that. The hot path: it is written out in one piece."""
        first, later, itl_s = self._first, self._later, self._itl_s
        now = now_s()
        while now < until_s:
            queue = later if later and not (first and first[0].due_s < later[0].due_s) else first
            if not queue or queue[0].due_s > now:
                return True
            stream = queue.popleft()
            if stream.gone:
                continue
            data = stream.writes[stream.index]
            stream.index += 1
            now = now_s()
            stream.stamp(now)
            try:
                left = data[stream.send(data) :]
            except OSError:
                left = data
            if left:
                stream.sink.hold(left)
            if stream.index < len(stream.writes):
                stream.due_s = stream.due_s + itl_s if stream.dues_s is None else stream.dues_s[stream.index]
                later.append(stream)
            else:
                stream.sink.answered()
        return False
