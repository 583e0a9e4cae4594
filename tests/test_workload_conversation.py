"""Conversations: each prompt holds what was said before, and says how much of it is shared."""

import asyncio
from typing import Any

import pytest

from breakeven.errors import UsageError
from breakeven.workload.base import Ask
from breakeven.workload.conversation import Conversation
from word_server import WordServer


def prepared(server: WordServer | None = None, **settings: Any) -> tuple[Conversation, list[str]]:
    workload = Conversation(**{"input_tokens": 20, "output_tokens": 30, "turns": 3, **settings})
    cautions = [caution.id for caution in asyncio.run(workload.prepare(server or WordServer()))]
    return workload, cautions


def asks(workload: Conversation, count: int, *, user: int = 0) -> list[Ask]:
    return [workload.make(nonce=100 + k, user=user, k=k) for k in range(count)]


def contents(ask: Ask) -> list[str]:
    return [message["content"] for message in ask.messages or []]


def test_each_turn_holds_all_that_was_said_before() -> None:
    workload, _ = prepared()
    first, second, third, fourth = (contents(ask) for ask in asks(workload, 4))
    assert (len(first), len(second), len(third), len(fourth)) == (1, 3, 5, 1)
    assert third[:3] == second
    assert second[0] == first[0]
    assert fourth[0] != first[0]


def test_user_texts_and_answers_have_their_lengths_and_roles() -> None:
    workload, _ = prepared(prefix_tokens=40)
    ask = asks(workload, 3)[2]
    assert [message["role"] for message in ask.messages or []] == [
        "system",
        "user",
        "assistant",
        "user",
        "assistant",
        "user",
    ]
    assert [len(text.split()) for text in contents(ask)] == [40, 20, 30, 20, 30, 20]


@pytest.mark.parametrize("api", ["chat", "completions"])
@pytest.mark.parametrize("prefix_tokens", [0, 50])
@pytest.mark.parametrize("tokenizes", [True, False])
def test_prompts_have_the_lengths_that_are_promised(api: str, prefix_tokens: int, tokenizes: bool) -> None:
    server = WordServer(api, tokenizes=tokenizes)
    workload, cautions = prepared(server, prefix_tokens=prefix_tokens, turns="uniform:1,5", input_tokens="uniform:5,60")
    assert cautions == ["shared_prefixes"]
    for user in range(3):
        for ask in asks(workload, 20, user=user):
            assert server.true_tokens(ask) == ask.input_tokens


def test_all_users_share_the_prefix_and_another_salt_changes_it() -> None:
    workload, _ = prepared(prefix_tokens=40)
    other, _ = prepared(prefix_tokens=40, salt=7)
    prefixes = [contents(asks(workload, 1, user=user)[0])[0] for user in (0, 1)]
    assert prefixes[0] == prefixes[1] != contents(asks(other, 1)[0])[0]


def test_the_nonce_of_the_first_turn_stays_for_the_conversation_and_changes_with_the_next() -> None:
    workload, _ = prepared()
    starts = [contents(ask)[0].split()[:5] for ask in asks(workload, 4)]
    assert starts[0] == starts[1] == starts[2] != starts[3]


def test_a_turn_whose_first_was_made_elsewhere_gets_its_own_nonce() -> None:
    workload, _ = prepared()
    ask = workload.make(nonce=5, user=0, k=1)
    first = workload.make(nonce=5, user=0, k=0)
    assert contents(ask)[0] == contents(first)[0]


def test_content_follows_the_seed() -> None:
    texts = [[contents(ask) for ask in asks(prepared(seed=seed, turns="uniform:1,5")[0], 9)] for seed in (1, 1, 2)]
    assert texts[0] == texts[1] != texts[2]


def test_turns_are_as_many_as_drawn() -> None:
    workload, _ = prepared(turns="uniform:1,3")
    names = [ask.name for ask in asks(workload, 300)]
    conversations = names.count("turn-1")
    assert set(names) == {"turn-1", "turn-2", "turn-3"}
    # 300 requests at 2 turns on average: 150 conversations, give or take 3 standard deviations of 5
    assert conversations == pytest.approx(150, abs=16)


def test_users_think_before_every_turn_but_the_first() -> None:
    workload, _ = prepared(think_s="uniform:2,4")
    thinks = [ask.think_s for ask in asks(workload, 6)]
    assert thinks[0] is thinks[3] is None
    assert all(think is not None and 2 <= think <= 4 for think in (*thinks[1:3], *thinks[4:]))
    assert asks(prepared()[0], 2)[1].think_s is None


def test_a_wide_think_time_is_never_negative() -> None:
    workload, _ = prepared(think_s="normal:1,10")
    assert min(ask.think_s for ask in asks(workload, 100) if ask.think_s is not None) == 0


def test_the_share_of_shared_input_is_that_of_the_turns_before() -> None:
    # completions, so no template: prompts of 20, 70 and 120 tokens, of which 0, 20 and 70 stood in the one before
    workload, _ = prepared(WordServer("completions"))
    assert workload.shared_input_share() == pytest.approx(90 / 210)
    assert workload.describe()["shared_input_share"] == round(90 / 210, 4)


def test_a_prefix_is_shared_by_the_first_turn_too() -> None:
    # prompts of 120, 170 and 220 tokens, of which 100, 120 and 170 stood somewhere before
    workload, _ = prepared(WordServer("completions"), prefix_tokens=100)
    assert workload.shared_input_share() == pytest.approx(390 / 510)


class Moody(WordServer):
    """Its template costs more for every further message."""

    def true_tokens(self, ask: Ask) -> int:
        return super().true_tokens(ask) + len(ask.messages or []) ** 2


@pytest.mark.parametrize("server", [Moody(), WordServer(silent=True), WordServer(always=50), WordServer(broken=True)])
def test_where_the_template_cannot_be_counted_no_length_is_promised(server: WordServer) -> None:
    workload, cautions = prepared(server)
    assert cautions[0] == "input_length_unverified"
    assert all(ask.input_tokens is None for ask in asks(workload, 4))
    assert workload.describe()["input_length_exact"] is False


@pytest.mark.parametrize(
    "settings",
    [{"turns": 0}, {"prefix_tokens": -1}, {"think_s": "soon"}, {"input_tokens": "x"}, {"think_s": "uniform:3,1"}],
)
def test_what_makes_no_sense_is_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        Conversation(**{"output_tokens": 5, **settings})
