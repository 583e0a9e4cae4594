"""The time of a step: what it may never be below, what it grows with, and how it is split over cards."""

import itertools
import math

import pytest
from msgspec.structs import replace

from breakeven.errors import UsageError
from breakeven.hardware import find_gpu, find_model
from breakeven.predict.closed import Waiting, closed_loop
from breakeven.predict.memory import memory, sequences
from breakeven.predict.steptime import Efficiency, StepTime, step_time

MODEL = find_model("llama-3.1-8b")
CARD = find_gpu("h100-sxm")
IDEAL = Efficiency(bandwidth=1, compute=1, kv_bandwidth=1, step_s=0, layer_s=0, user_s=0, hop_s=0, link=1)
READ_BYTES = MODEL.weight_bytes - 2 * MODEL.head_weights
"""All but the embedding, of which a step reads a row a token."""


def test_one_user_waits_for_all_weights_to_be_read() -> None:
    seconds = step_time(MODEL, CARD, IDEAL).step_s(0, 0, 1, 0)
    assert seconds == pytest.approx(READ_BYTES / 3350e9, rel=1e-3)


def test_a_long_prompt_takes_two_operations_a_weight_and_token() -> None:
    steps = step_time(MODEL, CARD, IDEAL)
    weights = MODEL.attention_weights + MODEL.mlp_weights
    attention = 32 * 4 * 32 * 128 * 8192 * 4096 / 0.6
    assert steps.step_s(8192, 0, 0, 0) == pytest.approx((2 * weights * 8192 + attention) / 989.4e12, rel=0.02)


def test_what_is_cached_is_read_at_every_step() -> None:
    steps = step_time(MODEL, CARD, IDEAL)
    grown = steps.step_s(0, 0, 10, 20_000) - steps.step_s(0, 0, 10, 10_000)
    assert grown == pytest.approx(10_000 * 131072 / 3350e9)


def test_a_later_part_of_a_prompt_looks_back_at_what_was_read_before() -> None:
    steps = step_time(MODEL, CARD, IDEAL)
    whole = steps.step_s(4096, 0, 0, 0)
    halves = steps.step_s(2048, 0, 0, 0) + steps.step_s(2048, 2048, 0, 0)
    again = 2 * steps.linear_read_s + 2 * steps.head_read_s
    assert whole < halves < whole + again


@pytest.mark.parametrize("users", [1, 3, 10, 100, 1000])
def test_a_step_is_never_shorter_than_the_roofline_nor_than_one_of_fewer_users(users: int) -> None:
    steps = step_time(MODEL, CARD, IDEAL)
    read_s = READ_BYTES / 3350e9
    multiplied_s = 2 * (MODEL.weights - MODEL.head_weights) * users / 989.4e12
    seconds = steps.step_s(0, 0, users, 0)
    assert seconds >= max(read_s, multiplied_s) * (1 - 1e-9)
    assert seconds <= (read_s + multiplied_s) * (1 + 1e-9)
    assert seconds < steps.step_s(0, 0, users + 1, 0)


def test_overheads_are_added_by_step_layer_and_user() -> None:
    slow = replace(IDEAL, step_s=1e-3, layer_s=1e-4, user_s=1e-5)
    more = step_time(MODEL, CARD, slow).step_s(0, 0, 10, 0) - step_time(MODEL, CARD, IDEAL).step_s(0, 0, 10, 0)
    assert more == pytest.approx(1e-3 + 32 * 1e-4 + 10 * 1e-5)


def test_cards_share_the_work_and_pay_for_their_sums() -> None:
    one, two = step_time(MODEL, CARD, IDEAL), step_time(MODEL, CARD, IDEAL, tp=2)
    assert two.linear_read_s == pytest.approx(one.linear_read_s / 2)
    moved_bytes = 2 * 32 * (2 * 1 / 2) * 4096 * 2
    assert two.token_s == pytest.approx(moved_bytes / 450e9)
    hops = step_time(MODEL, CARD, replace(IDEAL, hop_s=1e-6), tp=8)
    assert hops.fixed_s == pytest.approx(2 * 32 * 1e-6 * 3)


def test_keys_and_values_are_split_no_further_than_their_heads() -> None:
    model = replace(MODEL, kv_heads=2)
    cached = [step_time(model, CARD, IDEAL, tp=tp).cached_s for tp in (1, 2, 8)]
    assert cached[0] / cached[1] == pytest.approx(2)
    assert cached[2] == pytest.approx(cached[1])


def test_few_tokens_touch_few_experts_and_many_touch_all() -> None:
    moe = find_model("mixtral-8x7b")
    steps = step_time(moe, CARD, IDEAL, tp=2)
    alone_s, crowd_s = steps.step_s(0, 0, 1, 0), steps.step_s(0, 0, 64, 0)
    assert alone_s == pytest.approx(steps.linear_read_s + steps.head_read_s + steps.expert_read_s * 2 / 8, rel=0.02)
    assert crowd_s > steps.expert_read_s


def test_a_window_ends_what_a_context_costs() -> None:
    steps = step_time(find_model("gpt-oss-20b"), CARD, IDEAL)
    near, far, farther = (steps.step_s(0, 0, 4, 4 * context) for context in (64, 1064, 2064))
    assert (farther - far) / (far - near) == pytest.approx(1000 * 12 / (1000 * 12 + 64 * 12), rel=1e-6)


def test_an_empty_step_takes_no_time() -> None:
    assert step_time(MODEL, CARD, Efficiency()).step_s(0, 0, 0, 0) == 0


def test_heads_that_cannot_be_split_are_told() -> None:
    with pytest.raises(UsageError, match="32 heads cannot be split over 3 cards"):
        step_time(MODEL, CARD, IDEAL, tp=3)


def test_what_fits_is_memory_less_weights_and_workspace() -> None:
    held = memory(MODEL, CARD)
    assert held.kv_bytes == pytest.approx(80e9 * 0.9 - 16.06e9 - 3e9, rel=1e-3)
    assert sequences(MODEL, held, context_tokens=1000) == int(held.kv_bytes / 131072 / 1000)
    big = memory(find_model("llama-3.1-70b"), CARD)
    assert not big.fits
    assert sequences(find_model("llama-3.1-70b"), big, context_tokens=1000) == 0


# the closed loop

ONE_S = StepTime(
    fixed_s=1.0,
    user_s=0,
    token_s=0,
    linear_read_s=0,
    linear_token_s=0,
    head_read_s=0,
    head_token_s=0,
    expert_read_s=0,
    expert_token_s=0,
    experts=0,
    experts_per_token=0,
    cached_s=0,
    windowed_s=0,
    pair_s=0,
    windowed_pair_s=0,
    window=math.inf,
)
"""Every step takes a second, whatever is in it."""


@pytest.mark.parametrize("request_s", [0.25, 0.75])
@pytest.mark.parametrize(("users", "least_s"), [(1, 0.5 + 1 / 22), (4, 0.5 + 4 / 22), (40, 1)])
def test_where_prompts_cost_nothing_tpot_is_the_step_and_so_is_the_first_of_many(
    users: int, least_s: float, request_s: float
) -> None:
    seen = closed_loop(ONE_S, users=users, input_tokens=100, output_tokens=11, waiting=Waiting(), request_s=request_s)
    assert seen.tpot_s == pytest.approx(1)
    assert seen.ttft_s == pytest.approx(max(least_s, request_s + 0.5))


def test_prompts_of_others_are_read_between_the_tokens() -> None:
    steps = replace(ONE_S, linear_token_s=0.01)
    waiting = Waiting(prompts=1, burst=0)
    seen = closed_loop(steps, users=5, input_tokens=100, output_tokens=11, waiting=waiting, request_s=0)
    step_s, prompt_s = 1 + 0.01 * 4.5, 1.0
    cycle_s = 10 * seen.tpot_s + prompt_s + step_s
    assert 10 * seen.tpot_s == pytest.approx(10 * step_s + 4 * prompt_s * 10 * seen.tpot_s / cycle_s, rel=0.01)


def test_users_without_a_place_wait_for_a_cycle_of_those_with_one() -> None:
    seen = closed_loop(ONE_S, users=9, input_tokens=1, output_tokens=11, slots=3, waiting=Waiting(), request_s=0)
    assert (seen.bound, seen.slots) == ("kv", 3)
    cycle_s = 10 + 1
    assert seen.ttft_s == pytest.approx(0.5 + 3 / 22 + 2 * cycle_s)
    assert seen.output_tok_per_s == pytest.approx(9 * 11 / (seen.ttft_s + 10 * seen.tpot_s))


def test_more_users_never_see_more_tokens_each() -> None:
    steps = step_time(MODEL, CARD, Efficiency())
    seen = [
        closed_loop(steps, users=users, input_tokens=500, output_tokens=200, waiting=Waiting(), request_s=0.02)
        for users in (1, 5, 10, 50, 100, 500)
    ]
    assert all(few.tpot_s < many.tpot_s for few, many in itertools.pairwise(seen))
    assert all(few.output_tok_per_s < many.output_tok_per_s for few, many in itertools.pairwise(seen))
    assert all(math.isfinite(one.ttft_s) for one in seen)
