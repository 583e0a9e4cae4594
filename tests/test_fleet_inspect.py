import json
from typing import Any

import numpy as np
import pytest

from breakeven.cli import main
from breakeven.errors import UsageError
from breakeven.fleet.causes import CAUSES, KINDS
from breakeven.fleet.inspect import Found, Inspection, inspect
from breakeven.fleet.inspect_text import render
from breakeven.fleet.rows import Rows, make_rows
from breakeven.fleet.store import add
from fleet_made import RATES, USERS, fleet, job

USUAL: dict[str, Any] = {"sm_clock_mean_mhz": 2700.0, "memory_bytes": 25.76e9}
USUAL |= {"power_limit_w": 450.0, "default_power_limit_w": 450.0}
USUAL |= {"utilisation_share": 0.98, "cards": 1.0, "proof_size": 13004.0, "proof_time_s": 0.06}
USUAL |= {"bench_bytes_per_s": 0.9e12, "memory_clock_mean_mhz": 10500.0, "thermal_share": 0.0, "proof_is_right": 1.0}


def made(factors: tuple[float, ...] = (0.7, 0.71, 0.7), **more: Any) -> Rows:
    """Twenty healthy nodes and one, `odd`, with these speeds and figures."""
    rng = np.random.default_rng(4)
    good = {f"n{i}": np.exp(rng.normal(0, 0.02) + rng.normal(0, 0.005, 3)) for i in range(20)}
    return fleet({**good, "odd": factors}, **dict.fromkeys(good, USUAL), odd={**USUAL, **more})


def of_odd(rows: Rows) -> Found | None:
    found = inspect(rows).found
    assert all(one.node == "odd" for one in found)
    return found[0] if found else None


@pytest.mark.parametrize(
    ("more", "kind", "first"),
    [
        ({}, "unexplained", "unexplained"),
        ({"power_limit_w": 250.0}, "underclocker", "power_limit"),
        ({"sm_clock_mean_mhz": 1800.0}, "underclocker", "low_clock"),
        ({"memory_clock_mean_mhz": 5000.0}, "underclocker", "low_memory_clock"),
        ({"thermal_share": 0.6, "sm_clock_mean_mhz": 1900.0, "temperature_max_c": 91.0}, "heat", "heat"),
        ({"utilisation_share": 0.6}, "contention", "not_fed"),
        ({"proof_time_s": 0.2}, "spoofer", "slow_proof"),
        ({"bench_bytes_per_s": 0.4e12}, "spoofer", "slow_memory"),
        ({"memory_bytes": 12.9e9}, "spoofer", "wrong_memory"),
        ({"proof_is_right": 0.0}, "technical", "wrong_answer"),
    ],
)
def test_a_slow_node_has_the_cause_that_its_figures_show(more: dict[str, Any], kind: str, first: str) -> None:
    one = of_odd(made(**more))
    assert one is not None
    assert one.is_slow
    assert (one.kind, one.causes[0].id) == (kind, first)
    assert one.gap == pytest.approx(-0.3, abs=0.02)
    assert "{" not in one.causes[0].text


def test_jobs_that_differ_much_are_contention() -> None:
    one = of_odd(made((0.5, 0.6, 0.75)))
    assert one is not None
    assert (one.kind, one.causes[0].id) == ("contention", "wavers")


@pytest.mark.parametrize(
    "more",
    [
        {"power_limit_w": 250.0},
        {"sm_clock_mean_mhz": 1800.0},
        {"thermal_share": 0.6},
        {"utilisation_share": 0.6},
    ],
)
def test_a_node_as_fast_as_its_like_is_blamed_for_nothing_that_only_explains(more: dict[str, Any]) -> None:
    assert of_odd(made((1.0, 1.01, 0.99), **more)) is None


@pytest.mark.parametrize(
    "more", [{"proof_time_s": 0.2}, {"memory_bytes": 12.9e9}, {"bench_bytes_per_s": 2e12}, {"gpu": "h100-sxm"}]
)
def test_physical_evidence_counts_whatever_the_speed(more: dict[str, Any]) -> None:
    one = of_odd(made((1.0, 1.01, 0.99), **more))
    assert one is not None
    assert not one.is_slow
    assert one.kind in ("spoofer", "misplaced")


def test_a_slow_proof_at_low_clocks_is_an_underclocker_and_no_spoofer() -> None:
    one = of_odd(made((0.4, 0.41, 0.4), proof_time_s=0.15, sm_clock_mean_mhz=1100.0))
    assert one is not None
    assert one.kind == "underclocker"


def test_slow_alone_is_never_a_spoofer() -> None:
    one = of_odd(made((0.2, 0.2, 0.21)))
    assert one is not None
    assert one.kind == "unexplained"


def test_a_rate_that_the_memory_cannot_read_is_physical_evidence() -> None:
    fast = {n: {"output_tok_per_s": rate * 8, "done": 10, "failed": 0} for n, rate in RATES.items()}
    told = [job(i, f"n{i}", model="llama-3.1-8b") for i in range(6)] + [
        job(9, "odd", model="llama-3.1-8b", levels=fast)
    ]
    (one,) = inspect(make_rows(told, users=USERS)).found
    assert (one.node, one.causes[0].id) == ("odd", "too_fast")  # 400 tok/s x 4 GB of weights: 1.6 TB/s


def test_a_card_in_the_market_of_another_is_told_by_its_drivers_word() -> None:
    rows = make_rows(
        [job(i, f"n{i}", card_name="NVIDIA GeForce RTX 3090", gpu="rtx3090") for i in range(2)], users=USERS
    )
    found = inspect(rows).found
    assert {one.kind for one in found} == {"misplaced"}
    assert "GeForce RTX 3090, where GeForce RTX 4090" in found[0].causes[0].text


def test_where_nodes_differ_much_a_slow_one_is_weak_only_with_a_cause() -> None:
    rng = np.random.default_rng(8)
    like = {f"n{i}": np.exp(rng.normal(0, 0.08) + rng.normal(0, 0.005, 3)) for i in range(30)}
    usual = dict.fromkeys(like, USUAL)
    speeds = {**like, "odd": (0.83, 0.84, 0.83)}
    plain = inspect(fleet(speeds, **usual, odd=USUAL))
    assert plain.slow >= 1
    assert (plain.weak, plain.found) == (0, ())
    held = inspect(fleet(speeds, **usual, odd={**USUAL, "power_limit_w": 300.0}))
    assert (held.weak, held.found[0].node, held.found[0].kind) == (1, "odd", "underclocker")
    assert (held.found[0].is_slow, held.found[0].is_unlike) == (True, False)


def test_jobs_without_a_result_are_technical_trouble() -> None:
    none: dict[int, dict[str, float]] = {}
    told = [job(1, "a"), *(job(i, "a", outcome="timed_out", levels=none) for i in (2, 3)), job(4, "b")]
    (one,) = inspect(make_rows(told, users=USERS)).found
    assert (one.node, one.kind, one.causes[0].text) == ("a", "technical", "2 of its 3 jobs gave no result")


def test_two_nodes_and_two_heaps_are_untestable() -> None:
    few = inspect(fleet({"a": (1.0, 1.0), "b": (0.4, 0.4)}))
    heaps = inspect(fleet({f"n{i}": (0.5 + 0.001 * i + 0.5 * (i > 3),) * 2 for i in range(9)}))
    for found, caution in ((few, "two_nodes"), (heaps, "two_modes")):
        assert found.found == ()
        assert (found.tested, found.slow) == (0, 0)
        assert caution in found.untestable[0].cautions
        assert "Untestable by speed" in render(found)


def test_the_slowed_one_of_four_nodes_is_found() -> None:
    found = inspect(fleet({"a": (1.0,), "b": (1.02,), "c": (0.99,), "d": (0.6,)}))
    (one,) = found.found
    assert (found.tested, one.node, one.kind, one.is_slow) == (4, "d", "unexplained", True)
    assert "Untestable" not in render(found)
    low, high = one.gap_ci95
    assert low is not None
    assert high is not None
    assert -0.5 < low < -0.4 < high < -0.3  # 0.6 of about 1, and the others differ by 1.5 %


def test_false_discoveries_stay_below_five_in_a_hundred_calls() -> None:
    rng = np.random.default_rng(6)
    wrong = called = 0
    for _ in range(20):
        theta = {f"n{i}": rng.normal(0, 0.03) - 0.4 * (i < 4) for i in range(40)}
        found = inspect(fleet({name: np.exp(one + rng.normal(0, 0.01, 3)) for name, one in theta.items()}))
        called += found.slow
        wrong += sum(theta[one.node] > -0.2 for one in found.found if one.is_slow)
    assert called >= 76
    assert wrong / called <= 0.05


def test_every_cause_has_a_kind_with_words_and_no_slot_is_left() -> None:
    assert {cause.kind for cause in CAUSES.values()} == set(KINDS)
    assert list(CAUSES)[-1] == "unexplained"


def test_a_node_that_is_not_there_is_an_error_with_near_names() -> None:
    with pytest.raises(UsageError, match="no node of this set is called 'od'; it has 21, such as odd"):
        inspect(made(), node="od")


def test_the_command_tells_words_and_json(tmp_path: Any, capsys: pytest.CaptureFixture[str]) -> None:
    add(str(tmp_path / "set"), made(power_limit_w=250.0))
    assert main(["fleet", "inspect", str(tmp_path / "set")]) == 0
    text = capsys.readouterr().out
    assert "The speed of 21 nodes could be tested: 1 is more than 5 % slower than the median" in text
    assert "odd: held down by its power limit or clocks (29 % slower" in text
    assert "its power limit is 250 W, where 450 W is usual" in text
    assert main(["fleet", "inspect", str(tmp_path / "set"), "--node", "odd", "--json", "-"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["found"][0]["kind"] == "underclocker"
    assert told["found"][0]["text"][0].startswith("its power limit is 250 W")
    assert main(["fleet", "inspect", str(tmp_path / "set"), "--node", "n3"]) == 0
    assert "nothing was found" in capsys.readouterr().out


def test_an_inspection_of_nothing_is_empty() -> None:
    found: Inspection = inspect(make_rows([], users=USERS))
    assert (found.nodes, found.found) == (0, ())
    assert "0 jobs of 0 nodes" in render(found)
