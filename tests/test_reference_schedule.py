"""The reference server writes in the order of what is due, also where requests were read late and out of order."""

import asyncio
from array import array

import numpy as np
import uvloop

from breakeven.client.reference.schedule import Schedule, Stream
from breakeven.clock import now_s

ITL_S = 0.02


class Note:
    """A sink that takes everything and notes who wrote."""

    def __init__(self, name: int, order: list[int]) -> None:
        self.name = name
        self.order = order

    def send(self, data: bytes, /) -> int:
        self.order.append(self.name)
        return len(data)

    def hold(self, data: bytes) -> None:
        raise AssertionError(data)

    def answered(self) -> None: ...


def played(due_after_s: list[float], *, writes: int = 3, last_read_s: float = 0.0) -> tuple[list[int], list[float]]:
    """Add streams in this order, the last of them so much later; who wrote in turn, and how late each write was."""
    order: list[int] = []
    stamps = [array("d") for _ in due_after_s]

    async def play() -> list[float]:
        schedule = Schedule(asyncio.get_running_loop(), itl_s=ITL_S)
        zero_s = now_s()
        for number, after_s in enumerate(due_after_s):
            if number == len(due_after_s) - 1:
                await asyncio.sleep(last_read_s)
            sink = Note(number, order)
            schedule.add(Stream(sink, (b"x",) * writes, due_s=zero_s + after_s, stamps=stamps[number]))
        await asyncio.sleep(max(due_after_s) + writes * ITL_S + 0.05)
        steps_s = ITL_S * np.arange(writes)
        late_s = [np.array(own) - zero_s - at_s - steps_s for own, at_s in zip(stamps, due_after_s, strict=True)]
        return [float(one) for own in late_s for one in own]

    late_s = uvloop.run(play())
    return order, late_s


def test_writes_go_out_in_the_order_of_what_is_due_not_of_what_was_read() -> None:
    order, late_s = played([0.010, 0.004, 0.007, 0.001])
    assert order == 3 * [3, 1, 2, 0]
    assert min(late_s) >= 0


def test_a_request_that_was_read_after_its_answer_was_due_is_late_and_holds_up_nobody() -> None:
    order, late_s = played([0.005, 0.010, -0.012], writes=4, last_read_s=0.014)
    assert order == 4 * [0, 1, 2]
    assert np.median(late_s[:8]) < 0.005
    assert min(late_s[8:]) > 0.025
