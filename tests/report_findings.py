"""Findings for tests: two runs of the 2024 fleet with prices, where nothing has to be measured first."""

import functools

from breakeven.app.level import Level
from breakeven.app.report import Loaded, findings_of
from breakeven.cost.inputs import Scenario
from breakeven.cost.scenario import read_scenario
from breakeven.findings import Findings, Prices
from breakeven.reference import find_run

PRICES = """
name = "prices"
title = "A100 against RTX 4090"

[reference]
gpu = "A100 80GB"
purchase_usd = 10000
purchase_from = "a quote of 2024-09"
rent_usd_per_h = 1.65
power_load_w = 294
pays = "rent"

[candidate]
gpu = "RTX 4090"
purchase_usd = 1750
rent_usd_per_h = { low = 0.24, mode = 0.32, high = 0.40 }
power_load_w = 365

[market]
usd_per_kwh = 0.16
rented_share = { low = 0.3, mode = 0.6, high = 0.9 }
fee_markup = 0.1
life_years = 4
discount_per_year = 0.1
residual_share = 0.1

[[variants]]
label = "two cards"
group = "cards"
set = { "candidate.count" = 2 }
"""


ANY_CARDS = "\n".join(line for line in PRICES.splitlines() if not line.startswith("gpu"))
"""The same prices for whatever cards the runs have."""


def scenario(text: str = PRICES) -> Scenario:
    return read_scenario(text, where="test")


@functools.cache
def pair(*, text: str | None = PRICES, floor: float = 40.0, ranges: str | None = None) -> Findings:
    runs = [Loaded(find_run(gpu, data="nosana-2024")) for gpu in ("a100-80", "rtx-4090")]
    scenarios = () if text is None else (scenario(text),)
    return findings_of(runs, level=Level(floors=(floor,)), prices=Prices(scenarios=scenarios, ranges=ranges))


@functools.cache
def single(*, text: str | None = None) -> Findings:
    run = Loaded(find_run("rtx-4090", data="nosana-2024"))
    prices = Prices(scenarios=() if text is None else (scenario(text),))
    return findings_of([run], level=Level(floors=(40.0,)), prices=prices)
