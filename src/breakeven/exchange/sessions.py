"""Writes what a run asked as recorded sessions, to be replayed: the plain format of the workload `sessions`."""

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from breakeven.errors import UsageError
from breakeven.exchange.exported import level_name
from breakeven.metrics.sessions import turns_of
from breakeven.metrics.summary import RunSummary
from breakeven.record import LevelFacts, Record
from breakeven.workload.spans import frontier

_AT_ONCE_S: Final = 1e-6
"""Times within a microsecond are one: a turn without a pause is due when the one before it ended."""


def write(run: RunSummary, levels: Iterable[tuple[LevelFacts, Sequence[Record]]]) -> dict[str, bytes]:
    """One file a level, a turn a line; UsageError where no record tells how long a prompt and its answer were.

    A session is one that was played, else all that a user asked; in an open loop each request is one. Which turn waited
    for which is told by their times: a turn for those behind whose end nothing else of its session began.
    """
    found = {f"sessions-{level_name(facts)}.jsonl": list(_lines(facts, records)) for facts, records in levels}
    if not any(found.values()):
        raise UsageError(f"{run.run.id}: holds no records of answered requests, so there are no sessions to write")
    return {name: b"".join(lines) for name, lines in found.items() if lines}


def _lines(facts: LevelFacts, records: Sequence[Record]) -> Iterator[bytes]:
    told = [one for one in records if one.status == "done" and one.input_tokens and one.output_tokens]
    alone = facts.users is None and not facts.session_turns
    sessions = [[one] for one in told] if alone else list(turns_of(told).values())
    sessions = sorted((sorted(turns, key=lambda turn: turn.due_s) for turns in sessions), key=lambda one: one[0].due_s)
    first_s = sessions[0][0].due_s if sessions else 0.0
    for number, turns in enumerate(sessions, start=1):
        for place, turn in enumerate(turns):
            line = {"session": str(number), **_turn(turn, turns[:place])}
            if place == 0:
                line["arrival_s"] = round(turn.due_s - first_s, 6)
            yield json.dumps(line).encode() + b"\n"


def _turn(turn: Record, before: Sequence[Record]) -> dict[str, Any]:
    ended = [one for one in before if one.end_s <= turn.due_s + _AT_ONCE_S]
    after = frontier(ended, lambda one: one.due_s, lambda one: one.end_s - _AT_ONCE_S)
    began_s = max((one.end_s for one in after), default=before[0].due_s if before else turn.due_s)
    base, shared = _base(turn, ended)
    return {
        "turn": str(turn.k),
        "after": [str(one.k) for one in after],
        "pause_s": round(max(0.0, turn.due_s - began_s), 6),
        "input_tokens": turn.input_tokens,
        "output_tokens": turn.output_tokens,
        "continues": None if base is None else str(base.k),
        "shared_tokens": shared,
    }


def _base(turn: Record, ended: Sequence[Record]) -> tuple[Record | None, int]:
    """The last turn before it whose prompt was at least as long as what was shared."""
    shared = min(turn.asked_shared_tokens or 0, turn.input_tokens or 0)
    longer = [one for one in ended if (one.input_tokens or 0) >= shared]
    return (longer[-1], shared) if shared and longer else (None, 0)
