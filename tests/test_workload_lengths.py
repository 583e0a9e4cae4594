"""Lengths drawn from distributions and from files."""

import asyncio
import statistics
from pathlib import Path

import pytest

from breakeven.caution import Caution
from breakeven.errors import UsageError
from breakeven.workload.lengths import Lengths
from word_server import WordServer


def prepared(server: WordServer, **settings: str | int) -> tuple[Lengths, list[Caution]]:
    workload = Lengths(**settings)  # type: ignore[arg-type]
    return workload, list(asyncio.run(workload.prepare(server)))


def test_prompts_have_the_lengths_that_were_drawn() -> None:
    server = WordServer()
    workload, cautions = prepared(server, input_tokens="uniform:60,200", output_tokens="lognormal:80,0.5")
    assert cautions == []
    for k in range(100):
        ask = workload.make(nonce=k, user=1, k=k)
        assert (ask.input_tokens, ask.output_tokens) == workload.lengths(1, k)
        assert server.true_tokens(ask) == ask.input_tokens
        assert ask.exact_length


def test_drawn_lengths_have_the_mean_and_spread_asked_for() -> None:
    workload = Lengths(input_tokens="normal:512,128", output_tokens="uniform:100,200")
    drawn = [workload.lengths(user, k) for user in range(100) for k in range(100)]
    inputs, outputs = zip(*drawn, strict=True)
    # 10,000 draws: the standard errors are 1.28 and 0.29
    assert statistics.mean(inputs) == pytest.approx(512, abs=5)
    assert statistics.stdev(inputs) == pytest.approx(128, abs=4)
    assert statistics.mean(outputs) == pytest.approx(150, abs=1.2)
    assert abs(statistics.correlation(inputs, outputs)) < 0.05


def test_lengths_follow_the_seed() -> None:
    def drawn(seed: int) -> list[tuple[int, int]]:
        workload = Lengths(input_tokens="normal:512,128", output_tokens=100, seed=seed)
        return [workload.lengths(0, k) for k in range(20)]

    assert drawn(1) == drawn(1) != drawn(2)


def test_pairs_of_a_file_stay_together(tmp_path: Path) -> None:
    path = tmp_path / "pairs.csv"
    path.write_text("input,output\n100,1\n200,2\n300,3\n")
    workload, cautions = prepared(WordServer(), input_tokens=f"file:{path}")
    drawn = {workload.lengths(0, k) for k in range(200)}
    assert cautions == []
    assert drawn == {(100, 1), (200, 2), (300, 3)}


def test_prompts_that_should_be_shorter_than_the_template_are_sent_longer_with_a_caution() -> None:
    server = WordServer()
    workload, cautions = prepared(server, input_tokens="uniform:16,55", output_tokens=5)
    asks = [workload.make(nonce=k, user=0, k=k) for k in range(300)]
    assert [caution.id for caution in cautions] == ["short_inputs"]
    assert min(server.true_tokens(ask) for ask in asks) == 35
    assert all(server.true_tokens(ask) == ask.input_tokens for ask in asks)


def test_a_file_gives_both_lengths_or_none(tmp_path: Path) -> None:
    path = tmp_path / "pairs.csv"
    path.write_text("input_tokens,output_tokens\n100,1\n")
    with pytest.raises(UsageError, match="leave output-tokens out"):
        Lengths(input_tokens=f"file:{path}", output_tokens=5)
    with pytest.raises(UsageError, match="output-tokens: say how long"):
        Lengths(input_tokens=100)


def test_a_wrong_line_of_the_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "pairs.csv"
    path.write_text("input,output\n100,1\n200,-2\n")
    with pytest.raises(UsageError, match=r"pairs.csv, line 3: 'output' must be a number of at least 0"):
        Lengths(input_tokens=f"file:{path}")
    path.write_text("input,output\n")
    with pytest.raises(UsageError, match="holds no pair"):
        Lengths(input_tokens=f"file:{path}")
