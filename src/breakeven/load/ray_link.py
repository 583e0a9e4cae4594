"""`--clients ray:N`: a client on a node of the Ray cluster that was joined.

Needs the extra `breakeven[ray]`. Intervals are taken within one client, on its own clock. The offset between a client's
clock and ours is measured (the middle of the quickest of several round trips), used to align arrivals, and stated.
"""

import asyncio
import contextlib
from collections import deque
from typing import Any

from msgspec.structs import replace

from breakeven import __version__
from breakeven.clock import now_s
from breakeven.errors import RunFailedError, one_line, uncoloured
from breakeven.load.link import START_S, is_set_up, name_of
from breakeven.load.merge import on_our_clock
from breakeven.load.ray_client import RayClient
from breakeven.load.ray_cluster import head_of, probe
from breakeven.load.wire import Cut, Fault, Finish, Open, Order, Report, Setup, Start, Word, decode_word, encode
from breakeven.record import ClientFacts

_PINGS = 15
_ANSWER_S = 10.0
_BRING_UP_S = 60.0
_AGAIN_S = 1.0


class RayLink:
    """An actor, on another node than its neighbours' where there is one."""

    kind = "Ray client"
    ahead_s = 0.2

    def __init__(self, number: int) -> None:
        import ray

        self._ray = ray
        self.number = number
        self.actor: Any = None
        self.node = ""
        self._offset_s = self._doubt_s = 0.0
        self._words: deque[Word] = deque()
        self._sending: set[asyncio.Task[None]] = set()

    async def bring_up(self, setup: Setup) -> None:
        """Have an actor that answers, and know its clock.

        What dies or hangs is ended and started again, on another node where there is one, for about a minute: Ray takes
        some seconds to notice that a node is gone.
        """
        until_s = now_s() + _BRING_UP_S
        shunned: set[str] = set()
        while (why := await self._try(setup, shunned)) is not None:
            self.kill()
            if now_s() > until_s:
                raise RunFailedError(f"{name_of(self)} could not be started in {_BRING_UP_S:g} s: {why}")
            await asyncio.sleep(_AGAIN_S)

    async def _try(self, setup: Setup, shunned: set[str]) -> str | None:
        """One try; what went wrong, or None. Nodes where a start went wrong are added to `shunned`."""
        node = None
        try:
            if self.actor is None:
                node = self._node_for(shunned)
                await asyncio.wait_for(self._start_on(node), START_S)
                if not await is_set_up(self, setup):
                    raise TimeoutError
                node = None
            self._offset_s, self._doubt_s = await asyncio.wait_for(self._clock(), _ANSWER_S)
        except self._ray.exceptions.RayTaskError as problem:
            raise RunFailedError(f"{name_of(self)} failed: {last_line(problem.cause or problem)}") from None
        except self._ray.exceptions.RayError as problem:
            why = last_line(problem)
            if node and "ModuleNotFoundError" in why:
                raise RunFailedError(_not_installed(self._ip_of(node), why)) from None
            shunned.update({node} if node else ())
            return why
        except TimeoutError:
            shunned.update({node} if node else ())
            return "it did not answer in time"
        return None

    def _node_for(self, shunned: set[str]) -> str:
        """Client i belongs on node i mod nodes: Ray's own spreading goes by CPUs, and we ask for none."""
        probe(head_of(self._ray))
        alive: list[str] = sorted(node["NodeID"] for node in self._ray.nodes() if node["Alive"])
        nodes = [node for node in alive if node not in shunned] or alive
        return nodes[self.number % len(nodes)]

    def _ip_of(self, node: str) -> str:
        return next((str(one["NodeManagerAddress"]) for one in self._ray.nodes() if one["NodeID"] == node), node[:8])

    async def _start_on(self, node: str) -> None:
        """Start the actor, and see that the node has this version of us, which is what pickles are good for."""
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        place = NodeAffinitySchedulingStrategy(node, soft=False)
        self.actor = self._ray.remote(num_cpus=0)(RayClient).options(scheduling_strategy=place).remote()
        self._in_turn = asyncio.Lock()
        self._words.clear()
        there, self.node = await self.actor.about.remote()
        if there != __version__:
            raise RunFailedError(
                f"node {self._ip_of(node)} has breakeven {there}, this is {__version__}; install the same on every node"
            )

    async def _clock(self) -> tuple[float, float]:
        """Their clock minus ours, from the quickest of several round trips; half of that trip is the doubt."""
        trips = []
        for _ in range(_PINGS):
            before_s = now_s()
            there_s = await self.actor.clock.remote()
            after_s = now_s()
            trips.append((after_s - before_s, there_s - (before_s + after_s) / 2))
        trip_s, offset_s = min(trips)
        return offset_s, trip_s / 2

    def tell(self, order: Order) -> None:
        """Call the actor, when the calls before have come back: it may take later calls first."""
        if self.actor is not None:
            task = asyncio.create_task(self._send(self.actor, encode(self._there(order))))
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)

    async def _send(self, actor: Any, order: bytes) -> None:
        async with self._in_turn:
            with contextlib.suppress(self._ray.exceptions.RayError):  # `word` tells of it
                await actor.hear.remote(order)

    def _there(self, order: Order) -> Order:
        """The order on the actor's clock."""
        if isinstance(order, Start):
            zero_s, start_s = order.spec.zero_s + self._offset_s, order.spec.start_s + self._offset_s
            return replace(order, spec=replace(order.spec, zero_s=zero_s, start_s=start_s))
        return replace(order, at_s=order.at_s + self._offset_s) if isinstance(order, Open | Cut) else order

    async def word(self) -> Word | None:
        """The next that the actor told."""
        if not self._words:
            if self.actor is None:
                return None
            try:
                self._words.extend(map(decode_word, await self.actor.words.remote()))
            except self._ray.exceptions.RayTaskError as problem:
                return Fault(text=last_line(problem.cause or problem))
            except self._ray.exceptions.RayError:
                return None
        word = self._words.popleft()
        if isinstance(word, Report):
            return replace(word, counts=on_our_clock(word.counts, offset_s=self._offset_s))
        if isinstance(word, Finish) and word.facts is not None:
            return replace(word, facts=await self._dated(word.facts))
        return word

    async def _dated(self, facts: ClientFacts) -> ClientFacts:
        """The facts with where the client ran, and its clock before the level and after it."""
        drift_s = None
        with contextlib.suppress(self._ray.exceptions.RayError, TimeoutError):
            after_s, _ = await asyncio.wait_for(self._clock(), _ANSWER_S)
            drift_s = after_s - self._offset_s
        return replace(
            facts,
            node=self.node,
            clock_offset_s=self._offset_s,
            clock_doubt_s=self._doubt_s,
            clock_drift_s=drift_s,
        )

    def kill(self) -> None:
        """End the actor; the cluster stays."""
        actor, self.actor = self.actor, None
        for task in self._sending:
            task.cancel()
        if actor is not None:
            self._ray.kill(actor)

    async def end(self) -> None:
        """End the actor; Ray does not say how one ended."""
        self.kill()


def _not_installed(ip: str, why: str) -> str:
    if why.rstrip("'").endswith("'breakeven"):
        return f"breakeven is not installed on node {ip}: pip install 'breakeven[ray]' there, in version {__version__}"
    return f"node {ip} cannot run a client of breakeven {__version__}: {why}"


def last_line(problem: BaseException) -> str:
    """What an error of Ray says in the end: its texts are whole tracebacks, in colours."""
    lines = uncoloured(str(problem)).strip().splitlines() or [""]
    return one_line(lines[-1] if len(lines) > 1 else f"{type(problem).__name__}: {lines[0]}")
