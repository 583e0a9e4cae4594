"""Each formula is one text: worked out, shown, and the same in JavaScript; worked examples by hand."""

import json
import math
import random
import shutil
import subprocess
from importlib import resources
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from breakeven.compare.runs import compare_runs
from breakeven.cost import figures, formula
from breakeven.cost.evaluate import run_scenario
from breakeven.cost.figures import ASSUMED_EQUAL, COMPARISON, ELSE, OWN_USE, RENTED, ROWS, SIDE, Row
from breakeven.cost.jsonform import to_json as cost_json
from breakeven.cost.presets import preset_text
from breakeven.cost.primitives import PRIMITIVES, flows
from breakeven.cost.scenario import read_scenario
from breakeven.cost.text import render
from breakeven.findings import Prices, findings
from breakeven.metrics.slo import ServiceLevel
from breakeven.reference import find_run
from breakeven.report import formulas
from breakeven.report.csvform import to_csv
from breakeven.report.html import to_html
from breakeven.report.markdown import to_markdown

TABLES = {"side": SIDE, "rented": RENTED, "own use": OWN_USE, "both": COMPARISON, "equal work": ASSUMED_EQUAL}
EVERY = {f"{name} ({table})": row for table, rows in TABLES.items() for name, row in rows.items()}
NODE = shutil.which("node")
needs_node = pytest.mark.skipif(NODE is None, reason="no `node` on PATH to run the page's formulas outside a browser")


def value(text: str, **numbers: float) -> float:
    with np.errstate(all="ignore"):
        return float(formula.work_out(text, {name: np.array([number]) for name, number in numbers.items()})[0])


def figure(name: str, **numbers: float) -> float:
    return value(ROWS[name].text, **numbers)


@pytest.mark.parametrize("name", EVERY)
def test_every_row_explains_itself(name: str) -> None:
    row = EVERY[name]
    assert row.label
    assert row.group in figures.GROUPS
    assert row.needs
    shown = formula.readable(row.text)
    assert all(need in shown or "known(" in row.text or "within(" in row.text for need in row.needs)


@pytest.mark.parametrize("name", EVERY)
def test_a_formula_gives_a_column_the_same_as_one_number(name: str) -> None:
    row = EVERY[name]
    numbers = {need: 0.1 + 0.07 * index for index, need in enumerate(row.needs)}
    with np.errstate(divide="ignore", invalid="ignore"):
        column = formula.work_out(row.text, {need: np.array([one, one]) for need, one in numbers.items()})
    assert column == pytest.approx([value(row.text, **numbers)] * 2, nan_ok=True)


def test_what_is_no_formula_is_refused() -> None:
    for text in ("__import__('os')", "a if b else c", "a.b", "[a]", "open(a)", "a and b", "lambda: 1", "over"):
        with pytest.raises((ValueError, KeyError)):
            value(text)


@pytest.mark.parametrize(
    ("text", "shown", "with_numbers"),
    [
        ("a - (b + c)", "a - (b + c)", "6 - (3 + 2)"),
        ("a * (b + c)**(-d / 12)", "a × (b + c)^(-d / 12)", "6 × (3 + 2)^(-24 / 12)"),
        ("over(a + b, c * d)", "(a + b) / (c × d)", "(6 + 3) / (2 × 24)"),
        ("within(over(a, b), 1)", "a / b", "6 / 3"),
        ("a / (b / c) - (d - a)", "a / (b / c) - (d - a)", "6 / (3 / 2) - (24 - 6)"),
        ("present_h(d, 0, 0) * a", "present_h(d, 0, 0) × a", "17,532 × 6"),
    ],
)
def test_a_formula_is_shown_with_no_more_brackets_than_it_needs(text: str, shown: str, with_numbers: str) -> None:
    values = {"a": np.array([6.0]), "b": np.array([3.0]), "c": np.array([2.0]), "d": np.array([24.0])}
    assert formula.readable(text) == shown
    assert formula.put_in(text, values, show=lambda number: f"{number:,.6g}") == with_numbers


@settings(deadline=None)
@given(st.integers(0, 10**6))
def test_brackets_never_change_what_a_formula_comes_to(seed: int) -> None:
    dice = random.Random(seed)

    def made(depth: int) -> str:
        if depth == 0 or dice.random() < 0.2:
            return dice.choice(["a", "b", "c"])
        sign = dice.choice(["+", "-", "*", "/", "**"])
        return f"({made(depth - 1)}) {sign} ({'c' if sign == '**' else made(depth - 1)})"

    text = made(4)
    again = formula.readable(text).replace("^", "**").replace("×", "*")
    assert value(again, a=1.3, b=0.7, c=2.1) == pytest.approx(value(text, a=1.3, b=0.7, c=2.1), nan_ok=True)


def in_node(script: str, given: Any) -> Any:
    page = resources.files("breakeven.report.page").joinpath("money.js").read_text(encoding="utf-8")
    read = "const given = JSON.parse(require('fs').readFileSync(0, 'utf8'));"
    body = f"{formulas.script()}\n{page}\n{read}\n{script}"
    done = subprocess.run(
        [NODE or "node", "-e", body], input=json.dumps(given), capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def test_the_page_has_every_function_that_a_formula_may_call() -> None:
    page = resources.files("breakeven.report.page").joinpath("money.js").read_text(encoding="utf-8")
    table = page.partition("const F = {")[2].partition("\n  };")[0]
    named = [line.strip().partition(":")[0].rstrip(",") for line in table.splitlines() if line.startswith("    ")]
    assert {name for name in named if name in PRIMITIVES} == set(PRIMITIVES)


@needs_node
def test_every_formula_gives_the_same_in_the_page() -> None:
    dice = random.Random(1)
    cases: list[tuple[str, dict[str, float]]] = []
    for text in dict.fromkeys([row.text for row in EVERY.values()] + [one.text for one in ELSE]):
        cases += [(text, {need: dice.choice(KINDS)(dice) for need in formula.needs(text)}) for _ in range(60)]
    page = in_node(
        """
        const texts = Object.fromEntries(given.texts.map((text, i) => [text, i]));
        const say = (x) => (Number.isNaN(x) ? "nan" : x === Infinity ? "inf" : x === -Infinity ? "-inf" : x);
        console.log(JSON.stringify(given.cases.map(([text, v]) => say(FORMULAS[texts[text]][1](v, Money.F)))));
        """,
        {"texts": list(formulas._numbers()), "cases": cases},
    )
    assert len(page) > 4_000
    for (text, numbers), found in zip(cases, page, strict=True):
        expected = value(text, **numbers)
        assert float(found) == pytest.approx(expected, rel=1e-9, abs=1e-9, nan_ok=True), (text, numbers)


KINDS = (
    lambda dice: dice.uniform(0.01, 0.99),
    lambda dice: dice.uniform(1, 72),
    lambda dice: float(dice.randint(0, 60)),
    lambda dice: dice.choice([0.0, 1.0]),
)


def test_a_row_more_is_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the terminal, --explain, JSON, the page (its table, and its JavaScript), Markdown and CSV."""
    row = Row("profit_usd_per_h * 730.5", "profit a month", "USD", "income")
    monkeypatch.setitem(SIDE, "profit_usd_per_month", row)
    monkeypatch.setitem(ROWS, "profit_usd_per_month", row)
    formulas._numbers.cache_clear()
    formulas.script.cache_clear()
    try:
        found = run_scenario(preset_text("nosana-2024"), where="x")
        terminal = render(found, explain=True)
        assert "profit a month" in terminal
        assert "profit_usd_per_month = profit_usd_per_h × 730.5" in terminal
        assert "= 1.61 × 730.5 = 1,176.11 USD" in terminal
        assert cost_json(found)["reference"]["profit_usd_per_month"] == pytest.approx(1.61 * 730.5)
        scenario = read_scenario(preset_text("nosana-2024"), where="x")
        runs = [find_run(gpu, data="nosana-2024") for gpu in ("a100-80", "rtx-4090")]
        told = findings(
            runs,
            comparisons=compare_runs(runs[0], runs[1:], floors=[40.0]),
            service_level=ServiceLevel(floor_tok_per_s_per_user=40.0),
            prices=Prices(scenarios=(scenario,)),
        )
        reference = told.money[0].report.reference
        assert reference is not None
        monthly = reference.figures["profit_usd_per_month"].value
        assert monthly is not None
        page = to_html(told)
        assert 'data-fig="reference.profit_usd_per_month"' in page
        assert "v.profit_usd_per_h * 730.5" in page
        assert f"| profit a month | {monthly:,.0f} USD |" in to_markdown(told)
        assert f"reference.profit_usd_per_month,{monthly!r}" in to_csv(told)
    finally:
        formulas._numbers.cache_clear()
        formulas.script.cache_clear()


def test_energy_is_weighed_by_the_rented_share_and_paid_only_while_it_is_up() -> None:
    numbers = {"count": 2, "usd_per_kwh": 0.20, "pue": 1.5, "rented_share": 0.75, "power_load_w": 400}
    numbers |= {"power_idle_w": 40, "host_w": 30}
    assert figure("energy_usd_per_h", **numbers, availability=1) == pytest.approx(2 * 0.20 * 1.5 * 0.340)
    assert figure("energy_usd_per_h", **numbers, availability=0.5) == pytest.approx(0.20 * 1.5 * 0.340)


def test_a_mark_up_of_10_percent_takes_9_09_percent_of_the_rent() -> None:
    found = figure("revenue_usd_per_h", rent_usd_per_h_set=0.32, rented_share=1, availability=1, fee_share=0.1 / 1.1)
    assert found == pytest.approx(0.2909, abs=5e-5)


def test_no_profit_never_breaks_even() -> None:
    for profit in (0.0, -1.0):
        found = figure(
            "break_even_h",
            investment_usd=1000,
            profit_usd_per_h=profit,
            revenue_usd_per_h=profit + 1,
            price_decline_per_year=0,
        )
        assert found == math.inf


def test_tokens_of_a_dollar_hour_at_1000_per_second_cost_28_cents_a_million_and_idle_hours_are_paid() -> None:
    numbers = {"serving_usd_per_h": 1, "count": 1, "tok_per_s": 1000}
    assert figure("usd_per_mtok_output", **numbers, load_factor=1) == pytest.approx(1 / 3.6)
    assert figure("usd_per_mtok_output", **numbers, load_factor=0.5) == pytest.approx(2 / 3.6)


def test_tokens_that_missed_the_slo_are_paid_and_not_counted() -> None:
    found = figure("usd_per_mtok_good", serving_usd_per_h=3.6, count=1, good_tok_per_s=500, load_factor=1)
    assert found == pytest.approx(2.0)


def test_break_even_share_above_all_hours_is_never() -> None:
    found = figure(
        "break_even_rented_share",
        capital_usd_per_h=0.5,
        idle_usd_per_h=0.1,
        rent_usd_per_h_set=0.4,
        rent_kept_share=1,
        availability=1,
        fee_share=0,
        busy_usd_per_h=0,
    )
    assert found == math.inf


def test_parity_is_undefined_where_the_reference_never_breaks_even() -> None:
    found = figure(
        "parity_usd_per_h_set",
        candidate_investment_usd=3500,
        reference_break_even_h=math.inf,
        candidate_running_usd_per_h=0.1,
        candidate_rented_share=1,
        candidate_availability=1,
        candidate_fee_share=0,
        candidate_price_decline_per_year=0,
    )
    assert math.isnan(found)


def test_a_life_is_whole_months_and_at_least_one() -> None:
    assert figure("months", life_years=3) == 36
    assert figure("months", life_years=0.01) == 1


@settings(deadline=None)
@given(
    investment=st.floats(10, 20_000),
    revenue=st.floats(0, 3),
    running=st.floats(0, 0.5),
    decline=st.sampled_from([0.0, 0.05, 0.3, 0.9, 1.0]),
    discount=st.sampled_from([0.0, 0.1]),
)
def test_the_purchase_is_repaid_in_the_month_in_which_the_sum_of_the_flows_says_so(
    investment: float, revenue: float, running: float, decline: float, discount: float
) -> None:
    """By adding up month after month, which the closed form does not do."""
    months = 2_000
    flow = flows(investment, revenue, running, decline, 0.0, months)[1:]
    total = np.cumsum(flow * (1 + discount) ** (-np.arange(1, months + 1) / 12))
    found = value("repaid_h(i, p, r, d, k)", i=investment, p=revenue - running, r=revenue, d=decline, k=discount)
    reached = np.flatnonzero(total >= investment)
    if revenue - running <= 0 or (reached.size == 0 and total[-1] < investment * 0.999):
        assert found == math.inf or found > months * 730.5
    elif reached.size:
        assert found / 730.5 == pytest.approx(reached[0] + 0.5, abs=0.5 + 1e-6)
