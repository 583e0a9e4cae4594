"""A client that runs elsewhere, as its coordinator sees it: it takes orders and gives words."""

import asyncio
from typing import Final, Protocol

from breakeven.errors import RunFailedError
from breakeven.load.wire import Fault, Order, Ready, Setup, Word

START_S: Final = 60.0
"""A client that has not been set up after so long will not be."""


class Link(Protocol):
    """One client, wherever it runs; it may be brought up again after its end."""

    number: int
    kind: str
    """What it is called in messages."""
    ahead_s: float
    """Borders are set this far ahead, so that every client has heard of them in time."""

    @property
    def node(self) -> str | None:
        """Where it runs; None: on this machine."""
        ...

    async def bring_up(self, setup: Setup) -> None:
        """Have a client that answers and has been set up, whether there was one or not; RunFailedError says why not."""
        ...

    def tell(self, order: Order) -> None:
        """Send an order behind those before it; its times are of our clock. A client that is gone hears nothing."""
        ...

    async def word(self) -> Word | None:
        """The next word, its times on our clock; None at the client's end."""
        ...

    def kill(self) -> None:
        """End it at once."""
        ...

    async def end(self) -> int | None:
        """End it, and wait for that; its exit code, where one is known."""
        ...


def name_of(link: Link) -> str:
    """`client process 2`."""
    return f"{link.kind} {link.number + 1}"


async def is_set_up(link: Link, setup: Setup) -> bool:
    """Tell the first order and wait for its answer; RunFailedError where a fault of ours is the answer."""
    link.tell(setup)
    try:
        word = await asyncio.wait_for(link.word(), START_S)
    except TimeoutError:
        return False
    if isinstance(word, Fault):
        raise RunFailedError(f"{name_of(link)} could not start: {word.text}")
    return isinstance(word, Ready)
