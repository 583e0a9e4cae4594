"""What must hold for any numbers: parities are equalities, tokens pay the hour once, NPV is 0 at the IRR."""

import math

import msgspec
import numpy as np
import numpy_financial as npf
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from breakeven.cost.inputs import Deployment, Market, Scenario, Tokens
from breakeven.cost.model import Worked, columns, work_out
from breakeven.cost.primitives import flows, rate_of_return

money = st.floats(100, 20_000)
watts = st.floats(20, 700)
speeds = st.floats(5, 5_000)
shares = st.floats(0.2, 1.0)
deployments = st.builds(
    Deployment,
    count=st.floats(0.3, 8),
    purchase_usd=money,
    host_usd=st.floats(0, 3_000),
    opex_usd_per_h=st.floats(0, 0.05),
    power_load_w=watts,
    power_idle_w=st.floats(1, 100),
    tok_per_s=speeds,
    rent_usd_per_h=st.floats(0.5, 5),
)
markets = st.builds(
    Market,
    usd_per_kwh=st.floats(0.02, 0.4),
    pue=st.floats(1, 2),
    rented_share=shares,
    price_decline_per_year=st.sampled_from([0.0, 0.0, 0.1, 0.3]),
    availability=shares,
    load_factor=shares,
    fee_share=st.floats(0, 0.3),
    discount_per_year=st.floats(0, 0.3),
    life_years=st.floats(1, 6),
    residual_share=st.floats(0, 0.3),
)
scenarios = st.builds(
    Scenario, candidate=deployments, reference=deployments, market=markets, question=st.just("same work")
)


def worked(scenario: Scenario) -> Worked:
    return work_out(scenario, columns(scenario))


def number(found: Worked, path: str) -> float:
    column = found.column(path)
    assert column is not None, path
    return float(column[0])


def with_rent(scenario: Scenario, rent_usd_per_h: float) -> Scenario:
    candidate = msgspec.structs.replace(
        scenario.candidate, rent_usd_per_h=rent_usd_per_h, use="rented out", pays="rent"
    )
    return msgspec.structs.replace(scenario, candidate=candidate)


@settings(deadline=None)
@given(scenarios)
def test_at_the_roi_parity_rent_the_break_even_hours_are_equal(scenario: Scenario) -> None:
    found = worked(scenario)
    assume(math.isfinite(number(found, "reference.break_even_h")))
    even = worked(with_rent(scenario, number(found, "parity_usd_per_h_card")))
    fallen = (1 - scenario.market.price_decline_per_year) ** (number(found, "reference.break_even_h") / 8766)  # type: ignore[operator]
    assume(number(even, "candidate.revenue_usd_per_h") * fallen > number(even, "candidate.running_usd_per_h"))
    assert number(even, "candidate.break_even_h") == pytest.approx(number(even, "reference.break_even_h"), rel=1e-6)


@settings(deadline=None)
@given(scenarios)
def test_at_the_cost_parity_rent_the_token_costs_are_equal(scenario: Scenario) -> None:
    reference = msgspec.structs.replace(scenario.reference, pays="rent")  # type: ignore[type-var]
    scenario = msgspec.structs.replace(scenario, reference=reference)
    even = worked(with_rent(scenario, number(worked(scenario), "cost_parity_usd_per_h_card")))
    costs = [number(even, f"{side}.usd_per_mtok_output") for side in ("reference", "candidate")]
    assert costs[0] == pytest.approx(costs[1])


@settings(deadline=None)
@given(scenarios)
def test_at_the_cost_parity_against_an_owner_the_token_costs_are_equal(scenario: Scenario) -> None:
    even = worked(with_rent(scenario, number(worked(scenario), "cost_parity_owner_usd_per_h_card")))
    costs = [number(even, f"{side}.usd_per_mtok_output") for side in ("reference", "candidate")]
    assert costs[0] == pytest.approx(costs[1])


@settings(deadline=None)
@given(hour=st.floats(0.05, 50), t_out=speeds, t_in=st.floats(0, 20_000), r=st.floats(0, 2), count=st.floats(0.5, 8))
def test_input_and_output_tokens_pay_the_hour_once(
    hour: float, t_out: float, t_in: float, r: float, count: float
) -> None:
    card = Deployment(count=count, rent_usd_per_h=hour, tok_per_s=t_out, input_tok_per_s=t_in)
    found = worked(Scenario(candidate=card, tokens=Tokens(input_gpu_s_ratio=r)))
    output, input_ = (number(found, f"candidate.usd_per_mtok_{name}_apart") for name in ("output", "input"))
    assert 3600 * (output * t_out + input_ * t_in) / 1e6 == pytest.approx(hour)


@settings(deadline=None)
@given(scenarios, shares, shares)
def test_more_rented_share_never_lengthens_the_break_even_where_the_marginal_hour_earns(
    scenario: Scenario, one: float, other: float
) -> None:
    less, more = sorted((one, other))
    found = worked(scenario)
    earned = number(found, "candidate.rent_usd_per_h_set") * number(found, "candidate.availability")
    marginal = earned * (1 - number(found, "candidate.fee_share")) - number(found, "candidate.busy_usd_per_h")
    assume(marginal > 0)
    at = columns(scenario)
    hours = [
        number(work_out(scenario, {**at, "market.rented_share": np.array([u])}), "candidate.break_even_h")
        for u in (less, more)
    ]
    assert hours[1] <= hours[0] * (1 + 1e-12)


@settings(deadline=None)
@given(scenarios)
def test_at_the_break_even_rented_share_the_capital_is_just_recovered(scenario: Scenario) -> None:
    share = number(worked(scenario), "candidate.break_even_rented_share")
    assume(math.isfinite(share) and share > 1e-6)
    even = work_out(scenario, {**columns(scenario), "market.rented_share": np.array([share])})
    earned = number(even, "candidate.revenue_usd_per_h") * number(even, "candidate.rent_kept_share")
    assert earned == pytest.approx(number(even, "candidate.total_usd_per_h"))


@settings(deadline=None)
@given(scenarios)
def test_at_the_least_rent_the_npv_is_zero(scenario: Scenario) -> None:
    rent = number(worked(scenario), "candidate.floor_rent_usd_per_h_card")
    even = worked(with_rent(scenario, rent))
    assert number(even, "candidate.npv_usd") == pytest.approx(0, abs=1e-6 * number(even, "candidate.investment_usd"))


owned = st.tuples(
    money, st.floats(0.01, 3), st.floats(0, 0.3), st.floats(0, 0.5), st.floats(0, 0.5), st.integers(1, 72).map(float)
)
"""Investment, revenue and running cost an hour, decline a year, residual share, months."""


def rate_of(case: tuple[float, ...]) -> float:
    return float(rate_of_return(*(np.array([one]) for one in case))[0])


@settings(deadline=None)
@given(owned)
def test_npv_at_the_irr_is_zero(case: tuple[float, ...]) -> None:
    rate, flow = rate_of(case), flows(*case)
    assume(-0.99 < rate < 1e6)
    monthly = (1 + rate) ** (1 / 12) - 1
    scale = sum(abs(amount) / (1 + monthly) ** month for month, amount in enumerate(flow))
    assert npf.npv(monthly, flow) == pytest.approx(0, abs=1e-6 * scale)


@settings(deadline=None)
@given(owned)
def test_irr_agrees_with_the_oracle_where_there_is_one(case: tuple[float, ...]) -> None:
    rate = rate_of(case)
    assume(0.01 < rate < 5)
    oracle = float(npf.irr(flows(*case)))
    assume(not math.isnan(oracle))
    assert (1 + oracle) ** 12 - 1 == pytest.approx(rate, rel=1e-4)


@settings(deadline=None)
@given(owned, st.floats(0, 0.4))
def test_npv_in_closed_form_is_the_sum_of_the_months(case: tuple[float, ...], discount: float) -> None:
    investment, revenue, running, decline, residual, months = case
    card = Deployment(
        purchase_usd=investment, rent_usd_per_h=revenue, power_load_w=1000.0, rented_share=1.0, power_idle_w=1000.0
    )
    market = Market(
        usd_per_kwh=running,
        price_decline_per_year=decline,
        discount_per_year=discount,
        life_years=months / 12,
        residual_share=residual,
    )
    found = number(worked(Scenario(candidate=card, market=market)), "candidate.npv_usd")
    assert found == pytest.approx(npf.npv((1 + discount) ** (1 / 12) - 1, flows(*case)), rel=1e-7, abs=1e-4)
