"""The article's figures come out of its assumptions, and the headline moves as it should."""

import json

import pytest

from breakeven.cost.evaluate import run_scenario
from breakeven.cost.jsonform import to_json
from breakeven.cost.presets import PRESETS, preset_text
from breakeven.cost.result import CostReport
from breakeven.cost.text import render


def article(*overrides: str) -> CostReport:
    return run_scenario(preset_text("nosana-2024"), where="nosana-2024", overrides=overrides)


def test_the_article_s_break_even_hours_come_out() -> None:
    found = to_json(article())
    assert found["break_even_h"]["reference"] == pytest.approx(10_000 / 1.61)
    assert found["break_even_h"]["candidate"] == pytest.approx(3_500 / 1.554)
    assert round(found["reference"]["break_even_h"]) == 6211
    assert round(found["candidate"]["break_even_h"]) == 2252
    assert round(found["reference"]["break_even_days"]) == 259
    assert round(found["candidate"]["break_even_days"]) == 94


def test_the_article_s_parity_rent_and_ratio_come_out() -> None:
    found = to_json(article())
    assert found["parity_usd_per_h_set"] == pytest.approx(0.6595, abs=1e-9)
    assert found["parity_usd_per_h_card"] == pytest.approx(0.32975, abs=1e-9)
    assert found["ratio"] == pytest.approx(1.65 / 0.6595)
    assert found["candidate"]["investment_usd"] / found["reference"]["break_even_h"] == pytest.approx(0.5635)


@pytest.mark.parametrize(
    ("count", "ratio"), [(1.5, 3.34), (2, 2.50), (1.54, 3.25), (1.23, 4.07), (1.07, 4.68), (0.64, 7.82)]
)
def test_the_headline_is_5_004_over_the_number_of_cards(count: float, ratio: float) -> None:
    found = to_json(article(f"candidate.count={count}"))["ratio"]
    assert found == pytest.approx(ratio, abs=0.005)
    assert found * count == pytest.approx(5.0038, abs=1e-4)


def test_with_measured_watts_the_set_costs_0_678_and_is_2_43_times_cheaper() -> None:
    found = to_json(article("reference.power_load_w=294", "candidate.power_load_w=365"))
    assert found["parity_usd_per_h_set"] == pytest.approx(0.678, abs=5e-4)
    assert found["ratio"] == pytest.approx(2.43, abs=5e-3)


def test_the_renter_s_cost_parity_is_another_figure_than_the_roi_parity() -> None:
    found = to_json(article())["comparison"]
    assert found["cost_parity_usd_per_h_card"] == pytest.approx(0.825)
    assert found["parity_usd_per_h_card"] == pytest.approx(0.32975)


def test_changing_an_assumption_changes_the_headline() -> None:
    assert to_json(article("market.usd_per_kwh=0.32"))["ratio"] != pytest.approx(to_json(article())["ratio"])


def test_the_page_shows_the_article_s_figures() -> None:
    page = render(article(), explain=True)
    for text in ("6,211 h (259 days)", "2,252 h (94 days)", "0.66 USD/h a set", "0.33 USD/h a card", "2.5x"):
        assert text in page
    assert "= 10,000 / 1.61 = 6,211.18 h" in page
    assert "(3,500 / 6,211.18 + 0.096) / (1 × 1 × (1 - 0) × 1) = 0.6595 USD/h" in page


def test_the_page_shows_how_the_headline_moves() -> None:
    page = render(article())
    for text in ("3.34x", "3.25x", "4.07x", "4.68x", "7.82x", "2.43x", "0.87–0.92", "5.44x–5.75x"):
        assert text in page
    assert "equal users: not k" in page


def test_an_interval_of_k_is_worked_out_at_both_ends() -> None:
    variant = next(v for v in article().variants if v.label == "50 words/s a user")
    assert variant.figures["ratio"] == pytest.approx([5.0038 / 0.87, 5.0038 / 0.92], abs=1e-3)


def test_the_page_says_what_the_article_leaves_out() -> None:
    page = render(article(), explain=True)
    for name in ("rented_share=1", "availability=1", "fee_share=0", "pue=1", "opex_usd_per_h=0"):
        assert name in page


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_reads_and_its_json_can_be_written(name: str) -> None:
    report = run_scenario(preset_text(name), where=name)
    assert report.name == name
    assert json.loads(json.dumps(to_json(report), allow_nan=False))["scenario"] == name
    assert render(report, explain=True).isprintable() or "\n" in render(report)


@pytest.mark.parametrize("name", PRESETS)
def test_every_undefined_figure_has_a_reason(name: str) -> None:
    figures = run_scenario(preset_text(name), where=name).all_figures()
    assert [path for path, figure in figures.items() if figure.value is None and not figure.reason] == []


def test_a_side_that_never_breaks_even_is_none_with_the_reason() -> None:
    found = to_json(article("market.rent_usd_per_h_set=0.05", "reference.power_load_w=500"))
    assert found["break_even_h"]["reference"] is None
    assert "never" in found["reasons"]["reference.break_even_h"]
    assert found["parity_usd_per_h_set"] is None
    assert "reference never breaks even" in found["reasons"]["comparison.ratio"]


def test_whole_cards_bring_the_headline_back_to_the_next_card() -> None:
    found = to_json(article("candidate.count=1.54"))["comparison"]
    assert found["whole_cards"] == 2
    assert found["ratio_whole_cards"] == pytest.approx(1.65 / 0.6595)
    assert "In whole cards (2): 2.5x cheaper" in render(article("candidate.count=1.54"))


def test_words_are_called_words_on_the_page() -> None:
    page = render(run_scenario(preset_text("renter"), where="renter"))
    assert "USD/Mword" in page
    assert "USD/Mtok" not in page


def test_at_60_percent_rented_the_a100_needs_10526_hours_and_the_ratio_falls_to_2_31() -> None:
    found = to_json(article("market.rented_share=0.6"))
    assert found["break_even_h"]["reference"] == pytest.approx(10_000 / 0.95)
    assert found["ratio"] == pytest.approx(1.65 / ((3_500 / (10_000 / 0.95) + 0.096) / 0.6))
    assert round(found["ratio"], 2) == 2.31
