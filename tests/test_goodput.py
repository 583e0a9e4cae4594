"""`--slo` gives goodput and decides the exit code; the presets are the limits that MLPerf publishes."""

import re
from pathlib import Path

import pytest

from breakeven.metrics.slo import parse_slo
from commands import breakeven
from fault_answers import answer
from fault_server import FaultServer

LOAD = ("--users", "2", "--duration", "1.0", "--warmup", "0.3", "--output-tokens", "5")


@pytest.mark.parametrize(
    ("preset", "ttft_s", "tpot_s"), [("mlperf-server", 2.0, 0.1), ("mlperf-interactive", 0.5, 0.03)]
)
def test_a_preset_is_mlperfs_limit_for_llama_3_1_8b_at_p99(preset: str, ttft_s: float, tpot_s: float) -> None:
    limits = {limit.metric: limit.limit_s for limit in parse_slo(preset).limits}
    assert limits == {"ttft_p99": ttft_s, "tpot_p99": tpot_s}


@pytest.mark.parametrize(
    ("slo", "code", "verdict"),
    [("ttft_p50=200ms,tpot_p50=50ms", 0, "met"), ("ttft_p50=5ms", 3, "missed"), ("ttft_p99=2s", 3, "unknown")],
)
def test_the_exit_code_is_3_where_a_limit_is_missed_or_cannot_be_told(
    tmp_path: Path, slo: str, code: int, verdict: str
) -> None:
    with FaultServer(answer(ttft_s=0.03, itl_s=0.005)) as server:
        done = breakeven("run", "--url", server.url, *LOAD, "--slo", slo, "--out", tmp_path, "--json", "-")
    assert done.code == code, done.err
    (level,) = done.json["levels"]
    extra = level["extra"]
    assert extra["verdict"] == verdict
    assert f"2 users: {verdict}, goodput" in done.err
    if verdict == "missed":
        assert (extra["goodput_req_per_s"], extra["good_share"]) == (0.0, 0.0)
        assert extra["missed"][0].startswith("ttft_p50 was 3")
    else:
        assert extra["good_share"] == 1.0
        assert extra["goodput_req_per_s"] == pytest.approx(level["req_per_s"]["value"], rel=0.01)
        assert extra["goodput_tok_per_s"] == pytest.approx(5 * extra["goodput_req_per_s"], rel=0.01)


def test_by_a_count_of_requests_goodput_is_the_throughput_where_every_answer_is_good(tmp_path: Path) -> None:
    count = ("--users", "8", "--requests", "16", "--output-tokens", "5")
    with FaultServer(answer(ttft_s=0.03, itl_s=0.02)) as server:
        words = ("run", "--url", server.url, *count, "--slo", "ttft_p50=2s", "--out", tmp_path, "--json", "-")
        (level,) = breakeven(*words).json["levels"]
    assert level["extra"]["good_share"] == 1.0
    assert level["requests"] == 16
    assert level["extra"]["goodput_req_per_s"] == pytest.approx(level["req_per_s"]["value"])


def test_a_line_of_the_limits_has_three_digits_of_goodput_one_user_and_the_margin(tmp_path: Path) -> None:
    load = ("--users", "1", "--duration", "4", "--warmup", "0.1", "--output-tokens", "2")
    with FaultServer(answer(ttft_s=1.2, itl_s=0.005)) as server:
        done = breakeven("run", "--url", server.url, *load, "--slo", "ttft_p50=2s", "--out", tmp_path)
    assert done.code == 0, done.err
    found = re.search(r"^ 1 user: met, goodput (0\.\d{3}) req/s, .*; ttft_p50 (1\.\d\d) s of 2\.00 s", done.out, re.M)
    assert found is not None, done.out
    assert float(found[1]) == pytest.approx(3 / 4)
