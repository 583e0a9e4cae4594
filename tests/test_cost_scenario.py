"""Scenario files: what is wrong is one line with the place."""

import pytest

from breakeven.cost.evaluate import run_scenario
from breakeven.cost.jsonform import to_json
from breakeven.cost.presets import preset_text
from breakeven.errors import UsageError

GOOD = """
name = "test"
[candidate]
gpu = "card"
purchase_usd = 1000
rent_usd_per_h = 0.5
power_load_w = 300
[market]
usd_per_kwh = 0.2
"""


def refused(text: str, *overrides: str) -> str:
    with pytest.raises(UsageError) as caught:
        run_scenario(text, where="my.toml", overrides=overrides)
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("cuont = 2", "my.toml: candidate: no key is called 'cuont'; did you mean 'count'?"),
        ("purchase = 2", "did you mean 'purchase_usd'?"),
        ("host_usd = -5", "my.toml: candidate.host_usd: -5 is a negative price"),
        ("rented_share = 1.2", "my.toml: candidate.rented_share: 1.2 is no share"),
        ("tok_per_s = 0", "my.toml: candidate.tok_per_s: 0 is no throughput"),
        ("tok_per_s = nan", "my.toml: candidate.tok_per_s: nan is no number"),
        ("count = 0", "my.toml: candidate.count: 0 is no number of cards"),
        ("power_idle_w = -1", "negative power"),
        ("node_sd_log = 5", "candidate.node_sd_log: 5 is no spread"),
        ('currency = "EUR"', "my.toml: candidate.currency: amounts are in USD and this says EUR"),
        ('tok_per_s = "fast"', "candidate.tok_per_s: give a number or a range such as {low = 1, high = 2}, not str"),
        ("tok_per_s = {low = 5}", "my.toml: candidate.tok_per_s: is no range"),
        ("tok_per_s = {lo = 5, high = 6}", "my.toml: candidate.tok_per_s: no key is called 'lo'; did you mean 'low'?"),
        ("tok_per_s = {low = -5, high = 6}", "my.toml: candidate.tok_per_s: -5 is no throughput"),
        ('pays = "money"', "pays"),
    ],
)
def test_a_bad_line_is_named_with_its_place(line: str, says: str) -> None:
    assert says in refused(GOOD.replace("[candidate]", f"[candidate]\n{line}"))


def test_an_unknown_section_is_named() -> None:
    assert "my.toml: no key is called 'candidat'; did you mean 'candidate'?" in refused(GOOD + "\n[candidat]\n")


def test_text_that_is_no_toml_says_where() -> None:
    assert "line 1" in refused("name = = 3")


def test_a_scenario_without_a_candidate_says_so() -> None:
    assert "candidate" in refused("[market]\nusd_per_kwh = 0.2\n")


def test_a_fee_is_a_share_or_a_mark_up_and_not_both() -> None:
    assert "not both" in refused(GOOD + "fee_share = 0.1\nfee_markup = 0.1\n")


def test_an_api_price_in_another_currency_is_refused() -> None:
    assert "my.toml: api.currency" in refused(GOOD + '[api]\ncurrency = "EUR"\nusd_per_mtok_output = 1\n')


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("candidate.cuont=2", "--set candidate.cuont=2: candidate: no key is called 'cuont'; did you mean 'count'?"),
        ("candidat.count=2", "--set candidat.count=2: no section is called 'candidat'; did you mean 'candidate'?"),
        ("candidate.count", "write place=value"),
        ("candidate.count=-1", "--set: candidate.count: -1 is no number of cards"),
        ("candidate.count=many", "candidate.count: give a number or a range"),
        ("candidate.count={low=1,hihg=2}", "did you mean 'high'?"),
        ("market.pue=0.5", "is no PUE"),
    ],
)
def test_a_bad_override_is_named_with_its_place(override: str, says: str) -> None:
    assert says in refused(GOOD, override)


def test_a_bad_place_in_a_variant_is_named() -> None:
    variant = '[[variants]]\nlabel = "more"\nset = { "candidate.cuont" = 2 }\n'
    assert "variants: more: candidate: no key is called 'cuont'" in refused(GOOD + variant)


def test_overrides_apply_in_order_and_the_last_one_wins() -> None:
    report = run_scenario(GOOD, where="x", overrides=["candidate.count=3", "candidate.count=2"])
    assert report.candidate.count == 2


def test_an_override_can_add_a_side() -> None:
    report = run_scenario(GOOD, where="x", overrides=["reference.rent_usd_per_h=2", "reference.gpu=big"])
    assert report.reference is not None
    assert report.reference.gpu == "big"


def test_an_override_can_be_a_range() -> None:
    report = run_scenario(GOOD, where="x", overrides=["market.usd_per_kwh={low=0.1,high=0.3}"])
    assert report.uncertainty is not None
    assert report.uncertainty.ranges == {"market.usd_per_kwh": "uniform low 0.1, high 0.3"}


def test_an_unknown_preset_names_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean 'nosana-2024'"):
        preset_text("nosana-2023")


def test_a_mark_up_and_its_share_are_the_same_fee() -> None:
    hours = [
        to_json(run_scenario(GOOD + line, where="x"))["break_even_h"]["candidate"]
        for line in ("fee_markup = 0.1\n", "fee_share = 0.09090909090909091\n")
    ]
    assert hours[0] == pytest.approx(hours[1])


def test_a_side_s_own_rented_share_goes_before_the_market_s() -> None:
    text = GOOD.replace("[candidate]", "[candidate]\nrented_share = 0.5") + "rented_share = 0.9\n"
    assert run_scenario(text, where="x").candidate.inputs["rented_share"] == 0.5


def test_missing_inputs_are_named_by_the_figure_that_needs_them() -> None:
    reasons = to_json(run_scenario(GOOD, where="x"))["reasons"]
    assert reasons["candidate.npv_usd"] == "not given: market.life_years, market.discount_per_year"
    assert reasons["candidate.tok_per_j"] == "not given: candidate.tok_per_s"


def test_a_currency_text_in_small_letters_is_the_same_currency() -> None:
    assert run_scenario('currency = "usd"\n' + GOOD, where="x").candidate.gpu == "card"


def test_idle_power_that_nobody_gave_is_taken_as_load_power_and_said() -> None:
    report = run_scenario(GOOD + "rented_share = 0.5\n", where="x")
    assert report.candidate.figures["energy_usd_per_h"].value == pytest.approx(0.06)
    assert any(one.name == "power_idle_w" and not one.is_neutral for one in report.taken)
