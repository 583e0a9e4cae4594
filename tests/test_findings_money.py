"""One door from runs to money: prices join runs by card, what was measured goes in, and every command says the same."""

import datetime
import json
from pathlib import Path

import msgspec
import pytest

from breakeven.cli import main
from breakeven.compare.runs import compare_runs
from breakeven.cost.figures import SIDE
from breakeven.cost.inputs import Scenario, Spread
from breakeven.cost.jsonform import to_json
from breakeven.cost.presets import PRESETS, preset_text
from breakeven.cost.result import CostReport
from breakeven.cost.scenario import read_scenario
from breakeven.cost.text import render
from breakeven.errors import UsageError
from breakeven.findings import Findings, Prices, findings
from breakeven.findings.level import choose_level
from breakeven.findings.measured import as_input
from breakeven.metrics.summary import Estimate, RunSummary
from breakeven.prices import Quote
from breakeven.reference import find_run
from compare_fixture import a_run

SPEED = {1: 100.0, 5: 300.0, 10: 500.0, 50: 800.0, 100: 1000.0}
ASK = "tests, 2026-11-28"


def of_card(name: str, *, times: float = 1.0, run_id: str = "", cards: int = 1, **extra: float) -> RunSummary:
    host = {"gpus": [{"name": name}] * cards, "gpu_count": cards}
    run = a_run({users: times * speed for users, speed in SPEED.items()}, run_id=run_id or name, host=host)
    levels = tuple(
        msgspec.structs.replace(level, extra=dict(extra), input_tokens=900, window_s=10.0) for level in run.levels
    )
    return msgspec.structs.replace(run, levels=levels)


def with_extra(extra: dict[str, float]) -> RunSummary:
    """The smaller run with further facts at every level."""
    levels = tuple(msgspec.structs.replace(level, extra=dict(extra)) for level in RTX.levels)
    return msgspec.structs.replace(RTX, levels=levels)


def quote(gpu: str, usd_per_h: float, **more: object) -> Quote:
    fields = {"provider": "a market", "kind": "ask", "as_of": datetime.date(2026, 11, 28), "source": ASK, **more}
    return msgspec.convert({"gpu": gpu, "usd_per_h_card": usd_per_h, **fields}, Quote)


A100 = of_card("NVIDIA A100-SXM4-80GB", run_id="big")
RTX = of_card("NVIDIA GeForce RTX 4090", times=0.8, run_id="small")
H100 = of_card("NVIDIA H100 PCIe", times=2, run_id="new")
QUOTES = (quote("a100-80", 1.65), quote("rtx4090", 0.32), quote("h100-pcie", 1.9))


def told(*runs: RunSummary, **asked: object) -> Findings:
    comparisons = compare_runs(runs[0], runs[1:], floors=[25.0]) if len(runs) > 1 else ()
    level = choose_level(runs, comparisons)
    return findings(runs, comparisons=comparisons, service_level=level, prices=Prices(**{"quotes": QUOTES, **asked}))  # type: ignore[arg-type]


def priced(*runs: RunSummary, scenario: Scenario | str, **asked: object) -> CostReport:
    ready = read_scenario(preset_text(scenario), where=scenario) if isinstance(scenario, str) else scenario
    return told(*runs, scenarios=(ready,), **asked).money[-1].report


def test_each_price_goes_to_its_own_card_also_where_the_runs_come_the_other_way_round() -> None:
    straight, turned = priced(A100, RTX, scenario="renter"), priced(RTX, A100, scenario="renter")
    assert straight.reference is not None
    assert turned.reference is not None
    assert straight.reference.inputs["rent_usd_per_h"] == turned.candidate.inputs["rent_usd_per_h"] == 0.90
    assert straight.candidate.inputs["rent_usd_per_h"] == turned.reference.inputs["rent_usd_per_h"] == 0.28
    assert straight.comparison["usd_per_mtok_ratio"].value == pytest.approx(
        1 / (turned.comparison["usd_per_mtok_ratio"].value or 0)
    )


@pytest.mark.parametrize("runs", [(A100, H100), (A100, RTX, H100), (H100,), (of_card("EPYC"), of_card("EPYC 2"))])
def test_a_run_of_a_card_that_the_scenario_does_not_price_is_refused_naming_both(runs: tuple[RunSummary, ...]) -> None:
    with pytest.raises(
        UsageError, match=r"scenario renter prices A100 80GB and RTX 4090, and the run .* is of (H100|EPYC)"
    ):
        priced(*runs, scenario="renter")


def test_a_side_that_names_no_card_prices_any() -> None:
    scenario = read_scenario("[reference]\nrent_usd_per_h = 2\n[candidate]\nrent_usd_per_h = 1", where="x")
    found = priced(of_card("EPYC", run_id="one"), of_card("EPYC", run_id="two"), scenario=scenario)
    assert found.comparison["usd_per_mtok_ratio"].value == pytest.approx(2)


def test_a_card_of_the_article_s_scenario_rents_at_its_own_quote_not_at_the_other_s() -> None:
    """At 0.32 USD/h, 375 W and 0.16 USD/kWh: 1,750 / (0.32 - 0.06) = 6,731 h; it said 942 h at 1.65 / 0.86."""
    card = of_card("NVIDIA GeForce RTX 4090", times=0.8, run_id="small", gpu_board_power_mean_w=375.0)
    found = priced(A100, card, scenario="nosana-2024")
    assert found.candidate.figures["break_even_h"].value == pytest.approx(1_750 / (0.32 - 0.06))
    assert found.reference is not None
    assert found.reference.inputs["rent_usd_per_h"] == 1.65
    assert "own_quote" in {note.kind for note in found.notes}
    without = priced(A100, RTX, scenario="nosana-2024", quotes=())
    assert without.candidate.figures["break_even_h"].is_missing
    assert "no_quote" in {note.kind for note in without.notes}


def declaring(run: RunSummary, rent_usd_per_h: float) -> RunSummary:
    host = run.run.host | {"declared": {"rent_usd_per_h": rent_usd_per_h, "rent_source": "our bill of 2026-11-01"}}
    return msgspec.structs.replace(run, run=msgspec.structs.replace(run.run, host=host, started="2026-11-29T12:00:00"))


def test_a_run_whose_plan_declares_its_rent_is_priced_at_that_and_another_at_its_quote() -> None:
    """Two cards for 3 USD/h together are 1.50 a card; 0.32 is the RTX 4090's newest ask."""
    both = told(declaring(of_card("NVIDIA A100-SXM4-80GB", cards=2, run_id="big"), 3.0), RTX)
    assert [(row.price.usd_per_h, row.price.kind) for row in both.ranking if row.price] == [(0.32, "ask"), (1.5, None)]
    assert both.ranking[1].price is not None
    assert both.ranking[1].price.source == "declared with the run: our bill of 2026-11-01"


def test_a_market_s_quote_stays_one_whatever_the_market_is_called() -> None:
    named = (quote("rtx4090", 0.32, provider="declared with the run"),)
    (row,) = told(RTX, quotes=named).ranking
    assert row.price is not None
    assert (row.price.kind, row.price.source) == (
        "ask",
        "ask, declared with the run, 2026-11-28 (tests, 2026-11-28)",
    )


@pytest.mark.parametrize("started", [None, "yesterday"])
def test_a_declared_rent_needs_no_day(started: str | None) -> None:
    run = declaring(of_card("EPYC"), 0.0864)
    (row,) = told(msgspec.structs.replace(run, run=msgspec.structs.replace(run.run, started=started))).ranking
    assert row.price is not None
    assert row.price.usd_per_h == pytest.approx(0.0864)


def test_a_machine_of_no_table_has_a_price_where_its_plan_declares_one() -> None:
    assert told(of_card("EPYC")).ranking[0].usd_per_mtok.value is None
    (row,) = told(declaring(of_card("EPYC"), 0.0864)).ranking
    assert row.price is not None
    assert row.price.usd_per_h == pytest.approx(0.0864)


def test_a_single_run_stands_for_the_side_whose_card_it_is() -> None:
    assert priced(RTX, scenario="renter").candidate.inputs["tok_per_s"] != 2717.2
    assert priced(RTX, scenario="renter").reference.inputs["tok_per_s"] == 2901.8  # type: ignore[union-attr]
    assert priced(A100, scenario="renter").candidate.inputs["tok_per_s"] == 2717.2


def test_without_a_scenario_every_card_takes_its_newest_quote_of_one_kind() -> None:
    found = told(A100, RTX, H100)
    prices = {row.hardware: row.price for row in found.ranking}
    assert {name: (round(p.usd_per_h, 9), p.kind) for name, p in prices.items() if p is not None} == {
        "A100-SXM4-80GB": (1.65, "ask"),
        "RTX 4090": (0.32, "ask"),
        "H100 PCIe": (1.9, "ask"),
    }
    assert "2026-11-28" in (found.ranking[0].price.source or "")  # type: ignore[union-attr]
    medians = (quote("a100-80", 1.8, kind="median"), quote("rtx4090", 0.4, kind="median"), *QUOTES[:1])
    assert {row.price.kind for row in told(A100, RTX, quotes=medians).ranking if row.price} == {"median"}
    assert told(A100, RTX, quotes=QUOTES[:1]).money == ()
    assert told(of_card("EPYC"), of_card("EPYC 2")).money == ()


def test_k_with_its_interval_and_the_watts_replace_what_the_article_assumed() -> None:
    a = msgspec.structs.replace(A100, levels=of_card("x", gpu_board_power_mean_w=294.0).levels)
    found = priced(a, RTX, scenario="nosana-2024")
    k = compare_runs(a, [RTX], floors=[25.0])[0].k_at_slo[0]
    assert k.value is not None
    assert found.candidate.count == pytest.approx(k.value)
    assert found.reference is not None
    assert found.reference.inputs["power_load_w"] == 294
    assert found.candidate.inputs["power_load_w"] == 300
    assert found.candidate.inputs["tok_per_s"] == pytest.approx(found.reference.inputs["tok_per_s"] / k.value)
    assert found.uncertainty is not None
    drawn = next(outcome for outcome in found.uncertainty.outcomes if outcome.name == "k")
    assert drawn.quantiles["p50"] == pytest.approx(k.value, rel=0.005)
    kinds = [note.kind for note in found.notes]
    assert {"k_measured", "power_measured", "power_declared", "one_card"} <= set(kinds)
    page = render(found, explain=True)
    assert f"candidate.count is k = {k.value:.4g}" in page
    assert "measured: NVML over the steady window, GPU board" in page


@pytest.mark.parametrize(
    ("extra", "watts", "said"),
    [
        ({"declared_w": 66.0}, 66.0, "declared with the run"),
        ({"cpu_package_power_mean_w": 40.0}, 40.0, "RAPL"),
        ({"declared_w": 66.0, "gpu_board_power_mean_w": 300.0}, 300.0, "NVML"),
    ],
)
def test_whatever_a_run_knows_of_its_power_is_used_the_best_first(
    extra: dict[str, float], watts: float, said: str
) -> None:
    found = priced(A100, with_extra(extra), scenario="nosana-2024")
    assert found.candidate.inputs["power_load_w"] == watts
    assert said in (found.candidate.source("power") or "")


def test_own_budgets_keep_the_cards_and_take_both_throughputs() -> None:
    scenario = read_scenario(
        'question = "own budgets"\n[reference]\nrent_usd_per_h = 2\n[candidate]\ncount = 4\nrent_usd_per_h = 0.4',
        where="x",
    )
    found = priced(A100, RTX, scenario=scenario)
    assert found.candidate.count == 4
    assert "k" not in found.comparison
    assert found.candidate.inputs["tok_per_s"] != pytest.approx(
        (found.reference.inputs["tok_per_s"] if found.reference else 0) / 4
    )


def test_an_override_goes_before_what_was_measured_and_a_card_can_be_named_by_one() -> None:
    assert priced(A100, RTX, scenario="nosana-2024", overrides=("candidate.count=2",)).candidate.count == 2
    found = priced(A100, H100, scenario="renter", overrides=("candidate.gpu=H100 PCIe", "candidate.rent_usd_per_h=2"))
    assert found.candidate.inputs["rent_usd_per_h"] == 2


def test_a_measured_throughput_of_nothing_is_refused() -> None:
    with pytest.raises(UsageError, match=r"reference\.tok_per_s: 0 is no throughput"):
        priced(A100, RTX, scenario="renter", overrides=("reference.tok_per_s=0",))


def test_ready_ranges_vary_the_rent_by_quotes_of_one_kind_and_the_scenario_s_own_price() -> None:
    quotes = (
        *QUOTES,
        quote("rtx4090", 0.69),
        quote("rtx4090", 0.1, kind="spot"),
        quote("rtx4090", 3.0, as_of="2024-01-01"),
    )
    found = told(
        A100, RTX, scenarios=(read_scenario(preset_text("renter"), where="x"),), ranges="default", quotes=quotes
    )
    assert found.money[0].ranges["candidate.rent_usd_per_h"] == pytest.approx((0.248, 0.312))  # its own range stays
    assert found.money[0].ranges.get("reference.rent_usd_per_h", (0.9 + 0.075, 1.65 - 0.075)) == pytest.approx(
        (0.975, 1.575), rel=0.01
    )
    one = read_scenario("[candidate]\ngpu = 'RTX 4090'\nrent_usd_per_h = 0.8", where="x")
    wide = told(RTX, scenarios=(one,), ranges="default", quotes=quotes).money[0].ranges["candidate.rent_usd_per_h"]
    assert wide == pytest.approx((0.32 + 0.048, 0.8 - 0.048))


def test_an_estimate_with_an_open_end_counts_as_its_value() -> None:
    assert as_input(Estimate(value=5, ci95=(4, None))) == 5
    assert as_input(Estimate(value=5, ci95=(4, 6))) == Spread(value=5, ci95=(4, 6))
    assert as_input(Estimate()) is None


def stored(folder: Path, *runs: RunSummary) -> list[str]:
    paths = [folder / run.run.id / "summary.json" for run in runs]
    for path, run in zip(paths, runs, strict=True):
        path.parent.mkdir(parents=True)
        path.write_bytes(msgspec.json.encode(run))
    return [str(path) for path in paths]


def spoken(words: list[str], capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    assert main([*words, "--json", "-"]) == 0
    found: dict[str, object] = json.loads(capsys.readouterr().out)
    return found


@pytest.mark.parametrize("scenario", [None, *PRESETS])
def test_the_same_runs_give_the_same_figures_through_every_command(
    scenario: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """cost, report and compare, with declared watts, an input rate and a run that carries a caution."""
    other = "NVIDIA GeForce RTX 4090" if scenario in ("owner", "self-host") else "NVIDIA A100-SXM4-80GB"
    paths = stored(tmp_path, of_card(other, run_id="a", declared_w=300.0), of_card("RTX 4090", times=0.7, run_id="b"))
    level = ["--floor", "25"]
    compared = spoken(["compare", *paths, *level], capsys)
    words = [] if scenario is None else ["--scenario", scenario]
    reported = spoken(["report", *paths, *level, *words], capsys)
    money = reported["money"][0]  # type: ignore[index]
    if scenario is not None:
        cost = spoken(["cost", "--preset", scenario, "--from-runs", *paths, *level], capsys)
        in_report = to_json(msgspec.convert(money["report"], CostReport))
        assert {name: cost[name] for name in in_report if name != "sweep"} == {
            name: json.loads(json.dumps(value)) for name, value in in_report.items() if name != "sweep"
        }
    k = compared["comparisons"][0]["k_at_slo"][0]  # type: ignore[index]
    assert reported["comparisons"][0]["k_at_slo"][0]["value"] == k["value"]  # type: ignore[index]
    if money["report"]["answer"]["question"] == "same work":
        assert money["report"]["candidate"]["count"] == pytest.approx(k["value"])
        assert money["k_ci95"] == k["ci95"]
    assert money["report"]["answer"]["warnings"] == len(compared["comparisons"][0]["warnings"])  # type: ignore[index]
    for row in reported["ranking"]:  # type: ignore[attr-defined]
        if row["run"] is not None and row["side"] is not None:
            side = money["report"][row["side"]]["figures"]["usd_per_mtok_output"]["value"]
            assert row["usd_per_mtok"]["value"] == side


def test_warnings_of_a_comparison_are_told_by_cost_too_and_draws_never_claim_certainty(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = msgspec.structs.replace(RTX, run=msgspec.structs.replace(RTX.run, model="another model"))
    paths = stored(tmp_path, A100, other)
    assert main(["cost", "--preset", "renter", "--from-runs", *paths, "--floor", "25"]) == 0
    page = capsys.readouterr().out
    assert "Warning: " in page
    assert "another model" in page
    assert "100 %" not in page


def test_two_runs_are_priced_by_the_card(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same throughput from one card and from two: each of the two does half of it, and draws half of the watts."""
    one, two = (of_card(f"NVIDIA Card {n}", run_id=f"card-{n}", cards=n, gpu_board_power_mean_w=600.0) for n in (1, 2))
    rents = ("--set", "reference.rent_usd_per_h=2", "--set", "candidate.rent_usd_per_h=1")
    found = spoken(["cost", "--from-runs", *stored(tmp_path, one, two), "--floor", "25", *rents], capsys)
    candidate, reference = found["candidate"], found["reference"]
    assert candidate["count"] == pytest.approx(2.0)  # type: ignore[index]
    assert candidate["gpu"] == "Card 2"  # type: ignore[index]
    assert candidate["inputs"]["power_load_w"] == pytest.approx(300.0)  # type: ignore[index]
    assert candidate["usd_per_mtok_output"] == pytest.approx(reference["usd_per_mtok_output"])  # type: ignore[index]


def test_the_data_sets_are_priced_by_their_cards() -> None:
    runs = [find_run(gpu, data="nosana-2024") for gpu in ("a100-80", "rtx-4090")]
    assert priced(*runs, scenario="renter").counted == "words"
    sweep = [find_run(gpu, data="nosana-2024-sweep") for gpu in ("a100-80", "rtx-4090")]
    assert priced(*sweep, scenario="renter").counted == "words"


def test_what_a_million_tokens_cost_is_one_formula(monkeypatch: pytest.MonkeyPatch) -> None:
    """A level follows the row of the figure, whatever it says: here the USD of an hour."""
    monkeypatch.setitem(SIDE, "usd_per_mtok_output", SIDE["usd_per_mtok_output"]._replace(text="serving_usd_per_h"))
    assert {level.usd_per_mtok for level in told(RTX).subjects[0].levels} == {0.32}


def test_findings_are_the_only_door_from_runs_to_money() -> None:
    """Whoever works a scenario out is the room itself, its command, or the findings that all others read."""
    root = Path(__file__).parent.parent / "src" / "breakeven"
    importers = {
        path.relative_to(root).parts[0] if len(path.relative_to(root).parts) > 2 else str(path.relative_to(root))
        for path in root.rglob("*.py")
        if "cost.evaluate import" in path.read_text() and path.parent.name != "cost"
    }
    assert importers == {"app/money.py", "findings/money.py"}


def test_a_k_that_is_bounded_on_one_side_bounds_the_cost_there() -> None:
    """The curve may be four times as high: users of its top level then still get their speed, and nobody asked more."""
    levels = tuple(
        msgspec.structs.replace(level, output_tok_per_s=Estimate(value=speed, ci95=(speed / 4, speed * 4)))
        for level in RTX.levels
        if (speed := level.output_tok_per_s.value) is not None
    )
    (case,) = told(A100, msgspec.structs.replace(RTX, levels=levels)).money
    low, high = case.k_ci95
    assert low is None
    assert high is not None
    assert case.cost_ratio.ci95[0] is None
    assert case.cost_ratio.ci95[1] == pytest.approx(high * 0.32 / 1.65)
