"""Fixed lengths on servers with known tokenizers: exact where it can be, a caution where not, never endless."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from breakeven.caution import Caution
from breakeven.errors import UsageError
from breakeven.workload.base import Ask
from breakeven.workload.fixed import Fixed
from breakeven.workload.meter import COUNTS, PROBES
from breakeven.workload.text import FIRST_ID, LAST_ID, resource_lines
from word_server import WordServer

ALL_WORDS = resource_lines("words.txt")


def prepared(server: WordServer, *, input_tokens: int = 100, seed: int = 0) -> tuple[Fixed, list[Caution]]:
    fixed = Fixed(input_tokens=input_tokens, output_tokens=16, seed=seed)
    cautions = list(asyncio.run(fixed.prepare(server)))
    assert server.probes <= PROBES
    assert server.counts <= COUNTS
    return fixed, cautions


def lengths(fixed: Fixed, server: WordServer) -> set[int]:
    return {server.true_tokens(ask(fixed, user=user, k=k)) for user in range(20) for k in range(5)}


def ask(fixed: Fixed, *, nonce: int | None = None, user: int = 0, k: int = 0) -> Ask:
    return fixed.make(nonce=hash((user, k)) % 2**64 if nonce is None else nonce, user=user, k=k)


@pytest.mark.parametrize("tokenizes", [True, False])
@pytest.mark.parametrize("input_tokens", [40, 100, 1000])
def test_every_chat_prompt_has_exactly_the_tokens_asked_for(tokenizes: bool, input_tokens: int) -> None:
    server = WordServer(tokenizes=tokenizes)
    fixed, cautions = prepared(server, input_tokens=input_tokens)
    assert cautions == []
    assert lengths(fixed, server) == {input_tokens}


@given(
    st.dictionaries(st.sampled_from(ALL_WORDS), st.integers(min_value=2, max_value=4), max_size=60),
    st.integers(min_value=0, max_value=200),
    st.integers(min_value=210, max_value=600),
)
@settings(max_examples=40, deadline=None)
def test_with_a_tokenizer_no_word_of_several_tokens_spoils_the_length(
    costs: dict[str, int], start: int, input_tokens: int
) -> None:
    server = WordServer(costs=costs, start=start, each=0)
    fixed, cautions = prepared(server, input_tokens=input_tokens)
    assert cautions == []
    assert lengths(fixed, server) == {input_tokens}


def test_words_of_several_tokens_are_found_by_probes_where_there_is_no_tokenizer() -> None:
    server = WordServer(tokenizes=False, costs={ALL_WORDS[20]: 3, ALL_WORDS[21]: 2})
    fixed, cautions = prepared(server, input_tokens=300)
    assert cautions == []
    assert lengths(fixed, server) == {300}


def test_where_every_word_has_two_tokens_a_caution_says_so_and_the_estimate_goes_on() -> None:
    server = WordServer(costs=dict.fromkeys(ALL_WORDS, 2))
    fixed, cautions = prepared(server)
    assert [caution.id for caution in cautions] == ["input_length_unverified"]
    assert len(str(ask(fixed).messages).split()) > 90


def test_completions_ask_with_token_ids_of_the_exact_number() -> None:
    server = WordServer("completions")
    fixed, cautions = prepared(server, input_tokens=50)
    prompt = ask(fixed).prompt
    assert cautions == []
    assert isinstance(prompt, list)
    assert len(prompt) == 50
    assert all(FIRST_ID <= token <= LAST_ID for token in prompt)
    assert server.probes == 1


def test_a_server_that_refuses_token_ids_is_asked_in_words() -> None:
    server = WordServer("completions", takes_ids=False)
    fixed, cautions = prepared(server, input_tokens=50)
    assert cautions == []
    assert isinstance(ask(fixed).prompt, str)
    assert lengths(fixed, server) == {50}


class BeginOfText(WordServer):
    """Puts one token in front of every completion prompt."""

    def true_tokens(self, ask: Ask) -> int:
        return 1 + super().true_tokens(ask)


@pytest.mark.parametrize("takes_ids", [True, False])
def test_a_begin_of_text_token_counts_as_part_of_the_prompt(takes_ids: bool) -> None:
    server = BeginOfText("completions", takes_ids=takes_ids)
    fixed, cautions = prepared(server, input_tokens=50)
    assert cautions == []
    assert lengths(fixed, server) == {50}


class Marking(WordServer):
    """Its /tokenize puts a begin-of-text token in front of everything."""

    async def count_tokens(self, text: str) -> int | None:
        count = await super().count_tokens(text)
        return None if count is None else count + 1


def test_a_tokenizer_that_adds_a_token_of_its_own_costs_a_few_words_and_no_exactness() -> None:
    server = Marking()
    fixed, cautions = prepared(server, input_tokens=300)
    assert cautions == []
    assert lengths(fixed, server) == {300}


class Trimming(WordServer):
    """Its template costs two tokens more once a prompt is longer than 60 tokens."""

    def true_tokens(self, ask: Ask) -> int:
        tokens = super().true_tokens(ask)
        return tokens + 2 if tokens > 60 else tokens


def test_a_constant_difference_found_by_the_check_is_put_right() -> None:
    server = Trimming()
    fixed, cautions = prepared(server, input_tokens=300)
    assert cautions == []
    assert lengths(fixed, server) == {300}


@pytest.mark.parametrize("api", ["chat", "completions"])
@pytest.mark.parametrize("tokenizes", [True, False])
@pytest.mark.parametrize("always", [0, 1, 38, 5000])
def test_a_server_whose_usage_is_a_constant_gives_a_caution_and_no_endless_search(
    api: str, tokenizes: bool, always: int
) -> None:
    fixed, cautions = prepared(WordServer(api, tokenizes=tokenizes, always=always), input_tokens=100)
    assert [caution.id for caution in cautions] == ["input_length_unverified"]
    assert ask(fixed).input_tokens == 100


@pytest.mark.parametrize("api", ["chat", "completions"])
def test_a_server_that_says_no_usage_gives_a_caution(api: str) -> None:
    fixed, cautions = prepared(WordServer(api, silent=True))
    assert "does not say how long a prompt is" in cautions[0].text
    assert ask(fixed).input_tokens == 100


@pytest.mark.parametrize("api", ["chat", "completions"])
def test_the_words_of_a_failing_server_stand_in_the_caution(api: str) -> None:
    _, cautions = prepared(WordServer(api, broken=True))
    assert cautions[0].text.startswith("the server said: HTTP 400: no such thing")


def test_too_few_input_tokens_are_refused_with_the_least_possible() -> None:
    with pytest.raises(UsageError, match=r"^input-tokens: 34 is less than the 30 .* the nonce's 5; give at least 35$"):
        prepared(WordServer(), input_tokens=34)
    fixed, cautions = prepared(WordServer(), input_tokens=35)
    assert cautions == []
    assert lengths(fixed, WordServer()) == {35}


def test_the_nonce_stands_first_and_is_all_that_differs_between_two_asks_of_one_request() -> None:
    fixed, _ = prepared(WordServer())
    one, two = (str((ask(fixed, nonce=nonce).messages or [])[0]["content"]).split() for nonce in (1, 2))
    assert one[:5] != two[:5]
    assert one[5:] == two[5:]


def test_content_follows_the_seed_the_user_and_k() -> None:
    same, again = (prepared(WordServer())[0] for _ in range(2))
    other, _ = prepared(WordServer(), seed=1)
    assert ask(same, nonce=1) == ask(again, nonce=1)
    texts = [str(ask(same, nonce=1, user=user, k=k).messages) for user, k in ((0, 0), (0, 1), (1, 0))]
    assert len({*texts, str(ask(other, nonce=1).messages)}) == 4


def test_the_answer_is_exact_and_a_first_answer_is_capped() -> None:
    fixed, _ = prepared(WordServer())
    whole = fixed.make(nonce=1, user=0, k=0)
    first = fixed.make(nonce=1, user=0, k=0, max_output_tokens=5)
    assert (whole.output_tokens, whole.exact_length, first.output_tokens) == (16, True, 5)
    assert fixed.make(nonce=1, user=0, k=0, max_output_tokens=50).output_tokens == 16
