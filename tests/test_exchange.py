"""Result files of other tools: told by content, read with their definitions, refused in one line when broken."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from breakeven.app.serve import Shelf
from breakeven.errors import BreakevenError, RunFailedError, UsageError
from breakeven.exchange import EXPORTERS, IMPORTERS, SENDERS, Imported, export_run, import_file, merge
from breakeven.exchange.imported import safe_url
from breakeven.exchange.tables import OF_RECORDS
from breakeven.metrics.summary import LevelSummary, RunSummary
from breakeven.report.terminal import headline
from commands import breakeven, run_folder

DATA = Path(__file__).parent / "data"
REAL = Path(__file__).parents[2] / "shared" / "data" / "peer_results"
FILES = {"vllm": "vllm_bench.json", "guidellm": "guidellm_excerpt.json", "aiperf": "profile_export_aiperf.json"}


def document(name: str) -> Any:
    return json.loads((DATA / name).read_bytes())


def read(content: Any, *, where: str = "file.json") -> Imported:
    [run] = import_file(json.dumps(content).encode(), where=where)
    return run


def level_of(content: Any) -> LevelSummary:
    [level] = read(content).run.levels
    return level


GENAI_BENCH = {
    "aggregated_metrics": {
        "scenario": "D(100,100)",
        "num_concurrency": 2,
        "iteration_type": "num_concurrency",
        "run_duration": 4.0,
        "mean_output_throughput_tokens_per_s": 5.0,
        "mean_total_tokens_throughput_tokens_per_s": 15.0,
        "requests_per_second": 0.5,
        "num_error_requests": 1,
        "num_completed_requests": 2,
        "num_requests": 3,
        "stats": {
            "ttft": {"mean": 0.3, "p50": 0.2, "p90": 0.38, "p95": 0.39, "p99": 0.398},
            "tpot": {"mean": 0.1, "p50": 0.1, "p90": 0.1, "p95": 0.1, "p99": 0.1},
            "e2e_latency": {"mean": 1.75, "p50": 1.75, "p90": 1.9, "p95": 1.95, "p99": 1.99},
        },
    },
    "individual_request_metrics": [
        {
            "ttft": 0.2,
            "tpot": 0.1,
            "e2e_latency": 1.1,
            "num_input_tokens": 20,
            "num_output_tokens": 10,
            "error_code": None,
        },
        {
            "ttft": 0.4,
            "tpot": 0.2,
            "e2e_latency": 4.2,
            "num_input_tokens": 40,
            "num_output_tokens": 20,
            "error_code": None,
        },
        {"ttft": None, "tpot": None, "e2e_latency": None, "error_code": 500, "error_message": "no"},
    ],
    "_time_unit": "s",
}
"""Built from the tool's own types: genai_bench/metrics/metrics.py and aggregated_metrics_collector.py, 2026-07-22."""

INFERENCE_PERF = {
    "benchmark_time_seconds": 50.0,
    "load_summary": {
        "count": 205,
        "schedule_delay": {"mean": 0.001},
        "send_duration": 49.0,
        "requested_rate": 4.0,
        "achieved_rate": 4.1,
    },
    "successes": {
        "count": 200,
        "latency": {
            "request_latency": {"mean": 2.0, "median": 1.9, "p90": 2.4, "p95": 2.5, "p99": 2.9},
            "normalized_time_per_output_token": {"mean": 0.02, "median": 0.019, "p99": 0.029},
            "time_per_output_token": {"mean": 0.018, "median": 0.017, "p90": 0.02, "p95": 0.021, "p99": 0.025},
            "time_to_first_token": {"mean": 0.2, "median": 0.19, "p90": 0.3, "p95": 0.35, "p99": 0.5},
            "inter_token_latency": {"mean": 0.018, "median": 0.00001, "p99": 0.09},
        },
        "throughput": {
            "input_tokens_per_sec": 800.0,
            "output_tokens_per_sec": 400.0,
            "total_tokens_per_sec": 1200.0,
            "requests_per_sec": 4.0,
        },
        "prompt_tokens": {"mean": 200.0, "total": 40000.0},
        "output_tokens": {"mean": 100.0, "total": 20000.0},
    },
    "failures": {"count": 5, "request_latency": None},
}
"""Built from the tool's own summary: inference_perf/reportgen/base.py, 2026-08-19."""

INFERENCEX = {
    "hw": "h200-dgxc",
    "conc": 64,
    "image": "vllm/vllm-openai:v0.11",
    "model": "openai/gpt-oss-120b",
    "infmax_model_prefix": "gptoss",
    "framework": "vllm",
    "precision": "fp4",
    "spec_decoding": "none",
    "disagg": False,
    "isl": 1024,
    "osl": 1024,
    "is_multinode": False,
    "tp": 4,
    "pp": 1,
    "dcp_size": 1,
    "pcp_size": 1,
    "ep": 1,
    "dp_attention": "false",
    "tput_per_gpu": 2000.0,
    "output_tput_per_gpu": 1000.0,
    "input_tput_per_gpu": 1000.0,
    "mean_ttft": 0.25,
    "median_ttft": 0.2,
    "p99_ttft": 0.9,
    "mean_tpot": 0.016,
    "median_tpot": 0.015,
    "p99_tpot": 0.02,
    "median_intvty": 66.7,
    "median_itl": 0.014,
    "mean_e2el": 16.0,
    "median_e2el": 15.5,
    "p99_e2el": 20.0,
}
"""Built from the tool's own step that writes it: utils/process_result.py, 2026-08-21."""

SGLANG = {
    "tag": None,
    "backend": "sglang",
    "dataset_name": "random",
    "request_rate": float("inf"),
    "max_concurrency": 16,
    "sharegpt_output_len": None,
    "random_input_len": 1024,
    "random_output_len": 128,
    "random_range_ratio": 1.0,
    "server_info": {"model_path": "/models/qwen3-8b", "served_model_name": "qwen3-8b", "tp_size": 1},
    "duration": 8.0,
    "completed": 200,
    "total_input_tokens": 204800,
    "total_output_tokens": 25600,
    "total_output_tokens_retokenized": 25590,
    "request_throughput": 25.0,
    "input_throughput": 25600.0,
    "output_throughput": 3200.0,
    "total_throughput": 28800.0,
    "mean_e2e_latency_ms": 620.0,
    "median_e2e_latency_ms": 610.0,
    "p99_e2e_latency_ms": 700.0,
    "mean_ttft_ms": 90.0,
    "median_ttft_ms": 80.0,
    "p99_ttft_ms": 150.0,
    "mean_tpot_ms": 4.2,
    "median_tpot_ms": 4.0,
    "p99_tpot_ms": 5.0,
    "mean_itl_ms": 4.2,
    "median_itl_ms": 3.0,
    "p95_itl_ms": 9.0,
    "p99_itl_ms": 20.0,
    "concurrency": 15.5,
    "accept_length": None,
}
"""Built from the tool's own writer: python/sglang/bench_serving.py, read on 2026-11-29."""

LLMD = {
    "version": "0.2",
    "run": {"uid": "u", "time": {"start": "2026-11-05T18:00:42Z", "duration": "PT60S"}},
    "scenario": {
        "stack": [
            {
                "metadata": {"label": "epp", "cfg_id": "a"},
                "standardized": {"kind": "generic", "tool": "inference_scheduler", "tool_version": ""},
                "native": {},
            },
            {
                "metadata": {"label": "decode", "cfg_id": "b"},
                "standardized": {
                    "kind": "inference_engine",
                    "tool": "llm-d",
                    "tool_version": "ghcr.io/llm-d/llm-d-cuda:0.3.1",
                    "role": "decode",
                    "replicas": 2,
                    "model": {"name": "Qwen/Qwen3-0.6B"},
                    "accelerator": {"model": "NVIDIA-H100-80GB-HBM3", "count": 4, "parallelism": {"tp": 4}},
                },
                "native": {"args": {"--max-model-len": 1024}},
            },
        ],
        "load": {
            "metadata": {"cfg_id": "c"},
            "standardized": {
                "tool": "vllm-benchmark",
                "tool_version": "0.11",
                "stage": 0,
                "source": "random",
                "input_seq_len": {"distribution": "fixed", "value": 1000},
                "concurrency": 50,
            },
            "native": {},
        },
    },
    "results": {
        "request_performance": {
            "aggregate": {
                "requests": {
                    "total": 210,
                    "failures": 10,
                    "input_length": {"units": "count", "mean": 1000.0},
                    "output_length": {"units": "count", "mean": 128.0},
                },
                "latency": {
                    "time_to_first_token": {"units": "ms", "mean": 65.0, "p50": 60.0, "p90": 80.0, "p99": 90.0},
                    "time_per_output_token": {"units": "ms/token", "mean": 10.0, "p50": 10.0, "p99": 12.5},
                    "inter_token_latency": {"units": "ms/token", "mean": 10.0, "p50": 9.0, "p99": 30.0},
                    "request_latency": {"units": "ms", "mean": 1335.0, "p50": 1330.0, "p99": 1600.0},
                },
                "throughput": {
                    "output_token_rate": {"units": "tokens/s", "mean": 5120.0},
                    "total_token_rate": {"units": "tokens/s", "mean": 45120.0},
                    "request_rate": {"units": "queries/s", "mean": 40.0},
                },
            }
        }
    },
}
"""Built from the schema of llmd-benchmark-report 0.2.1, as its converter writes a result of vLLM's benchmark."""

LLMPERF = {
    "version": "2023-08-31",
    "name": "qwen3-8b_550_150_summary",
    "model": "qwen3-8b",
    "mean_input_tokens": 550,
    "stddev_input_tokens": 150,
    "mean_output_tokens": 150,
    "stddev_output_tokens": 10,
    "num_concurrent_requests": 5,
    "results_inter_token_latency_s_quantiles_p50": 0.03,
    "results_inter_token_latency_s_mean": 0.031,
    "results_ttft_s_quantiles_p25": 0.3,
    "results_ttft_s_quantiles_p50": 0.4,
    "results_ttft_s_quantiles_p75": 0.5,
    "results_ttft_s_quantiles_p90": 0.6,
    "results_ttft_s_quantiles_p95": 0.7,
    "results_ttft_s_quantiles_p99": 0.8,
    "results_ttft_s_mean": 0.45,
    "results_ttft_s_min": 0.2,
    "results_ttft_s_max": 0.9,
    "results_ttft_s_stddev": 0.1,
    "results_end_to_end_latency_s_quantiles_p50": 4.0,
    "results_end_to_end_latency_s_quantiles_p90": 4.6,
    "results_end_to_end_latency_s_quantiles_p99": 5.0,
    "results_end_to_end_latency_s_mean": 4.1,
    "results_number_input_tokens_mean": 540.5,
    "results_number_output_tokens_mean": 148.0,
    "results_num_requests_started": 62,
    "results_error_rate": 0.032,
    "results_number_errors": 2,
    "results_error_code_frequency": "{500: 2}",
    "results_mean_output_throughput_token_per_s": 185.0,
    "results_num_completed_requests": 60,
    "results_num_completed_requests_per_min": 75.0,
    "timestamp": 1756900000,
}
"""Built from the tool's own writer: token_benchmark_ray.py and llmperf/utils.py, read on 2026-11-29."""


def multi_turn(users: int) -> list[dict[str, Any]]:
    """Forty answers of 10 tokens in 1 s each, the first token after 0.1 s, begun at 0, 1, 2 and 3 s.

    Built from RequestStats of benchmarks/multi_turn/benchmark_serving_multi_turn.py of vLLM, read on 2026-11-29.
    """
    return [
        {
            "ttft_ms": 100.0,
            "tpot_ms": 100.0,
            "latency_ms": 1000.0,
            "start_time_ms": 5000.0 + 1000.0 * (number % 4),
            "input_num_turns": 3,
            "input_num_tokens": 50,
            "output_num_tokens": 10,
            "output_num_chunks": 9,
            "output_num_first_chunk_tokens": 1,
            "approx_cached_percent": 60.0,
            "conversation_id": f"conv_{number}",
            "client_id": number % users,
        }
        for number in range(40)
    ]


SCHEMAS: dict[str, Any] = {
    **{tool: document(name) for tool, name in FILES.items()},
    "genai-bench": GENAI_BENCH,
    "sglang": SGLANG,
    "inference-perf": INFERENCE_PERF,
    "inferencex": INFERENCEX,
    "llmd-report": LLMD,
    "llmperf": LLMPERF,
    "vllm-multi-turn": multi_turn(10),
}


WITHOUT_TPOT = ("llmperf",)
"""Their files hold none."""


@pytest.mark.parametrize("tool", IMPORTERS)
def test_every_format_is_told_by_its_content_and_names_its_definitions(tool: str) -> None:
    found = read(SCHEMAS[tool], where="results/x.json")
    about = found.run.run.settings["imported"]
    assert found.tool == about["tool"] == tool
    assert about["file"] == "x.json"
    assert about["notes"] == list(found.notes)
    assert {"output_tok_per_s", "ttft_s", "e2e_s"} <= set(about["definitions"])
    assert ("tpot_s" in about["definitions"]) == (tool not in WITHOUT_TPOT)
    assert found.run.run.settings["unit"] == "tokens"


@pytest.mark.parametrize("tool", IMPORTERS)
def test_every_format_gives_a_level_that_a_comparison_can_use(tool: str) -> None:
    level = level_of(SCHEMAS[tool])
    assert (level.users is None) != (level.req_per_s_offered is None)
    assert level.output_tok_per_s.value
    assert level.of("ttft_s").p50.value
    tpot_s, speed = level.of("tpot_s").p50.value, level.of("tok_per_s_per_user").p50.value
    assert (tpot_s is None) == (tool in WITHOUT_TPOT)
    assert speed == (None if tpot_s is None else pytest.approx(1 / tpot_s, rel=1e-6))
    assert [caution.id for caution in level.cautions] == ["imported"]


@pytest.mark.parametrize("tool", IMPORTERS)
def test_every_import_survives_format_1(tool: str) -> None:
    run = read(SCHEMAS[tool]).run
    assert msgspec.json.decode(msgspec.json.encode(run), type=RunSummary) == run


def test_vllm_s_own_figures_are_kept_in_seconds() -> None:
    level = level_of(SCHEMAS["vllm"])
    assert (level.users, level.requests, level.errors) == (50, 200, 0)
    assert level.output_tok_per_s.value == pytest.approx(25600 / 5.36259218, rel=1e-6)
    assert level.of("ttft_s").mean == pytest.approx(0.0658044609)
    assert level.of("tpot_s").p99.value == pytest.approx(0.0100317808, rel=1e-6)
    assert level.of("ttft_s").p99.ci95 == (None, None)
    assert level.of("ttft_s").p95.value is None


def test_vllm_s_start_is_an_iso_date() -> None:
    assert read(SCHEMAS["vllm"]).run.run.started == "2026-11-23T02:58:00"


def test_vllm_s_single_requests_give_percentiles_with_intervals() -> None:
    detail = document("vllm_bench.json") | {
        "ttfts": [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.0],
        "itls": [[0.01, 0.03]] * 6 + [[]],
        "output_lens": [3, 3, 3, 3, 3, 3, 0],
        "errors": [""] * 6 + ["timeout"],
    }
    level = level_of(detail)
    assert (level.of("ttft_s").n, level.of("ttft_s").p50.value, level.of("ttft_s").p50.ci95) == (6, 0.3, (0.1, 0.6))
    assert level.of("ttft_s").mean == pytest.approx(0.35)
    assert level.of("tpot_s").p50.value == pytest.approx(0.02)
    assert level.of("tok_per_s_per_user").mean == pytest.approx(50.0)
    assert level.of("itl_s").n == 12
    assert level.of("itl_s").mean == pytest.approx(0.02)
    assert level.of("e2e_s").p50.value == pytest.approx(0.34)


def test_vllm_s_paced_load_is_an_offered_rate_and_not_users() -> None:
    level = level_of(document("vllm_bench.json") | {"request_rate": 12.5})
    assert (level.users, level.req_per_s_offered) == (None, 12.5)


def test_all_at_once_is_neither_users_nor_a_rate_and_said() -> None:
    found = read(document("vllm_bench.json") | {"max_concurrency": None})
    assert (found.run.levels[0].users, found.run.levels[0].req_per_s_offered) == (None, None)
    assert "All requests were sent at once: the level has neither users nor a rate." in found.notes


def test_guidellm_s_tpot_is_left_out_because_it_contains_the_first_token() -> None:
    found = read(SCHEMAS["guidellm"])
    blocks = document("guidellm_excerpt.json")["benchmarks"][0]["metrics"]
    theirs_ms = blocks["time_per_output_token_ms"]["successful"]["mean"]
    itl_ms = blocks["inter_token_latency_ms"]["successful"]["mean"]
    assert found.run.levels[0].of("tpot_s").mean == pytest.approx(itl_ms / 1000)
    assert itl_ms < theirs_ms - 0.3
    assert any("contains the first token" in note for note in found.notes)


def test_guidellm_s_single_requests_are_used_when_all_are_there() -> None:
    content = document("guidellm_excerpt.json")
    content["benchmarks"][0]["metrics"]["request_totals"]["successful"] = 3
    level = level_of(content)
    stamps = [one["info"]["timings"] for one in content["benchmarks"][0]["requests"]["successful"]]
    first_to_last = [s["last_token_iteration"] - s["first_output_token_iteration"] for s in stamps]
    assert level.of("tpot_s").n == 3
    assert level.of("tpot_s").mean == pytest.approx(sum(first_to_last) / 3 / 127)
    assert level.of("e2e_s").mean == pytest.approx(
        sum(s["last_token_iteration"] - s["request_start"] for s in stamps) / 3
    )


def guidellm_04() -> Any:
    """As 0.4 and 0.5 name the first token's stamp: guidellm/schemas/info.py, read on 2026-11-29."""
    content = document("guidellm_excerpt.json")
    content["benchmarks"][0]["metrics"]["request_totals"]["successful"] = 3
    for one in content["benchmarks"][0]["requests"]["successful"]:
        stamps = one["info"]["timings"]
        stamps["first_token_iteration"] = stamps.pop("first_output_token_iteration")
    return content


def test_guidellm_s_stamps_of_0_4_and_0_5_give_the_same_figures() -> None:
    """All requests were skipped, while the file's own aggregates were there."""
    now = document("guidellm_excerpt.json")
    now["benchmarks"][0]["metrics"]["request_totals"]["successful"] = 3
    level = level_of(guidellm_04())
    assert level.of("ttft_s").n == 3
    assert level.distributions == level_of(now).distributions


def test_guidellm_s_own_figures_stand_where_no_request_has_a_stamp() -> None:
    content = guidellm_04()
    for one in content["benchmarks"][0]["requests"]["successful"]:
        one["info"]["timings"] = {}
    theirs = content["benchmarks"][0]["metrics"]["time_to_first_token_ms"]["successful"]["mean"]
    found = read(content)
    assert found.run.levels[0].of("ttft_s").mean == pytest.approx(theirs / 1000)
    assert any("the tool's own" in note for note in found.notes)


def guidellm_03(*, requests: int) -> Any:
    """Built from the tool's own types before 0.4: guidellm/benchmark/benchmark.py, read on 2026-11-29."""

    def summary(mean: float) -> dict[str, Any]:
        percentiles = {"p90": mean + 1, "p95": mean + 2, "p99": mean + 3}
        return {"successful": {"mean": mean, "median": mean - 1, "total_sum": mean * 200, "percentiles": percentiles}}

    one = {"output_tokens": 5, "start_time": 10.0, "first_token_time": 10.5, "last_token_time": 12.5, "end_time": 13.0}
    names = ("requests_per_second", "request_latency", "prompt_token_count", "output_token_count")
    more = ("time_to_first_token_ms", "inter_token_latency_ms", "output_tokens_per_second", "tokens_per_second")
    benchmark = {
        "type_": "generative_benchmark",
        "args": {"strategy_index": 0, "strategy": {"type_": "concurrent", "streams": 6}},
        "run_stats": {"start_time": 10.0, "end_time": 60.0},
        "worker": {"backend_type": "openai_http", "backend_target": "http://box:8000", "backend_model": "m"},
        "metrics": {name: summary(10.0 * number) for number, name in enumerate((*names, *more), start=1)},
        "duration": 50.0,
        "request_totals": {"successful": 200, "incomplete": 2, "errored": 1, "total": 203},
        "requests": {"successful": [one] * requests, "incomplete": [], "errored": []},
    }
    return {"benchmarks": [benchmark]}


def test_guidellm_before_0_4_is_read_from_its_aggregates_and_from_its_requests() -> None:
    found = read(guidellm_03(requests=3))
    level = found.run.levels[0]
    assert (found.run.run.model, found.run.run.engine["url"]) == ("m", "http://box:8000")
    assert (level.users, level.requests, level.errors, level.cut, level.window_s) == (6, 200, 1, 2, 50.0)
    assert (level.output_tok_per_s.value, level.req_per_s.value, level.output_tokens) == (70.0, 10.0, 8000)
    assert (level.of("ttft_s").mean, level.of("ttft_s").p50.value) == (0.05, 0.049)
    assert (level.of("tpot_s").p99.value, level.of("e2e_s").p90.value) == (0.063, 21.0)
    whole = level_of(guidellm_03(requests=200))
    means = [whole.of(name).mean for name in ("ttft_s", "tpot_s", "e2e_s")]
    assert means == [pytest.approx(0.5), pytest.approx(0.5), pytest.approx(2.5)]


@pytest.mark.parametrize(
    ("strategy", "users", "rate"),
    [
        ({"type_": "synchronous"}, 1, None),
        ({"type_": "concurrent", "streams": 7}, 7, None),
        ({"type_": "constant", "rate": 2.5}, None, 2.5),
        ({"type_": "throughput"}, None, None),
    ],
)
def test_guidellm_s_strategies_become_users_or_a_rate(strategy: Any, users: int | None, rate: float | None) -> None:
    content = document("guidellm_excerpt.json")
    content["benchmarks"][0]["config"]["strategy"] = strategy
    level = level_of(content)
    assert (level.users, level.req_per_s_offered) == (users, rate)


def test_a_guidellm_sweep_gives_one_level_a_benchmark() -> None:
    content = document("guidellm_excerpt.json")
    other = json.loads(json.dumps(content["benchmarks"][0]))
    other["config"]["strategy"]["streams"] = 10
    content["benchmarks"].append(other)
    assert [level.users for level in read(content).run.levels] == [50, 10]


def test_aiperf_s_inter_token_latency_is_our_tpot_and_its_chunk_gap_our_itl() -> None:
    level = level_of(SCHEMAS["aiperf"])
    theirs = SCHEMAS["aiperf"]
    assert level.of("tpot_s").mean == pytest.approx(theirs["inter_token_latency"]["avg"] / 1000)
    assert level.of("itl_s").p99.value == pytest.approx(theirs["inter_chunk_latency"]["p99"] / 1000)
    assert level.of("itl_s").n == 25400
    assert (level.users, level.requests, level.output_tokens) == (50, 200, 25600)


def test_the_speed_that_95_of_100_answers_reach_is_aiperf_s_fifth_percentile() -> None:
    per_user = SCHEMAS["aiperf"]["output_token_throughput_per_user"]
    speed = level_of(SCHEMAS["aiperf"]).of("tok_per_s_per_user")
    assert speed.p95.value == pytest.approx(per_user["p5"], rel=1e-6)
    assert speed.p99.value == pytest.approx(per_user["p1"], rel=1e-6)
    assert speed.mean == per_user["avg"]


def test_aiperf_s_unit_counts_and_an_unknown_one_is_refused() -> None:
    content = document("profile_export_aiperf.json")
    content["time_to_first_token"] = {"unit": "sec", "avg": 0.5}
    assert level_of(content).of("ttft_s").mean == 0.5
    content["time_to_first_token"]["unit"] = "days"
    with pytest.raises(UsageError, match=r"file.json.time_to_first_token.unit: a time was expected .* not 'days'"):
        read(content)


def test_aiperf_s_measured_phase_is_told_by_its_name_where_it_has_no_kind() -> None:
    content = document("profile_export_aiperf.json")
    content["input_config"]["phases"] = [
        {"name": "warmup", "concurrency": 3, "exclude_from_results": True},
        {"name": "profiling", "concurrency": 5, "exclude_from_results": True},
        {"name": "profiling", "concurrency": 7, "exclude_from_results": False},
    ]
    assert level_of(content).users == 7


def test_a_rate_of_aiperf_is_offered_also_where_requests_in_flight_have_a_limit() -> None:
    content = document("profile_export_aiperf.json")
    content["input_config"]["phases"] = [{"name": "profiling", "type": "poisson", "rate": 2.5, "concurrency": 7}]
    level = level_of(content)
    assert (level.users, level.req_per_s_offered) == (None, 2.5)


@pytest.mark.parametrize(
    ("stimulus", "users", "rate"),
    [({"concurrency": 4}, 4, None), ({"request_rate": 2.5}, None, 2.5), ({"session_concurrency": 3}, None, None)],
)
def test_genai_perf_s_load_is_its_stimulus(stimulus: Any, users: int | None, rate: float | None) -> None:
    """Built from the tool's own writer and its tests: genai_perf/export_data/json_exporter.py, read on 2026-11-29."""

    def times(ms: float) -> dict[str, Any]:
        return {"unit": "ms", "avg": ms, "p50": ms, "p90": ms + 1, "p95": ms + 2, "p99": ms + 3}

    content = {
        "request_throughput": {"unit": "requests/sec", "avg": 2.0},
        "request_latency": times(1000.0),
        "time_to_first_token": times(100.0),
        "inter_token_latency": times(10.0),
        "output_token_throughput": {"unit": "tokens/sec", "avg": 180.0},
        "output_token_throughput_per_user": {"unit": "tokens/sec/user", "avg": 101.0},
        "output_sequence_length": {"unit": "tokens", "avg": 90.0},
        "input_sequence_length": {"unit": "tokens", "avg": 550.0},
        "request_count": {"unit": "requests", "avg": 100.0},
        "input_config": {
            "model_names": ["small_model"],
            "endpoint": {"url": "http://box:8001", "type": "chat"},
            "perf_analyzer": {"path": "perf_analyzer", "stimulus": stimulus},
        },
    }
    found = read(content)
    level = found.run.levels[0]
    assert (found.tool, found.run.run.model) == ("genai-perf", "small_model")
    assert (level.users, level.req_per_s_offered, level.requests) == (users, rate, 100)
    assert (level.output_tok_per_s.value, level.req_per_s.value) == (180.0, 2.0)
    assert (level.of("ttft_s").mean, level.of("e2e_s").p50.value) == (0.1, 1.0)
    assert level.of("tpot_s").p99.value == pytest.approx(0.013)
    assert found.run.run.workload == {"input_tokens": 550.0, "output_tokens": 90.0}


def test_an_imported_answer_length_is_called_the_mean_that_it_is() -> None:
    content = document("profile_export_aiperf.json")
    content["output_sequence_length"]["avg"] = 915.894
    assert "answers of 916 tokens on average" in headline(read(content).run)


def test_genai_bench_s_throughput_is_of_all_answers_over_the_whole_time() -> None:
    level = level_of(GENAI_BENCH)
    assert level.output_tok_per_s.value == pytest.approx((10 + 20) / 4)
    assert level.total_tok_per_s.value == pytest.approx((30 + 60) / 4)
    assert (level.users, level.requests, level.errors) == (2, 2, 1)
    assert level.of("tpot_s").mean == pytest.approx(0.15)
    assert level.of("tok_per_s_per_user").mean == pytest.approx((10 + 5) / 2)


def test_genai_bench_may_write_milliseconds() -> None:
    one = {"ttft": 200.0, "tpot": 100.0, "e2e_latency": 1100.0, "num_input_tokens": 20, "num_output_tokens": 10}
    total = GENAI_BENCH["aggregated_metrics"] | {"num_completed_requests": 1}  # type: ignore[operator]
    content = {"aggregated_metrics": total, "individual_request_metrics": [one], "_time_unit": "ms"}
    level = level_of(content)
    assert (level.of("ttft_s").mean, level.of("tpot_s").mean, level.of("e2e_s").mean) == (0.2, 0.1, 1.1)
    with pytest.raises(UsageError, match=r"_time_unit: s or ms was expected, not 'h'"):
        read(content | {"_time_unit": "h"})


def test_genai_bench_without_its_requests_gives_its_own_figures_and_says_so() -> None:
    found = read(GENAI_BENCH | {"individual_request_metrics": []})
    assert found.run.levels[0].output_tok_per_s.value == 5.0
    assert found.run.levels[0].of("ttft_s").mean == 0.3
    assert found.run.levels[0].of("ttft_s").p90.value is None
    assert any("does not hold every request" in note for note in found.notes)


def test_an_embedding_run_is_refused() -> None:
    total = GENAI_BENCH["aggregated_metrics"] | {"iteration_type": "batch_size"}  # type: ignore[operator]
    with pytest.raises(UsageError, match="no output tokens to compare"):
        read(GENAI_BENCH | {"aggregated_metrics": total})


def test_inference_perf_s_stage_is_a_rate_or_users() -> None:
    level = level_of(INFERENCE_PERF)
    assert (level.users, level.req_per_s_offered, level.errors) == (None, 4.0, 5)
    assert level.window_s == 50.0
    load = INFERENCE_PERF["load_summary"] | {"concurrency": 8}  # type: ignore[operator]
    assert level_of(INFERENCE_PERF | {"load_summary": load}).users == 8


def test_inference_perf_s_itl_is_left_out_because_tokens_of_a_chunk_get_a_gap_of_0() -> None:
    found = read(INFERENCE_PERF)
    assert found.run.levels[0].of("itl_s").mean is None
    assert found.run.levels[0].of("tpot_s").p95.value == 0.021
    assert any(note.startswith("Left out: inter_token_latency") for note in found.notes)


def test_inference_perf_s_pool_over_all_stages_is_no_level() -> None:
    """summary_lifecycle_metrics.json: of a sweep over rates it is the mean of nothing."""
    load = {"count": 205, "schedule_delay": {"mean": 0.001}}
    with pytest.raises(
        UsageError, match=r"^file\.json\.load_summary: neither .* the pool over all stages, which is no"
    ):
        read(INFERENCE_PERF | {"load_summary": load})


AIPERF_FAILED = {
    "input_config": {"phases": [{"kind": "profiling", "concurrency": 8}]},
    "error_request_count": {"unit": "requests", "avg": 7.0},
}
INFERENCE_PERF_FAILED = {"successes": {"count": 0, "latency": {}}, "failures": {"count": 7}}
FAILED: dict[str, Any] = {
    "vllm": document("vllm_bench.json") | {"completed": 0, "failed": 7, "output_throughput": 0.0},
    "vllm-older": {
        key: value
        for key, value in (document("vllm_bench.json") | {"completed": 0, "num_prompts": 7}).items()
        if key != "failed"
    },
    "sglang": SGLANG
    | {"completed": 0, "ttfts": [0.0] * 7, "itls": [[]] * 7, "output_lens": [0] * 7, "errors": ["x"] * 7},
    "aiperf": AIPERF_FAILED,
    "inference-perf": INFERENCE_PERF | INFERENCE_PERF_FAILED,
}


@pytest.mark.parametrize("tool", FAILED)
def test_a_file_without_an_answer_is_one_line_that_says_so(tool: str) -> None:
    with pytest.raises(RunFailedError) as caught:
        import_file(json.dumps(FAILED[tool]).encode(), where="x.json")
    assert str(caught.value) == "x.json: all 7 requests failed, so that there is nothing to import"


def test_a_sweep_with_a_level_that_failed_keeps_the_others() -> None:
    one = document("vllm_bench.json")
    [found] = import_file(lines(one, FAILED["vllm"] | {"max_concurrency": 99}), where="x.json")
    assert [(level.users, level.requests, level.errors) for level in found.run.levels] == [(50, 200, 0), (99, 0, 7)]


def test_import_ends_with_1_where_all_requests_failed(tmp_path: Path) -> None:
    path = tmp_path / "failed.json"
    path.write_text(json.dumps(FAILED["vllm"]))
    done = breakeven("import", path, "--out", tmp_path / "runs")
    assert (done.code, done.out, (tmp_path / "runs").exists()) == (1, "", False)
    assert done.line().endswith("failed.json: all 7 requests failed, so that there is nothing to import")


USERS_IN: dict[str, tuple[Any, ...]] = {
    "vllm": ("max_concurrency",),
    "sglang": ("max_concurrency",),
    "guidellm": ("benchmarks", 0, "config", "strategy", "streams"),
    "aiperf": ("input_config", "phases", 0, "concurrency"),
    "genai-bench": ("aggregated_metrics", "num_concurrency"),
    "inference-perf": ("load_summary", "concurrency"),
    "inferencex": ("conc",),
    "llmd-report": ("scenario", "load", "standardized", "concurrency"),
    "llmperf": ("num_concurrent_requests",),
}


def with_users(tool: str, users: int) -> Any:
    if tool == "vllm-multi-turn":
        return multi_turn(users)
    content = json.loads(json.dumps(SCHEMAS[tool]))
    holder = content
    for step in USERS_IN[tool][:-1]:
        holder = holder[step]
    holder[USERS_IN[tool][-1]] = users
    return content


@pytest.mark.parametrize("tool", IMPORTERS)
def test_compare_and_cost_take_what_import_takes(tool: str, tmp_path: Path) -> None:
    """Two levels of one throughput, so that a floor between their speeds is met by the lower one alone."""
    files = [tmp_path / f"{name}.json" for name in "ab"]
    for file in files:
        file.write_bytes(lines(with_users(tool, 10), with_users(tool, 40)))
    [found] = import_file(files[0].read_bytes(), where="a.json")
    rates = [level.output_tok_per_s.value for level in found.run.levels]
    assert rates[0]
    floor = ("--floor", f"{rates[0] / 20}")
    compared = breakeven("compare", *files, *floor, "--json", "-")
    assert compared.code == 0, compared.err
    assert compared.json["comparisons"][0]["k_at_slo"][0]["value"] == pytest.approx(1.0)
    rents = ("--set", "reference.rent_usd_per_h=2", "--set", "candidate.rent_usd_per_h=1")
    cost = breakeven("cost", "--from-runs", *files, *floor, *rents, "--json", "-")
    assert cost.code == 0, cost.err
    found_usd = {one["side"]: one["usd_per_mtok"] for one in cost.json["answer"]["options"]}
    cards = found.run.run.host.get("gpu_count", 1)  # a rent is a card's
    usd_per_mtok = cards * 1e6 / 3600 / rates[0]
    assert found_usd == {"reference": pytest.approx(2 * usd_per_mtok), "candidate": pytest.approx(usd_per_mtok)}


def test_an_older_stage_file_without_its_duration_gives_requests_over_rate() -> None:
    older = {key: value for key, value in INFERENCE_PERF.items() if key != "benchmark_time_seconds"}
    assert level_of(older).window_s == pytest.approx(200 / 4.0)


def test_inferencex_s_rate_per_gpu_is_multiplied_by_its_gpus() -> None:
    found = read(INFERENCEX)
    level = found.run.levels[0]
    assert level.output_tok_per_s.value == 4 * 1000
    assert level.total_tok_per_s.value == 4 * 2000
    assert found.run.run.host == {"gpu": "h200-sxm", "gpu_name": "h200-dgxc", "gpu_count": 4}
    assert (level.users, level.of("ttft_s").p50.value, level.of("tpot_s").p99.value) == (64, 0.2, 0.02)
    assert level.of("itl_s").mean is None


def test_inferencex_divides_by_the_decoding_gpus_where_prefill_is_apart() -> None:
    split = INFERENCEX | {"is_multinode": True, "num_prefill_gpu": 4, "num_decode_gpu": 12}
    found = read(split)
    assert found.run.levels[0].output_tok_per_s.value == 12 * 1000
    assert found.run.levels[0].total_tok_per_s.value == 16 * 2000
    assert found.run.run.host["gpu_count"] == 16


def test_an_inferencex_list_gives_one_run_a_configuration_with_its_levels_in_order() -> None:
    points = [INFERENCEX, INFERENCEX | {"conc": 4}, INFERENCEX | {"tp": 8, "conc": 4}]
    runs = import_file(json.dumps(points).encode(), where="agg.json")
    assert [[level.users for level in one.run.levels] for one in runs] == [[4, 64], [4]]
    assert [one.run.run.id for one in runs] == ["import-inferencex-agg-1", "import-inferencex-agg-2"]


def test_a_gpu_that_inferencex_names_and_the_table_does_not_is_said() -> None:
    found = read(INFERENCEX | {"hw": "mi999x-amds"})
    assert "gpu" not in found.run.run.host
    assert "The GPU 'mi999x-amds' is not in the table: no price or fact can be looked up for it." in found.notes


def test_files_of_a_sweep_become_one_run_with_its_levels_in_order() -> None:
    files = [read(document("vllm_bench.json") | {"max_concurrency": users}) for users in (100, 1, 10)]
    assert [level.users for level in merge(files).run.levels] == [1, 10, 100]


def test_files_that_are_not_one_sweep_are_refused() -> None:
    vllm = read(SCHEMAS["vllm"])
    with pytest.raises(UsageError, match="the tool is vllm in one and aiperf in another"):
        merge([vllm, read(SCHEMAS["aiperf"])])
    with pytest.raises(UsageError, match="the model is truth in one and other in another"):
        merge([vllm, read(document("vllm_bench.json") | {"model_id": "other"})])
    with pytest.raises(UsageError, match="the level of 50 users stands twice"):
        merge([vllm, vllm])


def lines(*contents: Any) -> bytes:
    return "".join(json.dumps(content) + "\n" for content in contents).encode()


def test_lines_of_json_are_one_sweep_and_one_load_again_is_a_repeat() -> None:
    """`vllm bench serve --append-result` and SGLang's bench_serving write so."""
    one = document("vllm_bench.json")
    sweep = [(8, 700.0), (1, 100.0), (8, 720.0), (8, 710.0)]
    content = lines(*(one | {"max_concurrency": users, "output_throughput": rate} for users, rate in sweep))
    [found] = import_file(content.rstrip(), where="sweep.json")
    assert [(level.users, level.repeat, level.output_tok_per_s.value) for level in found.run.levels] == [
        (1, 0, 100.0),
        (8, 0, 700.0),
        (8, 1, 720.0),
        (8, 2, 710.0),
    ]
    [pooled] = found.run.repeats
    assert (pooled.users, pooled.n) == (8, 3)
    assert pooled.figures["output_tok_per_s"].mean == pytest.approx((700.0 * 720.0 * 710.0) ** (1 / 3))
    assert found.run.run.settings["imported"]["file"] == "sweep.json"


def test_what_is_wrong_in_lines_of_json_is_told_with_its_number() -> None:
    one = document("vllm_bench.json")
    with pytest.raises(UsageError, match=r"^result 2 of x\.json\.duration: a number was expected"):
        import_file(lines(one, one | {"duration": "5"}), where="x.json")
    with pytest.raises(UsageError, match=r"^result 2 of x\.json: no known result file"):
        import_file(lines(one, {"a": 1}), where="x.json")
    with pytest.raises(UsageError, match=r"^x\.json: not JSON: .* line 2 "):
        import_file(lines(one) + b'{"a": ', where="x.json")


def test_one_load_with_other_prompts_or_sent_at_once_is_no_repeat() -> None:
    one = document("vllm_bench.json")
    longer = one | {"total_input_tokens": 2 * one["total_input_tokens"]}
    with pytest.raises(UsageError, match=r"the level of 50 users stands there with prompts of \d+ and of \d+ tokens"):
        import_file(lines(one, longer), where="x.json")
    burst = one | {"max_concurrency": None}
    with pytest.raises(UsageError, match="the level without users or rate stands twice"):
        import_file(lines(burst, burst | {"duration": 1.0}), where="x.json")


def test_sglang_s_figures_are_kept_in_seconds() -> None:
    found = read(SGLANG)
    level = found.run.levels[0]
    assert (level.users, level.requests, level.errors, level.window_s) == (16, 200, 0, 8.0)
    assert (level.input_tokens, level.output_tokens) == (204800, 25600)
    assert (level.output_tok_per_s.value, level.total_tok_per_s.value, level.req_per_s.value) == (3200, 28800, 25)
    assert [level.of(name).mean for name in ("ttft_s", "e2e_s", "itl_s")] == [0.09, 0.62, None]
    assert level.of("tpot_s").mean == pytest.approx(0.0042)
    assert level.of("tok_per_s_per_user").p50.value == pytest.approx(1 / 0.004)
    assert found.run.run.model == "qwen3-8b"
    assert found.run.run.workload == {"input_tokens": 1024.0, "output_tokens": 128.0}
    assert any(note.startswith("Left out: ITL") for note in found.notes)


@pytest.mark.parametrize(
    ("change", "users", "rate", "note"),
    [
        ({"request_rate": 12.5, "max_concurrency": None}, None, 12.5, ""),
        ({"request_rate": 12.5}, None, 12.5, "At most 16 requests were in flight"),
        ({"request_rate": "trace"}, None, None, "Requests were sent at a trace's times"),
        ({"max_concurrency": None}, None, None, "All requests were sent at once"),
    ],
)
def test_sglang_s_load(change: dict[str, Any], users: int | None, rate: float | None, note: str) -> None:
    found = read(SGLANG | change)
    assert (found.run.levels[0].users, found.run.levels[0].req_per_s_offered) == (users, rate)
    assert any(line.startswith(note) for line in found.notes)


def test_sglang_s_single_requests_give_percentiles_with_intervals() -> None:
    detail = SGLANG | {
        "ttfts": [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.0],
        "itls": [[0.01, 0.03]] * 6 + [[]],
        "output_lens": [3, 3, 3, 3, 3, 3, 0],
        "errors": [""] * 6 + ["timeout"],
    }
    level = level_of(detail)
    assert (level.of("ttft_s").n, level.of("ttft_s").p50.ci95, level.errors) == (6, (0.1, 0.6), 1)
    assert level.of("tpot_s").p50.value == pytest.approx(0.02)
    assert level.of("e2e_s").p50.value == pytest.approx(0.34)
    assert level.of("itl_s").n == 0


@pytest.mark.parametrize("form", ["vllm-json", "llmd-report"])
def test_these_exports_are_json_and_one_file_a_level(form: str) -> None:
    run = merge([read(document("vllm_bench.json") | {"max_concurrency": users}) for users in (1, 10)]).run
    files = export_run(run, form=form)
    assert len(files) == 2
    for content in files.values():
        json.loads(content)


@pytest.mark.parametrize("form", ["vllm-json", "llmd-report"])
def test_levels_of_near_rates_are_files_of_their_own(form: str) -> None:
    run = read(document("vllm_bench.json")).run
    level = msgspec.structs.replace(run.levels[0], users=None)
    levels = tuple(msgspec.structs.replace(level, req_per_s_offered=rate) for rate in (1234.567, 1234.568))
    assert len(export_run(msgspec.structs.replace(run, levels=levels), form=form)) == 2


def test_what_is_exported_for_vllm_is_read_back_as_it_was() -> None:
    run = read(SCHEMAS["vllm"]).run
    [(name, content)] = export_run(run, form="vllm-json").items()
    assert name == "vllm-users-50.json"
    [back] = import_file(content, where=name)
    before, after = run.levels[0], back.run.levels[0]
    for metric in (
        "output_tok_per_s",
        "total_tok_per_s",
        "req_per_s",
        "users",
        "requests",
        "output_tokens",
        "window_s",
    ):
        assert getattr(after, metric) == getattr(before, metric)
    for metric in ("ttft_s", "tpot_s", "itl_s", "e2e_s"):
        assert after.of(metric).mean == pytest.approx(before.of(metric).mean)
        assert after.of(metric).p99.value == pytest.approx(before.of(metric).p99.value)


def test_an_export_leaves_out_what_is_undefined_and_says_what_differs() -> None:
    [content] = export_run(read(SCHEMAS["guidellm"]).run, form="vllm-json").values()
    exported = json.loads(content)
    assert "mean_itl_ms" not in exported
    assert None not in exported.values()
    assert any("steady window" in note for note in exported["breakeven_notes"])


def test_an_unknown_export_format_names_the_known_ones() -> None:
    with pytest.raises(UsageError, match="no format is called 'csv'; known: vllm-json, llmd-report, openmetrics"):
        export_run(read(SCHEMAS["vllm"]).run, form="csv")


@pytest.mark.parametrize("data", [b"{}", b"[]", b"null", b'"text"', b"7", b'{"benchmarks": [1]}', b'{"hw": 1}'])
def test_a_file_of_no_known_tool_is_one_line_that_lists_the_known(data: bytes) -> None:
    tools = (
        "vllm, vllm-multi-turn, sglang, guidellm, aiperf, genai-bench, inference-perf, inferencex, llmperf, llmd-report"
    )
    with pytest.raises(UsageError) as caught:
        import_file(data, where="x.json")
    assert str(caught.value) == f"x.json: no known result file; known are those of {tools}"


@pytest.mark.parametrize("data", [b"", b"{", b"\xff\xfe", b"[" * 200_000, b"<html>\n</html>", b'{"a": 1}}'])
def test_broken_json_is_one_clear_line(data: bytes) -> None:
    with pytest.raises(UsageError, match=r"^x.json: (not JSON: .*|nested too deeply)$") as caught:
        import_file(data, where="x.json")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"duration": "5 s"}, "x.json.duration: a number was expected, not a string"),
        ({"duration": -1}, "x.json.duration: -1 cannot be; at least 0 was expected"),
        ({"duration": True}, "x.json.duration: a number was expected, not a truth value"),
        ({"completed": 1.5}, "x.json.completed: a whole number was expected, not 1.5"),
        ({"max_concurrency": 0}, "x.json.max_concurrency: 0 cannot be; at least 1 was expected"),
        ({"model_id": ["a"]}, "x.json.model_id: a string was expected, not a list"),
        ({"duration": 10**400}, "x.json.duration: the number is too large to be a measurement"),
        ({"ttfts": [1], "itls": [], "output_lens": [1]}, "x.json: ttfts, itls and output_lens are not of one length"),
        ({"ttfts": [1], "itls": [7], "output_lens": [1]}, "a list was expected, not a number"),
    ],
)
def test_a_field_of_the_wrong_type_is_one_line_that_says_where(change: dict[str, Any], complaint: str) -> None:
    with pytest.raises(UsageError) as caught:
        read(document("vllm_bench.json") | change, where="x.json")
    assert complaint in str(caught.value)


def test_nan_and_infinity_are_no_figures() -> None:
    content = json.dumps(document("vllm_bench.json") | {"mean_ttft_ms": float("nan"), "mean_tpot_ms": float("inf")})
    [found] = import_file(content.encode(), where="x.json")
    assert found.run.levels[0].of("ttft_s").mean is None
    assert found.run.levels[0].of("tpot_s").mean is None


def spoiled(content: Any, *, pick: int, value: Any) -> Any:
    """The document with one of its fields, the pick-th in depth-first order, replaced."""
    places: list[tuple[Any, Any]] = []

    def walk(node: Any) -> None:
        for key in node if isinstance(node, dict) else range(len(node)):
            places.append((node, key))
            if isinstance(node[key], dict | list):
                walk(node[key])

    copy = json.loads(json.dumps(content))
    walk(copy)
    holder, key = places[pick % len(places)]
    holder[key] = value
    return copy


HOSTILE = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**30), 10**30),
    st.floats(),
    st.text(max_size=20),
    st.just([]),
    st.just({}),
    st.just([[1, None, "x"]]),
    st.just({"a": {"b": []}}),
)


@pytest.mark.parametrize("tool", IMPORTERS)
@settings(max_examples=150, deadline=None)
@given(pick=st.integers(0, 10**6), value=HOSTILE)
def test_one_hostile_field_gives_a_run_or_one_line_and_never_a_traceback(tool: str, pick: int, value: Any) -> None:
    content = json.dumps(spoiled(SCHEMAS[tool], pick=pick, value=value)).encode()
    try:
        found = import_file(content, where="x.json")
    except BreakevenError as error:
        line = str(error)
    else:
        line = " ".join(one.run.run.id for one in found)
        for one in found:
            msgspec.json.encode(one.run)
            for form in EXPORTERS.keys() - OF_RECORDS:
                export_run(one.run, form=form)
    assert "\n" not in line


def test_secrets_in_an_address_are_not_kept() -> None:
    assert safe_url("http://user:secret@box:8000/v1?key=secret") == "http://box:8000/v1"
    assert safe_url("no address") is None
    assert safe_url("http://[::1") is None
    assert safe_url(None) is None


@pytest.mark.skipif(not REAL.exists(), reason="the whole result files of 2026-11-23 are not here")
@pytest.mark.parametrize(
    ("name", "tok_per_s", "tool"),
    [
        ("vllm_bench.json", 4795, "vllm"),
        ("guidellm.json", 4619, "guidellm"),
        ("profile_export_aiperf.json", 4547, "aiperf"),
    ],
)
def test_the_whole_files_agree_with_the_server_they_measured(name: str, tok_per_s: float, tool: str) -> None:
    [found] = import_file((REAL / name).read_bytes(), where=name)
    level = found.run.levels[0]
    assert found.tool == tool
    assert (level.users, level.requests, level.output_tokens) == (50, 200, 25600)
    assert level.of("tpot_s").mean == pytest.approx(0.010, rel=0.02)
    assert level.output_tok_per_s.value == pytest.approx(tok_per_s, rel=0.02)


@pytest.mark.skipif(not REAL.exists(), reason="the whole result files of 2026-11-23 are not here")
def test_guidellm_s_200_requests_give_intervals() -> None:
    [found] = import_file((REAL / "guidellm.json").read_bytes(), where="guidellm.json")
    tpot = found.run.levels[0].of("tpot_s")
    low, high = tpot.p50.ci95
    assert tpot.n == 200
    assert low is not None
    assert high is not None
    assert low <= 0.010 <= high
    assert tpot.p99.ci95[1] is None


def test_the_docs_name_every_format() -> None:
    docs = (Path(__file__).parents[1] / "docs" / "IMPORT.md").read_text(encoding="utf-8")
    for tool in IMPORTERS:
        assert f"| `{tool}` |" in docs
    for form in EXPORTERS:
        assert f"`{form}` writes" in docs
    for form in SENDERS:
        assert f"`{form}` sends" in docs


def test_two_files_of_one_name_are_both_kept_with_their_run(tmp_path: Path) -> None:
    """The second took the first one's place among the sources."""
    text = (DATA / "vllm_bench.json").read_text()
    files = [tmp_path / name / "result.json" for name in ("a", "b")]
    for file, users in zip(files, (4, 8), strict=True):
        file.parent.mkdir()
        file.write_text(json.dumps(json.loads(text) | {"max_concurrency": users}))
    done = breakeven("import", *files, "--out", tmp_path / "runs")
    assert done.code == 0, done.err
    kept = {path.name: path.read_text() for path in run_folder(tmp_path / "runs").glob("source/*")}
    assert kept == {"result.json": files[0].read_text(), "2-result.json": files[1].read_text()}


def test_an_imported_run_is_in_the_lists_and_on_the_page_as_what_it_is(tmp_path: Path) -> None:
    """Neither `runs` nor `report --serve` knew of it."""
    done = breakeven("import", DATA / "vllm_bench.json", "--out", tmp_path / "runs")
    assert done.code == 0, done.err
    name = run_folder(tmp_path / "runs").name
    listed = breakeven("runs", "--out", tmp_path / "runs")
    assert name in listed.out
    assert "imported" in listed.out
    [row] = Shelf(tmp_path / "runs").runs()
    assert row["id"] == name
    assert row["error"] is None
    assert "<title>" in Shelf(tmp_path / "runs").report([name])
    assert breakeven("report", tmp_path / "runs" / name, "--md", "-").code == 0
