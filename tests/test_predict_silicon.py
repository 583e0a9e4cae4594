"""Calibrations by measured kernels: the fit, when they are taken, how wrong they are, and the package itself."""

import json

import pytest
from msgspec.structs import replace

from breakeven.hardware import find_gpu, find_model
from breakeven.hardware.silicon import CONTEXTS, PROMPTS, USERS, Kernels, Step, is_installed, kernels, lacking
from breakeven.predict.calibrations import choose, spreads
from breakeven.predict.levels import Group, Key
from breakeven.predict.silicon import HOST, kernel_row, lacks_points, of_kernels
from breakeven.predict.steptime import Efficiency, step_time
from commands import breakeven

LLAMA = find_model("llama-3.1-8b")
MADE_BY = Efficiency(bandwidth=0.9, compute=0.5, kv_bandwidth=0.65, step_s=1e-3, layer_s=2e-5, user_s=1e-5)


def made() -> Kernels:
    """Steps of a Llama on an L40S whose shares are known."""
    time = step_time(LLAMA, find_gpu("l40s"), MADE_BY)
    steps = [Step(n, c, time.step_s(0, 0, n, n * c)) for n in USERS for c in CONTEXTS]
    steps += [Step(0, tokens, time.step_s(tokens, 0, 0, 0)) for tokens in PROMPTS]
    return Kernels("l40s", "0.24.0", tuple(steps), "kernels that this test made")


def test_the_fit_finds_the_shares_that_made_the_steps_and_leaves_the_host_to_the_engine_s_other_cards() -> None:
    likes = choose(LLAMA, find_gpu("l40s"), engine="vllm").calibration.parameters
    found = of_kernels(LLAMA, made(), cards=1, likes=likes)
    assert found.efficiency.bandwidth == pytest.approx(MADE_BY.bandwidth, rel=0.05)
    assert found.efficiency.compute == pytest.approx(MADE_BY.compute, rel=0.05)
    assert found.efficiency.kv_bandwidth == pytest.approx(MADE_BY.kv_bandwidth, rel=0.05)
    assert [getattr(found.efficiency, name) for name in HOST] == [getattr(likes.efficiency, name) for name in HOST]
    assert found.waiting == likes.waiting


def test_kernels_are_taken_before_the_table_and_after_own_runs() -> None:
    card = find_gpu("rtx4090")
    row = kernel_row(LLAMA, card, "vllm", made(), cards=1)
    chosen = choose(LLAMA, card, engine="vllm", kernels=[row])
    assert chosen.calibration is row
    assert chosen.tier == "kernels"
    assert row.licence == "Apache-2.0"
    mine = replace(row, own=True, kernels=False)
    assert choose(LLAMA, card, engine="vllm", own=[mine], kernels=[row]).calibration is mine
    assert choose(LLAMA, card, engine="sglang", kernels=[row]).calibration is not row
    assert choose(LLAMA, find_gpu("l40s"), engine="vllm", kernels=[row]).calibration is not row


def test_kernels_are_asked_for_only_where_no_point_of_the_engine_is_on_the_card() -> None:
    assert lacks_points(LLAMA, find_gpu("l40s"), "vllm")
    assert lacks_points(LLAMA, find_gpu("b200-sxm"), "sglang")
    assert not lacks_points(LLAMA, find_gpu("h100-sxm"), "vllm")


@pytest.mark.parametrize("gpu", ["l40s", "b200-sxm"])
def test_a_prediction_by_kernels_has_an_interval_at_every_load(gpu: str) -> None:
    row = kernel_row(LLAMA, find_gpu(gpu), "sglang", made(), cards=1)
    chosen = choose(LLAMA, find_gpu(gpu), engine="sglang", kernels=[row])
    for users in (1, 10, 100):
        for bound in ("bandwidth", "kv"):
            for figure in ("ttft_s", "tpot_s", "output_tok_per_s"):
                factor = chosen.factor(figure, bound=bound, users=users)
                assert factor is not None
                assert factor > 1.2


def test_kernels_miss_less_of_tpot_than_the_engine_s_other_cards() -> None:
    """Both with the card left out, over all dense points; see docs/PREDICTION.md for the medians."""
    few = Group(Key("dense"), waits=False, users=1)
    plain = {row.tier: row for row in spreads() if row.group == few and not (row.elsewhere or row.own)}
    assert plain["kernels"].tpot_s is not None
    assert plain["engine"].tpot_s is not None
    assert plain["kernels"].tpot_s < plain["engine"].tpot_s


def test_the_package_s_kernels_stand_for_a_card_and_for_its_like(capfd: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("aiconfigurator_core", reason="needs breakeven[silicon]")
    found = kernels(LLAMA, find_gpu("l40s"), "vllm", cards=1)
    assert found is not None
    assert found == kernels(LLAMA, find_gpu("rtx4090"), "vllm", cards=1)
    alone = found.steps[0]
    at_best = 2 * 8.03e9 / (find_gpu("l40s").mem_bw_gb_per_s * 1e9)
    assert (alone.users, alone.tokens) == (1, 256)
    assert 0.9 * at_best < alone.seconds < 1.6 * at_best
    for refused in (find_model("qwen3-235b-a22b"), LLAMA.kept_as("int4")):
        assert kernels(refused, find_gpu("l40s"), "vllm", cards=1) is None
    assert kernels(LLAMA, find_gpu("l40s"), "vllm", cards=3) is None
    assert kernels(LLAMA, find_gpu("l40s"), "lmdeploy", cards=1) is None
    assert kernels(LLAMA, find_gpu("rtx3090"), "vllm", cards=1) is None
    assert capfd.readouterr() == ("", "")


def test_predict_says_that_it_rests_on_kernels() -> None:
    pytest.importorskip("aiconfigurator_core", reason="needs breakeven[silicon]")
    done = breakeven("predict", "--model", "llama-3.1-8b", "--gpu", "l40s,h100-sxm", "--users", "1,10")
    assert (done.code, done.err) == (0, "")
    assert "aiconfigurator-core 0.12.0, kernels of vllm 0.24.0" in " ".join(done.out.split())
    told = breakeven("predict", "--model", "llama-3.1-8b", "--gpu", "l40s,h100-sxm", "--users", "1", "--json", "-")
    near = [run["run"]["settings"]["predicted"]["nearest"] for run in json.loads(told.out)["runs"]]
    assert near == ["kernels", "card"]


@pytest.mark.parametrize(
    ("model", "precision", "gpu", "engine", "cards", "why"),
    [
        ("llama-3.1-8b", "bf16", "l40s", "vllm", 1, None),
        ("qwen3-30b-a3b", "bf16", "l40s", "vllm", 2, "experts"),
        ("llama-3.1-8b", "int4", "l40s", "vllm", 1, "precision"),
        ("llama-3.1-8b", "bf16", "rtx3090", "vllm", 1, "card"),
        ("llama-3.1-8b", "bf16", "l40s", "lmdeploy", 1, "engine"),
    ],
)
def test_what_has_no_plain_kernels_has_a_reason(
    model: str, precision: str, gpu: str, engine: str, cards: int, why: str | None
) -> None:
    assert lacking(find_model(model).kept_as(precision), find_gpu(gpu), engine, cards=cards) == why


def test_a_prediction_says_why_it_does_not_rest_on_kernels() -> None:
    """Of models with experts and in int4 it did not say so."""
    for words, says in (
        (("--model", "qwen3-30b-a3b"), "not from measured kernels: those of models with experts are not read"),
        (
            ("--model", "llama-3.1-8b", "--precision", "int4"),
            "not from measured kernels: they are read in bf16 and fp8",
        ),
    ):
        done = breakeven("predict", *words, "--gpu", "l40s", "--users", "1")
        assert (says in " ".join(done.out.split())) == is_installed()
