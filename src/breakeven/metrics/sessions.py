"""Recorded sessions as they were played: each as one record, from its first turn's due to its last turn's end."""

from collections.abc import Sequence

from msgspec.structs import replace

from breakeven.record import LevelFacts, Record


def session_records(facts: LevelFacts, records: Sequence[Record]) -> list[Record]:
    """One record a session played: `done` with all its turns, `error` where one failed, else `cut`; [] where none was.

    Its times are the session's, its tokens those of all turns; it has no chunks.
    """
    if not facts.session_turns:
        return []
    counts = facts.session_turns
    return [_whole(turns, of=counts[play % len(counts)]) for play, turns in turns_of(records).items()]


def turns_of(records: Sequence[Record]) -> dict[int, list[Record]]:
    """The turns of each session played, by its number."""
    plays: dict[int, list[Record]] = {}
    for record in records:
        plays.setdefault(record.user, []).append(record)
    return plays


def _whole(turns: Sequence[Record], *, of: int) -> Record:
    last = max(turns, key=lambda turn: turn.end_s)
    failed = next((turn for turn in turns if turn.status == "error"), None)
    done = sum(turn.status == "done" for turn in turns)
    return replace(
        last,
        k=1,
        due_s=min(turn.due_s for turn in turns),
        sent_s=None,
        chunk_us=b"",
        chunk_tokens=b"",
        status="error" if failed is not None else "done" if done == of else "cut",
        error=None if failed is None else failed.error,
        output_tokens=sum(turn.output_tokens or 0 for turn in turns),
        measured=all(turn.measured for turn in turns),
    )
