"""`--clients ray:N`: the users are split over the nodes of a Ray cluster; one coordinator owns the level's borders.

Needs the extra `breakeven[ray]`. Intervals are taken within one client, on its own clock. The offset between a client's
clock and ours is measured (the middle of the quickest of several round trips), used to align arrivals, and stated.
"""

import asyncio
import contextlib
import pickle
from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from breakeven import __version__
from breakeven.caution import Caution
from breakeven.clock import now_s
from breakeven.errors import RunFailedError, one_line
from breakeven.load.merge import Tally, merged, on_our_clock
from breakeven.load.open_loop import Asking
from breakeven.load.processes import given_up, lost_note, quotas, split
from breakeven.load.ray_client import RayClient
from breakeven.load.ray_cluster import head_of, plain, probe
from breakeven.load.wire import REPORT_EVERY_S, Setup
from breakeven.load.worker import Counts, LevelSpec
from breakeven.record import ClientFacts, Record

_AHEAD_S = 0.2
_PINGS = 15
_LOST_S = 10.0
_ANSWER_S = 10.0
_SET_UP_S = 60.0
_BRING_UP_S = 60.0
_AGAIN_S = 1.0


class _Client:
    def __init__(self, number: int, actor: Any) -> None:
        self.number = number
        self.actor = actor
        self.node = ""
        self.tally = Tally(0)
        self.offset_s = 0.0
        self.doubt_s = 0.0
        self.facts: ClientFacts | None = None
        self.fault: str | None = None
        self.is_cutting = False
        self.asking: asyncio.Task[None] | None = None


class RayCrew:
    """Clients as Ray actors, spread over the nodes of the cluster that was joined.

    A dead actor's users are not replaced; the level says so.
    """

    def __init__(self, asking: Asking, *, clients: int) -> None:
        import ray

        self._ray = ray
        self._actor = ray.remote(num_cpus=0)(RayClient)
        self._asking = pickle.dumps(asking)
        self._clients = [_Client(number, None) for number in range(clients)]
        self._active: list[_Client] = []
        self._notes: list[Caution] = []

    async def launch(self) -> None:
        """Have an actor for every client, and know its clock."""
        await asyncio.gather(*(self._bring_up(client) for client in self._clients))

    async def make_ready(self) -> None:
        """Replace the actors that are gone, or do not answer, and measure all clocks anew."""
        await self.launch()

    async def _bring_up(self, client: _Client) -> None:
        """What dies or hangs is ended and started again, on another node where there is one, for about a minute.

        Ray takes some seconds to notice that a node is gone.
        """
        until_s = now_s() + _BRING_UP_S
        shunned: set[str] = set()
        while (why := await self._try(client, shunned)) is not None:
            self._end(client)
            if now_s() > until_s:
                raise RunFailedError(f"Ray client {client.number + 1} could not be started in {_BRING_UP_S:g} s: {why}")
            await asyncio.sleep(_AGAIN_S)

    async def _try(self, client: _Client, shunned: set[str]) -> str | None:
        """One try; what went wrong, or None. Nodes where a start went wrong are added to `shunned`."""
        node = None
        try:
            if client.actor is None:
                node = self._node_for(client, shunned)
                await asyncio.wait_for(self._set_up(client, node), _SET_UP_S)
                node = None
            client.offset_s, client.doubt_s = await asyncio.wait_for(self._clock_of(client), _ANSWER_S)
        except self._ray.exceptions.RayTaskError as problem:
            self._fail(client, problem)
            _raise_fault(client)
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

    def _node_for(self, client: _Client, shunned: set[str]) -> str:
        """Client i belongs on node i mod nodes: Ray's own spreading goes by CPUs, and we ask for none."""
        probe(head_of(self._ray))
        alive: list[str] = sorted(node["NodeID"] for node in self._ray.nodes() if node["Alive"])
        nodes = [node for node in alive if node not in shunned] or alive
        return nodes[client.number % len(nodes)]

    def _ip_of(self, node: str) -> str:
        return next((str(one["NodeManagerAddress"]) for one in self._ray.nodes() if one["NodeID"] == node), node[:8])

    async def _set_up(self, client: _Client, node: str) -> None:
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        place = NodeAffinitySchedulingStrategy(node, soft=False)
        client.actor = self._actor.options(scheduling_strategy=place).remote()
        setup = pickle.dumps(Setup(client=client.number, asking=self._asking))
        there, client.node = await client.actor.setup.remote(setup, __version__)
        if there != __version__:
            raise RunFailedError(
                f"node {self._ip_of(node)} has breakeven {there}, this is {__version__}; install the same on every node"
            )

    async def start(self, spec: LevelSpec, emit: Callable[[Record], None]) -> None:
        """Start the users, each in its actor."""
        self._notes, self._emit = [], emit
        self._active = self._clients[: spec.users] if spec.users else self._clients
        groups = zip(self._active, split(spec, len(self._active)), strict=True)
        await asyncio.gather(*(self._start(client, spec, users) for client, users in groups))

    async def _start(self, client: _Client, spec: LevelSpec, users: list[int]) -> None:
        """Start a client's users on its own clock; waited for, since an actor may take later calls first."""
        client.tally = Tally(len(users) if spec.users else 0, start_s=now_s())
        client.facts, client.fault = None, None
        client.is_cutting, client.asking = False, None
        there = replace(spec, zero_s=spec.zero_s + client.offset_s, start_s=spec.start_s + client.offset_s)
        try:
            await asyncio.wait_for(client.actor.start.remote(there, users), _ANSWER_S)
        except self._ray.exceptions.RayTaskError as problem:
            self._fail(client, problem)
        except self._ray.exceptions.RayError:
            self._lose(client, "ended in mid-level")
        except TimeoutError:
            self._lose(client, given_up(_ANSWER_S))
        else:
            client.asking = asyncio.create_task(self._ask(client))

    async def _clock_of(self, client: _Client) -> tuple[float, float]:
        """Their clock minus ours, from the quickest of several round trips; half of that trip is the doubt."""
        trips = []
        for _ in range(_PINGS):
            before_s = now_s()
            there_s = await client.actor.clock.remote()
            after_s = now_s()
            trips.append((after_s - before_s, there_s - (before_s + after_s) / 2))
        trip_s, offset_s = min(trips)
        return offset_s, trip_s / 2

    async def _ask(self, client: _Client) -> None:
        """Fetch the client's reports, ten a second, until it is cut or gone. What a report holds comes only once."""
        try:
            while not client.is_cutting:
                await asyncio.sleep(REPORT_EVERY_S)
                counts, records = await asyncio.wait_for(client.actor.report.remote(), _LOST_S)
                client.tally.take(on_our_clock(counts, offset_s=client.offset_s))
                for record in records:
                    self._emit(record)
        except self._ray.exceptions.RayTaskError as problem:
            self._fail(client, problem)
            client.tally.is_dead = True
        except self._ray.exceptions.RayError:
            self._lose(client, "ended in mid-level")
        except TimeoutError:
            self._lose(client, given_up(_LOST_S))

    async def counts(self) -> Counts:
        """All that the clients have told; RunFailedError when none is left, or one reports a fault."""
        for client in self._active:
            _raise_fault(client)
        if all(client.tally.is_dead for client in self._active):
            raise RunFailedError("every Ray client ended in mid-level; what they had told is kept")
        return merged([client.tally for client in self._active], now_s=now_s())

    async def open(self, *, measured: int | None) -> float:
        """All open at one stamp of our clock, each by its own."""
        at_s = now_s() + _AHEAD_S
        for client, quota in zip(self._active, quotas(measured, [c.tally for c in self._active]), strict=True):
            client.tally.quota = quota
            if client.tally.is_dead:
                continue
            client.actor.open.remote(at_s + client.offset_s, quota)
        await asyncio.sleep(at_s - now_s())
        return at_s

    async def cut(self) -> float:
        """All cut at one stamp of our clock, each by its own."""
        at_s = now_s() + _AHEAD_S
        await asyncio.gather(*(self._cut(client, at_s) for client in self._active if client.actor is not None))
        await asyncio.gather(*(self._date(client) for client in self._active if client.facts is not None))
        for client in self._active:
            _raise_fault(client)
        return at_s

    async def _cut(self, client: _Client, at_s: float) -> None:
        client.is_cutting = True
        if client.actor is None:  # lost a moment ago
            return
        answer = client.actor.cut.remote(at_s + client.offset_s)
        if client.asking is not None:
            await client.asking
        if client.tally.is_dead:
            return
        try:
            records, client.facts = await asyncio.wait_for(answer, _AHEAD_S + _LOST_S)
        except self._ray.exceptions.RayTaskError as problem:
            self._fail(client, problem)
        except self._ray.exceptions.RayError:
            self._lose(client, "ended in mid-level")
        except TimeoutError:
            self._lose(client, given_up(_LOST_S))
        else:
            for record in records:
                self._emit(record)

    async def _date(self, client: _Client) -> None:
        """Put into a client's facts where it ran, and its clock before the level and after it."""
        drift_s = None
        with contextlib.suppress(self._ray.exceptions.RayError, TimeoutError):
            after_s, _ = await asyncio.wait_for(self._clock_of(client), _ANSWER_S)
            drift_s = after_s - client.offset_s
        assert client.facts is not None
        client.facts = replace(
            client.facts,
            node=client.node,
            clock_offset_s=client.offset_s,
            clock_doubt_s=client.doubt_s,
            clock_drift_s=drift_s,
        )

    def _fail(self, client: _Client, problem: Any) -> None:
        """A fault of ours on a client, which stops the run; what follows from it is not told."""
        client.fault = client.fault or last_line(problem.cause or problem)

    def _lose(self, client: _Client, how: str) -> None:
        """A client is gone: the level says so, and the next one gets a new client in its place."""
        client.tally.is_dead = True
        self._end(client)
        who = f"Ray client {client.number + 1} of {len(self._active)} on {client.node}"
        self._notes.append(lost_note(who, how=how, users=client.tally.users))

    def facts(self, *, close_s: float) -> tuple[ClientFacts, ...]:
        """How each client that lived did."""
        del close_s
        return tuple(client.facts for client in self._active if client.facts is not None)

    def notes(self) -> tuple[Caution, ...]:
        """Which clients died."""
        return tuple(self._notes)

    async def close(self) -> None:
        """End the actors; the cluster stays."""
        for client in self._clients:
            self._end(client)

    def _end(self, client: _Client) -> None:
        if client.actor is not None:
            self._ray.kill(client.actor)
            client.actor = None


def _raise_fault(client: _Client) -> None:
    if client.fault is not None:
        raise RunFailedError(f"Ray client {client.number + 1} failed: {client.fault}")


def _not_installed(ip: str, why: str) -> str:
    if why.rstrip("'").endswith("'breakeven"):
        return f"breakeven is not installed on node {ip}: pip install 'breakeven[ray]' there, in version {__version__}"
    return f"node {ip} cannot run a client of breakeven {__version__}: {why}"


def last_line(problem: BaseException) -> str:
    """What an error of Ray says in the end: its texts are whole tracebacks, in colours."""
    lines = plain(str(problem)).strip().splitlines() or [""]
    return one_line(lines[-1] if len(lines) > 1 else f"{type(problem).__name__}: {lines[0]}")
