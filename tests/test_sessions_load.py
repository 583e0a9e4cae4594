"""Recorded sessions played against a real server: what waits for what, how many at once, and how exact pauses are."""

import itertools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from breakeven.client.reference import ReferenceServer, Settings
from breakeven.record import LevelFacts, Record
from breakeven.store.folder import RunFolder
from commands import breakeven, run_folder
from fault_answers import answer, reply
from fault_server import FaultServer
from fault_wire import Wire
from test_workload_sessions import AGENT, Rows, jsonl

WITHIN_S = 0.010


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with ReferenceServer(Settings(ttft_s=0.03, itl_s=0.002)) as server:
        yield server.url


def played(url: str, tmp_path: Path, rows: Rows, *words: str) -> tuple[LevelFacts, list[Record]]:
    """The one level of a run, its records by session and turn."""
    file = jsonl(tmp_path / "sessions.jsonl", rows)
    out = tmp_path / "runs"
    done = breakeven("run", "--url", url, "--workload", "sessions", "--file", file, *words, "--out", out)
    assert done.code == 0, done.err
    ((facts, records),) = RunFolder.open(run_folder(out)).levels()
    return facts, sorted(records, key=lambda record: (record.user, record.k))


def late_s(url: str, tmp_path: Path, rows: Rows) -> float:
    """How much later than its pause allows the latest turn was sent."""
    _, records = played(url, tmp_path, rows, "--users", "4")
    by_turn = {(record.user, record.k): record for record in records}
    found = []
    for record in records:
        if record.k > 1 and record.sent_s is not None:
            before = by_turn[record.user, record.k - 1]
            pause_s = rows[(record.user % 4) * 10 + record.k - 1]["pause_s"]
            assert record.due_s == pytest.approx(before.end_s + pause_s, abs=1e-6)
            found.append(record.sent_s - record.due_s)
    assert len(found) == 36
    return max(found)


def test_pauses_are_kept_within_10_ms(url: str, tmp_path: Path) -> None:
    rows: Rows = [
        {"session": str(session), "pause_s": 0.01 * turn, "input_tokens": 60 + 20 * turn, "output_tokens": 5}
        for session in range(4)
        for turn in range(10)
    ]
    folders = [tmp_path / str(number) for number in range(3)]
    for folder in folders:
        folder.mkdir()
    assert any(late_s(url, folder, rows) <= WITHIN_S for folder in folders), "timing on a busy machine: three times"


def test_a_turn_is_due_when_all_that_it_waits_for_has_ended_and_sub_agents_run_at_once(
    url: str, tmp_path: Path
) -> None:
    facts, records = played(url, tmp_path, AGENT[:4], "--users", "1")
    plan, search, read, edit = records
    assert [record.prompt for record in records] == ["s/plan", "s/search", "s/read", "s/edit"]
    assert search.due_s == pytest.approx(plan.end_s + 0.2, abs=1e-6)
    assert read.due_s == pytest.approx(plan.end_s + 0.3, abs=1e-6)
    assert edit.due_s == pytest.approx(max(search.end_s, read.end_s) + 0.5, abs=1e-6)
    assert [record.asked_shared_tokens for record in records] == [0, 0, 0, 400]
    assert (facts.session_turns, facts.stopped, facts.measured_requests, facts.users) == ((4,), "requests", 4, 1)


def test_turns_of_one_session_are_in_flight_together(url: str, tmp_path: Path) -> None:
    rows: Rows = [{"session": "s", "turn": "a", "input_tokens": 60, "output_tokens": 3}]
    rows += [rows[0] | {"turn": f"b{i}", "after": ["a"], "continues": None, "output_tokens": 30} for i in range(3)]
    _, records = played(url, tmp_path, rows, "--users", "1")
    helpers = records[1:]
    assert max(record.sent_s or 9e9 for record in helpers) < min(record.end_s for record in helpers)


def at_once(records: list[Record]) -> int:
    """The most sessions that were in flight at one moment, each from its first due to its last end."""
    spans: dict[int, tuple[float, float]] = {}
    for record in records:
        start, end = spans.get(record.user, (record.due_s, record.end_s))
        spans[record.user] = min(start, record.due_s), max(end, record.end_s)
    return max(sum(one[0] <= at_s < one[1] for one in spans.values()) for at_s, _ in spans.values())


TEN: Rows = [
    {"session": f"s{number}", "pause_s": 0.05, "input_tokens": 60, "output_tokens": 4, "arrival_s": 0.1 * number}
    for number in range(10)
    for _ in range(3)
]


@pytest.mark.parametrize("clients", ["1", "2"])
def test_so_many_sessions_are_in_flight_and_each_is_played_once(url: str, tmp_path: Path, clients: str) -> None:
    facts, records = played(url, tmp_path, TEN, "--users", "3", "--clients", clients)
    assert [(record.user, record.k) for record in records] == [(user, k) for user in range(10) for k in (1, 2, 3)]
    assert {record.status for record in records} == {"done"}
    assert at_once(records) == 3
    assert facts.measured_requests == 30


@pytest.mark.parametrize("clients", ["1", "2"])
def test_sessions_begin_at_their_recorded_times(url: str, tmp_path: Path, clients: str) -> None:
    facts, records = played(url, tmp_path, TEN, "--option", "speed=2", "--clients", clients)
    first = [record for record in records if record.k == 1]
    steps = [after.due_s - before.due_s for before, after in itertools.pairwise(first)]
    assert steps == pytest.approx([0.05] * 9, abs=1e-6)
    assert (facts.users, facts.req_per_s_offered, facts.arrivals, facts.stopped) == (None, None, "trace", "requests")
    assert len(records) == 30


def test_with_a_duration_the_file_is_played_again(url: str, tmp_path: Path) -> None:
    words = ("--users", "2", "--duration", "2", "--warmup", "0.2")
    facts, records = played(url, tmp_path, TEN[:6], *words)
    assert facts.stopped == "duration"
    assert max(record.user for record in records) > 3
    assert {record.prompt for record in records} == {f"s{number}/{turn}" for number in (0, 1) for turn in (1, 2, 3)}
    level = RunFolder.open(run_folder(tmp_path / "runs"))
    assert level is not None
    assert at_once(records) == 2


def idle(wire: Wire) -> None:
    reply(wire, 200, "vllm:num_requests_running 0\nvllm:num_requests_waiting 0\n", kind="text/plain")


def test_a_session_ends_with_a_turn_that_fails_and_the_next_is_played(tmp_path: Path) -> None:
    good: Callable[[Wire], None] = answer(ttft_s=0.01, tokens=3)
    asked = iter(range(1000))

    def play(wire: Wire) -> None:
        """The questions before the level come first; of the level the second is refused."""
        stream = wire.request.json.get("stream") if wire.request is not None else None
        number = next(asked) if stream and wire.request.json.get("max_tokens") == 4 else None
        reply(wire, 500, "no") if number == 1 else good(wire)

    file = jsonl(tmp_path / "s.jsonl", TEN[:6])
    with FaultServer({"good": play, "/metrics": idle}) as server:
        words = ("--workload", "sessions", "--file", file, "--users", "1", "--out", tmp_path / "runs", "--json", "-")
        done = breakeven("run", "--url", server.url, *words)
    (level,) = done.json["levels"]
    ((_, records),) = RunFolder.open(run_folder(tmp_path / "runs")).levels()
    assert sorted((record.user, record.k, record.status) for record in records) == [
        (0, 1, "done"),
        (0, 2, "error"),
        *((1, k, "done") for k in (1, 2, 3)),
    ]
    assert (level["extra"]["sessions"], level["extra"]["sessions_failed"]) == (1, 1)
    assert level["distributions"]["session_s"]["n"] == 1


def test_turns_of_a_session_begin_alike_whichever_is_asked_first(tmp_path: Path) -> None:
    one = {"session": "s", "input_tokens": 40, "output_tokens": 3}
    rows: Rows = [
        one | {"turn": "late", "pause_s": 0.4},
        one | {"turn": "early", "after": []},
        one | {"turn": "next", "after": ["early"], "input_tokens": 60},
        one | {"turn": "last", "after": ["late"], "input_tokens": 60},
    ]
    file = jsonl(tmp_path / "s.jsonl", rows)
    with FaultServer({"good": answer(ttft_s=0.01, tokens=3), "/metrics": idle}) as server:
        words = ("--workload", "sessions", "--file", file, "--users", "1", "--out", tmp_path / "runs")
        done = breakeven("run", "--url", server.url, *words)
    assert done.code == 0, done.err
    said = [request.json["messages"][0]["content"] for request in server.asked if request.json.get("stream")]
    early, following, late, last = said[-4:]
    assert following.startswith(early)
    assert last.startswith(late)
    assert early[:12] != late[:12]


def test_what_waits_when_a_session_fails_is_not_asked(tmp_path: Path) -> None:
    one = {"session": "s", "input_tokens": 40, "output_tokens": 3}
    rows: Rows = [one | {"turn": "fails"}, one | {"turn": "waits", "after": [], "pause_s": 0.4}]
    file = jsonl(tmp_path / "s.jsonl", [*rows, one | {"session": "t"}])
    measured = iter([True])

    def play(wire: Wire) -> None:
        is_first = wire.request is not None and wire.request.json.get("max_tokens") == 3 and next(measured, False)
        reply(wire, 500, "no") if is_first else answer(ttft_s=0.01, tokens=3)(wire)

    with FaultServer({"good": play, "/metrics": idle}) as server:
        words = ("--workload", "sessions", "--file", file, "--users", "1", "--out", tmp_path / "runs")
        breakeven("run", "--url", server.url, *words)
    ((_, records),) = RunFolder.open(run_folder(tmp_path / "runs")).levels()
    assert sorted((record.prompt, record.status) for record in records) == [("s/fails", "error"), ("t/1", "done")]


REFUSED = {
    "rate": (("--rate", "5"), "recorded sessions begin at their own times"),
    "requests": (("--users", "1", "--requests", "100"), "recorded sessions end with their last turns"),
    "think": (("--users", "1", "--think", "1"), "recorded sessions have pauses of their own"),
    "find": (("--find-max", "--slo", "session_p95=1"), "recorded times are one load"),
    "search": (("--users", "1", "--find-max", "--slo", "session_p95=1"), "give --duration too"),
    "auto": (("--users", "auto"), "recorded times are one load"),
    "too many": (("--users", "11"), "s.jsonl has 10 sessions to play; give at most --users 10, or --duration"),
    "untimed": ((), "does not say when its sessions began; give --users N, so many at once"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_makes_no_sense_of_sessions_is_refused_in_a_line(name: str, tmp_path: Path) -> None:
    words, line = REFUSED[name]
    rows = [{key: value for key, value in row.items() if key != "arrival_s"} for row in TEN]
    file = jsonl(tmp_path / "s.jsonl", rows)
    done = breakeven("run", "--url", "http://127.0.0.1:1", "--workload", "sessions", "--file", file, *words)
    assert done.code == 2
    assert line in done.err
    assert done.err.count("\n") == 1


# the recorder


def test_a_run_is_written_as_sessions_and_replays_as_it_was(url: str, tmp_path: Path) -> None:
    rows = [*AGENT[:2], AGENT[2] | {"pause_s": 0.22}, *AGENT[3:]]  # both helpers are at work at once, as times tell
    _, before = played(url, tmp_path, rows, "--users", "2")
    folder = run_folder(tmp_path / "runs")
    done = breakeven("export", folder, "--as", "sessions", "--to", tmp_path / "out")
    assert done.code == 0, done.err
    rows = [json.loads(line) for line in (tmp_path / "out" / "sessions-users-2.jsonl").read_text().splitlines()]
    assert [(row["session"], row["turn"], row["after"], row["continues"], row["shared_tokens"]) for row in rows] == [
        ("1", "1", [], None, 0),
        ("1", "2", ["1"], "1", 100),
        ("1", "3", ["2"], None, 0),
        ("2", "1", [], None, 0),
        ("2", "2", ["1"], None, 0),
        ("2", "3", ["1"], None, 0),
        ("2", "4", ["2", "3"], "1", 400),
    ]
    assert [row["pause_s"] for row in rows] == pytest.approx([0, 0, 0, 0, 0.2, 0.22, 0.5], abs=1e-3)
    (tmp_path / "again").mkdir()
    _, again = played(url, tmp_path / "again", rows, "--users", "2")
    assert [(one.input_tokens, one.output_tokens) for one in again] == [
        (one.input_tokens, one.output_tokens) for one in before
    ]


def test_users_who_talk_in_turns_are_written_as_sessions(url: str, tmp_path: Path) -> None:
    words = ("--workload", "conversation", "--input-tokens", "40", "--output-tokens", "4", "--option", "turns=3")
    load = ("--users", "2", "--requests", "8", "--ramp", "0")
    done = breakeven("run", "--url", url, *words, *load, "--out", tmp_path / "runs")
    assert done.code == 0, done.err
    done = breakeven("export", run_folder(tmp_path / "runs"), "--as", "sessions", "--to", tmp_path)
    assert done.code == 0, done.err
    rows = [json.loads(line) for line in (tmp_path / "sessions-users-2.jsonl").read_text().splitlines()]
    assert {row["session"] for row in rows} == {"1", "2"}
    talk: list[dict[str, Any]] = [row for row in rows if row["session"] == "1"][:4]
    assert [row["continues"] for row in talk] == [None, "0", "1", None], "the fourth begins another conversation"
    assert talk[1]["shared_tokens"] == talk[0]["input_tokens"]


def test_a_summary_alone_has_no_sessions_to_write(tmp_path: Path) -> None:
    data = Path(__file__).parent / "data" / "vllm_bench.json"
    done = breakeven("export", data, "--as", "sessions", "--to", tmp_path)
    assert done.code == 2
    assert "holds no records of answered requests, so there are no sessions to write" in done.err
