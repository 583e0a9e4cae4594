"""The reference server does what its script says: lengths, first tokens, slots and a speed that wavers."""

import json
import math
import time
from typing import Any

import numpy as np
import pytest

from breakeven.client.reference import ReferenceServer, Settings
from breakeven.client.reference.script import Answers, Machine, parse_mix
from breakeven.errors import UsageError
from raw_client import Reply, ask, connect, read_reply, request_bytes

COMPLETIONS = "/v1/completions"
TWO_KINDS = "0.25*uniform:2,4+0.75*8"


def machine(*, noise: float = 0.0, wave: float = 0.0, tau_s: float = 1.0, seed: int = 3) -> Machine:
    return Machine(zero_s=100.0, cell_s=0.01, noise=noise, wave=wave, tau_s=tau_s, seed=seed)


def said(reply: Reply) -> tuple[int, str, int]:
    """Tokens of text, finish reason, tokens of usage."""
    events: list[Any] = [event for event in reply.events() if event != "[DONE]"]
    choices = [event["choices"][0] for event in events if event["choices"]]
    text = "".join(choice["text"] for choice in choices)
    (usage,) = [event["usage"]["completion_tokens"] for event in events if event.get("usage")]
    return text.count(" token"), choices[-1]["finish_reason"], usage


def asked(**fields: object) -> dict[str, object]:
    return {"prompt": "a", "stream": True, "stream_options": {"include_usage": True}, "max_tokens": 6, **fields}


def test_a_mix_takes_each_distribution_by_its_share() -> None:
    mix = parse_mix(TWO_KINDS)
    drawn = [mix.count_at((i + 0.5) / 1200) for i in range(1200)]
    assert {count: drawn.count(count) for count in sorted(set(drawn))} == {2: 100, 3: 100, 4: 100, 8: 900}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("0.5*8+0.6*9", "do not add up to 1"),
        ("0.5*8+9", "no share of a distribution"),
        ("half*8+0.5*9", "no share of a distribution"),
        ("gauss:1,2", "is no distribution"),
        ("0", "no length in tokens"),
    ],
)
def test_a_mix_that_cannot_be_read_is_one_clear_line(text: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        parse_mix(text)


@pytest.mark.parametrize(
    ("setting", "says"),
    [({"slots": -1}, "slots -1"), ({"wave": 9.0}, "wave 9"), ({"tau_s": 0.0}, "tau 0"), ({"lengths": "no"}, "'no'")],
)
def test_a_script_that_makes_no_sense_is_refused(setting: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        Settings(**setting)


def test_answers_are_the_same_for_the_same_seed_and_cut_at_the_limit() -> None:
    def tokens(seed: int, most: int = 100) -> list[int]:
        answers = Answers(lengths="uniform:1,127", ttft_s=0.05, ttft_sigma=0.3, seed=seed)
        return [answers.tokens(number, at_most=most) for number in range(50)]

    assert tokens(1) == tokens(1) != tokens(2)
    assert tokens(1, most=20) == [min(20, count) for count in tokens(1)]


def test_the_median_of_first_tokens_is_ttft_and_their_spread_the_script_s() -> None:
    answers = Answers(lengths="", ttft_s=0.05, ttft_sigma=0.3, seed=1)
    logs = np.log([answers.ttft_s(number) for number in range(20_000)])
    assert np.median(logs) == pytest.approx(math.log(0.05), abs=0.01)
    assert np.std(logs) == pytest.approx(0.3, rel=0.02)


def test_a_steady_machine_needs_a_second_for_a_second_of_work() -> None:
    np.testing.assert_allclose(machine().due_s(100.5, [0.0, 1.0, 2.5]), [100.5, 101.5, 103.0])


def test_work_takes_as_long_as_its_parts_and_a_second_begun_later_ends_later() -> None:
    one = machine(noise=0.2, wave=0.1)
    half_s = float(one.due_s(101.0, [0.5])[0])
    assert one.due_s(half_s, [0.5])[0] == pytest.approx(one.due_s(101.0, [1.0])[0], abs=1e-9)
    assert (np.diff([one.due_s(at_s, [1.0])[0] for at_s in np.arange(101, 102, 0.003)]) > 0).all()


@pytest.mark.parametrize(("noise", "wave"), [(0.3, 0.0), (0.0, 0.2), (0.2, 0.1)])
def test_in_the_long_run_a_machine_does_as_much_as_its_formula_says(noise: float, wave: float) -> None:
    one = machine(noise=noise, wave=wave, tau_s=0.1)
    rate = 2000 / (one.due_s(100.0, [2000.0])[0] - 100.0)
    assert rate == pytest.approx(math.exp((noise**2 + wave**2) / 2), rel=0.005)


def test_a_wave_lasts_for_its_tau() -> None:
    ends_s = machine(wave=0.1, tau_s=0.2).due_s(100.0, np.arange(0.0, 2000.0, 0.05))
    pace = np.log(np.diff(ends_s))
    lagged = [float(np.corrcoef(pace[:-lag], pace[lag:])[0, 1]) for lag in (4, 8)]
    # means over 0.05 s of what forgets with exp(-lag x 0.05 / 0.2)
    assert lagged[1] / lagged[0] == pytest.approx(math.exp(-1), abs=0.05)


def test_an_answer_ends_by_itself_where_the_script_says_and_tells_it() -> None:
    with ReferenceServer(Settings(ttft_s=0, itl_s=0, lengths=TWO_KINDS, seed=5)) as running:
        found = [said(ask(running.url, COMPLETIONS, asked())) for _ in range(12)]
        whole = json.loads(ask(running.url, COMPLETIONS, asked(stream=False, stream_options=None)).body)
    answers = Answers(lengths=TWO_KINDS, ttft_s=0, ttft_sigma=0, seed=5)
    wished = [answers.tokens(number, at_most=6) for number in range(12)]
    assert found == [(count, "stop" if count < 6 else "length", count) for count in wished]
    assert {count < 6 for count in wished} == {True, False}
    assert whole["usage"]["completion_tokens"] == answers.tokens(12, at_most=6)


def test_stamps_follow_the_script_of_a_machine_that_wavers() -> None:
    settings = Settings(ttft_s=0.02, ttft_sigma=0.3, itl_s=0.005, noise=0.1, wave=0.3, tau_s=0.1, seed=7)
    with ReferenceServer(settings) as running:
        ask(running.url, COMPLETIONS, asked(max_tokens=80))
        ask(running.url, COMPLETIONS, asked(max_tokens=80))
        stamps = running.stamps()
    gaps_s = np.diff(stamps.due_s[:80])
    assert 0.1 < np.std(np.log(gaps_s)) < 0.6
    assert stamps.lateness_s().min() >= -1e-6
    assert np.median(stamps.lateness_s()) < 0.02
    assert np.array_equal(stamps.begun_s, stamps.arrival_s)


def test_more_requests_than_slots_wait_in_their_order_and_begin_when_an_answer_was_due_to_end() -> None:
    with ReferenceServer(Settings(ttft_s=0.05, itl_s=0.01, slots=2)) as running:
        connections = [connect(running.url) for _ in range(5)]
        for connection in connections:
            connection.sendall(request_bytes(COMPLETIONS, asked(max_tokens=11)))
            time.sleep(0.01)
        gauges = ask(running.url, "/metrics").body.decode()
        replies = [read_reply(connection) for connection in connections]
        stamps = running.stamps()
        for connection in connections:
            connection.close()
    assert 'num_requests_running{model_name="truth"} 2.0\n' in gauges
    assert 'num_requests_waiting{model_name="truth"} 3.0\n' in gauges
    assert [said(reply)[0] for reply in replies] == [11] * 5
    arrival_s, begun_s = stamps.arrival_s, stamps.begun_s
    np.testing.assert_allclose(begun_s[:2], arrival_s[:2])
    np.testing.assert_allclose(begun_s[2:], begun_s[:3] + 0.15, atol=1e-9)  # 50 ms and ten tokens after another's begin
    np.testing.assert_allclose(stamps.due_s[stamps.first[:-1]], begun_s + 0.05, atol=1e-9)


def test_who_goes_away_while_waiting_takes_no_slot() -> None:
    with ReferenceServer(Settings(ttft_s=0.05, itl_s=0.01, slots=1)) as running, connect(running.url) as first:
        first.sendall(request_bytes(COMPLETIONS, asked(max_tokens=11)))
        time.sleep(0.01)
        with connect(running.url) as second:
            second.sendall(request_bytes(COMPLETIONS, asked(max_tokens=100_000)))
            time.sleep(0.02)
        time.sleep(0.02)
        assert said(ask(running.url, COMPLETIONS, asked(max_tokens=3)))[0] == 3
        assert said(read_reply(first))[0] == 11
        truth = running.truth()
    assert (truth["requests"], truth["complete"], truth["gone"], truth["running"]) == (3, 2, 1, 0)
