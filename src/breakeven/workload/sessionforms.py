"""Recorded sessions of other tools: Mooncake's rows with session ids, the agentic traces of WEKA's tester."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from breakeven.errors import UsageError
from breakeven.workload.rows import Row, shown
from breakeven.workload.sessionfile import PLAIN, Form, Session, Turn
from breakeven.workload.spans import read_otlp, read_spans
from breakeven.workload.tracefile import MOONCAKE_BLOCK

_MS_PER_S: Final = 1000.0


class Prefixes:
    """Which earlier prompt a prompt begins with, told by the ids of its blocks; the ids themselves are not kept."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[int, int]] = {}

    def share(self, blocks: Sequence[int], at: tuple[int, int]) -> tuple[tuple[int, int] | None, int]:
        """The first prompt with the longest beginning that these blocks have too, and of how many blocks it is."""
        key, base, count = 0, None, 0
        for number, block in enumerate(blocks):
            key = hash((key, block))
            found = self._known.setdefault(key, at)
            if found is not at and count == number:
                base, count = found, number + 1
        return base, count


def read_mooncake(rows: Iterator[Row]) -> Sequence[Session]:
    """A turn a line, each behind the one before it of its session, `delay` ms after that one's answer.

    As AIPerf has it, `input_length` is what a turn adds to its session, unless its blocks begin as those of the turn
    before do: then it is the whole prompt, as in Mooncake's own traces.
    """
    sessions: dict[str, list[Turn]] = {}
    numbers: dict[str, int] = {}
    arrivals: dict[str, float | None] = {}
    firsts: dict[str, int | None] = {}
    prefixes = Prefixes()
    for row in rows:
        name = row.text("session_id")
        turns = sessions.setdefault(name, [])
        at = numbers.setdefault(name, len(numbers)), len(turns)
        blocks = row.whole_numbers("hash_ids")
        if not turns:
            arrivals[name] = row.number("timestamp") / _MS_PER_S if row.get("timestamp") is not None else None
        is_whole = not turns or (blocks[:1] and blocks[0] == firsts[name])
        firsts[name] = blocks[0] if blocks else None
        base, shared = prefixes.share(blocks, at) if is_whole else (None, 0)
        turns.append(_mooncake_turn(row, turns, at[0], (base, shared * MOONCAKE_BLOCK) if is_whole else None))
    return [Session(name, arrivals[name], tuple(turns)) for name, turns in sessions.items()]


def _mooncake_turn(
    row: Row, before: Sequence[Turn], number: int, shares: tuple[tuple[int, int] | None, int] | None
) -> Turn:
    added = row.tokens("input_length")
    if shares is None:
        last = before[-1]
        shares = (number, len(before) - 1), last.input_tokens
        added += last.input_tokens + last.output_tokens
    return Turn(
        name=str(len(before) + 1),
        after=(len(before) - 1,) if before else (),
        pause_s=_delay_s(row) if before else 0.0,
        input_tokens=added,
        output_tokens=row.tokens("output_length"),
        base=shares[0],
        shared_tokens=min(shares[1], added),
    )


def _delay_s(row: Row) -> float:
    """A later turn's time of day tells no pause, since nobody knows how long the answer before it took."""
    if row.get("delay") is not None:
        return row.number("delay") / _MS_PER_S
    if row.get("timestamp") is not None:
        raise UsageError(f"{row.where}: a later turn of a session needs 'delay', in ms after the answer before it")
    return 0.0


def read_weka(rows: Iterator[Row]) -> Sequence[Session]:
    """A session an object: `requests` one behind the other, with sub-agents that run beside them.

    A sub-agent begins behind the request that it is listed after; the next request waits for it too. Of its own
    `think_time` only what the sub-agents' recorded time leaves is a pause.
    """
    found: list[Session] = []
    shared_by_all = Prefixes()
    for row in rows:
        prefixes = shared_by_all if row.get("hash_id_scope") == "global" else Prefixes()
        turns: list[Turn] = []
        _Weka(row, len(found), prefixes, turns).chain(row, "", entry=())
        if turns:
            found.append(
                Session(row.text("id") if row.get("id") is not None else str(len(found) + 1), None, tuple(turns))
            )
    return found


class _Weka:
    """The turns of one trace, as they are put together."""

    def __init__(self, row: Row, number: int, prefixes: Prefixes, turns: list[Turn]) -> None:
        self._block_tokens = row.tokens("block_size")
        self._number, self._prefixes, self._turns = number, prefixes, turns

    def chain(self, agent: Row, prefix: str, *, entry: tuple[int, ...]) -> tuple[tuple[int, ...], float]:
        """Add an agent's requests; the turns that it ends with, and how long all took as recorded."""
        last, helpers, helped_s, ended_s = entry, tuple[int, ...](), 0.0, 0.0
        for number, request in enumerate(_requests(agent), start=1):
            if request.get("type") == "subagent":
                ends, took_s = self.chain(request, f"{prefix}{number}.", entry=last)
                helpers += ends if ends != last else ()
                helped_s = max(helped_s, took_s)
                continue
            pause_s = max(0.0, _think_s(request, ended_s) - helped_s)
            self._add(request, f"{prefix}{number}", after=(*last, *helpers), pause_s=pause_s)
            last, helpers, helped_s = (len(self._turns) - 1,), (), 0.0
            ended_s = request.number("t") + _seconds(request, "api_time")
        return (*last, *helpers), ended_s

    def _add(self, request: Row, name: str, *, after: tuple[int, ...], pause_s: float) -> None:
        at = self._number, len(self._turns)
        base, blocks = self._prefixes.share(request.whole_numbers("hash_ids"), at)
        tokens = request.tokens("in")
        shared = min(blocks * self._block_tokens, tokens)
        self._turns.append(Turn(name, after, pause_s, tokens, request.tokens("out"), base, shared))


def _requests(agent: Row) -> Iterator[Row]:
    requests = agent.value("requests")
    if not isinstance(requests, list):
        raise UsageError(f"{agent.where}: 'requests' must be a list, but is {shown(requests)}")
    for number, request in enumerate(requests, start=1):
        where = f"{agent.where}, request {number}"
        if not isinstance(request, dict):
            raise UsageError(f"{where}: must be an object, but is {shown(request)}")
        if request.get("type") == "subagent" or (_asks(request)):
            yield Row(where, request)


def _asks(request: Mapping[str, Any]) -> bool:
    """It has an answer; one that was broken off has none."""
    return request.get("out") != 0 and request.get("in") != 0


def _think_s(request: Row, ended_s: float) -> float:
    if request.get("think_time") is not None:
        return request.number("think_time")
    return max(0.0, request.number("t") - ended_s)


def _seconds(request: Row, name: str) -> float:
    return request.number(name) if request.get(name) is not None else 0.0


SESSION_FORMS: Final[dict[str, Form]] = {
    "plain": PLAIN,
    "mooncake": Form(("session_id", "input_length", "output_length"), read_mooncake),
    "weka": Form(("requests", "block_size"), read_weka),
    "otlp": Form(("resourceSpans",), read_otlp),
    "spans": Form(("attributes", "start_time", "end_time"), read_spans),
}
"""Looked for in this order."""
