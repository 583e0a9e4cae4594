"""Every workload of the table keeps the promises of the Protocol."""

import asyncio
import json
import pickle
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from breakeven.errors import UsageError
from breakeven.workload import WORKLOADS, make_workload
from breakeven.workload.base import Ask, Workload
from word_server import WordServer

DOCS = Path(__file__).parent.parent / "docs" / "WORKLOADS.md"


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, dict[str, Any]]:
    """Settings that make each workload; a row without an entry here fails its tests."""
    prompts = tmp_path / "prompts.jsonl"
    prompts.write_text('{"prompt": "why?"}\n{"prompt": "how?"}\n')
    trace = tmp_path / "trace.csv"
    trace.write_text("arrival_s,input_tokens,output_tokens\n0,300,40\n1,200,30\n")
    sessions = tmp_path / "sessions.jsonl"
    sessions.write_text(
        '{"session": "a", "input_tokens": 60, "output_tokens": 9}\n'
        '{"session": "a", "input_tokens": 90, "output_tokens": 9}\n'
        '{"session": "b", "input_tokens": 70, "output_tokens": 9}\n'
    )
    return {
        "chat": {"output_tokens": 64},
        "fixed": {"input_tokens": 100, "output_tokens": 64},
        "lengths": {"input_tokens": "normal:200,20", "output_tokens": "uniform:10,20"},
        "dataset": {"path": prompts, "output_tokens": 64},
        "trace": {"path": trace},
        "sessions": {"path": sessions},
        "conversation": {"input_tokens": 20, "output_tokens": 30, "turns": "uniform:1,4"},
    }


def made(name: str, settings: dict[str, dict[str, Any]], *, api: str = "chat", seed: int = 0) -> Workload:
    workload = make_workload(name, {**settings[name], "seed": seed})
    asyncio.run(workload.prepare(WordServer(api)))
    return workload


@pytest.mark.parametrize("name", WORKLOADS)
def test_every_workload_loads_and_knows_its_name(name: str, settings: dict[str, dict[str, Any]]) -> None:
    workload = make_workload(name, settings[name])
    assert workload.name == workload.describe()["name"] == name


@pytest.mark.parametrize("name", WORKLOADS)
@pytest.mark.parametrize("api", ["chat", "completions"])
def test_every_workload_asks_in_the_words_of_the_api(name: str, api: str, settings: dict[str, dict[str, Any]]) -> None:
    ask = made(name, settings, api=api).make(nonce=1, user=0, k=0)
    assert (ask.messages is None, ask.prompt is None) == (api != "chat", api == "chat")


@pytest.mark.parametrize("name", WORKLOADS)
def test_every_workload_caps_a_first_answer(name: str, settings: dict[str, dict[str, Any]]) -> None:
    workload = made(name, settings)
    assert workload.make(nonce=1, user=0, k=0, max_output_tokens=3).output_tokens == 3
    assert workload.make(nonce=1, user=0, k=0, max_output_tokens=9_999).output_tokens < 9_999


@pytest.mark.parametrize("name", WORKLOADS)
def test_every_workload_says_the_same_in_any_order_and_in_another_process(
    name: str, settings: dict[str, dict[str, Any]]
) -> None:
    one, two = made(name, settings, seed=3), made(name, settings, seed=3)
    forward = [one.make(nonce=7, user=user, k=k) for user in range(3) for k in range(6)]
    backward = [two.make(nonce=7, user=user, k=k) for user in (2, 1, 0) for k in (5, 4, 3, 2, 1, 0)]
    assert forward == backward[::-1]


@pytest.mark.parametrize("name", WORKLOADS)
def test_every_workload_puts_its_nonce_in_front_and_changes_nothing_else(
    name: str, settings: dict[str, dict[str, Any]]
) -> None:
    def text(ask: Ask) -> list[str]:
        return (ask.messages or [])[0]["content"].split()

    workload = made(name, settings)
    one, two = (workload.make(nonce=nonce, user=0, k=0) for nonce in (1, 2))
    assert text(one)[:1] != text(two)[:1]
    assert text(one)[5:] == text(two)[5:]
    assert (one.output_tokens, one.input_tokens, one.name) == (two.output_tokens, two.input_tokens, two.name)


@pytest.mark.parametrize("name", WORKLOADS)
def test_what_every_workload_says_of_itself_can_be_stored(name: str, settings: dict[str, dict[str, Any]]) -> None:
    described = made(name, settings).describe()
    assert json.loads(msgspec.json.encode(described)) == described


@pytest.mark.parametrize("name", WORKLOADS)
def test_every_workload_makes_ten_thousand_requests_in_two_seconds(
    name: str, settings: dict[str, dict[str, Any]]
) -> None:
    workload = made(name, settings)
    started_s = time.process_time()
    for number in range(10_000):
        workload.make(nonce=number, user=number % 100, k=number // 100)
    assert time.process_time() - started_s < 2


@pytest.mark.parametrize("name", WORKLOADS)
def test_every_prepared_workload_can_be_handed_to_another_process(
    name: str, settings: dict[str, dict[str, Any]]
) -> None:
    workload = made(name, settings)
    copy = pickle.loads(pickle.dumps(workload))
    assert copy.make(nonce=1, user=2, k=3) == workload.make(nonce=1, user=2, k=3)


@pytest.mark.parametrize("name", WORKLOADS)
def test_every_workload_is_in_the_docs(name: str) -> None:
    assert f"## `{name}`" in DOCS.read_text(encoding="utf-8")


def test_a_setting_that_a_workload_does_not_know_is_refused_with_those_it_does() -> None:
    with pytest.raises(UsageError, match=r"^workload 'chat' takes no --file; it takes: --output-tokens, --seed$"):
        make_workload("chat", {"output_tokens": 5, "path": "x"})
    with pytest.raises(UsageError, match=r"^workload 'fixed' takes no --option turns=…; it takes: --input-tokens, "):
        make_workload("fixed", {"output_tokens": 5, "input_tokens": 7, "turns": "3"})


def test_a_setting_that_a_workload_needs_is_asked_for() -> None:
    with pytest.raises(UsageError, match=r"^workload 'dataset' needs --file$"):
        make_workload("dataset", {"output_tokens": 5})
    with pytest.raises(UsageError, match=r"^workload 'fixed' needs --input-tokens$"):
        make_workload("fixed", {"output_tokens": 5, "input_tokens": None})


def test_an_unknown_workload_is_refused_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean 'fixed'"):
        make_workload("fixd", {})
