"""Words, token ids and nonces: lengths hold, nonces differ from the first token on."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from breakeven.workload.text import FIRST_ID, LAST_ID, POOL, TokenIds, Words, nonce_count, resource_lines

WORDS = Words(resource_lines("words.txt"), seed=1)
IDS = TokenIds(seed=1)
ANY = st.integers(min_value=0, max_value=2**64 - 1)


def test_the_word_list_has_1024_different_plain_words() -> None:
    words = resource_lines("words.txt")
    assert len(set(words)) == len(words) == 1024
    assert all(word.isascii() and word.isalpha() and word.islower() for word in words)


@given(ANY, st.integers(min_value=0, max_value=3 * POOL))
def test_a_piece_has_as_many_words_as_asked_for(at: int, count: int) -> None:
    piece = WORDS.take(at, count=count)
    assert len(piece.split(" ")) == max(1, count)
    assert set(piece.split()) <= set(WORDS.words)


@given(ANY, st.integers(min_value=0, max_value=3 * POOL))
def test_a_piece_has_as_many_ids_as_asked_for(at: int, count: int) -> None:
    piece = IDS.take(at, count=count)
    assert len(piece) == count
    assert all(FIRST_ID <= token <= LAST_ID for token in piece)


@pytest.mark.parametrize("count", [0, 1, 4, 5, 6, 512])
def test_a_head_has_as_many_tokens_as_asked_for(count: int) -> None:
    assert len(WORDS.head(99, count=count).split()) == count
    assert len(IDS.head(99, count=count)) == count


def test_heads_of_neighbouring_numbers_differ_within_the_first_tokens() -> None:
    assert len({WORDS.head(number, count=5) for number in range(20_000)}) == 20_000
    assert len({tuple(IDS.head(number, count=4)) for number in range(20_000)}) == 20_000


def test_no_two_of_a_hundred_thousand_nonces_are_alike() -> None:
    assert len({WORDS.nonce(number) for number in range(100_000)}) == 100_000
    assert len({tuple(IDS.nonce(number)) for number in range(100_000)}) == 100_000


def test_neighbouring_nonces_differ_from_the_first_token_on() -> None:
    words = [WORDS.nonce(number).split()[0] for number in range(200)]
    ids = [IDS.nonce(number)[0] for number in range(200)]
    assert sum(a == b for a, b in itertools.pairwise(words)) <= 3
    assert sum(a == b for a, b in itertools.pairwise(ids)) <= 1


@pytest.mark.parametrize("choices", [32, 64, 256, 1000, 1024, 28_000])
def test_a_nonce_carries_at_least_48_bits_in_as_few_tokens_as_possible(choices: int) -> None:
    count = nonce_count(choices)
    assert choices ** (count - 1) < 2**48 <= choices**count


def test_a_nonce_is_always_as_long_as_promised() -> None:
    assert {len(WORDS.nonce(number).split()) for number in range(1000)} == {WORDS.nonce_tokens} == {5}
    assert {len(IDS.nonce(number)) for number in range(1000)} == {IDS.nonce_tokens} == {4}


@given(ANY, st.integers(min_value=0, max_value=3 * POOL), st.integers(min_value=0, max_value=3 * POOL))
def test_fewer_tokens_from_a_place_are_the_start_of_more(at: int, one: int, two: int) -> None:
    fewer, more = sorted((one, two))
    assert WORDS.take(at, count=more).split()[:fewer] == WORDS.take(at, count=fewer).split()
    assert IDS.take(at, count=more)[:fewer] == IDS.take(at, count=fewer)
    assert IDS.head(at, count=more)[:fewer] == IDS.head(at, count=fewer)
