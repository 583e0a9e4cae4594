"""What runs measured goes into a scenario, and says so."""

import json
from pathlib import Path

import msgspec
import pytest

from breakeven.cli import main
from breakeven.cost.evaluate import run_scenario
from breakeven.cost.inputs import Spread
from breakeven.cost.measured import MeasuredInputs, MeasuredSide, as_input
from breakeven.cost.presets import preset_text
from breakeven.cost.text import render
from breakeven.errors import UsageError
from breakeven.metrics.summary import Estimate
from compare_fixture import a_run

MEASURED = MeasuredInputs(
    reference=MeasuredSide(
        tok_per_s=Estimate(value=3000, ci95=(2950, 3050)), power_w=294, power_from="NVML energy counter, GPU board"
    ),
    candidate=MeasuredSide(tok_per_s=Estimate(value=2000, ci95=(1980, 2020)), power_w=365),
    k=Estimate(value=1.5, ci95=(1.4, 1.7)),
    k_at="at least 40 tok/s a user",
    source="runs/a and runs/b",
)
LIFE = ["market.life_years=4", "market.discount_per_year=0.1"]


def test_k_and_measured_watts_replace_what_the_article_assumed() -> None:
    report = run_scenario(preset_text("nosana-2024"), where="x", measured=MEASURED)
    assert report.candidate.count == 1.5
    assert report.reference is not None
    assert report.reference.inputs["power_load_w"] == 294
    assert report.to_json()["ratio"] == pytest.approx(1.65 / (1.5 * 0.338918), rel=1e-5)


def test_the_set_does_the_reference_s_work_so_its_throughput_follows_from_k() -> None:
    report = run_scenario(preset_text("nosana-2024"), where="x", measured=MEASURED, overrides=LIFE)
    assert report.candidate.inputs["tok_per_s"] == pytest.approx(2000)
    assert report.comparison["k_tokens"].value == pytest.approx(1.5)


def test_the_interval_of_k_reaches_the_headline() -> None:
    report = run_scenario(preset_text("nosana-2024"), where="x", measured=MEASURED)
    assert report.uncertainty is not None
    ratio = next(outcome for outcome in report.uncertainty.outcomes if outcome.name == "ratio")
    k = next(outcome for outcome in report.uncertainty.outcomes if outcome.name == "k")
    assert k.quantiles["p50"] == pytest.approx(1.5, rel=0.005)
    assert ratio.quantiles["p50"] == pytest.approx(1.65 / (1.5 * 0.338918), rel=0.005)
    assert ratio.quantiles["p5"] is not None
    assert ratio.quantiles["p5"] < 1.65 / (1.6 * 0.338918)


def test_the_page_says_what_was_measured_and_where() -> None:
    page = render(run_scenario(preset_text("nosana-2024"), where="x", measured=MEASURED))
    assert "candidate.count is k = 1.5 (service level: at least 40 tok/s a user; runs/a and runs/b)" in page
    assert "NVML energy counter, GPU board" in page


def test_a_given_override_goes_before_what_was_measured() -> None:
    report = run_scenario(preset_text("nosana-2024"), where="x", measured=MEASURED, overrides=["candidate.count=2"])
    assert report.candidate.count == 2


def test_without_k_the_cards_stay_and_both_throughputs_count() -> None:
    measured = msgspec.structs.replace(MEASURED, k=Estimate())
    report = run_scenario(preset_text("nosana-2024"), where="x", measured=measured)
    assert report.candidate.count == 2
    assert report.candidate.inputs["tok_per_s"] == 2000
    assert any("k is not defined" in note for note in report.notes)


def test_power_that_was_not_measured_stays_declared_and_that_is_said() -> None:
    side = msgspec.structs.replace(MEASURED.candidate, power_w=None)
    report = run_scenario(
        preset_text("nosana-2024"), where="x", measured=msgspec.structs.replace(MEASURED, candidate=side)
    )
    assert report.candidate.inputs["power_load_w"] == 300
    assert any("the run measured no power" in note for note in report.notes)


def test_throughputs_of_another_operating_point_than_k_are_noted() -> None:
    side = msgspec.structs.replace(MEASURED.candidate, tok_per_s=Estimate(value=1500))
    report = run_scenario(
        preset_text("nosana-2024"), where="x", measured=msgspec.structs.replace(MEASURED, candidate=side)
    )
    assert any("not one operating point" in note for note in report.notes)


def test_a_measured_throughput_of_nothing_is_refused() -> None:
    side = msgspec.structs.replace(MEASURED.reference, tok_per_s=Estimate(value=0.0))
    with pytest.raises(UsageError, match=r"runs/a and runs/b: reference\.tok_per_s: 0 is no throughput"):
        run_scenario(preset_text("nosana-2024"), where="x", measured=msgspec.structs.replace(MEASURED, reference=side))


def test_an_estimate_with_an_open_end_counts_as_its_value() -> None:
    assert as_input(Estimate(value=5, ci95=(4, None))) == 5
    assert as_input(Estimate(value=5, ci95=(4, 6))) == Spread(value=5, ci95=(4, 6))
    assert as_input(Estimate()) is None


def test_two_runs_are_priced_by_the_card(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same throughput from one card and from two: each of the two does half of it, and draws half of the watts."""
    tput = {1: 100.0, 10: 500.0, 100: 1000.0}
    paths = []
    for name, count in (("one", 1), ("two", 2)):
        host = {"gpus": [{"name": f"NVIDIA Card {name}"}] * count, "gpu_count": count}
        run = a_run(tput, run_id=name, host=host)
        levels = tuple(msgspec.structs.replace(level, extra={"gpu_board_power_mean_w": 600.0}) for level in run.levels)
        paths.append(tmp_path / name / "summary.json")
        paths[-1].parent.mkdir()
        paths[-1].write_bytes(msgspec.json.encode(msgspec.structs.replace(run, levels=levels)))
    rents = ("--set", "reference.rent_usd_per_h=2", "--set", "candidate.rent_usd_per_h=1")
    assert main(["cost", "--from-runs", *map(str, paths), "--floor", "25", *rents, "--json", "-"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["candidate"]["count"] == pytest.approx(2.0)
    assert told["candidate"]["gpu"] == "Card two"
    assert told["candidate"]["inputs"]["power_load_w"] == pytest.approx(300.0)
    assert told["candidate"]["inputs"]["tok_per_s"] == pytest.approx(told["reference"]["inputs"]["tok_per_s"] / 2)
    assert told["candidate"]["usd_per_mtok_output"] == pytest.approx(told["reference"]["usd_per_mtok_output"])
