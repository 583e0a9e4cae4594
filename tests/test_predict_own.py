"""What the user's own runs tell: loads that were not measured, on a known card and on a machine that no table has."""

import math
from pathlib import Path

import pytest
from msgspec.structs import replace

from breakeven.app.runs import read_run
from breakeven.hardware import find_gpu, find_model
from breakeven.metrics.summary import Distribution, Estimate, LevelSummary, Quantile, RunFacts, RunSummary
from breakeven.predict.calibrations import choose
from breakeven.predict.closed import Waiting
from breakeven.predict.fit import Parameters, Point
from breakeven.predict.own import levels, machine, own
from breakeven.predict.steptime import Efficiency

EXAMPLES = Path(__file__).parents[1] / "examples" / "cpu-llamacpp-vs-vllm"
LLAMA, CARD = find_model("llama-3.1-8b"), find_gpu("rtx4090")
TRUE = Parameters(
    efficiency=Efficiency(bandwidth=0.86, compute=0.45, step_s=4e-3, user_s=9e-5, request_s=0.02),
    waiting=Waiting(prompts=1.1, burst=0.02),
)
"""Of an engine of the user's own, far from what the shipped points say of engines in general."""


def asked(users: int) -> Point:
    return Point(model=LLAMA, gpu=CARD, users=users, input_tokens=500, output_tokens=200)


def a_level(users: int, *, errors: int = 0) -> LevelSummary:
    seen = TRUE.of(asked(users))
    assert seen is not None
    figures = {"ttft_s": seen.ttft_s, "tpot_s": seen.tpot_s, "e2e_s": seen.ttft_s + 199 * seen.tpot_s}
    return LevelSummary(
        users=users,
        status="done",
        errors=errors,
        requests=100,
        input_tokens=50_000,
        output_tok_per_s=Estimate(value=seen.output_tok_per_s),
        distributions={
            name: Distribution(n=100, mean=value, p50=Quantile(value=value, ci95=(None, None)))
            for name, value in figures.items()
        },
    )


def a_run(*users: int, gpu: str = "NVIDIA GeForce RTX 4090", model: str = "llama-3.1-8b") -> RunSummary:
    return RunSummary(
        run=RunFacts(
            id="mine",
            started="2026-11-28T10:00:00+00:00",
            host={"gpu": gpu, "gpu_count": 1},
            engine={"name": "vllm", "version": "0.30.0"},
            model=model,
        ),
        levels=tuple(a_level(count) for count in users),
    )


@pytest.mark.parametrize("users", [2, 5, 20, 50, 100])
def test_two_levels_on_a_known_card_predict_the_others(users: int) -> None:
    chosen = choose(LLAMA, CARD, engine="vllm", own=own([a_run(1, 10)]))
    true, said = TRUE.of(asked(users)), chosen.calibration.parameters.of(asked(users))
    assert true is not None
    assert said is not None
    assert (chosen.calibration.own, chosen.tier) == (True, "same")
    for figure in ("ttft_s", "tpot_s", "output_tok_per_s"):
        width = chosen.factor(figure, bound=said.bound, users=users)
        assert width is not None
        assert abs(math.log(getattr(said, figure) / getattr(true, figure))) < math.log(width), figure
    assert said.tpot_s == pytest.approx(true.tpot_s, rel=0.2)


def test_own_runs_come_nearer_than_the_shipped_table() -> None:
    mine, shipped = (choose(LLAMA, CARD, engine="vllm", own=rows) for rows in (own([a_run(1, 10)]), ()))
    true = TRUE.of(asked(100))
    near, far = (chosen.calibration.parameters.of(asked(100)) for chosen in (mine, shipped))
    assert true is not None
    assert near is not None
    assert far is not None
    assert abs(math.log(near.tpot_s / true.tpot_s)) < abs(math.log(far.tpot_s / true.tpot_s))


def test_another_model_on_the_card_takes_after_the_own_run() -> None:
    chosen = choose(find_model("qwen3-8b"), CARD, engine="vllm", own=own([a_run(1, 10)]))
    assert (chosen.calibration.own, chosen.tier) == (True, "card")
    assert choose(LLAMA, CARD, engine="sglang", own=own([a_run(1, 10)])).calibration.own is False


def test_a_row_says_where_it_comes_from() -> None:
    row = own([a_run(1, 10)])[0]
    assert (row.engine, row.gpu, row.precision, row.version) == ("vllm", "rtx4090", "bf16", "0.30.0")
    assert (row.source, row.measured, row.models, row.points) == ("mine", "2026-11", ("llama-3.1-8b",), 2)


def test_what_tells_nothing_of_a_card_is_left_out() -> None:
    run = a_run(1, 10)
    predicted = replace(run, run=replace(run.run, settings={"predicted": {}}))
    thinking = replace(run, run=replace(run.run, settings={"think_s": 1.0}))
    failed = replace(run, levels=(a_level(1, errors=3),))
    two = replace(run, run=replace(run.run, engine={"name": "vllm", "settings": {"replicas": 2}}))
    for told in (a_run(1, gpu="a GPU of 2031"), a_run(1, model="my-own-model"), predicted, thinking, failed, two):
        assert own([told]) == ()


@pytest.mark.parametrize("name", ["smollm2-135m-llamacpp-chat", "smollm2-135m-vllm-chat"])
def test_one_and_ten_users_of_a_real_engine_on_a_cpu_predict_five_fifty_and_a_hundred(name: str) -> None:
    run = read_run(EXAMPLES / name)
    fitted = machine(replace(run, levels=tuple(level for level in run.levels if level.users in {1, 10})))
    assert fitted is not None
    inside, far = [], []
    for seen in levels(run):
        if seen.users in {5, 50, 100}:
            load = {"users": seen.users, "input_tokens": seen.input_tokens, "output_tokens": seen.output_tokens}
            said = fitted.of(**load)  # type: ignore[arg-type]
            for figure in ("ttft_s", "tpot_s", "output_tok_per_s"):
                miss = abs(math.log(getattr(seen, figure) / getattr(said, figure)))
                inside.append(miss <= math.log(fitted.factor(figure, **load)))  # type: ignore[arg-type]
                far += [miss] if figure == "output_tok_per_s" else []
    assert len(inside) == 27
    assert sum(inside) >= 19
    assert sorted(far)[len(far) // 2] < 0.12


def test_the_further_from_what_was_measured_the_less_sure() -> None:
    run = read_run(EXAMPLES / "smollm2-135m-vllm-chat")
    fitted = machine(replace(run, levels=tuple(level for level in run.levels if level.users in {1, 10})))
    assert fitted is not None
    near, far = (fitted.factor("tpot_s", users=users, input_tokens=50, output_tokens=64) for users in (10, 400))
    assert 1.05 < near < far


def test_one_number_of_users_tells_nothing_of_others() -> None:
    run = read_run(EXAMPLES / "smollm2-135m-vllm-chat")
    assert machine(replace(run, levels=tuple(level for level in run.levels if level.users == 10))) is None
