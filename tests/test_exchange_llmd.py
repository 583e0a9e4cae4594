"""Benchmark Reports of llm-d: read as they are, written as their own package takes them, and read back the same."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from llmd_benchmark_report import import_benchmark_report, load_benchmark_report

from breakeven.app.runs import read_run
from breakeven.errors import UsageError
from breakeven.exchange import export_run, import_file
from breakeven.metrics.summary import LevelSummary
from commands import breakeven, run_folder
from test_exchange import LLMD, level_of, read

MEASURED = Path(__file__).parents[1] / "examples" / "cpu-llamacpp-vs-vllm" / "smollm2-135m-vllm-chat"


def changed(content: Any, *path: Any, to: Any) -> Any:
    """The document with one field replaced."""
    copy = json.loads(json.dumps(content))
    holder = copy
    for step in path[:-1]:
        holder = holder[step]
    holder[path[-1]] = to
    return copy


LOAD = ("scenario", "load", "standardized")


def test_the_report_that_these_tests_are_built_on_is_one_that_the_package_takes() -> None:
    load_benchmark_report(LLMD)


def test_a_report_s_figures_are_kept_in_seconds() -> None:
    """210 asked, 10 failed, 40 answers a second: 200 answers in 5 s; 200 x 128 tokens."""
    found = read(LLMD)
    level = found.run.levels[0]
    assert (level.users, level.requests, level.errors, level.window_s) == (50, 200, 10, 5.0)
    assert (level.input_tokens, level.output_tokens) == (200_000, 25_600)
    assert (level.output_tok_per_s.value, level.total_tok_per_s.value, level.req_per_s.value) == (5120, 45120, 40)
    assert [level.of(name).mean for name in ("ttft_s", "tpot_s", "itl_s", "e2e_s")] == [0.065, 0.01, 0.01, 1.335]
    assert level.of("ttft_s").p90.value == pytest.approx(0.08)
    assert level.of("tpot_s").p99.value == pytest.approx(0.0125)
    assert level.of("itl_s").p50.value == pytest.approx(0.009)
    assert level.of("tok_per_s_per_user").p50.value == pytest.approx(100.0)


def test_a_report_s_engines_and_their_gpus_are_those_of_the_run() -> None:
    """Two replicas of four cards each; the router beside them is no engine."""
    about = read(LLMD).run.run
    assert about.model == "Qwen/Qwen3-0.6B"
    assert about.engine == {"name": "llm-d", "version": "ghcr.io/llm-d/llm-d-cuda:0.3.1"}
    assert about.host == {"gpu": "h100-sxm", "gpu_name": "NVIDIA-H100-80GB-HBM3", "gpu_count": 8}
    assert about.started == "2026-11-05T18:00:42Z"
    assert about.workload == {"input_tokens": 1000.0, "output_tokens": 128.0}


@pytest.mark.parametrize("by", ["aiperf", "guidellm"])
def test_what_aiperf_and_guidellm_call_inter_token_latency_is_our_tpot(by: str) -> None:
    """Their converters leave time_per_output_token out."""
    latency = ("results", "request_performance", "aggregate", "latency")
    report = changed(LLMD, *LOAD, "tool", to=by)
    report = changed(report, *latency, "time_per_output_token", to=None)
    found = read(report)
    level = found.run.levels[0]
    assert level.of("tpot_s").p50.value == pytest.approx(0.009)
    assert level.of("itl_s").n == 0
    assert "The tool's inter_token_latency is our TPOT." in found.notes


def test_a_gap_that_inference_perf_calls_nothing_is_left_out() -> None:
    found = read(changed(LLMD, *LOAD, "tool", to="inference-perf"))
    assert found.run.levels[0].of("itl_s").mean is None
    assert any(note.startswith("Left out: inter_token_latency") for note in found.notes)


@pytest.mark.parametrize(
    ("load", "users", "rate"),
    [
        ({"rate_qps": 10.0, "concurrency": None}, None, 10.0),
        ({"rate_qps": 10.0, "concurrency": float("inf")}, None, 10.0),
        ({"rate_qps": float("inf"), "concurrency": 8}, 8, None),
        ({"concurrency": None}, None, None),
    ],
)
def test_a_report_s_load(load: dict[str, Any], users: int | None, rate: float | None) -> None:
    level = level_of(changed(LLMD, *LOAD, to=LLMD["scenario"]["load"]["standardized"] | load))  # type: ignore[index]
    assert (level.users, level.req_per_s_offered) == (users, rate)


def test_a_report_in_yaml_is_read_as_one_in_json(tmp_path: Path) -> None:
    """llm-d-benchmark writes YAML, where a time is no text and `.inf` a number."""
    report = load_benchmark_report(changed(LLMD, *LOAD, "rate_qps", to=float("inf")))
    file = tmp_path / "benchmark_report_v0.2.yaml"
    report.export_yaml(file)
    assert "rate_qps: .inf" in file.read_text()
    [found] = import_file(file.read_bytes(), where="x.json")
    assert found.run.levels == read(LLMD).run.levels
    assert found.run.run.started == "2026-11-05T18:00:42Z"


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"version: '0.2'\nrun: {", "x.yaml: not YAML: while parsing a flow"),
        (b"version: !!python/object/apply:os.system ['true']\n", "x.yaml: not YAML: could not determine a constructor"),
        (b"version: '0.2'\nrun: {}\nscenario: " + b"[" * 5000, "x.yaml: nested too deeply"),
    ],
)
def test_broken_yaml_is_one_clear_line(data: bytes, complaint: str) -> None:
    with pytest.raises(UsageError) as caught:
        import_file(data, where="x.yaml")
    assert str(caught.value).startswith(complaint)
    assert "\n" not in str(caught.value)


def test_another_version_or_a_report_without_requests_is_refused_by_what_it_is() -> None:
    with pytest.raises(
        UsageError, match=r"x\.json\.version: a Benchmark Report of version 0\.2 was expected, not '0\.1'"
    ):
        read(LLMD | {"version": "0.1"}, where="x.json")
    with pytest.raises(UsageError, match=r"request_performance\.aggregate: missing, so that the report tells nothing"):
        read(LLMD | {"results": {}})
    wrong = changed(LLMD, "results", "request_performance", "aggregate", "latency", "request_latency", "units", to="MB")
    with pytest.raises(UsageError, match=r"request_latency\.units: a time was expected in s, ms, .*, not 'MB'"):
        read(wrong)


def same(before: LevelSummary, after: LevelSummary) -> None:
    for name in ("users", "req_per_s_offered", "requests", "errors", "cut"):
        assert getattr(after, name) == getattr(before, name)
    assert after.window_s == pytest.approx(before.window_s)
    for name in ("output_tok_per_s", "total_tok_per_s", "req_per_s"):
        assert getattr(after, name).value == getattr(before, name).value
    for metric in ("ttft_s", "tpot_s", "itl_s", "e2e_s"):
        for statistic in ("mean", "p50", "p90", "p95", "p99"):
            assert after.of(metric).at(statistic).value == before.of(metric).at(statistic).value, (metric, statistic)
    assert after.of("tok_per_s_per_user").p50.value == pytest.approx(before.of("tok_per_s_per_user").p50.value)


def test_reports_of_a_measured_run_load_in_the_package_and_come_back_with_the_same_figures(tmp_path: Path) -> None:
    """Of its 15 levels some have a TTFT without a mean, which the schema has no place for."""
    done = breakeven("export", MEASURED, "--as", "llmd-report", "--to", tmp_path / "out")
    assert done.code == 0, done.err
    files = sorted((tmp_path / "out").iterdir())
    before = read_run(MEASURED)
    assert len(files) == len(before.levels) == 15
    assert any(level.of("ttft_s").mean is None for level in before.levels)
    for file in files:
        import_benchmark_report(str(file))
    done = breakeven("import", *files, "--out", tmp_path / "runs")
    assert done.code == 0, done.err
    after = read_run(run_folder(tmp_path / "runs"))
    named = {(level.users, level.output_tok_per_s.value): level for level in after.levels}
    for level in before.levels:
        same(level, named[(level.users, level.output_tok_per_s.value)])
    assert after.run.model == before.run.model
    assert after.run.engine == {"name": "vllm", "version": "0.32.0"}


def test_a_report_tells_the_cards_where_their_parallelism_is_known() -> None:
    """One card is not split; of several we know it where we started the engine."""
    run = read(LLMD).run
    for host, settings, kind in (
        ({"gpu": "l40s", "gpu_count": 1}, {}, "inference_engine"),
        ({"gpu": "l40s", "gpu_count": 4}, {"tensor_parallel": 4}, "inference_engine"),
        ({"gpu": "l40s", "gpu_count": 4}, {"tensor_parallel": 2, "replicas": 2}, "inference_engine"),
        ({"gpu": "l40s", "gpu_count": 4}, {}, "generic"),
        ({}, {}, "generic"),
    ):
        about = {"name": "vllm", "version": "0.32.0", "settings": settings}
        one = json.loads(json.dumps({"host": host, "engine": about}))
        facts = type(run.run)(id="r", model="m", **one)
        [content] = export_run(type(run)(run=facts, levels=run.levels), form="llmd-report").values()
        report = json.loads(content)
        load_benchmark_report(report)
        assert report["scenario"]["stack"][0]["standardized"]["kind"] == kind
        assert read(report).run.run.host.get("gpu_count") == host.get("gpu_count")


def test_a_report_in_yaml_goes_through_compare(tmp_path: Path) -> None:
    file = tmp_path / "report.yaml"
    file.write_text(yaml.safe_dump(LLMD))
    done = breakeven("compare", file, file, "--floor", "20")
    assert done.code == 0, done.err
    assert "Qwen3-0.6B" in done.out


def test_a_prompt_length_of_zero_is_not_known() -> None:
    """The schema asks for a length, and who knows none writes 0."""
    unknown = changed(LLMD, *LOAD, "input_seq_len", to={"distribution": "other", "value": 0})
    unknown["results"]["request_performance"]["aggregate"]["requests"].pop("input_length", None)
    load_benchmark_report(unknown)
    assert "input_tokens" not in read(unknown).run.run.workload
