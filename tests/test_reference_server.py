"""The reference server: its bytes are right, its stamps are true, and it never outlives its parent."""

import contextlib
import json
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from breakeven.client.reference import ReferenceServer, Settings
from breakeven.client.reference.truth import read
from breakeven.errors import RunFailedError, UsageError
from raw_client import Reply, ask, connect, read_reply, request_bytes
from waiting import comes_true

CHAT = "/v1/chat/completions"
COMPLETIONS = "/v1/completions"
FAST = Settings(ttft_s=0.01, itl_s=0.001, output_tokens=7)


@pytest.fixture(scope="module")
def server() -> Iterator[ReferenceServer]:
    with ReferenceServer(FAST) as running:
        yield running


def chat(**fields: object) -> dict[str, object]:
    messages = [{"role": "system", "content": "be brief"}, {"role": "user", "content": "one two three"}]
    return {"model": "truth", "messages": messages, "stream": True, **fields}


def texts(reply: Reply) -> list[str]:
    """The text of every event that carries some."""
    choices = [event["choices"][0] for event in reply.events() if event != "[DONE]" and event["choices"]]
    said = [choice.get("text", choice.get("delta", {}).get("content")) for choice in choices]
    return [text for text in said if text]


def usages(reply: Reply) -> list[tuple[int, Any]]:
    """(index from the end, usage) of every event that has one; [DONE] is the last."""
    events = reply.events()
    return [
        (index - len(events), event["usage"])
        for index, event in enumerate(events)
        if event != "[DONE]" and event.get("usage")
    ]


def test_a_chat_stream_is_role_then_tokens_then_finish_then_usage_then_done(server: ReferenceServer) -> None:
    reply = ask(server.url, CHAT, chat(max_tokens=5, stream_options={"include_usage": True}))
    role, *tokens, finish, usage, done = reply.events()
    assert role["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert [event["choices"][0]["delta"] for event in tokens] == [{"content": " token"}] * 5
    assert finish["choices"][0]["finish_reason"] == "length"
    assert usage["choices"] == []
    assert usage["usage"] == {"prompt_tokens": 5, "completion_tokens": 5, "total_tokens": 10}
    assert done == "[DONE]"


def test_a_completions_stream_counts_the_ids_of_its_prompt(server: ReferenceServer) -> None:
    body = {"prompt": [5, 6, 7, 8], "stream": True, "max_tokens": 2, "stream_options": {"include_usage": True}}
    reply = ask(server.url, COMPLETIONS, body)
    assert texts(reply) == [" token"] * 2
    assert usages(reply)[0][1]["prompt_tokens"] == 4


@pytest.mark.parametrize(
    ("fields", "tokens"), [({}, 7), ({"max_tokens": 3}, 3), ({"max_completion_tokens": 4}, 4), ({"max_tokens": 1}, 1)]
)
def test_an_answer_is_as_long_as_asked_for(server: ReferenceServer, fields: dict[str, int], tokens: int) -> None:
    assert len(texts(ask(server.url, CHAT, chat(**fields)))) == tokens


def test_usage_is_sent_only_when_asked_for(server: ReferenceServer) -> None:
    assert usages(ask(server.url, CHAT, chat())) == []


@pytest.mark.parametrize(("place", "where"), [("own", [-2]), ("finish", [-2]), ("every", [-6, -5, -4, -3, -2])])
def test_usage_stands_in_the_place_that_was_chosen(place: Literal["own", "finish", "every"], where: list[int]) -> None:
    with ReferenceServer(Settings(ttft_s=0, itl_s=0, usage_in=place)) as running:
        reply = ask(running.url, CHAT, chat(max_tokens=3, stream_options={"include_usage": True}))
    found = usages(reply)
    assert [index for index, _ in found] == where
    assert found[-1][1]["completion_tokens"] == 3
    assert (reply.events()[-2]["choices"] == []) == (place != "finish")


def test_no_usage_is_sent_where_there_shall_be_none() -> None:
    with ReferenceServer(Settings(ttft_s=0, itl_s=0, usage_in="none")) as running:
        assert usages(ask(running.url, CHAT, chat(stream_options={"include_usage": True}))) == []


def test_tokens_per_event_and_burst_shape_the_writes() -> None:
    settings = Settings(ttft_s=0.01, itl_s=0.02, tokens_per_event=2, burst=3)
    with ReferenceServer(settings) as running:
        reply = ask(running.url, COMPLETIONS, {"prompt": "a", "stream": True, "max_tokens": 9})
        stamps = running.stamps()
    assert [text.count(" token") for text in texts(reply)] == [2, 2, 2, 2, 1]
    assert stamps.writes_of(0).size == 2
    assert sum(b" token" in data for _, data in reply.reads) == 2


def test_an_answer_without_stream_comes_whole_when_the_stream_would_have_ended(server: ReferenceServer) -> None:
    asked_s = time.perf_counter()
    reply = ask(server.url, CHAT, chat(stream=False, max_tokens=20))
    document = json.loads(reply.body)
    assert document["choices"][0]["message"]["content"] == " token" * 20
    assert document["usage"] == {"prompt_tokens": 5, "completion_tokens": 20, "total_tokens": 25}
    assert reply.reads[0][0] - asked_s >= 0.01 + 19 * 0.001


def test_stamps_follow_the_schedule_and_come_before_the_reader_saw_the_bytes() -> None:
    settings = Settings(ttft_s=0.05, itl_s=0.01)
    with ReferenceServer(settings) as running, connect(running.url) as connection:
        sent_s = time.perf_counter()
        connection.sendall(request_bytes(CHAT, chat(max_tokens=30), headers="X-Request-Id: mine\r\n"))
        reply = read_reply(connection)
        stamps = running.stamps()
        port = connection.getsockname()[1]
    writes_s = stamps.writes_of(0)
    assert (stamps.tag[0], stamps.peer_port[0], stamps.input_tokens[0], stamps.output_tokens[0]) == (
        "mine",
        port,
        5,
        30,
    )
    assert sent_s <= stamps.arrival_s[0]
    np.testing.assert_allclose(stamps.due_s, stamps.arrival_s[0] + 0.05 + 0.01 * np.arange(30), rtol=0, atol=1e-9)
    assert (np.diff(writes_s) > 0).all()
    assert stamps.lateness_s().min() >= -1e-6
    assert np.median(stamps.lateness_s()) < 0.02
    seen_s = [stamp for stamp, data in reply.reads for _ in range(data.count(b'"content":" token"'))]
    assert (np.array(seen_s) >= writes_s).all()
    assert np.median(np.array(seen_s) - writes_s) < 0.02


def test_a_kept_connection_serves_again_and_without_a_request_id_the_user_text_is_the_tag() -> None:
    with ReferenceServer(FAST) as running, connect(running.url) as connection:
        for _ in range(3):
            connection.sendall(request_bytes(CHAT, chat()))
            assert len(texts(read_reply(connection))) == 7
        stamps = running.stamps()
    assert list(stamps.tag) == ["one two three"] * 3
    assert len(set(stamps.peer_port)) == 1
    assert not stamps.gone.any()
    assert list(stamps.first) == [0, 7, 14, 21]


@pytest.mark.parametrize(
    "settings", [Settings(ttft_s=0, itl_s=0, close=True), Settings(ttft_s=0, itl_s=0, body="close")]
)
def test_the_connection_closes_after_the_answer_where_it_shall(settings: Settings) -> None:
    with ReferenceServer(settings) as running, connect(running.url) as connection:
        connection.sendall(request_bytes(CHAT, chat(max_tokens=3)))
        reply = read_reply(connection)
        assert "Connection: close" in reply.head
        assert reply.closed or connection.recv(1) == b""
        assert texts(reply) == [" token"] * 3
        assert reply.events()[-1] == "[DONE]"


def test_a_reader_that_is_slow_loses_no_byte() -> None:
    with ReferenceServer(Settings(ttft_s=0, itl_s=0)) as running, socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        host, port = running.url.removeprefix("http://").split(":")
        connection.connect((host, int(port)))
        connection.settimeout(10)
        connection.sendall(request_bytes(COMPLETIONS, {"prompt": "a", "stream": True, "max_tokens": 20_000}))
        assert comes_true(lambda: running.truth()["held_writes"] > 0)
        assert len(texts(read_reply(connection))) == 20_000


def test_an_answer_whose_reader_went_away_is_marked_as_gone() -> None:
    with ReferenceServer(Settings(ttft_s=0, itl_s=0.005)) as running:
        with connect(running.url) as connection:
            connection.sendall(request_bytes(CHAT, chat(max_tokens=100_000)))
            connection.recv(1000)
            assert b'num_requests_running{model_name="truth"} 1.0\n' in ask(running.url, "/metrics").body
        assert comes_true(lambda: running.truth()["gone"] == 1)
        assert running.truth()["running"] == 0
        assert b'num_requests_running{model_name="truth"} 0.0\n' in ask(running.url, "/metrics").body
        assert running.stamps().gone.tolist() == [True]


def test_the_small_endpoints_answer(server: ReferenceServer) -> None:
    assert ask(server.url, "/health").status == 200
    assert json.loads(ask(server.url, "/v1/models").body)["data"][0]["id"] == "truth"
    assert json.loads(ask(server.url, "/tokenize", {"content": "one two"}).body)["count"] == 2
    assert ask(server.url, "/nowhere").status == 404


def test_metrics_can_be_left_out() -> None:
    with ReferenceServer(Settings(metrics=False)) as running:
        assert ask(running.url, "/metrics").status == 404


def test_what_cannot_be_served_is_refused_with_a_reason(server: ReferenceServer) -> None:
    assert "known: truth" in ask(server.url, CHAT, chat(model="other")).body.decode()
    assert ask(server.url, CHAT, chat(max_tokens=0)).status == 400
    assert ask(server.url, CHAT, [1]).status == 400
    with connect(server.url) as connection:
        connection.sendall(b"\x16\x03\x01 no HTTP\r\n\r\n")
        assert read_reply(connection).status == 400


def test_truth_counts_what_was_served() -> None:
    with ReferenceServer(FAST) as running:
        assert running.truth()["lateness_p50_s"] is None
        for _ in range(2):
            ask(running.url, CHAT, chat())
        truth = running.truth()
    assert (truth["requests"], truth["complete"], truth["gone"], truth["writes"]) == (2, 2, 0, 14)
    assert 0 <= truth["lateness_p50_s"] <= truth["lateness_p99_s"] <= truth["lateness_max_s"]
    assert truth["settings"]["output_tokens"] == 7


def test_the_process_ends_with_its_stdin_and_leaves_its_stamps(tmp_path: Path) -> None:
    file = tmp_path / "stamps.npz"
    argv = [
        sys.executable,
        "-m",
        "breakeven.client.reference",
        "--end-with-stdin",
        "--stamps",
        str(file),
        "--ttft",
        "0",
    ]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        url = json.loads(process.stdout.readline())["url"]
        ask(url, CHAT, chat(max_tokens=2))
        process.stdin.close()
        assert process.wait(10) == 0
    assert read(file).write_s.size == 2


@pytest.mark.parametrize(
    ("setting", "message"),
    [({"burst": 0}, "burst 0"), ({"ttft_s": -1.0}, "ttft -1.0"), ({"itl_s": float("nan")}, "nan")],
)
def test_settings_that_make_no_sense_are_refused(setting: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Settings(**setting)


def test_a_file_limit_that_is_too_low_is_said_before_the_start() -> None:
    with (
        pytest.raises(RunFailedError, match=r"2000000000 connections need .* raise it"),
        ReferenceServer(connections=2_000_000_000),
    ):
        pass


def test_running_out_of_files_is_said_and_open_connections_are_served_on() -> None:
    program = "import resource as r, runpy; r.setrlimit(r.RLIMIT_NOFILE, (32, 32)); "
    program += "runpy.run_module('breakeven.client.reference', run_name='__main__', alter_sys=True)"
    argv = [sys.executable, "-c", program, "--end-with-stdin"]
    with (
        subprocess.Popen(argv, stdin=-1, stdout=-1, stderr=-1) as process,
        contextlib.ExitStack() as stack,
    ):
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        url = json.loads(process.stdout.readline())["url"]
        first = stack.enter_context(connect(url))
        for _ in range(40):
            stack.enter_context(connect(url))
        assert "the limit of open files is 32" in process.stderr.readline().decode()
        first.sendall(request_bytes("/health"))
        assert read_reply(first).status == 200
        process.stdin.close()
        assert process.wait(10) == 0


@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")
def test_the_c_reader_sees_the_tokens_that_the_server_wrote(tmp_path: Path) -> None:
    source = Path(__file__).parent.parent / "benchmarks" / "c_reader.c"
    subprocess.run(["cc", "-O2", "-o", tmp_path / "c_reader", source], check=True)
    with ReferenceServer(Settings(ttft_s=0.01, itl_s=0.005)) as running:
        flags = ["--port", running.url.rsplit(":", 1)[1], "--connections", "20", "--output-tokens", "10"]
        flags += ["--ramp", "0.1", "--warmup", "0.2", "--seconds", "0.7"]
        seen = json.loads(subprocess.run([tmp_path / "c_reader", *flags], check=True, capture_output=True).stdout)
        stamps = running.stamps()
    last_s = stamps.write_s.max()
    written = int((stamps.write_s > last_s - seen["window_s"]).sum())
    assert seen["answers"] > 100
    assert seen["tokens"] == pytest.approx(written, rel=0.1)
    assert seen["reads"] >= seen["answers"]
