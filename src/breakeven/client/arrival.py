"""When bytes arrived: the kernel's receive stamps, on the clock that everything else is measured with.

Linux notes when a segment came in, before any process is told (SO_TIMESTAMPNS, socket(7)), and gives the note with
the read. A read that comes late, because the client was busy or its core was not its own, is then no error of the
figure. The kernel's stamps are of CLOCK_REALTIME; ours are of CLOCK_MONOTONIC. Both run at one rate (clock_gettime(2):
NTP slews both), so the difference changes only when somebody sets the clock.
"""

import socket
import struct
import sys
import time
from collections.abc import Sequence
from typing import Final

from breakeven.clock import now_s
from breakeven.units import NS_PER_S

CONTROL_BYTES: Final = socket.CMSG_SPACE(struct.calcsize("@ll"))
"""Room for one stamp beside the bytes of a read."""
_SO_TIMESTAMPNS: Final = 35
"""asm-generic/socket.h; Python has no name for it."""
_TIMESPEC: Final = struct.Struct("@ll")
_S_PER_NS: Final = 1 / NS_PER_S
_SET_S: Final = 50e-6
"""The clocks are read one after the other; where their difference moves by more than this, it is measured again."""
_TRIES: Final = 5

Control = Sequence[tuple[int, int, bytes]]
"""What `socket.recvmsg` gave beside the bytes; empty without a stamp."""


def ask_for_stamps(connected: socket.socket) -> None:
    """Have the kernel give its stamp with each `recvmsg`; where it cannot, reads bring none and that is no error."""
    if sys.platform == "linux":
        try:
            connected.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        except OSError:  # sandboxes with a network stack of their own
            return


def _offset_s() -> float:
    """CLOCK_REALTIME minus CLOCK_MONOTONIC: of a few tries the one in which least time passed between the readings."""
    tries = []
    for _ in range(_TRIES):
        before_s = now_s()
        wall_s = time.time()
        after_s = now_s()
        tries.append((after_s - before_s, wall_s - (before_s + after_s) / 2))
    return min(tries)[1]


class Arrivals:
    """Turns what came with a read into a stamp of `clock.now_s`."""

    __slots__ = ("_offset_s",)

    def __init__(self) -> None:
        self._offset_s = _offset_s()

    def refresh(self) -> None:
        """Look whether somebody set the clock."""
        if abs(time.time() - now_s() - self._offset_s) > _SET_S:
            self._offset_s = _offset_s()

    def stamp_s(self, control: Control) -> float:
        """When the last byte of a read came, by its stamp, in seconds of `clock.now_s`; never after now."""
        now = now_s()
        whole_s, rest_ns = _TIMESPEC.unpack(control[0][2])
        came_s: float = whole_s - self._offset_s + rest_ns * _S_PER_NS
        return came_s if came_s < now else now
