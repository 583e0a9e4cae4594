"""`breakeven compare` as a user types it, on the shipped data sets and runs."""

import json
from pathlib import Path

import pytest

from breakeven.cli import main

FLEET = ("compare", "--data", "nosana-2024", "--reference", "a100-80", "--candidate", "rtx4090")
SWEEP = ("compare", "--data", "nosana-2024-sweep", "--reference", "a100-80", "--candidate", "rtx4090")
ENGINES = Path(__file__).parents[1] / "examples" / "cpu-llamacpp-vs-vllm"
RUNS = tuple(str(ENGINES / name) for name in ("smollm2-135m-llamacpp-chat", "smollm2-135m-vllm-chat"))
HOLD_NODES = "the intervals hold the spread between those nodes"


def printed(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> str:
    assert main(words) == 0
    return capsys.readouterr().out


def test_a_comparison_of_two_gpu_types_says_of_how_many_nodes_each_is(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(FLEET, capsys)
    assert f"A stands for its GPU type, by the medians of 16 nodes; {HOLD_NODES}." in text
    assert f"B stands for its GPU type, by the medians of 47 nodes; {HOLD_NODES}." in text


def test_a_spread_that_the_user_gives_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed((*FLEET, "--scope", "gpu_type", "--node-spread", "0.2"), capsys)
    assert text.count(f"{HOLD_NODES} and a spread between nodes of 20 % (as given).") == 2


def test_three_nodes_of_which_one_is_slow_bound_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed((*FLEET, "--data-workload", "llama3.1-8b-16bit", "--floor", "30"), capsys)
    assert "One A does the work of 1.77 B (no bound on either side, a tie)" in text


def test_the_sweep_is_of_one_card_each_and_no_interval_is_called_95_percent(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(SWEEP, capsys)
    assert "A and B each stand for one card of the data set; the intervals hold no spread between cards" in text
    assert HOLD_NODES not in text
    assert "95 % intervals" not in text
    assert "1 user each      1.48  no interval" in text
    assert "to narrow it, measure" not in text


def test_two_engines_on_one_kind_of_machine_are_told_as_that(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(("compare", *RUNS, "--floor", "12"), capsys)
    assert (
        "Engine comparison: A runs llamacpp, B runs vllm; k is of each machine with its engine, not of the card."
        in text
    )
    assert "Holds for the machines that ran A and B" in text
    assert "a user: throughput / users, in tok/s: the mean speed of a user, waits included;" in text


def test_a_run_is_one_of_itself_at_every_load(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(("compare", RUNS[0], RUNS[0], "--json", "-")) == 0
    (found,) = json.loads(capsys.readouterr().out)["comparisons"]
    figures = (*found["k_at_slo"], *found["k_same_load"], *found["ratio_equal_users"])
    assert {figure["value"] for figure in figures} == {1.0}


def test_a_gate_that_fails_is_exit_code_3(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(("compare", *RUNS, "--gate", "output_tok_per_s@1 >= 0.97 * reference")) == 3
    assert "gate failed: output_tok_per_s@1 >= 0.97 * reference (1 level: 1 failed)" in capsys.readouterr().out


@pytest.mark.parametrize(("words", "code"), [((), 0), (("--gate-strict",), 3)])
def test_a_gate_that_is_undecided_is_exit_code_3_where_it_is_strict(
    words: tuple[str, ...], code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(("compare", RUNS[0], RUNS[0], "--gate", "output_tok_per_s@1 >= 1 * reference", *words)) == code
    assert "gate undecided" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("compare", *RUNS, "--gate-strict"), "--gate-strict is about gates; give one with --gate CONDITION"),
        (("compare", RUNS[0]), "give a reference and at least one candidate"),
        (("compare", *RUNS, "--reference", "a100-80"), "go with --data NAME"),
        (("compare", *RUNS, "--tokens-per-word", "1.3"), "go with --data NAME"),
        ((*FLEET, *RUNS), "and no run folders"),
        ((*FLEET, "--node-spread", "0.2"), "--node-spread: a spread between nodes belongs to --scope gpu_type"),
        ((*FLEET, "--scope", "gpu_type", "--node-spread", "-1"), "--node-spread: -1 is no spread"),
        ((*FLEET, "--floor", "0"), "--floor: 0 is no speed"),
        ((*FLEET, "--data-workload", "gpt5"), "no workload of nosana-2024 is called 'gpt5'"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(
    words: tuple[str, ...], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    seen = capsys.readouterr()
    assert says in seen.err
    assert (seen.err.count("\n"), seen.out) == (1, "")
