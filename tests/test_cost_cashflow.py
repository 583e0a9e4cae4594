"""Money over time: capital recovery, payback, and rates of return that do not exist."""

import numpy as np
import numpy_financial as npf
import pytest

from breakeven.cost.evaluate import run_scenario
from breakeven.cost.primitives import present_h, rate_of_return

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
MONTHLY = 1.1 ** (1 / 12) - 1


def figures(*overrides: str) -> dict[str, float | None]:
    report = run_scenario(OWNED, where="owned", overrides=overrides)
    return {name: figure.value for name, figure in report.candidate.figures.items()}


def test_capital_recovery_is_the_monthly_annuity_that_a_bank_would_ask() -> None:
    monthly = -float(npf.pmt(MONTHLY, 48, 2000, -500))
    assert figures()["capital_usd_per_h"] == pytest.approx(monthly / 730.5)


def test_capital_recovery_without_interest_is_the_loss_of_value_spread_evenly() -> None:
    assert figures("market.discount_per_year=0")["capital_usd_per_h"] == pytest.approx(1500 / (4 * 8766))


def test_at_the_least_rent_the_npv_is_0_also_with_interest_and_falling_rents() -> None:
    for changes in ((), ("market.price_decline_per_year=0.2",)):
        least = figures(*changes)["floor_rent_usd_per_h_card"]
        assert figures(f"candidate.rent_usd_per_h={least!r}", *changes)["npv_usd"] == pytest.approx(0, abs=1e-6)


def test_without_interest_the_discounted_payback_is_the_break_even() -> None:
    for decline in ("0", "0.1"):
        found = figures("market.discount_per_year=0", f"market.price_decline_per_year={decline}")
        assert found["discounted_payback_h"] == pytest.approx(found["break_even_h"])
    assert figures("market.discount_per_year=0")["break_even_h"] == pytest.approx(2000 / 0.4)


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


def test_a_card_whose_rent_falls_before_it_is_repaid_never_breaks_even() -> None:
    """The ready owner at 30 % a year: its profits add up to 1,326 of 1,750 USD and then turn to losses."""
    from breakeven.cost.presets import preset_text

    owner = preset_text("owner")
    steady, falling = (
        run_scenario(owner, where="owner", overrides=[f"market.price_decline_per_year={decline}"])
        for decline in (0, 0.3)
    )
    assert steady.candidate.figures["break_even_h"].value == pytest.approx(15_067, abs=1)
    never = falling.candidate.figures["break_even_h"]
    assert never.value is None
    assert never.reason is not None
    assert never.reason.kind == "never"
    assert falling.candidate.figures["discounted_payback_h"].value is None
    cheaper = run_scenario(
        owner, where="owner", overrides=["market.price_decline_per_year=0.3", "candidate.purchase_usd=1325"]
    )
    dearer = run_scenario(
        owner, where="owner", overrides=["market.price_decline_per_year=0.3", "candidate.purchase_usd=1327"]
    )
    assert cheaper.candidate.figures["break_even_h"].value is not None
    assert dearer.candidate.figures["break_even_h"].value is None


def test_draws_whose_rent_falls_too_far_are_counted_as_never() -> None:
    report = run_scenario(
        OWNED, where="x", overrides=["market.price_decline_per_year={low=0, high=0.99}", "market.rented_share=0.5"]
    )
    assert report.uncertainty is not None
    hours = next(one for one in report.uncertainty.outcomes if one.name == "candidate.break_even_h")
    assert 0.2 < hours.p_never < 0.9


def returned(flow: list[float]) -> float:
    """The rate of a flow whose first month is its only earning one."""
    investment, months = -flow[0], len(flow) - 1
    residual = flow[-1] / investment
    columns = (np.array([one]) for one in (investment, 0.0, 0.0, 0.0, residual, float(months)))
    return float(rate_of_return(*columns)[0])


def test_a_scenario_whose_rent_falls_below_its_energy_says_why_it_has_no_irr() -> None:
    report = run_scenario(OWNED, where="owned", overrides=["market.price_decline_per_year=0.7"])
    irr = report.candidate.figures["irr_per_year"]
    assert irr.value is None
    assert irr.reason is not None
    assert "changes sign" in irr.reason.why


def test_only_losses_have_no_rate_of_return() -> None:
    columns = (np.array([one]) for one in (100.0, 0.0, 1.0, 0.0, 0.0, 12.0))
    assert np.isnan(rate_of_return(*columns)[0])


def test_a_total_return_after_a_year_is_that_rate_and_a_loss_has_a_negative_one() -> None:
    assert returned([-100.0, *([0.0] * 11), 130.0]) == pytest.approx(0.30)
    assert returned([-100.0, *([0.0] * 11), 80.0]) == pytest.approx(-0.20)


def test_an_interest_of_next_to_nothing_is_no_interest() -> None:
    hours = present_h(np.array([48.0]), np.array([0.0]), np.array([1e-18]))
    assert hours[0] == pytest.approx(4 * 8766)
    nearly, none = figures("market.discount_per_year=1e-15"), figures("market.discount_per_year=0")
    assert nearly["npv_usd"] == pytest.approx(none["npv_usd"])
    assert nearly["capital_usd_per_h"] == pytest.approx(none["capital_usd_per_h"])


def test_a_rent_that_vanishes_after_a_year_still_pays_in_its_first_month() -> None:
    found = figures("market.price_decline_per_year=1", "market.discount_per_year=0")
    running = 0.1 * 8766 * 4
    assert found["npv_usd"] == pytest.approx(0.5 * 8766 / 12 - running + 500 - 2000)
