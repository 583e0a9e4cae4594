"""The shipped calibrations: what they rest on, which one is taken, and what they promise."""

from collections import Counter

import pytest
from msgspec.structs import astuple, replace

from breakeven.engine import ENGINES
from breakeven.hardware import find_gpu, find_model, gpus, models
from breakeven.predict.calibrations import TIERS, Calibration, calibrations, choose, rows_of, spreads
from breakeven.predict.closed import predict_closed
from breakeven.predict.levels import Group, Key, nearest_of
from breakeven.predict.shipped import shipped_points
from breakeven.reference import sweep
from breakeven.reference.serving import serving_points

LLAMA = find_model("llama-3.1-8b")


def test_every_point_names_a_card_and_a_model_of_the_tables_once() -> None:
    rows = serving_points()
    assert {row.gpu for row in rows} <= set(gpus())
    assert {row.model for row in rows} <= set(models())
    settings = Counter(astuple(row)[:-3] for row in rows)
    assert max(settings.values()) == 1


def test_every_row_has_points_a_source_and_a_licence_and_shares_that_can_be() -> None:
    for row in calibrations():
        assert row.points > 0
        assert row.source
        assert row.licence == "Apache-2.0"
        most = 1.05 if row.kind == "dense" else 1.3  # tokens take fewer experts than if they chose evenly
        assert 0.3 < row.parameters.efficiency.bandwidth < most, row.key
        assert 0.1 < row.parameters.efficiency.compute < 1.25, row.key
    assert len({row.key for row in calibrations()}) == len(calibrations())


def test_the_table_stands_for_every_point_that_was_fitted() -> None:
    measured, _ = shipped_points()
    known = {row.key: row for row in calibrations()}
    for one in measured:
        assert one.key in known
        assert one.point.model.key in known[one.key].models


def test_a_model_that_was_measured_on_the_card_is_the_same_and_its_version_is_told() -> None:
    chosen = choose(find_model("qwen3-32b"), find_gpu("h100-sxm"), engine="vllm")
    assert chosen.tier == "same"
    assert chosen.calibration.key == Key("dense", "vllm", "h100-sxm", "bf16", "0.12.0")


def test_another_model_on_the_card_and_another_card_are_told_apart() -> None:
    assert choose(find_model("qwen3-8b"), find_gpu("h100-sxm"), engine="vllm").tier == "card"
    assert choose(LLAMA, find_gpu("rtx4090"), engine="vllm").tier == "engine"
    assert choose(LLAMA, find_gpu("rtx4090"), engine="exllama").tier == "none"


@pytest.mark.parametrize("engine", ENGINES)
def test_every_engine_and_card_without_a_point_is_told_to_have_none(engine: str) -> None:
    engines = {row.engine for row in calibrations()}
    measured = {find_gpu(row.gpu).arch for row in serving_points()}
    for gpu in gpus().values():
        lacks = ("engine",) * (engine not in engines) + ("architecture",) * (gpu.arch not in measured)
        assert choose(LLAMA, gpu, engine=engine).unlike == lacks, gpu.key


def test_what_is_further_away_is_less_sure() -> None:
    h100 = find_gpu("h100-sxm")
    near = choose(find_model("qwen3-32b"), h100, engine="vllm").factor("output_tok_per_s", bound="bandwidth", users=100)
    far = choose(LLAMA, find_gpu("rtx4090"), engine="vllm").factor("output_tok_per_s", bound="bandwidth", users=100)
    assert near is not None
    assert far is not None
    assert 1 < near < far


def test_a_card_of_an_architecture_that_was_never_measured_is_told_least_surely() -> None:
    """2024's vLLM on an A100 gave 978 words a second at 100 users, less than a third of what is predicted today."""
    ada, hopper = (choose(LLAMA, find_gpu(gpu), engine="vllm") for gpu in ("rtx4090", "h100-nvl"))
    assert (ada.tier, hopper.tier) == ("engine", "engine")
    assert all(row.elsewhere for row in ada.spreads)
    assert not any(row.elsewhere for row in hopper.spreads)
    for figure in ("ttft_s", "tpot_s", "output_tok_per_s"):
        far, near = (
            ada.factor(figure, bound="bandwidth", users=100),
            hopper.factor(figure, bound="bandwidth", users=100),
        )
        assert far is not None
        assert near is not None
        assert far > 2 * near
        alone = ada.factor(figure, bound="bandwidth", users=1)
        assert alone is not None
        assert alone < far


@pytest.mark.parametrize("engine", ["vllm", "lmdeploy"])
def test_the_intervals_of_cards_that_were_never_measured_hold_the_article_s_figures(engine: str) -> None:
    inside, crowded = [], []
    for run in sweep.runs():
        if run.run.engine["name"] == engine and run.run.host["gpu_count"] == 1:
            card = find_gpu({"a100-80": "a100-80-sxm", "rtx4090": "rtx4090"}[run.run.host["gpu"]])
            chosen = choose(LLAMA, card, engine=engine)
            for level in run.levels:
                asked = {"users": level.users or 0, "input_tokens": 75, "output_tokens": 400}
                seen = predict_closed(LLAMA, card, chosen.efficiency, chosen.waiting, tp=1, **asked)
                assert seen is not None
                width = chosen.factor("output_tok_per_s", bound=seen.bound, users=asked["users"])
                assert width is not None
                tokens = 1.35 * (level.output_tok_per_s.value or 0)
                inside.append(seen.output_tok_per_s / width <= tokens <= seen.output_tok_per_s * width)
                crowded += inside[-1:] if asked["users"] == 100 else []
    assert len(inside) == 20
    assert sum(inside) >= 17
    assert crowded == [True] * 4


def test_who_waits_for_a_place_is_told_less_surely_when_than_who_does_not() -> None:
    chosen = choose(find_model("qwen3-32b"), find_gpu("h100-sxm"), engine="vllm")
    waits, not_ = chosen.factor("ttft_s", bound="kv", users=100), chosen.factor("ttft_s", bound="bandwidth", users=100)
    assert waits is not None
    assert not_ is not None
    assert waits > not_


def test_the_user_s_own_runs_win() -> None:
    shipped = choose(LLAMA, find_gpu("h100-sxm"), engine="vllm").calibration
    mine = replace(shipped, gpu="h100-sxm", precision="bf16", version="", own=True, source="runs/mine")
    assert choose(LLAMA, find_gpu("h100-sxm"), engine="vllm", own=[mine]).calibration is mine
    assert choose(LLAMA, find_gpu("h200-sxm"), engine="vllm", own=[mine]).calibration is not mine


def test_the_newest_version_stands_where_none_is_named() -> None:
    gpt = find_model("gpt-oss-120b")
    newest = choose(gpt, find_gpu("h100-sxm"), engine="vllm").calibration
    assert newest.version == "0.18.0"
    assert choose(gpt, find_gpu("h100-sxm"), engine="vllm", version="2025-11").calibration.version == "2025-11"


def test_the_table_is_written_as_it_is_read() -> None:
    line = rows_of(calibrations()[:1])[0]
    row: Calibration = calibrations()[0]
    assert float(line["bandwidth"]) == row.parameters.efficiency.bandwidth
    assert line["models"].split(";") == list(row.models)


def test_an_interval_is_that_of_as_many_users_and_of_an_unlike_card_the_wider() -> None:
    kind, card = Key("dense"), Key("dense", "vllm", "l40s")
    known = {
        Group(kind, waits=False, users=1): 1.2,
        Group(kind, waits=False, users=65): 2.0,
        Group(card, waits=False, users=1): 1.1,
        Group(card, waits=False, users=0): 1.5,
    }
    assert nearest_of(Group(card, waits=False, users=64), known) == 1.1
    assert nearest_of(Group(card, waits=False, users=65), known) == 2.0
    assert nearest_of(Group(card, waits=False, users=65), known | {Group(card, waits=False, users=0): 3.0}) == 3.0
    assert nearest_of(Group(kind, waits=False, users=100), known) == 2.0
    assert nearest_of(Group(card, waits=True, users=1), known) is None


@pytest.mark.parametrize("tier", TIERS)
def test_every_tier_has_an_interval_for_both_kinds(tier: str) -> None:
    for kind in ("dense", "experts"):
        row = next(
            row
            for row in spreads()
            if row.group == Group(Key(kind), waits=False, users=1) and row.tier == tier and not row.elsewhere
        )
        assert row.points > 100
        assert row.tpot_s is not None
        assert 1 < row.tpot_s < 3


def test_the_shipped_table_predicts_its_own_points() -> None:
    """Not a test of the model, which points that were held out make, but of the table, its words and units."""
    measured, _ = shipped_points()
    off = []
    for one in measured[::7]:
        chosen = choose(one.point.model, one.point.gpu, engine=one.key.engine, version=one.key.version)
        seen = predict_closed(
            one.point.model,
            one.point.gpu,
            chosen.efficiency,
            chosen.waiting,
            tp=one.point.tp,
            users=one.point.users,
            input_tokens=one.point.input_tokens,
            output_tokens=one.point.output_tokens,
        )
        assert seen is not None
        assert one.point.tpot_s is not None
        off.append(abs(seen.tpot_s / one.point.tpot_s - 1))
    assert sorted(off)[len(off) // 2] < 0.04
