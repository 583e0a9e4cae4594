"""OpenTelemetry spans of agents as recorded sessions: which call of a model waited for which, told by tree and times.

Names are those of the semantic conventions for generative AI, which are in development: `gen_ai.operation.name`,
`gen_ai.usage.input_tokens`, `gen_ai.usage.output_tokens`, `gen_ai.conversation.id` (v1.37 to v1.41), and the older
`prompt_tokens` and `completion_tokens`. A call belongs to the nearest `invoke_agent` span above it; the outermost one
is the session's own, since an agent that is asked again goes on with what it had.
"""

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeVar

from breakeven.errors import UsageError
from breakeven.workload.rows import Row, shown
from breakeven.workload.sessionfile import Session, Turn, whole_prompt

_CALLS: Final = ("chat", "text_completion", "generate_content")
_AGENT: Final = "invoke_agent"
_INPUT: Final = ("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens")
_OUTPUT: Final = ("gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens")
_MOST_NESTED: Final = 100
_NS_PER_S: Final = 1e9
T = TypeVar("T")


class Span(NamedTuple):
    """What is needed of a span."""

    where: str
    trace: str
    id: str
    parent: str | None
    start_s: float
    end_s: float
    told: Mapping[str, object]
    """Its attributes."""
    agent: object = None
    """Of a call, the name of its agent."""

    @property
    def operation(self) -> object:
        return self.told.get("gen_ai.operation.name")


def read_otlp(rows: Iterator[Row]) -> Sequence[Session]:
    """OTLP in JSON, as the collector's file exporter writes it: a batch of spans a line."""
    return _sessions([_otlp_span(span) for row in rows for span in _otlp_spans(row)])


def read_spans(rows: Iterator[Row]) -> Sequence[Session]:
    """A span a line, as the SDKs print them: `context` or `trace_id` and `span_id`, times in ISO 8601."""
    return _sessions([_sdk_span(row) for row in rows])


def frontier(done: Sequence[T], start_s: Callable[[T], float], end_s: Callable[[T], float]) -> list[T]:
    """Of what has ended, that behind which nothing else began: what the next one waited for, as far as times tell."""
    last_s = max(map(start_s, done), default=-math.inf)
    return [one for one in done if end_s(one) > last_s or start_s(one) == last_s]


def _sessions(spans: Sequence[Span]) -> Sequence[Session]:
    """One a conversation where its id is told, else one a trace; without calls there is none."""
    by_id = {(span.trace, span.id): span for span in spans}
    found: dict[str, _Agent] = {}
    agents: dict[tuple[str, str, str], _Agent] = {}
    for span in sorted(spans, key=lambda span: span.start_s):
        if span.operation in _CALLS:
            above = _above(span, by_id)
            ids = [one.told.get("gen_ai.conversation.id") for one in (span, *above)]
            name = next((str(one) for one in ids if one is not None), span.trace)
            agent = found.setdefault(name, _Agent(span.start_s))
            outer = [one for one in above if one.operation == _AGENT]
            for helper in reversed(outer[:-1]):
                agent = agent.helper(helper, agents, name)
            agent.units.append(span._replace(agent=outer[0].told.get("gen_ai.agent.name") if outer else None))
    sessions = [_Graph(number).session(name, agent) for number, (name, agent) in enumerate(found.items())]
    first_s = min((one.arrival_s or 0.0 for one in sessions), default=0.0)
    return [one._replace(arrival_s=(one.arrival_s or 0.0) - first_s) for one in sessions]


def _above(span: Span, by_id: Mapping[tuple[str, str], Span]) -> list[Span]:
    """The spans that it lies in, the nearest first."""
    found: list[Span] = []
    while span.parent is not None and (outer := by_id.get((span.trace, span.parent))) is not None:
        found.append(outer)
        span = outer
        if len(found) > _MOST_NESTED:
            raise UsageError(f"{span.where}: spans lie more than {_MOST_NESTED} deep in each other, or in a circle")
    return found


class _Agent:
    """An agent's calls, and the agents that it called, in the order in which they began."""

    def __init__(self, start_s: float, end_s: float = math.inf) -> None:
        self.start_s, self.end_s = start_s, end_s
        self.units: list[Span | _Agent] = []

    def helper(self, span: Span, known: "dict[tuple[str, str, str], _Agent]", session: str) -> "_Agent":
        """The agent of that span, which is one of ours."""
        key = session, span.trace, span.id
        if key not in known:
            known[key] = _Agent(span.start_s, span.end_s)
            self.units.append(known[key])
        return known[key]


class _Graph:
    """The turns of a session, as they are put together."""

    def __init__(self, number: int) -> None:
        self._number = number
        self._turns: list[Turn] = []
        self._ends_s: list[float] = []

    def session(self, name: str, agent: _Agent) -> Session:
        self._add_agent(agent, entry=(), began_s=agent.start_s)
        return Session(name, agent.start_s, tuple(self._turns))

    def _add_agent(self, agent: _Agent, *, entry: tuple[int, ...], began_s: float) -> tuple[int, ...]:
        """Add all that an agent did behind the turns of `entry`; the turns that it ends with."""
        exits: dict[int, tuple[int, ...]] = {}
        units = sorted(agent.units, key=lambda unit: unit.start_s)
        for number, unit in enumerate(units):
            done = [i for i in range(number) if units[i].end_s <= unit.start_s]
            after = self._last(units, done, exits) or entry
            if isinstance(unit, _Agent):
                exits[number] = self._add_agent(unit, entry=after, began_s=began_s)
            else:
                calls = [exits[i][0] for i in done if getattr(units[i], "agent", self) == unit.agent]
                exits[number] = (self._add_call(unit, after, calls[-1] if calls else None, began_s=began_s),)
        return self._last(units, list(range(len(units))), exits)

    @staticmethod
    def _last(
        units: Sequence[Span | _Agent], done: Sequence[int], exits: Mapping[int, tuple[int, ...]]
    ) -> tuple[int, ...]:
        ends = frontier(done, lambda i: units[i].start_s, lambda i: units[i].end_s)
        return tuple(turn for i in ends for turn in exits[i])

    def _add_call(self, call: Span, after: tuple[int, ...], before: int | None, *, began_s: float) -> int:
        """A call begins with the prompt of the call before it of the same agent, where its own is as long."""
        tokens = _tokens(call, _INPUT)
        shared = 0 if before is None else whole_prompt(self._turns[before].input_tokens, of=tokens)
        waited_s = max((self._ends_s[turn] for turn in after), default=began_s)
        self._turns.append(
            Turn(
                name=call.id,
                after=after,
                pause_s=max(0.0, call.start_s - waited_s),
                input_tokens=tokens,
                output_tokens=_tokens(call, _OUTPUT),
                base=(self._number, before) if before is not None and shared else None,
                shared_tokens=shared,
            )
        )
        self._ends_s.append(call.end_s)
        return len(self._turns) - 1


def _tokens(call: Span, names: Sequence[str]) -> int:
    row = Row(call.where, call.told)
    return row.tokens(next((name for name in names if name in call.told), names[0]))


def _otlp_spans(row: Row) -> Iterator[Row]:
    for resource in _rows(row, "resourceSpans"):
        for scope in _rows(resource, "scopeSpans"):
            yield from _rows(scope, "spans")


def _rows(row: Row, name: str) -> Iterator[Row]:
    values = row.fields.get(name) or []
    if not isinstance(values, list) or not all(isinstance(value, dict) for value in values):
        raise UsageError(f"{row.where}: '{name}' must be a list of objects, but is {shown(values)}")
    return (Row(row.where, value) for value in values)


def _otlp_span(row: Row) -> Span:
    start_s, end_s = (_unix_s(row, name) for name in ("startTimeUnixNano", "endTimeUnixNano"))
    told = {str(one.get("key")): _plain(one.get("value")) for one in _rows(row, "attributes")}
    return _span(row, (row.text("traceId"), row.text("spanId"), row.get("parentSpanId")), (start_s, end_s), told)


def _unix_s(row: Row, name: str) -> float:
    """Nanoseconds since 1970, which JSON in protobuf's form writes as text."""
    value = row.value(name)
    with contextlib.suppress(ValueError, OverflowError):
        if isinstance(value, str | int):
            return int(value) / _NS_PER_S
    raise UsageError(f"{row.where}: '{name}' must be nanoseconds since 1970, but is {shown(value)}")


def _plain(value: Any) -> object:
    """OTLP's tagged value: {"intValue": "12"}, {"stringValue": "chat"}."""
    return next(iter(value.values()), None) if isinstance(value, dict) else None


def _sdk_span(row: Row) -> Span:
    context = row.get("context")
    ids = Row(row.where, context) if isinstance(context, dict) else row
    parent = row.get("parent_id") or row.get("parent_span_id")
    told = row.value("attributes")
    if not isinstance(told, dict):
        raise UsageError(f"{row.where}: 'attributes' must be an object, but is {shown(told)}")
    times = row.moment_s("start_time"), row.moment_s("end_time")
    return _span(row, (ids.text("trace_id"), ids.text("span_id"), parent), times, told)


def _span(row: Row, ids: tuple[str, str, object], times_s: tuple[float, float], told: Mapping[str, object]) -> Span:
    trace, own, parent = ids
    if times_s[1] < times_s[0]:
        raise UsageError(f"{row.where}: span '{own[:40]}' ends before it starts")
    return Span(row.where, trace, own, parent if isinstance(parent, str) and parent else None, *times_s, told)
