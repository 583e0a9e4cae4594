"""A deployment of several engines behind one address: which of them a request goes to. Nothing stands between.

A server that shared requests out for us would be in every latency, and its own limits in every throughput. So each user
has a connection to each engine, and this decides as a router would: in turn, or the one with the fewest requests in
flight. Several client processes decide each for itself, by what it knows: its own requests.
"""

from collections.abc import Callable, Sequence

from breakeven.client.answer import StreamAnswer
from breakeven.client.ask import Asker, Route, Seen
from breakeven.serving import Routing


class Routes:
    """The engines of a deployment, and how many requests of ours each has in flight."""

    __slots__ = ("_by_load", "_in_flight", "_taken", "each")

    def __init__(self, each: Sequence[Route], *, routing: Routing, first: int = 0) -> None:
        self.each = tuple(each)
        self._by_load = routing == "least-loaded"
        self._taken = first
        self._in_flight = [0] * len(each)

    def take(self) -> int:
        """The number of the engine that the next request goes to; of engines that are as busy, the next in turn."""
        count, turn = len(self.each), self._taken
        number = turn % count
        if self._by_load:
            number = min(range(count), key=lambda one: (self._in_flight[one], (one - turn) % count))
        self._taken += 1
        self._in_flight[number] += 1
        return number

    def give_back(self, number: int) -> None:
        """A request to that engine is over."""
        self._in_flight[number] -= 1

    def asker(self) -> "Asker | RoutedAsker":
        """A user's way of asking them."""
        return Asker(self.each[0]) if len(self.each) == 1 else RoutedAsker(self)


class RoutedAsker:
    """As an `Asker`, of several engines: each question goes to one of them, over a connection of its own."""

    __slots__ = ("_askers", "_at", "_routes")

    def __init__(self, routes: Routes) -> None:
        self._routes = routes
        self._askers = [Asker(route) for route in routes.each]
        self._at = 0

    @property
    def answer(self) -> StreamAnswer | None:
        """The answer under way."""
        return self._askers[self._at].answer

    def has_output(self) -> bool:
        """The answer under way has brought output text."""
        return self._askers[self._at].has_output()

    async def ask(
        self, body: bytes, *, due_s: float, named: str | None = None, meanwhile: Callable[[], None] | None = None
    ) -> Seen:
        """As `Asker.ask`; what was seen says which engine it was, counted from 1."""
        self._at = self._routes.take()
        try:
            seen = await self._askers[self._at].ask(body, due_s=due_s, named=named, meanwhile=meanwhile)
        finally:
            self._routes.give_back(self._at)
        seen.replica = self._at + 1
        return seen

    def drop(self) -> None:
        """Close all connections."""
        for asker in self._askers:
            asker.drop()
