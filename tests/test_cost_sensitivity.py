"""Tornado and sweep: ends by hand, crossings at the parities."""

import pytest

from breakeven.cost.evaluate import run_scenario
from breakeven.cost.jsonform import to_json
from breakeven.cost.presets import preset_text
from breakeven.cost.result import CostReport, Sweep
from breakeven.cost.sensitivity import read_sweep
from breakeven.errors import UsageError


def article(*overrides: str, sweep: str | None = None) -> CostReport:
    return run_scenario(preset_text("nosana-2024"), where="x", overrides=overrides, sweep_over=sweep)


def swept(line: str, *overrides: str) -> Sweep:
    found = article(*overrides, sweep=line).sweep
    assert found is not None
    return found


def test_a_bar_ends_where_one_input_at_its_p10_and_p90_puts_the_headline() -> None:
    tornado = article("candidate.count={low=1,high=2}", "market.usd_per_kwh={low=0.16,high=0.17}").tornado
    assert tornado is not None
    assert [swing.place for swing in tornado.swings] == ["candidate.count", "market.usd_per_kwh"]
    bar = tornado.swings[0]
    per_card = to_json(article("market.usd_per_kwh=0.165", "candidate.count=1"))["ratio"]
    assert (bar.p10, bar.p90) == pytest.approx((1.1, 1.9))
    assert (bar.at_p10, bar.at_p90) == pytest.approx((per_card / 1.1, per_card / 1.9))


def test_the_longest_bar_is_the_one_that_ends_at_never() -> None:
    text = """
    [candidate]
    purchase_usd = {low = 1000, high = 3000}
    rent_usd_per_h = {low = 0.01, high = 0.5}
    power_load_w = 400
    [market]
    usd_per_kwh = 0.2
    """
    report = run_scenario(text, where="test")
    assert report.tornado is not None
    assert report.tornado.target == "candidate.break_even_h"
    assert report.tornado.swings[0].place == "candidate.rent_usd_per_h"
    assert report.tornado.swings[0].at_p10 is None


def test_the_sweep_of_the_rent_crosses_at_the_roi_parity_rent() -> None:
    crossings = {crossing.what: crossing.at for crossing in swept("candidate.rent_usd_per_h=0.1:2:0.05").crossings}
    assert crossings["both break even at the same time (ROI parity)"] == pytest.approx(0.32975, abs=1e-6)
    assert crossings["the sets rent for the same (cost parity, renter)"] == pytest.approx(0.825, abs=1e-6)


def test_the_sweep_finds_where_profit_begins() -> None:
    found = swept("candidate.rent_usd_per_h=0.01:0.2:0.01")
    crossings = {crossing.what: crossing.at for crossing in found.crossings}
    assert crossings["the candidate's profit is 0"] == pytest.approx(0.048, abs=1e-6)
    assert found.figures["candidate.break_even_h"][0] is None


def test_a_crossing_on_a_point_of_the_line_is_found_once() -> None:
    found = swept("candidate.count=1:8:1", "reference.purchase_usd=7000", "candidate.purchase_usd=1750")
    at_one = [crossing for crossing in found.crossings if "ratio 1" in crossing.what]
    assert len(at_one) == 1


def test_a_sweep_has_both_its_ends() -> None:
    place, values = read_sweep("candidate.rent_usd_per_h=0.1:2:0.05")
    assert place == "candidate.rent_usd_per_h"
    assert (values[0], values[-1], len(values)) == pytest.approx((0.1, 2.0, 39))


def test_a_sweep_of_the_fee_goes_before_a_mark_up_in_the_scenario() -> None:
    report = run_scenario(preset_text("owner"), where="x", sweep_over="market.fee_share=0:0.5:0.25")
    assert report.sweep is not None
    hours = report.sweep.figures["candidate.break_even_h"]
    free = to_json(run_scenario(preset_text("owner"), where="x", overrides=["market.fee_markup=0"]))
    assert hours[0] == pytest.approx(free["break_even_h"]["candidate"])
    assert len(set(hours)) == 3


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("candidate.rent_usd_per_h", "write place=from:to:step"),
        ("candidate.rent_usd_per_h=1:2", "write place=from:to:step"),
        ("candidate.rent_usd_per_h=2:1:0.1", "write place=from:to:step"),
        ("candidate.rent_usd_per_h=1:2:0", "write place=from:to:step"),
        ("candidate.gpu=1:2:1", "write place=from:to:step"),
        ("candidate.rent_usd=1:2:1", "did you mean 'rent_usd_per_h'"),
        ("candidate.rent_usd_per_h=0:1:0.000001", "too many"),
        ("candidate.rent_usd_per_h=-1:1:0.5", "negative price"),
        ("candidate.count=0:2:1", "no number of cards"),
        ("market.rented_share=0:2:0.5", "no share"),
    ],
)
def test_a_sweep_that_cannot_be_says_what_is_wrong(line: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        article(sweep=line)


def test_a_sweep_of_a_side_that_is_not_there_says_so() -> None:
    with pytest.raises(UsageError, match="has no reference"):
        run_scenario(preset_text("owner"), where="x", sweep_over="reference.count=1:2:1")
