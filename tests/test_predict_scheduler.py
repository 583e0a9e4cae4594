"""The simulated engine against closed forms, and what holds for any load."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from breakeven.errors import UsageError
from breakeven.hardware import find_gpu, find_model
from breakeven.load.arrivals import arrival_times_s
from breakeven.metrics.definitions import e2e_s, tpot_s, ttft_s
from breakeven.metrics.level import summarise_level
from breakeven.metrics.summary import LevelSummary
from breakeven.predict.calibrations import choose
from breakeven.predict.closed import FULLEST, closed_loop
from breakeven.predict.replica import Engine
from breakeven.predict.requests import of_lengths
from breakeven.predict.scheduler import ROUTERS, LengthsOf, Load, Simulated, simulate
from breakeven.predict.steptime import step_time
from breakeven.predict.wanted import PLAIN
from breakeven.record import Record
from breakeven.workload.lengths import parse_both

DECODE_S, PREFILL_S, PROMPT, OUTPUT = 0.02, 0.1, 100, 50


def plain_step_s(prefill_tokens: int, _context: float, _users: int, _cached: int) -> float:
    """A step takes the same whoever answers in it, and longer where a prompt is read."""
    return PREFILL_S if prefill_tokens else DECODE_S


def full_step_s(prefill_tokens: int, context: float, users: int, cached: int) -> float:
    """A step that depends on all four, in straight lines."""
    return 0.004 + 1e-5 * prefill_tokens + 1e-8 * context + 2e-4 * users + 1e-7 * cached


def fixed(prompt: int = PROMPT, output: int = OUTPUT) -> LengthsOf:
    return lambda _user, _k: (prompt, output)


def drawn(inputs: str, outputs: str) -> LengthsOf:
    return of_lengths((inputs, outputs), parse_both(inputs, outputs)).lengths


def summary(simulated: Simulated) -> LevelSummary:
    return summarise_level(*simulated)


def done(simulated: Simulated) -> list[Record]:
    return [record for record in simulated.records if record.status == "done"]


def test_one_user_waits_for_a_prefill_and_then_for_one_step_a_token() -> None:
    simulated = simulate(Engine(plain_step_s), Load(fixed(), users=1, travel_s=0.0))
    e2e = PREFILL_S + (OUTPUT - 1) * DECODE_S
    for record in done(simulated)[1:]:
        assert ttft_s(record) == pytest.approx(PREFILL_S, abs=2e-6)
        assert tpot_s(record) == pytest.approx(DECODE_S, abs=2e-6)
        assert e2e_s(record) == pytest.approx(e2e, abs=2e-6)
    assert summary(simulated).output_tok_per_s.value == pytest.approx(OUTPUT / e2e, rel=0.005)


def test_a_pause_of_the_user_is_no_time_of_the_engine() -> None:
    simulated = simulate(Engine(plain_step_s), Load(fixed(), users=1, think_s=1.0, window_s=400))
    cycle_s = 1.0 + PREFILL_S + (OUTPUT - 1) * DECODE_S
    assert summary(simulated).output_tok_per_s.value == pytest.approx(OUTPUT / cycle_s, rel=0.01)


def test_users_that_keep_an_engine_busy_all_get_a_token_from_every_step() -> None:
    simulated = simulate(Engine(lambda *_: DECODE_S), Load(fixed(), users=20, travel_s=0.0))
    assert summary(simulated).output_tok_per_s.value == pytest.approx(20 / DECODE_S, rel=1e-3)
    assert summary(simulated).of("e2e_s").p50.value == pytest.approx(OUTPUT * DECODE_S, rel=1e-3)


def test_an_engine_hears_of_the_next_request_when_the_step_after_the_answer_has_begun() -> None:
    level = summary(simulate(Engine(lambda *_: DECODE_S), Load(fixed(), users=20)))
    assert level.of("ttft_s").p50.value == pytest.approx(2 * DECODE_S, abs=2e-6)
    assert level.output_tok_per_s.value == pytest.approx(20 / DECODE_S * OUTPUT / (OUTPUT + 1), rel=2e-3)


def test_more_users_than_slots_wait_for_their_turn_and_the_engine_gives_no_more() -> None:
    simulated = simulate(Engine(lambda *_: DECODE_S, slots=10), Load(fixed(), users=25))
    level = summary(simulated)
    assert level.output_tok_per_s.value == pytest.approx(10 / DECODE_S, rel=2e-3)
    mean_e2e_s = 25 * OUTPUT * DECODE_S / 10  # Little: users = answers per second x E2E
    assert level.of("e2e_s").mean == pytest.approx(mean_e2e_s, rel=0.02)
    assert level.of("tpot_s").p50.value == pytest.approx(DECODE_S, rel=1e-3)


def test_a_single_server_with_random_arrivals_is_the_queue_of_pollaczek_and_khinchine() -> None:
    rate, service_s = 7.0, 0.1
    times = arrival_times_s(req_per_s=rate, variation=1.0, ramp_s=0.0, seed="md1")
    arrivals = [at_s for at_s, _ in zip(times, range(40_000), strict=False)]
    engine = Engine(lambda *_: service_s, slots=1)
    simulated = simulate(engine, Load(fixed(output=1), travel_s=0.0, arrivals_s=arrivals, req_per_s=rate))
    level, busy = summary(simulated), rate * service_s
    waits_s = [ttft_s(record) or 0.0 for record in done(simulated)]
    assert np.mean(waits_s) == pytest.approx(service_s + busy * service_s / (2 * (1 - busy)), rel=0.05)
    assert level.req_per_s.value == pytest.approx(rate, rel=0.02)
    assert level.req_per_s_offered == rate


def test_a_prompt_longer_than_a_steps_budget_is_read_in_pieces_and_others_go_on() -> None:
    seen: list[tuple[int, float, int]] = []

    def step_s(tokens: int, context: float, users: int, _cached: int) -> float:
        seen.append((tokens, context, users))
        return DECODE_S

    lengths: LengthsOf = lambda user, _k: (10, 200) if user == 0 else (250, 2)  # noqa: E731
    simulate(Engine(step_s, slots=2, step_tokens=101), Load(lengths, arrivals_s=[0.0, 1.0], warm_up_s=0.0, window_s=9))
    assert [one for one in seen if one[0]] == [(10, 0, 0), (100, 0, 1), (100, 100, 1), (50, 200, 1)]


def test_a_full_cache_holds_some_back() -> None:
    fits = 4
    engine = Engine(lambda *_: DECODE_S, kv_tokens=fits * (1000 + 1))
    level = summary(simulate(engine, Load(fixed(prompt=1000, output=2), users=10)))
    assert level.output_tok_per_s.value == pytest.approx(fits / DECODE_S, rel=1e-2)
    assert level.extra["engine_preemptions"] == 0


def test_answers_that_outgrow_the_cache_lose_their_place_and_lose_no_token() -> None:
    engine = Engine(full_step_s, kv_tokens=1200)
    simulated = simulate(engine, Load(fixed(prompt=100, output=300), users=8))
    level = summary(simulated)
    assert level.extra["engine_preemptions"] > 0
    assert 0.9 < level.extra["engine_kv_use_max_share"] <= 1.0
    assert all(len(record.chunk_us) // 4 == record.output_tokens for record in done(simulated))
    roomy = summary(simulate(Engine(full_step_s), Load(fixed(prompt=100, output=300), users=8)))
    assert (level.output_tok_per_s.value or 0) < 0.8 * (roomy.output_tok_per_s.value or 0)


def test_jumping_over_steps_changes_nothing() -> None:
    lengths = drawn("uniform:20,200", "lognormal:80,0.6")
    load = Load(lengths, users=12, think_s=0.3)
    stepwise = simulate(Engine(full_step_s, slots=8, kv_tokens=1500, longest_jump=1), load)
    jumping = simulate(Engine(full_step_s, slots=8, kv_tokens=1500), load)
    assert len(stepwise.records) == len(jumping.records)
    for one, other in zip(stepwise.records, jumping.records, strict=True):
        assert (one.user, one.k, one.output_tokens) == (other.user, other.k, other.output_tokens)
        assert one.end_s == pytest.approx(other.end_s, abs=1e-5)


def test_the_same_seed_gives_the_same_records_and_another_does_not() -> None:
    load = Load(fixed(), users=5)
    first, again, other = (simulate(Engine(full_step_s), load, seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert first.records != other.records


@pytest.mark.parametrize("users", [1, 10, 100])
@pytest.mark.parametrize(("prompt", "output"), [(128, 512), (1024, 1024)])
def test_the_balance_that_predictions_are_made_by_agrees(users: int, prompt: int, output: int) -> None:
    model, gpu = find_model("llama-3.1-8b"), find_gpu("h100-sxm")
    chosen = choose(model, gpu, engine="vllm")
    steps = step_time(model, gpu, chosen.efficiency, tp=1)
    balance = closed_loop(
        steps, users=users, input_tokens=prompt, output_tokens=output, waiting=chosen.waiting, request_s=0.0
    )
    level = summary(
        simulate(Engine(steps.step_s, step_tokens=8192), Load(fixed(prompt, output), users=users, window_s=60))
    )
    assert level.output_tok_per_s.value == pytest.approx(balance.output_tok_per_s, rel=0.03)
    assert level.of("tpot_s").p50.value == pytest.approx(balance.tpot_s, rel=0.03)


@pytest.mark.parametrize("output", [1, 2, 8, 32])
@pytest.mark.parametrize("prompt", [512, 2048])
@pytest.mark.parametrize("users", [1, 2, 10, 50])
def test_the_balance_gives_no_more_short_answers_than_the_scheduler(prompt: int, output: int, users: int) -> None:
    """It gave up to 2.6 times as many: each prompt hid its products behind the weights that all in a step share, and
    whoever waited for a first token waited for no other's prompt."""
    model, gpu = find_model("llama-3.1-8b"), find_gpu("h100-sxm")
    steps = step_time(model, gpu, choose(model, gpu, engine="vllm").efficiency, tp=1)
    asked = {"users": users, "input_tokens": prompt, "output_tokens": output}
    balance = closed_loop(steps, **asked, waiting=PLAIN, request_s=0.0)
    engine = Engine(steps.step_s, slots=256, step_tokens=FULLEST)
    level = summary(simulate(engine, Load(fixed(prompt, output), users=users)))
    assert 0.85 < balance.output_tok_per_s / (level.output_tok_per_s.value or 0.0) < 1.25


def test_prompts_in_one_step_look_back_at_their_own_tokens_alone() -> None:
    """Eight prompts of 1,024 tokens were taken as one of 8,192, whose attention is eight times as much."""
    seen: list[tuple[int, float]] = []

    def step_s(tokens: int, context: float, users: int, _cached: int) -> float:
        seen.append((tokens, tokens * (context + tokens / 2)))
        return 0.01

    simulate(Engine(step_s, step_tokens=8192), Load(fixed(1024, 1), arrivals_s=[0.0] * 8 + [9.0]))
    assert (8192, 8 * 1024 * 512) in seen


@pytest.mark.parametrize("card", ["l40s", "h100-sxm"])
@pytest.mark.parametrize("output", [2, 3])
def test_users_of_short_answers_wait_before_their_first_token(card: str, output: int) -> None:
    """Between two tokens of one user lies a full step at most, in the balance as on the simulated engine; Little
    holds."""
    model, gpu = find_model("llama-3.1-8b"), find_gpu(card)
    chosen = choose(model, gpu, engine="vllm")
    steps = step_time(model, gpu, chosen.efficiency, tp=1)
    balance = closed_loop(
        steps, users=300, input_tokens=512, output_tokens=output, waiting=chosen.waiting, request_s=0.0
    )
    engine = Engine(steps.step_s, slots=300, step_tokens=FULLEST)
    level = summary(simulate(engine, Load(fixed(512, output), users=300, window_s=30)))
    assert level.of("tpot_s").p50.value == pytest.approx(balance.tpot_s, rel=0.1)
    e2e_s = balance.ttft_s + (output - 1) * balance.tpot_s
    assert balance.ttft_s > 0.8 * e2e_s
    assert (level.of("ttft_s").p50.value or 0.0) > 0.8 * (level.of("e2e_s").p50.value or 0.0)
    assert balance.output_tok_per_s / output * e2e_s == pytest.approx(300)


@pytest.mark.parametrize("routing", ROUTERS)
def test_two_replicas_do_the_work_of_two(routing: str) -> None:
    one = summary(simulate(Engine(full_step_s), Load(fixed(), users=10, window_s=300)))
    two = summary(simulate(Engine(full_step_s), Load(fixed(), users=20, window_s=300), replicas=2, routing=routing))
    assert two.output_tok_per_s.value == pytest.approx(2 * (one.output_tok_per_s.value or 0), rel=0.02)


def test_the_least_loaded_replica_is_the_better_choice_where_lengths_differ() -> None:
    lengths: LengthsOf = lambda user, _k: (20, 400 if user % 4 == 0 else 10)  # noqa: E731
    times = arrival_times_s(req_per_s=3.0, variation=1.0, ramp_s=0.0, seed="r")
    arrivals = [at_s for at_s, _ in zip(times, range(2000), strict=False)]
    load = Load(lengths, arrivals_s=arrivals)
    engine = Engine(lambda *_: 0.005, slots=2)
    p95 = {
        routing: summary(simulate(engine, load, replicas=4, routing=routing)).of("ttft_s").p95.value or 0.0
        for routing in ROUTERS
    }
    assert p95["least-loaded"] < 0.5 * p95["round-robin"]


@dataclass
class _Watched:
    """Looks at every step that an engine takes."""

    slots: int
    step_tokens: int
    kv_tokens: int
    problems: list[str] = field(default_factory=list)

    def step_s(self, tokens: int, context: float, users: int, cached: int) -> float:
        if users > self.slots or tokens + users > self.step_tokens or cached + users + context > self.kv_tokens:
            self.problems.append(f"{tokens} {context} {users} {cached}")
        return full_step_s(tokens, context, users, cached)


@settings(max_examples=60, deadline=None)
@given(
    users=st.integers(1, 12),
    slots=st.integers(1, 12),
    room=st.integers(0, 2000),
    most=st.integers(1, 150),
    spare=st.integers(1, 300),
    think_s=st.sampled_from([0.0, 0.05, 2.0]),
    replicas=st.integers(1, 3),
    routing=st.sampled_from(sorted(ROUTERS)),
    seed=st.integers(0, 5),
)
def test_whatever_the_load_no_token_is_lost_and_no_limit_passed(
    *, users: int, slots: int, room: int, most: int, spare: int, think_s: float, replicas: int, routing: str, seed: int
) -> None:
    lengths = drawn(f"uniform:1,{most}", f"uniform:1,{most}")
    watched = _Watched(slots=slots, step_tokens=slots + spare, kv_tokens=2 * most + room)
    engine = Engine(watched.step_s, slots=slots, step_tokens=watched.step_tokens, kv_tokens=watched.kv_tokens)
    load = Load(lengths, users=users, think_s=think_s, window_s=5.0)
    simulated = simulate(engine, load, replicas=replicas, routing=routing, seed=seed)
    close_s = simulated.facts.close_s or 0.0
    assert not watched.problems
    assert {record.user for record in simulated.records} == set(range(users))
    for user in range(users):
        mine = sorted((one for one in simulated.records if one.user == user), key=lambda one: one.k)
        assert [one.k for one in mine] == list(range(len(mine)))
        for before, after in itertools.pairwise(mine):
            assert before.status == "done"
            assert after.due_s == pytest.approx(before.end_s + think_s, abs=2e-6)
        assert mine[-1].due_s < close_s + think_s + 2e-6
    for record in simulated.records:
        stamps = np.cumsum(np.frombuffer(record.chunk_us, dtype="<u4"), dtype=np.int64) / 1e6 + record.due_s
        assert len(stamps) == record.output_tokens if record.status == "done" else len(stamps) <= most
        assert not len(stamps) or stamps[-1] <= record.end_s + 2e-6
    tokens = sum(len(record.chunk_us) // 4 for record in simulated.records)
    assert tokens > 0


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: simulate(Engine(plain_step_s, kv_tokens=99), Load(fixed(), users=1)), "does not fit"),
        (lambda: simulate(Engine(plain_step_s), Load(fixed())), "either users or arrivals"),
        (lambda: simulate(Engine(plain_step_s, slots=9, step_tokens=8), Load(fixed(), users=1)), "slots: 9"),
        (lambda: simulate(Engine(plain_step_s), Load(fixed(), users=1), routing="randm"), "randm"),
    ],
)
def test_what_makes_no_sense_is_told_in_one_line(make: Callable[[], Simulated], says: str) -> None:
    with pytest.raises(UsageError, match=says) as told:
        make()
    assert "\n" not in str(told.value)
