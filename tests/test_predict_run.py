"""A predicted curve promises nothing that its hardware cannot give."""

import pytest

from breakeven.hardware import find_gpu, find_model
from breakeven.metrics.summary import RunSummary
from breakeven.predict.calibrations import choose
from breakeven.predict.requests import alike
from breakeven.predict.roofline import passed_bytes
from breakeven.predict.run import predicted_run
from breakeven.predict.wanted import Wanted


def curve(model: str, gpu: str, *, max_batch: int | None = None) -> RunSummary:
    shape, card = find_model(model), find_gpu(gpu)
    wanted = Wanted(
        model=shape,
        gpu=card,
        cards=1,
        engine="vllm",
        users=(1, 10, 100),
        requests=alike(512, 256),
        max_batch=max_batch,
    )
    return predicted_run(wanted, choose(shape, card, engine="vllm"))


@pytest.mark.parametrize("gpu", ["rtx4090", "l40s", "a100-80-sxm", "h100-sxm"])
def test_no_interval_goes_beyond_the_bandwidth_of_its_card(gpu: str) -> None:
    most = find_gpu(gpu).mem_bw_gb_per_s * 1e9 / passed_bytes(find_model("llama-3.1-8b"))
    for level in curve("llama-3.1-8b", gpu).levels:
        low, high = level.of("tok_per_s_per_user").p50.ci95
        value = level.of("tok_per_s_per_user").p50.value
        assert low is not None
        assert high is not None
        assert value is not None
        assert low < value <= high <= most
        fast, slow = level.of("tpot_s").p50.ci95
        assert fast == pytest.approx(1 / high)
        assert slow == pytest.approx(1 / low)
        assert level.output_tok_per_s.ci95[1] <= (level.users or 0) * most  # type: ignore[operator]


def test_the_slow_end_is_as_wide_as_the_errors_were() -> None:
    level = curve("llama-3.1-8b", "rtx4090").levels[0]
    value, (low, high) = level.output_tok_per_s.value, level.output_tok_per_s.ci95
    assert value is not None
    assert low is not None
    assert high is not None
    assert value / low > high / value > 1


def test_nothing_bounds_a_model_with_experts_but_the_errors() -> None:
    level = curve("gpt-oss-120b", "h200-sxm").levels[1]
    value, (low, high) = level.output_tok_per_s.value, level.output_tok_per_s.ci95
    assert value is not None
    assert low is not None
    assert high is not None
    assert high / value == pytest.approx(value / low)


def test_an_engine_that_works_on_one_request_at_once_gives_its_users_together_what_one_has_alone() -> None:
    one, ten, hundred = (level.output_tok_per_s.value for level in curve("llama-3.1-8b", "l40s", max_batch=1).levels)
    assert ten == pytest.approx(one, rel=0.02)  # but for what an answer has to travel
    assert hundred == pytest.approx(one, rel=0.02)
    free = curve("llama-3.1-8b", "l40s")
    assert curve("llama-3.1-8b", "l40s", max_batch=100).levels == free.levels
