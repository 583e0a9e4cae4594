"""Percentiles of predicted levels: by the simulated engine, and held against real engines."""

import json
import re
from pathlib import Path

import pytest
from msgspec.structs import replace

from breakeven.app.choose import CURVE
from breakeven.app.runs import read_run
from breakeven.compare.capacity import operating_point
from breakeven.hardware import find_gpu, find_model
from breakeven.metrics.slo import ServiceLevel, parse_slo
from breakeven.metrics.summary import Quantile, RunSummary
from breakeven.predict.calibrations import choose
from breakeven.predict.closed import Closed
from breakeven.predict.deciding import deciding_run
from breakeven.predict.requests import alike, of_lengths
from breakeven.predict.run import predicted_run
from breakeven.predict.tails import ratios, stray, wider
from breakeven.predict.wanted import Wanted
from breakeven.workload.lengths import Listed
from commands import Done, breakeven

CPU = Path(__file__).parent.parent / "examples" / "cpu-llamacpp-vs-vllm"


def curve(*users: int, has_tails: bool = True) -> RunSummary:
    shape, card = find_model("llama-3.1-8b"), find_gpu("h100-sxm")
    wanted = Wanted(
        model=shape, gpu=card, cards=1, engine="vllm", users=users, has_tails=has_tails, requests=alike(512, 256)
    )
    return predicted_run(wanted, choose(shape, card, engine="vllm"))


def asked(*words: object) -> Done:
    done = breakeven(*words)
    assert done.code == 0, done.err
    return done


def test_one_user_whose_requests_are_alike_strays_by_nothing_but_hiccups() -> None:
    """Every simulated answer is the same, so what is left is what real engines strayed more than that."""
    for name in ("ttft_s", "tpot_s", "e2e_s"):
        found = curve(1).levels[0].of(name)
        middle = found.p50.value
        for at in ("p90", "p95", "p99"):
            value = found.at(at).value
            assert middle is not None
            assert value == pytest.approx(middle * stray(name, at).more, rel=0.01)


def test_answers_of_two_lengths_stray_as_their_lengths_do() -> None:
    """Each user is alone on a step of 10 ms, so that an answer takes as long as it has tokens: one of 12 is ten
    times as long, and 35 tokens are the mean."""
    closed = Closed(ttft_s=0.01, tpot_s=0.01, output_tok_per_s=100, bound="bandwidth", slots=1)
    requests = of_lengths(("file:pairs.csv", "file:pairs.csv"), Listed(((8, 20),) * 11 + ((8, 200),)))
    assert requests.output_tokens == pytest.approx(35, rel=0.01)
    assert requests.longest_tokens == 208
    found = ratios(lambda *_: 0.01, closed, requests, users=1, kv_tokens=None)
    assert found["e2e_s"]["p50"] == pytest.approx(20 / 35, rel=0.15)
    assert found["e2e_s"]["p99"] == pytest.approx(200 / 35, rel=0.15)
    assert found["tpot_s"]["p99"] == pytest.approx(1.0, rel=0.01)


def test_percentiles_rise_and_their_intervals_are_wider_than_the_middle_one() -> None:
    for level in curve(8, 64, 256).levels:
        for name in ("ttft_s", "tpot_s", "e2e_s"):
            found = [level.of(name).at(at) for at in ("p50", "p90", "p95", "p99")]
            values = [one.value for one in found]
            assert values == sorted(values)  # type: ignore[type-var]
            assert all(above(one) > above(found[0]) for one in found[1:])
        speed = level.of("tok_per_s_per_user")
        assert speed.p95.value == pytest.approx(1 / (level.of("tpot_s").p95.value or 0))


def above(one: Quantile) -> float:
    """How far the slow end is from the value, as a factor."""
    high = one.ci95[1]
    assert high is not None
    assert one.value is not None
    return high / one.value


def test_two_errors_that_know_nothing_of_each_other_add_up_as_squares() -> None:
    assert wider(1.0, 1.3) == pytest.approx(1.3)
    assert wider(2.0, 2.0) == pytest.approx(2 ** (2**0.5))
    assert wider(None, 1.3) is None


def test_percentiles_are_worked_out_only_where_they_may_decide() -> None:
    """And what is decided is what the whole curve says."""
    shape, card = find_model("llama-3.1-8b"), find_gpu("h100-sxm")
    chosen = choose(shape, card, engine="vllm")
    wanted = Wanted(model=shape, gpu=card, cards=1, engine="vllm", users=CURVE, requests=alike(512, 256))
    whole = predicted_run(wanted, chosen)
    for limits in ("tpot_p99=20ms", "ttft_p95=300ms,tpot_p95=30ms", "e2e_p90=5s", "tpot_p99=1h"):
        level = ServiceLevel(slo=parse_slo(limits))
        few = deciding_run(wanted, chosen, level)
        assert few == deciding_run(replace(wanted, users=CURVE[::-1]), chosen, level)
        assert len(few.levels) < len(whole.levels)
        point, other = operating_point(whole, level), operating_point(few, level)
        assert point.status == other.status
        assert point.users.value == other.users.value
        assert point.output_tok_per_s.value == other.output_tok_per_s.value
        if point.status == "exact":
            assert other.users.ci95 == pytest.approx(point.users.ci95, rel=0.1)
    middles = deciding_run(wanted, chosen, ServiceLevel(slo=parse_slo("tpot_p50=20ms")))
    assert len(middles.levels) == len(whole.levels)
    assert middles.levels[0].of("tpot_s").p95.value is None


@pytest.mark.parametrize("name", ["llamacpp", "vllm"])
def test_percentiles_of_real_engines_lie_where_they_are_predicted(name: str, tmp_path: Path) -> None:
    """From their own runs, at the loads that were measured: nine of ten of the percentiles are inside at least."""
    folder = CPU / f"smollm2-135m-{name}-chat"
    asked("predict", "--model", "smollm2-135m", "--from", folder, "--users", "1,5,10,50,100", "--out", tmp_path)
    predicted = {level.users: level for level in read_run(next(tmp_path.iterdir())).levels}
    inside = []
    for level in read_run(folder).levels:
        for metric in ("ttft_s", "tpot_s", "e2e_s"):
            for at in ("p90", "p95", "p99"):
                true, (low, high) = level.of(metric).at(at).value, predicted[level.users].of(metric).at(at).ci95
                inside += [] if true is None or low is None or high is None else [low <= true <= high]
    assert len(inside) > 80
    assert sum(inside) / len(inside) > 0.9


def test_a_limit_on_a_percentile_is_answered_by_choose_compare_and_report(tmp_path: Path) -> None:
    limits = ("--slo", "ttft_p95=1s,tpot_p99=60ms")
    cards = ("--model", "llama-3.1-8b")
    found = json.loads(asked("choose", *cards, *limits, "--gpus", "l40s,rtx4090", "--json", "-").out)
    users = [row["users"]["value"] for row in found["candidates"]]
    middles = ("--slo", "ttft_p50=1s,tpot_p50=60ms")
    looser = json.loads(asked("choose", *cards, *middles, "--gpus", "l40s,rtx4090", "--json", "-").out)
    easy = {row["card"]: row["users"]["value"] for row in looser["candidates"]}
    assert all(0 < row["users"]["value"] < easy[row["card"]] for row in found["candidates"]), users
    asked("predict", *cards, "--gpu", "l40s,rtx4090", "--users", "1,8,32,64", "--out", tmp_path)
    a, b = sorted(tmp_path.iterdir())
    compared = asked("compare", a, b, *limits).out
    assert re.search(r"ttft_p95 <= 1\.00 s, tpot_p99 <= 60\.0 ms", compared)
    page = json.loads(asked("report", a, b, *limits, "--json", "-").out)
    assert [row["users"]["value"] > 0 for row in page["ranking"]] == [True, True]


def test_a_percentile_that_nothing_meets_says_what_the_nearest_has() -> None:
    done = breakeven("choose", "--model", "llama-3.1-8b", "--slo", "ttft_p95=1ms", "--gpus", "l40s")
    assert done.code == 3
    assert re.search(r"nothing meets ttft_p95 <= 1.0+ ms: the least ttft_p95 is [\d.]+ ms \(L40S", done.err)


def test_answers_of_one_token_have_no_time_per_token() -> None:
    """They divided by zero."""
    out = asked("predict", "--model", "llama-3.1-8b", "--gpu", "l40s", "--output-tokens", 1, "--users", "1,8").out
    assert re.search(r"^ +8 .* - +- +- +\S", out, re.MULTILINE)
