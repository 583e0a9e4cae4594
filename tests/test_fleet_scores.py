import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from scipy import stats

from breakeven.fleet.inspect import inspect
from breakeven.fleet.medians import group_medians, row_medians
from breakeven.fleet.rows import Rows, make_rows
from breakeven.fleet.scores import CAUTIONS, Scores, detected, driver_key, scores
from breakeven.fleet.spread import bulk, false_discovery, has_two_modes, icc
from breakeven.metrics.statistics import f_quantile, t_tail
from fleet_made import RATES, USERS, fleet, job

SEVEN = {f"n{i}": (factor, factor * 1.01) for i, factor in enumerate((0.97, 0.98, 0.99, 1.0, 1.01, 1.02, 1.03))}


def of_node(found: Scores, name: str, rows: Rows) -> int:
    return int(np.flatnonzero(found.node == rows.node.code(name))[0])


def test_medians_of_groups_are_those_of_numpy() -> None:
    rng = np.random.default_rng(3)
    values = rng.normal(0, 100, 5000).astype(np.float32)
    values[::7] = np.nan
    groups = rng.integers(0, 40, 5000)
    groups[groups == 5] = 6
    found = group_medians(values, groups, count=40)
    for group in range(40):
        own = values[(groups == group) & np.isfinite(values)]
        assert math.isnan(found[group]) if group == 5 else found[group] == pytest.approx(np.median(own), rel=1e-6)


def test_a_median_of_a_row_leaves_out_what_is_undefined() -> None:
    table = np.array([[3, np.nan, 1], [np.nan] * 3, [2, 8, 4]], dtype=np.float32)
    assert row_medians(table) == pytest.approx([2.0, math.nan, 4.0], nan_ok=True)


def test_a_score_is_the_median_over_jobs_and_levels_of_the_log_beside_the_stratum() -> None:
    speeds = {name: (factor,) for name, factor in zip("abcde", (0.9, 0.95, 1.0, 1.1, 1.2), strict=True)}
    rows = fleet(speeds)
    found = scores(rows)
    by_name = {rows.node.names[node]: score for node, score in zip(found.node, found.score, strict=True)}
    for name, (factor,) in speeds.items():
        assert by_name[name] == pytest.approx(math.log(factor), abs=1e-6)
    assert found.strata[0].tok_per_s == pytest.approx([RATES[n] for n in USERS])
    assert found.tok_per_s[of_node(found, "a", rows)] == pytest.approx([45.0, 360.0, 1800.0])


def test_one_bad_level_of_three_moves_no_score() -> None:
    bad = {n: {"output_tok_per_s": rate * (0.2 if n == 10 else 1.0)} for n, rate in RATES.items()}
    told = [job(i, name) for i, name in enumerate("abcdef")] + [job(9, "bad", levels=bad)]
    rows = make_rows(told, users=USERS)
    found = scores(rows)
    assert found.score[of_node(found, "bad", rows)] == pytest.approx(0.0, abs=1e-6)


def test_a_node_with_two_templates_has_a_score_in_each() -> None:
    rows = make_rows([job(1, "a"), job(2, "a", template="other"), job(3, "b")], users=USERS)
    found = scores(rows)
    assert [(one.template, one.nodes) for one in found.strata] == [("t", 2), ("other", 1)]
    assert len(found) == 3


def test_words_and_tokens_are_never_one_stratum() -> None:
    rows = make_rows([job(1, "a"), job(2, "b", counted="words")], users=USERS)
    assert sorted(one.counted for one in scores(rows).strata) == ["tokens", "words"]


def test_a_job_without_a_rate_or_a_node_has_no_row() -> None:
    failed = {n: {"output_tok_per_s": None} for n in USERS}
    zero = {n: {"output_tok_per_s": 0.0} for n in USERS}
    told = [job(1, "a"), job(2, "a", levels=failed), job(3, "b", levels=zero), job(4, None)]
    found = scores(make_rows(told, users=USERS))
    assert found.row_of_job.tolist() == [0, -1, -1, -1]
    assert found.jobs.tolist() == [1]


def test_the_detected_card_is_the_drivers_name_before_the_claim() -> None:
    told = [
        job(1, "a", card_name="NVIDIA GeForce RTX 3090"),
        job(2, "b", card_name=None, gpu="h100-sxm"),
        job(3, "c", card_name="NVIDIA A100-SXM4-80GB", memory_bytes=85.9e9),
        job(4, "d", card_name="Weird card 7", gpu="rtx4090"),
    ]
    cards = detected(make_rows(told, users=USERS))
    assert [cards.at(i) for i in range(4)] == ["rtx3090", "h100-sxm", "a100-80-sxm", "Weird card 7"]
    assert driver_key("NVIDIA RTX 4090", memory_gb=48.0) == "rtx4090"  # a wrong memory is for `inspect` to say


def test_scores_of_nodes_with_equal_jobs_shrink_and_a_slow_one_stays_slow() -> None:
    rows = fleet({**SEVEN, "slow": (0.65, 0.66)})
    found = scores(rows)
    slow = of_node(found, "slow", rows)
    assert found.high[slow] < math.log(0.75)
    assert found.p_weak[slow] < 0.001
    assert found.strata[0].outside == 1
    others = np.arange(len(found)) != slow
    assert (np.abs(found.shrunk[others]) <= np.abs(found.score[others]) + 1e-12).all()
    assert (found.p_weak[others] > 0.05).all()


@pytest.mark.parametrize(
    ("speeds", "caution"),
    [
        ({"a": (1.0, 1.01)}, "one_node"),
        ({"a": (1.0, 1.01), "b": (0.5, 0.51)}, "two_nodes"),
        ({"a": (1.0, 1.01), "b": (0.5, 0.51), "c": (1.0, 1.02)}, "few_nodes"),
        ({name: (1.0 + 0.01 * i,) for i, name in enumerate("abcdef")}, "no_repeats"),
        ({**{name: (1.0 + 0.01 * i,) for i, name in enumerate("abcdef")}, "g": (1.0, 1.01)}, "few_repeats"),
        ({name: (1.2**i, 1.2**i) for i, name in enumerate("abcdef")}, "wide"),
        ({name: (1.0 + 0.001 * i + (i > 3),) * 2 for i, name in enumerate("abcdefgh")}, "two_modes"),
    ],
)
def test_a_stratum_says_what_it_cannot_tell(speeds: Mapping[str, Any], caution: str) -> None:
    (stratum,) = scores(fleet(speeds)).strata
    assert caution in stratum.cautions
    assert set(stratum.cautions) <= set(CAUTIONS)
    assert stratum.is_testable == (caution not in ("one_node", "two_nodes", "two_modes"))


def test_one_of_two_nodes_is_never_called_weak() -> None:
    found = scores(fleet({"a": (1.0, 1.01), "b": (0.4, 0.41)}))
    assert np.isnan(found.p_weak).all()
    assert np.isfinite(found.low).all()


def test_one_of_few_nodes_is_held_against_what_the_others_leave_open() -> None:
    # logs 0, 0.02, -0.02 and -0.5; the others of the last: mean 0, sd 0.02, so that a fourth has sd 0.02 x sqrt(4 / 3)
    logs = {"a": 0.0, "b": 0.02, "c": -0.02, "d": -0.5}
    found = scores(fleet({name: (math.exp(one),) for name, one in logs.items()}))
    t = dict(zip("abcd", found.t_weak, strict=True))
    assert t["d"] == pytest.approx((math.log(0.95) + 0.5) / (0.02 * math.sqrt(4 / 3)), rel=1e-3)
    assert set(found.t_df) == {2.0}
    assert all(t[name] < 0 for name in "abc")


def test_fellows_that_are_alike_by_chance_accuse_nobody() -> None:
    def told(half: float) -> float:
        levels = [
            {n: {"output_tok_per_s": 100 * f, "ci95_low": 100 * f * (1 - half), "ci95_high": 100 * f * (1 + half)}}
            for f, n in ((1.0, 1), (1.0, 1), (1.0, 1), (0.9, 1))
        ]
        rows = make_rows([job(i, f"n{i}", levels=one) for i, one in enumerate(levels)], users=(1,))
        return float(scores(rows).p_weak[3])

    assert told(0.001) < 0.01
    assert told(0.1) > 0.1


def test_the_slowed_one_of_four_nodes_that_were_measured_is_called() -> None:
    # four nodes of one machine, 2026-11-30, the last held to one thread; tok/s with its 95 % interval at 1 and 2 users
    measured = (
        ((93.4, 86.4, 100.4), (98.9, 88.2, 109.6)),
        ((93.8, 88.3, 99.3), (103.6, 89.4, 117.8)),
        ((91.8, 85.6, 98.0), (101.1, 93.6, 108.6)),
        ((61.0, 53.6, 68.4), (59.0, 49.9, 68.0)),
    )
    rows = make_rows(
        [
            job(
                i,
                f"n{i}",
                levels={
                    users: {"output_tok_per_s": rate, "ci95_low": low, "ci95_high": high}
                    for users, (rate, low, high) in zip((1, 2), of_node, strict=True)
                },
            )
            for i, of_node in enumerate(measured)
        ],
        users=(1, 2),
    )
    found = inspect(rows)
    assert [(one.node, one.is_slow) for one in found.found] == [("n3", True)]


def test_an_empty_table_has_no_strata() -> None:
    found = scores(make_rows([], users=USERS))
    assert len(found) == 0
    assert found.strata == ()


def test_variances_between_and_within_are_found() -> None:
    rng = np.random.default_rng(5)
    truth = {f"n{i}": rng.normal(0, 0.06) for i in range(300)}
    (one,) = scores(fleet({n: np.exp(v + rng.normal(0, 0.02, 6)) for n, v in truth.items()})).strata
    assert one.between is not None
    assert one.within is not None
    assert math.sqrt(one.between) == pytest.approx(0.06, rel=0.1)
    assert math.sqrt(one.within) == pytest.approx(0.02, rel=0.1)
    assert one.icc.value == pytest.approx(0.9, abs=0.03)
    assert one.icc.low is not None
    assert one.icc.high is not None
    assert one.icc.low < 0.9 < one.icc.high


def test_the_spread_of_the_bulk_is_that_of_a_normal_with_or_without_outliers() -> None:
    values = np.random.default_rng(1).normal(0, 1, 20_000)
    assert bulk(values).sd == pytest.approx(1, rel=0.02)
    assert bulk(np.concatenate([values, np.full(1000, -9.0)])).sd == pytest.approx(1, rel=0.06)
    assert bulk(np.log(np.array([310.0, 524.0, 529.0]))).sd == pytest.approx(0.306, abs=0.001)  # not the MAD's 2 %


def test_two_heaps_are_seen_and_one_is_not() -> None:
    rng = np.random.default_rng(2)
    one = rng.normal(0, 0.05, 60)
    assert not has_two_modes(one)
    assert has_two_modes(np.concatenate([one, rng.normal(-0.7, 0.05, 20)]))
    assert not has_two_modes(np.array([0.0, 0.0, 0.0, -2.0]))


def test_a_faster_heap_needs_less_to_be_another_population_than_slow_nodes() -> None:
    off = np.array([-0.2, -0.1, 0.0, 0.0, 0.05, 0.1, 0.6, 0.7, 0.75])
    assert has_two_modes(off)
    assert not has_two_modes(-off)  # three slow nodes of nine are weak nodes


def test_tails_and_quantiles_are_those_of_scipy() -> None:
    for df, t in ((1, 0.3), (4, 2.1), (30, -1.2), (200, 5.0)):
        assert t_tail(t, df) == pytest.approx(stats.t.sf(t, df), rel=1e-9)
    for d1, d2, q in ((2, 9, 0.95), (1, 1, 0.975), (40, 7, 0.025), (199, 800, 0.975)):
        assert f_quantile(d1, d2, q) == pytest.approx(stats.f.ppf(q, d1, d2), rel=1e-7)


def test_false_discoveries_are_controlled_as_scipy_does() -> None:
    p = np.array([0.001, 0.2, 0.012, 0.03, 0.04, 0.9, np.nan])
    wanted = stats.false_discovery_control(p[:-1]) <= 0.05
    assert false_discovery(p).tolist() == [*wanted, False]
    assert not false_discovery(np.array([np.nan])).any()


def test_an_icc_needs_repeats() -> None:
    assert icc(between=0.1, within=None, nodes=2, mean_jobs=1, within_df=0).value is None
    assert icc(between=0.1, within=0.1, nodes=2, mean_jobs=3, within_df=4).value == pytest.approx(0.5)
