"""Result files of llmperf, of vLLM's multi-turn benchmark and sweeps, and of agents' sessions: each figure by hand."""

import json
from pathlib import Path
from typing import Any

import pytest

from breakeven.errors import UsageError
from breakeven.exchange import import_file, merge
from commands import breakeven
from test_exchange import INFERENCEX, LLMPERF, document, lines, multi_turn, read

AGENTIC: dict[str, Any] = {
    key: value for key, value in INFERENCEX.items() if key in ("hw", "conc", "image", "model", "framework", "precision")
} | {
    "spec_decoding": "none",
    "scenario_type": "agentic-coding",
    "is_multinode": False,
    "tp": 4,
    "ep": 1,
    "pp": 1,
    "pcp_size": 1,
    "kv_offloading": "none",
    "kv_offload_backend": None,
    "num_requests_total": 430,
    "num_requests_successful": 400,
    "request_accounting": {"records_total": 430, "records_warmup_dropped": 10, "records_error_dropped": 20},
    "request_metrics": {
        "qps": {"window_seconds": 1.0, "samples": 99, "mean": 4.1},
        "latency": {
            "ttft": {"mean": 0.9, "p50": 0.8, "p75": 1.0, "p90": 1.5, "p95": 1.9, "std": 0.4},
            "e2el": {"mean": 7.0, "p50": 6.0, "p75": 8.0, "p90": 11.0, "p95": 14.0, "std": 3.0},
            "itl": {"mean": 0.021, "p50": 0.02, "p75": 0.022, "p90": 0.025, "p95": 0.03, "std": 0.004},
            "tpot": {"mean": 0.021, "p50": 0.02, "p75": 0.022, "p90": 0.025, "p95": 0.03, "std": 0.004},
            "intvty": {"mean": 47.6, "p50": 50.0},
        },
        "tokens": {"input": {"mean": 30000.0, "p50": 25000.0}, "output_actual": {"mean": 300.0, "p50": 250.0}},
        "throughput": {
            "input": {"tokens_per_second": 120000},
            "output": {"tokens_per_second": 1200},
            "total": {"tokens_per_second": 121200},
            "duration_seconds": 100,
            "per_gpu": {"total_tput_tps": 30300, "output_tput_tps": 300, "input_tput_tps": 30000},
        },
        "cache": {"theoretical_cache_hit_rate": 0.93},
    },
    "server_metrics": {"kv_cache": {"gpu_total_tokens": 1_000_000}},
}
"""Built from the tool's own step that writes it: utils/agentic/aggregation, 2026-08-21."""


def test_llmperf_s_figures_are_kept_and_its_gap_is_not() -> None:
    """60 answers at 75 a minute took 48 s."""
    found = read(LLMPERF)
    level = found.run.levels[0]
    assert (level.users, level.requests, level.errors, level.window_s) == (5, 60, 2, 48.0)
    assert (level.output_tok_per_s.value, level.req_per_s.value) == (185.0, 1.25)
    ttft, e2e = level.of("ttft_s"), level.of("e2e_s")
    assert (ttft.mean, ttft.p50.value, ttft.p95.value) == (0.45, 0.4, 0.7)
    assert ttft.p99.value is None  # of 60 requests it is the largest
    assert (e2e.mean, e2e.p90.value) == (4.1, 4.6)
    assert "itl_s" not in level.distributions
    assert any("inter_token_latency_s" in note and note.startswith("Left out") for note in found.notes)
    assert found.run.run.model == "qwen3-8b"
    assert found.run.run.workload == {"input_tokens": 540.5, "output_tokens": 148.0}
    assert found.run.run.started == "2025-09-03T11:46:40+00:00"


def test_a_multi_turn_benchmark_s_requests_give_every_figure() -> None:
    """Forty answers of 10 tokens, the last begun at 3 s and ended at 4 s: 400 tokens and 40 answers in 4 s."""
    found = read(multi_turn(8))
    level = found.run.levels[0]
    assert (level.users, level.requests, level.window_s) == (8, 40, 4.0)
    assert (level.input_tokens, level.output_tokens) == (2000, 400)
    assert level.output_tok_per_s.value == pytest.approx(100.0)
    assert level.total_tok_per_s.value == pytest.approx(600.0)
    assert level.req_per_s.value == pytest.approx(10.0)
    assert [level.of(name).mean for name in ("ttft_s", "tpot_s", "e2e_s")] == pytest.approx([0.1, 0.1, 1.0])
    assert level.of("tok_per_s_per_user").p50.value == pytest.approx(10.0)
    assert found.run.run.workload == {"input_tokens": 50.0, "output_tokens": 10.0}


def test_an_answer_of_one_chunk_has_no_tpot() -> None:
    one = multi_turn(1)
    one[0]["tpot_ms"] = 0.0
    level = read(one).run.levels[0]
    assert (level.of("tpot_s").n, level.of("ttft_s").n) == (39, 40)


def test_a_list_of_vllm_s_results_is_a_sweep() -> None:
    """`vllm bench sweep` writes summary.json so: one object a run of the same load."""
    one = document("vllm_bench.json")
    runs = [one | {"output_throughput": rate, "run_number": number} for number, rate in enumerate((700.0, 720.0))]
    [found] = import_file(json.dumps(runs).encode(), where="summary.json")
    assert [(level.users, level.repeat, level.output_tok_per_s.value) for level in found.run.levels] == [
        (50, 0, 700.0),
        (50, 1, 720.0),
    ]
    assert found.run.repeats[0].n == 2


def test_one_run_of_a_sweep_under_two_settings_of_the_server_is_no_repeat() -> None:
    one = document("vllm_bench.json") | {"run_number": 0}
    small, large = (read(one | {"max_num_seqs": seqs, "output_throughput": 7.0 * seqs}) for seqs in (64, 128))
    with pytest.raises(UsageError, match=r"the level of 50 users has a run 0 in two of them, .* import each alone"):
        merge([small, large])


@pytest.mark.parametrize("data", [b"[{}]", b"[1, 2]", b'[{"a": 1}, {"b": 2}]'])
def test_a_list_of_something_else_is_no_result_file(data: bytes) -> None:
    with pytest.raises(UsageError, match="no known result file"):
        import_file(data, where="x.json")


def test_agents_sessions_of_inferencex_give_a_level() -> None:
    """400 answers in 100 s; throughput is that of all four GPUs already."""
    found = read(AGENTIC)
    level = found.run.levels[0]
    assert (level.users, level.requests, level.errors, level.window_s) == (64, 400, 20, 100.0)
    assert (level.output_tok_per_s.value, level.total_tok_per_s.value, level.req_per_s.value) == (1200, 121200, 4.0)
    ttft, tpot = level.of("ttft_s"), level.of("tpot_s")
    assert (ttft.mean, ttft.p50.value, ttft.p95.value, ttft.p99.value) == (0.9, 0.8, 1.9, None)
    assert (tpot.p50.value, level.of("tok_per_s_per_user").p50.value) == (0.02, 50.0)
    assert level.of("e2e_s").p90.value == 11.0
    assert "itl_s" not in level.distributions
    assert found.run.run.host == {"gpu": "h200-sxm", "gpu_name": "h200-dgxc", "gpu_count": 4}
    assert found.run.run.workload == {"name": "agentic-coding", "input_tokens": 30000.0, "output_tokens": 300.0}


def test_agents_sessions_over_more_of_them_are_one_run() -> None:
    [found] = import_file(json.dumps([AGENTIC, AGENTIC | {"conc": 16}]).encode(), where="agg.json")
    assert [level.users for level in found.run.levels] == [16, 64]


@pytest.mark.parametrize("content", [AGENTIC, LLMPERF, multi_turn(8)])
def test_each_is_compared_as_it_is(content: Any, tmp_path: Path) -> None:
    file = tmp_path / "file.json"
    file.write_bytes(lines(content))
    done = breakeven("compare", file, file, "--floor", "5")
    assert done.code == 0, done.err
