"""What must hold for any numbers: parities are equalities, tokens pay the hour once, NPV is 0 at the IRR."""

import math

import msgspec
import numpy as np
import numpy_financial as npf
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from breakeven.cost import cashflow, tokens
from breakeven.cost.inputs import Deployment, Market, Scenario
from breakeven.cost.model import Worked, columns, work_out

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
    availability=shares,
    load_factor=shares,
    fee_share=st.floats(0, 0.3),
    discount_per_year=st.floats(0, 0.3),
    life_years=st.floats(1, 6),
    residual_share=st.floats(0, 0.3),
)
scenarios = st.builds(Scenario, candidate=deployments, reference=deployments, market=markets)


def worked(scenario: Scenario) -> Worked:
    return work_out(scenario, columns(scenario))


def number(found: Worked, path: str) -> float:
    column = found.column(path)
    assert column is not None, path
    return float(column[0])


def with_rent(scenario: Scenario, rent_usd_per_h: float) -> Scenario:
    candidate = msgspec.structs.replace(scenario.candidate, rent_usd_per_h=rent_usd_per_h, pays="rent")
    return msgspec.structs.replace(scenario, candidate=candidate)


@settings(deadline=None)
@given(scenarios)
def test_at_the_roi_parity_rent_the_break_even_hours_are_equal(scenario: Scenario) -> None:
    found = worked(scenario)
    assume(math.isfinite(number(found, "reference.break_even_h")))
    even = worked(with_rent(scenario, number(found, "parity_usd_per_h_card")))
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
    output = tokens.usd_per_mtok_output_apart(
        serving_usd_per_h=hour,
        count=count,
        tok_per_s=t_out,
        input_gpu_s_ratio=r,
        input_tok_per_s=t_in,
        load_factor=1.0,
    )
    input_ = tokens.usd_per_mtok_input_apart(input_gpu_s_ratio=r, usd_per_mtok_output_apart=output)
    assert 3600 * count * (output * t_out + input_ * t_in) / 1e6 == pytest.approx(hour)


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
    assert number(even, "candidate.revenue_usd_per_h") == pytest.approx(number(even, "candidate.total_usd_per_h"))


@settings(deadline=None)
@given(scenarios)
def test_at_the_least_rent_the_npv_is_zero_but_for_monthly_payment(scenario: Scenario) -> None:
    """Capital recovery is by the year, cash flows by the month, so they agree exactly only without interest."""
    market = msgspec.structs.replace(scenario.market, discount_per_year=0.0)
    scenario = msgspec.structs.replace(scenario, market=market)
    rent = number(worked(scenario), "candidate.floor_rent_usd_per_h_card")
    even = worked(with_rent(scenario, rent))
    assert number(even, "candidate.npv_usd") == pytest.approx(0, abs=1e-6 * number(even, "candidate.investment_usd"))


flows = st.builds(
    cashflow.flows_usd,
    revenue_usd_per_h=st.floats(0.01, 3),
    running_usd_per_h=st.floats(0, 0.3),
    price_decline_per_year=st.floats(0, 0.5),
    months=st.integers(1, 72).map(float),
    investment_usd=money,
    residual_share=st.floats(0, 0.5),
)


@settings(deadline=None)
@given(flows)
def test_npv_at_the_irr_is_zero(flow: list[float]) -> None:
    rate, reason = cashflow.irr_per_year(flow)
    assert (rate is None) != (reason is None)
    assume(rate is not None and -0.99 < rate < 1e6)
    assert rate is not None
    monthly = (1 + rate) ** (1 / 12) - 1
    scale = sum(abs(amount) / (1 + monthly) ** month for month, amount in enumerate(flow))
    assert npf.npv(monthly, flow) == pytest.approx(0, abs=1e-6 * scale)


@settings(deadline=None)
@given(flows, st.floats(0, 0.5))
def test_npv_agrees_with_the_oracle(flow: list[float], rate: float) -> None:
    assert cashflow.npv_of(flow, rate=rate) == pytest.approx(npf.npv(rate, flow), rel=1e-9, abs=1e-6)


@settings(deadline=None)
@given(
    revenue=st.floats(0, 3),
    running=st.floats(0, 0.5),
    decline=st.floats(0, 0.6),
    discount=st.floats(0, 0.4),
    life=st.integers(1, 72).map(float),
    investment=money,
    residual=st.floats(0, 0.5),
)
def test_npv_in_closed_form_is_the_sum_of_the_months(
    revenue: float, running: float, decline: float, discount: float, life: float, investment: float, residual: float
) -> None:
    flow = cashflow.flows_usd(
        revenue_usd_per_h=revenue,
        running_usd_per_h=running,
        price_decline_per_year=decline,
        months=life,
        investment_usd=investment,
        residual_share=residual,
    )
    found = cashflow.npv_usd(
        revenue_usd_per_h=np.array([revenue]),
        running_usd_per_h=np.array([running]),
        price_decline_per_year=np.array([decline]),
        discount_per_year=np.array([discount]),
        months=np.array([life]),
        investment_usd=np.array([investment]),
        residual_share=np.array([residual]),
        discount_factor=np.array([(1 + discount) ** (-life / 12)]),
    )
    assert found[0] == pytest.approx(npf.npv((1 + discount) ** (1 / 12) - 1, flow), rel=1e-7, abs=1e-4)


@settings(deadline=None)
@given(flows)
def test_irr_agrees_with_the_oracle_where_there_is_one(flow: list[float]) -> None:
    rate, _ = cashflow.irr_per_year(flow)
    assume(rate is not None and 0.01 < rate < 5)
    assert rate is not None
    oracle = float(npf.irr(flow))
    assume(not math.isnan(oracle))
    assert (1 + oracle) ** 12 - 1 == pytest.approx(rate, rel=1e-4)
