"""Prompts from files: every format, and one clear line for what is wrong in them."""

import asyncio
import codecs
import gzip
import json
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from breakeven.errors import UsageError
from breakeven.workload.base import Ask
from breakeven.workload.dataset import Dataset
from commands import breakeven
from word_server import WordServer


def written(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def asks(path: Path, *, api: str = "chat", count: int = 3, left_out: int = 0, **more: Any) -> list[Ask]:
    dataset = Dataset(path=path, output_tokens=64, **more)
    assert dataset.describe()["left_out"] == left_out
    assert len(asyncio.run(dataset.prepare(WordServer(api)))) == (1 if left_out else 0)
    made = [dataset.make(nonce=k, user=0, k=k) for k in range(count)]
    return sorted(made, key=lambda ask: ask.name or "")


def questions(made: list[Ask]) -> list[str]:
    """The user texts without their nonces."""
    return [(ask.messages or [])[-1]["content"].split(": ", 1)[1] for ask in made]


def test_jsonl_csv_and_parquet_give_the_same_prompts(tmp_path: Path) -> None:
    prompts = ["one, with a comma", "two: with\na line", 'three "quoted"']
    jsonl = written(tmp_path / "a.jsonl", "".join(json.dumps({"prompt": text}) + "\n" for text in prompts))
    parquet, table = tmp_path / "a.parquet", tmp_path / "a.csv"
    duckdb.sql(f"copy (select * from '{jsonl}') to '{parquet}'")
    duckdb.sql(f"copy (select * from '{jsonl}') to '{table}' (header)")
    for path in (jsonl, parquet, table):
        assert questions(asks(path)) == prompts


def test_the_nonce_stands_at_the_start_of_the_user_text(tmp_path: Path) -> None:
    path = written(tmp_path / "a.jsonl", '{"prompt": "why?"}\n')
    first, second = asks(path, count=2)
    assert first.messages is not None
    nonce, question = first.messages[0]["content"].split(": ")
    assert (len(nonce.split()), question) == (5, "why?")
    assert first.messages != second.messages


def test_an_output_column_says_how_long_each_answer_shall_be(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", "q,n\nwhy?,7\nhow?,9\n")
    made = asks(path, count=2, column="q", output_column="n")
    assert [(ask.output_tokens, ask.exact_length) for ask in made] == [(7, True), (9, True)]
    assert [(ask.output_tokens, ask.exact_length) for ask in asks(path, count=2, column="q")] == [(64, False)] * 2


def test_messages_are_asked_up_to_the_last_user_text_with_the_nonce_in_the_first(tmp_path: Path) -> None:
    roles = ["system", "user", "assistant", "user", "assistant"]
    messages = [{"role": role, "content": f"text {number}"} for number, role in enumerate(roles)]
    path = written(tmp_path / "a.jsonl", json.dumps({"messages": messages}))
    (ask,) = asks(path, count=1)
    assert ask.messages is not None
    assert [message["role"] for message in ask.messages] == roles[:4]
    assert ask.messages[0]["content"] == "text 0"
    assert ask.messages[1]["content"].endswith(": text 1")
    assert ask.messages[3]["content"] == "text 3"


def test_of_a_sharegpt_conversation_the_first_question_is_asked(tmp_path: Path) -> None:
    entries = [
        {"id": "a", "conversations": [{"from": "human", "value": "why?"}, {"from": "gpt", "value": "so"}]},
        {"id": "b", "conversations": [{"from": "gpt", "value": "I said"}, {"from": "human", "value": "what?"}]},
        {"id": "c", "conversations": [{"from": "gpt", "value": "alone"}]},
        {"id": "d", "conversations": []},
    ]
    path = written(tmp_path / "a.json", json.dumps(entries))
    made = asks(path, count=2, left_out=2)
    assert questions(made) == ["why?", "what?"]
    assert all(len(ask.messages or []) == 1 for ask in made)


def test_the_texts_of_a_content_in_parts_are_joined(tmp_path: Path) -> None:
    parts = [{"type": "text", "text": "why?"}, {"type": "text", "text": "and how?"}]
    path = written(tmp_path / "a.jsonl", json.dumps({"messages": [{"role": "user", "content": parts}]}))
    assert questions(asks(path, count=1)) == ["why?\nand how?"]


CHATS = {
    "role-value": {"conversations": [{"role": "user", "value": "why?"}, {"role": "assistant", "value": "so"}]},
    "role-human": {"conversations": [{"role": "human", "value": "why?"}, {"role": "gpt", "value": "so"}]},
    "from-content": {"conversations": [{"from": "human", "content": "why?"}, {"from": "gpt", "content": "so"}]},
    "upper-case": {"messages": [{"role": "USER", "content": "why?"}, {"role": "Assistant", "content": "so"}]},
    "upper-sharegpt": {"conversations": [{"from": "Human", "value": "why?"}, {"from": "GPT", "value": "so"}]},
    "list": [{"role": "user", "content": "why?"}, {"role": "assistant", "content": "so"}],
    "list-sharegpt": [{"from": "human", "value": "why?"}, {"from": "gpt", "value": "so"}],
    "text": "why?",
    "batch": {
        "custom_id": "request-1",
        "method": "POST",
        "url": "/v1/chat/completions",
        "body": {"model": "m", "messages": [{"role": "user", "content": "why?"}], "max_tokens": 9},
    },
    "batch-completions": {"custom_id": "a", "url": "/v1/completions", "body": {"model": "m", "prompt": "why?"}},
}


@pytest.mark.parametrize("form", CHATS)
@pytest.mark.parametrize("ending", ["jsonl", "json"])
def test_a_chat_is_read_however_its_turns_are_written(form: str, ending: str, tmp_path: Path) -> None:
    entry = json.dumps(CHATS[form])
    text = f"[{entry}, {entry}]" if ending == "json" else f"{entry}\n{entry}\n"
    made = asks(written(tmp_path / f"a.{ending}", text), count=2)
    assert questions(made) == ["why?", "why?"]
    assert [[message["role"] for message in ask.messages or []] for ask in made] == [["user"], ["user"]]


def test_a_chat_of_role_and_value_is_asked_up_to_its_last_question(tmp_path: Path) -> None:
    roles = {"System": "system", "HUMAN": "user", "gpt": "assistant", "User": "user"}
    turns = [{"role": role, "value": f"text {number}"} for number, role in enumerate(roles)]
    (ask,) = asks(written(tmp_path / "a.jsonl", json.dumps({"conversations": turns})), count=1)
    assert [message["role"] for message in ask.messages or []] == list(roles.values())
    assert [message["content"].split(": ")[-1] for message in ask.messages or []] == [f"text {n}" for n in range(4)]


def test_an_upper_case_role_of_a_tool_is_one_too(tmp_path: Path) -> None:
    turns = [{"role": role, "content": "x"} for role in ("user", "TOOL", "user")]
    path = written(tmp_path / "a.jsonl", '{"messages": [{"role": "user", "content": "why?"}]}\n' + said(*turns))
    assert questions(asks(path, count=1, left_out=1)) == ["why?"]


def test_a_field_of_an_object_can_be_named(tmp_path: Path) -> None:
    row = {"prompt": "no", "body": {"question": "why?", "max_tokens": 9}}
    path = written(tmp_path / "a.jsonl", json.dumps(row))
    (ask,) = asks(path, count=1, column="body.question", output_column="body.max_tokens")
    assert (questions([ask]), ask.output_tokens) == (["why?"], 9)
    with pytest.raises(UsageError, match=r"a.jsonl, line 1: no value for 'body.answer'; it has: prompt, body$"):
        Dataset(path=path, output_tokens=5, column="body.answer")


def test_a_text_file_holds_a_prompt_a_line(tmp_path: Path) -> None:
    path = written(tmp_path / "a.txt", codecs.BOM_UTF8 + "why?\r\n\n  ünd how, really; now? \nlast".encode())
    assert questions(asks(path)) == ["why?", "ünd how, really; now?", "last"]
    assert [ask.name for ask in asks(path)] == ["row-1", "row-2", "row-3"]


@pytest.mark.parametrize(("mark", "name"), [(";", "semicolon"), ("\t", "tab"), (",", "comma")])
def test_the_header_says_what_parts_the_fields_of_a_csv(mark: str, name: str, tmp_path: Path) -> None:
    lines = ["id", "prompt", "n"], ["1", '"why, really; now?"', "7"], ["2", '"how\tso?"', "9"]
    path = written(tmp_path / "a.csv", "".join(mark.join(line) + "\n" for line in lines))
    made = asks(path, count=2, output_column="n")
    assert sorted(questions(made)) == ["how\tso?", "why, really; now?"]
    assert sorted(ask.output_tokens for ask in made) == [7, 9]
    written(path, f"id{mark}prompt\n1{mark}why{mark} so\n")
    with pytest.raises(UsageError, match=rf"line 2: 3 fields, but the header names 2; a text with a {name} in it must"):
        Dataset(path=path, output_tokens=5)


REFUSED = {
    '{"conversations": [{"speaker": "A", "text": "why?"}]}': "a turn needs a text 'role' and a text 'content', "
    "but has speaker, text",
    '{"messages": [{"role": "user", "text": "why?"}]}': "the first holds 1 turns: user: no text in role, text",
    '{"conversations": [{"from": "human", "text": "why?"}]}': "the first holds 1 turns: human: no text in from, text",
    '["why?", "so"]': "a turn needs a text 'role' and a text 'content', but is str 'why?'",
    '{"instruction": "why?", "output": "so"}': "name the one that holds the prompt, of: instruction, output",
    '{"messages": [{"role": "question", "content": "why?"}]}': "the first holds 1 turns: question: str 'why?'",
    '{"messages": []}': "the first holds list [] in 'messages'",
    '{"prompt": ""}': "the first holds str '' in 'prompt'",
    "7": "must be an object, a list of turns or a text, but is int 7",
}


@pytest.mark.parametrize("line", REFUSED)
def test_what_cannot_be_asked_is_refused_by_what_was_found(line: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        Dataset(path=written(tmp_path / "a.jsonl", line), output_tokens=5)
    assert REFUSED[line] in str(caught.value)


def said(*turns: dict[str, Any]) -> str:
    return json.dumps({"messages": turns}) + "\n"


def test_conversations_that_are_not_all_text_up_to_the_last_question_are_left_out_and_counted(tmp_path: Path) -> None:
    ask, answer, call = {"role": "user", "content": "why?"}, {"role": "assistant", "content": "so"}, [{"id": "f"}]
    picture = {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}
    out = [
        said(ask, {"role": "assistant", "content": None, "tool_calls": call}, ask),
        said(ask, {"role": "assistant", "content": "", "tool_calls": call}, ask),
        said(ask, answer, {"role": "tool", "content": "4"}, ask),
        said(picture, answer, ask),
        said(picture),
        said({"role": "user", "content": None}),
    ]
    kept = said(ask, answer, ask, {"role": "assistant", "content": None})
    path = written(tmp_path / "a.jsonl", "".join(out) + kept)
    dataset = Dataset(path=path, output_tokens=5)
    assert (dataset.describe()["prompts"], dataset.describe()["left_out"]) == (1, 6)
    assert len(dataset.make(nonce=1, user=0, k=0).messages or []) == 3


def test_rows_without_a_prompt_are_left_out_and_counted_but_one_must_stay(tmp_path: Path) -> None:
    empty = '{"prompt": null}\n{"prompt": ""}\n{"prompt": " "}\n'
    path = written(tmp_path / "a.jsonl", empty + '{"prompt": "why?"}\n')
    assert questions(asks(path, count=1, left_out=3)) == ["why?"]
    table = written(tmp_path / "a.csv", 'id,prompt\n1,\n2,""\n3,why?\n')
    assert questions(asks(table, count=1, left_out=2)) == ["why?"]
    written(path, empty)
    with pytest.raises(UsageError, match=r"a.jsonl: holds no prompt: none of its 3 rows holds a text that can be"):
        Dataset(path=path, output_tokens=5)


@pytest.mark.parametrize(
    ("name", "text"),
    [("a.jsonl", '{"prompt": "why?"}\n'), ("a.json", '[{"prompt": "why?"}]'), ("a.csv", "prompt\nwhy?")],
)
def test_a_byte_order_mark_is_no_part_of_the_text(name: str, text: str, tmp_path: Path) -> None:
    assert questions(asks(written(tmp_path / name, codecs.BOM_UTF8 + text.encode()), count=1)) == ["why?"]


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "a.parquet"])
def test_a_packed_file_is_told_as_one(name: str, tmp_path: Path) -> None:
    path = written(tmp_path / name, gzip.compress(b'{"prompt": "why?"}\n'))
    with pytest.raises(UsageError, match=rf"{name}: looks like gzip; unpack it first"):
        Dataset(path=path, output_tokens=5)


def test_parquet_may_hold_lists_of_messages(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    duckdb.sql(f"copy (select [{{'role': 'user', 'content': 'why?'}}] as messages) to '{path}'")
    assert questions(asks(path, count=1)) == ["why?"]


def test_completions_get_one_text(tmp_path: Path) -> None:
    path = written(tmp_path / "a.jsonl", '{"prompt": "why?"}\n')
    (ask,) = asks(path, count=1, api="completions")
    assert isinstance(ask.prompt, str)
    assert ask.prompt.endswith(": why?")


HOSTILE = {
    "no-such-file.jsonl": None,
    "ending.docx": "why?",
    "bytes.txt": b"why?\n\xff\xfe\n",
    "blank.txt": "\n \n",
    "entries.json": '[["why?"]]',
    "numbers.json": "[5]",
    "empty.jsonl": "",
    "blank.jsonl": "\n\n",
    "broken.jsonl": '{"prompt": "a"}\n{"prompt": \n',
    "number.jsonl": '{"prompt": 5}',
    "null.jsonl": '{"prompt": null}',
    "spaces.jsonl": '{"prompt": "  "}',
    "list.jsonl": "[1, 2]",
    "other.jsonl": '{"\\u001b[31mtext": "a"}',
    "deep.jsonl": "[" * 100_000,
    "bytes.jsonl": b'{"prompt": "\xff\xfe"}',
    "turns.jsonl": '{"messages": [5]}',
    "halves.jsonl": '{"messages": [{"role": "user"}]}',
    "object.json": "7",
    "header.csv": "question\nwhy?\n",
    "bytes.csv": b"prompt\n\xff\xfe\n",
    "short.csv": "id,prompt\n1\n",
    "text.parquet": "PAR1 and nothing more",
    "tiny.parquet": "P",
    "footer.parquet": b"PAR1" + b"\x00" * 100 + b"\xff\xff\xff\x7fPAR1",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_bad_file_gives_one_line_that_names_it(name: str, tmp_path: Path) -> None:
    text = HOSTILE[name]
    path = tmp_path / name
    if text is not None:
        written(path, text)
    with pytest.raises(UsageError) as caught:
        Dataset(path=path, output_tokens=5)
    message = str(caught.value)
    assert name in message
    assert message.isprintable()
    assert len(message) < 400 + len(str(path))


def test_a_small_parquet_file_that_unpacks_without_end_is_refused(tmp_path: Path) -> None:
    """757 bytes asked for 2.1 GB."""
    path = tmp_path / "a.parquet"
    duckdb.sql(f"copy (select repeat('x', 190000) as prompt from range(10000)) to '{path}' (compression zstd)")
    assert path.stat().st_size < 40_000
    done = breakeven("run", "--url", "http://127.0.0.1:1", "--workload", "dataset", "--file", path)
    assert done.code == 2
    assert "unpack to more than" in done.line()


def test_a_parquet_file_whose_footer_was_overwritten_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    duckdb.sql(f"copy (select 'why?' as prompt) to '{path}'")
    data = path.read_bytes()
    footer = int.from_bytes(data[-8:-4], "little")
    path.write_bytes(data[: -8 - footer] + b"\xff" * footer + data[-8:])
    done = breakeven("run", "--url", "http://127.0.0.1:1", "--workload", "dataset", "--file", path)
    assert done.code == 2
    assert "a.parquet, after row 0: no Parquet" in done.line()
    assert done.err.count("\n") == 1  # the reader's panic wrote a text of its own before that line


def test_the_line_that_is_wrong_is_named(tmp_path: Path) -> None:
    path = written(tmp_path / "a.jsonl", '{"prompt": "a"}\n\n{"prompt": 5}\n')
    with pytest.raises(UsageError, match=r"a.jsonl, line 3: 'prompt' must be text, but is int 5$"):
        Dataset(path=path, output_tokens=5)


def test_an_unquoted_comma_is_told_instead_of_cutting_the_prompt(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", 'prompt\n"quoted, so whole"\nWell, why?\n')
    with pytest.raises(UsageError, match=r"a.csv, line 3: 2 fields, but the header names 1; a text with a comma"):
        Dataset(path=path, output_tokens=5)


def test_a_row_without_a_field_for_the_prompt_is_told(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", "id,prompt\n1,why?\n2\n")
    with pytest.raises(UsageError, match=r"a.csv, line 3 \(1 of 2 fields\): no value for 'prompt'; it has: id$"):
        Dataset(path=path, output_tokens=5)
    written(path, "id,prompt\n1\n")
    with pytest.raises(UsageError, match=r"a.csv, line 2 \(1 of 2 fields\): no column prompt"):
        Dataset(path=path, output_tokens=5)


def test_a_folder_is_no_dataset(tmp_path: Path) -> None:
    folder = tmp_path / "a.csv"
    folder.mkdir()
    with pytest.raises(UsageError, match=r"a.csv: Is a directory"):
        Dataset(path=folder, output_tokens=5)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["role", "content", "from", "value", "x"]), inner),
    max_leaves=8,
)


@given(JSON, st.sampled_from(["prompt", "messages", "conversations", "x"]))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_whatever_stands_in_a_field_is_asked_or_refused_in_one_line(tmp_path: Path, value: object, column: str) -> None:
    path = written(tmp_path / "a.jsonl", json.dumps({column: value, "n": value}))
    refusal = ""
    try:
        made = asks(path, count=1, output_column="n")
    except UsageError as error:
        refusal = str(error)
    assert refusal.isprintable()
    assert refusal or made[0].output_tokens >= 1


def test_a_long_prompt_in_a_csv_is_read_whole(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", "prompt\n" + "word " * 100_000 + "end\n")
    assert questions(asks(path, count=1))[0].endswith("word end")
