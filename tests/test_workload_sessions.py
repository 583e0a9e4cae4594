"""Recorded sessions: what each format says of turns, pauses and shared prompts, worked out by hand; and their text."""

import asyncio
import copy
import functools
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from breakeven.errors import UsageError
from breakeven.workload import make_workload
from breakeven.workload.base import Ask
from breakeven.workload.sessionfile import Session, Turn, read_sessions
from breakeven.workload.sessionforms import SESSION_FORMS
from breakeven.workload.sessions import Sessions
from word_server import WordServer

Rows = list[dict[str, Any]]

AGENT: Rows = [
    {"session": "s", "turn": "plan", "input_tokens": 400, "output_tokens": 40, "arrival_s": 3},
    {"session": "s", "turn": "search", "after": ["plan"], "continues": None, "pause_s": 0.2}
    | {"input_tokens": 200, "output_tokens": 30},
    {"session": "s", "turn": "read", "after": ["plan"], "continues": None, "pause_s": 0.3}
    | {"input_tokens": 250, "output_tokens": 20},
    {"session": "s", "turn": "edit", "after": ["search", "read"], "continues": "plan", "pause_s": 0.5}
    | {"input_tokens": 600, "output_tokens": 60},
    {"session": "t", "input_tokens": 100, "output_tokens": 10, "arrival_s": 1},
    {"session": "t", "input_tokens": 150, "output_tokens": 10},
    {"session": "t", "input_tokens": 90, "output_tokens": 10},
]


def jsonl(path: Path, rows: Rows) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def read(tmp_path: Path, rows: Rows) -> tuple[str, tuple[Session, ...]]:
    return read_sessions(jsonl(tmp_path / "s.jsonl", rows), forms=SESSION_FORMS)


def refused(tmp_path: Path, rows: Rows) -> str:
    with pytest.raises(UsageError) as caught:
        read(tmp_path, rows)
    line = str(caught.value)
    assert "\n" not in line
    return line.replace(f"{tmp_path}/", "")


# the plain format


def test_a_line_is_a_turn_behind_the_line_before_it_or_behind_those_that_it_names(tmp_path: Path) -> None:
    form, (agent, chat) = read(tmp_path, AGENT)
    assert form == "plain"
    assert agent.turns == (
        Turn("plan", (), 0.0, 400, 40),
        Turn("search", (0,), 0.2, 200, 30),
        Turn("read", (0,), 0.3, 250, 20),
        Turn("edit", (1, 2), 0.5, 600, 60, base=(0, 0), shared_tokens=400),
    )
    assert [(turn.name, turn.after, turn.base, turn.shared_tokens) for turn in chat.turns] == [
        ("1", (), None, 0),
        ("2", (0,), (1, 0), 100),
        ("3", (1,), None, 0),  # a shorter prompt was made anew
    ]
    assert (agent.arrival_s, chat.arrival_s) == (3.0, 1.0)


def test_turns_may_stand_in_any_order_in_the_file(tmp_path: Path) -> None:
    _, (agent, _) = read(tmp_path, [AGENT[0], AGENT[3], AGENT[2], AGENT[1], *AGENT[4:]])
    assert [(turn.name, turn.after) for turn in agent.turns] == [
        ("plan", ()),
        ("read", (0,)),
        ("search", (0,)),
        ("edit", (2, 1)),
    ]


A: dict[str, Any] = {"session": "s", "turn": "a", "input_tokens": 10, "output_tokens": 5}
M: dict[str, Any] = {"session_id": "s", "input_length": 5, "output_length": 5}
WRONG: dict[str, tuple[Rows, str]] = {
    "circle": (
        [A | {"after": ["b"]}, A | {"turn": "b", "after": ["a"]}],
        "s.jsonl, line 1: turns of session 's' wait for each other in a circle: a, b",
    ),
    "itself": ([A | {"after": ["a"]}], "s.jsonl, line 1: turns of session 's' wait for each other in a circle: a"),
    "unknown": (
        [A, A | {"turn": "b", "after": ["x"]}],
        "s.jsonl, line 2: session 's' has no turn 'x'; it has: a, b",
    ),
    "nameless": (
        [A, A | {"turn": "b", "continues": ""}],
        "s.jsonl, line 2: session 's' has no turn ''; it has: a, b",
    ),
    "no id": (
        [A, {"turn": "b", "input_tokens": 1, "output_tokens": 1}],
        "s.jsonl, line 2: no value for 'session'; it has: turn, input_tokens, output_tokens",
    ),
    "pause": (
        [A | {"pause_s": -1}],
        "s.jsonl, line 1: 'pause_s' must be a number of at least 0, but is int -1",
    ),
    "twice": ([A, A], "s.jsonl, line 2: session 's' has a turn 'a' already"),
    "later": (
        [A | {"continues": "b"}, A | {"turn": "b"}],
        "s.jsonl, line 1: it cannot continue 'b', which does not come before it",
    ),
    "too much": (
        [A, A | {"turn": "b", "shared_tokens": 11}],
        "s.jsonl, line 2: 'shared_tokens' is 11, more than the prompt has or that of 'a'",
    ),
    "one without a time": (
        [A | {"arrival_s": 1}, A | {"session": "t"}],
        "session 't' does not say when it began, and others do; give all a time",
    ),
    "after is no list": (
        [A | {"after": "a"}],
        "s.jsonl, line 1: 'after' must be a list of names of turns, but is str 'a'",
    ),
    "first delta": (
        [M, M | {"timestamp": 9}],
        "s.jsonl, line 2: a later turn of a session needs 'delay', in ms after the answer before it",
    ),
    "negative delay": (
        [M, M | {"delay": -2}],
        "s.jsonl, line 2: 'delay' must be a number of at least 0, but is int -2",
    ),
    "no agent": (
        [{"block_size": 64, "requests": 7}],
        "s.jsonl, line 1: 'requests' must be a list, but is int 7",
    ),
    "no tokens": (
        [
            {"trace_id": "t", "span_id": "1", "start_time": "2026-01-01T00:00:00", "end_time": "2026-01-01T00:00:01"}
            | {"attributes": {"gen_ai.operation.name": "chat"}}
        ],
        "s.jsonl, line 1: no value for 'gen_ai.usage.input_tokens'; it has: gen_ai.operation.name",
    ),
    "no calls": (
        [
            {"trace_id": "t", "span_id": "1", "start_time": "2026-01-01T00:00:00", "end_time": "2026-01-01T00:00:01"}
            | {"attributes": {"http.method": "GET"}}
        ],
        "s.jsonl: holds no turn that can be asked",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_file_is_one_line_that_names_the_place(name: str, tmp_path: Path) -> None:
    rows, line = WRONG[name]
    assert refused(tmp_path, rows) == line


def test_an_unknown_format_names_the_known_ones(tmp_path: Path) -> None:
    line = refused(tmp_path, [{"question": "why?"}])
    assert line.startswith("s.jsonl, line 1: no recorded session that is known by the fields question; known are plain")


# Mooncake


def test_a_mooncake_turn_adds_its_length_to_its_session_and_waits_for_its_delay(tmp_path: Path) -> None:
    rows: Rows = [
        {"session_id": "a", "timestamp": 4000, "input_length": 300, "output_length": 40},
        {"session_id": "b", "timestamp": 1000, "input_length": 50, "output_length": 10},
        {"session_id": "a", "delay": 250, "input_length": 150, "output_length": 20},
    ]
    form, (a, b) = read(tmp_path, rows)
    assert form == "mooncake"
    assert a.turns == (Turn("1", (), 0.0, 300, 40), Turn("2", (0,), 0.25, 300 + 40 + 150, 20, (0, 0), 300))
    assert (a.arrival_s, b.arrival_s) == (4.0, 1.0)


def test_a_mooncake_turn_whose_blocks_begin_as_those_before_is_a_whole_prompt(tmp_path: Path) -> None:
    rows: Rows = [
        {"session_id": "a", "timestamp": 0, "input_length": 1100, "output_length": 40, "hash_ids": [1, 2, 3]},
        {"session_id": "a", "delay": 0, "input_length": 1700, "output_length": 20, "hash_ids": [1, 2, 4, 5]},
        {"session_id": "b", "timestamp": 9, "input_length": 600, "output_length": 20, "hash_ids": [1, 9]},
    ]
    _, (a, b) = read(tmp_path, rows)
    assert [(turn.input_tokens, turn.base, turn.shared_tokens) for turn in (*a.turns, *b.turns)] == [
        (1100, None, 0),
        (1700, (0, 0), 1024),
        (600, (0, 0), 512),
    ]


# WEKA


def weka(t: float, tokens: int, blocks: list[int], **more: Any) -> dict[str, Any]:
    return {"t": t, "type": "n", "in": tokens, "out": 10, "hash_ids": blocks, "api_time": 2.0} | more


def test_a_weka_sub_agent_runs_beside_and_the_next_request_waits_for_it(tmp_path: Path) -> None:
    helper = {"type": "subagent", "t": 13.0, "agent_id": "x"}
    first = [weka(0, 130, [7, 8], think_time=0), weka(5, 200, [7, 8, 9], think_time=3)]  # 7 s as recorded
    second = [weka(0, 70, [7], think_time=0)]
    requests = [
        weka(0, 640, [1, 2], think_time=0),
        helper | {"requests": first},
        helper | {"requests": second},
        weka(12, 700, [1, 2, 3], think_time=10),
        weka(20, 90, [4], think_time=4),
    ]
    rows: Rows = [{"id": "trace_1", "block_size": 64, "hash_id_scope": "local", "requests": requests}]
    form, (session,) = read(tmp_path, rows)
    assert (form, session.name, session.arrival_s) == ("weka", "trace_1", None)
    assert session.turns == (
        Turn("1", (), 0.0, 640, 10),
        Turn("2.1", (0,), 0.0, 130, 10),
        Turn("2.2", (1,), 3.0, 200, 10, (0, 1), 128),
        Turn("3.1", (0,), 0.0, 70, 10, (0, 1), 64),
        Turn("4", (0, 2, 3), 3.0, 700, 10, (0, 0), 128),  # 10 s of thinking, 7 of them the sub-agent's
        Turn("5", (4,), 4.0, 90, 10),
    )


@pytest.mark.parametrize(("scope", "base"), [("local", None), ("global", (0, 0))])
def test_weka_sessions_share_prompts_where_their_ids_are_global(tmp_path: Path, scope: str, base: Any) -> None:
    one = {"block_size": 64, "hash_id_scope": scope, "requests": [weka(0, 100, [1])]}
    _, (_, second) = read(tmp_path, [one | {"id": "a"}, one | {"id": "b"}])
    assert second.turns[0].base == base


def test_a_weka_trace_is_read_from_a_file_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "trace_0001.json"
    path.write_text(json.dumps({"id": "x", "block_size": 64, "requests": [weka(0, 100, [1])]}))
    assert read_sessions(path, forms=SESSION_FORMS).sessions[0].name == "x"


# OpenTelemetry


def otlp(name: str, parent: str | None, start_s: float, end_s: float, **told: Any) -> dict[str, Any]:
    kinds = {str: "stringValue", int: "intValue"}
    attributes = [
        {"key": f"gen_ai.{key}", "value": {kinds[type(value)]: str(value)}}
        for key, value in ((key.replace("__", "."), value) for key, value in told.items())
    ]
    at = 1_700_000_000
    times = {"startTimeUnixNano": str(int((at + start_s) * 1e9)), "endTimeUnixNano": str(int((at + end_s) * 1e9))}
    return {"traceId": "f0", "spanId": name, "parentSpanId": parent or "", **times, "attributes": attributes}


def call(name: str, parent: str, start_s: float, end_s: float, tokens: int) -> dict[str, Any]:
    usage: dict[str, Any] = {"usage__input_tokens": tokens, "usage__output_tokens": 7}
    return otlp(name, parent, start_s, end_s, operation__name="chat", **usage)


SPANS = [
    otlp("main", None, 0, 30, operation__name="invoke_agent", agent__name="lead", conversation__id="c9"),
    call("plan", "main", 1, 3, 100),
    otlp("tool", "main", 4, 12, operation__name="execute_tool"),
    otlp("h1", "tool", 4, 10, operation__name="invoke_agent", agent__name="helper"),
    call("h1a", "h1", 4.5, 6, 40),
    call("h1b", "h1", 8, 10, 60),
    otlp("h2", "main", 5, 12, operation__name="invoke_agent", agent__name="helper"),
    call("h2a", "h2", 5, 12, 50),
    call("sum", "main", 14, 16, 180),
]


@pytest.mark.parametrize("lines", [1, 9])
def test_spans_become_a_graph_by_their_tree_and_times(tmp_path: Path, lines: int) -> None:
    batches = [SPANS] if lines == 1 else [[span] for span in SPANS]
    rows: Rows = [{"resourceSpans": [{"scopeSpans": [{"spans": batch}]}]} for batch in batches]
    form, (session,) = read(tmp_path, rows)
    assert (form, session.name, session.arrival_s) == ("otlp", "c9", 0.0)
    at = {turn.name: turn for turn in session.turns}
    names = [turn.name for turn in session.turns]
    found = {
        name: ([names[place] for place in turn.after], round(turn.pause_s, 4), turn.shared_tokens)
        for name, turn in at.items()
    }
    assert found == {
        "plan": ([], 0.0, 0),
        "h1a": (["plan"], 1.5, 0),
        "h1b": (["h1a"], 2.0, 40),
        "h2a": (["plan"], 2.0, 0),
        "sum": (["h1b", "h2a"], 2.0, 100),
    }
    assert (at["sum"].input_tokens, at["sum"].output_tokens, at["sum"].base) == (180, 7, (0, names.index("plan")))


@pytest.mark.parametrize("found", [1.7e18, [1], "soon"])
def test_a_time_of_a_span_that_is_no_whole_nanoseconds_is_an_error(tmp_path: Path, found: object) -> None:
    wrong = call("plan", "main", 1, 3, 100) | {"startTimeUnixNano": found}
    with pytest.raises(UsageError, match="'startTimeUnixNano' must be nanoseconds since 1970"):
        read(tmp_path, [{"resourceSpans": [{"scopeSpans": [{"spans": [wrong]}]}]}])


def test_spans_as_an_sdk_prints_them_are_one_session_a_trace(tmp_path: Path) -> None:
    def span(trace: str, name: str, start: str, end: str) -> dict[str, Any]:
        told = {"gen_ai.operation.name": "chat", "gen_ai.usage.prompt_tokens": 30, "gen_ai.usage.completion_tokens": 4}
        ids = {"context": {"trace_id": trace, "span_id": name}, "parent_id": None}
        return (
            ids
            | {"start_time": f"2026-05-01T00:00:{start}Z", "end_time": f"2026-05-01T00:00:{end}Z"}
            | {"attributes": told}
        )

    rows = [span("b", "3", "09.0", "09.5"), span("a", "1", "02.0", "03.0"), span("a", "2", "04.25", "05.0")]
    form, sessions = read(tmp_path, rows)
    assert form == "spans"
    assert [(one.name, one.arrival_s, len(one.turns)) for one in sessions] == [("a", 0.0, 2), ("b", 7.0, 1)]
    assert sessions[0].turns[1] == Turn("2", (0,), 1.25, 30, 4, (0, 0), 30)


def test_spans_that_lie_in_a_circle_are_refused(tmp_path: Path) -> None:
    circle = [otlp("x", "y", 0, 1), otlp("y", "x", 0, 1), call("c", "x", 0, 1, 10)]
    line = refused(tmp_path, [{"resourceSpans": [{"scopeSpans": [{"spans": circle}]}]}])
    assert line == "s.jsonl, line 1: spans lie more than 100 deep in each other, or in a circle"


# the text


def prepared(tmp_path: Path, rows: Rows, **options: Any) -> tuple[Sessions, WordServer]:
    workload = make_workload("sessions", {"path": jsonl(tmp_path / "s.jsonl", rows), **options})
    assert isinstance(workload, Sessions)
    server = WordServer()
    asyncio.run(workload.prepare(server))
    return workload, server


def words(ask: Ask) -> list[str]:
    assert ask.messages is not None
    return ask.messages[0]["content"].split()


def test_prompts_have_the_recorded_lengths_and_begin_with_what_they_share(tmp_path: Path) -> None:
    workload, server = prepared(tmp_path, AGENT)
    assert workload.session(1).name == "s", "sessions are played by the time that they began"
    asks = [workload.make(nonce=5, user=1, k=k) for k in range(4)]
    assert [server.true_tokens(ask) for ask in asks] == [400, 200, 250, 600]
    assert [ask.shared_tokens for ask in asks] == [0, 0, 0, 400]
    plan, search, _, edit = map(words, asks)
    assert edit[: len(plan)] == plan
    assert search[0] != plan[0]
    assert workload.shared_input_share() == pytest.approx(500 / 1790)  # 400 of `edit`, 100 of the second of `t`


def test_a_session_that_is_played_again_has_another_text(tmp_path: Path) -> None:
    workload, _ = prepared(tmp_path, AGENT)
    first, again = (words(workload.make(nonce=nonce, user=play, k=0)) for nonce, play in ((1, 0), (2, 2)))
    assert first[:5] != again[:5]
    assert len(first) == len(again)


def test_sessions_that_share_a_prompt_begin_alike_and_not_as_in_another_level(tmp_path: Path) -> None:
    rows: Rows = [
        {"session_id": name, "timestamp": 0, "input_length": 1024, "output_length": 5, "hash_ids": [1, own]}
        for name, own in (("a", 2), ("b", 3))
    ]
    workload, _ = prepared(tmp_path, rows)
    one, two = (words(workload.make(nonce=play, user=play, k=0)) for play in (0, 1))
    alike = next(i for i, (left, right) in enumerate(zip(one, two, strict=True)) if left != right)
    assert alike == 512 - 30, "the template's tokens are shared too"
    workload.use_salt(77)
    assert words(workload.make(nonce=0, user=0, k=0))[:5] != one[:5]


def test_pauses_can_be_shortened_and_capped_and_long_sessions_left_out(tmp_path: Path) -> None:
    workload, _ = prepared(tmp_path, AGENT, speed="2", longest_pause_s="0.2", max_input_tokens="500")
    assert (workload.turn_counts(), workload.describe()["left_out"]) == ((3,), 1)
    assert workload.pause_s(Turn("x", (), 0.3, 1, 1)) == pytest.approx(0.15)
    assert workload.pause_s(Turn("x", (), 9.0, 1, 1)) == pytest.approx(0.2)
    workload, _ = prepared(tmp_path, AGENT, speed=4.0)
    assert workload.arrivals_s() == pytest.approx([0.0, 0.5])


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"speed": 0.0}, "speed: 0.0 is no pace"),
        ({"longest_pause_s": -1.0}, "longest-pause-s: -1.0 is no length of time"),
        ({"max_sessions": 0}, "max-sessions: 0 is too few"),
        ({"max_input_tokens": 10}, "every session has a prompt of more than 10 tokens"),
    ],
)
def test_a_setting_that_cannot_be_is_refused(options: dict[str, Any], line: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=line):
        prepared(tmp_path, AGENT, **options)


_HOLD = """
import sys
from pathlib import Path
from breakeven.workload.sessions import Sessions
workload = Sessions(path=sys.argv[1])
asks = [workload.make(nonce=play, user=play, k=49) for play in range(1000)]
[most_kib] = [line.split()[1] for line in Path("/proc/self/status").read_text().splitlines() if line[:6] == "VmHWM:"]
print(len(asks), sum(workload.turn_counts()), most_kib)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells what a process held at most")
def test_a_thousand_sessions_of_fifty_turns_are_held_in_less_than_500_mb(tmp_path: Path) -> None:
    """As WEKA records them, in blocks of 64 tokens: 280 at first, 200 of them the same for all; one more each turn."""
    path = tmp_path / "big.jsonl"
    with path.open("w") as file:
        for session in range(1000):
            own = [*range(200), *range(1000 * (session + 1), 1000 * (session + 1) + 80 + 50)]
            requests = [weka(10.0 * k, 64 * (280 + k), own[: 280 + k], think_time=5) for k in range(50)]
            row = {"id": f"s{session}", "block_size": 64, "hash_id_scope": "global", "requests": requests}
            file.write(json.dumps(row) + "\n")
    done = subprocess.run([sys.executable, "-c", _HOLD, path], capture_output=True, text=True, check=True, timeout=300)
    asks, turns, most_kib = map(int, done.stdout.split())
    assert (asks, turns) == (1000, 50_000)
    assert most_kib * 1024 < 500e6


# hostile files

SDK: dict[str, Any] = {
    "trace_id": "t",
    "span_id": "1",
    "start_time": "2026-01-01T00:00:00",
    "end_time": "2026-01-01T00:00:01",
    "attributes": {
        "gen_ai.operation.name": "chat",
        "gen_ai.usage.input_tokens": 5,
        "gen_ai.usage.output_tokens": 5,
    },
}
SOUND: dict[str, Rows] = {
    "plain": AGENT,
    "mooncake": [M | {"timestamp": 1, "hash_ids": [1]}, M | {"delay": 3, "hash_ids": [1, 2]}],
    "weka": [
        {"id": "x", "block_size": 64, "hash_id_scope": "global"}
        | {"requests": [weka(0, 640, [1]), {"type": "subagent", "t": 1, "requests": [weka(0, 70, [7])]}]}
    ],
    "otlp": [{"resourceSpans": [{"scopeSpans": [{"spans": SPANS}]}]}],
    "spans": [SDK, SDK | {"span_id": "2"}],
}
HOSTILE = [None, -1, 0, 1e308, 1e18, "", "\n", "a" * 500, "9" * 5000, True, [], {}, [None], [1.5], {"a": 1}, 2**70]


def spots(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where something stands in a document, each place by the way to it."""
    yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inner:
        yield from spots(one, (*path, key))


@pytest.mark.parametrize("form", SESSION_FORMS)
@given(pick=st.integers(0, 10_000), value=st.sampled_from(HOSTILE))
@settings(max_examples=60, deadline=None)
def test_one_hostile_value_gives_sessions_or_one_line_and_never_a_traceback(form: str, pick: int, value: Any) -> None:
    rows = copy.deepcopy(SOUND[form])
    places = [path for path in spots(rows) if len(path) > 1]
    *way, last = places[pick % len(places)]
    functools.reduce(lambda inner, key: inner[key], way, rows)[last] = value
    with tempfile.TemporaryDirectory() as folder:
        try:
            workload = Sessions(path=jsonl(Path(folder) / "s.jsonl", rows))
        except UsageError as error:
            text = str(error)
        else:
            turns = enumerate(workload.session(0).turns)
            short = [place for place, turn in turns if turn.input_tokens < 10_000]
            text = "".join(workload.make(nonce=1, user=0, k=place).name or "" for place in short)
    assert "\n" not in text
