"""Each formula text says what its function does; worked examples by hand."""

import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from breakeven.cost import cashflow, owner, parity, tokens
from breakeven.cost.figures import ASSUMED_EQUAL, COMPARISON, RENTED, SIDE
from breakeven.cost.result import put_in
from breakeven.cost.row import Row

ROWS = {
    **SIDE,
    **COMPARISON,
    **{f"{name} (rented)": row for name, row in RENTED.items()},
    **{f"{name} (equal work)": row for name, row in ASSUMED_EQUAL.items()},
}
EVALUABLE = {name: row for name, row in ROWS.items() if row.evaluable}


def as_written(row: Row, numbers: dict[str, float]) -> float:
    """What the formula text comes to when its numbers are put in."""
    text = put_in(row.formula, numbers, show=lambda value: f"({value!r})")
    assert not re.search(r"[a-z]{3,}_", text), f"a name was left in: {text}"
    return float(eval(text, {"ceil": math.ceil, "__builtins__": {}}))


@pytest.mark.parametrize("name", EVALUABLE)
@settings(deadline=None)
@given(data=st.data())
def test_the_formula_with_its_numbers_put_in_gives_the_value(name: str, data: st.DataObject) -> None:
    row = EVALUABLE[name]
    numbers = {need: data.draw(st.floats(0.05, 0.95)) for need in row.needs()}
    value = float(row.of(**numbers))
    if not math.isfinite(value):
        return
    if name == "months":
        assert value == max(1, round(as_written(row, numbers)))
        return
    assert value == pytest.approx(as_written(row, numbers), rel=1e-9)


@pytest.mark.parametrize("name", EVALUABLE)
def test_a_formula_gives_a_column_the_same_as_one_number(name: str) -> None:
    row = EVALUABLE[name]
    numbers = {need: 0.1 + 0.07 * index for index, need in enumerate(row.needs())}
    with np.errstate(divide="ignore", invalid="ignore"):
        column = row.of(**{need: np.array([value, value]) for need, value in numbers.items()})
    assert column == pytest.approx([float(row.of(**numbers))] * 2, nan_ok=True)


@pytest.mark.parametrize("name", ROWS)
def test_every_row_explains_itself(name: str) -> None:
    row = ROWS[name]
    assert row.of.__doc__
    assert row.label
    assert all(need in row.formula or not row.evaluable for need in row.needs())


def test_energy_is_weighed_by_the_rented_share() -> None:
    found = owner.energy_usd_per_h(
        count=2.0,
        usd_per_kwh=0.20,
        pue=1.5,
        rented_share=0.75,
        power_load_w=400.0,
        power_idle_w=40.0,
        host_w=30.0,
    )
    assert found == pytest.approx(2 * 0.20 * 1.5 * 0.340)


def test_a_mark_up_of_10_percent_takes_9_09_percent_of_the_rent() -> None:
    found = owner.revenue_usd_per_h(rent_usd_per_h_set=0.32, rented_share=1.0, availability=1.0, fee_share=0.1 / 1.1)
    assert found == pytest.approx(0.2909, abs=5e-5)


def test_no_profit_never_breaks_even() -> None:
    assert owner.break_even_h(investment_usd=1000.0, profit_usd_per_h=0.0) == math.inf
    assert owner.break_even_h(investment_usd=1000.0, profit_usd_per_h=-1.0) == math.inf


def test_tokens_of_a_dollar_hour_at_1000_per_second_cost_28_cents_a_million() -> None:
    found = tokens.usd_per_mtok_output(serving_usd_per_h=1.0, count=1.0, tok_per_s=1000.0, load_factor=1.0)
    assert found == pytest.approx(1 / 3.6)


def test_idle_hours_are_paid() -> None:
    busy = tokens.usd_per_mtok_output(serving_usd_per_h=1.0, count=1.0, tok_per_s=1000.0, load_factor=1.0)
    half = tokens.usd_per_mtok_output(serving_usd_per_h=1.0, count=1.0, tok_per_s=1000.0, load_factor=0.5)
    assert half == pytest.approx(2 * busy)


def test_tokens_that_missed_the_slo_are_paid_and_not_counted() -> None:
    found = tokens.usd_per_mtok_good(serving_usd_per_h=3.6, count=1.0, good_tok_per_s=500.0, load_factor=1.0)
    assert found == pytest.approx(2.0)


def test_break_even_share_above_all_hours_is_never() -> None:
    found = owner.break_even_rented_share(
        capital_usd_per_h=0.5,
        idle_usd_per_h=0.1,
        rent_usd_per_h_set=0.4,
        availability=1.0,
        fee_share=0.0,
        busy_usd_per_h=0.0,
    )
    assert found == math.inf


def test_parity_is_undefined_where_the_reference_never_breaks_even() -> None:
    found = parity.parity_usd_per_h_set(
        candidate_investment_usd=3500.0,
        reference_break_even_h=math.inf,
        candidate_running_usd_per_h=0.1,
        candidate_rented_share=1.0,
        candidate_availability=1.0,
        candidate_fee_share=0.0,
    )
    assert math.isnan(found)


def test_a_life_is_whole_months_and_at_least_one() -> None:
    assert cashflow.months(life_years=3.0) == 36
    assert cashflow.months(life_years=0.01) == 1
