"""A run as OpenMetrics text: what Prometheus' own parser reads of it is what the run says."""

from pathlib import Path

from msgspec.structs import replace
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from breakeven.app.runs import read_run
from breakeven.exchange import export_run
from breakeven.metrics.summary import Distribution, Estimate, LevelSummary, Quantile, RunFacts, RunSummary
from commands import breakeven

MEASURED = Path(__file__).parents[1] / "examples" / "cpu-llamacpp-vs-vllm" / "smollm2-135m-vllm-chat"
LEVEL = LevelSummary(
    users=50,
    status="done",
    requests=4,
    errors=1,
    output_tok_per_s=Estimate(value=400.5, ci95=(390.0, None)),
    distributions={
        "ttft_s": Distribution(n=4, censored=0, mean=0.25, p50=Quantile(value=0.2, ci95=(0.1, 0.3))),
        "tpot_s": Distribution(n=4, censored=1, mean=None, p50=Quantile(value=0.01, ci95=(None, None))),
    },
    extra={
        "gpu_board_energy_j": 12.5,
        "gpu_board_energy_j_reason": "none",
        "gpus": [1],
        "steady": True,
        "bad name": 1.0,
    },
)
FACTS = RunFacts(
    id='a "quoted" \\ run\nof two lines',
    started="2026-11-23T07:05:59.500000+00:00",
    model="m",
    engine={"name": "vllm"},
    host={"gpu": "l40s", "gpu_count": 2},
)


def parsed(text: str) -> dict[str, Metric]:
    return {family.name: family for family in text_string_to_metric_families(text)}  # type: ignore[no-untyped-call]


def families(run: RunSummary) -> dict[str, Metric]:
    [(name, content)] = export_run(run, form="openmetrics").items()
    assert name == "openmetrics.txt"
    return parsed(content.decode())


def values(family: Metric) -> list[tuple[str, str | None, str | None, float]]:
    """Name, quantile, bound and value of each sample."""
    return [
        (one.name.removeprefix(family.name), one.labels.get("quantile"), one.labels.get("bound"), one.value)
        for one in family.samples
    ]


def test_every_figure_is_a_sample_and_its_interval_another() -> None:
    found = families(RunSummary(run=FACTS, levels=(LEVEL,)))
    assert values(found["breakeven_output_tok_per_s"]) == [("", None, None, 400.5)]
    assert values(found["breakeven_output_tok_per_s_ci95"]) == [("", None, "low", 390.0)]
    assert values(found["breakeven_output_tok_per_s_per_user"]) == [("", None, None, 8.01)]
    assert values(found["breakeven_errors"]) == [("", None, None, 1.0)]
    assert values(found["breakeven_gpu_board_energy_j"]) == [("", None, None, 12.5)]
    assert not [name for name in found if "reason" in name or "steady" in name or "bad" in name or "req_per_s" in name]


def test_a_distribution_is_a_summary_with_its_quantiles() -> None:
    """Four requests of 0.25 s each on average took 1 s together; where one never came there is no sum."""
    found = families(RunSummary(run=FACTS, levels=(LEVEL,)))
    ttft = found["breakeven_ttft_seconds"]
    assert (ttft.type, ttft.unit, ttft.documentation) == ("summary", "seconds", "first chunk with output text - due")
    assert values(ttft) == [("", "0.5", None, 0.2), ("_count", None, None, 4.0), ("_sum", None, None, 1.0)]
    assert values(found["breakeven_ttft_ci95_seconds"]) == [("", "0.5", "low", 0.1), ("", "0.5", "high", 0.3)]
    assert values(found["breakeven_tpot_seconds"]) == [("", "0.5", None, 0.01), ("_count", None, None, 4.0)]


def test_a_sample_says_of_what_it_is_and_when_the_run_began() -> None:
    [one] = families(RunSummary(run=FACTS, levels=(LEVEL,)))["breakeven_output_tok_per_s"].samples
    assert one.labels == {
        "run": 'a "quoted" \\ run\nof two lines',
        "model": "m",
        "engine": "vllm",
        "gpu": "l40s",
        "gpus": "2",
        "users": "50",
        "repeat": "0",
    }
    assert one.timestamp is not None
    assert float(str(one.timestamp)) == 1795417559.5


def test_a_time_without_a_zone_is_no_time() -> None:
    facts = replace(FACTS, started="2026-11-23T02:58:00")
    [one] = families(RunSummary(run=facts, levels=(LEVEL,)))["breakeven_output_tok_per_s"].samples
    assert one.timestamp is None


def test_a_measured_run_is_one_file_with_all_its_levels(tmp_path: Path) -> None:
    done = breakeven("export", MEASURED, "--as", "openmetrics", "--to", tmp_path)
    assert done.code == 0, done.err
    found = parsed((tmp_path / "openmetrics.txt").read_text())
    run = read_run(MEASURED)
    throughput = {
        (one.labels["users"], one.labels["repeat"]): one.value for one in found["breakeven_output_tok_per_s"].samples
    }
    assert throughput == {(str(one.users), str(one.repeat)): one.output_tok_per_s.value for one in run.levels}
    p99 = [one for one in found["breakeven_tpot_seconds"].samples if one.labels.get("quantile") == "0.99"]
    assert {one.value for one in p99} == {
        value for level in run.levels if (value := level.of("tpot_s").p99.value) is not None
    }


def test_a_run_without_levels_is_an_empty_page() -> None:
    [content] = export_run(RunSummary(run=FACTS), form="openmetrics").values()
    assert content == b"# EOF\n"
