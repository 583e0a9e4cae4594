"""The page works out money as the library does: every figure of many scenarios, to nine digits."""

import math

import pytest

from breakeven.cost.evaluate import report
from report_money_cases import PRESETS, by_the_library, for_the_page, made_up, preset
from test_cost_formulas import in_node, needs_node

DICE = [made_up(seed) for seed in range(150)]

EVERY_FIGURE = """
const figures = (one) => {
  const worked = Money.workOut(one), found = {};
  for (const part of ["candidate", "reference", "comparison"]) if (worked[part]) {
    const both = worked.reference && "tok_per_s" in worked.reference && "tok_per_s" in worked.candidate;
    const rows = one.rows[part === "comparison" && !both ? "equal" : part];
    for (const name of Object.keys(rows)) if (name in worked[part]) found[`${part}.${name}`] = Money.shown(worked[part][name]);
  }
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
        assert page.keys() == expected.keys()
        for name, value in expected.items():
            assert close(page[name], value), (scenario.name, name, page[name], value)
            compared += 1
    assert compared > 5_000


@needs_node
@pytest.mark.parametrize("name", ["nosana-2024", "renter", "owner"])
def test_crossings_along_a_rent_are_where_the_library_finds_them(name: str) -> None:
    scenario = preset(name)
    place = "candidate.rent_usd_per_h"
    swept = report(scenario, drawn=scenario, sweep_over=f"{place}=0:3:0.025").sweep
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
    library = report(scenario, drawn=scenario).tornado
    assert library is not None
    ranges = {swing.place: (swing.p10, swing.p90) for swing in library.swings}
    script = "console.log(JSON.stringify(Money.tornado(given.scenario, given.target, given.ranges)))"
    page = in_node(script, {"scenario": for_the_page(scenario), "target": library.target, "ranges": ranges})
    assert close(page["middle"], library.middle)
    assert [one["place"] for one in page["swings"]] == [swing.place for swing in library.swings]
    for one, swing in zip(page["swings"], library.swings, strict=True):
        assert close(one["at_p10"], swing.at_p10)
        assert close(one["at_p90"], swing.at_p90)
