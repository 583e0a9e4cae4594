"""How much of its hardware a run used: by hand, in a run's summary, and the caution where it cannot be."""

from pathlib import Path

import pytest

from breakeven.hardware import find_gpu, find_model
from breakeven.metrics.summary import Estimate, LevelSummary, RunFacts
from breakeven.predict.roofline import shares, with_roofline
from breakeven.report.roofline import roofline_line

MODEL, GPU = find_model("llama-3.1-8b"), find_gpu("rtx4090")
RUN = RunFacts(id="x", model="meta-llama/Llama-3.1-8B-Instruct", host={"gpu": "NVIDIA GeForce RTX 4090"})


def level(speed: float, *, users: int, tokens_in: float = 0.0, tokens_out: float = 100.0) -> LevelSummary:
    answers = speed / tokens_out
    return LevelSummary(
        users=users,
        status="done",
        output_tok_per_s=Estimate(value=speed),
        req_per_s=Estimate(value=answers),
        total_tok_per_s=Estimate(value=answers * (tokens_in + tokens_out)),
    )


def test_one_user_at_the_bandwidth_of_the_card_is_a_share_of_one() -> None:
    """Llama 3.1 8B in 16 bits: 15.0 GB a token without the embedding, of which a step reads one row."""
    passed = (MODEL.weights - MODEL.head_weights) * 2 + 50 * 131_072
    found = shares(level(1008e9 / passed, users=1), MODEL, GPU, cards=1)
    assert found is not None
    assert found.bandwidth == pytest.approx(1.0, rel=1e-6)
    assert found.prefill_compute == 0


def test_two_cards_halve_it_and_prompts_count_as_products() -> None:
    one, two = (shares(level(500, users=10, tokens_in=900), MODEL, GPU, cards=cards) for cards in (1, 2))
    assert one is not None
    assert two is not None
    assert two.bandwidth == pytest.approx(one.bandwidth / 2)
    assert one.compute == pytest.approx(2 * 7.5e9 * 5000 / 165.2e12, rel=0.01)
    assert one.prefill_compute == pytest.approx(0.9 * (one.compute or 0))


def test_of_two_engines_each_reads_the_weights_for_its_own_users() -> None:
    one, two = (shares(level(500, users=10), MODEL, GPU, cards=2, replicas=replicas) for replicas in (1, 2))
    assert one is not None
    assert two is not None
    weights = (MODEL.weights - MODEL.head_weights) * 2 * 500 / 10 / (2 * 1008e9)
    assert two.bandwidth - one.bandwidth == pytest.approx(weights, rel=1e-3)
    assert two.compute == one.compute
    # a single user is served by one of them at a time
    alone = [shares(level(50, users=1), MODEL, GPU, cards=2, replicas=replicas) for replicas in (1, 2)]
    assert alone[0] == alone[1]


def test_more_than_the_card_can_is_a_caution_and_less_is_none() -> None:
    fast = with_roofline(level(200, users=1), RUN)
    assert [caution.id for caution in fast.cautions] == ["beyond_roofline"]
    assert "--gpu" in fast.cautions[0].remedy
    well = with_roofline(level(50, users=1), RUN)
    assert well.cautions == ()
    assert 0.6 < well.extra["roofline_bandwidth_share"] < 0.9
    line = roofline_line([well])
    assert line is not None
    assert "MBU) at 1 user" in line


def test_a_card_that_is_hardly_used_by_many_is_a_caution() -> None:
    assert [one.id for one in with_roofline(level(20, users=50), RUN).cautions] == ["far_below_roofline"]
    assert with_roofline(level(0.5, users=1), RUN).cautions == ()


@pytest.mark.parametrize("run", [RunFacts(id="x"), RunFacts(id="x", model="unheard-of", host={"gpu": "RTX 4090"})])
def test_what_is_not_known_is_left_out(run: RunFacts) -> None:
    found = level(50, users=1)
    assert with_roofline(found, run) is found


def test_a_model_called_like_a_folder_here_is_not_looked_for_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server may call its model what it likes: that made the summary fail where a folder had no config.json."""
    (tmp_path / "weights").mkdir()
    monkeypatch.chdir(tmp_path)
    found = level(50, users=1)
    assert with_roofline(found, RunFacts(id="x", model="weights", host={"gpu": "RTX 4090"})) is found
