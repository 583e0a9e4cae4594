import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from breakeven.cli import main
from breakeven.errors import UsageError
from breakeven.fleet.fairprice import fair_prices
from breakeven.fleet.feedback import report
from breakeven.fleet.inspect import slow_rows
from breakeven.fleet.market import Wanted, market
from breakeven.fleet.market_text import render
from breakeven.fleet.rows import Rows, make_rows
from breakeven.fleet.rules import FORMS, METRICS, RuleFile, form_of, metric_of, read_rules
from breakeven.fleet.scores import scores
from breakeven.fleet.simulate import TRIED, simulate
from breakeven.fleet.store import add
from breakeven.units import H_PER_MONTH
from fleet_made import RATES, USERS, fleet, job

NINE = {f"n{i}": (1 + 0.01 * (i - 4),) * 2 for i in range(9)}
"""0.96 to 1.04."""
RULES = """
market = "rtx4090"
address = "97G9"

[[rules]]
metric = "users_1_tok_per_s"
rule = "mean - 20 %"
words = "Ask us if you think that this is wrong."

[[rules]]
metric = "temperature_max_c"
rule = "at most 85"

[[rules]]
metric = "download_mbit_per_s"
rule = "at least 100"
optional = true
"""


def judged(rows: Rows, rules: str = RULES) -> dict[str, Any]:
    found = market(rows, wanted=Wanted(), files=[read_rules(rules, where="r.toml")]).verdicts
    return {one.node: one for one in found}


def test_a_flat_rule_holds_a_node_against_the_mean_of_its_like() -> None:
    of = judged(fleet({**NINE, "slow": (0.7, 0.7)}))
    (speed, *_) = of["slow"].checks
    mean = 50 * (9 * 1.0 + 0.7) / 10
    assert speed.value == pytest.approx(35.0)
    assert speed.limit == pytest.approx(0.8 * mean)
    assert (speed.passed, of["slow"].passed) == (False, False)
    assert all(of[name].passed for name in NINE)


def test_an_absolute_threshold_and_what_is_optional() -> None:
    hot = {"temperature_max_c": 90.0, "download_bit_per_s": 50e6}
    cool = {"temperature_max_c": 70.0, "download_bit_per_s": 50e6}
    of = judged(fleet({"hot": (1.0,), "cool": (1.0,)}, hot=hot, cool=cool))
    assert (of["hot"].passed, of["cool"].passed) == (False, True)
    assert [one.passed for one in of["cool"].checks] == [None, True, False]


def test_what_was_not_measured_is_not_judged() -> None:
    of = judged(fleet({"a": (1.0,)}))
    assert of["a"].passed is None
    assert report(of["a"]) is None


def test_a_feedback_report_has_the_platforms_fields_and_words_for_the_host() -> None:
    rows = fleet({**NINE, "slow": (0.7, 0.7)}, slow={"temperature_max_c": 60.0, "power_limit_w": 200.0})
    told = report(judged(rows)["slow"])
    assert told is not None
    assert set(told) == {"marketAddress", "passed", "metrics"}
    assert (told["marketAddress"], told["passed"]) == ("97G9", False)
    speed, heat = told["metrics"]
    assert set(speed) == {
        "metricKey",
        "measuredValue",
        "ruleDescription",
        "passed",
        "failureMessage",
        "isOptional",
    }
    assert speed["metricKey"] == "t.users_1_tokens_per_second_mean"
    assert speed["failureMessage"].startswith(
        "Throughput at 1 user: 35 tok/s, at least 38.8 tok/s asked for (mean of 10 nodes 48.5). "
        "Ask us if you think that this is wrong."
    )
    assert (heat["passed"], heat["failureMessage"], heat["isOptional"]) == (True, None, False)


def test_a_failed_node_is_told_its_cause_and_cure() -> None:
    usual = {name: {"power_limit_w": 450.0, "default_power_limit_w": 450.0} for name in NINE}
    slow = {"power_limit_w": 200.0, "default_power_limit_w": 450.0}
    of = judged(fleet({**NINE, "slow": (0.6, 0.6)}, **usual, slow=slow))
    assert of["slow"].causes[0].text == "its power limit is 200 W, where 450 W is usual"


def test_rules_count_only_for_their_market_card_and_template() -> None:
    rows = make_rows([job(1, "a"), job(2, "b", market="other"), job(3, "c", template="u")], users=USERS)
    everywhere = RuleFile(rules=read_rules(RULES, where="r").rules)
    assert {one.node for one in market(rows, wanted=Wanted(), files=[everywhere]).verdicts} == {"a", "b", "c"}
    here = RuleFile(market="rtx4090", template="t", gpu="rtx4090", rules=everywhere.rules)
    assert {one.node for one in market(rows, wanted=Wanted(), files=[here]).verdicts} == {"a"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "Object missing required field `rules`"),
        ("rules = []", "has no [[rules]]"),
        ("x = [", "r.toml: "),
        ('[[rules]]\nmetric = "sped"\nrule = "tested"', "rule 1: no metric is called 'sped'; did you mean 'speed'?"),
        (
            '[[rules]]\nmetric = "speed"\nrule = "mean minus 20"',
            "'mean minus 20' is no rule; write it like mean - 20 %",
        ),
        ('[[rules]]\nmetric = "usd_per_h"\nrule = "tested"', "tested is of speed alone"),
        ('[[rules]]\nmetric = "usd_per_h"\nrule = "mean - 20 %"', "usd_per_h is better lower: write mean + 20 %"),
        ('[[rules]]\nmetric = "speed"\nrule = "mean - 100 %"', "is below anything"),
        ('[[rules]]\nmetric = "speed"\nrule = "tested"\nword = "x"', "unknown field `word`"),
        ('[[rules]]\nmetric = 3\nrule = "tested"', "Expected `str`"),
    ],
)
def test_a_wrong_rule_file_is_one_clear_line(text: str, words: str) -> None:
    with pytest.raises(UsageError) as error:
        read_rules(text, where="r.toml")
    assert words in str(error.value)
    assert "\n" not in str(error.value)
    assert str(error.value).startswith("r.toml: ")


def test_every_form_reads_its_own_example_and_every_metric_is_a_figure() -> None:
    for form in FORMS.values():
        assert form_of(form.example)[0] is form
    figures = market(fleet(NINE), wanted=Wanted(), files=[]).strata
    assert figures[0].nodes == 9
    assert metric_of("users_10_tok_per_s").key == "{t}.users_10_tokens_per_second_mean"
    for name in METRICS:
        assert metric_of(name) is METRICS[name]


def test_rules_are_simulated_with_moves_and_drops() -> None:
    rows = fleet({**NINE, "a": (0.86, 0.86), "b": (0.5, 0.5)})
    scored = scores(rows)
    slow = slow_rows(scored)
    by = {one.rule: one for one in simulate(scored, slow)}
    assert list(by) == list(TRIED)
    mean = (sum(factor for factor, _ in NINE.values()) + 0.86 + 0.5) / 11  # 0.942
    assert 0.5 < 0.8 * mean < 0.86
    assert (by["mean - 20 %"].premium, by["mean - 20 %"].community, by["mean - 20 %"].dropped) == (10, 0, 1)
    assert 0.9 * mean < 0.86
    assert by["tested"].dropped == 1
    assert (by["tested"].mean_pct or 0) > by["tested"].before_mean_pct
    nobody = simulate(scored, slow, rules=("at least 1000",))[0]
    assert (nobody.premium, nobody.mean_pct, nobody.sd_log) == (0, None, None)
    tried = simulate(scored, slow, rules=("mean - 5 %",), drop="mean - 20 %")[0]
    assert (tried.premium, tried.community, tried.dropped) == (9, 1, 1)


def test_a_strict_rule_fails_ordinary_nodes_and_says_what_that_costs() -> None:
    rng = np.random.default_rng(3)
    rows = fleet({f"n{i}": np.exp(rng.normal(0, 0.03) + rng.normal(0, 0.005, 4)) for i in range(60)})
    found = market(rows, wanted=Wanted(prices={"rtx4090": 0.5}, tried=("at least 101",)))
    (one,) = found.outcomes
    assert found.lost_usd_per_month[0] == pytest.approx(0.5 * 0.6 * H_PER_MONTH)
    assert 20 < one.wrong < 40
    assert one.wrong_usd_per_month == pytest.approx(one.wrong * 0.3 * H_PER_MONTH)
    half = market(rows, wanted=Wanted(prices={"rtx4090": 0.5}, overrides=("market.rented_share=0.3",)))
    assert half.lost_usd_per_month[0] == pytest.approx(0.5 * 0.3 * H_PER_MONTH)


def test_a_fair_price_is_the_references_over_k() -> None:
    twice = {n: {"output_tok_per_s": rate * 0.5} for n, rate in RATES.items()}
    told = [job(i, f"n{i}") for i in range(6)]
    told += [job(10 + i, f"m{i}", card_name="NVIDIA GeForce RTX 3090", gpu="rtx3090", levels=twice) for i in range(5)]
    (one,) = fair_prices(scores(make_rows(told, users=USERS)), prices={"rtx4090": 0.6}, floors=(22,))
    assert one.k.value is not None
    assert one.usd_per_h == pytest.approx(0.6 / one.k.value, rel=1e-6)
    assert one.k.value > 1.9  # half the speed at every load: at a floor a card holds less than half of the users
    assert one.at == "at least 22 tok/s a user on average"


@pytest.mark.parametrize(("nodes", "has_interval"), [(1, False), (5, True)])
def test_a_fair_price_of_a_single_node_has_no_interval(nodes: int, has_interval: bool) -> None:
    told = [job(i, f"n{i}") for i in range(6)]
    slower = {n: {"output_tok_per_s": rate * 0.5} for n, rate in RATES.items()}
    more: dict[str, Any] = {"card_name": "NVIDIA GeForce RTX 3090", "gpu": "rtx3090", "levels": slower}
    told += [job(10 + 5 * i + j, f"m{i}", **more) for i in range(nodes) for j in range(3)]
    (one,) = fair_prices(scores(make_rows(told, users=USERS)), prices={"rtx4090": 0.6}, floors=(22,))
    assert one.usd_per_h is not None
    assert (one.k.ci95 != (None, None)) is has_interval


def test_a_market_with_one_card_or_no_price_has_no_fair_price() -> None:
    assert fair_prices(scores(fleet(NINE)), prices={"rtx4090": 0.5}) == ()
    assert market(fleet(NINE), wanted=Wanted()).fair == ()


def test_the_text_tells_markets_rules_and_verdicts() -> None:
    rows = fleet({**NINE, "slow": (0.7, 0.7)})
    text = render(market(rows, wanted=Wanted(), files=[read_rules(RULES, where="r")]))
    assert "rtx4090 · GeForce RTX 4090 · llama-8b" in text
    assert "By the rules: 9 pass, 1 fail, 0 cannot be judged" in text
    assert "throughput at 1 user: 35 tok/s, at least 38.8 tok/s asked for (mean of 10 nodes 48.5)" in text
    assert "Give --price CARD=USD" in text


def test_the_command_writes_feedback_and_refuses_what_cannot_be(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results, rules, out = str(tmp_path / "set"), tmp_path / "r.toml", tmp_path / "f.json"
    add(results, fleet({**NINE, "slow": (0.7, 0.7)}))
    rules.write_text(RULES)
    base = ["fleet", "market", results]
    assert main([*base, "--rules", str(rules), "--feedback", str(out), "--json", "-"]) == 0
    told = json.loads(out.read_text())
    assert len(told) == 10
    assert [one["node"] for one in told if not one["feedbackReport"]["passed"]] == ["slow"]
    assert json.loads(capsys.readouterr().out)["format"] == 1
    for words, said in (
        (["--market", "nope"], "--market: no market of this set is called 'nope'; it has rtx4090"),
        (["--price", "h100-sxm=2"], "--price: no card of this set is called 'h100-sxm'"),
        (["--feedback", str(out)], "--feedback tells verdicts by rules; give --rules FILE too"),
        (["--try", "half"], "'half' is no rule"),
        (["--rules", str(tmp_path / "none.toml")], "none.toml"),
        (["--set", "market.rented_shar=1", "--price", "rtx4090=1"], "rented_share"),
    ):
        assert main([*base, *words]) == 2, words
        error = capsys.readouterr().err
        assert said in error
        assert error.count("\n") == 1
    rules.write_text(RULES.replace('"rtx4090"', '"elsewhere"'))
    assert main([*base, "--rules", str(rules)]) == 2
    assert "rules for market 'elsewhere': this set has rtx4090" in capsys.readouterr().err


def test_a_chance_to_be_fair_follows_the_interval() -> None:
    scored = scores(fleet({**NINE, "slow": (0.5, 0.51)}))
    (one,) = simulate(scored, np.zeros(len(scored), dtype=bool), rules=("at least 60",))
    assert one.wrong == pytest.approx(0.0, abs=1e-6)
    assert math.isclose(one.missed, 0.0, abs_tol=2.0)
