"""What the three figures give on the public 2024 data, where the data are at hand.

The figures are in words/s, medians of node medians by market (zeros are aborted levels and left out). Expected values:
the ranges over three ways to read between levels, as published with the definition of k. The value has to lie in them,
and they in what may lie between the levels.
"""

import csv
from collections import defaultdict
from pathlib import Path
from statistics import median

import pytest

from breakeven.compare.figures import k_at_slo, k_same_load, ratio_equal_users
from breakeven.compare.side import Side, make_side
from breakeven.compare.types import Equivalence
from breakeven.metrics.slo import ServiceLevel
from compare_fixture import DATA, a_run

LEVELS = (1, 5, 10, 50, 100)
FLEET, SWEEP = DATA / "nosana_2024_fleet.csv", DATA / "nosana_2024_sweep.csv"
HALF_A_DIGIT = 0.006
"""Two decimals are published; one value (0.8545 for 0.86) is a hair beyond rounding."""

needs_fleet = pytest.mark.skipif(not FLEET.exists(), reason="the 2024 fleet data (no licence) are not here")
needs_sweep = pytest.mark.skipif(not SWEEP.exists(), reason="the 2024 sweep data (no licence) are not here")


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def fleet(market: str, model: str, role: str) -> Side:
    """Median over the market's nodes of each node's median over its jobs."""
    by_node: dict[int, dict[str, list[float]]] = {users: defaultdict(list) for users in LEVELS}
    for row in rows(FLEET):
        if (row["market"], row["model"]) == (market, model):
            for users in LEVELS:
                words_per_s = float(row[f"users{users}_tok_per_s"] or 0)
                if words_per_s > 0:
                    by_node[users][row["node"]].append(words_per_s)
    tput = {users: median(map(median, nodes.values())) for users, nodes in by_node.items()}
    return make_side(a_run(tput, share=None, settings={"unit": "words"}), role=role, seed=0, draws=10)


def sweep(model: str, engine: str, gpu: str) -> Side:
    found = [row for row in rows(SWEEP) if (row["model"], row["engine"], row["gpu"]) == (model, engine, gpu)]
    tput = {int(row["users"]): float(row["words_per_s_cumulative"]) for row in found}
    return make_side(a_run(tput, share=None), role=gpu, seed=0, draws=10)


def assert_within(figure: Equivalence, low: float, high: float) -> None:
    """The value lies in a published range, and that in what may lie between the levels."""
    assert figure.value is not None
    assert low - HALF_A_DIGIT <= figure.value <= high + HALF_A_DIGIT
    least, greatest = figure.ci95
    assert least is not None
    assert greatest is not None
    assert least - HALF_A_DIGIT <= low
    assert high <= greatest + HALF_A_DIGIT


def pair(model: str) -> tuple[Side, Side]:
    return fleet("A100", model, "A"), fleet("4090", model, "B")


@needs_fleet
@pytest.mark.parametrize(
    ("floor", "expected"),
    [(30, [1.07, 1.07]), (40, [0.98, 1.00]), (50, [0.87, 0.92]), (75, [0.86, 1.03]), (100, [1.08, 1.18])],
)
def test_k_of_the_4090_for_the_a100_at_each_floor(floor: float, expected: list[float]) -> None:
    a, b = pair("llama3.1_8B_4x")
    found = k_at_slo(a, b, ServiceLevel(floor_tok_per_s_per_user=floor), unit="words/s")
    assert found.status == "exact"
    assert_within(found, *expected)


@needs_fleet
@pytest.mark.parametrize(("users", "expected"), [(50, [0.93, 0.94]), (100, [1.07, 1.08])])
def test_same_load_k_of_the_4090_for_the_a100(users: float, expected: list[float]) -> None:
    found = k_same_load(*pair("llama3.1_8B_4x"), users)
    assert_within(found, *expected)


@needs_fleet
def test_same_load_k_at_10_users_lies_in_the_published_range() -> None:
    assert_within(k_same_load(*pair("llama3.1_8B_4x"), 10), 1.26, 1.53)


@needs_fleet
def test_with_one_or_five_users_an_a100_is_faster_than_any_number_of_4090() -> None:
    for users in (1, 5):
        assert k_same_load(*pair("llama3.1_8B_4x"), users).status == "none"


@needs_fleet
def test_the_equal_users_ratio_of_the_a100_to_the_4090() -> None:
    a, b = pair("llama3.1_8B_4x")
    found = [ratio_equal_users(a, b, users).value for users in LEVELS]
    assert found == pytest.approx([1.14, 1.14, 1.05, 0.94, 1.07], abs=0.005)


@needs_fleet
def test_k_with_16_bit_weights() -> None:
    found = k_at_slo(*pair("llama3.1_8B"), ServiceLevel(floor_tok_per_s_per_user=30), unit="words/s")
    assert_within(found, 1.76, 1.77)


@needs_sweep
@pytest.mark.parametrize(
    ("model", "engine", "low", "high"),
    [("llama3-8b", "lmdeploy", 5.5, 8.0), ("llama3-8b", "vllm", 1.40, 1.54), ("llama31-8b", "lmdeploy", 1.17, 1.28)],
)
def test_same_load_k_of_the_articles_own_sweep_at_100_users(model: str, engine: str, low: float, high: float) -> None:
    assert_within(k_same_load(sweep(model, engine, "A100"), sweep(model, engine, "4090"), 100), low, high)


@needs_sweep
def test_4090_with_lmdeploy_against_a100_with_vllm_does_more_than_its_work() -> None:
    found = k_same_load(sweep("llama31-8b", "vllm", "A100"), sweep("llama31-8b", "lmdeploy", "4090"), 100)
    assert found.relation == "<="
    assert found.value == 1.0
