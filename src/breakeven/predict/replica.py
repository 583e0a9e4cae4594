"""One engine that batches continuously: whose turn it is in each step, and how long the step takes.

A step gives one token to every request that is answering and reads prompts with what is left of its token budget
(chunked prefill). Requests are admitted in the order in which they came, while there is a slot and room in the
key-value cache for their whole prompt. Where the cache is full the request admitted last gives its place up and waits
at the front; what it had is read again later (recompute). So do the schedulers of vLLM and SGLang by default; the slots
of llama.cpp are the same, each with a cache of its own.
"""

import heapq
import sys
from array import array
from collections import deque
from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

StepTime = Callable[[int, float, int, int], float]
"""Seconds of one step: (prefill_tokens, prefill_context_tokens, decode_users, decode_context_tokens).

`prefill_context_tokens` are those that the prompt being read had in the cache before the step: a token of it looks back
at them and at half of `prefill_tokens`. Of several prompts it is as much less (it may be below 0) as each looks back at
its own tokens alone. `decode_context_tokens` are those of the requests that are answering.
"""

_NOTHING: Final = np.empty(0)
LONGEST_JUMP: Final = 256
"""Steps of pure decoding between two looks at how long they take, between which the time runs in a straight line."""


class Engine(NamedTuple):
    """How an engine batches."""

    step_s: StepTime
    slots: int = 256
    """Requests at work at once."""
    step_tokens: int = 2048
    """Tokens that one step takes on, those that answer and those of prompts."""
    kv_tokens: int | None = None
    """Tokens that the key-value cache holds; None: it is never full."""
    longest_jump: int = LONGEST_JUMP


class Job:
    """One request on its way through an engine. Steps are counted from 0 on the engine that has it."""

    __slots__ = (
        "cached",
        "due_s",
        "ends",
        "first",
        "given",
        "k",
        "left",
        "output_tokens",
        "prompt_tokens",
        "spans",
        "user",
    )

    def __init__(self, *, user: int, k: int, due_s: float, prompt_tokens: int, output_tokens: int) -> None:
        self.user, self.k, self.due_s = user, k, due_s
        self.prompt_tokens, self.output_tokens = prompt_tokens, output_tokens
        self.left = prompt_tokens
        """Tokens that are still to be read before the next token comes."""
        self.cached = 0
        """Tokens read so far, while it is being read."""
        self.first = -1
        """The step that gave the first token since it was read; -1 while it is being read."""
        self.ends = -1
        """The step that gives its last token."""
        self.spans: list[tuple[int, int]] = []
        """The first and the last step of each stretch of tokens."""
        self.given = 0
        """Output tokens of the stretches that ended because it lost its place."""


class Replica:
    """An engine at work. `plan` begins a stretch of steps that are alike, `finish` ends it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._kv_tokens = sys.maxsize if engine.kv_tokens is None else engine.kv_tokens
        self.waiting: deque[Job] = deque()
        self._running: dict[Job, None] = {}
        """In the order of admission."""
        self._reading: dict[Job, None] = {}
        self._read_now: list[Job] = []
        """Whose prompt ends with the steps planned."""
        self._ends: list[tuple[int, int, Job]] = []
        self._answering = 0
        self._context = 0
        """Tokens in the cache of those that are answering."""
        self._reserved = 0
        """Tokens of the cache that belong to those being read."""
        self._steps = 0
        self._planned: Floats = _NOTHING
        """When each of the planned steps ends."""
        self._times = array("d")
        self._admitted = 0
        self.preemptions = 0
        self.most_cached = 0

    @property
    def is_idle(self) -> bool:
        """No step is under way."""
        return not len(self._planned)

    @property
    def in_flight(self) -> int:
        """Requests that it has, at work or waiting."""
        return len(self._running) + len(self.waiting)

    @property
    def ends_s(self) -> float:
        """When the planned steps end."""
        return float(self._planned[-1])

    def times_s(self) -> Floats:
        """When each step so far ended."""
        return np.frombuffer(self._times, dtype=np.float64)

    def add(self, job: Job, at_s: float) -> bool:
        """Take a request; True where the planned steps now end sooner, so that it can have its turn."""
        may_enter = not self.waiting and len(self._running) < self._engine.slots
        self.waiting.append(job)
        before = len(self._planned)
        if may_enter and before > 1:
            self._planned = self._planned[: int(np.searchsorted(self._planned, at_s)) + 1]
        return len(self._planned) < before

    def plan(self, now_s: float) -> None:
        """Decide the next steps, whose ends are then known; none where there is nothing to do."""
        self._make_room()
        budget = self._engine.step_tokens - self._answering
        tokens, looked_at = 0, 0.0
        for job in self._reading:
            chunk = min(budget, job.left)
            tokens, budget = tokens + chunk, budget - chunk
            looked_at += chunk * (job.cached + chunk / 2)
            self._read(job, chunk)
        while budget > 0 and self.waiting and self._fits(self.waiting[0]):
            job = self._admit()
            chunk = min(budget, job.left)
            tokens, budget = tokens + chunk, budget - chunk
            looked_at += chunk * chunk / 2
            self._read(job, chunk)
        if tokens:
            context = looked_at / tokens - tokens / 2
            step_s = self._engine.step_s(tokens, context, self._answering, self._context)
            self._planned = np.array([now_s + step_s])
        elif self._answering:
            self._planned = now_s + np.cumsum(self._decoding_s(self._alike()))

    def finish(self) -> list[Job]:
        """End the planned steps; those whose last token came with them."""
        steps = len(self._planned)
        if not steps:
            return []
        self._times.frombytes(self._planned.tobytes())
        self._planned = _NOTHING
        self._steps += steps
        self._context += self._answering * steps
        self.most_cached = max(self.most_cached, self._context + self._reserved)
        last = self._steps - 1
        over = [self._done(job) for job in self._over(last)]
        for job in self._read_now:
            over += self._begin(job, last)
        self._read_now.clear()
        return over

    def stop(self, at_s: float) -> list[Job]:
        """End everything at a moment; what is still in flight, with the tokens it has had by then."""
        planned = self._planned[: int(np.searchsorted(self._planned, at_s, side="right"))]
        self._times.frombytes(planned.tobytes())
        self._steps += len(planned)
        for job in self._running:
            if 0 <= job.first < self._steps:
                job.spans.append((job.first, self._steps - 1))
        return [*self._running, *self.waiting]

    def _alike(self) -> int:
        """How many steps nothing changes in but the context."""
        while self._ends[0][2].ends != self._ends[0][0]:
            heapq.heappop(self._ends)  # it has lost its place since
        room = self._kv_tokens - self._context - self._reserved
        return max(1, min(self._ends[0][0] - self._steps + 1, room // self._answering, self._engine.longest_jump))

    def _decoding_s(self, steps: int) -> Floats:
        """How long each of some steps takes in which the context grows by a token a user."""
        step_s, users, context = self._engine.step_s, self._answering, self._context
        first_s = step_s(0, 0, users, context)
        if steps == 1:
            return np.array([first_s])
        last_s = step_s(0, 0, users, context + users * (steps - 1))
        return np.asarray(first_s + (last_s - first_s) / (steps - 1) * np.arange(steps))

    def _make_room(self) -> None:
        """While the cache cannot take the next token of each: the one admitted last loses its place."""
        while self._context + self._reserved + self._answering > self._kv_tokens:
            job, _ = self._running.popitem()
            if job.first < 0:
                self._reserved -= job.cached + job.left
                del self._reading[job]
            else:
                self._context -= self._cached(job)
                self._answering -= 1
                job.spans.append((job.first, self._steps - 1))
                job.given += self._steps - job.first
            job.left, job.cached, job.first, job.ends = job.prompt_tokens + job.given, 0, -1, -1
            self.waiting.appendleft(job)
            self.preemptions += 1

    def _cached(self, job: Job) -> int:
        """Tokens in the cache of one that is answering: what was read, and a token for each step since the first."""
        return job.prompt_tokens + job.given + self._steps - 1 - job.first

    def _fits(self, job: Job) -> bool:
        """There is a slot, and room for all that is to be read beside the next token of each that is answering."""
        used = self._context + self._reserved + self._answering
        return len(self._running) < self._engine.slots and used + job.left <= self._kv_tokens

    def _admit(self) -> Job:
        job = self.waiting.popleft()
        self._running[job] = None
        self._reading[job] = None
        self._reserved += job.left
        return job

    def _read(self, job: Job, chunk: int) -> None:
        job.cached += chunk
        job.left -= chunk
        if not job.left and chunk:
            self._read_now.append(job)

    def _begin(self, job: Job, step: int) -> list[Job]:
        """Its prompt is read, and the same step gave it a token."""
        del self._reading[job]
        self._reserved -= job.cached
        self._context += job.cached
        self._answering += 1
        job.first = step
        job.ends = step + job.output_tokens - job.given - 1
        if job.ends == step:
            return [self._done(job)]
        self._admitted += 1
        heapq.heappush(self._ends, (job.ends, self._admitted, job))
        return []

    def _over(self, step: int) -> list[Job]:
        found = []
        while self._ends and self._ends[0][0] <= step:
            ends, _, job = heapq.heappop(self._ends)
            if job.ends == ends:
                found.append(job)
        return found

    def _done(self, job: Job) -> Job:
        self._context -= self._cached(job)
        self._answering -= 1
        del self._running[job]
        job.spans.append((job.first, job.ends))
        return job
