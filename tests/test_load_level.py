"""A level of the closed loop does what METHOD says: how it starts, holds, measures, stops, cuts and recovers."""

import asyncio
import gc
import itertools
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from asking import run
from breakeven.caution import Caution
from breakeven.client.request import RequestMaker
from breakeven.client.target import Access, resolve
from breakeven.clock import now_s
from breakeven.load.crew import LocalCrew
from breakeven.load.level import Level, LevelPlan
from breakeven.load.worker import Worker
from breakeven.metrics.definitions import arrivals_s
from breakeven.metrics.level import summarise_level
from breakeven.workload.base import Ask
from breakeven.workload.chat import Chat
from fault_answers import answer
from fault_server import FaultServer, closed_port
from faults import PLAYS, status
from loading import DEFAULTS, Loaded, Measured, level


def never_idle(measured: Measured, *, users: int) -> bool:
    """Each user's next request was due the moment its last one ended, so that it had one in flight all the time."""
    for user in range(users):
        own = measured.of(user)
        if [one.k for one in own] != list(range(len(own))):
            return False
        if any(after.due_s != before.end_s for before, after in itertools.pairwise(own)):
            return False
    return True


# starting and holding


def test_exactly_as_many_requests_as_users_are_in_flight() -> None:
    with FaultServer(answer(ttft_s=0.05, itl_s=0.01)) as server:
        measured = level(server.url, users=7, duration_s=1.0)
        assert server.max_in_flight == 7
        asked = [(one.at_s - measured.zero_s, (one.ended_s or 0.0) - measured.zero_s) for one in server.asked]
    assert never_idle(measured, users=7)
    assert max(measured.of(user)[0].due_s for user in range(7)) <= measured.facts.start_s + 0.15
    open_s, close_s = measured.facts.open_s, measured.facts.close_s
    assert open_s is not None
    assert close_s is not None
    busy_s = sum(max(0.0, min(end_s, close_s) - max(at_s, open_s)) for at_s, end_s in asked)
    assert busy_s / (close_s - open_s) == pytest.approx(7, rel=0.08)  # the server's own view, with the way between


def test_starts_are_spread_over_the_ramp() -> None:
    with FaultServer() as server:
        measured = level(server.url, users=5, ramp_s=1.0, warmup_s=0.0, duration_s=0.2)
    starts = [measured.of(user)[0].due_s - measured.facts.start_s for user in range(5)]
    assert starts == pytest.approx([0.0, 0.2, 0.4, 0.6, 0.8], abs=0.03)
    assert measured.facts.open_s is not None
    assert measured.facts.open_s >= measured.facts.start_s + 1.0


def first_lengths(url: str, server: FaultServer, *, seed: int, users: int = 12) -> list[int]:
    """Lengths asked for in the first request of each connection, which is the first of each user."""
    before = len(server.asked)
    level(url, loaded=Loaded(workload=Chat(output_tokens=1000)), users=users, duration_s=0.1, seed=seed)
    return sorted(int(one.json["max_tokens"]) for one in server.asked[before:] if one.on_connection == 0)


def test_first_answers_are_capped_at_random_lengths_that_the_seed_decides() -> None:
    with FaultServer(answer(tokens=2)) as server:
        one, same, other = (first_lengths(server.url, server, seed=seed) for seed in (1, 1, 2))
        later = {int(asked.json["max_tokens"]) for asked in server.asked if asked.on_connection > 0}
    assert len(one) == 12
    assert one == same
    assert one != other
    assert all(1 <= length <= 1000 for length in one)
    assert later == {1000}


def test_the_first_lengths_are_uniform() -> None:
    with FaultServer(answer(tokens=2)) as server:
        lengths = first_lengths(server.url, server, seed=0, users=100)
    # Kolmogorov and Smirnov: one sample of 100 in a thousand strays further than 1.95 / sqrt(100)
    expected = (np.arange(100) + 0.5) / 100
    assert float(np.abs(np.array(lengths) / 1000 - expected).max()) < 0.195


def test_every_user_has_had_a_token_before_the_window_opens() -> None:
    with FaultServer([answer(ttft_s=0.9), answer()]) as server:
        measured = level(server.url, users=4, warmup_s=0.1)
    open_s = measured.facts.open_s
    assert open_s is not None
    assert open_s - measured.facts.start_s >= 0.85
    for user in range(4):
        assert any(record.chunk_us and arrivals_s(record)[0] < open_s for record in measured.of(user))


def test_progress_goes_through_the_phases_in_order() -> None:
    loaded = Loaded()
    with FaultServer() as server:
        level(server.url, loaded=loaded, ramp_s=0.3, warmup_s=0.6)
    phases = [progress.phase for progress in loaded.progress]
    assert list(dict.fromkeys(phases)) == ["ramp", "warm-up", "measuring"]


# stopping and ending


@pytest.mark.parametrize("duration_s", [0.3, 1.05])
def test_a_duration_gives_a_window_of_that_length(duration_s: float) -> None:
    with FaultServer() as server:
        facts = level(server.url, duration_s=duration_s).facts
    assert facts.open_s is not None
    assert facts.close_s is not None
    assert facts.close_s - facts.open_s == pytest.approx(duration_s, abs=0.1)
    assert facts.close_s - facts.open_s >= duration_s
    assert (facts.status, facts.stopped) == ("done", "duration")


def test_what_is_in_flight_at_the_end_is_cut_and_a_cut_is_no_error() -> None:
    with FaultServer(answer(itl_s=0.02)) as server:
        measured = level(server.url, users=5)
    last = [measured.of(user)[-1] for user in range(5)]
    assert [one.status for one in last] == ["cut"] * 5
    assert all(one.error is None for one in last)
    assert all(one.status == "done" for one in measured.records if one not in last)
    summary = summarise_level(measured.facts, measured.records)
    assert (summary.errors, summary.cut) == (0, 5)
    assert measured.facts.end_s == measured.facts.close_s


def test_requests_measures_exactly_so_many_and_waits_for_them() -> None:
    with FaultServer(answer(ttft_s=0.05, itl_s=0.01)) as server:
        measured = level(server.url, users=4, requests=23, duration_s=None, warmup_s=0.0)
    facts = measured.facts
    assert (facts.stopped, facts.measured_requests) == ("requests", 23)
    assert facts.open_s is not None
    assert facts.close_s is not None
    counted = [one for one in measured.records if one.k > 0 and facts.open_s <= one.due_s <= facts.close_s]
    assert len(counted) == 23
    assert all(one.status == "done" for one in counted)
    assert min(one.due_s for one in counted) == facts.open_s
    assert max(one.due_s for one in counted) == facts.close_s
    assert summarise_level(facts, measured.records).requests == 23
    assert facts.end_s is not None
    assert facts.end_s >= max(one.end_s for one in counted)


def test_users_go_on_asking_until_the_last_measured_request_has_ended() -> None:
    # at most six requests start before the window, so the ninth is a measured one; it is slow, and the others go on
    usual = answer(ttft_s=0.1)
    with FaultServer([*[usual] * 8, answer(ttft_s=1.2), usual]) as server:
        measured = level(server.url, users=3, requests=8, duration_s=None, warmup_s=0.0)
    slow = max(measured.records, key=lambda record: record.end_s - record.due_s)
    assert (slow.status, slow.k > 0) == ("done", True)
    others = [one for one in measured.records if one.user != slow.user and one.due_s > slow.due_s]
    assert len(others) > 8
    assert never_idle(measured, users=3)


def test_a_user_thinks_between_answer_and_next_question() -> None:
    with FaultServer() as server:
        measured = level(server.url, think_s=0.2, duration_s=1.0)
        assert server.max_in_flight <= 3
    own = measured.of(0)
    pauses = [after.due_s - before.end_s for before, after in itertools.pairwise(own)]
    assert len(pauses) >= 3
    assert all(pause == pytest.approx(0.2, abs=1e-6) for pause in pauses)  # due when the plan says


def test_a_level_that_is_to_be_judged_goes_on_until_there_are_enough_answers() -> None:
    found = {}
    plan: dict[str, Any] = {"users": 2, "duration_s": None, "max_duration_s": 20.0, "precision": 0.5}
    for least in (0, 200):
        with FaultServer(answer(ttft_s=0.02, itl_s=0.01)) as server:
            found[least] = level(server.url, **plan, least_answers=least)
    assert {one.facts.stopped for one in found.values()} == {"precision"}
    ended = {least: summarise_level(one.facts, one.records).requests for least, one in found.items()}
    assert ended[0] < 200 <= ended[200]


def test_an_interrupt_ends_the_level_and_keeps_what_was_measured() -> None:
    with FaultServer() as server:
        measured = level(server.url, loaded=Loaded(stop_after_s=0.8), duration_s=30.0)
    facts = measured.facts
    assert (facts.status, facts.stopped) == ("interrupted", "interrupted")
    assert facts.open_s is not None
    assert facts.close_s is not None
    assert 0.2 < facts.close_s - facts.open_s < 0.8
    assert summarise_level(facts, measured.records).requests > 0


def test_an_interrupt_before_the_window_leaves_a_level_without_one() -> None:
    with FaultServer() as server:
        facts = level(server.url, loaded=Loaded(stop_after_s=0.1), warmup_s=5.0).facts
    assert (facts.status, facts.open_s, facts.close_s) == ("interrupted", None, None)


# errors


def test_a_user_pauses_longer_and_longer_after_errors_in_a_row() -> None:
    with FaultServer(status(503)) as server:
        measured = level(server.url, users=1, ramp_s=0.0, warmup_s=3.0)
        pauses = np.diff([one.at_s for one in server.asked])
    for pause, at_least in zip(pauses, [0.1, 0.2, 0.5, 1.0], strict=True):
        assert 0.99 * at_least < pause < 1.9 * at_least
    assert (measured.facts.status, measured.facts.stopped, measured.facts.open_s) == ("failed", "failed", None)
    assert all(one.error == "http_503" for one in measured.records)


def test_an_answer_ends_the_row_of_errors() -> None:
    plays = [status(503), status(503), answer(tokens=1), status(503), answer()]
    with FaultServer(plays) as server:
        level(server.url, users=1, ramp_s=0.0, warmup_s=0.6)
        pauses = np.diff([one.at_s for one in server.asked])[:4]
    for pause, at_least in zip(pauses, [0.1, 0.2, 0.02, 0.1], strict=True):
        assert 0.99 * at_least < pause < at_least + 0.09


def test_a_level_of_nothing_but_errors_fails_as_soon_as_its_warm_up_is_over() -> None:
    with closed_port() as url:
        measured = level(url, warmup_s=0.3, duration_s=30.0)
    assert (measured.facts.status, measured.facts.open_s) == ("failed", None)
    assert measured.facts.end_s is not None
    assert measured.facts.end_s - measured.facts.start_s < 1.0
    assert {one.error for one in measured.records if one.status != "cut"} == {"connect"}  # one may just be connecting


def test_a_server_that_fails_some_requests_is_measured_by_the_rest() -> None:
    with FaultServer([answer(tokens=3), PLAYS["error-event"]] * 200) as server:
        measured = level(server.url, duration_s=1.0)
    summary = summarise_level(measured.facts, measured.records)
    assert measured.facts.status == "done"
    assert summary.requests > 0
    assert summary.errors_by_kind == {"stream_error": summary.errors}


def test_a_level_after_one_with_errors_is_right() -> None:
    broken = [PLAYS[name] for name in ("reset", "hang-up", "broken-json", "503")]
    with FaultServer([*broken, *broken, answer()]) as server:
        first, second = Loaded().levels(server.url, {"warmup_s": 0.6, "users": 4}, {"users": 6})
        assert server.max_in_flight == 6
    assert {one.error for one in first.records if one.k == 0} == {"reset", "closed", "bad_json", "http_503"}
    assert first.facts.status == "done"
    assert never_idle(second, users=6)
    assert summarise_level(second.facts, second.records).errors == 0
    assert second.facts.status == "done"


def test_repeats_and_levels_ask_different_prompts() -> None:
    with FaultServer() as server:
        Loaded().levels(
            server.url, {"users": 2, "salt": 1}, {"users": 2, "repeat": 1, "salt": 1}, {"users": 3, "salt": 1}
        )
        texts = [one.json["messages"][0]["content"] for one in server.asked]
    assert len(set(texts)) == len(texts)


# the instrument's own state


def test_garbage_is_collected_only_between_levels() -> None:
    seen: list[bool] = []
    with FaultServer() as server:
        Loaded(check=lambda: seen.append(gc.isenabled())).levels(server.url, {}, {})
    assert set(seen) == {False}
    assert gc.isenabled()
    assert gc.get_freeze_count() == 0


def test_what_ends_the_run_cuts_the_users_and_gives_garbage_collection_back() -> None:
    def full() -> None:
        if now_s() > full_s:
            raise RuntimeError("the disk is full")

    with FaultServer(answer(itl_s=0.02)) as server:
        full_s = now_s() + 0.3
        with pytest.raises(RuntimeError, match="the disk is full"):
            level(server.url, loaded=Loaded(check=full))
        until_s = now_s() + 2
        while server.in_flight and now_s() < until_s:
            time.sleep(0.01)
        assert server.in_flight == 0
    assert gc.isenabled()


class _Broken(Chat):
    def make(self, *, nonce: int, user: int, k: int, max_output_tokens: int | None = None) -> Ask:
        if user == 1 and k == 3:
            raise ZeroDivisionError("a bug of ours")
        return super().make(nonce=nonce, user=user, k=k, max_output_tokens=max_output_tokens)

    async def prepare(self, server: object) -> Sequence[Caution]:
        return []


def test_a_bug_of_ours_stops_the_run() -> None:
    with FaultServer() as server, pytest.raises(ZeroDivisionError, match="a bug of ours"):
        level(server.url, loaded=Loaded(workload=_Broken(output_tokens=2)), duration_s=20.0)
    assert gc.isenabled()


class _Noted(Chat):
    """Keeps when each request was made."""

    def __init__(self) -> None:
        super().__init__(output_tokens=8)
        self.made_s: dict[int, float] = {}

    def make(self, *, nonce: int, user: int, k: int, max_output_tokens: int | None = None) -> Ask:
        self.made_s[k] = now_s()
        return super().make(nonce=nonce, user=user, k=k, max_output_tokens=max_output_tokens)

    async def prepare(self, server: object) -> Sequence[Caution]:
        return []


def test_a_request_is_made_while_the_answer_before_it_is_awaited() -> None:
    workload = _Noted()
    with FaultServer(answer(ttft_s=0.05)) as server:
        measured = level(server.url, loaded=Loaded(workload=workload), users=1, duration_s=1.0)
    own = measured.of(0)
    assert len(own) > 3
    for one, after in itertools.pairwise(own):
        assert one.sent_s is not None
        first_s = arrivals_s(one)[0] if one.status == "done" else one.end_s
        assert one.sent_s < workload.made_s[after.k] - measured.zero_s < first_s


def test_a_request_whose_forerunner_was_never_sent_is_made_all_the_same() -> None:
    with closed_port() as url:
        measured = level(url, users=1, duration_s=0.5)
    assert [one.k for one in measured.of(0)] == list(range(len(measured.of(0))))


def test_quitting_at_once_in_the_middle_of_a_level_leaves_nothing_behind() -> None:
    workload: Any = Chat(output_tokens=8)

    async def quit_at_once() -> None:
        worker = Worker(
            target=await resolve(Access(url=server.url, timeout_s=10.0)),
            maker=RequestMaker(api="chat", model="good", exact_length_body={}),
            workload=workload,
        )
        running = Level(
            LevelPlan(**DEFAULTS),
            crew=LocalCrew(worker),
            zero_s=now_s(),
            stop=asyncio.Event(),
            progress=lambda progress: None,
            check=lambda: None,
            same_host=True,
        )
        task = asyncio.create_task(running.run(lambda record: None, lambda facts: None))
        await asyncio.sleep(0.25)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with FaultServer(answer(itl_s=0.02)) as server:
        run(quit_at_once)
    assert gc.isenabled()
