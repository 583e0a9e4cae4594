"""Whether a stored level can have been measured: numbers that no clock and no server gives would end its reader."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from breakeven.errors import RunFailedError
from breakeven.record import ClientFacts, LevelFacts, Record

LONGEST_S: Final = 1e7
"""A run takes no four months."""
MOST_USERS: Final = 10_000_000
MOST_TOKENS: Final = 2**32
_STATUS: Final = frozenset({"done", "cut", "error"})


def check_sound(facts: LevelFacts, records: Sequence[Record], *, where: Path) -> None:
    """RunFailedError where the level holds what cannot be."""
    if not _are_facts(facts):
        raise RunFailedError(f"{where}: a level holds what cannot be measured ({facts.users} users); it is broken")
    wrong = next((record for record in records if not _is_record(record)), None)
    if wrong is not None:
        raise RunFailedError(
            f"{where}: request {wrong.k} of user {wrong.user} holds what cannot be measured; the records are broken"
        )


def _are_facts(facts: LevelFacts) -> bool:
    rate = facts.req_per_s_offered
    return (
        (facts.users is None or 0 < facts.users <= MOST_USERS)
        and (rate is None or 0 < rate <= LONGEST_S)
        and 0 <= facts.repeat <= MOST_USERS
        and all(_is_time(at_s) for at_s in (facts.start_s, facts.open_s, facts.close_s, facts.end_s, facts.settle_s))
        and 0 <= facts.think_s <= LONGEST_S
        and _is_count(facts.measured_requests)
        and all(number is None or math.isfinite(number) for number in facts.extra.values())
        and all(0 < turns < MOST_TOKENS for turns in facts.session_turns)
        and all(_is_client(client) for client in facts.clients)
        and (facts.open_s is None or facts.close_s is None or facts.open_s <= facts.close_s)
    )


def _is_client(client: ClientFacts) -> bool:
    numbers = (client.cpu_s, client.lag_p50_s, client.lag_p99_s, client.lag_max_s)
    return 0 < client.window_s <= LONGEST_S and client.reads >= 0 and all(0 <= one <= LONGEST_S for one in numbers)


def _is_record(record: Record) -> bool:
    """Written out: a run has a million of them."""
    sent_s, connect_s = record.sent_s, record.connect_s
    return (
        record.due_s is not None
        and None not in (record.end_s, record.user, record.k)
        and -LONGEST_S <= record.due_s <= LONGEST_S
        and -LONGEST_S <= record.end_s <= LONGEST_S
        and (sent_s is None or -LONGEST_S <= sent_s <= LONGEST_S)
        and (connect_s is None or 0 <= connect_s <= LONGEST_S)
        and 0 <= record.user < MOST_TOKENS
        and 0 <= record.k < MOST_TOKENS
        and 0 <= (record.output_tokens or 0) < MOST_TOKENS
        and 0 <= (record.input_tokens or 0) < MOST_TOKENS
        and 0 <= (record.cached_tokens or 0) < MOST_TOKENS
        and 0 <= (record.asked_input_tokens or 0) < MOST_TOKENS
        and 0 <= (record.asked_shared_tokens or 0) < MOST_TOKENS
        and 0 <= (record.asked_output_tokens or 0) < MOST_TOKENS
        and record.status in _STATUS
        and not (len(record.chunk_us) | len(record.chunk_tokens)) % 4
    )


def _is_time(at_s: float | None) -> bool:
    return at_s is None or -LONGEST_S <= at_s <= LONGEST_S


def _is_count(count: int | None) -> bool:
    return count is None or 0 <= count < MOST_TOKENS
