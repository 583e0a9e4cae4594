"""Plays recorded sessions: a turn is due when those that it waits for have ended and its recorded pause is over."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final, cast

from msgspec.structs import replace

from breakeven.load.worker import Counts, LevelSpec, User, Worker, mix, sleep_until
from breakeven.record import Record
from breakeven.workload.sessionfile import Turn
from breakeven.workload.sessions import Sessions

_MAKE_AHEAD_S: Final = 0.02
"""A request is made so long before it is due, so that those that wait for minutes hold no prompts."""


class Lane:
    """One session in flight, and who asks its turns: one user, and another for each turn beside those under way."""

    __slots__ = ("errors", "first", "free", "left", "play", "ready_s", "running", "turns", "users")

    def __init__(self, play: int, user: User) -> None:
        self.play = play
        """Number of the session that is played."""
        self.first = user
        self.users, self.free = [user], [user]
        self.turns: Sequence[Turn] = ()
        self.left: list[int] = []
        """Of each turn, how many that it waits for have not ended."""
        self.ready_s: list[float] = []
        """Of each turn, when the last that it waits for ended."""
        self.running = self.errors = 0

    def begin(self, play: int, turns: Sequence[Turn], *, at_s: float) -> None:
        """The session of that number, nothing of it done."""
        self.play, self.turns = play, turns
        self.left = [len(turn.after) for turn in turns]
        self.ready_s = [at_s] * len(turns)
        self.running = self.errors = 0
        for user in self.users:
            user.number = play

    def end(self, place: int, *, at_s: float) -> list[int]:
        """A turn has ended; the turns that waited for nothing else."""
        found = []
        for number in range(place + 1, len(self.turns)):
            if place in self.turns[number].after:
                self.left[number] -= 1
                self.ready_s[number] = max(self.ready_s[number], at_s)
                found += [] if self.left[number] else [number]
        return found


class SessionWorker(Worker):
    """`users` sessions at once, session i in lane i mod users; or each at its own time. A failed one ends there."""

    def start(self, spec: LevelSpec, users: Sequence[int], emit: Callable[[Record], None]) -> None:
        """Begin the sessions of these lanes; without users of `users[0]` and every `users[1]`-th behind it."""
        super().start(spec, (), emit)
        self._own_pauses = True
        self._tasks: set[asyncio.Task[None]] = set()
        self._sessions = cast("Sessions", self._workload)
        count = len(self._sessions.turn_counts())
        numbers = users if spec.users else range(users[0], count, users[1])
        self._lanes = [Lane(number, self._another(number)) for number in numbers if number < count or spec.users]
        self._playing = 0
        for lane in self._lanes:
            offset_s = spec.ramp_s * lane.play / spec.users if spec.users else (spec.times_s or [])[lane.play]
            self._begin(lane, lane.play, at_s=spec.start_s + offset_s)
        self._exhausted = not self._playing

    def _begin(self, lane: Lane, play: int, *, at_s: float) -> None:
        """Play a session from its first turns on, unless the file has been played and once is enough."""
        is_over = self._spec.plays_whole and play >= len(self._sessions.turn_counts())
        if is_over or self._stopping:
            return
        self._playing += 1
        lane.begin(play, self._sessions.session(play).turns, at_s=at_s)
        for place, turn in enumerate(lane.turns):
            if not turn.after:
                self._await(lane, place)

    def _await(self, lane: Lane, place: int) -> None:
        lane.running += 1
        task = asyncio.create_task(self._play(lane, place))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(self._watch)

    async def _play(self, lane: Lane, place: int) -> None:
        """A turn: wait until it is due, ask it, and see what its end lets go on."""
        try:
            due_s = lane.ready_s[place] + self._sessions.pause_s(lane.turns[place])
            await sleep_until(due_s - _MAKE_AHEAD_S)
            spec = self._spec
            where = spec.users, spec.repeat, lane.play, place
            nonce = mix(spec.salt, *where[:-1])  # one for all turns of the session, which share its beginning
            ask = self._sessions.make(nonce=nonce, user=lane.play, k=place)
            made = self._made_of(ask, most=None, place=where)
            await sleep_until(due_s)
            if self._stopping:
                return
            if lane.errors:
                self._leave(lane, at_s=due_s)
                return
            user = self._taken(lane)
            user.task = asyncio.current_task()
            record = await self._ask(user, place + 1, made, due_s=due_s)
            user.task = None
            lane.free.append(user)
            self._go_on(lane, place, record)
        except asyncio.CancelledError:
            if not self._stopping:
                raise

    def _taken(self, lane: Lane) -> User:
        if not lane.free:
            lane.users.append(self._another(lane.play))
            lane.free.append(lane.users[-1])
        return lane.free.pop(0)

    def _go_on(self, lane: Lane, place: int, record: Record) -> None:
        """The turns that waited for this one; when none is left, or a failure let none go on, the next session."""
        ended_s = self._spec.zero_s + record.end_s
        pause_s = self._after(lane.first, record)
        self._note_turn(record, took_s=record.end_s - record.due_s)
        lane.errors += record.status != "done"
        if not lane.errors and not self._stopping:
            for number in lane.end(place, at_s=ended_s):
                self._await(lane, number)
        self._leave(lane, at_s=ended_s + pause_s)

    def _leave(self, lane: Lane, *, at_s: float) -> None:
        """A turn is over; with the last of its session the lane plays the next."""
        lane.running -= 1
        if lane.running:
            return
        self._playing -= 1
        if self._spec.users:
            self._begin(lane, lane.play + self._spec.users, at_s=at_s)
        else:
            for user in lane.users:
                user.asker.drop()
        self._exhausted = not self._playing

    def counts(self, *, e2e_from: int = 0) -> Counts:
        """As for a closed loop; a lane has begun when its own user has had a first token."""
        found = super().counts(e2e_from=e2e_from)
        begun = sum(lane.first.has_begun() for lane in self._lanes)
        failed = sum(lane.first.errors_in_a_row > 0 and not lane.first.had_token for lane in self._lanes)
        return replace(found, users_begun=begun, users_failed=failed)

    async def cut(self) -> float:
        """Cut what is in flight; turns that are not due yet are never asked."""
        self._stopping = True
        for task in self._tasks - {user.task for user in self._users}:
            task.cancel()
        return await super().cut()
