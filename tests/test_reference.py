"""The measurements of 2024 that come with breakeven: how they were aggregated, found, and what they may not do."""

import csv
import math
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from breakeven.errors import UsageError
from breakeven.hardware import gpus
from breakeven.metrics.statistics import distribution
from breakeven.metrics.summary import RunSummary
from breakeven.reference import DATA_SETS, DEFAULT_WORKLOADS, find_run, in_tokens, reference_runs

ROOT = Path(__file__).parents[1]
RAW = ROOT.parent / "shared" / "data"
SHIPPED = ROOT / "src" / "breakeven" / "reference"
Aggregate = Callable[..., dict[str, dict[str, str]]]
SCRIPT = ROOT / "benchmarks" / "make_reference_2024.py"


def rate(run: RunSummary, users: int) -> float:
    [level] = [level for level in run.levels if level.users == users]
    assert level.output_tok_per_s.value is not None
    return level.output_tok_per_s.value


@pytest.mark.skipif(not RAW.joinpath("nosana_2024_fleet.csv").exists(), reason="the raw data of 2024 is not here")
def test_the_shipped_aggregates_are_what_the_raw_data_gives(tmp_path: Path) -> None:
    files = [str(RAW / name) for name in ("nosana_2024_fleet.csv", "nosana_2024_sweep.csv")]
    subprocess.run(
        [sys.executable, str(SCRIPT), *files, str(tmp_path)], check=True, env={"PYTHONPATH": str(ROOT / "src")}
    )
    for name in ("nosana_2024.csv", "nosana_2024_sweep.csv"):
        assert (tmp_path / name).read_text() == (SHIPPED / name).read_text()


def a_job(**changes: str) -> dict[str, str]:
    job = {"node": "n1", "gpu": "NVIDIA GeForce RTX 4090", "model": "llama3.1_8B_4x"}
    for users in (1, 5, 10, 50, 100):
        level = {
            "tok_per_s": "100",
            "duration_s": "900",
            "output_tokens": "90000",
            "input_tokens": "9000",
            "mean_latency_s": "2",
            "mean_power_w": "300",
            "mean_clock_mhz": "2500",
            "mean_utilisation_pct": "99",
        }
        job |= {f"users{users}_{name}": value for name, value in level.items()}
    return job | changes


@pytest.fixture
def aggregate(tmp_path: Path) -> Aggregate:
    """Run the script on hand-made jobs and give the aggregates at one user, by workload."""

    def run(*jobs: dict[str, str]) -> dict[str, dict[str, str]]:
        cell = dict.fromkeys(("words_per_s_cumulative", "words_per_s_steady_60s_on", "t_end_s"), "1")
        sweep = {"model": "llama3-8b", "gpu": "4090", "engine": "vllm", "users": "1"} | cell
        for name, rows in (("fleet.csv", jobs), ("sweep.csv", [sweep])):
            with (tmp_path / name).open("w", newline="") as lines:
                writer = csv.DictWriter(lines, list(rows[0]))
                writer.writeheader()
                writer.writerows(rows)
        arguments = [str(tmp_path / "fleet.csv"), str(tmp_path / "sweep.csv"), str(tmp_path)]
        subprocess.run([sys.executable, str(SCRIPT), *arguments], check=True, env={"PYTHONPATH": str(ROOT / "src")})
        with (tmp_path / "nosana_2024.csv").open(newline="") as lines:
            return {row["workload"]: row for row in csv.DictReader(lines) if row["users"] == "1"}

    return run


def test_a_node_with_many_jobs_counts_as_one(aggregate: Aggregate) -> None:
    many = [a_job(node="n1", users1_tok_per_s="100") for _ in range(5)]
    row = aggregate(*many, a_job(node="n2", users1_tok_per_s="300"))["llama3.1-8b-4bit"]
    assert (row["words_per_s"], row["nodes"], row["jobs"]) == ("200.0", "2", "6")


def test_a_zero_is_a_failure_and_an_empty_cell_is_nothing(aggregate: Aggregate) -> None:
    row = aggregate(a_job(), a_job(users1_tok_per_s="0.0"), a_job(users1_tok_per_s=""))["llama3.1-8b-4bit"]
    assert (row["words_per_s"], row["jobs"], row["failures"]) == ("100.0", "1", "1")


def test_power_is_left_out_where_the_cards_were_hardly_busy(aggregate: Aggregate) -> None:
    row = aggregate(a_job(users1_mean_utilisation_pct="59.9"))["llama3.1-8b-4bit"]
    assert (row["words_per_s"], row["power_w"], row["clock_mhz"], row["power_nodes"]) == ("100.0", "", "", "0")


def test_4_bit_and_16_bit_are_two_rows(aggregate: Aggregate) -> None:
    rows = aggregate(a_job(), a_job(model="llama3.1_8B", users1_tok_per_s="40"))
    assert {name: row["words_per_s"] for name, row in rows.items()} == {
        "llama3.1-8b-4bit": "100.0",
        "llama3.1-8b-16bit": "40.0",
    }


def test_the_spread_of_few_nodes_is_the_plain_sd_and_of_many_a_robust_one(aggregate: Aggregate) -> None:
    # the three A100 of 2024 with 16-bit weights: a robust spread would say 2 %
    few = [a_job(node=f"n{rate}", users1_tok_per_s=rate) for rate in ("310", "524", "529")]
    row = aggregate(*few)["llama3.1-8b-4bit"]
    assert float(row["between_node_sd_log"]) == pytest.approx(0.3057, abs=1e-4)
    many = [a_job(node=f"n{k}", users1_tok_per_s=str(100 * 1.1**k)) for k in range(7)]
    row = aggregate(*many)["llama3.1-8b-4bit"]
    assert float(row["between_node_sd_log"]) == pytest.approx(1.4826 * 2 * math.log(1.1), abs=1e-4)
    assert aggregate(few[0])["llama3.1-8b-4bit"]["between_node_sd_log"] == ""


def test_the_interval_of_a_median_of_six_nodes_is_their_range(aggregate: Aggregate) -> None:
    row = aggregate(*(a_job(node=f"n{k}", users1_tok_per_s=str(100 + k)) for k in range(6)))["llama3.1-8b-4bit"]
    assert (row["ci95_low"], row["words_per_s"], row["ci95_high"]) == ("100.0", "102.5", "105.0")


def test_the_interval_of_few_nodes_is_student_t_of_their_logs_and_of_one_there_is_none(aggregate: Aggregate) -> None:
    jobs = [a_job(node=f"n{k}", users1_tok_per_s=rate) for k, rate in enumerate(("80", "100", "125"))]
    row = aggregate(*jobs)["llama3.1-8b-4bit"]
    # sd of the logs is log(1.25); t(2) = 4.3027
    half = 4.3027 * math.log(1.25) / math.sqrt(3)
    assert float(row["ci95_low"]) == pytest.approx(100 * math.exp(-half), abs=0.01)
    assert float(row["ci95_high"]) == pytest.approx(100 * math.exp(half), abs=0.01)
    row = aggregate(*jobs[:1])["llama3.1-8b-4bit"]
    assert (row["ci95_low"], row["ci95_high"]) == ("", "")


@pytest.mark.parametrize("nodes", [2, 3, 4, 5, 6, 16])
def test_the_interval_over_nodes_holds_the_median_of_all_nodes(nodes: int) -> None:
    script = runpy.run_path(str(SCRIPT))
    rng = np.random.default_rng(nodes)
    inside = 0
    for rates in np.exp(0.2 * rng.standard_normal((2000, nodes))):
        low, high = script["interval"](rates.tolist())
        inside += low <= 1.0 <= high
    assert inside >= 0.9 * 2000


def test_equal_users_ratios_are_those_worked_out_from_the_raw_data() -> None:
    a100, rtx4090 = (find_run(gpu, data="nosana-2024") for gpu in ("a100-80", "rtx4090"))
    ratios = {users: rate(a100, users) / rate(rtx4090, users) for users in (1, 5, 10, 50, 100)}
    published = {1: 1.14, 5: 1.14, 10: 1.05, 50: 0.94, 100: 1.07}
    assert ratios == pytest.approx(published, abs=0.011)


def test_the_article_s_ratios_come_out_of_its_sweep() -> None:
    ratios: dict[str, float] = {}
    for workload in ("llama3-8b/lmdeploy", "llama3-8b/vllm", "llama3.1-8b/lmdeploy", "llama3.1-8b/vllm"):
        a100, rtx4090 = (find_run(g, data="nosana-2024-sweep", workload=workload) for g in ("a100-80", "rtx4090"))
        ratios[workload] = round(rate(a100, 100) / rate(rtx4090, 100), 2)
    assert ratios == {
        "llama3-8b/lmdeploy": 1.54,
        "llama3-8b/vllm": 1.23,
        "llama3.1-8b/lmdeploy": 1.07,
        "llama3.1-8b/vllm": 0.64,
    }


@pytest.mark.parametrize("data", DATA_SETS)
def test_every_reference_run_is_in_words_and_says_where_it_is_from(data: str) -> None:
    for run in reference_runs(data):
        assert run.run.settings["unit"] == "words"
        assert "2024-09" in run.run.settings["source"]
        assert "tokens" in run.run.settings["notes"][0]
        assert run.run.id.startswith(f"{data}/")
        for level in run.levels:
            assert level.output_tok_per_s.value
            assert "words_not_tokens" in [caution.id for caution in level.cautions]
            assert level.of("ttft_s").mean is None
            assert level.of("tpot_s").mean is None


@pytest.mark.parametrize("data", DATA_SETS)
def test_every_default_workload_has_both_cards_of_the_article(data: str) -> None:
    for gpu in ("a100-80", "rtx4090"):
        assert find_run(gpu, data=data).run.workload["name"] == DEFAULT_WORKLOADS[data]


def test_a_name_of_two_cards_gives_the_one_with_more_nodes_and_says_so() -> None:
    run = find_run("A100 80GB", data="nosana-2024")
    assert run.run.host["gpu"] == "a100-80-pcie"
    assert run.run.settings["notes"][-1] == (
        "A100 80GB may mean a100-80-pcie (nodes: 16), a100-80-sxm (nodes: 1): the first was taken, as it has the most "
        "nodes."
    )
    assert find_run("a100-80-sxm", data="nosana-2024").run.host["gpu"] == "a100-80-sxm"


def test_what_is_not_there_is_an_error_that_says_what_is() -> None:
    with pytest.raises(UsageError, match=r"no l4 for llama3.1-8b-4bit; it has a100-40-pcie, .*rtxa6000$"):
        find_run("l4", data="nosana-2024")
    with pytest.raises(UsageError, match=r"no workload of nosana-2024 is called 'gpt5'; known: llama3.1-8b-16bit"):
        find_run("rtx4090", data="nosana-2024", workload="gpt5")
    with pytest.raises(UsageError, match="no data set is called 'nosana'; did you mean 'nosana-2024'"):
        find_run("rtx4090", data="nosana")
    with pytest.raises(UsageError, match="no GPU is called 'gtx480'"):
        find_run("gtx480", data="nosana-2024")
    with pytest.raises(UsageError, match="no 4 x a100 for"):
        find_run("a100", data="nosana-2024-sweep", cards=4)


def test_four_cards_are_another_run_than_one() -> None:
    assert (
        find_run("rtx4090", data="nosana-2024-sweep", cards=4).run.id
        == "nosana-2024-sweep/4xrtx4090/llama3.1-8b/lmdeploy"
    )


def test_cautions_name_few_nodes_two_populations_and_failures() -> None:
    def ids(gpu: str, users: int, workload: str | None = None) -> list[str]:
        [level] = [lev for lev in find_run(gpu, data="nosana-2024", workload=workload).levels if lev.users == users]
        return [caution.id for caution in level.cautions]

    assert ids("a100-80-pcie", 100) == ["words_not_tokens"]
    assert ids("rtx4090", 1) == ["words_not_tokens", "failed_jobs"]
    assert ids("rtx4090", 1, "llama3.1-8b-16bit") == ["words_not_tokens", "few_nodes"]
    assert ids("h100-sxm", 10) == ["words_not_tokens", "not_one_population"]


def test_words_become_tokens_only_where_the_user_says_how_many() -> None:
    words = find_run("rtx4090", data="nosana-2024")
    tokens = in_tokens(words, tokens_per_word=1.5)
    assert rate(tokens, 100) == pytest.approx(1.5 * rate(words, 100))
    low, high = words.levels[-1].output_tok_per_s.ci95
    assert low is not None
    assert high is not None
    assert tokens.levels[-1].output_tok_per_s.ci95 == pytest.approx((1.5 * low, 1.5 * high))
    assert tokens.run.settings["unit"] == "tokens"
    assert tokens.run.settings["tokens_per_word_declared"] == 1.5
    assert "words_not_tokens" not in [caution.id for caution in tokens.levels[-1].cautions]
    with pytest.raises(UsageError, match="is in tokens already"):
        in_tokens(tokens, tokens_per_word=1.5)


@pytest.mark.parametrize("ratio", [0, -1, float("nan"), float("inf")])
def test_a_ratio_that_cannot_be_is_refused(ratio: float) -> None:
    with pytest.raises(UsageError, match="is no ratio"):
        in_tokens(find_run("rtx4090", data="nosana-2024"), tokens_per_word=ratio)


def test_an_open_interval_stays_open_in_tokens() -> None:
    run = in_tokens(find_run("rtx4090", data="nosana-2024-sweep"), tokens_per_word=1.3)
    assert run.levels[0].output_tok_per_s.ci95 == (None, None)


def test_no_node_of_the_fleet_is_in_the_project() -> None:
    header = (SHIPPED / "nosana_2024.csv").read_text().splitlines()[0].split(",")
    assert "node" not in header
    assert {run.run.host["gpu"] for run in reference_runs("nosana-2024")} <= set(gpus())


def test_a_median_needs_six_values_for_an_interval() -> None:
    assert distribution([1.0, 2.0, 3.0, 4.0, 5.0]).p50.ci95[1] is None
    assert distribution([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]).p50.ci95 == (1.0, 6.0)
