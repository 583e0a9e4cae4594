"""Telemetry over a window: every expected value is worked out by hand."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from breakeven.errors import UsageError
from breakeven.metrics.enginecount import AS_MADE, AT_END
from breakeven.metrics.gpu import THROTTLE
from breakeven.metrics.machine import declared_energy
from breakeven.metrics.series import Missing, Samples, Series, Span, increase, integral
from breakeven.metrics.summary import LevelSummary
from breakeven.metrics.telemetry import telemetry_cautions, telemetry_figures, with_telemetry
from breakeven.record import LevelFacts, Record
from breakeven.report.enginetold import engine_line
from breakeven.telemetry import SOURCES

Points = Sequence[tuple[float, float]]
FACTS = LevelFacts(users=1, start_s=0.0, open_s=10.0, close_s=20.0)
TENTHS = [round(9.0 + step / 10, 1) for step in range(121)]
"""Ten times a second, from 9 s to 21 s."""


def series(points: Points) -> Series:
    return Series(np.array([at for at, _ in points]), np.array([value for _, value in points], dtype=np.float64))


def samples(given: dict[str, Points], *, missing: dict[str, str] | None = None) -> Samples:
    """Series by `source.name` or `source.device.name`."""
    keys = {}
    for key, points in given.items():
        source, _, rest = key.partition(".")
        device, _, name = rest.rpartition(".")
        keys[(source, device or None, name)] = series(points)
    return Samples(series=keys, missing=missing or {})


def flat(value: float) -> Points:
    return [(at, value) for at in TENTHS]


def rising(per_s: float) -> Points:
    return [(at, per_s * at) for at in TENTHS]


def figures_of(
    found: Samples, *, records: Sequence[Record] = (), facts: LevelFacts = FACTS, output_tokens: int | None = 500
) -> dict[str, Any]:
    return telemetry_figures(facts, records, samples=found, output_tokens=output_tokens)


def caution_ids(figures: dict[str, Any]) -> list[str]:
    return [caution.id for caution in telemetry_cautions(figures)]


# windows


def test_a_counter_is_taken_between_the_samples_around_each_end_of_the_window() -> None:
    counter = series([(9.0, 100.0), (11.0, 104.0), (19.0, 200.0), (21.0, 260.0)])
    # 102 at 10 s, 230 at 20 s
    assert increase(counter, Span(10.0, 20.0)) == pytest.approx(128.0)


def test_a_counter_that_was_started_again_inside_the_window_has_no_increase() -> None:
    found = increase(series([(9.0, 50.0), (10.5, 60.0), (11.0, 2.0), (12.0, 9.0)]), Span(10.0, 11.5))
    assert found == Missing("the counter went back inside the window, so it was started again")


def test_a_sample_on_an_end_of_the_window_is_taken_as_it_is() -> None:
    counter = series([(10.0, 7.0), (11.0, 9.0), (12.0, 100.0)])
    assert increase(counter, Span(10.0, 11.0)) == 2.0
    assert integral(counter, Span(10.0, 11.0)) == pytest.approx(8.0)


def test_an_integral_does_not_reach_beyond_the_samples() -> None:
    power = series([(10.0, 7.0), (11.0, 9.0)])
    assert isinstance(integral(power, Span(10.5, 11.5)), Missing)
    assert isinstance(integral(power, Span(9.5, 10.5)), Missing)


def test_nothing_is_made_up_outside_of_the_samples_or_across_a_hole() -> None:
    short = series([(10.5, 1.0), (11.0, 2.0)])
    late = increase(short, Span(10.0, 10.8))
    early = increase(short, Span(10.6, 12.0))
    assert late == early == Missing("the samples do not reach both ends of the window")
    holed = series([(8.0, 1.0), (10.5, 2.0), (11.0, 3.0)])
    assert increase(holed, Span(10.0, 10.8)) == Missing("the samples have a hole at an end of the window")
    assert increase(holed, Span(10.6, 11.0)) == pytest.approx(0.8)


def test_the_integral_is_the_area_under_the_straight_lines() -> None:
    power = series([(9.0, 100.0), (11.0, 200.0), (12.0, 200.0), (13.0, 0.0)])
    # 150 W at 10 s and 100 W at 12.5 s: 175 + 200 + 75
    assert integral(power, Span(10.0, 12.5)) == pytest.approx(450.0)
    assert integral(series([(0.0, 5.0), (1.0, 5.0), (4.0, 5.0)]), Span(0.5, 1.5)) == Missing(
        "the samples have a hole at an end of the window"
    )
    assert integral(series([(0.0, 5.0), (1.0, 5.0), (4.0, 5.0), (5.0, 5.0)]), Span(0.5, 4.5)) == Missing(
        "a hole of 3.0 s in the samples"
    )


@given(
    open_s=st.floats(0, 5, allow_subnormal=False),
    length_s=st.floats(0.1, 4),
    power_w=st.floats(1, 1000),
    slope=st.floats(-50, 50),
)
def test_counter_and_integral_agree_wherever_the_window_lies(
    open_s: float, length_s: float, power_w: float, slope: float
) -> None:
    """Power a + b t has energy a t + b t²/2; trapezoids are exact for a straight line, a counter nearly so."""
    at_s = np.arange(0, 10, 0.1)
    base = power_w + 500  # so that the counter never falls
    window = Span(open_s, open_s + length_s)
    true_j = base * length_s + slope * (window.close_s**2 - window.open_s**2) / 2
    assert integral(Series(at_s, base + slope * at_s), window) == pytest.approx(true_j)
    assert increase(Series(at_s, base * at_s + slope * at_s**2 / 2), window) == pytest.approx(true_j, abs=0.5)


# GPU energy


def test_gpu_energy_is_the_counters_increase_and_tokens_per_joule_follow() -> None:
    figures = figures_of(samples({"nvml.0.energy_j": rising(50.0), "nvml.0.power_w": flat(70.0)}))
    assert figures["gpu_board_energy_j"] == pytest.approx(500.0)
    assert figures["gpu_board_energy_from"] == "counter"
    assert figures["gpu_board_power_mean_w"] == pytest.approx(50.0)
    assert figures["gpu_board_tok_per_j"] == pytest.approx(1.0)
    assert "energy_by_power" not in caution_ids(figures)


def test_without_a_counter_gpu_energy_is_the_integral_of_power_and_says_so() -> None:
    missing = {"nvml.0.energy_j": "NVML: Not Supported"}
    figures = figures_of(samples({"nvml.0.power_w": flat(70.0)}, missing=missing))
    assert figures["gpu_board_energy_j"] == pytest.approx(700.0)
    assert figures["gpu_board_energy_from"] == "power integral"
    assert "energy_by_power" in caution_ids(figures)


def test_a_counter_that_stands_still_is_no_counter() -> None:
    figures = figures_of(samples({"nvml.0.energy_j": flat(9.0), "nvml.0.power_w": flat(70.0)}))
    assert figures["gpu_board_energy_from"] == "power integral"
    alone = figures_of(samples({"nvml.0.energy_j": flat(9.0)}))
    assert alone["gpu_board_energy_j"] is None
    assert alone["gpu_board_energy_j_reason"] == "GPU 0: the energy counter stands still"


def test_the_boards_add_up_and_each_stands_alone_too() -> None:
    figures = figures_of(samples({"nvml.0.energy_j": rising(50.0), "nvml.1.power_w": flat(20.0)}))
    assert figures["gpu_board_energy_j"] == pytest.approx(700.0)
    assert figures["gpu_board_energy_from"] == "counter and power integral"
    assert [gpu["index"] for gpu in figures["gpus"]] == ["0", "1"]
    assert [gpu["energy_j"] for gpu in figures["gpus"]] == pytest.approx([500.0, 200.0])


def test_energy_is_missing_when_one_of_two_boards_cannot_tell_it() -> None:
    found = samples({"nvml.0.energy_j": rising(50.0)}, missing={"nvml.1.energy_j": "NVML: GPU is lost"})
    figures = figures_of(found)
    assert figures["gpu_board_energy_j"] is None
    assert figures["gpu_board_energy_j_reason"] == "GPU 1: NVML: GPU is lost"
    assert figures["gpu_board_tok_per_j"] is None
    assert figures["gpus"][0]["energy_j"] == pytest.approx(500.0)


def test_the_state_of_a_gpu_is_taken_inside_the_window_only() -> None:
    outside = [(9.5, 99.0)]
    given: dict[str, Points] = {
        "nvml.0.temperature_c": [*outside, (12.0, 60.0), (15.0, 70.0)],
        "nvml.0.sm_clock_mhz": [*outside, (12.0, 1000.0), (15.0, 2000.0)],
        "nvml.0.memory_used_bytes": [(12.0, 5e9), (15.0, 4e9), (25.0, 9e9)],
        "nvml.0.utilisation_share": [(12.0, 0.5), (15.0, 1.0)],
        "nvml.0.power_limit_w": [(12.0, 250.0)],
        "nvml.0.throttle_bits": [(9.0, 0x40), (12.0, 0x4), (13.0, 0x5), (14.0, 0x0), (15.0, 0x1)],
    }
    (gpu,) = figures_of(samples(given))["gpus"]
    assert gpu["temperature_max_c"] == 70.0
    assert gpu["sm_clock_mean_mhz"] == 1500.0
    assert gpu["memory_used_max_bytes"] == 5e9
    assert gpu["utilisation_mean_share"] == 0.75
    assert gpu["power_limit_w"] == 250.0
    assert gpu["throttle_share"] == {"sw_power_cap": 0.5}
    assert gpu["memory_clock_mean_mhz"] is None
    assert gpu["memory_clock_mean_mhz_reason"] == "it was not sampled"


def test_a_gpu_without_a_sample_inside_the_window_has_no_throttling_to_tell() -> None:
    (gpu,) = figures_of(samples({"nvml.0.throttle_bits": [(9.0, 1.0), (21.0, 1.0)]}))["gpus"]
    assert gpu["throttle_share"] is None
    assert gpu["throttle_share_reason"] == "no sample inside the window"


# what is missing


def nones_without_reason(figures: dict[str, Any]) -> list[str]:
    return [name for name, value in figures.items() if value is None and not figures.get(f"{name}_reason")]


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"nvml.0.power_limit_w": flat(1.0)},
        {"engine.generated_tokens": [(12.0, 1.0)]},
        {"host.cpu_busy_s": [(1, 2)]},
    ],
)
def test_every_figure_that_is_none_has_its_reason_beside_it(given: dict[str, Points]) -> None:
    figures = figures_of(samples(given), output_tokens=None)
    assert nones_without_reason(figures) == []
    assert [name for gpu in figures["gpus"] for name in nones_without_reason(gpu)] == []
    assert figures["gpu_board_energy_j"] is None
    assert figures["cpu_package_energy_j"] is None
    assert telemetry_cautions(figures) == ()


def test_a_missing_source_gives_its_reason_to_its_figures() -> None:
    figures = figures_of(samples({}, missing={"nvml": "no NVIDIA driver on this machine", "rapl": "no counters"}))
    assert figures["gpu_board_energy_j_reason"] == "no NVIDIA driver on this machine"
    assert figures["cpu_package_energy_j_reason"] == "no counters"
    assert figures["gpus"] == []


def test_a_level_without_a_window_has_no_telemetry() -> None:
    facts = LevelFacts(users=1, start_s=0.0)
    level = LevelSummary(users=1, status="failed", extra={"kept": 1.0})
    assert with_telemetry(level, facts=facts, records=[], samples=samples({})) == level


# CPU and host


def test_cpu_packages_add_up() -> None:
    figures = figures_of(
        samples({"rapl.package-0.energy_j": rising(30.0), "rapl.package-1.energy_j": rising(10.0)}), output_tokens=800
    )
    assert figures["cpu_package_energy_j"] == pytest.approx(400.0)
    assert figures["cpu_package_power_mean_w"] == pytest.approx(40.0)
    assert figures["cpu_package_tok_per_j"] == pytest.approx(2.0)


def test_a_package_that_may_not_be_read_leaves_no_half_of_a_sum() -> None:
    found = samples({"rapl.package-0.energy_j": rising(30.0)}, missing={"rapl.package-1.energy_j": "root only"})
    figures = figures_of(found)
    assert figures["cpu_package_energy_j"] is None
    assert figures["cpu_package_energy_j_reason"] == "root only"


def test_the_hosts_load_is_a_share_of_all_its_cores() -> None:
    figures = figures_of(
        samples(
            {
                "host.cpu_busy_s": rising(1.0),
                "host.cpu_steal_s": rising(0.1),
                "host.cpu_total_s": rising(2.0),
                "host.sampler_cpu_s": rising(0.004),
                "host.memory_used_bytes": [(12.0, 5.0), (13.0, 7.0), (30.0, 9.0)],
            }
        )
    )
    assert figures["host_cpu_busy_share"] == pytest.approx(0.5)
    assert figures["host_cpu_steal_share"] == pytest.approx(0.05)
    assert figures["sampler_cpu_share"] == pytest.approx(0.004)
    assert figures["host_memory_used_max_bytes"] == 7.0
    assert caution_ids(figures) == ["cpu_stolen"]


def test_who_takes_more_than_a_tenth_of_a_core_is_named_with_its_share() -> None:
    name = "cc1\x1b[2J{other}"
    figures = figures_of(
        samples(
            {
                "company.others_cpu_s": rising(1.75),
                f"company.{name}.cpu_s": rising(1.5),
                "company.make.cpu_s": rising(0.09),
                "company.late.cpu_s": [(15.0, 0.0), (30.0, 7.5)],
            }
        )
    )
    assert figures["company_cores"] == pytest.approx(1.75)
    assert [one["name"] for one in figures["company"]] == ["cc1 [2J{other}", "late"]
    assert [one["cores"] for one in figures["company"]] == pytest.approx([1.5, 0.25])
    (caution,) = telemetry_cautions(figures)
    assert caution.text == "other processes were busy meanwhile, in parts of a core: cc1 [2J{other} 150 %, late 25 %"


def test_where_nobody_could_look_company_is_not_known() -> None:
    figures = figures_of(samples({}, missing={"company": "/proc is not there; other processes are seen on Linux only"}))
    assert (figures["company"], figures["company_cores"]) == (None, None)
    assert "Linux only" in figures["company_cores_reason"]
    assert caution_ids(figures) == []


# the engine


def test_the_engines_gauges_are_taken_over_the_window() -> None:
    figures = figures_of(
        samples(
            {
                "engine.running_requests": [(9.0, 0.0), (11.0, 4.0), (12.0, 8.0)],
                "engine.waiting_requests": [(11.0, 1.0), (12.0, 0.0)],
                "engine.kv_use_share": [(11.0, 0.25), (12.0, 0.5)],
                "engine.preemptions": [(9.0, 1.0), (11.0, 3.0), (15.0, 4.0), (19.0, 10.0), (21.0, 50.0)],
            }
        )
    )
    assert figures["engine_running_mean_requests"] == 6.0
    assert figures["engine_waiting_mean_requests"] == 0.5
    assert figures["engine_kv_use_max_share"] == 0.5
    assert figures["engine_preemptions"] == 7.0
    assert caution_ids(figures) == ["preemptions"]


def test_a_counter_of_events_needs_two_readings_and_no_new_start() -> None:
    one = figures_of(samples({"engine.preemptions": [(9.0, 1.0), (15.0, 3.0)]}))
    assert one["engine_preemptions_reason"] == "fewer than two readings inside the window"
    again = figures_of(samples({"engine.preemptions": [(12.0, 9.0), (15.0, 3.0)]}))
    assert again["engine_preemptions_reason"] == "the counter was started again"


def test_cache_hits_and_drafts_are_counted_between_readings_inside_the_window() -> None:
    found = figures_of(
        samples(
            {
                "engine.cache_asked_tokens": [(9.0, 5.0), (11.0, 100.0), (19.0, 500.0)],
                "engine.cache_hit_tokens": [(9.0, 0.0), (11.0, 50.0), (19.0, 150.0)],
                "engine.drafts": [(11.0, 10.0), (19.0, 110.0)],
                "engine.drafted_tokens": [(11.0, 30.0), (19.0, 330.0)],
                "engine.accepted_tokens": [(11.0, 20.0), (19.0, 140.0)],
            }
        )
    )
    assert found["engine_cache_hit_share"] == 0.25
    assert found["engine_accept_length"] == pytest.approx(2.2)
    assert found["engine_accept_share"] == pytest.approx(0.4)
    line = engine_line([LevelSummary(users=4, status="done", extra=found)])
    assert line == (
        "the engine tells, at most: prefix cache hits 25 % at 4 users, drafts kept 40 % at 4 users, "
        "2.20 tokens a step by drafts at 4 users"
    )


def test_an_engine_that_tells_the_length_itself_is_believed_and_one_without_drafts_tells_none() -> None:
    gauge = figures_of(samples({"engine.accept_length": [(11.0, 2.5), (19.0, 3.5)]}))
    assert gauge["engine_accept_length"] == 3.0
    none = figures_of(samples({"engine.drafts": [(11.0, 0.0), (19.0, 0.0)], "engine.accept_length": [(11.0, 0.0)]}))
    assert "engine_accept_length" not in none


def answer(*, first_s: float, tokens: int, every_s: float) -> Record:
    """A finished answer with one token a chunk."""
    first_us, step_us = 1_000_000, round(every_s * 1e6)
    return Record(
        user=0,
        k=1,
        due_s=first_s - 1.0,
        sent_s=first_s - 1.0,
        chunk_us=np.array([first_us] + [step_us] * (tokens - 1), dtype="<u4").tobytes(),
        end_s=first_s + (tokens - 1) * every_s,
        status="done",
        output_tokens=tokens,
    )


ONE_LONG = [answer(first_s=8.05, tokens=150, every_s=0.1)]
"""A token each tenth of a second, from 8.05 s to 22.95 s."""
SHORT_ONES = [answer(first_s=at + 0.05, tokens=5, every_s=0.1) for at in range(8, 22)]
"""Five tokens in the first half of every second; each ends at .45."""
READINGS = [float(at) for at in range(9, 22)]


def counted(per_s: float, *, start: float = 1000.0) -> Points:
    return [(at, start + per_s * at) for at in READINGS]


def test_an_engine_that_counts_tokens_as_they_are_made_agrees_with_arrivals() -> None:
    figures = figures_of(samples({"engine.generated_tokens": counted(10.0)}), records=ONE_LONG)
    # readings from 10 s to 20 s: 100 by the engine, and ours at 10.05 … 19.95
    assert figures["engine_tokens"] == 100.0
    assert figures["engine_tokens_ours"] == pytest.approx(100.0)
    assert figures["engine_tokens_over_s"] == 10.0
    assert figures["engine_counts"] == AS_MADE
    assert figures["engine_tokens_difference"] == pytest.approx(0.0)
    assert caution_ids(figures) == []


def test_an_engine_that_counts_answers_when_they_end_agrees_with_ends() -> None:
    facts = LevelFacts(users=1, start_s=0.0, open_s=10.0, close_s=20.3)
    readings = [(at + 0.2, 5.0 * at) for at in READINGS]
    figures = figures_of(samples({"engine.generated_tokens": readings}), records=SHORT_ONES, facts=facts)
    # from 10.2 s to 20.2 s ten answers end; by arrival it is 8 more tokens of the first second less 2 … the same 50
    assert figures["engine_tokens"] == 50.0
    assert figures["engine_tokens_difference"] == pytest.approx(0.0)
    one_big = [answer(first_s=9.0, tokens=100, every_s=0.1)]  # to 18.9 s, counted as 100 at its end
    stepped = [(at, 0.0 if at < 18.9 else 100.0) for at in READINGS]
    figures = figures_of(samples({"engine.generated_tokens": stepped}), records=one_big)
    assert figures["engine_counts"] == AT_END
    assert figures["engine_tokens_difference"] == pytest.approx(0.0)


def test_an_engine_that_serves_others_too_is_found_out() -> None:
    figures = figures_of(samples({"engine.generated_tokens": counted(12.0)}), records=ONE_LONG)
    assert figures["engine_tokens_difference"] == pytest.approx(0.2)
    # 0.1 s more at each end would explain two tokens more
    assert figures["engine_tokens_unexplained"] == pytest.approx(0.18)
    (caution,) = telemetry_cautions(figures)
    assert caution.id == "engine_counts_differ"
    assert "(+20.0 %) in 10.0 s" in caution.text


def test_a_difference_that_the_ends_of_the_stretch_explain_is_no_caution() -> None:
    slow_reply = {"engine.generated_tokens": counted(10.4), "engine.scrape_s": [(15.0, 0.3)]}
    figures = figures_of(samples(slow_reply), records=ONE_LONG)
    assert figures["engine_tokens_difference"] == pytest.approx(0.04)
    assert figures["engine_tokens_unexplained"] == 0.0
    assert caution_ids(figures) == []


def test_an_engine_that_was_started_again_is_not_compared() -> None:
    readings = [(at, 100.0 if at < 15 else 5.0) for at in READINGS]
    figures = figures_of(samples({"engine.generated_tokens": readings}), records=ONE_LONG)
    assert figures["engine_tokens_difference"] is None
    assert "started again" in figures["engine_tokens_difference_reason"]
    idle = figures_of(samples({"engine.generated_tokens": counted(10.0)}))
    assert idle["engine_tokens_difference_reason"] == "no token of ours came meanwhile"


# cautions


def test_a_hot_capped_or_shared_gpu_is_said() -> None:
    given: dict[str, Points] = {
        "nvml.0.throttle_bits": [(12.0, 0x24), (13.0, 0x04), (14.0, 0x04), (15.0, 0x00)],
        "nvml.0.temperature_c": [(12.0, 87.0)],
        "nvml.0.power_limit_w": [(12.0, 250.0)],
        "nvml.0.compute_processes": [(12.0, 2.0)],
        "nvml.0.energy_j": rising(1.0),
    }
    found = telemetry_cautions(figures_of(samples(given)))
    assert [caution.id for caution in found] == ["thermal_throttling", "power_cap", "other_gpu_processes"]
    assert found[0].text == "GPU 0 slowed down (sw_thermal 25 % of the window) at up to 87 °C"
    assert found[1].text == (
        "GPU 0 ran at its power limit (sw_power_cap 75 % of the window): 250 W, by default unknown W"
    )
    assert all(caution.remedy for caution in found)


def test_a_gpu_that_did_nothing_beside_one_that_worked_is_said() -> None:
    given = {
        "nvml.0.energy_j": rising(1.0),
        "nvml.0.utilisation_share": flat(0.9),
        "nvml.1.energy_j": rising(1.0),
        "nvml.1.utilisation_share": flat(0.0),
    }
    (caution,) = telemetry_cautions(figures_of(samples(given)))
    assert caution.id == "idle_gpus_counted"
    assert caution.text.startswith("GPU 1 did nothing")


def test_cautions_and_figures_go_into_the_summary_of_the_level() -> None:
    level = LevelSummary(users=1, status="done", output_tokens=250, extra={"kept": 1.0})
    found = samples({"nvml.0.power_w": flat(50.0)})
    told = with_telemetry(level, facts=FACTS, records=[], samples=found)
    assert told.extra["kept"] == 1.0
    assert told.extra["gpu_board_tok_per_j"] == pytest.approx(0.5)
    assert [caution.id for caution in told.cautions] == ["energy_by_power"]


# declared watts


def test_declared_watts_give_energy_under_a_name_of_their_own() -> None:
    assert declared_energy(declared_w=400.0, source="meter at the wall", window_s=20.0, output_tokens=4000) == {
        "declared_w": 400.0,
        "declared_w_from": "meter at the wall",
        "declared_energy_j": 8000.0,
        "declared_tok_per_j": 0.5,
    }


@pytest.mark.parametrize(("watts", "source"), [(0.0, "meter"), (-3.0, "meter"), (float("nan"), "meter"), (9.0, " ")])
def test_watts_without_size_or_source_are_refused(watts: float, source: str) -> None:
    with pytest.raises(UsageError, match="watts:"):
        declared_energy(declared_w=watts, source=source, window_s=1.0, output_tokens=1)


# documentation

DOCS = (Path(__file__).parent.parent / "docs" / "TELEMETRY.md").read_text(encoding="utf-8")
HOT: dict[str, Points] = {
    "nvml.0.energy_j": rising(1.0),
    "nvml.0.utilisation_share": flat(0.9),
    "nvml.0.throttle_bits": flat(0x24),
    "nvml.0.compute_processes": flat(2.0),
    "nvml.1.power_w": flat(1.0),
    "nvml.1.utilisation_share": flat(0.0),
    "host.cpu_steal_s": rising(0.1),
    "host.cpu_total_s": rising(2.0),
    "engine.preemptions": counted(1.0),
    "engine.generated_tokens": counted(20.0),
    "company.others_cpu_s": rising(0.5),
    "company.make.cpu_s": rising(0.5),
}
"""Everything that there is a caution for."""


def test_every_source_figure_and_caution_is_explained_in_the_docs() -> None:
    figures = figures_of(samples(HOT), records=ONE_LONG)
    names = {*figures, *(name for gpu in figures["gpus"] for name in gpu), *SOURCES, *THROTTLE}
    names |= set(declared_energy(declared_w=1.0, source="x", window_s=1.0, output_tokens=1))
    unexplained = [name for name in names if not name.endswith("_reason") and f"`{name}`" not in DOCS]
    assert unexplained == []
    ids = caution_ids(figures)
    assert len(set(ids)) == 9
    assert [name for name in ids if f"`{name}`" not in DOCS] == []
