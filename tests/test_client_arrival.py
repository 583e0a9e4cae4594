"""The kernel's receive stamps, turned into times of our clock."""

import socket
import struct
import sys
import time

import pytest

from breakeven.client.arrival import CONTROL_BYTES, Arrivals, Control, ask_for_stamps
from breakeven.clock import now_s

linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux stamps what it receives on TCP")


def told(wall_s: float) -> Control:
    """What comes with bytes that arrived when the wall clock showed this."""
    return [(socket.SOL_SOCKET, 35, struct.pack("@ll", int(wall_s), int(wall_s % 1 * 1e9)))]


def pair() -> tuple[socket.socket, socket.socket]:
    """Both ends of a TCP connection, the second with stamps."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        sender = socket.create_connection(listener.getsockname())
        sender.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        receiver, _ = listener.accept()
    ask_for_stamps(receiver)
    return sender, receiver


@linux
def test_bytes_that_are_read_late_have_the_stamp_of_their_arrival() -> None:
    sender, receiver = pair()
    with sender, receiver:
        for _ in range(50):  # the kernel begins to stamp a moment after the first socket asked for it
            before_s = now_s()
            sender.send(b"x")
            after_s = now_s()
            time.sleep(0.05)
            _, control, _, _ = receiver.recvmsg(16, CONTROL_BYTES)
            if control:
                break
        assert control, "the kernel gave no stamp"
        assert before_s - 1e-4 < Arrivals().stamp_s(control) < after_s + 0.01


@linux
def test_several_writes_in_one_read_have_the_stamp_of_the_last() -> None:
    sender, receiver = pair()
    with sender, receiver:
        time.sleep(0.05)
        sender.send(b"x")
        time.sleep(0.05)
        last_s = now_s()
        sender.send(b"y")
        time.sleep(0.05)
        data, control, _, _ = receiver.recvmsg(16, CONTROL_BYTES)
        assert data == b"xy"
        assert Arrivals().stamp_s(control) == pytest.approx(last_s, abs=0.01)


def test_a_stamp_is_never_after_now() -> None:
    arrivals = Arrivals()
    before_s = now_s()
    assert before_s <= arrivals.stamp_s(told(time.time() + 60)) <= now_s()


def test_a_clock_that_was_set_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    arrivals = Arrivals()
    wall_s = time.time
    monkeypatch.setattr(time, "time", lambda: wall_s() - 3600)
    arrivals.refresh()
    came_s = now_s() - 0.2
    assert arrivals.stamp_s(told(wall_s() - 3600 - 0.2)) == pytest.approx(came_s, abs=0.01)


def test_the_difference_of_the_clocks_is_found_between_interruptions(monkeypatch: pytest.MonkeyPatch) -> None:
    true_s = time.time() - now_s()
    wall_s, readings = time.time, iter(range(100))

    def interrupted_s() -> float:
        read_s = wall_s()
        if next(readings) % 5:  # four readings of five are held up
            time.sleep(0.02)
        return read_s

    monkeypatch.setattr(time, "time", interrupted_s)
    arrivals = Arrivals()
    monkeypatch.undo()
    came_s = now_s() - 0.2
    assert arrivals.stamp_s(told(came_s + true_s)) == pytest.approx(came_s, abs=0.001)


def test_a_socket_that_cannot_be_stamped_is_no_error() -> None:
    left, right = socket.socketpair()
    with left, right:
        right.close()
        ask_for_stamps(right)  # a closed socket refuses every option
