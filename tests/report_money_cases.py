"""Scenarios for holding the page's money against the library's: the ready ones, and many made up by dice."""

import random
from importlib import resources
from typing import Any

from breakeven.cost.inputs import Scenario, inputs
from breakeven.cost.model import columns, work_out
from breakeven.cost.result import one
from breakeven.cost.scenario import build, read_scenario
from breakeven.cost.uncertain import nominal
from breakeven.report.formulas import case_rows

PRESETS = ("nosana-2024", "owner", "renter", "self-host")
_SHARES = ("rented_share", "load_factor", "availability", "residual_share", "price_decline_per_year")


def preset(name: str) -> Scenario:
    text = resources.files("breakeven.cost.presets").joinpath(f"{name}.toml").read_text(encoding="utf-8")
    return read_scenario(text, where=name)


def made_up(seed: int) -> Scenario:
    dice = random.Random(seed)
    table: dict[str, Any] = {"name": f"dice {seed}", "candidate": _side(dice), "market": _market(dice)}
    if dice.random() < 0.8:
        table["reference"] = _side(dice)
    if dice.random() < 0.4:
        table["api"] = {"usd_per_mtok_input": dice.uniform(0, 1), "usd_per_mtok_output": dice.uniform(0, 3)}
    if dice.random() < 0.5:
        table["question"] = dice.choice(["same work", "own budgets"])
    if dice.random() < 0.6:
        table["tokens"] = {"input_per_output": dice.uniform(0, 9), "input_gpu_s_ratio": dice.uniform(0, 0.5)}
    return build(table, where="dice")


def _side(dice: random.Random) -> dict[str, Any]:
    table: dict[str, Any] = {"gpu": "card", "count": dice.choice([1.0, 2.0, dice.uniform(0.4, 9)])}
    for name, low, high, chance in (
        ("purchase_usd", 500, 30_000, 0.8),
        ("host_usd", 0, 2_000, 0.4),
        ("rent_usd_per_h", 0.05, 4, 0.8),
        ("opex_usd_per_h", 0, 0.2, 0.4),
        ("power_load_w", 50, 700, 0.9),
        ("power_idle_w", 5, 90, 0.5),
        ("host_w", 0, 200, 0.4),
        ("tok_per_s", 20, 5_000, 0.7),
        ("input_tok_per_s", 20, 50_000, 0.3),
        ("good_tok_per_s", 0, 4_000, 0.3),
    ):
        if dice.random() < chance:
            table[name] = dice.uniform(low, high)
    if dice.random() < 0.3:
        table["use"] = dice.choice(["rented out", "own"])
    if dice.random() < 0.3:
        table["pays"] = dice.choice(["purchase", "rent"])
    if dice.random() < 0.3:
        table[dice.choice(["fee_share", "fee_markup"])] = dice.uniform(0, 0.4)
    return table


def _market(dice: random.Random) -> dict[str, Any]:
    table: dict[str, Any] = {"usd_per_kwh": dice.uniform(0, 0.5), "pue": dice.uniform(1, 2)}
    table |= {name: dice.uniform(0.05, 1) for name in _SHARES if dice.random() < 0.6}
    if dice.random() < 0.8:
        table |= {"life_years": dice.uniform(0.2, 8), "discount_per_year": dice.choice([0.0, dice.uniform(0, 0.3)])}
    if dice.random() < 0.3:
        table["rent_usd_per_h_set"] = dice.uniform(0.2, 4)
    if dice.random() < 0.4:
        table["fee_markup"] = dice.uniform(0, 0.5)
    return table


def for_the_page(scenario: Scenario) -> dict[str, Any]:
    """What `Money.workOut` takes."""
    numbers = {place: nominal(value) for place, value in inputs(scenario).items()}
    return {"inputs": numbers, **case_rows(scenario)}


def by_the_library(scenario: Scenario) -> dict[str, float | None]:
    """Every figure that could be worked out, by path."""
    worked = work_out(scenario, columns(scenario))
    parts = {"candidate": worked.candidate, "reference": worked.reference, "comparison": worked.comparison}
    return {
        f"{part}.{name}": one(float(sheet.values[name][0]))
        for part, sheet in parts.items()
        if sheet is not None
        for name in sheet.rows
        if name in sheet.values
    }
