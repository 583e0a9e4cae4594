"""A closed loop of users on the reference server's script, simulated: what it comes to in the long run."""

import heapq
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np
from coverage import LATENCIES, SHOWN
from msgspec.structs import replace

from breakeven.client.reference import Settings, Stamps
from breakeven.client.reference.script import Answers, Machine, Seconds
from breakeven.metrics.definitions import e2e_s
from breakeven.record import LevelFacts, Record

LONG_S: Final = 400.0
LONG_RUNS: Final = 10


class Users(NamedTuple):
    """Who asks: each waits for its answer, thinks, and asks again."""

    count: int
    most_tokens: int
    """Limit of every request; of a user's first one it is drawn anew, as `breakeven run` does."""
    think_s: float = 0.0
    ramp_s: float = 1.0
    turn_s: float = 0.0
    """What a turn takes beyond the script's answer and the pause; `lost_s` finds it."""


class Answer(NamedTuple):
    """One that came to an end; its tokens arrive as they are due."""

    user: int
    k: int
    due_s: float
    arrived_s: Seconds


def machine_of(settings: Settings) -> Machine:
    """The script's machine from time 0 on."""
    return Machine(
        zero_s=0.0,
        cell_s=settings.itl_s,
        noise=settings.noise,
        wave=settings.wave,
        tau_s=settings.tau_s,
        seed=settings.seed,
    )


def simulate(settings: Settings, users: Users, *, until_s: float) -> Iterator[Answer]:
    """All answers to requests that are due before `until_s`."""
    machine = machine_of(settings)
    answers = Answers(
        lengths=settings.lengths, ttft_s=settings.ttft_s, ttft_sigma=settings.ttft_sigma, seed=settings.seed
    )
    limits = 1 + (np.random.default_rng(settings.seed).random(users.count) * users.most_tokens).astype(int)
    waiting = [(users.ramp_s * user / users.count, user, 0) for user in range(users.count)]
    free_s = [0.0] * (settings.slots or users.count)
    number = 0
    while waiting[0][0] < until_s:
        due_s, user, k = heapq.heappop(waiting)
        begun_s = max(due_s, heapq.heappop(free_s))
        tokens = answers.tokens(number, at_most=users.most_tokens if k else int(limits[user]))
        work_s = answers.ttft_s(number) + settings.itl_s * np.arange(tokens)
        arrived_s = machine.due_s(begun_s, work_s)
        end_s = float(arrived_s[-1])
        heapq.heappush(free_s, end_s)
        heapq.heappush(waiting, (end_s + users.think_s + users.turn_s, user, k + 1))
        number += 1
        yield Answer(user, k, due_s, arrived_s)


def lost_s(levels: Sequence[Sequence[Record]], stamps: Stamps, *, think_s: float) -> float:
    """What a turn took beyond the script's answer and the pause: on the way, on the client, and by a late server.

    The mean answer as the client saw it less that by the script, from arrival to when the last token was due; and from
    the last token to the next request of its user, less the pause.
    """
    seen_s, between_s = list[float](), list[float]()
    for records in levels:
        last_of: dict[int, float] = {}
        for record in sorted(records, key=lambda one: one.due_s):
            if record.user in last_of:
                between_s.append(record.due_s - last_of.pop(record.user) - think_s)
            e2e = e2e_s(record)
            if record.status == "done" and e2e is not None:
                last_of[record.user] = record.due_s + e2e
                seen_s.append(e2e)
    whole = np.flatnonzero(~stamps.gone & (np.diff(stamps.first) == stamps.output_tokens))
    scripted_s = stamps.due_s[stamps.first[whole + 1] - 1] - stamps.arrival_s[whole]
    return float(np.mean(seen_s) - np.mean(scripted_s) + np.mean(between_s))


def truth(settings: Settings, users: Users, *, open_s: float, long_s: float = LONG_S) -> dict[str, float]:
    """Every figure in the long run: LONG_RUNS loops of other seeds, each from `open_s` on for `long_s`."""
    close_s = open_s + long_s
    values: dict[str, list[float]] = {name: [] for name in LATENCIES}
    tokens = 0
    for run in range(LONG_RUNS):
        for answer in simulate(replace(settings, seed=settings.seed + 1_000_003 * (run + 1)), users, until_s=close_s):
            first_s, last_s = float(answer.arrived_s[0]), float(answer.arrived_s[-1])
            tokens += int(np.searchsorted(answer.arrived_s, close_s) - np.searchsorted(answer.arrived_s, open_s))
            if open_s <= answer.due_s < close_s:
                values["ttft_s"].append(first_s - answer.due_s)
            if answer.k and open_s < last_s <= close_s:
                values["e2e_s"].append(last_s - answer.due_s)
                if len(answer.arrived_s) > 1:
                    values["tpot_s"].append((last_s - first_s) / (len(answer.arrived_s) - 1))
    found = {
        f"{name}_{which}": float(np.quantile(of, q, method="inverted_cdf"))
        for name, of in values.items()
        for which, q in SHOWN.items()
    }
    return found | {"output_tok_per_s": tokens / LONG_RUNS / long_s}


def level(settings: Settings, users: Users, *, open_s: float, window_s: float) -> tuple[LevelFacts, list[Record]]:
    """What a client that takes no time would have kept of one level."""
    close_s = open_s + window_s
    facts = LevelFacts(
        users=users.count,
        start_s=0.0,
        open_s=open_s,
        close_s=close_s,
        end_s=close_s,
        stopped="duration",
        think_s=users.think_s,
    )
    return facts, [_record(answer, close_s=close_s) for answer in simulate(settings, users, until_s=close_s)]


def _record(answer: Answer, *, close_s: float) -> Record:
    is_cut = bool(answer.arrived_s[-1] > close_s)
    seen_s = answer.arrived_s[answer.arrived_s <= close_s]
    stamps_us = np.rint((seen_s - answer.due_s) * 1e6).astype(np.int64)
    return Record(
        user=answer.user,
        k=answer.k,
        due_s=answer.due_s,
        sent_s=answer.due_s,
        chunk_us=np.diff(stamps_us, prepend=0).astype("<u4").tobytes(),
        end_s=close_s if is_cut else float(answer.arrived_s[-1]),
        status="cut" if is_cut else "done",
        finish_reason=None if is_cut else "stop",
        input_tokens=None if is_cut else 20,
        output_tokens=None if is_cut else len(answer.arrived_s),
    )
