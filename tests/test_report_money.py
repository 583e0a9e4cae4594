"""The page works out money as the library does: every figure of many scenarios, to nine digits."""

import json
import math
import shutil
import subprocess
from importlib import resources
from typing import Any

import pytest

from breakeven.cost.evaluate import report
from breakeven.cost.figures import ASSUMED_EQUAL, COMPARISON, RENTED, SIDE
from breakeven.cost.sensitivity import CROSSINGS
from report_money_cases import PRESETS, by_the_library, for_the_page, made_up, preset

NODE = shutil.which("node")
needs_node = pytest.mark.skipif(NODE is None, reason="no `node` on PATH to run the page's formulas outside a browser")
DICE = [made_up(seed) for seed in range(150)]


def in_node(script: str, given: Any) -> Any:
    money = resources.files("breakeven.report.page").joinpath("money.js").read_text(encoding="utf-8")
    body = f"{money}\nconst given = JSON.parse(require('fs').readFileSync(0, 'utf8'));\n{script}"
    done = subprocess.run(
        [NODE or "node", "-e", body], input=json.dumps(given), capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


EVERY_FIGURE = """
const figures = (one) => {
  const worked = Money.workOut(one), found = {};
  for (const part of ["candidate", "reference"]) if (worked[part]) {
    for (const name of Object.keys(Money.SIDE)) if (name in worked[part])
      found[`${part}.${name}`] = Money.shown(worked[part][name]);
    for (const [name, value] of Object.entries(Money.searched(worked[part]))) if (value !== undefined)
      found[`${part}.${name}`] = value;
  }
  if (worked.comparison) for (const name of Object.keys(Money.COMPARISON)) if (name in worked.comparison)
    found[`comparison.${name}`] = Money.shown(worked.comparison[name]);
  return found;
};
"""


def close(page: float | None, library: float | None) -> bool:
    if page is None or library is None:
        return page is library
    return math.isclose(page, library, rel_tol=1e-9, abs_tol=1e-9)


@needs_node
def test_every_figure_of_every_scenario_is_the_library_s_to_nine_digits() -> None:
    scenarios = [*map(preset, PRESETS), *DICE]
    found = in_node(
        EVERY_FIGURE + "console.log(JSON.stringify(given.map(figures)))", [for_the_page(one) for one in scenarios]
    )
    compared = 0
    for scenario, page in zip(scenarios, found, strict=True):
        expected = by_the_library(scenario)
        searched = {name for name in page if name.endswith(("discounted_payback_h", "irr_per_year"))}
        assert {name for name in page if name not in searched} <= expected.keys()
        for name, value in expected.items():
            assert name in page, (scenario.name, name)
            assert close(page[name], value), (scenario.name, name, page[name], value)
            compared += 1
    assert compared > 5_000


@needs_node
def test_the_page_has_every_row_of_the_library_with_the_same_needs() -> None:
    script = """
    const needs = (rows) => Object.fromEntries(Object.entries(rows).map(([name, row]) => [name, row.needs]));
    console.log(JSON.stringify([needs(Money.SIDE), needs(Money.RENTED), needs(Money.COMPARISON), Money.CROSSINGS]))
    """
    side, rented, comparison, crossings = in_node(script, None)
    for rows, page in ((SIDE, side), (RENTED, rented), (COMPARISON, comparison)):
        assert {name: sorted(row.needs()) for name, row in rows.items()} == {n: sorted(v) for n, v in page.items()}
    assert set(ASSUMED_EQUAL) == {"k_tokens"}
    assert [tuple(one) for one in crossings] == [tuple(one) for one in CROSSINGS]


@needs_node
@pytest.mark.parametrize("name", ["nosana-2024", "renter", "owner"])
def test_crossings_along_a_rent_are_where_the_library_finds_them(name: str) -> None:
    scenario = preset(name)
    place = "candidate.rent_usd_per_h"
    swept = report(scenario, drawn=scenario, seed=0, sweep_over=f"{place}=0:3:0.025", notes=()).sweep
    assert swept is not None
    script = "console.log(JSON.stringify(Money.crossings(given.scenario, given.place, given.values)))"
    given = {"scenario": for_the_page(scenario), "place": place, "values": swept.values}
    page = in_node(script, given)
    assert [one["what"] for one in page] == [one.what for one in swept.crossings]
    assert [one["at"] for one in page] == pytest.approx([one.at for one in swept.crossings], rel=1e-7)
    assert page


@needs_node
def test_the_tornado_of_the_page_is_the_library_s() -> None:
    scenario = preset("owner")
    library = report(scenario, drawn=scenario, seed=0, sweep_over=None, notes=()).tornado
    assert library is not None
    ranges = {swing.place: (swing.p10, swing.p90) for swing in library.swings}
    script = "console.log(JSON.stringify(Money.tornado(given.scenario, given.target, given.ranges)))"
    page = in_node(script, {"scenario": for_the_page(scenario), "target": library.target, "ranges": ranges})
    assert close(page["middle"], library.middle)
    assert [one["place"] for one in page["swings"]] == [swing.place for swing in library.swings]
    for one, swing in zip(page["swings"], library.swings, strict=True):
        assert close(one["at_p10"], swing.at_p10)
        assert close(one["at_p90"], swing.at_p90)
