"""Money over time: capital recovery, payback, and rates of return that do not exist."""

import numpy_financial as npf
import pytest

from breakeven.cost import cashflow
from breakeven.cost.evaluate import run_scenario

OWNED = """
[candidate]
purchase_usd = 2000
rent_usd_per_h = 0.5
power_load_w = 500
[market]
usd_per_kwh = 0.2
life_years = 4
discount_per_year = 0.1
residual_share = 0.25
"""


def figures(*overrides: str) -> dict[str, float | None]:
    report = run_scenario(OWNED, where="owned", overrides=overrides)
    return {name: figure.value for name, figure in report.candidate.figures.items()}


def test_capital_recovery_is_the_annuity_that_a_bank_would_ask() -> None:
    yearly = -float(npf.pmt(0.1, 4, 2000, -500))
    assert figures()["capital_usd_per_h"] == pytest.approx(yearly / 8766)


def test_capital_recovery_without_interest_is_the_loss_of_value_spread_evenly() -> None:
    assert figures("market.discount_per_year=0")["capital_usd_per_h"] == pytest.approx(1500 / (4 * 8766))


def test_without_interest_the_discounted_payback_is_the_break_even() -> None:
    found = figures("market.discount_per_year=0")
    assert found["break_even_h"] == pytest.approx(2000 / 0.4)
    assert found["discounted_payback_h"] == pytest.approx(found["break_even_h"])


def test_interest_lengthens_the_payback() -> None:
    found = figures()
    assert found["discounted_payback_h"] is not None
    assert found["break_even_h"] is not None
    assert found["discounted_payback_h"] > found["break_even_h"]


def test_the_resale_does_not_pay_back_before_it_comes() -> None:
    found = figures("candidate.rent_usd_per_h=0.143", "market.residual_share=1", "market.discount_per_year=0")
    assert found["break_even_h"] == pytest.approx(2000 / 0.043)
    assert found["discounted_payback_h"] is None


def test_roi_over_the_life_counts_the_resale() -> None:
    expected = (0.4 * 4 * 8766 + 500 - 2000) / 2000
    assert figures()["roi_life"] == pytest.approx(expected)


def test_falling_rents_are_in_npv_and_not_in_the_plain_break_even() -> None:
    steady, falling = figures(), figures("market.price_decline_per_year=0.3")
    assert falling["break_even_h"] == steady["break_even_h"]
    assert falling["npv_usd"] is not None
    assert steady["npv_usd"] is not None
    assert falling["npv_usd"] < steady["npv_usd"]


def test_several_sign_changes_have_no_single_rate_of_return() -> None:
    rate, reason = cashflow.irr_per_year([-100, 230, -132])
    assert rate is None
    assert reason is not None
    assert "changes sign 2 times" in reason


def test_a_scenario_whose_rent_falls_below_its_energy_says_why_it_has_no_irr() -> None:
    report = run_scenario(OWNED, where="owned", overrides=["market.price_decline_per_year=0.7"])
    irr = report.candidate.figures["irr_per_year"]
    assert irr.value is None
    assert irr.reason is not None
    assert "changes sign" in irr.reason


def test_only_losses_have_no_rate_of_return() -> None:
    assert cashflow.irr_per_year([-100, -1, -1])[0] is None


def test_a_total_return_after_a_year_is_that_rate() -> None:
    rate, _ = cashflow.irr_per_year([-100.0, *([0.0] * 11), 130.0])
    assert rate == pytest.approx(0.30)


def test_a_loss_has_a_negative_rate() -> None:
    rate, _ = cashflow.irr_per_year([-100.0, *([0.0] * 11), 80.0])
    assert rate == pytest.approx(-0.20)


def test_an_interest_of_next_to_nothing_is_no_interest() -> None:
    assert cashflow.annuity_years(discount_per_year=1e-18, months=48.0) == pytest.approx(4)
    nearly, none = figures("market.discount_per_year=1e-15"), figures("market.discount_per_year=0")
    assert nearly["npv_usd"] == pytest.approx(none["npv_usd"])
    assert nearly["capital_usd_per_h"] == pytest.approx(none["capital_usd_per_h"])


def test_a_rent_that_vanishes_after_a_year_still_pays_in_its_first_month() -> None:
    found = figures("market.price_decline_per_year=1", "market.discount_per_year=0")
    running = 0.1 * 8766 * 4
    assert found["npv_usd"] == pytest.approx(0.5 * 8766 / 12 - running + 500 - 2000)
