"""The default workload: our own prompts, each with a nonce in front."""

import asyncio
from collections import Counter

import pytest

from breakeven.workload.base import Ask
from breakeven.workload.chat import Chat
from breakeven.workload.text import resource_lines
from word_server import WordServer


def chat(api: str = "chat", *, seed: int = 0) -> Chat:
    workload = Chat(output_tokens=64, seed=seed)
    assert list(asyncio.run(workload.prepare(WordServer(api)))) == []
    return workload


def text(ask: Ask) -> str:
    assert ask.messages is not None
    return ask.messages[0]["content"]


def test_there_are_more_than_sixty_different_prompts() -> None:
    prompts = resource_lines("prompts.txt")
    assert len(set(prompts)) == len(prompts) >= 60
    assert all(prompt.endswith(".") for prompt in prompts)


def test_a_prompt_is_at_most_sixteen_words_so_that_it_stays_below_thirty_tokens() -> None:
    assert max(len(prompt.split()) for prompt in resource_lines("prompts.txt")) <= 16


def test_every_prompt_is_asked_equally_often() -> None:
    workload = chat()
    count = len(resource_lines("prompts.txt"))
    seen = Counter(workload.make(nonce=k, user=3, k=k).name for k in range(3 * count))
    assert set(seen.values()) == {3}
    assert len(seen) == count


def test_the_nonce_stands_first_and_is_all_that_differs_between_two_asks_of_one_request() -> None:
    one, two = (text(chat().make(nonce=nonce, user=0, k=0)).split(": ", 1) for nonce in (1, 2))
    assert one[1] == two[1]
    assert one[0] != two[0]
    assert len(one[0].split()) == 5


def test_no_two_requests_of_a_run_have_the_same_text() -> None:
    workload = chat()
    texts = {text(workload.make(nonce=user * 1000 + k, user=user, k=k)) for user in range(100) for k in range(100)}
    assert len(texts) == 10_000


def test_the_order_of_prompts_follows_the_seed() -> None:
    def names(seed: int) -> list[str | None]:
        workload = chat(seed=seed)
        return [workload.make(nonce=1, user=0, k=k).name for k in range(10)]

    assert names(4) == names(4) != names(5)


def test_the_answer_may_end_by_itself_and_a_first_answer_is_capped() -> None:
    workload = chat()
    ask = workload.make(nonce=1, user=0, k=0, max_output_tokens=7)
    assert (ask.output_tokens, ask.exact_length, ask.input_tokens) == (7, False, None)
    assert workload.make(nonce=1, user=0, k=1).output_tokens == 64


@pytest.mark.parametrize("api", ["chat", "completions"])
def test_the_question_is_put_in_the_words_of_the_api(api: str) -> None:
    ask = chat(api).make(nonce=1, user=0, k=0)
    assert (ask.messages is None, ask.prompt is None) == (api != "chat", api == "chat")
