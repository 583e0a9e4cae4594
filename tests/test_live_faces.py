"""The HTTP servers of engines that need a GPU, here without one: all is theirs but the model, which is a script."""

import json
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from breakeven.clock import now_s
from breakeven.engine.base import EngineSettings, OpenAI
from breakeven.engine.detect import engine_of
from breakeven.engine.idle import busy_requests, metric_sum, samples
from breakeven.engine.lmdeploy import Lmdeploy
from breakeven.engine.sglang import Sglang
from breakeven.launch.engines import ask_version, free_port
from breakeven.launch.health import health_probe, local_get
from breakeven.launch.process import start_process
from breakeven.record import Record
from breakeven.store.folder import RunFolder
from commands import Done, breakeven, run_folder
from live import BENCHMARKS, Run, made
from raw_client import Reply, connect, read_reply, request_bytes

pytestmark = pytest.mark.live

MODEL: Final = "scripted"
CONTEXT_TOKENS: Final = 1024
INPUT_TOKENS: Final = 64
OUTPUT_TOKENS: Final = 24
GIVEN_UP_S: Final = 5.0
"""An answer of 900 tokens would take twice as long."""
USERS: Final = (1, 4)
REQUESTS: Final = 8
THOUGHT: Final = "I look out of the window."
ANSWER: Final = "The cat sat on the mat."
CALL: Final = '{"name": "look", "arguments": {"at": "rain"}}'
TEXT: Final = f"<think>{THOUGHT}</think>{ANSWER}<tool_call>\n{CALL}\n</tool_call>"
MARKS: Final = ("<think>", "</think>", "<tool_call>", "</tool_call>")
TOOL: Final = {"name": "look", "parameters": {"type": "object", "properties": {"at": {"type": "string"}}}}


class Kind(NamedTuple):
    """An engine whose server is run here, and what is known of it."""

    engine: type[OpenAI]
    script: str
    program_words: int
    """Of the engine's command: what the script stands for."""
    parsers: tuple[str, ...]
    version: str | None
    obeys_min_tokens: bool
    refuses_models: bool
    is_at_work: "Callable[[Face], bool]"


def _counts_on(face: "Face") -> bool:
    """Tokens are made, by a counter of each."""
    before = metric_sum(face.metrics(), face.kind.engine.metrics["generated_tokens"])
    time.sleep(0.5)
    return metric_sum(face.metrics(), face.kind.engine.metrics["generated_tokens"]) != before


def _has_running(face: "Face") -> bool:
    """A request is running, by its gauge."""
    return bool(busy_requests(face.metrics(), face.kind.engine.running_metrics))


KINDS: Final = {
    "lmdeploy": Kind(
        Lmdeploy,
        script="lmdeploy_face.py",
        program_words=1,
        parsers=("--reasoning-parser", "default", "--tool-call-parser", "qwen3"),
        version=None,
        obeys_min_tokens=False,
        refuses_models=True,
        is_at_work=_counts_on,
    ),
    "sglang": Kind(
        Sglang,
        script="sglang_face.py",
        program_words=3,
        parsers=("--reasoning-parser", "qwen3", "--tool-call-parser", "qwen"),
        version="0.5.23",
        obeys_min_tokens=True,
        refuses_models=False,
        is_at_work=_has_running,
    ),
}


class Face(NamedTuple):
    """A server that is ready."""

    kind: Kind
    url: str

    def ask(self, path: str, body: object) -> Reply:
        with connect(self.url) as connection:
            connection.settimeout(60)
            connection.sendall(request_bytes(path, body, headers="Content-Type: application/json\r\n"))
            return read_reply(connection)

    def completion(self, **fields: object) -> Reply:
        return self.ask("/v1/completions", {"model": MODEL, "prompt": "Hello", "max_tokens": 12, **fields})

    def chat(self, **fields: object) -> Reply:
        messages = [{"role": "user", "content": "Hello"}]
        return self.ask("/v1/chat/completions", {"model": MODEL, "messages": messages, "max_tokens": 200, **fields})

    def command(self, *words: object, out: Path) -> Done:
        load = ("--input-tokens", INPUT_TOKENS, "--output-tokens", OUTPUT_TOKENS, "--users", ",".join(map(str, USERS)))
        return breakeven("run", "--url", self.url, "--workload", "fixed", *load, "--out", out, "--json", "-", *words)

    def run(self, *words: object, out: Path) -> Run:
        done = self.command(*words, out=out)
        assert done.code == 0, done.err
        return Run(done.json, RunFolder.open(run_folder(out)))

    def metrics(self) -> str:
        return (local_get(self.url + str(self.kind.engine.metrics_path)) or b"").decode()


def _with_marks(source: Path, folder: Path) -> Path:
    """A copy of a tokenizer that has the marks of thoughts and calls among its tokens, as reasoning models do."""
    shutil.copytree(source, folder, ignore=shutil.ignore_patterns("*.safetensors"))
    tokenizer, config = (json.loads((folder / name).read_text()) for name in ("tokenizer.json", "config.json"))
    for mark in MARKS:
        token = {"id": config["vocab_size"], "content": mark, "special": False, "normalized": False}
        tokenizer["added_tokens"].append(token | {"single_word": False, "lstrip": False, "rstrip": False})
        config["vocab_size"] += 1
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    (folder / "config.json").write_text(json.dumps(config))
    return folder


@pytest.fixture(scope="module", params=KINDS)
def face(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Face]:
    """The engine's server by the words of our adapter's command line."""
    kind = KINDS[request.param]
    python, port, folder = made(request.param), free_port(), tmp_path_factory.mktemp(request.param)
    model = _with_marks(made("tokenizer"), folder / "model")
    settings = EngineSettings(
        served_name=MODEL, context_tokens=CONTEXT_TOKENS, max_batch=16, prefix_caching=False, extra=kind.parsers
    )
    words = kind.engine.argv(str(model), port=port, settings=settings)[kind.program_words :]
    argv = [str(python), str(BENCHMARKS / kind.script), *words]
    with start_process(argv, log_path=folder / "server.log", env={"FACE_TEXT": TEXT}, name=request.param) as process:
        url = f"http://127.0.0.1:{port}"
        process.wait_ready(health_probe(url, health_path=kind.engine.health_path), timeout_s=600.0)
        yield Face(kind, url)


@pytest.fixture(scope="module", params=["chat", "completions"])
def measured(request: pytest.FixtureRequest, face: Face, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A measurement of a few whole answers by the command that a user types, by both APIs."""
    return face.run("--api", request.param, "--requests", REQUESTS, out=tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="module")
def cut(face: Face, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A measurement whose levels end in the middle of answers."""
    return face.run("--duration", "3s", out=tmp_path_factory.mktemp("runs"))


def _answers(run: Run) -> list[Record]:
    """Every complete answer after each user's first, whose length is drawn."""
    records = [record for _, level in run.folder.levels() for record in level]
    return [record for record in records if record.status == "done" and record.k > 0]


def _said(reply: Reply) -> dict[str, str]:
    """The text of each kind that a chat stream brought."""
    found: dict[str, str] = {}
    for event in reply.events():
        for choice in event["choices"] if isinstance(event, dict) else []:
            for name, value in choice["delta"].items():
                if isinstance(value, str):
                    found[name] = found.get(name, "") + value
                for call in value if name == "tool_calls" and value else []:
                    more = call["function"].get("arguments") or ""
                    found["arguments"] = found.get("arguments", "") + more
    return found


def test_the_adapter_is_found_and_measures_without_an_error(face: Face, measured: Run) -> None:
    assert measured.summary["run"]["engine"]["name"] == face.kind.engine.name
    levels = measured.summary["levels"]
    assert [(level["users"], level["status"], level["errors"]) for level in levels] == [(n, "done", 0) for n in USERS]
    assert all(level["output_tok_per_s"]["value"] > 0 for level in levels)


def test_every_answer_has_exactly_the_length_that_was_asked_for(measured: Run) -> None:
    answers = _answers(measured)
    assert len(answers) >= REQUESTS * len(USERS)
    assert {record.output_tokens for record in answers} == {OUTPUT_TOKENS}
    assert {record.finish_reason for record in answers} == {"length"}
    assert {record.input_tokens for record in answers} == {INPUT_TOKENS}


def test_no_caution_doubts_lengths_or_fields_or_the_model(measured: Run) -> None:
    ids = {caution["id"] for level in measured.summary["levels"] for caution in level["cautions"]}
    assert not ids & {"input_length", "output_length", "field_dropped", "field_replaced", "carry_over", "errors"}
    assert not ids & {"model_unchecked", "model_not_listed", "not_streamed", "bad_stream", "no_done"}


def test_thinking_is_told_from_the_answer(face: Face, tmp_path: Path) -> None:
    reply = face.chat(stream=True)
    said = _said(reply)
    assert said["reasoning_content"].strip() == THOUGHT
    assert said["content"].strip().startswith(ANSWER)
    run = face.run("--api", "chat", "--requests", REQUESTS, out=tmp_path)
    assert all(record.reasoning_chunks for record in _answers(run))


def test_a_tool_call_is_streamed_as_one(face: Face) -> None:
    said = _said(face.chat(stream=True, tools=[{"type": "function", "function": TOOL}]))
    assert json.loads(said["arguments"]) == {"at": "rain"}
    assert "<tool_call>" not in said["content"]


def test_a_tool_call_counts_as_output(face: Face, tmp_path: Path) -> None:
    body = tmp_path / "tools.json"
    body.write_text(json.dumps({"tools": [{"type": "function", "function": TOOL}]}))
    run = face.run("--api", "chat", "--requests", REQUESTS, "--body", body, out=tmp_path / "runs")
    assert {record.output_tokens for record in _answers(run)} == {OUTPUT_TOKENS}


def test_usage_comes_last_in_a_chunk_of_its_own(face: Face) -> None:
    for reply in (
        face.completion(stream=True, stream_options={"include_usage": True}),
        face.chat(stream=True, stream_options={"include_usage": True}),
    ):
        *chunks, usage, done = reply.events()
        assert done == "[DONE]"
        assert usage["choices"] == []
        assert usage["usage"]["completion_tokens"] > 0
        assert not any(chunk.get("usage") for chunk in chunks)


def test_the_end_token_ends_an_answer_unless_it_is_to_be_ignored(face: Face) -> None:
    ended = json.loads(face.completion(max_tokens=200).body)
    assert ended["choices"][0]["finish_reason"] == "stop"
    natural = ended["usage"]["completion_tokens"]
    assert natural < 100
    longer = json.loads(face.completion(max_tokens=200, ignore_eos=True).body)
    assert (longer["choices"][0]["finish_reason"], longer["usage"]["completion_tokens"]) == ("length", 200)
    least = json.loads(face.completion(max_tokens=200, min_tokens=natural + 10).body)
    assert (least["usage"]["completion_tokens"] >= natural + 10) == face.kind.obeys_min_tokens


def test_only_fields_that_are_obeyed_are_named_by_the_adapter(face: Face) -> None:
    assert ("min_tokens" in face.kind.engine.request_fields) == face.kind.obeys_min_tokens


def test_fields_that_it_does_not_know_are_passed_over(face: Face) -> None:
    assert face.completion(no_such_field=1).status == 200
    assert face.chat(no_such_field=1).status == 200


def test_a_name_that_it_does_not_serve_is_said(face: Face, tmp_path: Path) -> None:
    assert face.completion(model="nobody").status == (404 if face.kind.refuses_models else 200)
    done = face.command("--model", "nobody", "--requests", REQUESTS, out=tmp_path)
    if face.kind.refuses_models:
        assert done.code != 0
        assert "nobody" in done.line()
        assert MODEL in done.line()
    else:
        assert "model_not_listed" in done.caution_ids(0)


def test_a_prompt_that_does_not_fit_is_told_in_its_own_words(face: Face, tmp_path: Path) -> None:
    done = face.command("--input-tokens", 2 * CONTEXT_TOKENS, out=tmp_path)
    assert done.code != 0
    assert str(CONTEXT_TOKENS) in done.err + done.out


def test_what_a_level_cut_is_gone_from_the_engine_before_the_next_level(face: Face, cut: Run) -> None:
    assert [level["errors"] for level in cut.summary["levels"]] == [0, 0]
    for facts, records in cut.folder.levels():
        assert any(record.status == "cut" for record in records)
        assert facts.settled
        assert facts.settle_s is not None
        assert facts.settle_s >= face.kind.engine.gauges_age_s


def test_an_answer_whose_reader_has_gone_is_given_up(face: Face) -> None:
    body = {"model": MODEL, "prompt": "Hello", "max_tokens": 900, "ignore_eos": True, "stream": True}
    with connect(face.url) as connection:
        connection.sendall(request_bytes("/v1/completions", body, headers="Content-Type: application/json\r\n"))
        while not face.kind.is_at_work(face):
            assert connection.recv(65536)
    gone_s = now_s()
    while face.kind.is_at_work(face):
        assert now_s() - gone_s < GIVEN_UP_S


def test_its_metrics_are_called_what_the_adapter_calls_them(face: Face, cut: Run) -> None:
    engine, there = face.kind.engine, {name for name, _ in samples(face.metrics())}
    assert {*engine.running_metrics, engine.metrics["kv_use_share"], engine.metrics["generated_tokens"]} <= there


def test_it_counts_the_tokens_of_a_text(face: Face) -> None:
    engine = face.kind.engine
    body = {"model": MODEL, str(engine.tokenize_field): "The cat sat", **engine.tokenize_body}
    reply = face.ask(str(engine.tokenize_path), body)
    assert reply.status == 200
    assert engine.tokens_in(json.loads(reply.body)) == 3


def test_it_says_its_name_and_its_version(face: Face) -> None:
    assert engine_of(json.loads(local_get(face.url + "/v1/models") or b"{}")) == face.kind.engine.name
    assert ask_version(face.kind.engine, face.url) == face.kind.version
