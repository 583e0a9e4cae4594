"""Draws: shared ones are shared, never stays never, and they are repeatable and quick."""

import time

import msgspec
import numpy as np
import pytest
from scipy import stats

from breakeven.cost.evaluate import run_scenario
from breakeven.cost.inputs import Correlation, Scenario
from breakeven.cost.jsonform import to_json
from breakeven.cost.limits import check
from breakeven.cost.model import work_out
from breakeven.cost.montecarlo import draws_of, quantile_of, uncertainty
from breakeven.cost.presets import preset_text
from breakeven.cost.ranges import RentQuotes, ranged
from breakeven.cost.result import Outcome, Uncertainty
from breakeven.cost.scenario import overridden, read_scenario
from breakeven.errors import UsageError

N = 20_000


def scenario(*overrides: str) -> Scenario:
    return overridden(read_scenario(preset_text("nosana-2024"), where="nosana-2024"), overrides)


def outcome(found: Uncertainty, name: str) -> Outcome:
    return next(outcome for outcome in found.outcomes if outcome.name == name)


def test_both_sides_share_each_draw_of_the_market() -> None:
    same = scenario(
        "market.usd_per_kwh={low=0.05,high=0.5}", "market.rented_share={low=0.2,high=1}", "candidate.count=1"
    )
    same = msgspec.structs.replace(same, candidate=same.reference)
    worked = work_out(same, draws_of(same, N, seed=1))
    reference, candidate = worked.column("reference.break_even_h"), worked.column("candidate.break_even_h")
    assert reference is not None
    assert reference.size == N
    assert np.array_equal(reference, np.asarray(candidate))


def test_two_purchases_are_two_draws() -> None:
    found = draws_of(
        scenario("candidate.purchase_usd={low=1000,high=2000}", "reference.purchase_usd={low=1000,high=2000}"),
        N,
        seed=1,
    )
    ranks = stats.spearmanr(found["candidate.purchase_usd"], found["reference.purchase_usd"]).statistic
    assert ranks == pytest.approx(0, abs=0.03)


def test_one_range_more_leaves_the_other_draws_as_they_were() -> None:
    one = draws_of(scenario("market.usd_per_kwh={low=0.1,high=0.2}"), N, seed=3)
    two = draws_of(scenario("market.usd_per_kwh={low=0.1,high=0.2}", "market.pue={low=1,high=2}"), N, seed=3)
    assert np.array_equal(one["market.usd_per_kwh"], two["market.usd_per_kwh"])


def test_the_same_seed_gives_the_same_answer_and_another_seed_another() -> None:
    uncertain = scenario("market.usd_per_kwh={low=0.1,high=0.2}")
    assert uncertainty(uncertain, seed=5, n=N) == uncertainty(uncertain, seed=5, n=N)
    assert uncertainty(uncertain, seed=5, n=N) != uncertainty(uncertain, seed=6, n=N)


def test_draws_that_never_pay_stay_never_and_rank_last() -> None:
    found = uncertainty(scenario("market.rent_usd_per_h_set={low=0,high=0.08}"), seed=0, n=N)
    hours = outcome(found, "reference.break_even_h")
    assert hours.p_never == pytest.approx(0.5, abs=0.02)
    assert hours.quantiles["p10"] is not None
    assert hours.quantiles["p90"] is None
    assert not hasattr(hours, "mean")
    assert outcome(found, "ratio").p_undefined == pytest.approx(0.5, abs=0.02)


def test_a_quantile_that_falls_on_never_is_none() -> None:
    column = np.array([1.0, 2.0, np.inf, np.inf])
    assert quantile_of(column, 0.5) == 2
    assert quantile_of(column, 0.75) is None
    assert quantile_of(np.array([]), 0.5) is None


def test_quantiles_of_a_headline_with_one_range_can_be_worked_out_by_hand() -> None:
    found = outcome(uncertainty(scenario("candidate.count={low=1.5,high=2}"), seed=0), "ratio")
    assert found.quantiles["p50"] == pytest.approx(5.0038 / 1.75, rel=0.002)
    assert found.quantiles["p90"] == pytest.approx(5.0038 / 1.55, rel=0.002)


def test_the_probability_that_the_candidate_is_cheaper_is_the_share_of_draws() -> None:
    text = """
    [reference]
    rent_usd_per_h = 1.0
    tok_per_s = 1000
    [candidate]
    rent_usd_per_h = { low = 0.0, high = 1.0 }
    tok_per_s = 250
    """
    report = run_scenario(text, where="test")
    assert report.uncertainty is not None
    assert report.uncertainty.probabilities["candidate_tokens_cheaper"] == pytest.approx(0.25, abs=0.01)


def test_rank_correlation_between_rent_and_rented_share_reaches_the_draws() -> None:
    uncertain = scenario("candidate.rent_usd_per_h={low=0.2,high=1}", "market.rented_share={low=0.3,mode=0.6,high=0.9}")
    pair = Correlation(between=("candidate.rent_usd_per_h", "market.rented_share"), rank=-0.3)
    found = draws_of(msgspec.structs.replace(uncertain, correlations=(pair,)), N, seed=2)
    ranks = stats.spearmanr(found["candidate.rent_usd_per_h"], found["market.rented_share"]).statistic
    assert ranks == pytest.approx(-0.3, abs=0.02)


def test_a_correlation_needs_two_uncertain_inputs() -> None:
    pair = Correlation(between=("market.pue", "market.rented_share"), rank=0.5)
    with pytest.raises(UsageError, match=r"market\.pue is not uncertain"):
        check(msgspec.structs.replace(scenario(), correlations=(pair,)), where="here")


def test_one_card_differs_from_its_type_in_all_its_throughputs_alike() -> None:
    text = """
    [candidate]
    rent_usd_per_h = 1.0
    tok_per_s = 1000
    input_tok_per_s = 4000
    node_sd_log = 0.05
    """
    found = draws_of(read_scenario(text, where="test"), N, seed=0)
    assert np.std(np.log(found["candidate.tok_per_s"])) == pytest.approx(0.05, rel=0.03)
    assert found["candidate.input_tok_per_s"] == pytest.approx(4 * found["candidate.tok_per_s"])


def test_the_spread_between_cards_moves_k_where_k_rests_on_throughput() -> None:
    found = draws_of(scenario("reference.node_sd_log=0.04", "candidate.node_sd_log=0.03"), N, seed=0)
    assert np.std(np.log(found["candidate.count"])) == pytest.approx(0.05, rel=0.03)


def test_a_throughput_that_follows_from_k_varies_as_its_own_card_and_not_as_the_reference() -> None:
    uncertain = scenario("reference.tok_per_s=3000", "reference.node_sd_log=0.08", "candidate.node_sd_log=0.03")
    worked = work_out(uncertain, draws_of(uncertain, N, seed=0))
    reference, candidate = worked.reference, worked.candidate
    assert reference is not None
    assert np.std(np.log(reference.values["tok_per_s"])) == pytest.approx(0.08, rel=0.03)
    assert np.std(np.log(candidate.values["tok_per_s"])) == pytest.approx(0.03, rel=0.03)


def test_a_hundred_thousand_draws_take_less_than_a_second() -> None:
    uncertain = ranged(scenario("candidate.count={low=1.5,high=2}"), "correlated", quotes={})
    started = time.process_time()
    found = uncertainty(uncertain, seed=0)
    assert time.process_time() - started < 1
    assert found.draws == 100_000


def test_no_range_is_applied_silently() -> None:
    assert run_scenario(preset_text("nosana-2024"), where="x").uncertainty is None


def test_ready_ranges_are_all_named_in_the_result() -> None:
    report = run_scenario(preset_text("nosana-2024"), where="x", ranges="default")
    assert report.uncertainty is not None
    assert report.uncertainty.ranges["market.rented_share"] == "triangular low 0.3, mode 0.6, high 0.9"
    assert report.uncertainty.ranges["market.usd_per_kwh"] == "uniform low 0.112, high 0.208"
    assert to_json(report)["ratio"] == pytest.approx(1.65 / 0.6595)


def test_a_range_of_the_scenario_s_own_goes_before_a_ready_one() -> None:
    own = ranged(scenario("market.pue={low=1.2,high=1.3}"), "default", quotes={})
    assert own.market.pue == scenario("market.pue={low=1.2,high=1.3}").market.pue


def test_rents_are_as_wide_as_their_dated_quotes() -> None:
    quotes = {"candidate": RentQuotes(0.24, 0.40, "two markets, 2026-09-03")}
    report = run_scenario(preset_text("owner"), where="x", ranges="default", quotes=quotes)
    assert report.uncertainty is not None
    assert report.uncertainty.ranges["candidate.rent_usd_per_h"] == "uniform low 0.24, high 0.4"


def test_correlated_ranges_correlate_rent_with_purchase_and_rented_share() -> None:
    quotes = {"candidate": RentQuotes(0.24, 0.40, "two markets, 2026-09-03")}
    found = ranged(read_scenario(preset_text("owner"), where="x"), "correlated", quotes=quotes)
    assert {(pair.between, pair.rank) for pair in found.correlations} == {
        (("candidate.rent_usd_per_h", "market.rented_share"), -0.3),
        (("candidate.rent_usd_per_h", "candidate.purchase_usd"), 0.5),
    }


def test_ready_ranges_spread_the_cards_of_both_sides_where_one_throughput_was_measured() -> None:
    found = ranged(scenario("reference.tok_per_s=3000"), "default", quotes={})
    assert found.candidate.node_sd_log == 0.05
    assert found.reference is not None
    assert found.reference.node_sd_log == 0.05
    assert ranged(scenario(), "default", quotes={}).candidate.node_sd_log is None


def test_an_unknown_set_of_ranges_names_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean 'default'"):
        run_scenario(preset_text("owner"), where="x", ranges="defualt")
