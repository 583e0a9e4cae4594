"""The fit: it finds what made the points, is not led astray by a few wrong ones, and says how wrong it is."""

import math

import numpy as np
import pytest
from msgspec.structs import replace

from breakeven.hardware import find_gpu, find_model
from breakeven.predict.closed import Waiting
from breakeven.predict.fit import PRIOR, Parameters, Point, errors, fit
from breakeven.predict.levels import Calibrated, Key, fit_levels, key_of, nearest
from breakeven.predict.steptime import Efficiency
from breakeven.predict.validate import factor, group_of, groups, held_out

TRUE = Parameters(
    efficiency=Efficiency(bandwidth=0.7, compute=0.45, step_s=3e-3, user_s=6e-5, request_s=0.06),
    waiting=Waiting(prompts=1.5, burst=0.05),
)
MODELS = (find_model("llama-3.1-8b"), find_model("qwen3-14b"))
GRID = [(tokens, users) for tokens in (128, 1024, 4096) for users in (1, 8, 64)]


def points(*, gpu: str = "h100-sxm", noise: float = 0.0, seed: int = 3, true: Parameters = TRUE) -> list[Point]:
    draw = np.random.default_rng(seed)
    made = []
    for model in MODELS:
        for tokens, users in GRID:
            asked = Point(model=model, gpu=find_gpu(gpu), users=users, input_tokens=tokens, output_tokens=256)
            seen = true.of(asked)
            assert seen is not None
            far = np.exp(draw.normal(0, noise, 2))
            made.append(replace(asked, ttft_s=seen.ttft_s * far[0], tpot_s=seen.tpot_s * far[1]))
    return made


def test_the_fit_predicts_what_made_the_points() -> None:
    found = fit(points())
    asked = Point(
        model=MODELS[0], gpu=find_gpu("h100-sxm"), users=30, input_tokens=700, output_tokens=300, ttft_s=1, tpot_s=1
    )
    wrong, true = errors(found, asked), errors(TRUE, asked)
    assert abs(wrong["tpot_s"] - true["tpot_s"]) < 0.01
    assert abs(wrong["ttft_s"] - true["ttft_s"]) < 0.03
    assert found.efficiency.bandwidth == pytest.approx(0.7, rel=0.05)


def test_a_few_points_that_are_far_off_hardly_move_it() -> None:
    clean = points(noise=0.02)
    spoiled = [replace(point, tpot_s=5 * (point.tpot_s or 0)) if i % 6 == 0 else point for i, point in enumerate(clean)]
    one, other = fit(clean), fit(spoiled)
    asked = replace(clean[4], ttft_s=1.0, tpot_s=1.0)
    assert errors(other, asked)["tpot_s"] == pytest.approx(errors(one, asked)["tpot_s"], abs=0.1)


def test_without_points_the_prior_stands() -> None:
    assert fit([]).efficiency.bandwidth == pytest.approx(PRIOR["bandwidth"].value)


def test_a_throughput_alone_tells_a_speed() -> None:
    made = []
    for point in points():
        seen = TRUE.of(point)
        assert seen is not None
        made.append(replace(point, ttft_s=None, tpot_s=None, output_tok_per_s=seen.output_tok_per_s))
    found = fit(made)
    assert max(abs(errors(found, point)["output_tok_per_s"]) for point in made) < 0.03


def measured(**changes: float) -> list[Calibrated]:
    made = []
    for gpu, engine, share in (("h100-sxm", "fast", 0.8), ("h200-sxm", "fast", 0.75), ("h100-sxm", "slow", 0.4)):
        true = Parameters(efficiency=replace(TRUE.efficiency, bandwidth=share), waiting=TRUE.waiting)
        made += [Calibrated(key_of(engine, "1", point), point) for point in points(gpu=gpu, true=true, **changes)]  # type: ignore[arg-type]
    return made


def test_a_card_that_was_never_measured_takes_after_its_engine() -> None:
    found = fit_levels(measured())
    key = nearest(Key("dense", "fast", "a100-80-sxm", "bf16"), found)
    assert key == Key("dense", "fast")
    assert found[key].efficiency.bandwidth == pytest.approx(0.775, rel=0.05)
    assert nearest(Key("dense", "unheard-of", "a100-80-sxm", "bf16"), found) == Key("dense")
    assert nearest(Key("experts", "fast"), found) is None


def test_what_is_held_out_was_not_seen() -> None:
    everywhere = measured()
    lone = everywhere[-1]
    spoiled = lone._replace(point=replace(lone.point, tpot_s=10 * (lone.point.tpot_s or 0)))
    misses = held_out([*everywhere[:-1], spoiled], "same", seed=1)
    wrong = next(miss for miss in misses if miss.calibrated is spoiled)
    assert len(misses) == len(everywhere)
    assert wrong.errors["tpot_s"] == pytest.approx(math.log(10), abs=0.2)


def test_leaving_an_engine_out_is_worse_than_leaving_points_out() -> None:
    everywhere = measured(noise=0.02)
    near, far = (factor([miss.errors["tpot_s"] for miss in held_out(everywhere, tier)]) for tier in ("same", "none"))
    assert near is not None
    assert far is not None
    assert near < 1.1 < far


def test_the_factor_holds_nine_of_ten_and_counts_the_one_to_come() -> None:
    draw = np.random.default_rng(5)
    inside = []
    for _ in range(400):
        width = factor(draw.normal(0, 0.2, 40).tolist())
        assert width is not None
        inside.append(abs(draw.normal(0, 0.2)) <= math.log(width))
    assert 0.87 <= np.mean(inside) <= 0.95
    assert factor([0.1] * 8) is None
    assert factor([0.1] * 9) == pytest.approx(math.exp(0.1))


def test_a_group_has_an_interval_of_its_own_where_it_has_points_enough() -> None:
    deep = Key("dense", "fast", "h100-sxm", "bf16", "1")
    few = Key("dense", "slow", "h100-sxm", "bf16", "1")
    of = {key: group_of(key, waits=False, users=64) for key in (deep, few, Key("dense"))}
    rows = [(of[deep], 0.1)] * 30 + [(of[few], 0.2)] * 5
    near, far = groups(rows, "same"), groups(rows, "engine")
    assert len(near[of[deep]]) == 30
    assert of[few] not in near
    assert len(near[of[Key("dense")]]) == 35
    assert list(far) == [of[Key("dense")]._replace(users=0), of[Key("dense")]]


def test_all_users_share_an_interval_only_where_a_class_of_them_is_too_small() -> None:
    key = Key("dense", "fast", "h100-sxm", "bf16", "1")
    few, many = (group_of(key, waits=False, users=users) for users in (8, 100))
    assert (few.users, many.users) == (1, 65)
    both = groups([(few, 0.1)] * 30 + [(many, 0.2)] * 30, "same")
    assert key not in {group.key for group in both if not group.users}
    assert group_of(key, waits=True, users=100).users == 1
    lacks = groups([(few, 0.1)] * 30 + [(many, 0.2)] * 5, "same")
    assert len(lacks[few._replace(users=0)]) == 35
    assert many not in lacks
