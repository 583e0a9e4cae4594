"""The page of a cost report: what it shows, and that the docs know every figure and every key."""

import pathlib

import pytest

from breakeven.cost.evaluate import run_scenario
from breakeven.cost.figures import ROWS
from breakeven.cost.formula import readable
from breakeven.cost.inputs import SECTIONS, Correlation, Scenario, Spread, Variant
from breakeven.cost.jsonform import to_json
from breakeven.cost.presets import PRESETS, preset_text
from breakeven.cost.text import render
from breakeven.say import amount, between, fixed, times

DOCS = pathlib.Path(__file__).parents[1] / "docs" / "ECONOMICS.md"
UNCERTAIN = """
[candidate]
gpu = "card"
purchase_usd = 2000
rent_usd_per_h = { low = 0.01, high = 0.3 }
power_load_w = 400
[market]
usd_per_kwh = 0.2
"""


def test_numbers_read_as_people_write_them() -> None:
    assert amount(6211.18, "h") == "6,211 h (259 days)"
    assert amount(0.096, "USD/h") == "0.096 USD/h"
    assert amount(10_000, "USD") == "10,000 USD"
    assert amount(1.411, "share") == "141 %"
    assert amount(5_677_435, "tok/USD") == "5.68M tok/USD"
    assert times(2.5018) == "2.5x"


def test_a_half_rounds_up_even_where_binary_arithmetic_fell_short() -> None:
    assert fixed(0.32974999999999993, 4) == "0.3298"
    assert fixed(0.6594999999999999, 3) == "0.660"


def test_an_interval_shows_its_lower_end_first() -> None:
    assert between([5.75, 5.44], "x") == "5.44x–5.75x"
    assert between([5.0, 5.0], "x") == "5.00x"
    assert between([5.0, None], "x") == "5.00x to never"


def test_the_page_of_draws_names_what_varies_and_how_often_it_never_pays() -> None:
    page = render(run_scenario(UNCERTAIN, where="x"))
    assert "varies: candidate.rent_usd_per_h: uniform low 0.01, high 0.3" in page
    assert "100,000 draws, seed 0" in page
    row = next(line for line in page.splitlines() if line.startswith("  candidate: break-even"))
    assert "never" in row
    assert row.rstrip().endswith("%")


def test_the_page_of_a_sweep_has_a_line_a_value_and_its_crossings() -> None:
    page = render(run_scenario(UNCERTAIN, where="x", sweep_over="candidate.rent_usd_per_h=0.05:0.25:0.05"))
    assert "at 0.08: the candidate's profit is 0" in page
    assert "  0.05" in page
    assert "never" in page


def test_a_sweep_that_crosses_nothing_says_so() -> None:
    page = render(run_scenario(preset_text("owner"), where="x", sweep_over="candidate.purchase_usd=1000:1100:50"))
    assert "no curves cross" in page


def test_the_page_hides_what_was_not_asked_and_says_what_would_open_it() -> None:
    page = render(run_scenario(preset_text("nosana-2024"), where="x"))
    assert "NPV  " not in page
    assert "More with: market.life_years and market.discount_per_year (NPV" in page


def test_an_undefined_figure_is_explained_under_the_table() -> None:
    page = render(run_scenario(UNCERTAIN, where="x", overrides=["candidate.rent_usd_per_h=0.05"]))
    assert "card, break-even: never: an hour earns no more than it costs" in page


def test_every_price_of_a_preset_is_shown_with_its_source() -> None:
    page = render(run_scenario(preset_text("self-host"), where="x"), explain=True)
    assert "API price: Llama 3.1 8B on Amazon Bedrock" in page
    assert "2026-09-03" in page


def test_one_seed_one_page() -> None:
    pages = {render(run_scenario(UNCERTAIN, where="x", seed=4)) for _ in range(2)}
    assert len(pages) == 1
    assert render(run_scenario(UNCERTAIN, where="x", seed=5)) not in pages


def test_the_docs_have_every_figure_with_its_formula() -> None:
    page = DOCS.read_text(encoding="utf-8")
    assert [name for name, row in ROWS.items() if f"| `{name}` " not in page or readable(row.text) not in page] == []


@pytest.mark.parametrize("of", [*dict.fromkeys(SECTIONS.values()), Scenario, Variant, Correlation, Spread])
def test_the_docs_know_every_key_of_a_scenario(of: type) -> None:
    docs = DOCS.read_text(encoding="utf-8")
    assert [name for name in of.__struct_fields__ if f"`{name}`" not in docs] == []  # type: ignore[attr-defined]


def test_the_docs_know_every_key_of_the_json_and_every_preset() -> None:
    docs = DOCS.read_text(encoding="utf-8")
    names = [*to_json(run_scenario(preset_text("owner"), where="x")), *PRESETS]
    assert [name for name in names if f"`{name}`" not in docs] == []
