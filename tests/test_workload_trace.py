"""Recorded traffic: arrival times, lengths, and the blocks that prompts share."""

import asyncio
import gc
import io
import json
from pathlib import Path

import pytest

from breakeven.errors import UsageError
from breakeven.workload import make_workload
from breakeven.workload.base import Ask
from breakeven.workload.trace import Trace
from breakeven.workload.tracefile import Arrival, read_trace, shared_tokens
from word_server import WordServer

AZURE = """TIMESTAMP,ContextTokens,GeneratedTokens
2023-11-16 18:15:46.6805900,374,44
2023-11-16 18:15:50.9951690,396,109
2023-11-16 18:16:46.6805900,879,55
"""
MOONCAKE = [
    {"timestamp": 3000, "input_length": 1100, "output_length": 20, "hash_ids": [1, 2, 5]},
    {"timestamp": 0, "input_length": 1024, "output_length": 10, "hash_ids": [1, 2]},
    {"timestamp": 4500, "input_length": 700, "output_length": 30, "hash_ids": [7, 8]},
]


BAILIAN = [
    {"chat_id": 7, "timestamp": 61.114, "input_length": 100, "output_length": 5, "hash_ids": [1, 2, 3, 4, 5, 6, 7]},
    {"chat_id": 8, "timestamp": 62.5, "input_length": 60, "output_length": 8, "hash_ids": [1, 2, 9]},
]


def azure(folder: Path) -> Path:
    path = folder / "azure.csv"
    path.write_text(AZURE)
    return path


def mooncake(folder: Path) -> Path:
    path = folder / "mooncake.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in MOONCAKE))
    return path


def jsonl(path: Path, rows: list[dict[str, object]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def prepared(trace: Trace, *, api: str = "chat") -> tuple[WordServer, list[str]]:
    server = WordServer(api)
    return server, [caution.id for caution in asyncio.run(trace.prepare(server))]


def words(ask: Ask) -> list[str]:
    assert ask.messages is not None
    return ask.messages[0]["content"].split()


def test_the_azure_trace_gives_its_arrivals_and_lengths(tmp_path: Path) -> None:
    trace = Trace(path=azure(tmp_path))
    server, cautions = prepared(trace)
    asks = [trace.make(nonce=k, user=0, k=k) for k in range(3)]
    assert cautions == []
    assert trace.arrivals_s() == pytest.approx([0, 4.314579, 60], abs=1e-5)
    assert [server.true_tokens(ask) for ask in asks] == [ask.input_tokens for ask in asks] == [374, 396, 879]
    assert [ask.output_tokens for ask in asks] == [44, 109, 55]
    assert all(ask.exact_length for ask in asks)


def test_a_date_with_a_zone_is_read(tmp_path: Path) -> None:
    path = tmp_path / "azure.csv"
    rows = ["2024-05-10 00:00:00.009930+00:00,2162,5", "2024-05-10 00:00:01.009930+00:00,10,6"]
    path.write_text("\n".join(["TIMESTAMP,ContextTokens,GeneratedTokens", *rows]))
    assert Trace(path=path).arrivals_s() == pytest.approx([0, 1])


def test_plain_csv_gives_its_arrivals_from_the_first_in_order(tmp_path: Path) -> None:
    path = tmp_path / "plain.csv"
    path.write_text("arrival_s,input_tokens,output_tokens\n12.5,60,2\n10,50,1\n")
    trace = Trace(path=path)
    prepared(trace)
    assert trace.arrivals_s() == [0, 2.5]
    assert [trace.make(nonce=k, user=0, k=k).output_tokens for k in range(2)] == [1, 2]


def test_twice_the_speed_halves_the_time_between_arrivals(tmp_path: Path) -> None:
    assert Trace(path=mooncake(tmp_path), speed=2).arrivals_s() == [0, 1.5, 2.25]
    with pytest.raises(UsageError, match="speed"):
        Trace(path=mooncake(tmp_path), speed=0)


@pytest.mark.parametrize("api", ["chat", "completions"])
def test_prompts_of_a_mooncake_trace_have_their_lengths(api: str, tmp_path: Path) -> None:
    trace = Trace(path=mooncake(tmp_path))
    server, cautions = prepared(trace, api=api)
    asks = [trace.make(nonce=k, user=0, k=k) for k in range(3)]
    assert cautions == ["shared_prefixes"]
    assert [server.true_tokens(ask) for ask in asks] == [ask.input_tokens for ask in asks] == [1024, 1100, 700]


def test_prompts_with_the_same_blocks_begin_with_the_same_text(tmp_path: Path) -> None:
    trace = Trace(path=mooncake(tmp_path))
    prepared(trace)
    first, second, third = (words(trace.make(nonce=k, user=0, k=k)) for k in range(3))
    same = len(first)
    assert same == 1024 - 30
    assert second[:same] == first
    assert third[0] != first[0]


def test_the_share_of_shared_input_is_stated(tmp_path: Path) -> None:
    # in order of arrival: 1024 new, then 1100 of which 1024 stood there before, then 700 new
    described = Trace(path=mooncake(tmp_path)).describe()
    assert described["shared_input_share"] == pytest.approx(1024 / (1024 + 1100 + 700), abs=1e-4)
    assert described["nonce"].startswith("none")
    assert Trace(path=azure(tmp_path)).describe()["shared_input_share"] == 0


def test_each_request_says_what_it_shares_on_purpose(tmp_path: Path) -> None:
    trace, other = Trace(path=mooncake(tmp_path)), Trace(path=azure(tmp_path))
    prepared(trace)
    prepared(other)
    assert [trace.make(nonce=k, user=0, k=k).shared_tokens for k in range(3)] == [0, 1024, 0]
    assert other.make(nonce=1, user=0, k=0).shared_tokens is None


def test_a_burstgpt_trace_is_read_in_seconds_without_its_failed_requests(tmp_path: Path) -> None:
    path = tmp_path / "BurstGPT_1.csv"
    path.write_text(
        "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n"
        "5,ChatGPT,472,18,490,Conversation log\n"
        "45,GPT-4,300,0,300,API log\n"
        "118,GPT-4,417,276,693,Conversation log\n"
    )
    found = read_trace(path)
    assert (found.form, found.left_out) == ("burstgpt", 1)
    assert found.arrivals == [Arrival(0, 472, 18), Arrival(113, 417, 276)]


def test_a_bailian_trace_is_read_in_seconds_and_in_blocks_of_16(tmp_path: Path) -> None:
    # the second has 60 // 16 = 3 ids: whether a part of a block has one is not documented
    trace = Trace(path=jsonl(tmp_path / "bailian.jsonl", BAILIAN))
    server = WordServer(start=0, each=0)
    asyncio.run(trace.prepare(server))
    asks = [trace.make(nonce=k, user=0, k=k) for k in range(2)]
    first, second = map(words, asks)
    assert trace.describe()["form"] == "bailian"
    assert trace.arrivals_s() == pytest.approx([0, 1.386])
    assert [server.true_tokens(ask) for ask in asks] == [100, 60]
    assert first[:32] == second[:32]
    assert first[32] != second[32]
    assert trace.describe()["shared_input_share"] == pytest.approx(32 / 160)


@pytest.mark.parametrize(("chat_id", "block"), [({}, 512), ({"chat_id": 1}, 16)])
def test_a_trace_whose_blocks_have_another_size_is_refused(
    chat_id: dict[str, object], block: int, tmp_path: Path
) -> None:
    row = {"timestamp": 0, "input_length": 1000, "output_length": 5, "hash_ids": list(range(1000 // 64))}
    with pytest.raises(UsageError, match=rf"line 1: 15 hash ids for 1000 input tokens.*one for each {block}; another"):
        Trace(path=jsonl(tmp_path / "other.jsonl", [{**chat_id, **row}]))


def test_the_same_request_of_a_mooncake_trace_has_the_same_text_again(tmp_path: Path) -> None:
    trace = Trace(path=mooncake(tmp_path))
    prepared(trace)
    assert [words(trace.make(nonce=k, user=0, k=k)) for k in (1, 2)] == [
        words(trace.make(nonce=k + 50, user=0, k=k + 3)) for k in (1, 2)
    ]


def test_a_block_counts_as_shared_only_if_all_blocks_before_it_are() -> None:
    first = Arrival(0, 1024, 1, (1, 2))
    second = Arrival(1, 1024, 1, (9, 2))
    assert shared_tokens([first, second], block_tokens=512) == [0, 0]


def test_another_salt_gives_other_blocks(tmp_path: Path) -> None:
    one, two = (Trace(path=mooncake(tmp_path), salt=salt) for salt in (1, 2))
    prepared(one)
    prepared(two)
    assert words(one.make(nonce=1, user=0, k=0))[:5] != words(two.make(nonce=1, user=0, k=0))[:5]


def test_other_users_walk_the_trace_from_elsewhere_and_round(tmp_path: Path) -> None:
    trace = Trace(path=azure(tmp_path))
    prepared(trace)
    names = {user: [trace.make(nonce=k, user=user, k=k).name for k in range(3)] for user in range(20)}
    assert all(len(set(walk)) == 3 for walk in names.values())
    assert len({walk[0] for walk in names.values()}) == 3
    assert trace.make(nonce=1, user=0, k=3).name == "request-0"


def test_requests_that_cannot_be_asked_are_left_out_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "plain.csv"
    path.write_text("arrival_s,input_tokens,output_tokens\n1,50,0\n2,0,5\n3,5000,5\n4,60,5\n5,70,5\n")
    trace = Trace(path=path, max_input_tokens=4096, max_requests=1)
    assert (trace.describe()["requests"], trace.describe()["left_out"]) == (1, 3)
    assert prepared(trace)[1] == ["left_out"]
    with pytest.raises(UsageError, match="none of its 5 requests"):
        Trace(path=path, max_input_tokens=1)


@pytest.mark.parametrize("setting", ["max_requests", "max_input_tokens"])
@pytest.mark.parametrize("value", [0, -1])
def test_a_limit_below_one_is_refused(setting: str, value: int, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=rf"^{setting.replace('_', '-')}: {value} is too few; give at least 1"):
        make_workload("trace", {"path": azure(tmp_path), setting: str(value)})


HOSTILE = {
    "a.csv": ("when,what\n1,2\n", "no trace that is known by the fields when, what; known are"),
    "b.csv": ("arrival_s,input_tokens,output_tokens\n", "holds no request"),
    "c.csv": ("arrival_s,input_tokens,output_tokens\n1,2.5,3\n", "line 2: 'input_tokens' must be a whole number"),
    "d.csv": ("arrival_s,input_tokens,output_tokens\n1,50,3\nnan,50,3\n", "line 3: 'arrival_s' must be a number"),
    "e.csv": ("arrival_s,input_tokens,output_tokens\n1,1e12,3\n", "line 2: 'input_tokens' must be a whole number"),
    "f.csv": ("TIMESTAMP,ContextTokens,GeneratedTokens\nyesterday,5,5\n", "line 2: 'TIMESTAMP' must be a date"),
    "g.jsonl": ('{"timestamp": 1, "input_length": 5, "output_length": 5, "hash_ids": "x"}', "line 1: 'hash_ids' must"),
    "h.jsonl": ('{"timestamp": true, "input_length": 5, "output_length": 5}', "line 1: 'timestamp' must be a number"),
    "i.jsonl": ('{"timestamp": -5, "input_length": 5, "output_length": 5}', "line 1: 'timestamp' must be a number"),
    "j.jsonl": (
        '{"timestamp": 1, "input_length": 5, "output_length": 5, "hash_ids": [1.5]}',
        "line 1: 'hash_ids' must",
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_bad_trace_gives_one_line_that_says_what_and_where(name: str, tmp_path: Path) -> None:
    text, message = HOSTILE[name]
    (tmp_path / name).write_text(text)
    with pytest.raises(UsageError) as caught:
        Trace(path=tmp_path / name)
    assert message in str(caught.value)
    assert name in str(caught.value)
    assert str(caught.value).isprintable()


def test_a_file_with_a_bad_row_is_closed_at_once(tmp_path: Path) -> None:
    path = tmp_path / "trace.csv"
    path.write_text(AZURE + "never,1,1\n")
    with pytest.raises(UsageError, match="line 5") as caught:
        read_trace(path)
    files = [one for one in gc.get_objects() if isinstance(one, io.TextIOWrapper) and one.name == str(path)]
    assert caught.value.__traceback__ is not None, "the error holds the frames that read the file"
    assert all(file.closed for file in files)


def test_what_is_shared_is_counted_over_what_is_replayed(tmp_path: Path) -> None:
    rows = [
        {"timestamp": 0, "input_length": 512, "output_length": 5, "hash_ids": [1]},
        {"timestamp": 1000, "input_length": 512, "output_length": 5, "hash_ids": [2]},
        {"timestamp": 9000, "input_length": 1024, "output_length": 5, "hash_ids": [1, 3]},
    ]
    trace = Trace(path=jsonl(tmp_path / "late.jsonl", rows), speed=2.0)
    assert trace.describe()["shared_input_share"] == 0.25
    trace.end_after(4.0)
    assert trace.describe()["shared_input_share"] == 0.0
    trace.end_after(4.5)
    assert trace.describe()["shared_input_share"] == 0.25
